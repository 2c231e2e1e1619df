"""Records are JSON without NaN, appended or replaced whole, and read back as they were."""

import errno
import json
import math
import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.outputs import records, run_directory
from jaxnet.outputs.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return run_directory.create(tmp_path / "run")


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
