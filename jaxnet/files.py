"""Writing a file so that a reader sees the old bytes or the new; opening one that is to be read.

Every file that the package reads is opened here: what is no file, a pipe or a device say, is
refused at once, where reading it would wait for ever or never end.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from jaxnet.errors import UserError

_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")
_PART = 1 << 16  # bytes of a file whose size is not known that are read in one go
_PIECE = 1 << 22  # bytes; between two pieces signals get through

# The most that is read of a file which is read whole, in bytes; tables and tensors have no bound.
MOST_TEXT = 1 << 24  # a config, a status, what the system says of itself
MOST_RECORD = 1 << 30  # a schema or metrics of millions of labels, the lines of a long run

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotReadable(OSError, UserError):
    """What is there is no file, or a larger one than any that belongs there.

    An `OSError` too: `strerror` says what is there, for those who say the rest in words of theirs.
    """

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A file to read bytes from; never a pipe, a device, a socket or a directory.

    Args:
        path: the file, or a link to it.

    Raises:
        NotReadable: something else than a file has this name.
        OSError: there is none, or it cannot be opened.
        ValueError: no file can have this name.

    >>> open_file("/dev/null")
    Traceback (most recent call last):
    ...
    jaxnet.files.NotReadable: /dev/null: a device, not a file
    """
    return open(path, "rb", opener=_opened)


def read_file(path: str | os.PathLike[str], *, most: int) -> bytes:
    """All bytes of a file that is not to be larger than so many.

    Args:
        path: as `open_file` takes it.
        most: bytes; `MOST_TEXT` or `MOST_RECORD`.

    Raises:
        NotReadable: it is larger, or no file, or does not fit in memory.
        OSError: as `open_file`.
    """
    with open_file(path) as stream:
        return read_stream(stream, path, most=most, expected=os.fstat(stream.fileno()).st_size)


def read_stream(
    stream: io.BufferedIOBase, path: str | os.PathLike[str], *, most: int, expected: int = 0
) -> bytes:
    """All bytes of an open file, or of what one unpacks to.

    Args:
        path: what to call it.
        most: as `read_file` takes it.
        expected: how many bytes there may be; no more memory is reserved.

    Raises:
        NotReadable: there are more than `most`, or they do not fit in memory.
        OSError: it cannot be read.
    """
    parts, size = [], 0
    try:
        # A byte more than is wanted tells whether there is one.
        while part := stream.read(min(max(expected - size, 0) + _PART, most + 1 - size)):
            parts.append(part)
            size += len(part)
            if size > most:
                raise _not_readable(path, errno.EFBIG, f"larger than {most >> 20} MiB")
        return b"".join(parts)
    except MemoryError:
        raise _not_readable(path, errno.ENOMEM, "too large for the memory there is") from None


def kind(path: str | os.PathLike[str]) -> str | None:
    """What is there if it is no file: "a pipe", say. None of a file, and where nothing is.

    >>> kind("/dev/null"), kind(__file__), kind("/nothing/here")
    ('a device', None, None)
    """
    try:
        return _other_kind(os.stat(path))
    except (OSError, ValueError):
        return None


def _opened(path: str, flags: int) -> int:
    """The descriptor of a file. Opening a pipe would wait for its writer."""
    # Asked before it is opened: opening a device can do something. Asked again of what was opened,
    # which cannot become something else; to open a pipe that came in between does not wait.
    _refuse_other_than_file(os.stat(path), path)
    for name in ("O_NONBLOCK", "O_NOCTTY"):  # Windows has neither
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        _refuse_other_than_file(os.fstat(descriptor), path)
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _other_kind(found: os.stat_result) -> str | None:
    if stat.S_ISREG(found.st_mode):
        return None
    return next((name for of, name in _KINDS if of(found.st_mode)), "something else")


def _refuse_other_than_file(found: os.stat_result, path: str | os.PathLike[str]) -> None:
    if (name := _other_kind(found)) is not None:
        raise _not_readable(
            path, errno.EISDIR if name == "a directory" else errno.EINVAL, f"{name}, not a file"
        )


def _not_readable(path: str | os.PathLike[str], number: int, what: str) -> NotReadable:
    return NotReadable(number, what, os.fspath(path))


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
