"""Scores of K classes that share one answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics import probability
from jaxnet.training.metrics.binary import COMMON
from jaxnet.training.metrics.facts import Facts
from jaxnet.training.metrics.scores import Score, mean

Array = np.ndarray[Any, np.dtype[Any]]

TOP = (2, 3, 5)
KEYS = (
    *(*COMMON, "macro_f1", "weighted_f1", "roc_auc_ovr"),
    *(f"top_{k}_accuracy" for k in TOP),
)


def scores(facts: Facts, names: Sequence[str]) -> dict[str, Score]:
    """Every metric."""
    p, y, counts = facts.p, facts.y, facts.counts
    rows, absent = counts.tp + counts.fn, "no rows of class"
    f1 = counting.f1(counts)
    macro, auc = mean(f1, names, absent), mean(facts.roc_auc, names, absent)
    balanced = mean(counting.recall(counts), names, absent)
    if np.count_nonzero(rows) < 2:
        auc = balanced = Score(None, f"every row is of class {names[int(np.argmax(rows))]}")
    return {
        "accuracy": Score(float(np.mean(facts.decided == y))),
        "balanced_accuracy": balanced,
        "log_loss": Score(facts.log_loss),
        "roc_auc": auc,
        "pr_auc": mean(facts.pr_auc, names, absent),
        "f1": macro,
        "mcc": counting.matthews(float(counts.tp.sum()), rows, counts.tp + counts.fp, "rows"),
        "brier": Score(probability.brier(facts.task, p, y)),
        "ece": Score(probability.calibration_error(facts.bins)),
        "macro_f1": macro,
        "weighted_f1": Score(float(np.sum(np.where(rows > 0, f1, 0.0) * rows) / len(y))),
        "roc_auc_ovr": auc,
        **_top(facts.ranking, y),
    }


def _top(z: Array, y: Array) -> dict[str, Score]:
    """Shares of rows whose class is among the k most likely; of equals the first comes first."""
    of_truth = z[np.arange(len(y)), y][:, None]
    earlier = np.arange(z.shape[1]) < y[:, None]
    place = np.sum((z > of_truth) | ((z == of_truth) & earlier), axis=1)
    return {
        f"top_{k}_accuracy": Score(float(np.mean(place < k)))
        if k < z.shape[1]
        else Score(None, f"needs more than {k} classes")
        for k in TOP
    }
