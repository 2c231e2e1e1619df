"""Tables on their way to a file: CSV for people, packed or not, and Parquet for programs."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_FORMULA = r"\A[=+\-@\t\r\n]"
_NUMBER = r"\A[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"


class Sink(NamedTuple):
    """A format being written. close completes it; abandon lets go of it as it is."""

    write: Callable[[pa.Table], None]
    close: Callable[[], None]
    abandon: Callable[[], None]


def csv(put: Callable[[bytes], object]) -> Sink:
    r"""CSV in UTF-8, whose header comes with the first rows.

    Text is quoted; a null is an empty cell. Text that begins with = + - @, a tab or a line end and
    is no plain number gets ' before it, names of columns likewise: a spreadsheet would run it.

    Args:
        put: takes the bytes.

    >>> import pyarrow as pa
    >>> written = []
    >>> csv(written.append).write(pa.table({"p": [0.25], "note": ["=1+1"]}))
    >>> written[0]
    b'"p","note"\n0.25,"\'=1+1"\n'
    """
    import pyarrow as pa
    import pyarrow.csv

    started: list[bool] = []

    def write(table: pa.Table) -> None:
        options = pa.csv.WriteOptions(include_header=not started, batch_size=16_384)
        text = io.BytesIO()
        pa.csv.write_csv(_for_people(table), text, options)
        put(text.getvalue())
        started.append(True)

    return Sink(write, _nothing, _nothing)


def csv_gz(put: Callable[[bytes], object]) -> Sink:
    """The same in gzip's format, without a name and a time: equal rows give equal bytes."""
    packer = zlib.compressobj(6, wbits=31)
    plain = csv(lambda data: put(packer.compress(data)))

    def close() -> None:
        put(packer.flush())

    return plain._replace(close=close)


def parquet(file: IO[bytes]) -> Sink:
    """Parquet, with a checksum for every page."""
    import pyarrow.parquet as pq

    opened: list[pq.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        if not opened:
            opened.append(
                pq.ParquetWriter(file, table.schema, compression="zstd", write_page_checksum=True)
            )
        opened[0].write_table(table)

    def abandon() -> None:
        # A writer that is left open would write to the closed file when it is collected.
        with contextlib.suppress(Exception):
            opened[0].close()

    return Sink(write, lambda: opened[0].close(), abandon)


def _nothing() -> None:
    """There is nothing to complete and nothing to let go of."""


def _for_people(table: pa.Table) -> pa.Table:
    """The same rows for CSV: formulas guarded, types that CSV has no form for as text."""
    import pyarrow as pa

    arrays = [_for_csv(column) for column in table.columns]
    if len(arrays) == 1 and arrays[0].null_count:  # it would be a blank line, which is no row
        arrays = [arrays[0].cast(pa.string()).fill_null("")]
    names = _guarded(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    return pa.table(arrays, names=names)


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(chunks, column.type.storage_type)
    kind, types = column.type, pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _guarded(column.cast(pa.large_string()))
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_boolean(kind):  # as the names of columns and most files write them
        truth = [pa.scalar(text, pa.large_string()) for text in ("True", "False")]
        return pc.if_else(column, *truth)
    if types.is_integer(kind) or types.is_floating(kind):
        return column
    if "binary" not in str(kind):
        with contextlib.suppress(pa.ArrowNotImplementedError):
            return _guarded(column.cast(pa.large_string()))
    cells = [None if cell is None else _as_text(cell) for cell in column.to_pylist()]
    return _guarded(pa.chunked_array([pa.array(cells, pa.large_string())]))


def _as_text(cell: Any) -> str:
    """A cell of a type that CSV has no form for: bytes in hexadecimal, all else as Python's."""
    return cell.hex() if isinstance(cell, bytes) else str(cell)


def _guarded(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text with ' before what a spreadsheet would take for a formula."""
    import pyarrow as pa
    import pyarrow.compute as pc

    formula = pc.and_not(
        pc.match_substring_regex(text, _FORMULA), pc.match_substring_regex(text, _NUMBER)
    )
    if not pc.any(formula).as_py():
        return text
    ends = [pa.scalar(end, text.type) for end in ("'", "")]  # joined by the second
    quoted = pc.binary_join_element_wise(ends[0], text, ends[1], null_handling="emit_null")
    return pc.if_else(formula, quoted, text)
