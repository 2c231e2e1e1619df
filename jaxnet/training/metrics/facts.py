"""What metrics and tables are made of, counted once."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics.counts import Counts
from jaxnet.training.metrics.cuts import Cuts, average_precision, cuts, roc_auc
from jaxnet.training.metrics.decisions import Thresholds, decide
from jaxnet.training.metrics.probability import (
    Bins,
    against_the_rest,
    binned,
    claims,
    log_loss,
)

Array = np.ndarray[Any, np.dtype[Any]]


class Facts(NamedTuple):
    """Rows with what is decided for them.

    Attributes:
        task: binary, multiclass or multilabel.
        p: probabilities, float64.
        y: targets: multiclass codes (n,), else bool of the shape of p.
        decided: the same of what is decided.
        ranking: what ranks the outputs of a row, of the shape of p: logits, p where there are none.
        columns: what ranks the rows for each class or label, of the shape of p.
        log_loss: mean over rows or pairs; NaN without rows.
        counts: of each class or label; binary: (1,).
        roc_auc, pr_auc: of each class against the rest, or of each label; binary: (1,).
        pooled: cuts of all rows; multi-label: of all pairs; multiclass has none.
        bins: of calibration.
    """

    task: str
    p: Array
    y: Array
    decided: Array
    ranking: Array
    columns: Array
    log_loss: float
    counts: Counts
    roc_auc: Array
    pr_auc: Array
    pooled: Cuts | None
    bins: Bins


def gather(
    task: str, p: Array, y: Array, thresholds: Thresholds = None, logits: Array | None = None
) -> Facts:
    """The facts of checked probabilities and targets, and of the logits if there are any."""
    decided = decide(task, p, thresholds)
    bins = binned(*claims(task, p, y))
    loss = log_loss(task, p, y, logits) if len(y) else np.nan
    ranking = columns = p if logits is None else logits
    if task == "multiclass":
        if logits is not None:
            columns = against_the_rest(logits)
        counts = counting.of_classes(y, decided, p.shape[1])
        areas = _areas(cuts(column, y == k) for k, column in enumerate(columns.T))
        return Facts(task, p, y, decided, ranking, columns, loss, counts, *areas, None, bins)
    y, decided = y.astype(bool), decided.astype(bool)
    pooled = cuts(ranking.ravel(), y.ravel())
    if task == "binary":
        counts, areas = counting.of_labels(y[:, None], decided[:, None]), _areas([pooled])
    else:
        counts = counting.of_labels(y, decided)
        areas = _areas(cuts(*column) for column in zip(columns.T, y.T, strict=True))
    return Facts(task, p, y, decided, ranking, columns, loss, counts, *areas, pooled, bins)


def _areas(columns: Iterable[Cuts]) -> tuple[Array, Array]:
    pairs = [(roc_auc(found), average_precision(found)) for found in columns]
    return tuple(np.array(pairs, dtype=np.float64).reshape(-1, 2).T)  # type: ignore[return-value]
