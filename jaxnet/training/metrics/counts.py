"""Counts of right and wrong decisions, and the scores that are ratios of them."""

from typing import Any, NamedTuple

import numpy as np

from jaxnet.training.metrics.scores import Score

Array = np.ndarray[Any, np.dtype[Any]]


class Counts(NamedTuple):
    """True and false positives and negatives of each class or label, float64 (K,)."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array

    def total(self) -> "Counts":
        """The counts over all labels, (1,) each."""
        return Counts(*(part.sum(keepdims=True) for part in self))


def of_labels(positive: Array, decided: Array) -> Counts:
    """Counts over the rows of booleans (n, K)."""
    tp = np.count_nonzero(positive & decided, axis=0)
    return _counts(tp, positive.sum(axis=0), decided.sum(axis=0), len(positive))


def of_classes(y: Array, decided: Array, number: int) -> Counts:
    """Counts of each of `number` classes against the rest; y, decided: codes (n,)."""
    tp, true, chosen = (
        np.bincount(codes, minlength=number) for codes in (y[y == decided], y, decided)
    )
    return _counts(tp, true, chosen, len(y))


def _counts(tp: Array, true: Array, chosen: Array, rows: int) -> Counts:
    fp, fn = chosen - tp, true - tp
    return Counts(*(np.asarray(part, np.float64) for part in (tp, fp, fn, rows - tp - fp - fn)))


def ratio(above: Array, below: Array) -> Array:
    """above / below, NaN for 0/0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def recall(counts: Counts) -> Array:
    """TP / (TP + FN); NaN without positives."""
    return ratio(counts.tp, counts.tp + counts.fn)


def precision(counts: Counts) -> Array:
    """TP / (TP + FP); NaN where nothing is decided positive."""
    return ratio(counts.tp, counts.tp + counts.fp)


def balanced(counts: Counts) -> Array:
    """Mean share found of positives and of negatives; NaN where either has no rows."""
    return 0.5 * (recall(counts) + ratio(counts.tn, counts.tn + counts.fp))


def f1(counts: Counts) -> Array:
    """2 TP / (2 TP + FP + FN); NaN without positives, though the formula would give 0."""
    value = ratio(2.0 * counts.tp, 2.0 * counts.tp + counts.fp + counts.fn)
    return np.where(counts.tp + counts.fn > 0, value, np.nan)


def two_classes(counts: Counts) -> tuple[float, Array, Array]:
    """What `matthews` takes, of counts (1,): right, rows of both classes, decisions for both."""
    tp, fp, fn, tn = (float(part[0]) for part in counts)
    return tp + tn, np.array([tn + fp, tp + fn]), np.array([tn + fn, tp + fp])


def matthews(right: float, true: Array, chosen: Array, what: str) -> Score:
    """(n c - sum_k t_k d_k) / sqrt((n^2 - sum_k t_k^2) (n^2 - sum_k d_k^2)) with n rows, c of them
    right, t_k of class k, d_k decided as k. true, chosen: t and d, (K,).
    """
    n = float(true.sum())
    spread_true, spread_chosen = n * n - np.sum(true**2), n * n - np.sum(chosen**2)
    if spread_true == 0 or spread_chosen == 0:
        who = "are" if spread_true == 0 else "are decided"
        return Score(None, f"all {what} {who} alike")
    covariance = n * right - np.sum(true * chosen)
    return Score(float(covariance / (np.sqrt(spread_true) * np.sqrt(spread_chosen))))
