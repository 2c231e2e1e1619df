"""A run directory is made once, never overwritten, and its problems are told with a way out."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxnet import lock
from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.outputs import checkpoint_file, records, run_directory
from jaxnet.outputs.run_directory import RunDirectory


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Permissions count for nothing when the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("existing", [False, True])
def test_a_new_or_empty_directory_is_taken(tmp_path: Path, existing: bool) -> None:
    path = tmp_path / "runs" / "first"
    if existing:
        path.mkdir(parents=True)
    run = run_directory.claim(run_directory.make(path))
    assert run.path.is_dir()
    assert run_directory.RunDirectory(path) == run


def test_a_directory_that_holds_anything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"never overwrites; name a new one: --run-dir DIR"):
        run_directory.claim(run_directory.make(tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_directory_is_taken_once(tmp_path: Path) -> None:
    run_directory.claim(run_directory.make(tmp_path / "run"))
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.claim(run_directory.make(tmp_path / "run"))


def test_of_two_runs_at_once_one_gets_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked while it was empty; the second to make its first file is refused."""
    run_directory.claim(run_directory.make(tmp_path / "run"))
    monkeypatch.setattr(os, "listdir", lambda path: [])
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.claim(run_directory.make(tmp_path / "run"))


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunDirectoryError, match="a file is in the way"):
        run_directory.claim(run_directory.make(tmp_path / "run"))
    with pytest.raises(RunDirectoryError, match="a part of this path is a file"):
        run_directory.claim(run_directory.make(tmp_path / "run" / "deeper"))


@pytest.mark.usefixtures("as_nobody")
@pytest.mark.parametrize("name", ["", "runs/deep"])
def test_a_place_that_cannot_be_written(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    locked = Path("/")  # nobody but root writes here
    with pytest.raises(RunDirectoryError, match=r"--run-dir DIR") as caught:
        run_directory.claim(run_directory.make(locked / name if name else locked / "run-of-nobody"))
    assert caught.value.exit_code == 2


def test_a_name_that_is_none() -> None:
    with pytest.raises(RunDirectoryError, match="not a name for a directory"):
        run_directory.claim(run_directory.make("run\0"))


def test_default_directories_differ_when_many_start_at_once(tmp_path: Path) -> None:
    parent = tmp_path / "runs"
    start = """
import sys
from jaxnet.outputs import run_directory
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    print(run_directory.create_default("configs/binary.yaml", parent=sys.argv[1]).path)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", start, str(parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    paths = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 8
    assert len(paths) == len(set(paths)) == 160
    assert all(Path(path).name.startswith("binary-20") for path in paths)
    assert {str(path) for path in parent.iterdir()} == set(paths)


def test_one_that_is_quicker_to_a_default_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["first", "first", "second"])
    monkeypatch.setattr(
        run_directory, "default_path", lambda name, *, parent: tmp_path / next(names)
    )
    assert run_directory.create_default("a.yaml").path.name == "first"
    assert run_directory.create_default("a.yaml").path.name == "second"


def test_default_directories_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunDirectoryError, match="a file is in the way"):
        run_directory.create_default("a.yaml", parent=tmp_path / "runs")


def test_a_lock_does_not_count_and_nothing_else_is_let_through(tmp_path: Path) -> None:
    run = run_directory.make(tmp_path / "run")
    with lock.hold(run.lock, command="a"):
        run_directory.claim(run)
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.claim(run)
    other = run_directory.make(tmp_path / "other")
    (other.path / ".lock2").touch()
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.claim(other)


def test_claiming_what_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="cannot be made"):
        run_directory.claim(RunDirectory(tmp_path / "gone"))


def status(run: RunDirectory) -> None:
    records.write_status(run, "running")


def event(run: RunDirectory) -> None:
    records.append_event(run, "started")


def torn_event(run: RunDirectory) -> None:
    run.events.write_bytes(b'{"ti')


def checkpoint(run: RunDirectory) -> None:
    run.checkpoints.mkdir()
    content = checkpoint_file.encode({"b": np.zeros(3)}, {"step": 12})
    (run.checkpoints / "last-000000012.safetensors").write_bytes(content[:-1])  # damaged, say


@pytest.mark.parametrize("leave", [run_directory.claim, status, event, torn_event, checkpoint])
def test_what_a_run_leaves_makes_a_directory_ours(
    tmp_path: Path, leave: Callable[[RunDirectory], None]
) -> None:
    run = RunDirectory(tmp_path)
    assert not run_directory.ours(run)
    leave(run)
    run.config.write_text("task: binary")
    assert run_directory.ours(run)
    run_directory.check_resumable(run)


def not_a_status(run: RunDirectory) -> None:
    run.status.write_text("[]")


def not_events(run: RunDirectory) -> None:
    run.events.write_text('{"user": 1}\n')


def pipes(run: RunDirectory) -> None:
    os.mkfifo(run.events)
    os.mkfifo(run.status)


def not_checkpoints(run: RunDirectory) -> None:
    run.checkpoints.mkdir()
    (run.checkpoints / "last-1.safetensors").touch()
    (run.checkpoints / "last-000000012.safetensors.bak").touch()


def broken_link(run: RunDirectory) -> None:
    run.report.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("leave", "names"),
    [
        (not_a_status, "status.json"),
        (not_events, "events.jsonl"),
        (pipes, "events.jsonl, status.json"),
        (not_checkpoints, "checkpoints"),
        (broken_link, "report.html"),
        (lambda run: run.config.touch(), "config.yaml"),
        (lambda run: (run.model.mkdir(), run.schema.touch()), "schema.json, model"),
    ],
)
def test_going_on_overwrites_nothing_of_others(
    tmp_path: Path, leave: Callable[[RunDirectory], None], names: str
) -> None:
    run = RunDirectory(tmp_path)
    leave(run)
    assert not run_directory.ours(run)
    with pytest.raises(RunDirectoryError, match=f" would overwrite {names}; name another dir"):
        run_directory.check_resumable(run)


def test_going_on_where_nothing_is_starts_afresh(tmp_path: Path) -> None:
    run_directory.check_resumable(RunDirectory(tmp_path / "absent"))
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".lock").touch()
    run_directory.check_resumable(RunDirectory(tmp_path))


def test_half_written_files_are_cleared(tmp_path: Path) -> None:
    run = run_directory.claim(run_directory.make(tmp_path / "run"))
    run.model.mkdir()
    for directory in (run.path, run.model):
        (directory / ".tmp-0123456789abcdef").touch()
        (directory / ".tmp-mine").touch()
    run_directory.clear_temporary(run)  # there are no checkpoints
    left = sorted(path.name for path in run.path.rglob("*"))
    assert left == [".tmp-mine", ".tmp-mine", "events.jsonl", "model"]


def test_an_existing_run_is_opened(tmp_path: Path) -> None:
    run = run_directory.claim(run_directory.make(tmp_path / "run"))
    records.write_status(run, "running")
    assert run_directory.open_existing(tmp_path / "run") == run


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no such run directory"):
        run_directory.open_existing(tmp_path / "absent")
    with pytest.raises(RunDirectoryError, match=r"has no status\.json"):
        run_directory.open_existing(tmp_path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EFBIG, "the disk is full"),
        (errno.EIO, r"cannot be written \(Input/output error\)"),
    ],
)
def test_a_failing_disk_is_a_failed_run(code: int, words: str) -> None:
    with (
        pytest.raises(RunFailed, match=rf"^runs/x: {words}") as caught,
        run_directory.writing(Path("runs/x")),
    ):
        raise OSError(code, os.strerror(code))
    assert caught.value.exit_code == 1
