"""How good probabilities are: log loss, Brier score, calibration error."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 15

_TINY = np.finfo(np.float64).tiny
_EDGES = np.arange(1, BINS) / BINS


class Bins(NamedTuple):
    """Sums over 15 bins of equal width, each (low, high], 0 in the first: (15,) each."""

    rows: Array
    p: Array
    outcome: Array


def log_loss(task: str, p: Array, y: Array) -> float:
    """Mean of -ln p(what is true) over rows; multi-label: over pairs."""
    of_truth = p[np.arange(len(y)), y] if task == "multiclass" else np.where(y, p, 1.0 - p)
    return float(-np.mean(np.log(np.maximum(of_truth, _TINY))))


def brier(task: str, p: Array, y: Array) -> float:
    """Mean of (p - y)^2 over rows or pairs; multiclass: summed over classes."""
    if task != "multiclass":
        return float(np.mean((p - y) ** 2))
    gap = p.copy()
    gap[np.arange(len(y)), y] -= 1.0
    return float(np.einsum("nk,nk->n", gap, gap).mean())


def claims(task: str, p: Array, y: Array) -> tuple[Array, Array]:
    """What calibration is measured of, flat: a probability and whether it came true.

    Binary and multi-label: p of the positive class; multiclass: p of the decided class.
    """
    if task != "multiclass":
        return p.ravel(), y.ravel()
    decided = p.argmax(axis=1)
    return p[np.arange(len(p)), decided], decided == y


def binned(p: Array, outcome: Array) -> Bins:
    """Rows, and sums of p and of outcomes, of each bin."""
    place = np.searchsorted(_EDGES, p, side="left")
    sums = (np.bincount(place, weights=w, minlength=BINS) for w in (p, outcome))
    return Bins(np.bincount(place, minlength=BINS), *sums)


def calibration_error(bins: Bins) -> float:
    """Sum over bins of |sum of p - sum of outcomes| / n."""
    return float(np.sum(np.abs(bins.p - bins.outcome)) / bins.rows.sum())
