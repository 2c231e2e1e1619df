"""A checkpoint as one file: a standard safetensors file that carries its facts and its checksum.

The facts are a JSON text under the key `jaxnet` of the file's metadata. The SHA-256 in it covers
every byte of the file, its own 64 digits taken as zeros. No pickle, no times, no paths: equal
arrays and facts give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

_KEY = "jaxnet"
_FORMAT = 1
_ZEROS = "0" * 64
_LENGTH = 8  # bytes before the header, which say how long it is
_OURS = {"format", "sha256"}


class Checkpoint(NamedTuple):
    """Arrays by name, in memory of their own that can be written, and what was said about them."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class Damaged(ValueError):
    """A file that is not exactly what was written; the message says what is wrong with it."""


class OtherFormat(Damaged):
    """A whole file, of a version of jaxnet that writes them otherwise."""


def encode(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> bytes:
    """All bytes of the file.

    Args:
        arrays: name -> array on the host, of one of numpy's own number types or bool.
        facts: JSON, every number finite; `format` and `sha256` are taken.

    Raises:
        TypeError: an array of another type, which could be written but not read; facts that are
            not JSON.
        ValueError: a number in the facts is not finite, or a name or a fact is one of the file's.

    >>> import numpy as np
    >>> content = encode({"W": np.ones((2, 3), np.float32)}, {"step": 7})
    >>> decode(content).facts
    {'step': 7}
    >>> decode(content[:-1])
    Traceback (most recent call last):
    jaxnet.outputs.checkpoint_file.Damaged: its SHA-256 is not the one it was written with
    """
    import numpy as np
    from safetensors.numpy import save

    for name, array in arrays.items():
        kind = array.dtype
        if kind.isbuiltin != 1 or kind.kind not in "biuf" or kind.itemsize > 8:
            raise TypeError(f"{name!r} has the type {kind}; convert it, to float32 say")
    if taken := sorted(_OURS & facts.keys()):
        raise ValueError(f"facts cannot be called {' and '.join(taken)}: the file has its own")
    # `require`, not `ascontiguousarray`: the latter turns a scalar's shape () into (1,).
    in_order = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    head = {**facts, "format": _FORMAT, "sha256": _ZEROS}
    text = json.dumps(head, sort_keys=True, allow_nan=False)
    content = save(in_order, metadata={_KEY: text})  # in an order of its own: equal for equal
    try:
        start, end = _place(content, _ZEROS)
    except Damaged:
        raise ValueError("64 zeros in a row are taken, in names and in facts") from None
    digest = _digest(content, start, end)
    return b"".join((memoryview(content)[:start], digest.encode(), memoryview(content)[end:]))


def decode(content: bytes) -> Checkpoint:
    """What was given to `encode`.

    Args:
        content: all bytes of a file.

    Raises:
        Damaged: it is not exactly what `encode` returned.
        OtherFormat: it is whole, and another version wrote it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    facts = verify(content)
    try:
        return Checkpoint(load(content), facts)
    except (SafetensorError, KeyError, ValueError) as error:  # whole, but not of our making
        raise Damaged(f"its arrays cannot be read ({error})") from None


def verify(content: bytes) -> dict[str, Any]:
    """The facts in a file, all of which was checked; its arrays are not made.

    Args:
        content: all bytes of a file.

    Raises:
        Damaged: it is not exactly what `encode` returned.
        OtherFormat: it is whole, and another version wrote it.
    """
    head = _head(content[: _end_of_header(content)])
    digest = head["sha256"]
    # safetensors has no checksum of its own: most flipped bits would load without a word.
    if _digest(content, *_place(content, digest)) != digest:
        raise Damaged("its SHA-256 is not the one it was written with")
    if head["format"] != _FORMAT:
        raise OtherFormat(
            f"format {head['format']!r}, this version of jaxnet reads format {_FORMAT}; "
            "use the version that wrote it"
        )
    return _facts(head)


def read(path: Path) -> bytes:
    """All bytes of a file.

    Args:
        path: the file, or a link to it.

    Raises:
        Damaged: it is no file, or cannot be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its writer
            raise Damaged("not a file")
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror or error})") from None


def read_facts(path: Path) -> dict[str, Any]:
    """The facts in a file, from its header alone: quick, and nothing is verified.

    Args:
        path: the file.

    Raises:
        Damaged: it cannot be read, or has no header that can be.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Damaged("not a file")
        with open(path, "rb") as stream:
            start = stream.read(_LENGTH)
            length = int.from_bytes(start, "little")
            # What a damaged length asks for is not there: never reserve memory for it.
            rest = os.fstat(stream.fileno()).st_size - _LENGTH
            content = start + (stream.read(length) if length <= rest else b"")
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror or error})") from None
    return _facts(_head(content[: _end_of_header(content)]))


def _end_of_header(content: bytes) -> int:
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    if len(content) < end or len(content) < _LENGTH:
        raise Damaged("cut short")
    return end


def _head(header: bytes) -> dict[str, Any]:
    """The JSON text of ours in a header, its two keys of ours in place."""
    try:
        head = json.loads(json.loads(header[_LENGTH:].decode())["__metadata__"][_KEY])
        known = "format" in head and re.fullmatch("[0-9a-f]{64}", head["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise Damaged("its header is not one of a checkpoint")
    return head


def _facts(head: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in head.items() if key not in _OURS}


def _place(content: bytes, digest: str) -> tuple[int, int]:
    """Where the header holds the digest, which it does once."""
    end = _end_of_header(content)
    start = content.find(digest.encode(), 0, end)
    if start < 0 or content.find(digest.encode(), start + 1, end) >= 0:
        raise Damaged("its header does not hold its SHA-256 once")
    return start, start + len(digest)


def _digest(content: bytes, start: int, end: int) -> str:
    """The SHA-256 of everything, zeros in place of the bytes from `start` to `end`."""
    view = memoryview(content)
    sha256 = hashlib.sha256(view[:start])
    sha256.update(_ZEROS.encode())
    sha256.update(view[end:])
    return sha256.hexdigest()
