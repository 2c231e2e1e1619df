"""The bytes of a CSV file in blocks of whole records; what is not text or not CSV is refused here.

Quoting is that of RFC 4180, as Python's csv module reads it in strict mode: a field that begins
with a quote ends with one, a quote inside it is doubled, and a quote further on in a field that
begins otherwise is a character like any other. One regular expression says so; where it stops, a
record is incomplete or broken, whatever the places at which the file was cut for reading.
"""

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias

from jaxnet.errors import DataError
from jaxnet.files import open_file
from jaxnet.printable import shell_word

Stream: TypeAlias = io.BufferedReader | gzip.GzipFile

SIZE = 1 << 23  # bytes read at once: large enough for the parser, small beside the memory
_LONGEST = 1 << 28  # bytes of one record
BOM = b"\xef\xbb\xbf"

_QUOTED = rb'"(?:[^"]++|"")*+"'
# Text without quotes, a line feed's own carriage return, a whole quoted field, a quote within text.
_PIECES = rb'(?:[^"\n\r]++|\r(?=\n)|(?<![^,\n])' + _QUOTED + rb'(?=[,\n]|\r\n)|(?<=[^,\n])")*+'
RECORD = re.compile(_PIECES + rb"\n")
_RECORDS = re.compile(rb"(?:" + _PIECES + rb"\n)*+")
_PART = re.compile(_PIECES)
_CLOSED = re.compile(_QUOTED)
_LONE_RETURN = re.compile(rb"\r(?!\n)")

# What separates columns where it is no comma, and how to type it.
SEPARATORS = {";": ";", "\t": r"\t", "|": "|"}

_DROP_NUL = r"tr -d '\000'"

_OTHER_KINDS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"PAR1": "a Parquet file; name it .parquet",
    b"\x93NUMPY": "a NumPy array; save it with np.savez('data.npz', X=X, y=y)",
    b"\x1f\x8b": "compressed with gzip; name it .csv.gz",
    b"BZh": "compressed with bzip2; unpack it: bunzip2 FILE",
    b"\xfd7zXZ": "compressed with xz; unpack it: unxz FILE",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it: unzstd FILE",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x89HDF": "an HDF5 file; save the table as CSV or Parquet",
    b"ARROW1": "an Arrow file; save the table as Parquet",
}


class Block(NamedTuple):
    """Whole records. line: of the first byte, from 1; offset: of it in the unpacked file."""

    data: bytes
    line: int
    offset: int

    def line_at(self, position: int) -> int:
        """The line of the file that holds this byte of the block."""
        return self.line + self.data.count(b"\n", 0, position)

    def after(self, position: int) -> "Block":
        """The block without its first bytes."""
        return Block(self.data[position:], self.line_at(position), self.offset + position)


def blocks(
    path: Path, *, size: int = SIZE, progress: Callable[[int], None] | None = None
) -> Iterator[Block]:
    """The file, unpacked, in blocks of whole records, each record ended by a line feed.

    A byte order mark is left out. The records do not depend on `size`.

    Args:
        path: a .csv or .csv.gz file that is there.
        size: bytes to read at once; blocks are about as long, or as long as one record.
        progress: told how many bytes of the file as stored have been read.

    Raises:
        DataError: another kind of file, a damaged one, NUL bytes, not UTF-8, broken quoting, a
            carriage return that ends no line. The message names the line.
    """
    with unpacked(path) as (stream, stored):
        buffer, line, offset = b"", 1, _skip_start(path, stream)
        ended = False
        while not ended:
            with _reading(path):
                chunk = stream.read(max(size, len(buffer)))
            ended = not chunk
            buffer = buffer + chunk if chunk else _with_line_feed(buffer)
            _refuse_nul(path, Block(buffer, line, offset), len(buffer) - len(chunk))
            if progress is not None:
                progress(stored.tell())
            whole = Block(buffer[: _end_of_records(buffer)], line, offset)
            if whole.data:
                _refuse_other_encodings(path, whole)
                yield whole
            rest = Block(buffer, line, offset).after(len(whole.data))
            _refuse_broken(path, rest, ended)
            buffer, line, offset = rest


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[tuple[Stream, io.BufferedReader]]:
    """The bytes of a file, unpacked where its name ends with .gz, and the file as stored."""
    with _reading(path):
        stored = open_file(path)
    with stored:
        if path.suffix.lower() != ".gz":
            yield stored, stored
            return
        with _reading(path):
            start = stored.peek(2)[:2]
        if start not in (b"", b"\x1f\x8b"):
            raise DataError(f"{path}: not compressed with gzip; name it .csv if it is plain text")
        with gzip.GzipFile(fileobj=stored) as stream:
            yield stream, stored


def fields(record: bytes) -> list[bytes]:
    """The fields of one whole record, unquoted.

    >>> fields(b'1,"a ""b"", c",\\r\\n')
    [b'1', b'a "b", c', b'']
    """
    found = re.finditer(rb'(?:"((?:[^"]++|"")*+)"|([^,\r\n]*+))(?:,|\r?\n)', record)
    return [
        plain if quoted is None else quoted.replace(b'""', b'"')
        for quoted, plain in (match.groups() for match in found)
    ]


def is_blank(record: bytes) -> bool:
    """Whether a record is an empty line, which is no row."""
    return record in (b"\n", b"\r\n")


def rewrite(path: Path, command: str) -> str:
    """What to type to send a file through a command.

    >>> rewrite(Path("a b.csv"), "iconv -f latin1 -t utf-8")
    "iconv -f latin1 -t utf-8 < 'a b.csv' > new.csv"
    >>> rewrite(Path("rows.csv.gz"), "tr -d X")
    'gzip -dc rows.csv.gz | tr -d X | gzip > new.csv.gz'
    """
    name = shell_word(path.name)
    if path.suffix.lower() == ".gz":
        return f"gzip -dc {name} | {command} | gzip > new.csv.gz"
    return f"{command} < {name} > new.csv"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong with reading itself, in words."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the gzip data is damaged or cut short; copy or compress it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _skip_start(path: Path, stream: Stream) -> int:
    """Pass over a byte order mark; refuse what the first bytes show to be no CSV in UTF-8."""
    with _reading(path):
        start = stream.peek(64)[:64]
        marked = len(stream.read(len(BOM))) if start.startswith(BOM) else 0
    if not start:
        raise DataError(f"{path}: the file is empty; its first line must name the columns")
    for magic, kind in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise DataError(f"{path}: not a CSV file but {kind}")
    encoding = _wide_encoding(start)
    if encoding:
        command = f"iconv -f {encoding.lower()} -t utf-8"
        raise DataError(
            f"{path}: line 1: the text is {encoding}, and UTF-8 is needed: {rewrite(path, command)}"
        )
    return marked


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark or by the zeros of plain letters."""
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    even, odd = start[::2], start[1::2]
    if len(start) >= 4 and even.count(0) == 0 and odd.count(0) > len(odd) // 2:
        return "UTF-16LE"
    if len(start) >= 4 and odd.count(0) == 0 and even.count(0) > len(even) // 2:
        return "UTF-16BE"
    return None


def _with_line_feed(buffer: bytes) -> bytes:
    """The last line ends, too, whether or not it was written so."""
    return buffer if not buffer or buffer.endswith(b"\n") else buffer + b"\n"


def _end_of_records(buffer: bytes) -> int:
    """The length of the whole, sound records at the start of the buffer."""
    if b'"' not in buffer and buffer.count(b"\r") == buffer.count(b"\r\n"):
        return buffer.rfind(b"\n") + 1
    match = _RECORDS.match(buffer)
    return match.end() if match else 0


def _refuse_nul(path: Path, block: Block, start: int) -> None:
    position = block.data.find(b"\0", start)
    if position >= 0:
        raise DataError(
            f"{path}: line {block.line_at(position)}: a NUL byte: the file is damaged or no text. "
            f"To take them out: {rewrite(path, _DROP_NUL)}"
        )


def _refuse_other_encodings(path: Path, block: Block) -> None:
    if block.data.isascii():
        return
    try:
        block.data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = block.data[error.start]
        raise DataError(
            f"{path}: line {block.line_at(error.start)}: not UTF-8 (byte 0x{byte:02x}). If the "
            f"text is latin-1: {rewrite(path, 'iconv -f latin1 -t utf-8')}"
        ) from None


def _refuse_broken(path: Path, rest: Block, ended: bool) -> None:
    """Refuse a beginning of a record that nothing further in the file could complete."""
    match = _PART.match(rest.data)
    stop = match.end() if match else 0  # the end, a carriage return or a quote that opens a field
    if rest.data[stop : stop + 1] == b'"':
        closed = _CLOSED.match(rest.data, stop)
        if closed is None and (ended or len(rest.data) > _LONGEST):
            within = "" if ended else f"within {_LONGEST >> 20} MiB"
            raise _never_closed(path, rest, stop, within)
        if closed is None:
            return
        stop = closed.end()
    following = rest.data[stop : stop + 2]
    if not ended and following in (b"", b"\r"):
        if len(rest.data) > _LONGEST:
            raise DataError(
                f"{path}: line {rest.line}: a row of more than {_LONGEST >> 20} MiB: this is no "
                "table of rows"
            )
    elif following[:1] == b"\r":
        _refuse_return(path, rest, stop)
    elif following:
        other = SEPARATORS.get(following[:1].decode("latin-1"))
        if other is not None and b"," not in rest.data[:stop]:
            raise other_separator(path, rest.line_at(stop), following[:1].decode())
        raise DataError(
            f"{path}: line {rest.line_at(stop)}: text after the closing quote of a field; "
            f'a quote within a quoted field is doubled: "a 6"" nail"'
        )


def other_separator(path: Path, line: int, separator: str) -> DataError:
    """The error for a file whose columns something else than commas separates."""
    name = "tabs" if separator == "\t" else f"{separator!r}"
    return DataError(
        f"{path}: line {line}: the columns seem to be separated by {name}, and ',' is "
        f"needed: pandas.read_csv({path.name!r}, sep='{SEPARATORS[separator]}').to_csv('new.csv', "
        f"index=False), with decimal=',' where numbers are written 3,14"
    )


def _never_closed(path: Path, rest: Block, position: int, within: str) -> DataError:
    return DataError(
        f"{path}: line {rest.line_at(position)}: a quote opens a field here and is "
        f"{f'not closed {within}' if within else 'never closed'}; "
        f'close it, or write a quote that is text as """"'
    )


def _refuse_return(path: Path, rest: Block, position: int) -> NoReturn:
    """Old Mac line ends, doubled ones of Windows, or a stray character."""
    following = rest.data[position + 1 : position + 3]
    old = rest.line == 1 and b"\n" not in rest.data[:-1]
    command = r"tr '\r' '\n'" if old and following[:1] != b"\r" else r"tr -d '\r'"
    raise DataError(
        f"{path}: line {rest.line_at(position)}: a carriage return without a line feed after it; "
        f"mend it: {rewrite(path, command)}"
    )
