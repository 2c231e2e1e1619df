"""A data set ready to train on: labels checked, rows split, features encoded, and the schema.

The schema is the record that a finished model keeps: with it alone `encode` turns a new array into
inputs of the network, and `labels.decode(schema["classes"], codes)` turns outputs into classes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import arrays, builtin, encoding, labels, splits
from jaxnet.data.places import values
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError

_FORMAT = 1
_TEST_X = "X of the test set"


class Dataset(NamedTuple):
    """Encoded features, targets of the task (`labels.Labels`), and how they came about.

    x: float32 (rows, d). y: binary float32 (rows,), multiclass int32 (rows,), multi-label float32
    (rows, K). A validation or test part that was not asked for has 0 rows.
    rows: row numbers of the three parts in the given table; a test table of its own has none.
    schema: JSON-able; task, features, encoding, classes, class_names, split, rows, train_counts.
    warnings: what is allowed but likely a mistake; notes: what was done on the way.
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array
    rows: splits.Split
    schema: dict[str, Any]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class Shares(NamedTuple):
    """Shares of all rows that are split off, and the seed of the split."""

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0


def prepare(
    task: str,
    *,
    source: str | None = None,
    train: str | Path | None = None,
    test: str | Path | None = None,
    features: str = "X",
    target: str = "y",
    scale: str = "robust",
    split: Mapping[str, Any] | None = None,
    directory: str | Path = ".",
) -> Dataset:
    """The data set that the `data` section of a config describes; keywords as its keys.

    source: a built-in set; or train (and test): .npz files, relative to `directory`.
    A test file, or a test table within the training file, is kept as it is; only validation rows
    are then split off. Raises DataError for all that can be wrong with files, labels or features.

    >>> data = prepare("binary", source="breast_cancer")
    >>> data.x_train.shape, data.x_val.shape, data.x_test.shape
    ((399, 30), (85, 30), (85, 30))
    >>> data.schema["class_names"]
    ['malignant', 'benign']
    """
    if (source is None) == (train is None):
        raise DataError("data: give either source (a built-in set) or train (a file)")
    held_out: Table | None = None
    if source is not None:
        if test is not None:
            raise DataError("data.test: a built-in set is split by itself; leave test out")
        table = builtin.load(source)
    else:
        folder = Path(directory)
        table, held_out = arrays.read_npz(folder / str(train), features, target)
        if test is not None:
            own, within = arrays.read_npz(folder / str(test), features, target)
            held_out = own if within is None else within
    return from_tables(table, held_out, task=task, scale=scale, split=split)


def from_tables(
    table: Table,
    test: Table | None = None,
    *,
    task: str,
    scale: str = "robust",
    split: Mapping[str, Any] | None = None,
) -> Dataset:
    """A data set from tables in memory; `test`, if given, is kept as the test part.

    >>> table = Table(np.arange(40.0).reshape(20, 2), np.array(["no", "yes"] * 10), ("a", "b"))
    >>> data = from_tables(table, task="binary", split={"validation": 0, "test": 0.2})
    >>> data.x_test.shape, data.x_val.shape, data.schema["classes"]
    ((4, 2), (0, 2), ['no', 'yes'])
    """
    shares = Shares(**(split or {}))
    names = table.feature_names
    if test is not None:
        shares = shares._replace(test=0.0)
        _refuse_other_columns(table, test)
        encoding.check(test.x, names=names, what=_TEST_X)
    encoding.check(table.x, names=names)
    found = labels.validate(table.y, task, names=table.names)
    shown = labels.name_classes(found.classes, None if task == "multilabel" else table.names)
    rows = splits.split(found.targets, task, *shares, classes=shown)
    code = encoding.fit(table.x, scale, rows=rows.train, names=names)
    x_train, x_val, x_test = (encoding.apply(code, table.x, rows=part) for part in rows)
    y_train, y_val, y_test = (found.targets[part] for part in rows)
    if test is not None:
        x_test = encoding.apply(code, test.x, names=names, what=_TEST_X)
        y_test = labels.validate(test.y, task, found.classes, what="y of the test set").targets
    schema = {
        "format": _FORMAT,
        "task": task,
        "features": list(names),
        "encoding": encoding.to_json(code),
        "classes": list(found.classes),
        "class_names": list(shown),
        "rows": {"train": len(y_train), "validation": len(y_val), "test": len(y_test)},
        "train_counts": labels.counts(y_train, len(shown)).tolist(),
        "split": {**shares._asdict(), "test_given": test is not None, "sha256": _digest(rows)},
    }
    absent = _absent(shown, {"training": y_train, "validation": y_val, "test": y_test})
    notes = (*table.notes, *(test.notes if test is not None else ()), *_constant(code, names))
    return Dataset(
        *(x_train, y_train, x_val, y_val, x_test, y_test),
        rows=rows,
        schema=schema,
        warnings=(*found.warnings, *absent),
        notes=notes,
    )


def encode(schema: Mapping[str, Any], x: Any, *, what: str = "X") -> Array:
    """A new array as inputs of the network that was trained with this schema: float32 (n, d).

    x: (n, d), images (n, h, w), or a Table; columns in the order of training. Raises DataError for
    another number of columns, values that are missing or infinite, or values that are no numbers.

    >>> data = prepare("binary", source="breast_cancer")
    >>> encode(data.schema, np.zeros((2, 29)))
    Traceback (most recent call last):
    jaxnet.errors.DataError: X: expected 30 columns ('mean radius', 'mean texture', 'mean ...
    """
    names = schema["features"]
    if hasattr(x, "columns"):
        x = _by_name(x, names, what)
    matrix = arrays.as_matrix(x.x if isinstance(x, Table) else x, what).x
    if matrix.shape[1] != len(names):
        raise DataError(
            f"{what}: expected {len(names)} columns ({values(names)}), given {matrix.shape[1]}: "
            f"an array of shape {matrix.shape}"
        )
    return encoding.apply(encoding.from_json(schema["encoding"]), matrix, names=names, what=what)


def _by_name(frame: Any, names: Sequence[str], what: str) -> Any:
    """The columns of a data frame in the order of training; by place if it shares no name."""
    given = set(map(str, frame.columns))
    missing = [name for name in names if name not in given]
    if len(missing) == len(names):
        return frame
    if missing:
        raise DataError(f"{what}: no column {values(missing)}, which the model was trained with")
    return frame[list(names)]


def encode_labels(schema: Mapping[str, Any], y: Any, *, what: str = "y") -> Array:
    """Labels of new rows as targets, looked up among the classes of training.

    >>> data = prepare("binary", source="breast_cancer")
    >>> encode_labels(data.schema, [1, 0, 1])
    array([1., 0., 1.], dtype=float32)
    """
    return labels.validate(y, schema["task"], schema["classes"], what=what).targets


def _refuse_other_columns(table: Table, test: Table) -> None:
    """Both tables must have the same columns in the same order."""
    if table.names and test.names and table.names != test.names:
        raise DataError(
            f"y of the test set: its names are {values(test.names)}, those of training "
            f"{values(table.names)}; name them alike and in the same order"
        )
    own, other = table.feature_names, test.feature_names
    if table.x.shape[1] != test.x.shape[1]:
        raise DataError(
            f"{_TEST_X}: expected {len(own)} columns as in training, given {test.x.shape[1]}"
        )
    if own != other:
        place = next(i for i, name in enumerate(own) if name != other[i])
        raise DataError(
            f"{_TEST_X}: column {place} is {other[place]!r}, in training {own[place]!r}: "
            f"columns must stand in the same order"
        )


def _absent(names: Sequence[str], parts: Mapping[str, Array]) -> list[str]:
    """A warning for each part that holds no row of some class, or no positive row of some label.

    Of single-label tasks the training part always holds every class.
    """
    said = []
    for part, targets in parts.items():
        absent = np.flatnonzero(labels.counts(targets, len(names)) == 0)
        if len(targets) and absent.size:
            what = "positive row of label" if targets.ndim == 2 else "row of class"
            found = values(names[int(i)] for i in absent)
            said.append(f"the {part} part ({len(targets)} rows) has no {what} {found}")
    return said


def _constant(code: encoding.Encoding, names: Sequence[str]) -> list[str]:
    """A note for columns that carry nothing."""
    constant = np.flatnonzero(code.scale == 0)
    if not constant.size:
        return []
    found = values(names[int(i)] for i in constant)
    return [
        f"{constant.size} of {len(names)} columns are constant in the training rows and encoded "
        f"as 0: {found}"
    ]


def _digest(rows: splits.Split) -> str:
    """SHA-256 of the row numbers of the three parts: two runs with the same one split alike."""
    digest = hashlib.sha256()
    for part in rows:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()
