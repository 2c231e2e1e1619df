"""Records are JSON without NaN, appended or replaced whole, and read back as they were."""

import errno
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from jaxnet import lock
from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.outputs import records, run_directory
from jaxnet.outputs.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return run_directory.claim(run_directory.make(tmp_path / "run"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float32("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(2**40), 2**40),
        (np.bool_(True), True),
        (np.array([[1.0, np.inf]]), [[1.0, None]]),
        ({"a": (1, "x", None)}, {"a": [1, "x", None]}),
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert records.plain(value) == expected


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, 1j])
def test_plain_refuses_what_json_does_not_know(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        records.plain(value)


def test_epochs_are_lines_without_times(run: RunDirectory) -> None:
    records.append_epoch(run, {"epoch": 1, "loss": np.float32(0.25)})
    records.append_epoch(run, {"epoch": 2, "loss": math.nan})
    assert run.epochs.read_text() == '{"epoch": 1, "loss": 0.25}\n{"epoch": 2, "loss": null}\n'
    assert records.read_lines(run.epochs)[1] == {"epoch": 2, "loss": None}


def test_events_carry_their_time(run: RunDirectory) -> None:
    records.append_event(run, "started", rows=3)
    records.append_event(run, "finished")
    first, second = records.read_lines(run.events)
    assert (first["event"], first["rows"], second["event"]) == ("started", 3, "finished")
    assert datetime.fromisoformat(first["time"]) <= datetime.fromisoformat(second["time"])
    assert datetime.fromisoformat(first["time"]).utcoffset().total_seconds() == 0


def test_metrics_hold_null_for_what_is_undefined(run: RunDirectory) -> None:
    records.write_metrics(run, {"validation": {"f1": math.nan}, "test": {"f1": 0.5}})
    text = run.metrics.read_text()
    assert "NaN" not in text
    assert json.loads(text) == {"validation": {"f1": None}, "test": {"f1": 0.5}}


@pytest.mark.parametrize("state", ["running", "finished", "failed", "stopped"])
def test_status(run: RunDirectory, state: records.State) -> None:
    records.write_status(run, state, message="why")
    status = records.read_json(run.status)
    assert (status["state"], status["message"]) == (state, "why")


def test_an_unknown_state_is_refused(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="'done' is no state of a run"):
        records.write_status(run, "done")  # type: ignore[arg-type]
    assert not run.status.exists()


def test_a_line_cut_short_is_left_out(run: RunDirectory) -> None:
    run.epochs.write_text('{"epoch": 1}\n{"epo')
    assert records.read_lines(run.epochs) == [{"epoch": 1}]
    assert records.read_lines(run.path / "absent.jsonl") == []


def test_a_damaged_line_is_named(run: RunDirectory) -> None:
    run.epochs.write_text('{"epoch": 1}\nrubbish\n{"epoch": 3}\n')
    with pytest.raises(RunDirectoryError, match=r"metrics\.jsonl:2: damaged line"):
        records.read_lines(run.epochs)


def test_json_that_is_missing_or_damaged(run: RunDirectory) -> None:
    with pytest.raises(RunDirectoryError, match="did the run finish"):
        records.read_json(run.metrics)
    run.metrics.write_bytes(b"\xff{")
    with pytest.raises(RunDirectoryError, match="damaged, this is not JSON"):
        records.read_json(run.metrics)


def test_a_full_disk_leaves_the_old_file(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write_status(run, "running")
    before = run.status.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailed, match=r"status\.json: the disk is full"):
        records.write_status(run, "finished")
    assert run.status.read_bytes() == before
    assert sorted(entry.name for entry in run.path.iterdir()) == ["events.jsonl", "status.json"]


def test_appending_where_the_directory_is_gone(run: RunDirectory) -> None:
    run.events.unlink()
    run.path.rmdir()
    with pytest.raises(RunFailed, match=r"metrics\.jsonl: cannot be written"):
        records.append_epoch(run, {"epoch": 1})


def test_a_line_that_is_no_object_is_damaged(run: RunDirectory) -> None:
    run.events.write_text("[" * 100_000 + "\n")
    with pytest.raises(RunDirectoryError, match=r"events\.jsonl:1: damaged line"):
        records.read_lines(run.events)
    run.events.write_text("5\n")
    with pytest.raises(RunDirectoryError, match=r"jsonl:1: damaged line \(not an object\)"):
        records.read_lines(run.events)


def test_names_that_are_not_utf_8(run: RunDirectory) -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9")
    records.append_event(run, "started", command=name)
    records.write_status(run, "failed", error=name)
    assert records.read_lines(run.events)[0]["command"] == name
    assert records.read_json(run.status)["error"] == name


def test_epochs_are_there_once_after_going_back(run: RunDirectory) -> None:
    lines = [{"epoch": epoch, "loss": math.nan if epoch == 2 else 0.5} for epoch in range(1, 6)]
    for line in lines:
        records.append_epoch(run, line)
    whole = run.epochs.read_bytes()
    for torn in (b"", b'{"epoch": 6'):
        run.epochs.write_bytes(whole + torn)
        records.rewrite_epochs(run, lines[:2])
        for line in lines[2:]:
            records.append_epoch(run, line)
        assert run.epochs.read_bytes() == whole
    records.rewrite_epochs(run, [])
    assert run.epochs.read_bytes() == b""


def test_a_torn_line_of_any_length_never_spoils_the_next(run: RunDirectory) -> None:
    records.append_event(run, "started", text="é" * 40)
    first = run.events.read_bytes()
    for length in range(len(first)):
        run.events.write_bytes(first + first[:length])
        records.append_event(run, "next", length=length)
        assert run.events.read_bytes().startswith(first)
        assert [line["event"] for line in records.read_lines(run.events)] == ["started", "next"]
        run.events.write_bytes(first[:length])  # not one line is whole
        records.append_event(run, "next")
        assert [line["event"] for line in records.read_lines(run.events)] == ["next"]


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 200_000])
def test_a_long_torn_line(run: RunDirectory, length: int) -> None:
    records.append_event(run, "started")
    with open(run.events, "ab") as stream:
        stream.write(bytes(length))  # zeros, as a lost block leaves them
    records.append_event(run, "next")
    assert [line["event"] for line in records.read_lines(run.events)] == ["started", "next"]


def short(descriptor: int, data: bytes) -> int:
    return WRITE(descriptor, data[: len(data) // 2])


def full(descriptor: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WRITE = os.write


@pytest.mark.parametrize("write", [short, full])
def test_a_full_disk_leaves_the_lines_before(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, write: Callable[[int, bytes], int]
) -> None:
    records.append_event(run, "started")
    before = run.events.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(RunFailed, match=r"events\.jsonl: the disk is full"):
            records.append_event(run, "note")
    assert run.events.read_bytes() == before
    records.append_event(run, "finished")
    assert [line["event"] for line in records.read_lines(run.events)] == ["started", "finished"]


def start(source: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_a_file_that_may_not_grow(run: RunDirectory) -> None:
    """The system itself cuts the write short here."""
    source = """
import resource, sys
from pathlib import Path
from jaxnet.errors import RunFailed
from jaxnet.outputs import records
from jaxnet.outputs.run_directory import RunDirectory
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run = RunDirectory(Path(sys.argv[1]))
written = 0
try:
    for _ in range(100):
        records.append_event(run, "note", text="x" * 50)
        written += 1
except RunFailed as error:
    print(written, error)
"""
    out, err = start(source, run.path).communicate()
    assert err == ""
    written, _, said = out.partition(" ")
    assert said.startswith(f"{run.events}: the disk is full")
    assert len(records.read_lines(run.events)) == int(written) > 3
    assert run.events.read_bytes().endswith(b"\n")


APPEND = """
import itertools, sys
from pathlib import Path
from jaxnet.outputs import records
from jaxnet.outputs.run_directory import RunDirectory
run = RunDirectory(Path(sys.argv[1]))
for number in itertools.count() if len(sys.argv) < 4 else range(int(sys.argv[3])):
    records.append_event(run, sys.argv[2], number=number, text="x" * (number % 9000))
"""


def test_a_writer_that_is_killed_leaves_lines(run: RunDirectory) -> None:
    for attempt in range(10):
        with start(APPEND, run.path, f"writer {attempt}") as process:
            before = len(records.read_lines(run.events))
            while len(records.read_lines(run.events)) < before + 5 + attempt:
                time.sleep(0.001)
            process.kill()
        records.append_event(run, "killed", attempt=attempt)
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert sum(line["event"] == "killed" for line in lines) == 10
    for attempt in range(10):
        numbers = [line["number"] for line in lines if line["event"] == f"writer {attempt}"]
        assert numbers == list(range(len(numbers)))


def test_writers_at_once_never_mix(run: RunDirectory) -> None:
    processes = [start(APPEND, run.path, f"writer {number}", 300) for number in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    for number in range(4):
        own = [line["number"] for line in lines if line["event"] == f"writer {number}"]
        assert own == list(range(300))


def test_a_line_on_its_way_is_not_taken_for_a_torn_one(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = threading.Thread(target=records.append_event, args=(run, "other"))

    def in_two(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", WRITE)
        done = WRITE(descriptor, data[:20])
        other.start()
        other.join(0.2)
        return done + WRITE(descriptor, data[20:])

    monkeypatch.setattr(os, "write", in_two)
    records.append_event(run, "one")
    other.join()
    assert [line["event"] for line in records.read_lines(run.events)] == ["one", "other"]


def test_a_link_is_not_written_through(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    run.epochs.symlink_to(tmp_path / "mine")
    with pytest.raises(RunFailed, match=r"metrics\.jsonl: cannot be written"):
        records.append_epoch(run, {"epoch": 1})
    assert (tmp_path / "mine").read_text() == "mine"


def test_the_end_of_a_run_is_told_as_far_as_that_works(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write_status(run, "running")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        records.record_end(run, "failed", "the first error", step=3)
    assert records.read_json(run.status)["state"] == "running"
    assert records.read_lines(run.events) == []
    records.record_end(run, "failed", "the first error", step=3)
    status = records.read_json(run.status)
    assert (status["state"], status["error"], status["step"]) == ("failed", "the first error", 3)
    [event] = records.read_lines(run.events)
    assert (event["event"], event["error"], event["step"]) == ("failed", "the first error", 3)


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_the_state_of_a_run_that_ended(run: RunDirectory, state: records.State) -> None:
    records.write_status(run, state)
    assert records.state_of(run) == state
    with lock.hold(run.lock, command="a"):  # about to end, or to begin again
        assert records.state_of(run) == state


def test_a_run_runs_while_somebody_holds_its_lock(run: RunDirectory) -> None:
    assert records.state_of(run) == "killed"  # before it could say anything
    with lock.hold(run.lock, command="a"):
        assert records.state_of(run) == "running"
        records.write_status(run, "running")
        assert records.state_of(run) == "running"
    assert records.state_of(run) == "killed"


def test_a_run_that_ends_while_it_is_asked_was_not_killed(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write_status(run, "running")

    def ends(path: Path) -> None:
        records.write_status(run, "finished")

    monkeypatch.setattr(lock, "holder", ends)
    assert records.state_of(run) == "finished"


@pytest.mark.parametrize("content", ["[]", '{"state": "done"}', '{"state": []}', "{"])
def test_a_status_that_makes_no_sense(run: RunDirectory, content: str) -> None:
    run.status.write_text(content)
    with pytest.raises(RunDirectoryError, match=r"status\.json: damaged"):
        records.state_of(run)
