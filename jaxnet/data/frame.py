"""Columns of a table as they were read, before any type is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Frame(NamedTuple):
    """n rows of named columns, in the order of the file.

    columns: of a text file, every column is text exactly as it was written (UTF-8, no nulls; an
        empty cell is ""). Of anything else, the columns have types, and a null is a missing cell.
    text: whether the cells are text as written, so that types are still to be found.
    name: of the file, or of the argument, for errors.
    where: row number (from 0) -> its place in words, "rows.csv: line 17" or "X: row 15 (counted
        from 0)".
    """

    columns: pa.Table
    text: bool
    name: str
    where: Callable[[int], str]
