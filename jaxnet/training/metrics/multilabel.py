"""Scores of K labels, each a question of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics import probability
from jaxnet.training.metrics.binary import COMMON
from jaxnet.training.metrics.cuts import average_precision
from jaxnet.training.metrics.facts import Facts
from jaxnet.training.metrics.label_ranking import DEPTHS, rank_labels
from jaxnet.training.metrics.scores import Score, mean, mean_over_rows, or_none

Array = np.ndarray[Any, np.dtype[Any]]

KEYS = (
    *(*COMMON, "micro_f1", "macro_f1", "samples_f1", "hamming_loss", "subset_accuracy"),
    *("micro_pr_auc", "lrap", "coverage_error"),
    *(f"precision_at_{k}" for k in DEPTHS),
    *(f"ndcg_at_{k}" for k in DEPTHS),
    "label_coverage",
)


def scores(facts: Facts, names: Sequence[str]) -> dict[str, Score]:
    """Every metric."""
    p, y, counts = facts.p, facts.y, facts.counts
    right, total = y == facts.decided, counts.total()
    constant, absent = "only one value in label", "no positive rows of label"
    micro = or_none(counting.f1(total)[0], "no positives")
    assert facts.pooled is not None
    return {
        "accuracy": Score(float(np.mean(right))),
        "balanced_accuracy": mean(counting.balanced(counts), names, constant),
        "log_loss": Score(facts.log_loss),
        "roc_auc": mean(facts.roc_auc, names, constant),
        "pr_auc": mean(facts.pr_auc, names, absent),
        "f1": micro,
        "mcc": counting.matthews(*counting.two_classes(total), "pairs"),
        "brier": Score(probability.brier(facts.task, p, y)),
        "ece": Score(probability.calibration_error(facts.bins)),
        "micro_f1": micro,
        "macro_f1": mean(counting.f1(counts), names, absent),
        "samples_f1": _samples_f1(y, facts.decided),
        "hamming_loss": Score(float(np.mean(~right))),
        "subset_accuracy": Score(float(np.mean(right.all(axis=1)))),
        "micro_pr_auc": or_none(average_precision(facts.pooled), "no positives"),
        **_rankings(facts.ranking, y),
        "label_coverage": _coverage(y, facts.decided),
    }


def _samples_f1(y: Array, decided: Array) -> Score:
    shared = 2.0 * np.count_nonzero(y & decided, axis=1)
    by_row = counting.ratio(shared, y.sum(axis=1) + decided.sum(axis=1))
    return mean_over_rows(by_row, "with no label, true or predicted")


def _rankings(z: Array, y: Array) -> dict[str, Score]:
    found, without = rank_labels(z, y), "without labels"
    scores = {
        "lrap": mean_over_rows(found.lrap, without),
        "coverage_error": mean_over_rows(found.coverage, without),
    }
    for place, k in enumerate(DEPTHS):
        short = Score(None, f"needs {k} labels or more")
        fits = z.shape[1] >= k
        scores[f"precision_at_{k}"] = Score(float(found.hits[:, place].mean())) if fits else short
        gain = mean_over_rows(found.ndcg[:, place], without) if fits else short
        scores[f"ndcg_at_{k}"] = gain
    return scores


def _coverage(y: Array, decided: Array) -> Score:
    known = np.count_nonzero(y, axis=0) > 0
    if not known.any():
        return Score(None, "no positives")
    return Score(float(np.mean(np.count_nonzero(decided, axis=0)[known] > 0)))
