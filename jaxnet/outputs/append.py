"""Adding a line to a file of lines: whole or not at all, whatever befell the line before it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from jaxnet.lock import briefly
from jaxnet.outputs.run_directory import writing

_BLOCK = 1 << 16


def append_line(path: Path, line: str) -> None:
    r"""Add a line to a file; a part of a line at its end, which a crash left, is cut off first.

    Several processes may do so at once. Where the disk is full the file stays as it was.

    Args:
        path: the file, made where there is none; not a link.
        line: without its newline, and with none in it; halves of surrogate pairs, of which
            names of files can be made, are written as JSON escapes them.

    Raises:
        RunFailed: it cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "events.jsonl")
    >>> _ = path.write_text('{"epoch": 1}\n{"epo')
    >>> append_line(path, '{"epoch": 2}')
    >>> path.read_text()
    '{"epoch": 1}\n{"epoch": 2}\n'
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    # Windows has O_BINARY and no O_NOFOLLOW.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with writing(path):
        descriptor = os.open(path, flags, 0o666)
        try:
            with briefly(descriptor):  # what looks like a part may be another's line on its way
                end = _end_of_lines(descriptor)
                _write(descriptor, f"{line}\n".encode("utf-8", "backslashreplace"), end)
        finally:
            os.close(descriptor)


def _end_of_lines(descriptor: int) -> int:
    """The length of the file up to its last newline; what is after that goes."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _write(descriptor: int, data: bytes, end: int) -> None:
    """One write in append mode; what did not get there whole is taken back."""
    try:
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        with contextlib.suppress(OSError):  # or the next line cuts it off
            os.ftruncate(descriptor, end)
        raise
