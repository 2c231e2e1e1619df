"""The directory of a run: its name, its making, the names of the files in it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet import lock
from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.files import MOST_TEXT, kind, open_file, read_file, remove_leftovers, sync_directory
from jaxnet.outputs import checkpoint_file
from jaxnet.outputs.checkpoint_file import Damaged
from jaxnet.printable import shell_word

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHECKPOINT = re.compile(r"(last|best)-\d{9,}\.safetensors")
_ELSEWHERE = "or train into another directory: --run-dir DIR"
_EVENT = b'{"time": '  # how the first line of events.jsonl begins


class RunDirectory(NamedTuple):
    """A directory and the files that a run leaves in it.

    >>> RunDirectory(Path("runs/first")).metrics.as_posix()
    'runs/first/metrics.json'
    """

    path: Path

    @property
    def config(self) -> Path:
        """The config as it was given."""
        return self.path / "config.yaml"

    @property
    def resolved_config(self) -> Path:
        """The config with every default and override filled in."""
        return self.path / "config.resolved.yaml"

    @property
    def schema(self) -> Path:
        """Features, their encoding, classes, and the rows of the splits."""
        return self.path / "schema.json"

    @property
    def split(self) -> Path:
        """The part of every row, as row,part; data.split.file takes it again."""
        return self.path / "split.csv"

    @property
    def evaluation(self) -> Path:
        """What the report draws: curves, tables, calibration, what columns matter, the proof."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The report, one file for a browser."""
        return self.path / "report.html"

    @property
    def epochs(self) -> Path:
        """One line of metrics an epoch, without times."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """What happened and when; lines are only ever added."""
        return self.path / "events.jsonl"

    @property
    def metrics(self) -> Path:
        """Validation and test metrics of the finished model."""
        return self.path / "metrics.json"

    @property
    def status(self) -> Path:
        """Whether the run is running, finished, failed or stopped."""
        return self.path / "status.json"

    @property
    def model(self) -> Path:
        """The directory of the finished model."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """The directory of what the run can go on from."""
        return self.path / "checkpoints"

    @property
    def lock(self) -> Path:
        """Held by the process whose run is under way; stays for good."""
        return self.path / ".lock"


def default_path(config_name: str, *, parent: Path | str = "runs") -> Path:
    """`runs/<config>-<time>`, a name that nothing has yet.

    Args:
        config_name: the config's path or name; its last part without the suffix is used.
        parent: the directory that holds the runs, relative to the working directory.

    >>> default_path("configs/binary.yaml").as_posix()
    'runs/binary-20...'
    """
    time = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path = Path(parent) / f"{Path(config_name).stem or 'run'}-{time}"
    candidate, number = path, 2
    while os.path.lexists(candidate):
        candidate = path.with_name(f"{path.name}-{number}")
        number += 1
    return candidate


def create_default(config_name: str, *, parent: Path | str = "runs") -> RunDirectory:
    """Make `runs/<config>-<time>`, or with a number after it where that exists.

    However many start at once, each gets a directory of its own.

    Args:
        config_name: the config's path or name; its last part without the suffix is used.
        parent: the directory that holds the runs, relative to the working directory.

    Raises:
        RunDirectoryError: it cannot be made there.
    """
    while True:
        path = default_path(config_name, parent=parent)
        with _problems_are_the_users(path):
            os.makedirs(path.parent, exist_ok=True)
            try:
                os.mkdir(path)
            except FileExistsError:  # somebody was quicker
                continue
            sync_directory(path.parent)
            return RunDirectory(path)


def make(path: Path | str) -> RunDirectory:
    """Make a directory, with its parents, unless it is there already; look at nothing in it.

    Args:
        path: the directory to be.

    Raises:
        RunDirectoryError: a file is in the way, or it cannot be made.
    """
    run = RunDirectory(Path(path))
    with _problems_are_the_users(run.path):
        made = [each for each in (run.path, *run.path.parents) if not os.path.lexists(each)]
        os.makedirs(run.path, exist_ok=True)
        for each in reversed(made):  # each name on the disk, in the directory that holds it
            sync_directory(each.parent)
    return run


def check_free(run: RunDirectory) -> None:
    """Refuse a directory that holds anything but a lock file: nothing is ever overwritten.

    Args:
        run: a directory that exists.

    Raises:
        RunDirectoryError: it holds something, or it cannot be read.
    """
    with _problems_are_the_users(run.path):
        if set(os.listdir(run.path)) - {run.lock.name}:
            raise _taken(run.path)


def claim(run: RunDirectory) -> RunDirectory:
    """Take an empty directory for a new run, by making its first file: nothing is overwritten.

    Of two that claim it at once one gets it, also where files cannot be locked.

    Args:
        run: a directory that exists; a lock file in it does not count.

    Raises:
        RunDirectoryError: it holds something, or it cannot be written.
    """
    check_free(run)
    with _problems_are_the_users(run.path):
        # O_EXCL: the one that makes the first file has the directory.
        os.close(os.open(run.events, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return run


def ours(run: RunDirectory) -> bool:
    """Whether a run of jaxnet was ever started in a directory: status, events or checkpoints.

    Args:
        run: a directory, which need not exist.
    """
    return _has_status(run) or _has_events(run) or _has_checkpoints(run)


def check_resumable(run: RunDirectory) -> None:
    """Refuse to go on in a directory where somebody else's files have names of ours.

    Args:
        run: a directory; one without anything of ours is fine, a run starts afresh there.

    Raises:
        RunDirectoryError: no run was started here, and a run would overwrite what is here; or the
            model's directory is a link to another.
    """
    if run.model.is_symlink():
        raise RunDirectoryError(
            f"{run.model}: a link to {os.readlink(run.model)}, and a run writes its own model "
            "there; remove the link, or name another directory: --run-dir DIR"
        )
    if ours(run):
        return
    taken = [path.name for path in _files(run) if os.path.lexists(path)]
    if taken:
        raise RunDirectoryError(
            f"{run.path}: no run of jaxnet was started here, and going on would overwrite "
            f"{', '.join(taken)}; name another directory: --run-dir DIR"
        )


def clear_temporary(run: RunDirectory) -> None:
    """Remove half-written files that a killed process of a run left.

    Args:
        run: a directory of ours whose lock is held.
    """
    for directory in (run.path, run.model, run.checkpoints):
        if directory != run.path and directory.is_symlink():
            continue  # somebody else may be writing where that leads
        with contextlib.suppress(OSError):  # there is none, or they are in the way of nothing
            remove_leftovers(directory)


def check_name(path: Path | str) -> None:
    """Refuse a path that no file can have: any other look at it would fail with the same error.

    Args:
        path: of a directory, which need not exist.

    Raises:
        RunDirectoryError: it, or a part of it, is longer than the file system allows.
    """
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            shown = str(path) if len(str(path)) <= 60 else f"{str(path)[:57]}..."
            raise RunDirectoryError(
                f"{shown}: a name too long for this file system; name another directory: "
                "--run-dir DIR"
            ) from None
    except ValueError:  # a NUL in it, which is refused where it is used
        return


def open_existing(path: Path | str) -> RunDirectory:
    """The directory of a run that was started earlier.

    Args:
        path: a directory that a run made.

    Raises:
        RunDirectoryError: there is no such directory, or no run was ever started in it.
    """
    check_name(path)
    run = RunDirectory(Path(path))
    if run.path.is_file():
        raise RunDirectoryError(
            f"{path}: a file, not a run directory; name one that `jaxnet train` has made"
        )
    if not run.path.is_dir():
        raise RunDirectoryError(f"{path}: there is no such run directory")
    if (other := kind(run.status)) is not None:
        raise RunDirectoryError(f"{run.status}: {other}, not a file; remove it")
    if not run.status.is_file():
        raise RunDirectoryError(
            f"{path}: this is not a run directory (it has no {run.status.name}); "
            "name one that `jaxnet train` has made"
        )
    return run


def recorded_config(run: RunDirectory) -> Path:
    """The file of the config that a run began with, every default filled in.

    Args:
        run: a directory, which need not exist.

    Raises:
        RunDirectoryError: there is none; the config has to be named.
    """
    check_name(run.resolved_config)
    if run.resolved_config.is_file():
        return run.resolved_config
    other = kind(run.resolved_config)
    what = f"{run.resolved_config.name} is {other}, not a file to go on with"
    if other is None:
        what = f"there is no {run.resolved_config.name} here to go on with"
    if not run.path.is_dir():
        what = "a file, not a directory" if run.path.exists() else "there is no such directory"
    raise RunDirectoryError(
        f"{run.path}: {what}; to start a run there, name the config: jaxnet train CONFIG --run-dir "
        f"{shell_word(str(run.path))} --resume"
    )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write during a run into a `RunFailed` that says what to do.

    Args:
        path: what is being written.

    Raises:
        RunFailed: the disk is full, the file cannot be written for another reason, or the run's
            directory was removed or replaced: what is at its name now is not ours to write to.
    """
    if gone := lock.lost(path):
        raise RunFailed(
            f"{gone}: this directory was removed or replaced while the run was under way; nothing "
            "more is written there; train into a new directory: --run-dir DIR"
        )
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise RunFailed(
                f"{path}: the disk is full; free some space and go on with --resume, {_ELSEWHERE}"
            ) from error
        raise RunFailed(
            f"{path}: cannot be written ({error.strerror or error}); see to that and go on with "
            f"--resume, {_ELSEWHERE}"
        ) from error


def _files(run: RunDirectory) -> Iterator[Path]:
    """All that a run writes, but for the lock: it overwrites nothing."""
    for name, value in vars(RunDirectory).items():
        if isinstance(value, property) and name != "lock":
            yield getattr(run, name)


def _has_status(run: RunDirectory) -> bool:
    try:
        status: Any = json.loads(read_file(run.status, most=MOST_TEXT))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(status, dict) and "state" in status


def _has_events(run: RunDirectory) -> bool:
    """Empty is what a claim leaves."""
    try:
        with open_file(run.events) as stream:
            beginning = stream.read(len(_EVENT))
    except OSError:
        return False
    return _EVENT.startswith(beginning)


def _has_checkpoints(run: RunDirectory) -> bool:
    """Files of the name whose beginning is that of ours."""
    try:
        names = [name for name in os.listdir(run.checkpoints) if _CHECKPOINT.fullmatch(name)]
    except OSError:
        return False
    for name in names:
        with contextlib.suppress(Damaged):
            checkpoint_file.read_facts(run.checkpoints / name)
            return True
    return False


def _taken(path: Path) -> RunDirectoryError:
    go_on = "add --resume to go on with the run in it, or " if ours(RunDirectory(path)) else ""
    return RunDirectoryError(
        f"{path}: this directory holds something already, and a run never overwrites; "
        f"{go_on}name a new one: --run-dir DIR"
    )


@contextlib.contextmanager
def _problems_are_the_users(path: Path) -> Iterator[None]:
    try:
        yield
    except RunDirectoryError:  # a ValueError too, which is caught below
        raise
    except FileExistsError as error:
        if path.is_dir():  # another run was quicker with its first file
            raise _taken(path) from None
        raise RunDirectoryError(
            f"{error.filename or path}: a file is in the way of the run directory; "
            "name another one: --run-dir DIR"
        ) from None
    except NotADirectoryError:
        raise RunDirectoryError(
            f"{path}: a part of this path is a file; name another directory: --run-dir DIR"
        ) from None
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: the run directory cannot be made ({error.strerror or error}); "
            "name a place that can be written: --run-dir DIR"
        ) from None
    except ValueError as error:  # a NUL in the name
        raise RunDirectoryError(f"{str(path)!r}: not a name for a directory ({error})") from None
