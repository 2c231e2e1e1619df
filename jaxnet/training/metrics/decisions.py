"""From probabilities to decisions."""

from typing import Any, TypeAlias

import numpy as np

from jaxnet.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]
# One for all, one a label, or None for the usual ones.
Thresholds: TypeAlias = Any

THRESHOLD = 0.5


def decide(task: str, probabilities: Any, thresholds: Thresholds = None) -> Array:
    """What a model predicts: binary int32 (n,), 1 where p >= threshold; multiclass int32 (n,), the
    most likely class, the first of equals; multi-label int32 (n, K), 1 where p >= threshold.

    thresholds: a number, or one for each label (K,); None: 0.5. Multiclass has none.
    Raises DataError for thresholds that are not numbers or not one a label.

    >>> decide("binary", [0.49, 0.5])
    array([0, 1], dtype=int32)
    >>> decide("multilabel", [[0.3, 0.3]], [0.2, 0.4])
    array([[1, 0]], dtype=int32)
    """
    p = np.asarray(probabilities)
    if task == "multiclass":
        if thresholds is not None:
            raise DataError("multiclass decides for the most likely class; leave thresholds out")
        return p.argmax(axis=1).astype(np.int32)
    return (p >= _fitting(p, thresholds)).astype(np.int32)


def _fitting(p: Array, thresholds: Thresholds) -> Array:
    t = np.asarray(THRESHOLD if thresholds is None else thresholds, dtype=np.float64)
    if t.shape not in ((), p.shape[1:]) or np.isnan(t).any():
        labels = f"one for each of {p.shape[1]} labels" if p.ndim == 2 else "one number"
        raise DataError(f"thresholds: expected {labels}, given shape {t.shape}: {t}")
    return t
