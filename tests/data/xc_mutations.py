"""Broken XC text, each a function of its seed, and what an obvious reader says of it.

Used by tests/data/test_xc_fuzz.py, which reads the first 2,000.
"""

import gzip
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.data import xc_reader
from jaxnet.data.sparse import SparseTable
from jaxnet.errors import DataError
from tests.data.csv_mutations import MUTATIONS as OF_ANY_TEXT

VALUES = ["1", "0.5", "0.181914", "1", "2.75", "3", "0.0625"]
UNUSUAL = ["1e-3", "2E5", "-1.5", "+2", ".5", "5.", "0", "-0", "1e-50", "3.4028235e38", "00.10"]
UNUSUAL += ["0.1" + "0" * 70, "0.333333333333333333333", "16777217", "1e+2", "-.25e1"]
BAD_VALUES = [
    "nan",
    "inf",
    "-Infinity",
    "1e39",
    "1e999",
    "",
    "x",
    "1,5",
    "1e",
    "--1",
    "1.2.3",
    "e5",
]
BAD_VALUES += ["0x10", "1_0", ".", "-", "+", "1e5.0", "Ñ", "٣"]
JUNK = [" ", ":", ",", "\n", "\r\n", "\r", "\t", "-", "9", "e", ".", "\0", "\ufeff", "  ", "\n\n"]
WITHOUT_A_LINE = ("the file is empty", "the gzip data", "not compressed")

_NUM = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_HEADER = re.compile(r" *([0-9]+) +([0-9]+)(?: +([0-9]+))? *")
_LABELLED = re.compile(rf"([0-9]+(?:,[0-9]+)*)?((?: +[0-9]+:{_NUM})*) *")
_BARE = re.compile(rf"()( *[0-9]+:{_NUM}(?: +[0-9]+:{_NUM})* *| +)")
_LARGEST = 2**31 - 1


class Case(NamedTuple):
    """A file. text: its bytes unpacked, or None where the packed ones are damaged."""

    name: str
    stored: bytes
    text: bytes | None


class Reading(NamedTuple):
    """Shape, features and labels of each row; or the first line that is wrong."""

    shape: tuple[int, int, int | None] | None
    features: list[dict[int, np.float32]]
    labels: list[set[int]]
    repeated: int
    wrong: int | None


def case(seed: int) -> Case:
    """The file of this seed: one that was written well, then up to three mutations."""
    rng = random.Random(seed)
    text = _table(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3))):
        text = rng.choice(MUTATIONS)(rng, text)
    if rng.random() < 0.8:
        return Case("rows.txt", text, text)
    return _packed(rng, text)


def _table(rng: random.Random) -> bytes:
    """A sound file, in one of the manners in which programs write them."""
    n, d, k = rng.choice((1, 2, 5, 12)), rng.choice((1, 3, 40, 20_000)), rng.choice((1, 4, 9_000))
    bare, unusual = rng.random() < 0.15, rng.random() < 0.3
    lines = [f"{n} {d}" if bare else f"{n} {d} {k}"]
    for _ in range(n):
        labels = [rng.randrange(k) for _ in range(rng.choice((0, 1, 1, 3)))]
        if rng.random() < 0.8:
            labels = sorted(set(labels))
        features = rng.sample(range(d), min(d, rng.choice((0, 1, 4))))
        if rng.random() < 0.8:
            features.sort()
        pairs = [f"{index}:{_value(rng, unusual)}" for index in features]
        head = "" if bare else ",".join(map(str, labels))
        gap = " " * rng.choice((1, 1, 2)) if unusual else " "
        end = rng.choice(("", " ", "  ")) if unusual else ""
        line = gap.join([head, *pairs]) + end
        if bare and pairs and rng.random() < 0.5:
            line = line.lstrip()
        lines.append(line or " ")
    return ("\n".join(lines) + "\n").encode()


def _value(rng: random.Random, unusual: bool) -> str:
    return rng.choice(VALUES + UNUSUAL if unusual else VALUES)


def _insert(rng: random.Random, text: bytes) -> bytes:
    place = rng.randint(0, len(text))
    return text[:place] + rng.choice(JUNK).encode() + text[place:]


def _drop_one_of(rng: random.Random, text: bytes) -> bytes:
    """One delimiter less."""
    return _one_sign(rng, text, b"")


def _other_delimiter(rng: random.Random, text: bytes) -> bytes:
    return _one_sign(rng, text, rng.choice(JUNK).encode())


def _one_sign(rng: random.Random, text: bytes, new: bytes) -> bytes:
    places = [match.start() for match in re.finditer(rb"[,: \n]", text)]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + new + text[place + 1 :]


def _other_number(rng: random.Random, text: bytes) -> bytes:
    """A label, an index, a value or a number of the header becomes another."""
    places = list(re.finditer(rb"[0-9.]+", text))
    if not places:
        return text
    match = rng.choice(places)
    new = rng.choice((b"-1", b"20000", b"8999", b"0", b"0000000000007", b"2147483648", b"9" * 30))
    return text[: match.start()] + new + text[match.end() :]


def _other_value(rng: random.Random, text: bytes) -> bytes:
    places = list(re.finditer(rb":[0-9.]+", text))
    if not places:
        return text
    match = rng.choice(places)
    return text[: match.start()] + b":" + rng.choice(BAD_VALUES).encode() + text[match.end() :]


def _repeat_word(rng: random.Random, text: bytes) -> bytes:
    """A feature, or a label, twice."""
    places = list(re.finditer(rb" [0-9]+:[0-9.]+|[0-9]+,", text))
    if not places:
        return text
    match = rng.choice(places)
    return text[: match.end()] + match[0] + text[match.end() :]


def _lines_changed(rng: random.Random, text: bytes) -> bytes:
    """A line twice, one less, or an empty one."""
    lines = text.splitlines(keepends=True) or [b""]
    place = rng.randrange(len(lines))
    lines[place : place + 1] = rng.choice(([], [lines[place]] * 2, [b"\n"], [b"\n", lines[place]]))
    return b"".join(lines)


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [
    *OF_ANY_TEXT,
    *[_insert, _drop_one_of, _other_delimiter, _other_number, _other_value] * 3,
    *[_repeat_word, _lines_changed] * 2,
    lambda rng, text: text + b"\n\n",
    lambda rng, text: text.rstrip(b"\n"),
]


def _packed(rng: random.Random, text: bytes) -> Case:
    """With gzip, one time in three damaged afterwards."""
    stored = gzip.compress(text, mtime=0)
    if rng.random() < 0.33:
        place = rng.randrange(len(stored))
        stored = stored[:place] + rng.choice((b"", b"x", b"\0")) + stored[place + 1 :]
    if rng.random() < 0.1:
        stored = stored[: rng.randrange(len(stored))]
    try:
        return Case("rows.txt.gz", stored, gzip.decompress(stored))
    except (EOFError, OSError, zlib.error):
        return Case("rows.txt.gz", stored, None)


def reference(text: bytes) -> Reading:
    """Line by line with a regular expression a line, and no thought of speed."""
    body = text.removeprefix(b"\xef\xbb\xbf")
    if not body.endswith(b"\n"):
        body += b"\n"
    lines = body.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    head = _HEADER.fullmatch(lines[0].decode("latin-1"))
    if head is None:
        return Reading(None, [], [], 0, 1)
    n, d = int(head[1]), int(head[2])
    k = None if head[3] is None else int(head[3])
    if not 0 < n <= _LARGEST or not 0 < d <= _LARGEST or (k or 0) > _LARGEST:
        return Reading(None, [], [], 0, 1)
    features: list[dict[int, np.float32]] = []
    labels: list[set[int]] = []
    repeated = 0
    for number, line in enumerate(lines[1:], 2):
        row = _row(line.decode("latin-1"), d, k) if number <= n + 1 else None
        if row is None:
            return Reading((n, d, k), features, labels, repeated, number)
        features.append(row[0])
        labels.append(set(row[1]))
        repeated += len(row[1]) - len(labels[-1])
    wrong = None if len(features) == n else len(lines)
    return Reading((n, d, k), features, labels, repeated, wrong)


def _row(line: str, d: int, k: int | None) -> tuple[dict[int, np.float32], list[int]] | None:
    match = (_BARE if k is None else _LABELLED).fullmatch(line)
    if match is None or not line:
        return None
    labels = [int(word) for word in (match[1] or "").split(",") if word]
    found: dict[int, np.float32] = {}
    for word in match[2].split():
        index, value = word.split(":")
        with np.errstate(over="ignore"):
            number = np.float32(float(value))
        if int(index) >= d or int(index) in found or not np.isfinite(number):
            return None
        found[int(index)] = number
    return None if any(label >= (k or 0) for label in labels) else (found, labels)


def judge(given: Case, folder: Path, *, size: int, rows: int) -> str | None:
    """None where the reader did right by this file, else what it did wrong.

    Right is: the rows of the reference, whole and in pieces; or a refusal, in the same line.
    """
    path = folder / given.name
    path.write_bytes(given.stored)
    expected = None if given.text is None else reference(given.text)
    try:
        found = [xc_reader.read(path, size=size)]
        pieces = list(xc_reader.stream(path, rows, size=size))
    except DataError as error:
        return _judge_refusal(str(error).removeprefix(f"{path}: "), expected)
    if expected is None or expected.wrong is not None:
        return f"read without a word: {expected}"
    if [len(piece.x) for piece in pieces[:-1]] != [rows] * (len(pieces) - 1):
        return f"pieces of {[len(piece.x) for piece in pieces]} rows"
    return _compared(found, expected) or _compared(pieces, expected)


def _compared(tables: list[SparseTable], expected: Reading) -> str | None:
    features, labels, places = [], [], []
    for table in tables:
        for row in range(len(table.x)):
            here = slice(*table.x.indptr[row : row + 2])
            indices, values = table.x.indices[here], table.x.values[here]
            if (np.diff(indices) <= 0).any():
                return f"indices that do not rise: {indices}"
            features.append(dict(zip(indices.tolist(), values, strict=True)))
            places.append(table.where(row).rpartition("line ")[2])
            if table.labels is not None:
                here = slice(*table.labels.indptr[row : row + 2])
                own = table.labels.indices[here].tolist()
                if own != sorted(set(own)):
                    return f"labels that do not rise: {own}"
                labels.append(set(own))
        k = None if table.labels is None else table.labels.labels
        if expected.shape is None or (table.x.columns, k) != expected.shape[1:]:
            return f"shape {table.x.columns}, {k} instead of {expected.shape}"
    if features != expected.features:
        return f"other features: {features} instead of {expected.features}"
    if labels and labels != expected.labels:
        return f"other labels: {labels} instead of {expected.labels}"
    if any(table.notes for table in tables) != bool(expected.repeated):
        return f"notes: {[table.notes for table in tables]}"
    if places != [str(row + 2) for row in range(len(features))]:
        return f"other places: {places}"
    return None


def _judge_refusal(text: str, expected: Reading | None) -> str | None:
    line = re.match(r"line (\d+): .", text)
    if line is None and not text.startswith(WITHOUT_A_LINE):
        return f"the refusal names no line: {text}"
    if expected is None:
        return None
    if expected.wrong is None:
        return f"refused a sound file: {text}"
    if line is not None and int(line[1]) != expected.wrong:
        return f"the first wrong line is {expected.wrong}: {text}"
    return None
