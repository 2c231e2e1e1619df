"""A data set of sparse rows with sets of labels, ready to train on; nothing of n x d is ever made.

The schema is that of `dataset`, with `kind: sparse`, no columns by name, and a label for each
index. It says how rows are scaled, so that `encode` does the same to new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import (
    label_names,
    sparse,
    sparse_entries,
    sparse_npz,
    split_file,
    splits,
    xc_reader,
)
from jaxnet.data.assembly import Dataset, Shares, digest_of_split
from jaxnet.data.new_rows import FORMAT
from jaxnet.data.sparse import SparseLabels, SparseRows, SparseTable
from jaxnet.data.splits import PARTS, Split
from jaxnet.data.table import Array
from jaxnet.errors import DataError

KIND = "sparse"
MOST_LABELS = 20_000_000  # each has a name and a count in the schema


class Files(NamedTuple):
    """Where the rows of one part are, and their labels if these are in a file of their own."""

    rows: Path
    labels: Path | None = None


class Wishes(NamedTuple):
    """scale: unit (each row has length 1) or none. names: a file with the name of each label."""

    scale: str
    shares: Shares
    names: Path | None = None


class Ready(NamedTuple):
    """A schema made ready to encode new rows."""

    schema: Mapping[str, Any]
    width: int


class Encoded(NamedTuple):
    """x: inputs of the network. warnings: what is odd about the rows.

    unseen: nothing; columns without names have no cells unlike those of training.
    """

    x: SparseRows
    warnings: tuple[str, ...]
    unseen: Mapping[str, int] = MappingProxyType({})


def is_sparse(path: str | Path) -> bool:
    """Whether a file holds sparse rows: XC text by its name, .npz by what is in it."""
    name = Path(path).name.lower()
    return xc_reader.is_xc(name) or (name.endswith(".npz") and sparse_npz.is_sparse(path))


def read(files: Files) -> SparseTable:
    """The rows of a file, with their labels. Raises DataError for all that can be wrong."""
    if xc_reader.is_xc(files.rows):
        if files.labels is not None:
            raise DataError(f"{files.rows}: holds its labels itself; leave {files.labels} out")
        return xc_reader.read(files.rows)
    return sparse_npz.read(files.rows, files.labels)


def prepare(train: Files, validation: Files | None, test: Files | None, wishes: Wishes) -> Dataset:
    """The data set of these files. What has no file of its own is split off the training file.

    Rows are split by chance: of labels that only few rows have no share could be kept.

    Raises DataError: no labels, parts that do not fit to each other, no rows for a part.
    """
    table = read(train)
    y = _labelled(table)
    held = [None if files is None else _fitting(read(files), table) for files in (validation, test)]
    shares = wishes.shares
    shares = shares._replace(validation=0.0) if validation is not None else shares
    shares = shares._replace(test=0.0) if test is not None else shares
    rows = _split(len(table.x), shares, held)
    parts = [(sparse.take(table.x, part), sparse.take(y, part)) for part in rows]
    for number, own in enumerate(held, start=1):
        if own is not None:
            parts[number] = own.x, _labelled(own)
    schema = _schema(table, y, wishes, shares, rows, [part[1] for part in parts])
    given = {f"{name}_given": own is not None for name, own in zip(PARTS[1:], held, strict=True)}
    schema["split"] |= given
    known = ready(schema)
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = parts
    tables = [table, *(part for part in held if part is not None)]
    return Dataset(
        x_train=encode(known, x_train).x,
        y_train=y_train,
        x_val=encode(known, x_val).x,
        y_val=y_val,
        x_test=encode(known, x_test).x,
        y_test=y_test,
        rows=rows,
        schema=schema,
        warnings=(),
        notes=(*(note for one in tables for note in one.notes), *_remarks(parts, schema)),
    )


def ready(schema: Mapping[str, Any]) -> Ready:
    """The schema made ready. Raises KeyError or ValueError where it is damaged."""
    width = schema["width"]
    if type(width) is not int or width < 1 or schema["scale"] not in ("unit", "none"):
        raise ValueError("width or scale make no sense")
    return Ready(schema, width)


def encode(known: Ready, x: Any, what: str = "X") -> Encoded:
    """New rows as inputs, each by itself. x: SparseRows, a SciPy sparse matrix, or an array (n, d).

    Raises DataError: another number of columns, values that are not finite.
    """
    rows = as_rows(x, what)
    if rows.columns != known.width:
        raise DataError(
            f"{what}: expected {known.width} columns as in training, given {rows.columns}"
        )
    bare = int((sparse.counts(rows) == 0).sum())
    scaled = sparse.of_length_one(rows) if known.schema["scale"] == "unit" else rows
    return Encoded(scaled, tuple(f"{what}: {text}" for text in describe(bare, len(rows))))


def describe(bare: int, rows: int) -> tuple[str, ...]:
    """A sentence on the rows without features, if there are any.

    >>> describe(1, 1000)
    ('1 of 1,000 rows have no features',)
    """
    return (f"{bare:,} of {rows:,} rows have no features",) if bare else ()


def names_of(schema: Mapping[str, Any]) -> list[Any]:
    """The labels as results show them: by name, or by number where they have no names.

    >>> names_of({"classes": [0, 1], "class_names": ["0", "1"]})
    [0, 1]
    """
    names, labels = list(schema["class_names"]), list(schema["classes"])
    return labels if names == [str(label) for label in labels] else names


def as_rows(x: Any, what: str = "X") -> SparseRows:
    """Rows of any kind as sparse ones. Raises DataError for what is no matrix of numbers."""
    if isinstance(x, SparseRows):
        return x
    if hasattr(x, "tocoo"):
        return sparse_entries.from_scipy(x, what)
    array = np.asarray(x)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise DataError(f"{what}: a sparse matrix or an array (n, d) of numbers is needed")
    row, column = np.nonzero(array)
    return sparse_entries.from_entries(row, column, array[row, column], array.shape, what)


def _labelled(table: SparseTable) -> SparseLabels:
    if table.labels is None:
        raise DataError(
            f"{table.name}: the rows have no labels; XC text with labels begins with three numbers "
            "(rows features labels), and a sparse .npz file has them in another, data.train_labels"
        )
    if table.labels.labels > MOST_LABELS:
        raise DataError(
            f"{table.name}: says that there are {table.labels.labels:,} labels, and at most "
            f"{MOST_LABELS:,} are taken: correct the third number of the first line"
        )
    if not len(table.labels.indices):
        raise DataError(f"{table.name}: no row has a label")
    return table.labels


def _fitting(part: SparseTable, table: SparseTable) -> SparseTable:
    """A part that came as it is, once its columns and labels are those of the training file."""
    own = _labelled(part)
    assert table.labels is not None
    for what, mine, other in (
        ("columns", part.x.columns, table.x.columns),
        ("labels", own.labels, table.labels.labels),
    ):
        if mine != other:
            raise DataError(f"{part.name}: {mine} {what}, and {table.name} has {other}")
    return part


def _split(n: int, shares: Shares, held: Sequence[SparseTable | None]) -> Split:
    """Rows of the parts, from a file or by chance."""
    if shares.group is not None:
        raise DataError(
            f"data.split.group: {shares.group}: sparse rows have no columns by name; name the part "
            "of each row in data.split.file"
        )
    if shares.file is None:
        return splits.by_chance(n, shares.validation, shares.test, shares.seed)
    rows = split_file.read(shares.file, n)
    for name, own in zip(PARTS[1:], held, strict=True):
        if own is not None and len(getattr(rows, name)):
            raise DataError(
                f"{shares.file}: rows have the part {name!r}, and data.{name} is a file of its "
                "own; leave one of them out"
            )
    return rows


def _schema(
    table: SparseTable,
    y: SparseLabels,
    wishes: Wishes,
    shares: Shares,
    rows: Split,
    parts: Sequence[SparseLabels],
) -> dict[str, Any]:
    names = [str(label) for label in range(y.labels)]
    if wishes.names is not None:
        names = label_names.read(wishes.names, y.labels)
    return {
        "format": FORMAT,
        "kind": KIND,
        "task": "multilabel",
        "named": False,
        "width": table.x.columns,
        "scale": wishes.scale,
        "columns": [],
        "inputs": [],
        "groups": {},
        "embeddings": [],
        "identifiers": [],
        "missing": [],
        "target": {"columns": [], "separator": ","},
        "classes": list(range(y.labels)),
        "class_names": names,
        "rows": {name: len(part) for name, part in zip(PARTS, parts, strict=True)},
        "train_counts": sparse.label_counts(parts[0]).tolist(),
        "split": {**shares._asdict(), "sha256": digest_of_split(rows)},
    }


def _remarks(
    parts: Sequence[tuple[SparseRows, SparseLabels]], schema: Mapping[str, Any]
) -> list[str]:
    """What a reader should know about the rows."""
    x, y = parts[0]
    features, labels = sparse.stats(x), sparse.stats(y)
    counts = np.asarray(schema["train_counts"])
    said = [
        f"sparse rows: {features.mean:.1f} of {x.columns:,} features and {labels.mean:.1f} of "
        f"{y.labels:,} labels a row, at most {features.most} and {labels.most}"
    ]
    for name, (rows, own) in zip(PARTS, parts, strict=True):
        for what, each in (("label", own), ("feature", rows)):
            bare = int((sparse.counts(each) == 0).sum())
            if bare:
                said.append(f"{bare:,} of {len(own):,} {name} rows have no {what}")
    if unknown := int((counts == 0).sum()):
        said.append(f"{unknown:,} of {len(counts):,} labels have no training row")
    return said


def counts_of(schema: Mapping[str, Any]) -> tuple[Array, int]:
    """Training rows of each label, and how many there were: what propensities follow from."""
    return np.asarray(schema["train_counts"], np.int64), int(schema["rows"]["train"])
