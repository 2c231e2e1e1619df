"""The bytes of an XC text file in blocks of whole lines, and its header."""

import contextlib
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias

from jaxnet.data.places import refuse_absent, refuse_other_than_file
from jaxnet.data.sparse_entries import LARGEST
from jaxnet.errors import DataError
from jaxnet.files import open_file
from jaxnet.printable import shell_word

SUFFIXES = (".txt", ".txt.gz")
SIZE = 1 << 22  # bytes read at once: what is made of them stays small beside the memory
_LONGEST = 1 << 28  # bytes of one line: past it, this is no text of rows
_BOM = b"\xef\xbb\xbf"
_SHOWN = 40
_FORM = "the first line must give three numbers: rows features labels"

Stream: TypeAlias = io.BufferedReader | gzip.GzipFile


class Header(NamedTuple):
    """The first line. labels: None where it gives rows and features alone."""

    rows: int
    columns: int
    labels: int | None

    @property
    def written(self) -> bool:
        """Whether the file has this line; where it is `assumed`, nobody knows how many rows."""
        return self.rows <= LARGEST


def assumed(columns: int, labels: int) -> Header:
    """What stands in for the first line of a file that begins with its first row.

    >>> assumed(10, 4).written
    False
    """
    return Header(LARGEST + 1, columns, labels)


class Lines(NamedTuple):
    """Whole lines, each ended by a line feed alone. line: the number of the first, from 1."""

    data: bytes
    line: int


def existing_file(path: str | Path) -> Path:
    """The path of a file that is there and whose name has the right ending.

    Raises DataError otherwise.

    >>> existing_file("rows.dat")
    Traceback (most recent call last):
    ...
    jaxnet.errors.DataError: rows.dat: unknown kind of file; XC text is .txt or .txt.gz
    """
    path = Path(path)
    refuse_other_than_file(path)
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(f"{path}: unknown kind of file; XC text is .txt or .txt.gz")
    refuse_absent(path)
    return path


@contextlib.contextmanager
def opened(
    path: Path,
    *,
    size: int = SIZE,
    progress: Callable[[int], None] | None = None,
    without: Header | None = None,
) -> Iterator[tuple[Header, Iterator[Lines]]]:
    """The header of a file, and the lines below it in blocks; closed on leaving.

    Line ends of Windows, a byte order mark, a last line without an end and empty lines after the
    last row are all read as if they were not there. The lines do not depend on `size`.

    Args:
        path: a file that is there.
        size: bytes to read at once; blocks are about as long, or as long as one line.
        progress: told how many bytes of the file as stored have been read.
        without: `assumed` of a file without a header; None: it must have one. Whether such rows
            have labels the first one says: it has none if it begins with a feature.

    Raises:
        DataError: a damaged file, no header, another one.
    """
    with _unpacked(path) as (stream, stored):

        def read(amount: int) -> bytes:
            with _reading(path):
                data = stream.read(amount)
            if progress is not None:
                progress(stored.tell())
            return data

        found = _lines(path, read, size)
        first = next(found, None)
        if first is None:
            raise DataError(f"{path}: the file is empty; {_FORM}")
        line, _, rest = first.data.partition(b"\n")
        if without is not None and _is_row(line):
            bare = b":" in line.split(b" ")[0]
            head = without._replace(labels=None) if bare else without
            yield head, itertools.chain([first], found)
            return
        yield _header(path, line), _below(rest, found)


def refuse(path: Path, line: int, what: str) -> NoReturn:
    """The error for what is wrong in a line."""
    raise DataError(f"{path}: line {line}: {what}") from None


def edited(path: Path, command: str) -> str:
    """What to type to send a file through sed, say.

    >>> edited(Path("a b.txt.gz"), "sed 1d")
    "gzip -dc 'a b.txt.gz' | sed 1d | gzip > new.txt.gz"
    """
    name = shell_word(path.name)
    if path.suffix.lower() == ".gz":
        return f"gzip -dc {name} | {command} | gzip > new.txt.gz"
    return f"{command} < {name} > new.txt"


def shown(text: bytes) -> str:
    """A piece of a line in an error text."""
    cut = text.decode("utf-8", "backslashreplace")
    return repr(cut if len(cut) <= _SHOWN else cut[:_SHOWN] + "…")


def _is_row(line: bytes) -> bool:
    """Whether a first line is no header: it has a feature, or several labels."""
    return b":" in line or b"," in line


def _below(rest: bytes, found: Iterator[Lines]) -> Iterator[Lines]:
    if rest:
        yield Lines(rest, 2)
    yield from found


def _header(path: Path, line: bytes) -> Header:
    """The numbers of the first line."""
    words = line.split(b" ")
    numbers = [word for word in words if word]
    if not all(re.fullmatch(rb"[0-9]+", word) for word in numbers) or len(numbers) not in (2, 3):
        refuse(path, 1, _no_header(path, line))
    values = [int(word) if len(word) < 20 else LARGEST + 1 for word in numbers]
    for value, name in zip(values, ("rows", "features", "labels"), strict=False):
        if value > LARGEST:
            refuse(path, 1, f"{shown(line)}: at most {LARGEST} {name} can be used")
    if values[0] == 0 or values[1] == 0:
        refuse(path, 1, f"{shown(line)}: no {'features' if values[0] else 'rows'}")
    return Header(values[0], values[1], values[2] if len(values) == 3 else None)


def _no_header(path: Path, line: bytes) -> str:
    """Why a first line is none, and what to do."""
    if line[:2] == b"\x1f\x8b":
        return "compressed with gzip; name it .txt.gz"
    if b"\0" in line or line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return f"no UTF-8 text. If it is UTF-16: {edited(path, 'iconv -f utf-16 -t utf-8')}"
    if b"\r" in line:
        command = edited(path, r"tr '\r' '\n'")
        return f"a carriage return without a line feed after it; mend it: {command}"
    if b":" in line:
        command = edited(path, "sed '1i ROWS FEATURES LABELS'")
        return f"{_FORM}; found {shown(line)}. To put them in: {command}"
    return f"{_FORM}; found {shown(line)}"


def _lines(path: Path, read: Callable[[int], bytes], size: int) -> Iterator[Lines]:
    """Whole lines; empty ones come only with something behind them."""
    buffer, line = read(max(size, 1 + len(_BOM))).removeprefix(_BOM), 1
    ended = not buffer
    while buffer:
        end = buffer.rfind(b"\n") + 1
        whole = buffer[:end].replace(b"\r\n", b"\n")
        kept = whole.rstrip(b"\n")
        if kept:
            data = whole[: len(kept) + 1]
            yield Lines(data, line)
            line += data.count(b"\n")
            whole = whole[len(data) :]
        buffer = whole + buffer[end:]  # empty lines, then the beginning of one
        if len(buffer) > _LONGEST:
            refuse(path, line, f"longer than {_LONGEST >> 20} MiB: this is no file of rows")
        if ended:
            return
        chunk = read(max(size, len(buffer)))
        ended = not chunk
        buffer = buffer + (chunk or b"\n")


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Stream, io.BufferedReader]]:
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
            raise DataError(f"{path}: not compressed with gzip; name it .txt if it is plain text")
        with gzip.GzipFile(fileobj=stored) as stream:
            yield stream, stored


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
