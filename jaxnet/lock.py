"""One process at a time in a directory: a lock that the system frees when its holder ends.

The file says who holds it and stays for good; the lock itself is the system's (`flock`), so the
holder's death frees it, however it died.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.errors import RunDirectoryError

fcntl: Any
try:
    fcntl = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_TRIES = 40
_SECONDS_BETWEEN = 0.05
_LONGEST = 4096  # bytes of a holder's own words that are read
_BEGINNING = b'{"pid": '

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_held: dict[int, Path] = {}


class Held(RunDirectoryError):
    """A run is under way in the directory."""


class Holder(NamedTuple):
    """Who holds a lock, by their own words: empty or 0 where these cannot be read."""

    pid: int = 0
    host: str = ""
    since: str = ""
    command: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        command = f" ({self.command})" if self.command else ""
        return f"process {self.pid} on {self.host or '?'} since {self.since or '?'}{command}"


@contextlib.contextmanager
def hold(path: Path, *, command: str) -> Iterator[str | None]:
    """Hold the lock file of a run directory; yields a warning where nothing can be locked.

    Processes started meanwhile do not hold it. The file stays. Somebody may take it away, with its
    directory say: `lost` tells.

    Args:
        path: the lock file; its directory exists.
        command: how the run was started, for whom it keeps out.

    Raises:
        Held: another process has it; says which.
        RunDirectoryError: the file is a link or no file, or cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), ".lock")
    >>> with hold(path, command="jaxnet train a.yaml") as warning:
    ...     holder(path).command
    'jaxnet train a.yaml'
    >>> holder(path) is None
    True
    """
    while True:
        with _opened(path) as descriptor:
            warning = _take(descriptor, path)
            if not _is_at(descriptor, path):
                continue  # its holder took the file away before letting go
            _sign(descriptor, command)
            yield warning
            return


def holder(path: Path) -> Holder | None:
    """Who holds a lock file now; None: nobody, or there is no such file.

    Where nothing can be locked, the one who wrote the file last, unless that process has ended.

    Args:
        path: the lock file.

    Raises:
        RunDirectoryError: the file cannot be read.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        held = _is_held(descriptor)
        said = _read(descriptor)
    finally:
        os.close(descriptor)
    return said if (_may_live(said) if held is None else held) else None


def refuse_other_file(path: Path) -> None:
    """Refuse a file that no run wrote, where a run would have its lock.

    Args:
        path: where the lock file is to be.

    Raises:
        RunDirectoryError: there is such a file.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        said = os.read(descriptor, len(_BEGINNING))  # a crash may have cut it short
    finally:
        os.close(descriptor)
    if not _BEGINNING.startswith(said):
        raise _in_the_way(path, "somebody's own file")


def lost(path: Path) -> Path | None:
    """The directory above a path whose lock this process took and that is not there any more.

    It was removed, renamed or replaced: what stands at its name now may be another run's. None:
    nothing above the path was locked, or the lock is in its place.

    Args:
        path: what is about to be written.
    """
    for descriptor, file in _held.items():
        if path.is_relative_to(file.parent) and not _is_at(descriptor, file):
            return file.parent
    return None


@contextlib.contextmanager
def briefly(descriptor: int) -> Iterator[None]:
    """Wait for an open file and have it alone for a moment; without locks, just go on.

    Args:
        descriptor: of the file. The lock ends with the block.
    """
    locked = False
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
    try:
        yield
    finally:
        if locked:
            _unlock(descriptor)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file to lock, made where there is none; closing it frees the lock."""
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    _held[descriptor] = path
    try:
        yield descriptor
    finally:
        if descriptor in _held:  # not in a child made by a fork: there it is closed already
            del _held[descriptor]
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _open(path: Path, flags: int) -> int:
    try:
        # O_NONBLOCK: opening a pipe that lies there does not wait for its other end.
        nonblock = getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags | _NOFOLLOW | nonblock, 0o666)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not flags & os.O_CREAT:
            raise
        if path.is_symlink():
            raise _in_the_way(path, "a symbolic link") from None
        if path.is_dir():
            raise _in_the_way(path, "a directory") from None
        raise RunDirectoryError(
            f"{path}: the run directory cannot be locked ({error.strerror or error}); "
            "name a place that can be written: --run-dir DIR"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _in_the_way(path, "not a plain file")
    return descriptor


def _in_the_way(path: Path, what: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path}: {what}, where a run has its lock; remove it, or name another directory: "
        "--run-dir DIR"
    )


def _take(descriptor: int, path: Path) -> str | None:
    """Lock, or say why not. Somebody who only asks is waited for, a run is not."""
    for _ in range(_TRIES):
        free = _lock(descriptor)
        if free is None:
            return (
                f"{path.parent}: files cannot be locked here; "
                "see to it that no second run is started in this directory"
            )
        if free:
            return None
        time.sleep(_SECONDS_BETWEEN)  # time for the one who has it to sign
        if _is_held(descriptor):
            break
    raise held(path, _read(descriptor))


def held(path: Path, holder: Holder) -> Held:
    """The error that says who holds a lock file."""
    return Held(
        f"{path.parent}: a run is under way in this directory: {holder}; "
        "wait for it, or name another directory: --run-dir DIR"
    )


def _is_held(descriptor: int) -> bool | None:
    """Whether a run has the lock. None where nothing can be locked."""
    free = _lock(descriptor, shared=True)  # shared: two who ask at once do not see each other
    if free:
        _unlock(descriptor)
    return None if free is None else not free


def _lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Whether the lock was free and is ours now; None where nothing can be locked."""
    if fcntl is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS:
            return None
        raise RunDirectoryError(f"the run directory cannot be locked ({error.strerror})") from None
    return True


def _unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _sign(descriptor: int, command: str) -> None:
    """Write who holds the lock. It holds without these words, on a full disk say."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    said = Holder(os.getpid(), socket.gethostname(), since, _clean(command))
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(said._asdict()).encode() + b"\n")


def _read(descriptor: int) -> Holder:
    """Who signed the file; an empty holder where that makes no sense."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        said = json.loads(os.read(descriptor, _LONGEST))
        pid = said["pid"]
        words = [_clean(said.get(name)) for name in Holder._fields[1:]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Holder()
    return Holder(pid, *words) if type(pid) is int and pid > 0 else Holder()


def _clean(words: object) -> str:
    """Anybody could have written them: nothing that a terminal would obey, and not too much."""
    text = words if isinstance(words, str) else ""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _may_live(said: Holder) -> bool:
    """Whether the process that signed may be at work still, as far as this machine can know."""
    if not said.pid or said.host != socket.gethostname() or os.name == "nt":
        return bool(said.pid)  # Windows has no signal that only asks
    try:
        os.kill(said.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _let_go() -> None:
    """In a child made by a fork: the parent's death alone frees the lock."""
    while _held:
        with contextlib.suppress(OSError):
            os.close(_held.popitem()[0])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
