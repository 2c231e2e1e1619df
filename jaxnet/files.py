"""Writing a file so that a reader sees the old bytes or the new."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")
_PIECE = 1 << 22  # bytes; between two pieces signals get through


def write_atomic(
    path: str | os.PathLike[str],
    content: bytes | str | Iterable[bytes | memoryview],
    *,
    verify: Callable[[Path], object] | None = None,
    put: Callable[[Path, Path], object] | None = None,
) -> None:
    """Write `content` to `path`: beside it first, then renamed into place.

    Text is written as UTF-8 with the line ends as given. The file and the entry in its directory
    are on the disk when the call returns. When anything fails the old file stays as it was.

    Args:
        path: the file; its directory must exist.
        content: all of its bytes, in one or part after part, or its text.
        verify: is given the complete file before it gets its name, and raises to stop that.
        put: gives the complete file its name; `put_new` never takes one that is taken. None:
            `os.replace`.

    Raises:
        OSError: the directory is missing, not writable or full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_atomic(f"{directory}/a.txt", "a\\n")
    ...     Path(directory, "a.txt").read_bytes()
    b'a\\n'
    """
    target = Path(path)
    whole = content.encode("utf-8") if isinstance(content, str) else content
    parts = (whole,) if isinstance(whole, bytes) else whole
    # The name does not hold the target's: a name of 255 bytes must stay writable.
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}"
    # O_EXCL: never through a link that somebody else put there. O_BINARY: Windows has it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            for part in parts:
                _write_all(descriptor, part)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if verify is not None:
            verify(temporary)
        (put or os.replace)(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            os.unlink(temporary)
        raise
    sync_directory(target.parent)


def put_new(temporary: Path, target: Path) -> None:
    """Rename a file, unless its new name is taken.

    Raises:
        FileExistsError: it is.
        OSError: it cannot be renamed.
    """
    try:
        os.link(temporary, target)  # unlike a rename, it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.replace(temporary, target)
    else:
        os.unlink(temporary)


def sync_directory(directory: Path) -> None:
    """Put the names in a directory on the disk, where the system can open a directory.

    Args:
        directory: holds files that were made, renamed or removed.

    Raises:
        OSError: it is missing or the disk fails.
    """
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        return
    descriptor = os.open(directory, os.O_RDONLY | flag)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Remove what calls of `write_atomic` left in a directory when their process was killed.

    Only for a directory in which nobody else is writing.

    Args:
        directory: holds the files that were to be written.

    Raises:
        OSError: it cannot be listed.
    """
    for name in os.listdir(directory):
        if _TEMPORARY.fullmatch(name):
            with contextlib.suppress(OSError):  # in the way of nothing
                os.unlink(directory / name)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:  # by pieces: some systems refuse to write 2 GiB in one go
        view = view[os.write(descriptor, view[:_PIECE]) :]
