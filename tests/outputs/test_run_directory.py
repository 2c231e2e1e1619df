"""A run directory is made once, never overwritten, and its problems are told with a way out."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.outputs import records, run_directory


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
    run = run_directory.create(path)
    assert run.path.is_dir()
    assert run_directory.RunDirectory(path) == run


def test_a_directory_that_holds_anything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"never overwrites; name a new one: --run-dir DIR"):
        run_directory.create(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_directory_is_taken_once(tmp_path: Path) -> None:
    run_directory.create(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.create(tmp_path / "run")


def test_of_two_runs_at_once_one_gets_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked while it was empty; the second to make its first file is refused."""
    run_directory.create(tmp_path / "run")
    monkeypatch.setattr(os, "listdir", lambda path: [])
    with pytest.raises(RunDirectoryError, match="holds something already"):
        run_directory.create(tmp_path / "run")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunDirectoryError, match="a file is in the way"):
        run_directory.create(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="a part of this path is a file"):
        run_directory.create(tmp_path / "run" / "deeper")


@pytest.mark.usefixtures("as_nobody")
@pytest.mark.parametrize("name", ["", "runs/deep"])
def test_a_place_that_cannot_be_written(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    locked = Path("/")  # nobody but root writes here
    with pytest.raises(RunDirectoryError, match=r"--run-dir DIR") as caught:
        run_directory.create(locked / name if name else locked / "run-of-nobody")
    assert caught.value.exit_code == 2


def test_a_name_that_is_none() -> None:
    with pytest.raises(RunDirectoryError, match="not a name for a directory"):
        run_directory.create("run\0")


def test_default_paths_differ_within_a_second(tmp_path: Path) -> None:
    paths = set()
    for _ in range(3):
        path = run_directory.default_path("configs/binary.yaml", parent=tmp_path)
        run_directory.create(path)
        paths.add(path)
    assert len(paths) == 3
    assert all(path.name.startswith("binary-20") for path in paths)


def test_an_existing_run_is_opened(tmp_path: Path) -> None:
    run = run_directory.create(tmp_path / "run")
    records.write_status(run, "running")
    assert run_directory.open_existing(tmp_path / "run") == run


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no such run directory"):
        run_directory.open_existing(tmp_path / "absent")
    with pytest.raises(RunDirectoryError, match=r"has no status\.json"):
        run_directory.open_existing(tmp_path)


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EIO, r"cannot be written \(Input/output error\)")],
)
def test_a_failing_disk_is_a_failed_run(code: int, words: str) -> None:
    with (
        pytest.raises(RunFailed, match=rf"^runs/x: {words}") as caught,
        run_directory.writing(Path("runs/x")),
    ):
        raise OSError(code, os.strerror(code))
    assert caught.value.exit_code == 1
