"""XC text: the format of the sets for extreme classification. Whole, or in pieces for prediction.

    3 10 4                  rows features labels
    3,1 2:0.5 7:1           labels 3 and 1; feature 2 is 0.5, feature 7 is 1, all others 0
     0:2                    no labels: the line begins with a space
    2                       no features

Labels and features count from 0. A first line of two numbers, rows and features, begins a file
without labels; there, the space at the beginning of a line is not needed. A label that stands in a
row twice is kept once and noted; a feature that does is refused, for nobody knows which is meant.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from jaxnet.data import sparse, xc_blocks, xc_parse
from jaxnet.data.sparse import SparseLabels, SparseTable
from jaxnet.data.xc_blocks import (
    SIZE,
    SUFFIXES,
    Header,
    Lines,
    assumed,
    existing_file,
    opened,
    refuse,
)
from jaxnet.data.xc_parse import Parsed

__all__ = ["SUFFIXES", "Header", "assumed", "existing_file", "header", "is_xc", "read", "stream"]

Progress = Callable[[int], None]


def is_xc(path: str | Path) -> bool:
    """Whether a file is XC text, by its name."""
    return Path(path).name.lower().endswith(SUFFIXES)


def header(path: str | Path, *, without: Header | None = None) -> Header:
    """The first line of a file: rows, columns and labels. Arguments and errors as of `read`."""
    path = existing_file(path)
    with opened(path, size=1 << 12, without=without) as (found, _):
        return found


def read(
    path: str | Path,
    *,
    progress: Progress | None = None,
    size: int = SIZE,
    without: Header | None = None,
) -> SparseTable:
    """The rows of a .txt or .txt.gz file.

    Args:
        path: the file.
        progress: told how many bytes of the file as stored have been read.
        size: bytes to read at once; the rows do not depend on it.
        without: what stands in for a first line that is missing (see `assumed`); None: it is
            needed.

    Raises:
        DataError: no such file, a damaged one, a line that is no row (with its number), a number
            of rows that is not that of the first line.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "rows.txt")
    >>> _ = file.write_text("2 10 4\\n3,1 2:0.5 7:1\\n 0:2\\n")
    >>> found = read(file)
    >>> found.x.indptr.tolist(), found.x.indices.tolist(), found.labels.indices.tolist()
    ([0, 2, 3], [2, 7, 0], [1, 3])
    """
    path = existing_file(path)
    return _joined(path, list(_parsed(path, size, progress, without)), _before(path, without))


def stream(
    path: str | Path,
    rows: int = 65_536,
    *,
    progress: Progress | None = None,
    size: int = SIZE,
    without: Header | None = None,
) -> Iterator[SparseTable]:
    """The same rows in tables of `rows` rows, the last one shorter, in bounded memory.

    Args:
        path, progress, size, without: as in `read`.
        rows: of every table but the last.

    Raises:
        DataError: as `read`, at once for the file itself, later for a row further down.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; a table has one row at least")
    return _pieces(existing_file(path), rows, size, progress, without)


def _pieces(
    path: Path, rows: int, size: int, progress: Progress | None, without: Header | None
) -> Iterator[SparseTable]:
    held: list[Parsed] = []
    number, first = 0, _before(path, without)
    for block in _parsed(path, size, progress, without):
        held.append(block)
        number += len(block.x)
        while number >= rows:
            last = held.pop()
            here = rows - (number - len(last.x))
            yield _joined(path, [*held, _part(last, 0, here)], first)
            first, number = first + rows, number - rows
            held = [_part(last, here, len(last.x))]
    if number:
        yield _joined(path, held, first)


def _parsed(
    path: Path, size: int, progress: Progress | None, without: Header | None
) -> Iterator[Parsed]:
    """Block by block; the number of rows is that of the header."""
    done = 0
    with opened(path, size=size, progress=progress, without=without) as (head, blocks):
        for lines in blocks:
            left = head.rows - done
            kept = _first(lines, left)
            if kept.data:
                found = xc_parse.parse(path, kept, head)
                done += len(found.x)
                yield found
            if len(kept.data) < len(lines.data):
                number = lines.line + left
                refuse(path, number, f"row {head.rows + 1}, and {_said(head)}; mend one of the two")
        if done < head.rows and head.written:
            command = xc_blocks.edited(path, f"sed '1s/{head.rows}/{done}/'")
            refuse(
                path,
                done + 1,
                f"the file ends after {done} row{'s' * (done != 1)}, and {_said(head)}; is it cut "
                f"short? If not: {command}",
            )


def _first(lines: Lines, number: int) -> Lines:
    """The first lines of a block."""
    if lines.data.count(b"\n") <= number:
        return lines
    ends = (place.end() for place in re.finditer(b"\n", lines.data))
    stop = next(itertools.islice(itertools.chain([0], ends), number, None))
    return lines._replace(data=lines.data[:stop])


def _said(head: Header) -> str:
    return f"the first line says {head.rows} row{'s' * (head.rows != 1)}"


def _part(found: Parsed, start: int, stop: int) -> Parsed:
    """Some of the rows."""
    labels = None if found.labels is None else sparse.part(found.labels, start, stop)
    twice = found.twice[(found.twice >= start) & (found.twice < stop)] - start
    return Parsed(sparse.part(found.x, start, stop), labels, twice)


def _before(path: Path, without: Header | None) -> int:
    """The number of the first row, from -1 on where no line stands before it."""
    return 0 if without is None or header(path, without=without).written else -1


def _joined(path: Path, parts: list[Parsed], first: int) -> SparseTable:
    """The parts as one table, whose rows begin with this one of the file."""
    labels: SparseLabels | None = None
    if parts[0].labels is not None:
        labels = sparse.concatenate([part.labels for part in parts if part.labels is not None])
    starts = np.cumsum([first, *(len(part.x) for part in parts)])
    twice = np.concatenate([part.twice + start for part, start in zip(parts, starts, strict=False)])
    notes: tuple[str, ...] = ()
    if twice.size:
        rest = f", and {twice.size - 1} more such labels" if twice.size > 1 else ""
        notes = (f"{_place(path, 0, twice[0])}: a label stands twice in the row{rest}: kept once",)
    x = sparse.concatenate([part.x for part in parts])
    return SparseTable(x, labels, str(path), partial(_place, path, first), notes)


def _place(path: Path, first: int, row: int) -> str:
    """The line of a row in words: one row is one line, and the first line is the header."""
    return f"{path}: line {first + int(row) + 2}"
