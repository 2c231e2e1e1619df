"""The compilation cache: a second run of the same program does not compile it again.

JAX keeps compiled programs in a folder, but writes its entries in place: a run that is killed, or a
full disk, leaves an entry cut short, which JAX warns of in every later run and never repairs. Each
entry is therefore unpacked once, when it is new; from then on its size and time must stay the same.
An entry is native code, so the folder belongs to one user alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from jaxnet.files import MOST_RECORD, MOST_TEXT, read_file, write_atomic

_SUFFIX = "-cache"  # of the entries, as JAX names them
_VERIFIED = "verified.json"  # name of an entry -> [size, time] when it was unpacked
LIMIT = 2**30  # bytes; the oldest entries go when the folder is larger
_SETTINGS = {  # of JAX, beside the folder: every program is kept
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


class Contents(NamedTuple):
    """What the cache holds.

    Attributes:
        entries: compiled programs.
        size: bytes.
        damaged: names of the entries that are cut short.
    """

    entries: int
    size: int
    damaged: tuple[str, ...]


def default_directory() -> Path | None:
    """`$XDG_CACHE_HOME/jaxnet`, or `~/.cache/jaxnet`; None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative one is void, says its specification.
        caches = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return caches / "jaxnet"


def processor() -> str:
    """A name for the kind of processor: code made for one may crash on another.

    It is made of the instructions the processor knows, `x86_64-1f0c2d3e` say.
    """
    known = platform.processor()
    try:
        lines = read_file("/proc/cpuinfo", most=MOST_TEXT).decode(errors="replace").split("\n")
        kinds = ("flags", "features")
        known = next(f"{line}\n" for line in lines if line.lower().startswith(kinds))
    except (OSError, StopIteration):
        pass
    return f"{platform.machine()}-{hashlib.sha256(known.encode()).hexdigest()[:8]}"


def enable_compilation_cache(directory: Path | None = None) -> Path | None:
    """Let JAX keep compiled programs, every one of them, from here on in this process.

    A cache that the user has set up through JAX itself is left as it is. Where no folder can be
    had, or where JAX would fill standard error with false alarms about it, the run goes on without
    a cache, and without a word.

    Args:
        directory: the folder; `default_directory()` when None. Each kind of processor gets a
            folder of its own in it: a home is often shared between machines.

    Returns:
        The folder in use, or None.
    """
    import jax

    given = jax.config.values["jax_compilation_cache_dir"]
    if given is not None:
        return Path(given)
    directory = directory or default_directory()
    directory = None if directory is None else _made_ready(directory)
    if directory is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(directory))
    for name, value in _SETTINGS.items():
        jax.config.update(name, value)
    return directory


@contextmanager
def compilation_cache() -> Iterator[Path | None]:
    """`enable_compilation_cache` for a block: afterwards JAX has the user's settings again.

    A cache that the user sets up after it is used like any other.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache as of_jax

    names = ("jax_compilation_cache_dir", *_SETTINGS)
    before = {name: jax.config.values[name] for name in names}
    found = enable_compilation_cache()
    try:
        yield found
    finally:
        if found is not None and before["jax_compilation_cache_dir"] is None:
            for name, value in before.items():
                jax.config.update(name, value)
            of_jax.reset_cache()  # it holds on to the first folder that it was given


@lru_cache(maxsize=4)
def _made_ready(directory: Path) -> Path | None:
    """The folder of this kind of processor, private and clean; looked at once in a process."""
    if _is_noisy() or not _make_private(directory):
        return None
    directory = directory / processor()
    if not _make_private(directory):
        return None
    try:
        clean(directory)
    except OSError:
        return None
    return directory


def inspect(directory: Path) -> Contents:
    """What a cache folder holds; nothing in it is changed.

    Args:
        directory: the folder; one that is absent or cannot be read counts as empty.
    """
    try:
        found = _entries(directory)
    except OSError:
        found = {}
    damaged = [name for name in found if not _is_whole(directory / name)]
    return Contents(len(found), sum(size for size, _ in found.values()), tuple(damaged))


def clean(directory: Path, *, limit: int = LIMIT) -> Contents:
    """Delete entries that are cut short, and the oldest while all are larger than the limit.

    Args:
        directory: the folder.
        limit: bytes that may stay.

    Returns:
        What it held before.

    Raises:
        OSError: the folder cannot be read or written.
    """
    found = _entries(directory)
    known = _read_verified(directory)
    whole = {
        name: seen
        for name, seen in found.items()
        if known.get(name) == list(seen) or _is_whole(directory / name)
    }
    damaged = [name for name in found if name not in whole]
    old = _oldest_over(limit, whole)
    for name in (*damaged, *old):
        (directory / name).unlink(missing_ok=True)
    kept = {name: list(seen) for name, seen in whole.items() if name not in old}
    if kept != known:
        write_atomic(directory / _VERIFIED, json.dumps(kept))
    return Contents(len(found), sum(size for size, _ in found.values()), tuple(damaged))


def _is_noisy() -> bool:
    """jaxlib before 0.12 reports a mismatch of processors, wrongly, for each program it loads.

    Only this level, set before jax is imported, keeps it quiet; the command line sets it.
    """
    version = importlib.metadata.version("jaxlib").split(".")
    old = tuple(int(part) for part in version[:2]) < (0, 12)
    return old and os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3"


def _make_private(directory: Path) -> bool:
    """Make the folder with mode 0700; False where that, or writing to it, cannot be."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        status = directory.stat()
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            return False
        if stat.S_IMODE(status.st_mode) != 0o700:
            directory.chmod(0o700)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)


def _entries(directory: Path) -> dict[str, tuple[int, int]]:
    """name -> (size, time) of each entry."""
    try:
        files = list(os.scandir(directory))
    except FileNotFoundError:
        return {}
    found = {}
    for file in files:
        if file.name.endswith(_SUFFIX) and file.is_file():
            status = file.stat()
            found[file.name] = (status.st_size, status.st_mtime_ns)
    return found


def _read_verified(directory: Path) -> dict[str, list[int]]:
    try:
        content = json.loads(read_file(directory / _VERIFIED, most=MOST_TEXT))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_whole(path: Path) -> bool:
    """Whether an entry unpacks. What is packed in a way not known here is left to JAX."""
    try:
        content = read_file(path, most=MOST_RECORD)
    except OSError:
        return False
    if content[:1] == b"\x78":  # zlib, which JAX uses where zstd is not installed
        unpacker = zlib.decompressobj()
        try:
            unpacker.decompress(content)
        except zlib.error:
            return False
        return unpacker.eof
    if content[:4] == b"\x28\xb5\x2f\xfd":
        return _unpacks_by_zstd(content)
    return len(content) > 0


def _unpacks_by_zstd(content: bytes) -> bool:
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        return True
    try:
        zstandard.ZstdDecompressor().decompress(content)
    except zstandard.ZstdError:
        return False
    return True


def _oldest_over(limit: int, found: dict[str, tuple[int, int]]) -> list[str]:
    """The oldest entries that must go for the rest to fit, by half so that it is not done often."""
    size = sum(one for one, _ in found.values())
    gone: list[str] = []
    if size > limit:
        for name in sorted(found, key=lambda name: found[name][1]):
            if size <= limit // 2:
                break
            size -= found[name][0]
            gone.append(name)
    return gone
