"""A commented config for sparse rows with sets of labels: XC text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxnet.cli.config_text import as_yaml, comment, path_from, shell, shown, stem_of
from jaxnet.data import sparse, xc_reader
from jaxnet.data.sparse import SparseLabels, Stats
from jaxnet.errors import DataError, UserError

_MANY = 1000  # labels from which batches are large, and few rows held out
_COMMON = 20
_RARE = 5  # rows of a label

# The settings of configs/extreme.yaml.
_SETTINGS = """\
model:
  hidden: [512]
  activation: tanh
  init: ntk                        # logits divided by sqrt(512): goes with the learning rate
  dropout: 0.5
  input_dropout: 0.3               # of the features of a row
optimizer: {name: adamw, learning_rate: 0.06, schedule: {name: cosine}}
training:
  epochs: 8
  batch_size: 512
  early_stopping: {metric: precision_at_1, patience: 8}
"""


def lines(
    path: Path, target: Sequence[str], task: str | None, output: Path | None
) -> Iterator[str]:
    """The config, line by line.

    Args:
        target, task: as the user names them.
        output: where the config will be; None: on standard output.

    Raises:
        UserError: a target or another task; rows of an .npz file, whose labels are elsewhere.
        DataError: as `xc_reader.read`, and for rows without labels.
    """
    if target:
        raise UserError(f"{path}: sparse rows have their labels beside them; leave --target out")
    if task not in (None, "multilabel"):
        raise UserError(f"{path}: sparse rows have sets of labels: task multilabel, not {task}")
    if not xc_reader.is_xc(path):
        raise UserError(
            f"{path}: the labels of sparse .npz rows are in another file, so the config is yours "
            "to write: task: multilabel, data: {train: X.npz, train_labels: Y.npz}"
        )
    table = xc_reader.read(path)
    if table.labels is None or not len(table.labels.indices):
        raise DataError(f"{path}: the rows have no labels, so there is nothing to train on")
    return _lines(path, table.x.shape[1], sparse.stats(table.x), table.labels, output)


def _lines(
    path: Path, features: int, of_rows: Stats, labels: SparseLabels, output: Path | None
) -> Iterator[str]:
    rows, number = labels.shape
    stem = stem_of(path)
    config, run = f"{stem}.yaml" if output is None else str(output), shell(f"runs/{stem}")
    first = "Then" if output is not None else f"Save this as {shown(config)}, then"
    ending = path.name[len(stem) :].lower()
    yield f"# {shown(path.name)}: {rows:,} rows, {features:,} features, {number:,} labels."
    yield f"# {first} type:"
    yield "#"
    yield f"#   jaxnet config check {shell(config)}"
    yield f"#   jaxnet train {shell(config)} --run-dir {run}"
    yield f"#   jaxnet evaluate {run} LABELLED{ending}"
    yield f"#   jaxnet predict {run} NEW{ending} --top-k 5 --output predictions.csv"
    yield "#"
    yield from comment(
        "Training leaves report.html in the run directory. Every other key has a default, and "
        "'jaxnet config show' lists them."
    )
    yield ""
    yield "task: multilabel"
    yield "data:"
    yield f"  train: {as_yaml(path_from(path, output))}"
    yield "  # test: test.txt               # the test rows; without a file they are split off"
    yield "  # label_names: labels.txt      # the name of each label, one a line"
    settings = _SETTINGS
    if number >= _MANY:
        yield "  split: {validation: 0.05, test: 0.15, seed: 0}"
    else:  # batches by the number of rows
        settings = settings.replace("  batch_size: 512\n", "")
    yield from settings.splitlines()
    yield "#"
    yield from _described(of_rows, labels)


def _described(of_rows: Stats, labels: SparseLabels) -> Iterator[str]:
    """What the rows are like."""
    of_labels, counts = sparse.stats(labels), sparse.label_counts(labels)
    for what, found in (("Features", of_rows), ("Labels", of_labels)):
        yield from comment(
            f"{what} of a row: {found.mean:.1f} on average, {found.fewest:,} to {found.most:,}."
        )
    common = np.argsort(-counts, kind="stable")[:_COMMON]
    sizes = [f"{label}: {counts[label]:,} ({counts[label] / len(labels):.1%})" for label in common]
    more = f", and {len(counts) - len(common):,} more" if len(counts) > len(common) else ""
    yield from comment(f"The most common labels: {', '.join(sizes)}{more}.")
    rare, none = int((counts < _RARE).sum()), int((counts == 0).sum())
    if rare:
        yield from comment(
            f"{rare:,} labels have fewer than {_RARE} rows, and {none:,} of them none: a split "
            "cannot keep their shares. psp_at_k is the metric that gives rare labels their weight."
        )
