"""A column as numbers: from text by a plain decimal grammar, or from cells that have a type.

A number is written [+-]digits[.digits][e[+-]digits], blanks around it allowed. `inf`, `nan`,
hexadecimal digits, underscores and thousands separators are no numbers. The conversion is
vectorised: pyarrow casts the whole column, and only if that fails are its distinct cells looked at
more closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import missing
from jaxnet.data.arrow_columns import is_plain
from jaxnet.data.categories import coded, is_text
from jaxnet.data.table import Array

FLOAT64_WHOLE = 2**53  # float64 holds every whole number up to here

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_GROUPED = r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?$"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_LEADING_ZERO = r"^[+-]?0[0-9]"
_TRUTH = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "1": 1.0, "1.0": 1.0}
_TRUTH |= {"false": 0.0, "False": 0.0, "FALSE": 0.0, "0": 0.0, "0.0": 0.0}
_NONE = np.empty(0, np.int64)


class Numbers(NamedTuple):
    """values: float64 (n,), NaN where a cell is missing or no number.

    odd: rows whose cell is neither missing nor a number.
    infinite: rows whose cell is infinite, or overflows float64.
    codes: rows whose number would not read back as it was written: leading zeros, whole numbers
        over 2^53. They are names made of digits.
    """

    values: Array
    odd: Array = _NONE
    infinite: Array = _NONE
    codes: Array = _NONE

    def __len__(self) -> int:
        return len(self.values)


def of(column: Any, tokens: tuple[str, ...]) -> Numbers | None:
    """The numbers of a pyarrow column; None where its type has none (lists, bytes, ...).

    Text: see above. Booleans are 0 and 1; dates and times are seconds since 1970 (of a time of
    day: since midnight); a null and a float NaN are missing.

    >>> import pyarrow as pa
    >>> of(pa.chunked_array([["1", " 2.5 ", "", "?", "many"]]), missing.TOKENS)[:2]
    (array([1. , 2.5, nan, nan, nan]), array([4]))
    >>> of(pa.chunked_array([[True, None]]), ()).values
    array([ 1., nan])
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_plain(kind):
        return None
    if is_text(kind):
        return _of_text(column, tokens)
    if pa.types.is_null(kind):
        return Numbers(np.full(len(column), np.nan))
    return _of_typed(column, kind)


def booleans(column: Any, tokens: tuple[str, ...]) -> Numbers | None:
    """The 0 and 1 of a column of truth values; every other cell is odd. None as of `of`.

    Text: true and false, in small letters, in capitals or with a capital, and 1 and 0.

    >>> import pyarrow as pa
    >>> booleans(pa.chunked_array([["True", "FALSE", "?", "yes", "1"]]), missing.TOKENS)[:2]
    (array([ 1.,  0., nan, nan,  1.]), array([3]))
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text(getattr(column.type, "value_type", column.type)):
        found = of(column, tokens)
        if found is None:
            return None
        sound = np.isnan(found.values) | (found.values == 0) | (found.values == 1)
        return Numbers(found.values, np.flatnonzero(~sound))
    places, cells = coded(column)
    gone = missing.mask(cells, tokens)
    known = pa.array([*_TRUTH], cells.type)
    found_at = pc.fill_null(pc.index_in(pc.utf8_trim_whitespace(cells), value_set=known), -1)
    of_word = np.array([*_TRUTH.values(), np.nan])  # the last for -1
    values = np.append(of_word[found_at.to_numpy(zero_copy_only=False)], np.nan)
    odd = np.append(np.isnan(values[:-1]) & ~gone, False)
    return Numbers(values[places], np.flatnonzero(odd[places]))


def is_temporal(kind: Any) -> bool:
    """Whether a pyarrow type is a date, a time or a duration."""
    import pyarrow.types as types

    return bool(types.is_temporal(kind)) and not types.is_interval(kind)


def _of_typed(column: Any, kind: Any) -> Numbers | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    divisor = 1.0
    if is_temporal(kind):
        column, divisor = _counted(column, kind)
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
              or types.is_decimal(kind) or types.is_dictionary(column.type)):  # fmt: skip
        return None
    if types.is_boolean(kind):
        column = pc.cast(column, pa.uint8())
    values = pc.cast(column, pa.float64(), safe=False).to_numpy()
    values = np.array(values, np.float64) / divisor
    large = np.flatnonzero(np.abs(values) >= FLOAT64_WHOLE) if types.is_integer(kind) else _NONE
    if large.size:
        cells = column.take(pa.array(large)).to_pylist()
        large = large[[abs(cell) > FLOAT64_WHOLE for cell in cells]]
    return Numbers(values, infinite=np.flatnonzero(np.isinf(values)), codes=large)


def _counted(column: Any, kind: Any) -> tuple[Any, float]:
    """Dates and times as whole numbers, and how many of them make a second."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(kind):
        days = pc.cast(pc.cast(column, pa.int32()), pa.int64())
        return pc.multiply(days, 86_400), 1.0
    if pa.types.is_date64(kind):
        return pc.cast(column, pa.int64()), 1e3
    narrow = pa.types.is_time32(kind)
    whole = pc.cast(column, pa.int32() if narrow else pa.int64())
    return whole, {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]


def _of_text(column: Any, tokens: tuple[str, ...]) -> Numbers:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string_view(column.type):
        column = pc.cast(column, pa.large_string())
    if not pa.types.is_dictionary(column.type):
        quick = _quick(column) or _quick(_without(column, tokens))
        if quick is not None:
            return quick
    places, cells = coded(column)
    texts = pc.utf8_trim_whitespace(cells)
    gone = missing.mask(texts, tokens)
    matches = _flags(texts, _NUMBER) & ~gone
    plain = pc.if_else(pa.array(matches), texts, pa.scalar(None, texts.type))
    values = np.array(pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    infinite = np.isinf(values) | (_flags(texts, _INFINITE) & ~gone)
    values[infinite] = np.nan
    as_code = matches & (_flags(texts, _LEADING_ZERO) | _too_large(texts, values))

    def rows(flags: Array) -> Array:
        return np.flatnonzero(np.append(flags, False)[places])  # the last for code -1

    return Numbers(
        np.append(values, np.nan)[places],
        rows(~matches & ~infinite & ~gone),
        rows(infinite),
        rows(as_code),
    )


def _without(column: Any, tokens: tuple[str, ...]) -> Any:
    """The column without the blanks around its cells, and null for a token."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column)
    known = pc.is_in(trimmed, value_set=pa.array(tokens, trimmed.type))
    return pc.if_else(known, pa.scalar(None, trimmed.type), trimmed)


def _quick(column: Any) -> Numbers | None:
    """The numbers of a column that holds nothing else but empty cells; None if in doubt."""
    import pyarrow as pa
    import pyarrow.compute as pc

    empty = pc.equal(pc.binary_length(column), 0)
    if pc.any(empty).as_py():
        column = pc.if_else(empty, pa.scalar(None, column.type), column)
    try:
        cells = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return None
    values = np.array(cells.to_numpy(), np.float64)
    finite = np.isfinite(values)
    if int(np.count_nonzero(~finite)) != column.null_count:
        return None
    if np.any(np.abs(values[finite]) >= FLOAT64_WHOLE) or _any_leading_zero(column):
        return None
    return Numbers(values)


def _any_leading_zero(column: Any) -> bool:
    """Whether some cell begins with a zero and another digit: its bytes are looked at in place."""
    import pyarrow as pa

    wide = pa.types.is_large_string(column.type)
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or len(chunk) == 0:
            continue
        ends = np.frombuffer(offsets, np.int64 if wide else np.int32)
        ends = ends[chunk.offset : chunk.offset + len(chunk) + 1]
        letters = np.frombuffer(data, np.uint8)
        start = np.asarray(ends[:-1][np.diff(ends) > 1], np.int64)
        signed = (letters[start] == ord("+")) | (letters[start] == ord("-"))
        start = start + signed
        following = letters[np.minimum(start + 1, len(letters) - 1)]
        stop = np.asarray(ends[1:][np.diff(ends) > 1], np.int64)
        digit = (following >= ord("0")) & (following <= ord("9")) & (start + 1 < stop)
        if np.any((letters[start] == ord("0")) & digit):
            return True
    return False


def _flags(texts: Any, pattern: str) -> Array:
    """Whether each text matches; a null does not."""
    import pyarrow.compute as pc

    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.array(found.to_numpy(zero_copy_only=False), bool)


def _too_large(texts: Any, values: Array) -> Array:
    """Whole numbers that float64 may not hold."""
    flags = np.zeros(len(values), bool)
    for i in np.flatnonzero(np.abs(values) >= FLOAT64_WHOLE):
        text = texts[int(i)].as_py()
        flags[i] = text.lstrip("+-").isdigit() and abs(int(text)) > FLOAT64_WHOLE
    return flags


def decimal_commas(texts: Sequence[str]) -> bool:
    """Whether all texts are numbers once a comma is their decimal point, and some hold a comma.

    >>> decimal_commas(["3,14", "2", "-0,5"]), decimal_commas(["1,2,3"]), decimal_commas(["1"])
    (True, False, False)
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
    some = bool(pc.any(pc.match_substring(cells, ",")).as_py())
    points = pc.replace_substring(cells, ",", ".")
    return some and bool(_flags(points, _NUMBER).all())


def thousands(texts: Sequence[str]) -> bool:
    """Whether all texts are numbers, some with commas before each three of their whole digits.

    >>> thousands(["1,234,567.5", "12"]), thousands(["3,14"]), thousands(["12"])
    (True, False, False)
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
    grouped = _flags(cells, _GROUPED)
    return bool(grouped.any()) and bool((grouped | _flags(cells, _NUMBER)).all())
