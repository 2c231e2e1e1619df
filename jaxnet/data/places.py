"""How errors of the data room name a place: rows counted from 0, values listed, nearest name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

_ROWS_SHOWN = 5
_VALUES_SHOWN = 12


def rows(indices: Iterable[Any]) -> str:
    """The first few row numbers in words.

    >>> rows([3])
    'row 3 (counted from 0)'
    >>> rows(range(10, 17))
    'rows 10, 11, 12, 13, 14 and 2 more (counted from 0)'
    """
    found = [int(i) for i in indices]
    word = "row" if len(found) == 1 else "rows"
    return f"{word} {_some([str(i) for i in found], _ROWS_SHOWN)} (counted from 0)"


def values(items: Iterable[Any]) -> str:
    """Values as a reader types them, the first dozen.

    >>> values([0, 1, "a"])
    "0, 1, 'a'"
    """
    return _some([repr(plain(item)) for item in items], _VALUES_SHOWN)


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python value it stands for; anything else unchanged.

    >>> plain(np.int64(3))
    3
    """
    return value.item() if isinstance(value, np.generic) else value


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of an error text that offers the nearest known name, or nothing.

    >>> nearest("breast_cancr", ["breast_cancer", "digits"])
    "; did you mean 'breast_cancer'?"
    >>> nearest("zzz", ["digits"])
    ''
    """
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _some(words: list[str], shown: int) -> str:
    """The first `shown` words, and how many more there are."""
    hidden = len(words) - shown
    more = f" and {hidden} more" if hidden > 0 else ""
    return ", ".join(words[:shown]) + more
