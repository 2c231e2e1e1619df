"""A split written row by row, as a run records it and as `data.split.file` takes it.

    row,part
    0,train
    1,test

Rows count from 0 in the order of the training file; every row stands in it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxnet.data.places import nearest, values
from jaxnet.data.splits import PARTS, Split
from jaxnet.data.table import Array
from jaxnet.errors import DataError
from jaxnet.files import MOST_TEXT, read_file

_HEADER = "row,part"
_CELL = 40
_LINE = 64  # bytes: many more than a row takes


def as_csv(rows: Split, n: int) -> str:
    """The split as the text of a CSV file, n rows in order.

    >>> as_csv(Split(np.array([0, 2]), np.array([1]), np.array([], int)), 3)
    'row,part\\n0,train\\n1,validation\\n2,train\\n'
    """
    parts = np.zeros(n, np.int64)
    for code, part in enumerate(rows):
        parts[part] = code
    lines = [f"{row},{PARTS[code]}" for row, code in enumerate(parts.tolist())]
    return "\n".join([_HEADER, *lines]) + "\n"


def read(path: str | Path, n: int) -> Split:
    """The split that a file holds, of a table of n rows. Columns may stand in either order.

    Raises DataError, with the line: no such file, another header, a part that is none, a row that
    is no row number, out of range, given twice or not at all; no training rows.
    """
    path = Path(path)
    try:
        text = read_file(path, most=MOST_TEXT + _LINE * n).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; expected a CSV file with {_HEADER!r}") from error
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise DataError(f"data.split.file: {path}: {reason}") from error
    parts = _parts(path, text.splitlines(), n)
    absent = np.flatnonzero(parts < 0)
    if absent.size:
        raise DataError(
            f"{path}: {absent.size} of {n} rows have no part, the first is row {absent[0]} "
            f"(counted from 0); every row of the training file must be named once"
        )
    if not np.any(parts == 0):
        raise DataError(f"{path}: no row has the part 'train'")
    return Split(*(np.flatnonzero(parts == code) for code in range(len(PARTS))))


def _parts(path: Path, lines: Sequence[str], n: int) -> Array:
    """The part of each row, -1 where the file names none."""
    header = [cell.strip().strip('"') for cell in lines[0].split(",")] if lines else []
    if sorted(header) != ["part", "row"]:
        shown = lines[0][:_CELL] if lines else "nothing"
        raise DataError(f"{path}: line 1: expected the header {_HEADER}, found {shown!r}")
    code = {part: i for i, part in enumerate(PARTS)}
    parts = np.full(n, -1)
    for number, row, part in _cells(path, lines, header.index("row")):
        if part not in code:
            raise DataError(
                f"{path}: line {number}: no part {part[:_CELL]!r}"
                f"{nearest(part, PARTS) or f'; parts are {values(PARTS)}'}"
            )
        if not (row.isascii() and row.isdigit() and len(row) < 19):
            raise DataError(f"{path}: line {number}: {row[:_CELL]!r} is no row number (from 0)")
        if int(row) >= n:
            raise DataError(
                f"{path}: line {number}: row {row}: the training file has {n} rows, 0 to {n - 1}"
            )
        if parts[int(row)] >= 0:
            raise DataError(f"{path}: line {number}: row {int(row)} stands in the file twice")
        parts[int(row)] = code[part]
    return parts


def _cells(path: Path, lines: Sequence[str], first: int) -> Iterator[tuple[int, str, str]]:
    """Number of each line that is not blank, its row and its part."""
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if len(cells) != 2:
            raise DataError(
                f"{path}: line {number}: expected two cells, {_HEADER}: {line[:_CELL]!r}"
            )
        yield number, cells[first], cells[1 - first]
