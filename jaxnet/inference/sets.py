"""Metrics of models whose labels come as sets: of sparse rows, and of heads that keep no logits.

The numbers are those that the run itself was judged by, bit for bit where the rows are the same and
the machine is a CPU: `judge` and `judge_best` measure with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet import judge_best, sparse_job
from jaxnet.data import sparse, sparse_npz, sparse_sets, xc_reader
from jaxnet.data.sparse import SparseLabels, SparseTable
from jaxnet.errors import DataError
from jaxnet.inference import best
from jaxnet.inference.model import Model
from jaxnet.nn.linear_heads import Sets
from jaxnet.polling import at_once
from jaxnet.training import best_labels
from jaxnet.training.epoch import Program
from jaxnet.training.evaluation import summarise
from jaxnet.training.metrics import best as of_best
from jaxnet.training.metrics.decisions import THRESHOLD

Told = Callable[[int, float], None]
Poll = Callable[[], None]


def read(known: sparse_sets.Ready, path: Path, labels: Path | None) -> SparseTable:
    """The labelled rows of a file, their features and labels being those of training.

    Args:
        labels: a file of the labels of sparse .npz rows.

    Raises:
        DataError: no labels, other features or labels than in training, rows of another kind.
    """
    number = len(known.schema["classes"])
    if xc_reader.is_xc(path):
        if labels is not None:
            raise DataError(f"{path}: holds its labels itself; leave {labels} out")
        table = xc_reader.read(path, without=xc_reader.assumed(known.width, number))
    elif sparse_npz.is_sparse(path):
        if labels is None:
            raise DataError(
                f"{path}: the labels of sparse .npz rows are in another file; name it: --labels "
                "FILE (labels=... in Python)"
            )
        table = sparse_npz.read(path, labels)
    else:
        raise DataError(f"{path}: no sparse matrix, and the model was trained on sparse rows")
    if table.labels is None:
        raise DataError(f"{path}: the rows have no labels. Rows without labels: jaxnet predict")
    for what, mine, other in (
        ("features", table.x.columns, known.width),
        ("labels", table.labels.labels, number),
    ):
        if mine != other:
            name = labels if what == "labels" and labels is not None else path
            raise DataError(f"{name}: {mine:,} {what}, and the model was trained with {other:,}")
    return table


def measure(model: Model, x: Any, y: SparseLabels, *, progress: Told, poll: Poll) -> dict[str, Any]:
    """ "metrics" and "undefined" of encoded rows with their labels, and tables of a dense head.

    Args:
        progress: told now and then the rows done and their share.
        poll: called often; what it raises ends the work.
    """
    measured = _by_best if model.keeps_no_logits else _by_outputs
    return measured(model, x, y, progress, poll)


def _by_outputs(
    model: Model, x: Any, y: SparseLabels, progress: Told, poll: Poll
) -> dict[str, Any]:
    found, done = [], 0
    for some in best.parts(x, best.ROWS):
        found.append(best.logits(model, some, poll))
        done += len(some)
        progress(done, done / max(len(x), 1))
    with at_once(poll):
        said, true = best.outputs(model, np.concatenate(found)), sparse_job.indicators(y)
        summary = summarise(
            model.task,
            said.p,
            true,
            logits=said.logits,
            thresholds=model.thresholds,
            names=model.schema["class_names"],
            with_curves=False,
        )
        judge_best.add_propensities(summary, said.ranking, true, model.schema)
    return summary


def _by_best(model: Model, x: Any, y: SparseLabels, progress: Told, poll: Poll) -> dict[str, Any]:
    program = _program(model)
    most = int(sparse.counts(y).max(initial=1))
    labels, p, losses, done = [], [], [], 0
    for some in best.parts(x, best.ROWS):
        own = sparse.part(y, done, done + len(some))
        found, of_found = best.best_of_head(model, some, poll)
        labels.append(found)
        p.append(of_found)
        rows = best.inputs(some)
        true = _sets(own, rows.shape[0], most)
        of_rows = best_labels.losses(program, model.params, rows, true, poll)
        losses.append(of_rows[: len(some)])
        done += len(some)
        progress(done, done / max(len(x), 1))
    with at_once(poll):
        K = y.labels
        ranked = of_best.ranked(np.concatenate(labels), np.concatenate(p), y.indptr, y.indices, K)
        loss = float(np.concatenate(losses).mean(dtype=np.float64)) / K if len(x) else None
        threshold = THRESHOLD if model.thresholds is None else float(model.thresholds)
        inverse = judge_best.inverse_propensities(model.schema)
        return of_best.summary(of_best.scores(ranked, threshold, log_loss=loss, inverse=inverse))


def _program(model: Model) -> Program:
    """What the loss of the rows is told by."""
    said = model.description
    return Program(
        loss=said["loss"],
        activation=said["activation"],
        parametrisation=said["parametrisation"],
        precision=said["precision"],
        head=said["head"],
    )


def _sets(y: SparseLabels, rows: int, most: int) -> Sets:
    """Sets of so many rows, of few shapes; most: positives that a row has at most, in all parts."""
    entries = max(1 << max(len(y.indices) - 1, 0).bit_length(), 1)
    return Sets(
        np.pad(y.indptr, (0, rows - len(y)), mode="edge"),
        np.pad(y.indices, (0, entries - len(y.indices))),
        np.arange(most, dtype=np.int32),
    )
