"""A data set ready to train on: labels checked, rows split, features encoded, and the schema.

The schema is the record that a finished model keeps: with it alone `encode_frame` turns new rows
into inputs of the network, and `labels_of` reads their labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.data import labels, new_rows, sources, sparse_sets
from jaxnet.data import missing as tokens
from jaxnet.data import targets as targets_
from jaxnet.data.assembly import Dataset as Dataset
from jaxnet.data.assembly import Settings, Shares, build
from jaxnet.data.features import Options
from jaxnet.data.frame import Frame
from jaxnet.data.labels import Class, Labels
from jaxnet.data.new_rows import Encoded, Ready
from jaxnet.data.sources import Files, Given
from jaxnet.data.splits import PARTS, Split
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError


def prepare(
    task: str,
    *,
    source: str | None = None,
    train: str | Path | None = None,
    test: str | Path | None = None,
    validation: str | Path | None = None,
    features: str = "X",
    target: Any = None,
    positive: Class | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    scale: str | None = None,
    one_hot_limit: int = 8,
    embedding_size: int = 8,
    split: Mapping[str, Any] | None = None,
    directory: str | Path = ".",
    train_labels: str | Path | None = None,
    validation_labels: str | Path | None = None,
    test_labels: str | Path | None = None,
    label_names: str | Path | None = None,
) -> Dataset:
    """The data set that the `data` section of a config describes; keywords as its keys.

    source: a built-in set; or train (and validation, test): .npz files, tables (.csv, .csv.gz,
    .parquet) or sparse rows (XC .txt and .txt.gz, sparse .npz), from `directory` on. A file of
    validation or test rows is kept as it is, as is a test table within an .npz file; parts without
    a file are split off.
    target: of a table, the column of the labels (see `targets`); of .npz files, the key, "y" for
    None. columns: name -> numeric, categorical or id, where the inferred kind is not meant.
    missing: cells that mean missing, beside empty ones. split: see `Shares`. scale: None is robust,
    of sparse rows unit. train_labels, validation_labels, test_labels: labels of sparse .npz files.
    label_names: a file with a name a line. Raises DataError for all that can be wrong with them.

    >>> data = prepare("binary", source="breast_cancer")
    >>> data.x_train.shape, data.x_val.shape, data.x_test.shape
    ((399, 30), (85, 30), (85, 30))
    >>> data.schema["class_names"]
    ['malignant', 'benign']
    """
    if (source is None) == (train is None):
        raise DataError("data: give either source (a built-in set) or train (a file)")
    wishes = Options(scale or "robust", one_hot_limit, embedding_size)
    folder = Path(directory)
    shares = _shares(folder, **(split or {}))
    if train is not None and sparse_sets.is_sparse(folder / train):
        given = (train, train_labels), (validation, validation_labels), (test, test_labels)
        names = _below(folder, label_names)
        return _sparse(task, folder, given, sparse_sets.Wishes(scale or "unit", shares, names))
    if train is not None and train_labels is not None:
        raise DataError(f"data.train: {train}: holds no sparse rows; leave data.train_labels out")
    settings = _settings(task, positive, columns, drop, missing, wishes, shares)
    if source is not None:
        for key, path in (("test", test), ("validation", validation)):
            if path is not None:
                raise DataError(f"data.{key}: a built-in set is split by itself; leave {key} out")
        return build(sources.built_in(source, task), settings)
    files = Files(folder / str(train), _below(folder, validation), _below(folder, test))
    return build(sources.from_files(files, task, features=features, target=target), settings)


def _shares(folder: Path, file: str | None = None, **given: Any) -> Shares:
    return Shares(**given, file=None if file is None else str(folder / file))


def _below(folder: Path, path: str | Path | None) -> Path | None:
    return None if path is None else folder / path


_Given = tuple[str | Path | None, str | Path | None]  # rows, and their labels


def _sparse(
    task: str, folder: Path, given: tuple[_Given, ...], wishes: sparse_sets.Wishes
) -> Dataset:
    train, validation, test = (
        _sparse_files(folder, *pair) for pair in zip(PARTS, given, strict=True)
    )
    assert train is not None  # there always is a training file
    if task != "multilabel":
        raise DataError(f"data.train: {given[0][0]}: sparse rows have sets of labels; task: {task}")
    return sparse_sets.prepare(train, validation, test, wishes)


def _sparse_files(folder: Path, part: str, given: _Given) -> sparse_sets.Files | None:
    path, own = given
    if path is None:
        return None
    if not (folder / path).exists():
        raise DataError(f"data.{part}: {folder / path}: no such file")
    if not sparse_sets.is_sparse(folder / path):
        raise DataError(f"data.{part}: {path}: not sparse rows, as data.train are")
    return sparse_sets.Files(folder / path, _below(folder, own))


def from_frames(
    x: Any,
    y: Any,
    *,
    task: str,
    validation: float | Array = 0.15,
    seed: int = 0,
    positive: Class | None = None,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    scale: str | None = None,
    one_hot_limit: int = 8,
    embedding_size: int = 8,
) -> Dataset:
    """A data set from features and labels in memory, without test rows.

    x: a Frame, a data frame or an array (n, d); y: labels as `labels.validate` takes them.
    validation: share of rows to split off, or the row numbers themselves.

    >>> x, y = np.arange(40.0).reshape(20, 2), np.array(["no", "yes"] * 10)
    >>> data = from_frames(x, y, task="binary", validation=np.array([0, 3]))
    >>> data.x_train.shape, data.x_val.shape, data.schema["classes"]
    ((18, 2), (2, 2), ['no', 'yes'])
    """
    part = sources.of_pair(sources.as_features(x), y, task)
    wishes = Options(scale or "robust", one_hot_limit, embedding_size)
    share, rows = (validation, None) if isinstance(validation, float | int) else (0.0, validation)
    settings = _settings(task, positive, columns, drop, missing, wishes, Shares(share, 0.0, seed))
    if rows is not None:
        settings = settings._replace(rows=_given_rows(np.asarray(rows, np.int64), len(part)))
    return build(Given(part), settings)


def from_tables(
    table: Table,
    test: Table | None = None,
    *,
    task: str,
    scale: str = "robust",
    split: Mapping[str, Any] | None = None,
) -> Dataset:
    """A data set from arrays in memory; `test`, if given, is kept as the test part.

    >>> table = Table(np.arange(40.0).reshape(20, 2), np.array(["no", "yes"] * 10), ("a", "b"))
    >>> data = from_tables(table, task="binary", split={"validation": 0, "test": 0.2})
    >>> data.x_test.shape, data.x_val.shape, data.schema["classes"]
    ((4, 2), (0, 2), ['no', 'yes'])
    """
    held = None if test is None else sources.of_table(test, task, "test set")
    given = Given(sources.of_table(table, task), test=held)
    settings = _settings(task, None, None, (), None, Options(scale), Shares(**(split or {})))
    return build(given, settings)


def encoder(schema: Mapping[str, Any]) -> Ready | sparse_sets.Ready:
    """A schema made ready, for `encode_frame` on one piece of a table after another.

    Raises DataError if it is of an older version; DataError, KeyError or ValueError if damaged.
    """
    if "kind" not in schema:
        return new_rows.ready(schema)
    if schema["kind"] != sparse_sets.KIND:
        raise ValueError(f"kind is {schema['kind']!r}, not {sparse_sets.KIND!r}")
    return sparse_sets.ready(schema)


def encode_frame(
    schema: Mapping[str, Any] | Ready | sparse_sets.Ready, x: Any, *, what: str = "X"
) -> Encoded | sparse_sets.Encoded:
    """New rows as inputs of the network that was trained with this schema, and what was odd.

    x: a Frame or a data frame, by name in any order; a Table or an array (n, d), by place. Each
    row is encoded by itself: pieces of a table give the pieces of the result. Where training had
    sparse rows: SparseRows, a SciPy sparse matrix, or an array (n, d).
    Raises DataError: missing columns, words or infinities in numeric columns.

    >>> schema = from_frames(np.array([[1.0], [2.0], [3.0], [2.0]]), [0, 1, 0, 1], task="binary",
    ...                      validation=0.0).schema
    >>> encode_frame(schema, np.array([[2.0], [np.nan]]))
    Encoded(x=array([[0.], [0.]], dtype=float32), warnings=(), unseen={'x0': 1})
    """
    known = schema if isinstance(schema, Ready | sparse_sets.Ready) else encoder(schema)
    if isinstance(known, sparse_sets.Ready):
        return sparse_sets.encode(known, x, what)
    return new_rows.encode(known, x, what)


def labels_of(schema: Mapping[str, Any], x: Frame | Table) -> Labels:
    """Labels of new rows as targets, looked up among the classes of training.

    Raises DataError, with the line: a missing label, a class that training did not have.
    """
    task, classes = schema["task"], schema["classes"]
    if isinstance(x, Table):
        return labels.validate(x.y, task, classes, names=x.names)
    target = targets_.Target(tuple(schema["target"]["columns"]), schema["target"]["separator"])
    if not target.columns:
        raise DataError(f"{x.name}: the model was trained on arrays, so no column is its target")
    return targets_.read(x, target, task, classes)


def _settings(
    task: str,
    positive: Class | None,
    kinds: Mapping[str, str] | None,
    drop: Sequence[str],
    missing: Sequence[str] | None,
    options: Options,
    shares: Shares,
) -> Settings:
    known = tokens.tokens(missing)
    return Settings(task, positive, kinds or {}, tuple(drop), known, options, shares)


def _given_rows(validation: Array, n: int) -> Split:
    """These rows for validation and all others for training."""
    wrong = validation[(validation < 0) | (validation >= n)]
    if wrong.size:
        raise DataError(f"validation: row {wrong[0]} of {n} (counted from 0)")
    held = np.unique(validation)
    train = np.setdiff1d(np.arange(n), held)
    if len(train) == 0:
        raise DataError(f"validation: all {n} rows are held out, and none is left to train on")
    return Split(train, held, np.empty(0, np.int64))
