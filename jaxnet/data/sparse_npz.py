"""Sparse matrices in .npz files, as scipy.sparse.save_npz writes them: features, and labels.

One matrix a file: features (n, d), and in another file labels (n, K) of ones. No pickle is read,
and what the arrays say is checked before anything is done with it.
"""

import contextlib
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from jaxnet.data import arrays, sparse_entries
from jaxnet.data.places import rows as in_words
from jaxnet.data.places import values
from jaxnet.data.sparse import SparseLabels, SparseRows, SparseTable
from jaxnet.data.table import Array
from jaxnet.errors import DataError
from jaxnet.files import open_file

_HOW_TO_SAVE = "scipy.sparse.save_npz('X.npz', X)"
_NEEDED = {
    "csr": ("indptr", "indices", "data"),
    "csc": ("indptr", "indices", "data"),
    "coo": ("row", "col", "data"),
}


def is_sparse(path: str | Path) -> bool:
    """Whether a file is a sparse matrix in an .npz file, by the names of its arrays alone."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return {"format.npy", "shape.npy"} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read(features: str | Path, labels: str | Path | None = None) -> SparseTable:
    """The rows of one file, and their labels in another.

    Args:
        features: a sparse matrix (n, d).
        labels: one of 0 and 1 (n, K), or None.

    Raises:
        DataError: as `read_features` and `read_labels`, or the two differ in their rows.
    """
    x = read_features(features)
    y = None if labels is None else read_labels(labels)
    if y is not None and len(y) != len(x):
        raise DataError(f"{labels}: {len(y)} rows of labels for the {len(x)} rows of {features}")
    return SparseTable(x, y, str(features), partial(_place, str(features)))


def read_features(path: str | Path) -> SparseRows:
    """A sparse matrix of features: CSR, CSC or COO.

    Raises DataError: no such file, a damaged one, another kind of matrix or of file, entries out of
    its shape, values that are not finite, no rows, no columns.

    >>> import scipy.sparse, tempfile
    >>> file = tempfile.mkdtemp() + "/X.npz"
    >>> scipy.sparse.save_npz(file, scipy.sparse.csr_array([[0, 2.5], [1, 0]]))
    >>> read_features(file).values
    array([2.5, 1. ], dtype=float32)
    """
    path = Path(path)
    with _within_memory(path):
        row, index, value, shape = _entries(path)
        return sparse_entries.from_entries(row, index, value, shape, str(path))


def read_labels(path: str | Path) -> SparseLabels:
    """A sparse matrix of labels: entries of 1 (or True) are positives, entries of 0 are none.

    Raises DataError as `read_features`, and for other values.
    """
    path = Path(path)
    with _within_memory(path):
        row, index, value, shape = _entries(path)
        _refuse_other_than_one(path, value)
        kept = value != 0
        return sparse_entries.distinct_labels(row[kept], index[kept], shape, str(path))


def _refuse_other_than_one(path: Path, value: Array) -> None:
    odd = value[(value != 0) & (value != 1)]
    if odd.size:
        raise DataError(
            f"{path}: values {values(np.unique(odd))}; a label is 1 or it is left out: "
            f"scipy.sparse.save_npz('Y.npz', (Y != 0).astype('float32'))"
        )


def _entries(path: Path) -> tuple[Array, Array, Array, tuple[int, int]]:
    """Row, column and value of every entry, and the shape."""
    found = arrays.read_arrays(path, _HOW_TO_SAVE)
    if not {"format", "shape"} <= set(found):
        raise DataError(f"{path}: no sparse matrix; make one with {_HOW_TO_SAVE}")
    kind = found["format"].reshape(-1)[:1].tolist()
    name = kind[0].decode("latin-1") if kind and isinstance(kind[0], bytes) else str(*kind)
    if name not in _NEEDED:
        raise DataError(
            f"{path}: a sparse matrix of format {name!r}; known are {values(_NEEDED)}: "
            f"scipy.sparse.save_npz('X.npz', X.tocsr())"
        )
    absent = [key for key in _NEEDED[name] if key not in found]
    if absent:
        raise DataError(f"{path}: no {values(absent)} in a sparse matrix of format {name!r}")
    shape = _shape(path, found["shape"])
    one, other, value = (found[key] for key in _NEEDED[name])
    if any(array.ndim != 1 for array in (one, other, value)):
        raise DataError(f"{path}: {values(_NEEDED[name])}: each needs one axis; save it again")
    if value.dtype.kind not in "biuf":
        raise DataError(f"{path}: values of dtype {value.dtype}: real numbers are needed")
    if len(value) != len(other):
        raise DataError(f"{path}: {len(value)} values at {len(other)} places; save it again")
    if name == "coo":
        return one, other, value, shape
    along = shape[0] if name == "csr" else shape[1]
    line = _expanded(path, one, len(other), along)
    return (line, other, value, shape) if name == "csr" else (other, line, value, shape)


def _shape(path: Path, shape: Array) -> tuple[int, int]:
    if shape.shape != (2,) or shape.dtype.kind not in "iu":
        raise DataError(f"{path}: 'shape' holds {shape.tolist()}: rows and columns are needed")
    if shape[0] < 1:
        raise DataError(f"{path}: no rows")
    return int(shape[0]), int(shape[1])


def _expanded(path: Path, indptr: Array, nnz: int, n: int) -> Array:
    """The row (of CSC, the column) of every entry."""
    if indptr.shape != (n + 1,) or indptr.dtype.kind not in "iu":
        raise DataError(f"{path}: 'indptr' has shape {indptr.shape}, and ({n + 1},) is needed")
    counted = indptr.astype(np.int64)
    each = counted[1:] - counted[:-1]
    if counted[0] != 0 or counted[-1] != nnz or (each < 0).any():
        raise DataError(f"{path}: 'indptr' does not rise from 0 to {nnz}; save the matrix again")
    return np.repeat(np.arange(n), each)


@contextlib.contextmanager
def _within_memory(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise DataError(f"{path}: the matrix does not fit in memory") from error


def _place(name: str, row: int) -> str:
    return f"{name}: {in_words([row])}"
