"""Parquet files to typed columns; a damaged one, or one without rows, is refused."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxnet.data import places
from jaxnet.data.arrow_columns import check_names, plain_columns, without_index
from jaxnet.errors import DataError
from jaxnet.files import open_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BUFFER = 1 << 20  # bytes of a column read at once while streaming


def tables(
    path: Path, *, rows: int = 1 << 17, progress: Callable[[int], None] | None = None
) -> "tuple[Iterator[pa.Table], Callable[[int], str]]":
    """The rows of a .parquet file, types as stored, and the place of a row in words.

    Dictionaries are decoded; an index that pandas stored without a name is left out.

    Args:
        path: a file that is there.
        rows: of a table, at most.
        progress: told how many rows have been read.

    Raises:
        DataError: damaged or no Parquet, no rows, names twice.
    """
    return _tables(path, rows, progress), partial(_place, path)


def names(path: Path) -> tuple[str, ...]:
    """The names of the columns, from the end of the file alone. Raises DataError as `read`."""
    with _opened(path) as file:
        return tuple(_columns(path, file))


def count_rows(path: Path) -> int:
    """The number of rows, from the end of the file alone. Raises DataError where it is damaged."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def _tables(path: Path, rows: int, progress: Callable[[int], None] | None) -> "Iterator[pa.Table]":
    import pyarrow as pa

    with _opened(path) as file:
        batches = file.iter_batches(batch_size=rows, columns=_columns(path, file))
        done = 0
        while True:
            with _damage(path):
                batch = next(batches, None)
                if batch is None:
                    _refuse_other_number(path, done, file.metadata.num_rows)
                    return
                _refuse_unsound(path, batch)
                table = plain_columns(pa.Table.from_batches([batch]))
            yield table
            done += table.num_rows
            if progress is not None:
                progress(done)


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[pq.ParquetFile]":
    """The open file, its pages checked against their checksums where it has some."""
    import pyarrow.parquet as pq

    try:
        source = open_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    with source:
        if not source.peek(1):
            raise DataError(f"{path}: the file is empty")
        with _damage(path):
            file = pq.ParquetFile(source, page_checksum_verification=True, buffer_size=_BUFFER)
        with file:
            yield file


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What pyarrow says of a broken file, in our words."""
    import pyarrow as pa

    try:
        yield
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: not a Parquet file, or damaged or cut short ({text}); copy or save it again"
        ) from error


def _columns(path: Path, file: Any) -> list[str]:
    """The columns to read, once their names are known to be fit, and that rows exist."""
    with _damage(path):
        schema = file.schema_arrow
    chosen = without_index(schema.names)
    check_names(chosen, str(path))
    groups = (file.metadata.row_group(at).num_rows for at in range(file.metadata.num_row_groups))
    _refuse_other_number(path, sum(groups), file.metadata.num_rows)
    if file.metadata.num_rows == 0:
        raise DataError(f"{path}: no rows, only the names of {len(chosen)} columns")
    return chosen


def _refuse_other_number(path: Path, found: int, said: int) -> None:
    if found != said:
        raise DataError(
            f"{path}: the end of the file says {said:,} rows, and it holds {found:,}: damaged; "
            "copy or save it again"
        )


def _refuse_unsound(path: Path, batch: "pa.RecordBatch") -> None:
    """Text that is none, codes of categories that there are not: pyarrow reads them as they are."""
    import pyarrow as pa

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{path}: column {name!r}: damaged, or bytes that are no UTF-8 text ({error}); "
                "save it again, as text"
            ) from error


def _place(path: Path, row: int) -> str:
    return f"{path}: {places.rows([row])}"
