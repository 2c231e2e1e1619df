"""How errors of the data room name a place: rows counted from 0, values listed, nearest name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet import files
from jaxnet.errors import DataError

_ROWS_SHOWN = 5
_VALUES_SHOWN = 12


def refuse_other_than_file(path: Path) -> None:
    """Raise DataError where something else than a file has this name; nothing may be there.

    >>> refuse_other_than_file(Path("/dev/null"))
    Traceback (most recent call last):
    ...
    jaxnet.errors.DataError: /dev/null: a device, not a file; write the rows to a file and name that
    """
    what = files.kind(path)
    if what == "a directory":
        raise DataError(f"{path}: a folder, not a file")
    if what is not None:
        # Files are read more than once: for their names, for their rows, for the line of a row.
        raise DataError(f"{path}: {what}, not a file; write the rows to a file and name that")


def refuse_absent(path: Path) -> None:
    """Raise DataError, with the nearest name, unless a file is there."""
    refuse_other_than_file(path)
    if not path.parent.is_dir():
        raise DataError(f"{path}: no such file: the folder {str(path.parent)!r} does not exist")
    if not path.exists():
        try:
            others = [other.name for other in path.parent.iterdir()]
        except OSError:  # a folder that can be passed through and not be listed
            others = []
        raise DataError(f"{path}: no such file{nearest(path.name, others)}")


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
