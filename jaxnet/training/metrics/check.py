"""What metrics accept: probabilities and targets whose shapes and values make sense together."""

from typing import Any

import numpy as np

from jaxnet.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

TASKS = ("binary", "multiclass", "multilabel")

_ROUNDING = 1e-6  # a probability computed in float32 may miss its range by this much
_SUM_ROUNDING = 1e-3
_SHAPES = {
    "binary": "(n,) and (n,)",
    "multiclass": "(n, K) and (n,)",
    "multilabel": "(n, K) and (n, K)",
}


def checked(task: str, probabilities: Any, targets: Any) -> tuple[Array, Array]:
    """Probabilities in float64 within [0, 1] and targets as int64, or a DataError.

    >>> checked("binary", [0.25, 1.0000001], [0, 1])
    (array([0.25, 1.  ]), array([0, 1]))
    """
    if task not in TASKS:
        raise DataError(f"task {task!r}: known are {', '.join(TASKS)}")
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    axes = 1 if task == "binary" else 2
    fits = p.shape[:1] == y.shape if task == "multiclass" else p.shape == y.shape
    if p.ndim != axes or not fits:
        raise DataError(
            f"task {task}: expected probabilities and targets of shapes {_SHAPES[task]}, "
            f"given {p.shape} and {y.shape}"
        )
    return _within_range(task, p), _codes(y, p.shape[1] if task == "multiclass" else 2)


def checked_logits(task: str, logits: Any, p: Array) -> Array:
    """Logits in float64, of the shape of the probabilities p and finite, or a DataError."""
    z = np.asarray(logits, np.float64)
    if z.shape != p.shape:
        raise DataError(
            f"task {task}: logits and probabilities are of one shape; given {z.shape} and {p.shape}"
        )
    if not np.isfinite(z).all():
        row = int(np.argwhere(~np.isfinite(z))[0][0])
        raise DataError(f"logits must be finite; row {row} (counted from 0): {z[row]}")
    return z


def _within_range(task: str, p: Array) -> Array:
    bad = ~((p >= -_ROUNDING) & (p <= 1.0 + _ROUNDING))  # NaN fails both comparisons
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(f"probabilities must lie in [0, 1]; row {row} (counted from 0): {p[row]}")
    if task == "multiclass" and np.any(np.abs(p.sum(axis=1) - 1.0) > _SUM_ROUNDING):
        row = int(np.argmax(np.abs(p.sum(axis=1) - 1.0)))
        raise DataError(f"probabilities of row {row} add up to {p[row].sum():.6g}, not to 1")
    return np.clip(p, 0.0, 1.0)


def _codes(y: Array, limit: int) -> Array:
    with np.errstate(invalid="ignore"):  # a NaN becomes some integer, and differs from it
        codes = y.astype(np.int64)
    bad = (codes != y) | (codes < 0) | (codes >= limit)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise DataError(f"targets must be whole numbers below {limit}; row {row}: {y[row]}")
    return codes
