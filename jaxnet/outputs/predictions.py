"""A table of predictions, written a block of rows at a time: CSV for people, Parquet for programs.

Text that a spreadsheet would run as a formula is written with ' before it in CSV files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from jaxnet.errors import RunFailed, UserError
from jaxnet.files import put_new
from jaxnet.outputs import table_formats
from jaxnet.outputs.table_formats import Sink
from jaxnet.printable import visible

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SUFFIXES = (".csv", ".csv.gz", ".parquet")

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LARGEST_POWER = 22  # of ten that a float64 holds exactly

Problems = Callable[[], contextlib.AbstractContextManager[None]]


class Writer(NamedTuple):
    """Takes the rows. write: columns by name, of equal length -> None."""

    write: Callable[[Mapping[str, Any]], None]


@contextlib.contextmanager
def open_writer(
    path: str | os.PathLike[str] | None,
    columns: Sequence[str],
    *,
    overwrite: bool = False,
    stream: IO[str] | None = None,
) -> Iterator[Writer]:
    r"""Open a .csv, .csv.gz or .parquet file for rows; it appears when the block ends well.

    The rows go to a file beside it that is renamed at the end: what fails or is interrupted leaves
    nothing, and an existing file stays as it was until then.

    In CSV, text is quoted, floats are written with the fewest digits that give the same float
    again (see `nine_digits`), and a null is an empty cell. Text that begins with = + - @, a tab or
    a line end, and is no plain number, is written with ' before it, for a spreadsheet would run it
    as a formula; names of columns likewise. Parquet holds every text as it is.

    Args:
        path: the file; None or "-" writes CSV to `stream`, as the rows come.
        columns: their names, in the order of the file.
        overwrite: replace the file if there is one.
        stream: where to, without a path; standard output if left out.

    Raises:
        UserError: another ending, the file exists, or its directory does not.
        RunFailed: the disk is full, or the file cannot be written.
        ValueError: a column named twice; rows with other columns, of different lengths or of
            another type than the first.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "predictions.csv")
    >>> with open_writer(path, ["id", "p"]) as writer:
    ...     writer.write({"id": ["a", "=1+1"], "p": [0.25, 0.5]})
    >>> path.read_text()
    '"id","p"\n"a",0.25\n"\'=1+1",0.5\n'
    """
    if len(set(columns)) < len(columns):
        raise ValueError(f"a column of predictions is named twice: {list(columns)}")
    if path is None or os.fspath(path) == "-":
        sink = table_formats.csv(_to_text(stream or sys.stdout))
        with _rows(sink, columns, _problems("standard output")) as writer:
            yield writer
        return
    target = Path(path)
    _refuse_target(target, overwrite)
    problems = _problems(str(target))
    with (
        _beside(target, overwrite, problems) as file,
        _rows(_sink(target, file), columns, problems) as writer,
    ):
        yield writer


def nine_digits(values: Any) -> np.ndarray:
    """float64 rounded to nine significant digits, as many as tell all float32 apart.

    A probability computed in float32 and normalised in float64 has digits that mean nothing; after
    this they are not written. Zeros, infinities and NaN stay.

    Args:
        values: numbers of any shape.

    >>> nine_digits([0.1 + 0.2, 1 / 3]).tolist()
    [0.3, 0.333333333]
    """
    import numpy as np

    x = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        decimals = 8 - np.floor(np.log10(np.abs(x)))
        usual = np.isfinite(decimals) & (decimals >= 0) & (decimals <= _LARGEST_POWER)
        # Both factors are exact, so the quotient is the float64 nearest to the rounded number.
        power = 10.0 ** np.where(usual, decimals, 0)
        rounded = np.array(np.rint(x * power) / power)
    rest = ~usual & np.isfinite(x)
    rounded[~usual] = x[~usual]
    rounded[rest] = [float(f"{value:.9g}") for value in x[rest]]
    return rounded


@contextlib.contextmanager
def _rows(sink: Sink, columns: Sequence[str], problems: Problems) -> Iterator[Writer]:
    """A writer whose rows all have the types of the first ones."""
    schema: list[pa.Schema] = []

    def write(rows: Mapping[str, Any]) -> None:
        table = _table(rows, columns)
        if not table.num_rows:
            return
        if not schema:
            schema.append(_settled(table.schema))
        table = _as(table, schema[0])
        with problems():
            sink.write(table)

    try:
        yield Writer(write)
        with problems():
            if not schema:
                empty = _table({name: [] for name in columns}, columns)
                sink.write(_as(empty, _settled(empty.schema)))
            sink.close()
    except BaseException:
        sink.abandon()
        raise


def _table(rows: Mapping[str, Any], columns: Sequence[str]) -> pa.Table:
    """The block as a table in the order of the file, dictionaries decoded."""
    import pyarrow as pa

    if set(rows) != set(columns):
        raise ValueError(f"columns {sorted(rows)} were given, and the file has {sorted(columns)}")
    arrays = []
    for name in columns:
        cells = rows[name]
        array = cells if isinstance(cells, pa.Array | pa.ChunkedArray) else pa.array(cells)
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        arrays.append(array)
    return pa.table(arrays, names=list(columns))


def _settled(schema: pa.Schema) -> pa.Schema:
    """The types of the file: a column without a value so far could still become text."""
    import pyarrow as pa

    kinds = [pa.string() if pa.types.is_null(field.type) else field.type for field in schema]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    try:
        return table.cast(schema)
    except pa.ArrowException as error:
        raise ValueError(f"rows of other types than the first ones: {error}") from error


def _to_text(stream: IO[str] | None) -> Callable[[bytes], object]:
    """Write UTF-8 to the bytes under a text stream, or text to one that has none.

    To a terminal goes text in which nothing acts.

    Where there is no stream (`>&-`) nobody wants it.
    """
    if stream is None:
        return lambda data: None
    if stream.isatty():  # to a file or a pipe go the bytes as they are
        return lambda data: stream.write(visible(data.decode("utf-8")))
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        return lambda data: stream.write(data.decode("utf-8"))

    def put(data: bytes) -> None:
        stream.flush()  # what was printed before stays before
        buffer.write(data)
        buffer.flush()

    return put


def _problems(name: str) -> Problems:
    """What goes wrong with the output itself, in words; a reader that has left is passed on."""

    @contextlib.contextmanager
    def problems() -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except FileExistsError:
            raise UserError(_exists(name)) from None
        except OSError as error:
            if error.errno in _FULL:
                raise RunFailed(
                    f"{name}: the disk is full; free some space, or write to another place"
                ) from error
            raise RunFailed(f"{name}: cannot be written ({error.strerror or error})") from error

    return problems


def _refuse_target(target: Path, overwrite: bool) -> None:
    """Refuse a name before any work is done for it."""
    if not target.name.lower().endswith(SUFFIXES):
        raise UserError(
            f"{target}: predictions are written to {', '.join(SUFFIXES)}; give the name one of "
            f"these endings, or - for standard output"
        )
    if not target.parent.is_dir():
        raise UserError(f"{target}: the folder {str(target.parent)!r} does not exist; make it")
    if target.is_dir():
        raise UserError(f"{target}: a folder; name a file")
    if not overwrite and os.path.lexists(target):
        raise UserError(_exists(str(target)))


def _exists(name: str) -> str:
    return f"{name}: exists already and is left as it is; name another file"


@contextlib.contextmanager
def _beside(target: Path, overwrite: bool, problems: Problems) -> Iterator[IO[bytes]]:
    """A new file beside the target that takes its name where all went well."""
    temporary = target.parent / f".tmp-{secrets.token_hex(8)}"
    with problems():
        # O_EXCL: never through a link that somebody else put there.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    file = os.fdopen(descriptor, "wb")
    try:
        yield file
        with problems():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if overwrite:
                os.replace(temporary, target)
            else:
                put_new(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()  # it tries once more to write what it holds
        temporary.unlink(missing_ok=True)
        raise


def _sink(target: Path, file: IO[bytes]) -> Sink:
    """The format that the ending of the name asks for."""
    name = target.name.lower()
    if name.endswith(".parquet"):
        return table_formats.parquet(file)
    return (table_formats.csv_gz if name.endswith(".gz") else table_formats.csv)(file.write)
