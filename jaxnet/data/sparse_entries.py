"""Sparse rows and sets of labels from entries in any order: what cannot be used is refused."""

from typing import Any

import numpy as np

from jaxnet.data.places import rows as in_words
from jaxnet.data.places import values as listed
from jaxnet.data.sparse import SparseLabels, SparseRows, ends, row_of_each
from jaxnet.data.table import Array
from jaxnet.errors import DataError

LARGEST = 2**31 - 1  # rows, columns, labels: what an int32 counts


def from_entries(
    row: Array, index: Array, value: Array, shape: tuple[int, int], what: str = "X"
) -> SparseRows:
    """Rows from entries in any order; those of one place are added up, as SciPy means them.

    Args:
        row, index: whole numbers; value: real; all (nnz,).
        shape: rows and columns.
        what: the name in errors.

    Raises:
        DataError: lengths that differ, numbers out of the shape, values that are not finite
            numbers of float32, no columns, more than int32 counts.

    >>> x = from_entries(np.array([1, 0, 1]), np.array([2, 3, 2]), np.ones(3), (2, 4))
    >>> x.indptr.tolist(), x.indices.tolist(), x.values.tolist()
    ([0, 1, 2], [3, 2], [1.0, 2.0])
    """
    row = _numbers(row, shape[0], f"{what}: a row")
    index = _numbers(index, shape[1], f"{what}: an index")
    if value.dtype.kind not in "biuf" or value.ndim != 1:
        raise DataError(f"{what}: values of dtype {value.dtype}: real numbers are needed")
    if not len(row) == len(index) == len(value):
        raise DataError(f"{what}: {len(row)} rows, {len(index)} indices and {len(value)} values")
    if not shape[1]:
        raise DataError(f"{what}: no columns")
    row, index, value = _in_order(row, index, value.astype(np.float64), shape[1])
    with np.errstate(over="ignore"):
        value = value.astype(np.float32)
    if not np.isfinite(value).all():
        bad = np.flatnonzero(~np.isfinite(value))
        raise DataError(
            f"{what}: {in_words(np.unique(row[bad]))}: values that are not finite as float32; "
            f"X.data = numpy.nan_to_num(X.data) makes them numbers"
        )
    indptr = ends(np.bincount(row, minlength=shape[0]))
    return SparseRows(indptr, index.astype(np.int32), value, int(shape[1]))


def from_scipy(matrix: Any, what: str = "X") -> SparseRows:
    """A SciPy sparse matrix or array of any format as rows. Raises DataError as `from_entries`."""
    if getattr(matrix, "ndim", 0) != 2:
        raise DataError(f"{what}: expected a sparse matrix of rows and columns")
    found = matrix.tocoo()
    return from_entries(found.row, found.col, found.data, found.shape, what)


def labels_of(rows: Any, labels: int) -> SparseLabels:
    """Sets of labels from one sequence of integers for each row, in any order.

    Raises DataError for a label out of range.

    >>> labels_of([[3, 0, 3], []], 4).indices
    array([0, 3], dtype=int32)
    """
    lengths = np.array([len(one) for one in rows], np.int64)
    each = np.array([label for one in rows for label in one], np.int64)
    return distinct_labels(
        np.repeat(np.arange(len(lengths)), lengths), each, (len(lengths), labels)
    )


def distinct_labels(
    row: Array, label: Array, shape: tuple[int, int], what: str = "Y"
) -> SparseLabels:
    """Sets of labels from pairs of row and label in any order; a pair that repeats counts once.

    Raises DataError for a row or a label out of the shape.
    """
    row = _numbers(row, shape[0], f"{what}: a row")
    label = _numbers(label, shape[1], f"{what}: a label")
    if len(row) != len(label):
        raise DataError(f"{what}: {len(row)} rows and {len(label)} labels")
    row, label, _ = _in_order(row, label, np.ones(len(row)), shape[1])
    indptr = ends(np.bincount(row, minlength=shape[0]))
    return SparseLabels(indptr, label.astype(np.int32), int(shape[1]))


def as_labels(rows: SparseRows, what: str = "Y") -> SparseLabels:
    """The labels that a matrix of rows and labels marks with 1. Zeros are none.

    Raises DataError for any other value.
    """
    odd = np.flatnonzero((rows.values != 0) & (rows.values != 1))
    if odd.size:
        where = in_words(np.unique(row_of_each(rows)[odd]))
        raise DataError(
            f"{what}: {where}: values {listed(np.unique(rows.values[odd]))}; a label is 1 or it is "
            f"left out: (Y != 0).astype('float32')"
        )
    kept = rows.values != 0
    row = row_of_each(rows)[kept]
    return SparseLabels(
        ends(np.bincount(row, minlength=len(rows))), rows.indices[kept], rows.columns
    )


def _in_order(row: Array, index: Array, value: Array, columns: int) -> tuple[Array, Array, Array]:
    """Entries by row and index, those of one place added up."""
    if len(row) < 2:
        return row, index, value
    key = row * columns + index
    rise = np.diff(key)
    if rise.min() > 0:
        return row, index, value
    if rise.min() < 0:
        order = np.argsort(key, kind="stable")
        key, row, index, value = key[order], row[order], index[order], value[order]
    first = np.concatenate([[True], np.diff(key) > 0])
    if first.all():
        return row, index, value
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused by name
        value = np.add.reduceat(value, np.flatnonzero(first))
    return row[first], index[first], value


def _numbers(array: Array, limit: int, what: str) -> Array:
    """Whole numbers from 0 up to the limit as int64."""
    if not 0 <= limit <= LARGEST:
        raise DataError(f"{what}: one of {limit}; at most {LARGEST} can be used")
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise DataError(f"{what} is no whole number: {array.dtype} of shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < limit):
        worst = array.min() if array.min() < 0 else array.max()
        raise DataError(f"{what} is {worst}, and there are {limit}: 0 to {limit - 1}")
    return array.astype(np.int64, copy=False)
