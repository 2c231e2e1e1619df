"""A column as categories: the distinct texts of its cells, and each row's place among them.

Categories are compared as they are written. Where cells have a type instead of a text, the text is
the one that a file would hold: 7 of an integer and of the float 7.0, 0.5, True, 2024-01-31.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import missing
from jaxnet.data.arrow_columns import is_plain
from jaxnet.data.table import Array

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,99})")


class Categories(NamedTuple):
    """codes (n,): place of each row's text in `texts`, a pyarrow array of text; -1 is missing."""

    codes: Array
    texts: Any

    def __len__(self) -> int:
        return len(self.codes)


def of(column: Any, tokens: tuple[str, ...]) -> Categories:
    """The categories of a pyarrow column of any type but a nested one.

    >>> import pyarrow as pa
    >>> found = of(pa.chunked_array([["b", "?", "a", "b"]]), missing.TOKENS)
    >>> found.codes, found.texts.to_pylist()
    (array([ 0, -1,  1,  0], dtype=int32), ['b', 'a'])
    >>> of(pa.chunked_array([[7.0, 0.5, None]]), ()).texts.to_pylist()
    ['7', '0.5']
    """
    import pyarrow as pa

    codes, cells = coded(column)
    texts = cells if is_text(cells.type) else _written(cells)
    gone = missing.mask(texts, tokens)
    kept = np.flatnonzero(~gone)
    place = np.full(len(texts) + 1, -1, np.int32)  # the last for code -1
    place[kept] = np.arange(len(kept), dtype=np.int32)
    texts = texts.take(pa.array(kept)).cast(pa.large_string())
    return Categories(place[codes], texts)


def coded(column: Any) -> tuple[Array, Any]:
    """Place of each row's cell among the distinct cells, -1 for a null, and the distinct cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if is_text(column.type) and not pa.types.is_large_string(column.type):
        column = pc.cast(column, pa.large_string())
    if pa.types.is_null(column.type):
        return np.full(len(column), -1, np.int32), pa.array([], pa.large_string())
    if pa.types.is_floating(column.type):
        column = _one_zero(column)
    found = pc.dictionary_encode(pa.chunked_array(column))
    if found.num_chunks == 0:
        return np.empty(0, np.int32), pa.array([], column.type)
    # Every chunk of what dictionary_encode gives has the dictionary of all.
    codes = [
        np.asarray(pc.fill_null(piece.indices, -1).to_numpy(zero_copy_only=False), np.int32)
        for piece in found.chunks
    ]
    return np.concatenate(codes), found.chunk(0).dictionary


def _one_zero(column: Any) -> Any:
    """-0.0 and 0.0 are one number, and a dictionary tells them apart."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wide = column.cast(pa.float32()) if pa.types.is_float16(column.type) else column
    return pc.add(wide, pa.scalar(0.0, wide.type))


def in_order(texts: Iterable[str]) -> list[str]:
    """Sorted: by size if all are plain integers, as text otherwise.

    >>> in_order(["10", "9"]), in_order(["10", "9", "a"])
    (['9', '10'], ['10', '9', 'a'])
    """
    found = list(texts)
    whole = all(_INTEGER.fullmatch(text) for text in found)
    if whole:
        return sorted(found, key=int)
    return sorted(found)


def is_text(kind: Any) -> bool:
    """Whether a pyarrow type is one of text."""
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_cell(kind: Any) -> bool:
    """Whether cells of a pyarrow type can be written as one text."""
    import pyarrow.types as types

    return is_plain(kind.value_type if types.is_dictionary(kind) else kind)


def _written(cells: Any) -> Any:
    """The text of each distinct cell that is no text itself."""
    import pyarrow as pa

    return pa.array([_text(cell) for cell in cells.to_pylist()], pa.large_string())


def _text(cell: Any) -> str | None:
    """As a file would hold it. A float NaN is missing."""
    if isinstance(cell, float):
        if cell != cell:
            return None
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e16 else repr(cell)
    return None if cell is None else str(cell)
