"""Rows as scikit-learn passes them, and which of them are held out for validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from jaxnet.data import data_frames, splits
from jaxnet.errors import DataError
from jaxnet.estimator.labels import Array, Target


def checked(estimator: BaseEstimator, x: Any, *, reset: bool) -> Any:
    """Rows for the data room: a data frame as it is, all else as an array of numbers (n, d).

    Sets `n_features_in_` and `feature_names_in_` if `reset`; else holds the rows to them.

    Raises:
        ValueError: other columns than in training, or in another order; an infinity; no rows.
        TypeError: a sparse matrix.
    """
    if data_frames.is_frame(x) and hasattr(x, "shape"):
        validate_data(estimator, x, reset=reset, skip_check_array=True)
        if min(x.shape) == 0:
            raise DataError(f"X has shape {tuple(x.shape)}: rows and columns are needed")
        return x
    try:
        return validate_data(estimator, x, reset=reset, ensure_all_finite="allow-nan")
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        raise DataError(
            f"X: {error}: an array holds numbers; give columns of text as a data frame: "
            f"pandas.DataFrame(X).infer_objects()"
        ) from error


def held_out(target: Target, fraction: float, seed: int, weights: Array | None) -> Array:
    """Row numbers of the validation part, rising: classes in proportion, or labels.

    A row of weight 0 and the only row of a class stay with training. Where too few rows are left
    to spare one, nothing is held out.

    >>> codes = np.arange(40) % 2
    >>> target = Target("binary", codes, np.array([0, 1]), codes.dtype)
    >>> len(held_out(target, 0.15, 0, None)), len(held_out(target, 0.0, 0, None))
    (6, 0)
    """
    nothing = np.empty(0, np.int64)
    candidates = np.arange(len(target.codes)) if weights is None else np.flatnonzero(weights > 0)
    codes = target.codes[candidates]
    if target.task != "multilabel":
        several = np.bincount(codes)[codes] > 1
        candidates, codes = candidates[several], codes[several]
    if not fraction or len(codes) * fraction < 1 or len(codes) < 2:
        return nothing
    try:
        found = splits.split(codes, target.task, validation=fraction, test=0.0, seed=seed)
    except DataError:  # too few rows
        return nothing
    return candidates[found.validation]
