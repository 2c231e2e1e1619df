"""Arrays as a safetensors file, written from their own memory and read into memory of their own.

Such a file is the length of its header (8 bytes, the lowest first), the header (JSON, filled up
with spaces to a multiple of 8 bytes), and the arrays one after another. The bytes are those that
the library `safetensors` writes, which holds the whole file twice, and does not read bfloat16.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

LENGTH = 8  # bytes before the header, which say how long it is
_METADATA = "__metadata__"
_LONGEST = 100_000_000  # bytes of a header, as the library has it
_PIECE = 1 << 22  # bytes that are looked at in one go: between two of them signals get through

# numpy's name -> the format's; in a file the last of these come first.
_TYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "uint32": "U32",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
}
_NAMES = {theirs: name for name, theirs in _TYPES.items()}
_PLACES = {name: place for place, name in enumerate(_TYPES)}
# What goes wrong in a header that is not one.
_MALFORMED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)


class Damaged(ValueError):
    """A file that is not exactly what was written; the message says what is wrong with it."""


def lay_out(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, list[memoryview]]:
    """The bytes before the arrays, and those of each array in the order of the file.

    Args:
        arrays: name -> array on the host, of one of numpy's own number types, bfloat16 or bool.
            One whose numbers lie in order in memory is not copied.
        metadata: texts by name.

    Raises:
        TypeError: an array of another type, which could be written but not read.
        ValueError: the names and texts are too long for a header.

    >>> import numpy as np
    >>> header, (only,) = lay_out({"b": np.ones(3, np.int8)})
    >>> header[8:], bytes(only)
    (b'{"b":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}}   ', b'\\x01\\x01\\x01')
    """
    for name, array in arrays.items():
        if not _can_be_read(array.dtype):
            raise TypeError(f"{name!r} has the type {array.dtype}; convert it, to float32 say")
    order = sorted(arrays, key=lambda name: (-_PLACES[arrays[name].dtype.name], name))
    entries: dict[str, Any] = {} if metadata is None else {_METADATA: dict(metadata)}
    end = 0
    for name in order:
        array = arrays[name]
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST:
        raise ValueError(f"names and texts of {len(text)} bytes, and {_LONGEST} is the most")
    return len(text).to_bytes(LENGTH, "little") + text, [_bytes_of(arrays[name]) for name in order]


def read_header(stream: BinaryIO, size: int) -> bytes:
    """The bytes before the arrays.

    Args:
        stream: at its start.
        size: bytes in it.

    Raises:
        Damaged: it is shorter than it says, or says what nobody would write.
    """
    start = stream.read(LENGTH)
    length = int.from_bytes(start, "little")
    # What a damaged length asks for is not there: never reserve memory for it.
    if len(start) < LENGTH or length > size - LENGTH:
        raise Damaged("cut short")
    if length > _LONGEST:
        raise Damaged("its header is longer than any")
    header = start + stream.read(length)
    if len(header) < LENGTH + length:
        raise Damaged("cut short")
    return header


def empty(header: bytes, size: int) -> dict[str, np.ndarray]:
    """Arrays for a file, not yet read, in its order.

    Args:
        header: as `read_header` gives it, good or not.
        size: bytes after it; no more memory is reserved.

    Raises:
        Damaged: the arrays that it names do not fill the file one after another.
    """
    import numpy as np

    try:
        entries = json.loads(header[LENGTH:].decode())
        entries.pop(_METADATA, None)
        order = sorted(entries, key=lambda name: entries[name]["data_offsets"])
        arrays, end = {}, 0
        for name in order:
            dtype, shape = _dtype(entries[name]["dtype"]), tuple(entries[name]["shape"])
            start, next_end = entries[name]["data_offsets"]
            whole = all(isinstance(n, int) and n >= 0 for n in shape)
            if not whole or start != end or math.prod(shape) * dtype.itemsize != next_end - start:
                raise ValueError(f"the place of {name!r} is not where it says")
            if next_end > size:
                raise ValueError(f"{name!r} ends after the file")
            arrays[name], end = np.empty(shape, dtype), next_end
        if end != size:
            raise ValueError(f"{size - end} bytes are no array's")
    except _MALFORMED as error:
        raise Damaged(f"its arrays cannot be read ({error})") from None
    return arrays


def fill(
    stream: BinaryIO, arrays: Mapping[str, np.ndarray], each: Callable[[memoryview], object]
) -> None:
    """Read the arrays that `empty` gave.

    Args:
        stream: after its header.
        each: is given every piece that was read.

    Raises:
        Damaged: the stream ends before.
    """
    for array in arrays.values():
        for piece in pieces(_bytes_of(array)):
            _read(stream, piece)
            each(piece)


def skim(stream: BinaryIO, size: int, each: Callable[[memoryview], object]) -> None:
    """Read so many bytes in pieces, and keep none.

    Args:
        each: is given every piece, which the next one overwrites.

    Raises:
        Damaged: the stream ends before.
    """
    room = memoryview(bytearray(min(size, _PIECE)))
    for start in range(0, size, _PIECE):
        piece = room[: size - start]
        _read(stream, piece)
        each(piece)


def pieces(view: memoryview) -> Iterator[memoryview]:
    """Bytes, a few MiB at a time."""
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]


def _read(stream: BinaryIO, piece: memoryview) -> None:
    while piece:
        count = stream.readinto(piece)  # type: ignore[attr-defined]
        if not count:
            raise Damaged("cut short")
        piece = piece[count:]


def _can_be_read(dtype: np.dtype) -> bool:
    ours = dtype.isbuiltin == 1 or dtype.name == "bfloat16"  # another byte order is neither
    return ours and dtype.name in _TYPES


def _dtype(theirs: str) -> np.dtype:
    import ml_dtypes
    import numpy as np

    name = _NAMES[theirs]
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _bytes_of(array: np.ndarray) -> memoryview:
    """The array's own memory, where its numbers lie in order."""
    import numpy as np

    # By way of bytes: bfloat16 gives no view of itself.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
