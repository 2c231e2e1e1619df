"""Labels checked on the host, before JAX meets them: there, a label out of range is no error.

`validate` turns labels of any kind into the targets that the losses take. Every refusal names rows
(counted from 0), values and, where they are known, the classes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data.kinds import Distinct, as_array, distinct
from jaxnet.data.places import nearest, rows, values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

Class = bool | int | str

_CELLS_AT_A_TIME = 2**22


class Labels(NamedTuple):
    """Labels as the losses take them.

    targets: binary float32 (n,) of 0 and 1; multiclass int32 (n,) codes; multi-label float32
        (n, K) of 0 and 1.
    classes: the class of each code, in sorted order; multi-label: the name of each column.
    warnings: what is allowed but odd, one sentence each.
    """

    targets: Array
    classes: tuple[Class, ...]
    warnings: tuple[str, ...] = ()


class _Question(NamedTuple):
    """What is asked of labels: known classes or none, names of columns or none, their own name."""

    classes: tuple[Class, ...] | None
    names: tuple[str, ...] | None
    what: str


def validate(
    y: Any,
    task: str,
    classes: Sequence[Class] | None = None,
    *,
    names: Sequence[str] | None = None,
    what: str = "y",
) -> Labels:
    """Labels `y` as targets of the task, or a DataError that says which rows are wrong.

    binary, multiclass: y (n,) or (n, 1) of integers, booleans, text, or floats that are whole.
    The classes are the distinct labels in sorted order; binary: the second is the positive class.
    A text `nan` is a class like any other; a float NaN, None and an empty text are missing labels.
    multilabel: y (n, K) of 0 and 1; `names` are the labels' names (default label_0, label_1, ...).

    With `classes`, those of training, labels are looked up among them and a label outside is an
    error. Without, fewer than two classes (labels that never vary) are an error too.
    `what` names the array in errors.

    >>> validate(["no", "yes", "no"], "binary").targets
    array([0., 1., 0.], dtype=float32)
    >>> validate([30, 10, 20], "multiclass")[:2]
    (array([2, 0, 1], dtype=int32), (10, 20, 30))
    >>> validate([[1, 0], [0, 1]], "multilabel", names=["even", "prime"]).classes
    ('even', 'prime')
    """
    if task not in _VALIDATORS:
        raise DataError(f"task {task!r}: known are {values(_VALIDATORS)}")
    array = as_array(y, what)
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{what} has shape {array.shape}: no rows, so no labels")
    known = None if classes is None else tuple(classes)
    return _VALIDATORS[task](array, _Question(known, None if names is None else tuple(names), what))


def with_positive(found: Labels, positive: Class | None, what: str = "y") -> Labels:
    """Binary labels with the class `positive` second; unchanged for None.

    Raises DataError, with the nearest, for a class that there is not.

    >>> with_positive(validate(["no", "yes"], "binary"), "no").classes
    ('yes', 'no')
    """
    if positive is None:
        return found
    texts = [str(label) for label in found.classes]
    if found.targets.ndim != 1 or found.targets.dtype != np.float32:
        raise DataError("data.positive: only task: binary has a positive class")
    if str(positive) not in texts:
        near = nearest(str(positive), texts) or "."
        raise DataError(
            f"data.positive: {what} has no class {positive!r}{near} "
            f"Classes: {values(found.classes)}"
        )
    if texts.index(str(positive)) == 1:
        return found
    return found._replace(targets=1 - found.targets, classes=found.classes[::-1])


def counts(targets: Array, number: int) -> Array:
    """Rows of each of `number` classes, or positive rows of each label: int64 (number,).

    >>> counts(np.array([0, 2, 2]), 3)
    array([1, 0, 2])
    """
    if targets.ndim == 2:
        return np.count_nonzero(targets, axis=0)
    return np.bincount(targets.astype(np.int64), minlength=number)


def name_classes(classes: Sequence[Class], names: Sequence[str] | None) -> tuple[str, ...]:
    """The name to show for each class. Integers from 0 up are places in `names`; other classes
    take the names in sorted order. Raises DataError where names and classes do not fit together,
    or a named class has no rows.

    >>> name_classes([0, 1], ["malignant", "benign"])
    ('malignant', 'benign')
    >>> name_classes(["cat", "dog"], None)
    ('cat', 'dog')
    """
    own = tuple(str(label) for label in classes)
    if names is None:
        return own
    text = all(isinstance(label, str) for label in classes)
    places = [int(label) for label in classes] if not text else []
    missing: list[str] = []
    if text and set(own) <= set(names):
        missing = [name for name in names if name not in own]
    elif not text and min(places) >= 0 and max(places) < len(names):
        missing = [name for place, name in enumerate(names) if place not in places]
    elif text or len(names) != len(classes):
        raise DataError(
            f"class_names does not fit the labels: names {values(names)}; labels {values(classes)}"
        )
    if missing:
        raise DataError(f"no row has the class {values(missing)}; take it out of class_names")
    return own if text else tuple(names)


def _binary(y: Array, question: _Question) -> Labels:
    found, codes = _classes_and_codes(y, question, "binary")
    if len(found) > 2:
        raise DataError(
            f"{question.what}: task binary needs two classes and there are {len(found)}: "
            f"{counted(found, counts(codes, len(found)))}. Several classes: task: multiclass"
        )
    return Labels(codes.astype(np.float32), found)


def _multiclass(y: Array, question: _Question) -> Labels:
    found, codes = _classes_and_codes(y, question, "multiclass")
    return Labels(codes.astype(np.int32), found)


def _multilabel(y: Array, question: _Question) -> Labels:
    what = question.what
    if y.ndim != 2 or y.shape[1] == 0:
        raise DataError(
            f"{what} has shape {y.shape}: task multilabel needs one row of 0 and 1 for each row "
            f"of X, (n, K). One class a row: task: multiclass"
        )
    if y.dtype.kind not in "biuf":
        raise DataError(f"{what} (dtype {y.dtype}): labels of task multilabel are 0 and 1")
    names = question.classes or question.names
    columns = tuple(names or (f"label_{i}" for i in range(y.shape[1])))
    if len(columns) != y.shape[1]:
        raise DataError(f"{what} has {y.shape[1]} columns and there are {len(columns)} label names")
    _refuse_other_than_0_and_1(y, columns, what)
    targets = y.astype(np.float32)
    warnings = () if question.classes else _constant_columns(targets, columns, what)
    return Labels(targets, columns, warnings)


_VALIDATORS: dict[str, Callable[[Array, _Question], Labels]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "multilabel": _multilabel,
}


def _classes_and_codes(y: Array, question: _Question, task: str) -> tuple[tuple[Class, ...], Array]:
    """The classes and each row's place among them."""
    what = question.what
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{what} has shape {y.shape}: task {task} needs one class for each row, (n,). "
            f"One-hot rows: y.argmax(axis=1); several labels a row: task: multilabel"
        )
    found = distinct(y, what)
    if question.classes is not None:
        return question.classes, _look_up(found, question.classes, what)
    if len(found.labels) == 1:
        raise DataError(
            f"{what}: one class only, {found.labels[0]!r} in all {len(y)} rows: "
            f"there is nothing to tell apart"
        )
    return tuple(found.labels), found.codes


def _look_up(found: Distinct, classes: tuple[Class, ...], what: str) -> Array:
    """Codes among the known classes; a class that training did not see is an error."""
    place = {label: code for code, label in enumerate(classes)}
    unknown = [i for i, label in enumerate(found.labels) if label not in place]
    if unknown:
        raise DataError(
            f"{what}: {rows(np.flatnonzero(np.isin(found.codes, unknown)))}: unknown class "
            f"{values(found.labels[i] for i in unknown)}. Known classes: {values(classes)}"
        )
    return np.array([place[label] for label in found.labels], dtype=np.int64)[found.codes]


def _refuse_other_than_0_and_1(y: Array, names: Sequence[Class], what: str) -> None:
    """An error for the first cell that is neither 0 nor 1."""
    step = max(1, _CELLS_AT_A_TIME // y.shape[1])
    for start in range(0, len(y), step):
        block = y[start : start + step]
        bad = np.argwhere((block != 0) & (block != 1))
        if len(bad):
            row, column = (int(i) for i in bad[0])
            value = block[row, column].item()
            word = "a missing label (NaN)" if value != value else f"{value!r}"
            raise DataError(
                f"{what}: {rows([start + row])}, label {names[column]!r} (column {column}) is "
                f"{word}: labels of task multilabel are 0 and 1"
            )


def _constant_columns(targets: Array, names: Sequence[Class], what: str) -> tuple[str, ...]:
    """A warning for labels that never vary; an error if none does."""
    number = counts(targets, len(names))
    never, always = np.flatnonzero(number == 0), np.flatnonzero(number == len(targets))
    if len(never) + len(always) == len(names):
        raise DataError(
            f"{what}: no label varies over the {len(targets)} rows: "
            f"{counted(names, number)}: there is nothing to tell apart"
        )
    said = []
    if len(never):
        said.append(f"{what}: 0 in every row: label {values(names[int(i)] for i in never)}")
    if len(always):
        said.append(f"{what}: 1 in every row: label {values(names[int(i)] for i in always)}")
    return tuple(said)


def counted(classes: Sequence[Class], number: Array) -> str:
    """The first classes with their rows, for errors.

    >>> counted(["a", "b"], np.array([3, 1]))
    "'a' (3 rows), 'b' (1 row)"
    """
    shown = 8
    pairs = zip(classes, number, strict=True)
    words = [f"{label!r} ({n} row{'s' if n != 1 else ''})" for label, n in pairs]
    more = f" and {len(words) - shown} more" if len(words) > shown else ""
    return ", ".join(words[:shown]) + more
