"""Scores of two classes, one of them the positive one."""

from collections.abc import Sequence

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics import probability
from jaxnet.training.metrics.facts import Facts
from jaxnet.training.metrics.scores import Score, or_none

COMMON = (
    *("accuracy", "balanced_accuracy", "log_loss", "roc_auc", "pr_auc", "f1", "mcc", "brier"),
    "ece",
)
KEYS = COMMON


def scores(facts: Facts, names: Sequence[str]) -> dict[str, Score]:
    """Every metric; the remarks name no classes."""
    p, y, counts = facts.p, facts.y, facts.counts
    both, some = "needs rows of both classes", "no positive rows"
    return {
        "accuracy": Score(float(np.mean(y == facts.decided))),
        "balanced_accuracy": or_none(counting.balanced(counts)[0], both),
        "log_loss": Score(facts.log_loss),
        "roc_auc": or_none(facts.roc_auc[0], both),
        "pr_auc": or_none(facts.pr_auc[0], some),
        "f1": or_none(counting.f1(counts)[0], some),
        "mcc": counting.matthews(*counting.two_classes(counts), "rows"),
        "brier": Score(probability.brier(facts.task, p, y)),
        "ece": Score(probability.calibration_error(facts.bins)),
    }
