"""CSV files to columns of text, exactly as written; every refusal names its line.

pyarrow splits the fields. It gets whole records whose quoting was checked (csv_blocks), and every
column as text, so that nothing is guessed and nothing is left for it to repair.
"""

import bisect
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxnet.data import csv_blocks
from jaxnet.data.csv_blocks import (
    BOM,
    RECORD,
    SEPARATORS,
    SIZE,
    Block,
    fields,
    is_blank,
    other_separator,
)
from jaxnet.data.places import rows, values
from jaxnet.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_START = 1 << 16  # bytes to read for the header alone
_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')
_BLANK_LINE = re.compile(rb"^\r?\n", re.MULTILINE)


class _Mark(NamedTuple):
    """Where a stretch of rows begins: its first row, and its records' place in the file."""

    row: int
    line: int
    offset: int
    length: int


def tables(
    path: Path, *, size: int = SIZE, progress: Callable[[int], None] | None = None
) -> "tuple[Iterator[pa.Table], Callable[[int], str]]":
    """The rows of a .csv or .csv.gz file block by block, and the line of a row in words.

    Args:
        path: a file that is there.
        size: bytes to read at once; the rows do not depend on it.
        progress: told how many bytes of the file as stored have been read.

    Returns:
        Tables in which every cell is the text that was written, and a function of the number of a
        row, from 0 in the whole file, that is known once its table was given.

    Raises:
        DataError: what is wrong, with its line, when the reading gets there.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "rows.csv")
    >>> _ = file.write_text('age,job\\n31,"clerk, retired"\\n')
    >>> found, place = tables(file)
    >>> next(found).to_pylist(), place(0).removeprefix(str(file.parent))
    ([{'age': '31', 'job': 'clerk, retired'}], '/rows.csv: line 2')
    """
    marks: list[_Mark] = []
    return _tables(path, marks, size, progress), partial(_place, path, marks)


def names(path: Path) -> tuple[str, ...]:
    """The names of the columns; of the rows, nothing is checked.

    Raises DataError as `read`, for what is wrong up to the header.
    """
    return _header(path, csv_blocks.blocks(path, size=_START))[0]


def _tables(
    path: Path, marks: list[_Mark], size: int, progress: Callable[[int], None] | None
) -> "Iterator[pa.Table]":
    """Rows as text, block by block; `marks` grows by one for each."""
    found = csv_blocks.blocks(path, size=size, progress=progress)
    columns, rest = _header(path, found)
    row = 0
    while True:
        if rest.data.strip(b"\r\n"):
            marks.append(_Mark(row, rest.line, rest.offset, len(rest.data)))
            table = _parse(path, rest, columns)
            row += table.num_rows
            yield table
        elif len(columns) == 1:
            _refuse_blank(path, rest)
        following = next(found, None)
        if following is None:
            break
        rest = following
    if row == 0:
        raise DataError(f"{path}: line {rest.line}: no rows below the header")


def _header(path: Path, found: Iterator[Block]) -> tuple[tuple[str, ...], Block]:
    """The names in the first line that is not blank, and what follows it in its block."""
    for block in found:
        for match in RECORD.finditer(block.data):
            if not is_blank(match[0]):
                line = block.line_at(match.start())
                return _names(path, line, match[0]), block.after(match.end())
    raise DataError(f"{path}: line 1: only blank lines; the first line must name the columns")


def _names(path: Path, line: int, record: bytes) -> tuple[str, ...]:
    """The names of the columns, each there and there once."""
    _refuse_separator(path, line, _QUOTED.sub(b"", record).decode())
    found = tuple(field.decode() for field in fields(record))
    empty = [i for i, name in enumerate(found, 1) if not name.strip()]
    if empty:
        hint = "; pandas writes such a column for its index: df.to_csv(path, index=False)"
        raise DataError(
            f"{path}: line {line}: column {empty[0]} of {len(found)} has no name"
            f"{hint if empty == [1] else ''}"
        )
    twice = [name for name, times in Counter(found).items() if times > 1]
    if twice:
        hint = "; is the line with the names of the columns missing?"
        raise DataError(
            f"{path}: line {line}: two columns or more are named {values(twice)}"
            f"{hint if all(map(_is_number, found)) else '; give each a name of its own'}"
        )
    return found


def _refuse_separator(path: Path, line: int, header: str) -> None:
    """A header with more of another separator than of commas, quoted names aside."""
    for separator in SEPARATORS:
        if header.count(separator) > header.count(","):
            raise other_separator(path, line, separator)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(path: Path, block: Block, columns: tuple[str, ...]) -> "pa.Table":
    """The cells of whole records; a row with a field too many or too few is refused."""
    import pyarrow as pa
    import pyarrow.csv

    if len(columns) == 1:
        _refuse_blank(path, block)
    # pyarrow would take a mark at the start of any block for the mark of the file.
    data = b"\n" + block.data if block.data.startswith(BOM) else block.data
    try:
        return pa.csv.read_csv(
            pa.BufferReader(data),
            # One block of pyarrow's own: no row could straddle two.
            read_options=pa.csv.ReadOptions(column_names=columns, block_size=len(data) + 1),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        _refuse_ragged(path, block, len(columns))
        raise DataError(f"{path}: line {block.line} or further down: {error}") from error


def _refuse_ragged(path: Path, block: Block, columns: int) -> None:
    """Name the first row of the block with a field too many or too few."""
    for match in RECORD.finditer(block.data):
        # Most rows have no quotes, and counting is ten times quicker than splitting.
        found = len(fields(match[0])) if b'"' in match[0] else match[0].count(b",") + 1
        if found == columns or is_blank(match[0]):
            continue
        hint = "an empty cell still has its comma"
        if found > columns:
            hint = 'a text that holds a comma is quoted: "a, b"'
        elif not match[0].strip():
            hint = "the line holds nothing but blanks: delete it"
        raise DataError(
            f"{path}: line {block.line_at(match.start())}: {found} field{'s' * (found > 1)}, "
            f"and the header names {columns} column{'s' * (columns > 1)}; {hint}"
        )


def _refuse_blank(path: Path, block: Block) -> None:
    """In a file of one column, a blank line could be a row with an empty cell, or nothing."""
    if not _BLANK_LINE.search(block.data):
        return
    for match in RECORD.finditer(block.data):
        if is_blank(match[0]):
            raise DataError(
                f"{path}: line {block.line_at(match.start())}: a blank line in a file of one "
                f'column: delete it, or write "" for an empty cell'
            )


def _place(path: Path, marks: list[_Mark], row: int) -> str:
    """The line of a row in words, found by walking the records around it once more."""
    row = int(row)
    mark = marks[bisect.bisect(marks, row, key=lambda mark: mark.row) - 1]
    try:
        with csv_blocks.unpacked(path) as (source, _):
            source.seek(mark.offset)
            # A last line without an end gets one; for any other it is one blank line more.
            block = Block(source.read(mark.length) + b"\n", mark.line, mark.offset)
    except (DataError, OSError, EOFError):
        return f"{path}: {rows([row])}"  # the file is no longer what was read
    found = (match for match in RECORD.finditer(block.data) if not is_blank(match[0]))
    match = next(itertools.islice(found, row - mark.row, None), None)
    return (
        f"{path}: {rows([row])}"
        if match is None
        else (f"{path}: line {block.line_at(match.start())}")
    )
