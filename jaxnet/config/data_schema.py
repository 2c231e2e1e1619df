"""The data section of a config: where rows come from, how they are read and divided."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jaxnet.config import names
from jaxnet.config.unions import Target
from jaxnet.config.values import Cells, Fraction, Section, Seed, Word, Words


class SplitConfig(Section):
    """How the rows are divided when no test file is given."""

    validation: Fraction = 0.15
    """Fraction of the rows held out for validation; unused with data.validation."""
    test: Fraction = 0.15
    """Fraction of the rows held out for the test; unused with data.test."""
    seed: Seed = 0
    """Seed of the split."""
    group: Word | None = None
    """A column; rows with the same value stay in one part. It is no feature itself."""
    file: Word | None = None
    """A recorded split.csv (row,part) to use again, instead of fractions."""


SPARSE = (".txt", ".txt.gz")


def is_sparse(train: str | None, train_labels: str | None) -> bool:
    """Whether rows are sparse: XC text, or an .npz file whose labels are in another.

    >>> is_sparse("rows.csv", None), is_sparse("train.txt", None), is_sparse("x.npz", "y.npz")
    (False, True, True)
    """
    return train_labels is not None or (train is not None and train.lower().endswith(SPARSE))


class DataConfig(Section):
    """Where the rows come from, and how they become arrays."""

    source: names.Source | None = None
    """A built-in set: breast_cancer, digits or digit_attributes."""
    train: str | None = None
    """Instead of source: a .csv, .csv.gz, .parquet, .npz or XC .txt file, from the config on."""
    validation: str | None = None
    """A file of the same kind for validation; null splits the validation rows off."""
    test: str | None = None
    """A file of the same kind for the test; null splits the test rows off."""
    train_labels: str | None = None
    """Labels of sparse .npz rows: a sparse .npz file of ones; XC text holds its own."""
    validation_labels: str | None = None
    """The same of data.validation."""
    test_labels: str | None = None
    """The same of data.test."""
    label_names: str | None = None
    """A .txt or .txt.gz file with the name of each label of sparse rows, one a line."""
    target: Target = None
    """The column to predict; several labels: [a, b] or {column: tags, separator: "|"}."""
    positive: Word | None = None
    """The positive class of task: binary, as written; null is the second in sorted order."""
    columns: Annotated[dict[str, names.ColumnKind], Field(strict=False)] = Field(
        default_factory=dict
    )
    """Kinds of columns where the guess is wrong: {zip: categorical, age: numeric, key: id}."""
    drop: Words = ()
    """Columns that are no features."""
    missing: Cells | None = None
    """Cells that are missing values; null: empty, ?, NA, N/A, NaN, nan, null."""
    features: str = Field(default="X", min_length=1)
    """Name of the array of features in .npz files; that of the labels is target, or y."""
    scale: names.Scale = Field(
        default_factory=lambda data: (
            "unit" if is_sparse(data["train"], data["train_labels"]) else "robust"
        ),
        json_schema_extra={"default": "robust"},
    )
    """Numeric columns: robust, standard, quantile or none; sparse rows: unit or none."""
    one_hot_limit: Annotated[int, Field(ge=0, le=10_000)] = 8
    """Categorical columns of more categories than this get a learned embedding."""
    split: SplitConfig = SplitConfig()
    """Rows held out for validation and test."""
