"""One row of XC text, read character by character by its rules: what is wrong with it, in words.

The rules: labels separated by commas, or none; then a space before each `index:value`, more than
one or some at the end are no matter. A line without labels begins with a space.
"""

import re
from typing import NamedTuple

import numpy as np

from jaxnet.data.xc_blocks import Header, shown

_WHOLE = re.compile(rb"[0-9]+")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(rb"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


class Row(NamedTuple):
    """labels as written; indices and values in the order of the indices."""

    labels: list[int]
    indices: list[int]
    values: list[float]


class Wrong(Exception):
    """What is wrong with a line, and what to do."""


def parse(line: bytes, header: Header) -> Row:
    """The row in a line without its end.

    Raises Wrong.

    >>> parse(b"3,1 7:0.5 2:1", Header(1, 10, 4))
    Row(labels=[3, 1], indices=[2, 7], values=[1.0, 0.5])
    """
    if not line:
        raise Wrong("an empty line; a row without labels and features is one space")
    _refuse_strangers(line)
    head, *rest = line.split(b" ")
    if header.labels is None:
        labels, words = [], [head, *rest]
    else:
        labels, words = _labels(head, header), rest
    pairs = [_pair(word, header) for word in words if word]
    _refuse_twice([index for index, _ in pairs])
    pairs.sort()
    return Row(labels, [index for index, _ in pairs], [value for _, value in pairs])


def _labels(head: bytes, header: Header) -> list[int]:
    if not head:
        return []
    if b":" in head:
        raise Wrong(
            f"begins with the feature {shown(head)}; a row without labels begins with a space: "
            "sed -E 's/^([0-9]+:)/ \\1/'"
        )
    return [_whole(word, header, "label") for word in head.split(b",")]


def _pair(word: bytes, header: Header) -> tuple[int, float]:
    """The index and the value."""
    index, colon, value = word.partition(b":")
    if not colon:
        raise Wrong(f"{shown(word)} has no colon; a feature is index:value, as 7:0.5")
    return _whole(index, header, "feature"), _value(word, value)


def _whole(word: bytes, header: Header, what: str) -> int:
    """A label or the index of a feature."""
    if not word:
        place = "before a colon" if what == "feature" else "beside a comma"
        raise Wrong(f"no {what} {place}; write its number there or take the sign out")
    if re.fullmatch(rb"-[0-9]+", word):
        raise Wrong(f"{what} {shown(word)} is negative; they count from 0")
    if not _WHOLE.fullmatch(word):
        raise Wrong(f"{what} {shown(word)} is no whole number")
    digits = word.lstrip(b"0") or b"0"
    limit = (header.labels or 0) if what == "label" else header.columns
    number = int(digits[:20])  # too large with so many, whatever follows
    if number < limit:
        return number
    hint = "; do they count from 1? take 1 from each" if number == limit else ""
    raise Wrong(
        f"{what} {digits[:20].decode()} is out of range: "
        f"{'the first line says' if header.written else 'there are'} {limit} {what}s, "
        f"{f'0 to {limit - 1}' if limit else 'so none'}{hint}"
    )


def _value(word: bytes, text: bytes) -> float:
    if _NUMBER.fullmatch(text):
        with np.errstate(over="ignore"):
            if np.isfinite(np.float32(float(text))):
                return float(text)
        raise Wrong(f"{shown(word)}: too large for float32; scale the features down")
    if _NOT_FINITE.fullmatch(text):
        raise Wrong(f"{shown(word)}: the value is not finite; write a number or leave it out")
    raise Wrong(f"{shown(word)}: {shown(text)} is no number")


def _refuse_twice(indices: list[int]) -> None:
    seen: set[int] = set()
    for index in indices:
        if index in seen:
            raise Wrong(f"feature {index} stands twice in the row; keep one, or write their sum")
        seen.add(index)


def _refuse_strangers(line: bytes) -> None:
    """What no row holds at all: other encodings, tabs, carriage returns."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise Wrong(f"not UTF-8 (byte 0x{line[error.start]:02x}): the file is damaged") from None
    if b"\t" in line:
        raise Wrong(r"a tab; spaces separate the features: tr '\t' ' '")
    if b"\r" in line:
        raise Wrong(r"a carriage return without a line feed after it; mend it: tr -d '\r'")
    if b"\0" in line:
        raise Wrong("a NUL byte: the file is damaged or no text")
