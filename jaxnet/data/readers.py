"""A table from a file, whole or in blocks of rows: the name's ending decides how it is read."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from jaxnet.data import csv_reader, parquet_reader
from jaxnet.data.frame import Frame
from jaxnet.data.places import refuse_absent, refuse_other_than_file
from jaxnet.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".csv.gz", ".parquet")

Progress = Callable[[int], None]


class Extent(NamedTuple):
    """How much there is to read, for a progress bar; `progress` of `stream` counts in the unit."""

    total: int
    unit: Literal["bytes", "rows"]


def read(path: str | Path, *, progress: Progress | None = None) -> Frame:
    """The table in a .csv, .csv.gz or .parquet file.

    Args:
        path: the file; the ending of its name decides, in capitals or not.
        progress: called now and then with how much is done, in the unit of `count_hint`.

    Returns:
        A frame: text as written of a CSV file, typed columns of a Parquet file. Its `where` reads
        the file once more, so it is for errors.

    Raises:
        DataError: no such file, an unknown ending, or content that is not a table; for CSV the
            message names the line.
    """
    import pyarrow as pa

    path = existing_file(path)
    tables, place = _open(path, progress)
    return Frame(pa.concat_tables(tables), not _is_parquet(path), str(path), place)


def stream(
    path: str | Path, rows: int = 65_536, *, progress: Progress | None = None
) -> Iterator[Frame]:
    """The same table in frames of `rows` rows, the last one shorter, in bounded memory.

    Args:
        path: as in `read`.
        rows: of every frame but the last.
        progress: as in `read`.

    Raises:
        DataError: as `read`, at once for the file itself, later for a row further down.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; a frame has one row at least")
    path = existing_file(path)
    tables, place = _open(path, progress)
    return _frames(path, _of_length(tables, rows), place)


def names(path: str | Path) -> tuple[str, ...]:
    """The names of the columns, without reading the rows.

    Args:
        path: as in `read`.

    Raises:
        DataError: as `read`, for what shows up to the names.
    """
    path = existing_file(path)
    return parquet_reader.names(path) if _is_parquet(path) else csv_reader.names(path)


def count_hint(path: str | Path) -> Extent:
    """How much there is to read: rows of a Parquet file, bytes as stored of any other.

    Args:
        path: as in `read`.

    Raises:
        DataError: no such file, an unknown ending, a damaged Parquet file.
    """
    path = existing_file(path)
    if _is_parquet(path):
        return Extent(parquet_reader.count_rows(path), "rows")
    return Extent(path.stat().st_size, "bytes")


def existing_file(path: str | Path) -> Path:
    """The path of a file that is there and whose ending is known; DataError otherwise.

    >>> existing_file("rows.xlsx")
    Traceback (most recent call last):
    ...
    jaxnet.errors.DataError: rows.xlsx: unknown kind of file; known: .csv, .csv.gz, .parquet, .npz
    """
    path = Path(path)
    refuse_other_than_file(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(f"{path}: unknown kind of file; known: {', '.join(SUFFIXES)}, .npz")
    refuse_absent(path)
    return path


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet")


def _open(
    path: Path, progress: Progress | None
) -> "tuple[Iterator[pa.Table], Callable[[int], str]]":
    """The rows of the file in tables of some length, and the place of a row in words."""
    reader = parquet_reader if _is_parquet(path) else csv_reader
    return reader.tables(path, progress=progress)


def _of_length(tables: "Iterator[pa.Table]", rows: int) -> "Iterator[pa.Table]":
    """The same rows in tables of `rows` rows, the last one shorter."""
    import pyarrow as pa

    held: pa.Table | None = None
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if held is not None and held.num_rows:
        yield held


def _frames(
    path: Path, tables: "Iterator[pa.Table]", place: Callable[[int], str]
) -> Iterator[Frame]:
    """Each table as a frame that counts its rows from 0."""
    first = 0
    for table in tables:
        where = functools.partial(_shifted, place, first)
        yield Frame(table, not _is_parquet(path), str(path), where)
        first += table.num_rows


def _shifted(place: Callable[[int], str], first: int, row: int) -> str:
    return place(first + int(row))
