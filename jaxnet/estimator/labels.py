"""Labels as scikit-learn passes them: the task they ask, the classes, codes for the data room."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array

from jaxnet.data import kinds
from jaxnet.data.places import values
from jaxnet.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

_BINARIZE = "MultiLabelBinarizer().fit_transform(y) makes it of sets of labels"


class Target(NamedTuple):
    """What is to be learned.

    Attributes:
        task: binary, multiclass or multilabel.
        codes: (n,) places in `classes`; multi-label (n, K) of 0 and 1.
        classes: sorted, as they are in y; multi-label: 0 to K - 1, the columns of y.
        dtype: of y.
    """

    task: str
    codes: Array
    classes: Array
    dtype: np.dtype[Any]


def read(y: Any, name: str = "JaxnetClassifier") -> Target:
    """The target that labels stand for: two classes, more, or one column of 0 and 1 a label.

    Raises:
        DataError: no labels, missing ones, numbers that are no classes, sets of labels.

    >>> read(["no", "yes", "no"]).task, read([[1, 0], [0, 1], [1, 1]]).task
    ('binary', 'multilabel')
    """
    if y is None:
        raise DataError(f"{name} requires y to be passed, but the target y is None")
    _refuse_sets(y)
    if hasattr(y, "toarray"):
        y = y.toarray()  # the indicator that a MultiLabelBinarizer may give
    y = _of_one_kind(y)
    array = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=name)
    if array.ndim == 2 and array.shape[1] == 1:
        text = "A column-vector y was passed when a 1d array was expected; use y.ravel()"
        warnings.warn(text, DataConversionWarning, stacklevel=4)
        array = array.ravel()
    check_classification_targets(array)
    if type_of_target(array, input_name="y") == "multilabel-indicator":
        return Target("multilabel", array, np.arange(array.shape[1]), array.dtype)
    if array.ndim == 2:
        raise DataError(
            f"y has shape {array.shape} and holds more than 0 and 1: several labels a row are one "
            f"column of 0 and 1 each; {_BINARIZE}"
        )
    classes, codes = np.unique(array, return_inverse=True)
    return Target(_task(classes), codes, classes, array.dtype)


def refuse_one_class(target: Target, weights: Array | None) -> None:
    """Nothing can be told apart where one class is left; rows of weight 0 count as none."""
    kept = target.codes if weights is None else target.codes[weights > 0]
    left = np.unique(kept, axis=0)
    if len(left) > 1:
        return
    if target.task == "multilabel":
        raise DataError("y holds the same labels in every row: there is nothing to tell apart")
    where = "" if weights is None or len(target.classes) == 1 else " in rows of a weight above 0"
    raise DataError(
        f"y holds only one class{where}, {values(target.classes[left])}: a classifier needs "
        f"samples of at least 2 classes"
    )


def _task(classes: Array) -> str:
    return "binary" if len(classes) <= 2 else "multiclass"


def _of_one_kind(y: Any) -> Any:
    """Python objects as an array of what they are; NumPy would make 1 and "a" both text.

    Raises DataError, with the row, for a missing label and for a label of another kind.
    """
    array = kinds.as_array(y, "y") if isinstance(y, list | tuple) else y
    if hasattr(array, "to_numpy") and not isinstance(getattr(array, "dtype", None), np.dtype):
        array = array.to_numpy()  # Int64 and boolean of pandas, which would become floats
    if not _holds_objects(array):
        return array
    cells = np.asarray(array)
    found = kinds.distinct(cells.ravel(), "y").labels
    return cells if isinstance(found[0], str) else np.asarray(cells.tolist())


def _refuse_sets(y: Any) -> None:
    """Sets of labels, which NumPy would take for one object each or for nothing at all."""
    if not (isinstance(y, list | tuple) or _holds_objects(y)):
        return
    lengths = {len(row) if isinstance(row, list | tuple) else None for row in y}
    if len(lengths) > 1 or any(isinstance(row, set | frozenset) for row in y):
        raise DataError(
            f"y is a sequence of sets of labels; give one column of 0 and 1 a label: {_BINARIZE}"
        )


def _holds_objects(y: Any) -> bool:
    return getattr(getattr(y, "dtype", None), "kind", "") == "O"
