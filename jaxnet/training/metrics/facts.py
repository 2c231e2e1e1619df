"""What metrics and tables are made of, counted once."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics.counts import Counts
from jaxnet.training.metrics.cuts import Cuts, average_precision, cuts, roc_auc
from jaxnet.training.metrics.decisions import Thresholds, decide
from jaxnet.training.metrics.probability import Bins, binned, claims

Array = np.ndarray[Any, np.dtype[Any]]


class Facts(NamedTuple):
    """Rows with what is decided for them.

    Attributes:
        task: binary, multiclass or multilabel.
        p: probabilities, float64.
        y: targets: multiclass codes (n,), else bool of the shape of p.
        decided: the same of what is decided.
        counts: of each class or label; binary: (1,).
        roc_auc, pr_auc: of each class against the rest, or of each label; binary: (1,).
        pooled: cuts of all rows; multi-label: of all pairs; multiclass has none.
        bins: of calibration.
    """

    task: str
    p: Array
    y: Array
    decided: Array
    counts: Counts
    roc_auc: Array
    pr_auc: Array
    pooled: Cuts | None
    bins: Bins


def gather(task: str, p: Array, y: Array, thresholds: Thresholds = None) -> Facts:
    """The facts of checked probabilities and targets."""
    decided = decide(task, p, thresholds)
    bins = binned(*claims(task, p, y))
    if task == "multiclass":
        number = p.shape[1]
        counts = counting.of_classes(y, decided, number)
        areas = _areas(cuts(column, y == k) for k, column in enumerate(p.T.copy()))
        return Facts(task, p, y, decided, counts, *areas, None, bins)
    y, decided = y.astype(bool), decided.astype(bool)
    pooled = cuts(p.ravel(), y.ravel())
    if task == "binary":
        counts = counting.of_labels(y[:, None], decided[:, None])
        return Facts(task, p, y, decided, counts, *_areas([pooled]), pooled, bins)
    areas = _areas(cuts(*column) for column in zip(p.T.copy(), y.T.copy(), strict=True))
    return Facts(task, p, y, decided, counting.of_labels(y, decided), *areas, pooled, bins)


def _areas(columns: Iterable[Cuts]) -> tuple[Array, Array]:
    pairs = [(roc_auc(found), average_precision(found)) for found in columns]
    return tuple(np.array(pairs, dtype=np.float64).reshape(-1, 2).T)  # type: ignore[return-value]
