"""Plain scalars of YAML 1.2 (the core schema): `1e-3` is a number and `no` is text."""

from __future__ import annotations

import re
from collections.abc import Callable

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = {".nan", ".NaN", ".NAN"}
# Python refuses to convert thousands of digits; no number of a config needs a hundred.
MOST_DIGITS = 100

Scalar = str | int | float | bool | None


def plain(text: str) -> Scalar:
    """The value of a scalar without quotes.

    Raises:
        ValueError: a number of more than 100 characters.

    >>> plain("1e-3"), plain("no"), plain("0x10"), plain("~"), plain("1_000")
    (0.001, 'no', 16, None, '1_000')
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    return _number(text)


def _number(text: str) -> str | int | float:
    if text in _NAN:
        return float("nan")
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    for pattern, convert in _CONVERSIONS:
        if pattern.fullmatch(text):
            if len(text) > MOST_DIGITS:
                raise ValueError(f"a number of {len(text)} characters is too long")
            return convert(text)
    return text


_CONVERSIONS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (_DECIMAL, int),
    (_OCTAL, lambda text: int(text, 8)),
    (_HEXADECIMAL, lambda text: int(text, 16)),
    (_FLOAT, float),
)
