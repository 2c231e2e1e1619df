"""Writing a file so that a reader sees the old bytes or the new."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomic(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` to `path`: beside it first, then renamed into place.

    Text is written as UTF-8 with the line ends as given. The file and the entry in its directory
    are on the disk when the call returns. When anything fails the old file stays as it was.

    Args:
        path: the file; its directory must exist.
        content: all of its bytes, or its text.

    Raises:
        OSError: the directory is missing, not writable or full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_atomic(f"{directory}/a.txt", "a\\n")
    ...     Path(directory, "a.txt").read_bytes()
    b'a\\n'
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    # The name does not hold the target's: a name of 255 bytes must stay writable.
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}"
    # O_EXCL: never through a link that somebody else put there.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    """Put the rename itself on the disk, where the system can open a directory."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        return
    descriptor = os.open(directory, os.O_RDONLY | flag)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
