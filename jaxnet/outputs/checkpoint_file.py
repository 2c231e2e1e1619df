"""A checkpoint as one file: a standard safetensors file that carries its facts and its checksum.

The facts are a JSON text under the key `jaxnet` of the file's metadata. The SHA-256 in it covers
every byte of the file, its own 64 digits taken as zeros. No pickle, no times, no paths: equal
arrays and facts give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from jaxnet.files import NotReadable, open_file
from jaxnet.outputs import tensors
from jaxnet.outputs.tensors import LENGTH, Damaged

if TYPE_CHECKING:
    import numpy as np

_KEY = "jaxnet"
_FORMAT = 1
_ZEROS = "0" * 64
_OURS = {"format", "sha256"}


class Checkpoint(NamedTuple):
    """Arrays by name, in memory of their own that can be written, and what was said about them."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class OtherFormat(Damaged):
    """A whole file, of a version of jaxnet that writes them otherwise."""


def parts(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> list[bytes | memoryview]:
    """The bytes of the file, part after part; those of the arrays are their own memory.

    Args:
        arrays: name -> array on the host, of one of numpy's own number types, bfloat16 or bool.
            None may change until the parts are written.
        facts: JSON, every number finite; `format` and `sha256` are taken.

    Raises:
        TypeError: an array of another type, which could be written but not read; facts that are
            not JSON.
        ValueError: a number in the facts is not finite, a name or a fact is one of the file's, or
            there are more of them than a header holds.
    """
    if taken := sorted(_OURS & facts.keys()):
        raise ValueError(f"facts cannot be called {' and '.join(taken)}: the file has its own")
    head = {**facts, "format": _FORMAT, "sha256": _ZEROS}
    text = json.dumps(head, sort_keys=True, allow_nan=False)
    header, views = tensors.lay_out(arrays, {_KEY: text})
    try:
        start, end = _place(header, _ZEROS)
    except Damaged:
        raise ValueError("64 zeros in a row are taken, in names and in facts") from None
    sha256 = hashlib.sha256(header)
    for view in views:
        for piece in tensors.pieces(view):
            sha256.update(piece)
    return [header[:start] + sha256.hexdigest().encode() + header[end:], *views]


def encode(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> bytes:
    """All bytes of the file in one, for one that is small; otherwise as `parts`.

    >>> import numpy as np
    >>> content = encode({"W": np.ones((2, 3), np.float32)}, {"step": 7})
    >>> decode(content).facts
    {'step': 7}
    >>> decode(content[:-1])
    Traceback (most recent call last):
    jaxnet.outputs.tensors.Damaged: its SHA-256 is not the one it was written with
    """
    return b"".join(parts(arrays, facts))


def decode(content: bytes) -> Checkpoint:
    """What was given to `encode`; otherwise as `read`."""
    return _read(io.BytesIO(content), len(content), lambda: None)


def read(path: Path, *, poll: Callable[[], None] = lambda: None) -> Checkpoint:
    """What was written, all of which was checked.

    Args:
        path: the file, or a link to it.
        poll: called every few MiB; what it raises ends the reading.

    Raises:
        Damaged: it is no file, cannot be read, or is not exactly what was written.
        OtherFormat: it is whole, and another version wrote it.
    """
    with _opened(path) as (stream, size):
        return _read(stream, size, poll)


def verify(path: Path, *, poll: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The facts in a file, all of which was checked; its arrays are not made.

    Args and errors are those of `read`.
    """
    with _opened(path) as (stream, size):
        head, sha256 = _begin(header := tensors.read_header(stream, size))
        tensors.skim(stream, size - len(header), _taking(sha256, poll))
        return _end(head, sha256)


def read_facts(path: Path) -> dict[str, Any]:
    """The facts in a file, from its header alone: quick, and nothing is verified.

    Args:
        path: the file.

    Raises:
        Damaged: it cannot be read, or has no header that can be.
    """
    with _opened(path) as (stream, size):
        return _facts(_head(tensors.read_header(stream, size)))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and the number of its bytes."""
    try:
        with open_file(path) as stream:
            yield stream, os.fstat(stream.fileno()).st_size
    except NotReadable as error:
        raise Damaged(str(error.strerror)) from None
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror or error})") from None


def _read(stream: BinaryIO, size: int, poll: Callable[[], None]) -> Checkpoint:
    """All in one pass: what is checked is what is in the arrays."""
    header = tensors.read_header(stream, size)
    head, sha256 = _begin(header)
    try:
        arrays = tensors.empty(header, size - len(header))
    except Damaged:
        tensors.skim(stream, size - len(header), _taking(sha256, poll))
        _end(head, sha256)
        raise  # whole, but not of our making
    tensors.fill(stream, arrays, _taking(sha256, poll))
    return Checkpoint(arrays, _end(head, sha256))


def _begin(header: bytes) -> tuple[dict[str, Any], hashlib._Hash]:
    """What a header says, and the SHA-256 of it with zeros in place of the one that it says."""
    head = _head(header)
    start, end = _place(header, head["sha256"])
    sha256 = hashlib.sha256(header[:start])
    sha256.update(_ZEROS.encode())
    sha256.update(header[end:])
    return head, sha256


def _taking(sha256: hashlib._Hash, poll: Callable[[], None]) -> Callable[[memoryview], None]:
    def take(piece: memoryview) -> None:
        poll()
        sha256.update(piece)

    return take


def _end(head: Mapping[str, Any], sha256: hashlib._Hash) -> dict[str, Any]:
    """The facts, of a file that has the SHA-256 that it says."""
    # safetensors has no checksum of its own: most flipped bits would load without a word.
    if sha256.hexdigest() != head["sha256"]:
        raise Damaged("its SHA-256 is not the one it was written with")
    if head["format"] != _FORMAT:
        raise OtherFormat(
            f"format {head['format']!r}, this version of jaxnet reads format {_FORMAT}; "
            "use the version that wrote it"
        )
    return _facts(head)


def _head(header: bytes) -> dict[str, Any]:
    """The JSON text of ours in a header, its two keys of ours in place."""
    try:
        head = json.loads(json.loads(header[LENGTH:].decode())["__metadata__"][_KEY])
        known = "format" in head and re.fullmatch("[0-9a-f]{64}", head["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise Damaged("its header is not one of a checkpoint")
    return head


def _facts(head: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in head.items() if key not in _OURS}


def _place(header: bytes, digest: str) -> tuple[int, int]:
    """Where the header holds the digest, which it does once."""
    start = header.find(digest.encode())
    if start < 0 or header.find(digest.encode(), start + 1) >= 0:
        raise Damaged("its header does not hold its SHA-256 once")
    return start, start + len(digest)
