"""Broken CSV files, each a function of its seed, and what Python's csv module says of them.

Used by tests/data/test_csv_fuzz.py and, with many more seeds, by scripts/fuzz_csv.py.
"""

import csv
import gzip
import io
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from jaxnet.data import csv_reader
from jaxnet.errors import DataError

CELLS = [
    *"ab1",
    "",
    "3.5",
    "-1e-7",
    "NA",
    "x y",
    "a,b",
    'say "hi"',
    "two\nlines",
    "c\r\nd",
    "é",
    "\u2028",
]
CELLS += ['"', "=1+1", "\ufeff", "lone\rreturn", "0" * 300, " ", "'", "007"]
JUNK = [
    ",",
    '"',
    "\n",
    "\r\n",
    "\r",
    ";",
    "\t",
    "\0",
    '""',
    ',"',
    '",',
    "\n\n",
    "\n \n",
    "x",
    "\ufeff",
]
WITHOUT_A_LINE = ("the file is empty", "not a CSV file but", "not compressed", "the gzip data")

_LONE_RETURN = re.compile(rb"\r(?!\n)")
# What the reader refuses in files that are tables for Python, and what such a file must hold.
ONLY_OURS = {
    "a NUL byte": re.compile(rb"\0"),
    "the text is UTF-": re.compile(rb"\0"),
    "a carriage return without": _LONE_RETURN,
    "seem to be separated by": re.compile(rb"[;\t|]"),
    "in a file of one column": re.compile(rb"^(\r?\n|\r\Z)", re.MULTILINE),
    "not a CSV file but": re.compile(rb"\A(PK\x03\x04|PAR1|BZh|ARROW1)"),
}


class Case(NamedTuple):
    """A file. text: its bytes unpacked, or None where the packed ones are damaged."""

    name: str
    stored: bytes
    text: bytes | None


class Reading(NamedTuple):
    """rows: with the header first; lines: where each begins; problem: why it is no table."""

    rows: list[list[str]]
    lines: list[int]
    problem: str | None


def case(seed: int) -> Case:
    """The file of this seed: a table that was written well, then up to four mutations."""
    rng = random.Random(seed)
    text = _table(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 4))):
        text = rng.choice(MUTATIONS)(rng, text)
    if rng.random() < 0.8:
        return Case("rows.csv", text, text)
    return _packed(rng, text)


def _table(rng: random.Random) -> bytes:
    """A sound file, in one of the manners in which programs write them."""
    columns, rows = rng.choice((1, 2, 3, 5)), rng.choice((1, 2, 4, 9))
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        quoting=rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        lineterminator=rng.choice(("\n", "\n", "\r\n")),
    )
    names = [f"{rng.choice(('a', 'long name', 'é', 'x,y'))}{i}" for i in range(columns)]
    writer.writerow(names)
    for _ in range(rows):
        writer.writerow([rng.choice(CELLS) for _ in range(columns)])
    return out.getvalue().encode()


def _insert(rng: random.Random, text: bytes) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + rng.choice(JUNK).encode() + text[place:]


def _delete(rng: random.Random, text: bytes) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + text[place + rng.choice((1, 1, 2, 5)) :]


def _drop_one_of(rng: random.Random, text: bytes) -> bytes:
    """One delimiter, quote or line end less."""
    places = [match.start() for match in re.finditer(rb'[,"\n\r]', text)]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + text[place + 1 :]


def _replace_byte(rng: random.Random, text: bytes) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :]


def _repeat(rng: random.Random, text: bytes) -> bytes:
    start, stop = sorted(rng.randint(0, len(text)) for _ in "ab")
    return text[:stop] + text[start:stop] + text[stop:]


def _ragged(rng: random.Random, text: bytes) -> bytes:
    """A field more, or one less, at the end of some line."""
    lines = text.splitlines(keepends=True) or [b""]
    i = rng.randrange(len(lines))
    body = lines[i].rstrip(b"\r\n")
    changed = body + b",x" if rng.random() < 0.5 else body.rpartition(b",")[0]
    lines[i] = changed + lines[i][len(body) :]
    return b"".join(lines)


def _blank_line(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    lines.insert(rng.randint(0, len(lines)), rng.choice((b"\n", b"\r\n", b" \n", b"\n\n")))
    return b"".join(lines)


def _reencode(rng: random.Random, text: bytes) -> bytes:
    code = rng.choice(("latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"))
    return text.decode("utf-8", "replace").encode(code, "replace")


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [
    _insert,
    _insert,
    _delete,
    _drop_one_of,
    _drop_one_of,
    _replace_byte,
    _repeat,
    _ragged,
    _blank_line,
    _reencode,
    lambda rng, text: b"\xef\xbb\xbf" + text,
    lambda rng, text: text[: rng.randint(0, len(text))],  # cut short
    lambda rng, text: text.rstrip(b"\r\n"),
    lambda rng, text: text + rng.choice((b"\n", b"\r\n\r\n", b"\n\n\n", b"\r", b",", b'"')),
    lambda rng, text: text.replace(b"\n", b"\r\n"),
    lambda rng, text: text.replace(b"\n", b"\r"),
    lambda rng, text: text.replace(b",", rng.choice((b";", b"\t", b"|", b", "))),
    lambda rng, text: text.replace(b'"', rng.choice((b"'", b'""', b""))),
    lambda rng, text: rng.choice((b"PK\x03\x04", b"PAR1", b"\x93NUMPY", b"\x1f\x8b")) + text,
]


def _packed(rng: random.Random, text: bytes) -> Case:
    """With gzip, one time in three damaged afterwards, and now and then not packed at all."""
    stored = gzip.compress(text, mtime=0)
    if rng.random() < 0.33:
        damage = rng.choice(MUTATIONS[2:6])
        stored = damage(rng, stored)
    if rng.random() < 0.05:
        return Case("rows.csv.gz", text, None)
    try:
        return Case("rows.csv.gz", stored, gzip.decompress(stored))
    except (EOFError, OSError, zlib.error):
        return Case("rows.csv.gz", stored, None)


def reference(text: bytes) -> Reading:
    """The rows by Python's csv module, strictly, and the first thing that makes it no table."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Reading([], [], "encoding")
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(decoded, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error:
            return Reading(rows, lines, "quoting")
        if row is None:
            break
        if row:
            rows.append(row)
            lines.append(line)
    return Reading(rows, lines, _problem(rows))


def _problem(rows: list[list[str]]) -> str | None:
    if len(rows) < 2:
        return "no rows"
    names = rows[0]
    if not all(name.strip() for name in names) or max(Counter(names).values()) > 1:
        return "names"
    if any(len(row) != len(names) for row in rows):
        return "ragged"
    return None


def judge(given: Case, folder: Path, *, size: int) -> str | None:
    """None where the reader did right by this file, else what it did wrong.

    Right is: the same cells as the reference, from the same lines; or a refusal that names a line,
    of a file that is no table or that holds what only the reader refuses.
    """
    path = folder / given.name
    path.write_bytes(given.stored)
    expected = Reading([], [], "damaged") if given.text is None else reference(given.text)
    try:
        tables, place = csv_reader.tables(path, size=size)
        table = pa.concat_tables(tables)
    except DataError as error:
        return _judge_refusal(str(error).removeprefix(f"{path}: "), given, expected)
    if expected.problem:
        return f"read without a word: {expected.problem}"
    cells = [list(table.column_names), *map(list, zip(*table.to_pydict().values(), strict=True))]
    if cells != expected.rows:
        return f"other cells: {cells} instead of {expected.rows}"
    places = [place(row) for row in range(table.num_rows)]
    lines = [f"{path}: line {line}" for line in expected.lines[1:]]
    if places != lines and not _LONE_RETURN.search(given.text or b""):  # a line only for Python
        return f"other lines: {places} instead of {lines}"
    return None


def _judge_refusal(text: str, given: Case, expected: Reading) -> str | None:
    if not re.match(r"line \d+: ", text) and not text.startswith(WITHOUT_A_LINE):
        return f"the refusal names no line: {text}"
    content = given.text or b""
    if expected.problem is None:
        reasons = [holds for words, holds in ONLY_OURS.items() if words in text]
        if not reasons or not reasons[0].search(content):
            return f"refused a sound file: {text}"
    if expected.problem == "ragged" and "the header names" in text:
        odd = [len(row) != len(expected.rows[0]) for row in expected.rows].index(True)
        line = expected.lines[odd]
        if not text.startswith(f"line {line}: ") and not _LONE_RETURN.search(content):
            return f"the first ragged row is in line {line}: {text}"
    return None


def size_of(seed: int) -> int:
    """How many bytes to read at once: often few, so that blocks end at every kind of place."""
    return random.Random(f"size {seed}").choice((1, 2, 3, 7, 64, 1 << 20))
