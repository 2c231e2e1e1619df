"""Rows of mostly zeros, and sets of labels, on the host: entries that are there, row after row.

Both are in one form: a row's entries stand in the order of their index, each index once. So two
that mean the same are equal bit by bit, and have the same digest. Nothing here makes an array of
rows by columns, or of rows by labels.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxnet.data.places import values as listed
from jaxnet.data.table import Array


@dataclass(frozen=True, eq=False)
class SparseRows:
    """n rows of features. Row i has the entries indptr[i] to indptr[i + 1].

    indptr: int64 (n + 1,); indices: int32 (nnz,), rising within a row; values: float32 (nnz,),
    finite; columns: d, of which the indices are below.

    >>> x = SparseRows(np.array([0, 2, 2]), np.int32([1, 4]), np.float32([0.5, 2]), 5)
    >>> len(x), x.shape
    (2, (2, 5))
    """

    indptr: Array
    indices: Array
    values: Array
    columns: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), self.columns

    @property
    def entries(self) -> dict[str, Array]:
        """What there is of every entry."""
        return {"indices": self.indices, "values": self.values}


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """The positive labels of n rows. Row i has those from indptr[i] to indptr[i + 1].

    indptr: int64 (n + 1,); indices: int32, rising within a row; labels: K, how many there are.
    """

    indptr: Array
    indices: Array
    labels: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and labels."""
        return len(self), self.labels

    @property
    def entries(self) -> dict[str, Array]:
        """What there is of every entry."""
        return {"indices": self.indices}


class SparseTable(NamedTuple):
    """Rows as read from a file.

    labels: None where the file has none. name: of the file, for errors. where: row number (from 0)
    -> its place in words. notes: what a reader should know about the reading.
    """

    x: SparseRows
    labels: SparseLabels | None
    name: str
    where: Callable[[int], str]
    notes: tuple[str, ...] = ()


class Stats(NamedTuple):
    """Entries in all, and the fewest, the mean, the median and the most of a row."""

    nnz: int
    fewest: int
    mean: float
    median: float
    most: int


Rows = TypeVar("Rows", SparseRows, SparseLabels)


def counts(rows: SparseRows | SparseLabels) -> Array:
    """Entries of each row: int64 (n,)."""
    return np.diff(rows.indptr)


def stats(rows: SparseRows | SparseLabels) -> Stats:
    """How many entries there are.

    >>> from jaxnet.data import sparse_entries
    >>> stats(sparse_entries.labels_of([[3], [], [0, 1]], 4))
    Stats(nnz=3, fewest=0, mean=1.0, median=1.0, most=2)
    """
    each = counts(rows)
    if not each.size:
        return Stats(0, 0, 0.0, 0.0, 0)
    return Stats(
        int(each.sum()),
        int(each.min()),
        float(each.mean()),
        float(np.median(each)),
        int(each.max()),
    )


def label_counts(labels: SparseLabels) -> Array:
    """Rows in which each label is positive: int64 (K,)."""
    return np.bincount(labels.indices, minlength=labels.labels)


def norms(rows: SparseRows) -> Array:
    """The length (L2) of each row: float32 (n,), summed in float64."""
    squares = np.square(rows.values, dtype=np.float64)
    return np.sqrt(np.bincount(row_of_each(rows), squares, len(rows))).astype(np.float32)


def of_length_one(rows: SparseRows) -> SparseRows:
    """Every row divided by its length; a row of zeros stays.

    >>> of_length_one(SparseRows(np.array([0, 2]), np.int32([0, 1]), np.float32([3, 4]), 2)).values
    array([0.6, 0.8], dtype=float32)
    """
    lengths = norms(rows)
    lengths[lengths == 0] = 1
    return replace(rows, values=rows.values / lengths[row_of_each(rows)])


def take(rows: Rows, chosen: Any) -> Rows:
    """The rows with these numbers, in this order; a number may come more than once.

    Raises IndexError for a number that is no row's.

    >>> from jaxnet.data import sparse_entries
    >>> take(sparse_entries.labels_of([[3], [], [0, 1]], 4), [2, 0]).indices
    array([0, 1, 3], dtype=int32)
    """
    chosen = np.asarray(chosen, np.int64)
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(rows)):
        raise IndexError(f"rows {chosen.min()} to {chosen.max()} of {len(rows)}")
    indptr = ends(counts(rows)[chosen])
    shift = np.repeat(rows.indptr[chosen] - indptr[:-1], np.diff(indptr))
    return _with(rows, indptr, np.arange(indptr[-1]) + shift)


def part(rows: Rows, start: int, stop: int) -> Rows:
    """The rows from start up to stop, as views."""
    start, stop, _ = slice(start, stop).indices(len(rows))
    stop = max(start, stop)
    first, last = int(rows.indptr[start]), int(rows.indptr[stop])
    return _with(rows, rows.indptr[start : stop + 1] - first, slice(first, last))


def concatenate(parts: Sequence[Rows]) -> Rows:
    """One after the other; all have the same columns (or labels). At least one part."""
    if len({one.shape[1] for one in parts}) != 1:
        raise ValueError(f"columns differ: {listed([one.shape[1] for one in parts])}")
    first = parts[0]
    indptr = ends(np.concatenate([counts(one) for one in parts]))
    joined: dict[str, Any] = {
        name: np.concatenate([one.entries[name] for one in parts]) for name in first.entries
    }
    return replace(first, indptr=indptr, **joined)


def equal(one: SparseRows | SparseLabels, other: SparseRows | SparseLabels) -> bool:
    """Whether both are of a kind and hold the same, bit by bit."""
    return (
        type(one) is type(other)
        and one.shape == other.shape
        and np.array_equal(one.indptr, other.indptr)
        and all(np.array_equal(each, other.entries[name]) for name, each in one.entries.items())
    )


def digest(*parts: SparseRows | SparseLabels) -> str:
    """SHA-256 of what they hold; the same on every machine."""
    found = hashlib.sha256()
    for one in parts:
        found.update(type(one).__name__.encode())
        for number in (len(one), len(one.indices), one.shape[1]):
            found.update(number.to_bytes(8, "little"))
        for array in (one.indptr, *one.entries.values()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            found.update(np.ascontiguousarray(little).data)
    return found.hexdigest()


def to_scipy(rows: SparseRows | SparseLabels) -> Any:
    """A scipy.sparse.csr_array of the same entries, float32; labels are ones."""
    import scipy.sparse

    ones = np.ones(len(rows.indices), np.float32)
    values = rows.values if isinstance(rows, SparseRows) else ones
    return scipy.sparse.csr_array((values, rows.indices, rows.indptr), shape=rows.shape)


def row_of_each(rows: SparseRows | SparseLabels) -> Array:
    """The row of each entry: int64 (nnz,)."""
    return np.repeat(np.arange(len(rows)), counts(rows))


def ends(each: Array) -> Array:
    """From entries of each row to indptr."""
    indptr = np.zeros(len(each) + 1, np.int64)
    np.cumsum(each, out=indptr[1:])
    return indptr


def _with(rows: Rows, indptr: Array, chosen: Any) -> Rows:
    """The entries chosen, whatever each of them has."""
    kept = {name: each[chosen] for name, each in rows.entries.items()}
    return replace(rows, indptr=indptr, **kept)
