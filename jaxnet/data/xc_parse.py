"""Lines of XC text to arrays, all of a block at once.

Every byte is a digit, a sign of a number or a delimiter, and the two delimiters around a field say
what it is: a label, the index of a feature, its value, or nothing. A block in which anything is
unlike that is read line by line instead (xc_line), which says what is wrong, or reads what is
merely unusual.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.data import xc_line
from jaxnet.data.sparse import SparseLabels, SparseRows, ends
from jaxnet.data.table import Array
from jaxnet.data.xc_blocks import Header, Lines, refuse

_LONGEST = 64  # characters of a field, for the quick way
_DIGITS = 10  # of a whole number, for the quick way

# What a byte is. Delimiters come first, so that two of them make one small number.
_LINE, _SPACE, _COMMA, _COLON, _DIGIT, _SIGN, _OTHER = range(7)
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[list(b"0123456789")] = _DIGIT
_KIND[list(b"+-.eE")] = _SIGN
_KIND[list(b"\n :,")] = (_LINE, _SPACE, _COLON, _COMMA)

# What a field is, by the delimiter before it and the one behind.
_WRONG, _LABEL, _NO_LABELS, _INDEX, _VALUE, _NOTHING = range(6)
_MEANING = np.full((4, 4), _WRONG, np.uint8)
_MEANING[_LINE, [_SPACE, _LINE, _COMMA]] = _LABEL
_MEANING[_COMMA, [_SPACE, _LINE, _COMMA]] = _LABEL
_MEANING[_SPACE, _COLON] = _INDEX
_MEANING[_COLON, [_SPACE, _LINE]] = _VALUE
_MEANING[_SPACE, [_SPACE, _LINE]] = _NOTHING
_WITHOUT_LABELS = _MEANING.copy()
_WITHOUT_LABELS[_LINE] = _WRONG
_WITHOUT_LABELS[_LINE, _SPACE] = _NO_LABELS
_WITHOUT_LABELS[_LINE, _COLON] = _INDEX


class Parsed(NamedTuple):
    """The rows of a block. labels: None where the header gives none; twice: the row of each label
    that stood in it once too often."""

    x: SparseRows
    labels: SparseLabels | None
    twice: Array


class _Unusual(Exception):
    """Not as nearly all files are: to be read line by line."""


class _Entries(NamedTuple):
    """As written: the row, index and value of each feature, the row and number of each label."""

    rows: int
    at: Array
    indices: Array
    values: Array
    label_at: Array
    labels: Array


def parse(path: Path, lines: Lines, header: Header) -> Parsed:
    """The rows in some lines.

    Raises DataError for the first line with something wrong.

    >>> found = parse(Path("a.txt"), Lines(b"3,1 7:0.5\\n 2:1 4:2\\n", 2), Header(2, 10, 4))
    >>> found.x.indices.tolist(), found.labels.indices.tolist()
    ([7, 2, 4], [1, 3])
    """
    try:
        return _assembled(_quickly(lines.data, header), header)
    except _Unusual:
        return _assembled(_by_line(path, lines, header), header)


def _quickly(data: bytes, header: Header) -> _Entries:
    """Everything at once, of lines without anything unusual. Raises _Unusual."""
    buffer = np.frombuffer(data, np.uint8)
    kind = _KIND[buffer]
    if np.max(kind) == _OTHER:
        raise _Unusual
    stop = np.flatnonzero(kind < _DIGIT)
    behind = kind[stop]
    before = np.concatenate([np.array([_LINE], np.uint8), behind[:-1]])
    start = np.concatenate([[0], stop[:-1] + 1])
    meaning = (_MEANING if header.labels is not None else _WITHOUT_LABELS)[before, behind]
    length = stop - start
    _refuse_empty_or_full(meaning, length, (before == _LINE) & (behind == _SPACE))
    signs = np.flatnonzero(kind == _SIGN)
    if (meaning[np.searchsorted(stop, signs)] != _VALUE).any():
        raise _Unusual
    row = np.cumsum(before == _LINE) - 1
    is_label = (meaning == _LABEL) & (length > 0)
    is_index, is_value = meaning == _INDEX, meaning == _VALUE
    return _Entries(
        int(row[-1]) + 1,
        row[is_index],
        _whole(buffer, start[is_index], length[is_index]),
        _reals(buffer, kind, start[is_value], stop[is_value]),
        row[is_label],
        _whole(buffer, start[is_label], length[is_label]),
    )


def _refuse_empty_or_full(meaning: Array, length: Array, first: Array) -> None:
    """Fields that must hold something do, and the others do not; `first` may be empty."""
    filled = length > 0
    empty_is_right = (meaning == _NOTHING) | (meaning == _NO_LABELS)
    if (meaning == _WRONG).any() or (filled & empty_is_right).any():
        raise _Unusual
    if (~filled & ~empty_is_right & ~((meaning == _LABEL) & first)).any():
        raise _Unusual
    if length.max() > _LONGEST:
        raise _Unusual


def _whole(buffer: Array, start: Array, length: Array) -> Array:
    """Fields of digits as int64."""
    most = int(length.max(initial=0))
    if most > _DIGITS:
        raise _Unusual
    found = np.zeros(len(start), np.int64)
    for place in range(most):
        there = length > place
        digit = buffer[np.where(there, start + place, start)].astype(np.int64) - ord("0")
        found = np.where(there, found * 10 + digit, found)
    return found


def _reals(buffer: Array, kind: Array, start: Array, stop: Array) -> Array:
    """Fields of digits and signs as float32, rounded from the nearest float64."""
    import pyarrow as pa

    # The fields one after another without what lies between, as Arrow holds texts.
    inside = np.zeros(len(buffer) + 1, np.int8)
    inside[start] += 1
    inside[stop] -= 1
    texts = buffer[np.cumsum(inside[:-1], dtype=np.int8).view(bool)]
    offsets = ends(stop - start)
    strings = pa.LargeStringArray.from_buffers(
        len(start), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(texts))
    )
    try:
        found = strings.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise _Unusual from None
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


def _by_line(path: Path, lines: Lines, header: Header) -> _Entries:
    """Line by line; of a line with something wrong, what it is."""
    found = []
    for number, line in enumerate(lines.data[:-1].split(b"\n"), start=lines.line):
        try:
            found.append(xc_line.parse(line, header))
        except xc_line.Wrong as error:
            refuse(path, number, str(error))
    each = np.arange(len(found))
    return _Entries(
        len(found),
        np.repeat(each, [len(row.indices) for row in found]),
        np.array([index for row in found for index in row.indices], np.int64),
        np.array([value for row in found for value in row.values], np.float64).astype(np.float32),
        np.repeat(each, [len(row.labels) for row in found]),
        np.array([label for row in found for label in row.labels], np.int64),
    )


def _assembled(found: _Entries, header: Header) -> Parsed:
    """Rows in order. Raises _Unusual for an index out of range or twice in a row, and for a value
    that is not finite."""
    limit = header.labels or 0
    if found.indices.max(initial=-1) >= header.columns or found.labels.max(initial=-1) >= limit:
        raise _Unusual
    if not np.isfinite(found.values).all():
        raise _Unusual
    row, index, order = _in_order(found.at, found.indices, header.columns)
    if ((np.diff(row) == 0) & (np.diff(index) == 0)).any():
        raise _Unusual
    indptr = ends(np.bincount(row, minlength=found.rows))
    x = SparseRows(indptr, index.astype(np.int32), found.values[order], header.columns)
    row, label, _ = _in_order(found.label_at, found.labels, limit)
    again = np.zeros(len(row), bool)
    again[1:] = (np.diff(row) == 0) & (np.diff(label) == 0)
    if header.labels is None:
        return Parsed(x, None, row[:0])
    indptr = ends(np.bincount(row[~again], minlength=found.rows))
    labels = SparseLabels(indptr, label[~again].astype(np.int32), limit)
    return Parsed(x, labels, row[again])


def _in_order(row: Array, index: Array, columns: int) -> tuple[Array, Array, Array | slice]:
    """By row and index, and the order that does it; nearly always they are already."""
    key = row * columns + index
    if (np.diff(key) > 0).all():
        return row, index, slice(None)
    order = np.argsort(key, kind="stable")
    return row[order], index[order], order
