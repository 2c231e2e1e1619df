"""The distinct values of a label array, whatever kind of thing it holds, without changing any.

Nothing is compared after a conversion that could merge two labels: integers stay integers of any
size, text stays text.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxnet.data.places import plain, rows, values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

_FLOAT64_WHOLE = 2**53  # float64 holds every whole number up to here


class Distinct(NamedTuple):
    """The distinct labels in sorted order as Python values; codes (n,): each row's place there."""

    labels: list[Any]
    codes: Array


def as_array(y: Any, what: str) -> Array:
    """Labels as an array. A list goes through objects, since NumPy would make `1` and `"a"` both
    text, and a NaN among texts the text `nan`.
    """
    if not isinstance(y, list | tuple):
        return np.asarray(y)
    try:
        array = np.asarray(y, dtype=object)
        if array.ndim > 1:
            return np.asarray(y)
    except ValueError as error:
        raise DataError(f"{what}: rows of different lengths do not make an array") from error
    return array


def distinct(y: Array, what: str) -> Distinct:
    """The distinct labels of y (n,). Raises DataError, with rows, for labels that are missing,
    infinite, not whole, of mixed kinds, or no labels at all.

    >>> distinct(np.array([2.0, 1.0, 2.0]), "y")
    Distinct(labels=[1, 2], codes=array([1, 0, 1]))
    """
    kind = y.dtype.kind
    if kind in "biu":
        numbers, codes = np.unique(y, return_inverse=True)
        return Distinct(numbers.tolist(), codes)
    if kind == "f":
        return _whole_floats(y, what)
    if kind in "US":
        found = _sorted(y.tolist())
        return _text(_decoded(found.labels, what), found.codes, what)
    if kind in "OT":
        return _objects(y.astype(object), what)
    raise DataError(
        f"{what} (dtype {y.dtype}): labels are integers, booleans or text, say y.astype(str)"
    )


def _whole_floats(y: Array, what: str) -> Distinct:
    missing = np.flatnonzero(np.isnan(y))
    if missing.size:
        raise _missing(missing, what)
    y = y.astype(np.float64, copy=False)
    odd = np.flatnonzero((y != np.floor(y)) | (np.abs(y) > _FLOAT64_WHOLE))  # or infinite
    if odd.size:
        raise DataError(
            f"{what}: {rows(odd)}: {values(float(v) for v in y[odd[:5]])}: a label is a class, "
            f"a whole number or a text; jaxnet does not fit numbers (regression)"
        )
    found, codes = np.unique(y, return_inverse=True)
    return Distinct([int(v) for v in found], codes)


def _sorted(cells: list[Any]) -> Distinct:
    """Distinct cells through a dictionary: several times faster than sorting every text."""
    place = {label: code for code, label in enumerate(sorted(set(cells)))}
    codes = np.fromiter((place[cell] for cell in cells), np.int64, len(cells))
    return Distinct(list(place), codes)


def _text(found: list[str], codes: Array, what: str) -> Distinct:
    blank = [i for i, label in enumerate(found) if not label.strip()]
    if blank:
        raise _missing(np.flatnonzero(np.isin(codes, blank)), what)
    return Distinct(found, codes)


def _decoded(found: list[Any], what: str) -> list[str]:
    """Text as it is; bytes as UTF-8."""
    try:
        return [cell.decode("utf-8") if isinstance(cell, bytes) else cell for cell in found]
    except UnicodeDecodeError as error:
        raise DataError(f"{what}: bytes that are not UTF-8: {error.object!r}") from error


def _objects(y: Array, what: str) -> Distinct:
    """Python objects (a column of a data frame, a list): all of one kind, none missing."""
    cells = [plain(cell) for cell in y.tolist()]
    missing = [i for i, cell in enumerate(cells) if _is_missing(cell)]
    if missing:
        raise _missing(missing, what)
    kind = _one_kind(cells, what)
    if kind == "number" and any(isinstance(cell, float) for cell in cells):
        return _whole_floats(np.array([float(cell) for cell in cells]), what)
    found = _sorted(cells)
    return _text(found.labels, found.codes, what) if kind == "text" else found


def _one_kind(cells: list[Any], what: str) -> str:
    """The kind that all cells are of; an error that shows a row of each where they differ."""
    first: dict[str, int] = {}
    for i, cell in enumerate(cells):
        first.setdefault(_kind(cell), i)
    strangers = [i for kind, i in first.items() if kind not in ("boolean", "number", "text")]
    if strangers:
        i = min(strangers)
        kind = type(cells[i]).__name__
        raise DataError(f"{what}: {rows([i])} holds a {kind}, not a class: {cells[i]!r}")
    if len(first) > 1:
        found = "; ".join(f"{rows([i])} is a {kind}, {cells[i]!r}" for kind, i in first.items())
        raise DataError(f"{what} mixes kinds: {found}. Make them one kind: y.astype(str)")
    return next(iter(first))


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int | float):
        return "number"
    return "text" if isinstance(cell, str) else type(cell).__name__


def _is_missing(cell: Any) -> bool:
    """None, a float NaN, or the NA and NaT of data frames, which equal nothing."""
    if isinstance(cell, float):
        return cell != cell
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def _missing(indices: Any, what: str) -> DataError:
    found = rows(indices)
    verb = "has no label" if found.startswith("row ") else "have no label"
    return DataError(f"{what}: {found} {verb}; leave such rows out of X and y")
