"""How good probabilities are: log loss, Brier score, calibration error."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 15

TINY = np.finfo(np.float64).tiny  # a probability of 0 costs -ln of it, 708.4
_EDGES = np.arange(1, BINS) / BINS


class Bins(NamedTuple):
    """Sums over 15 bins of equal width, each (low, high], 0 in the first: (15,) each."""

    rows: Array
    p: Array
    outcome: Array


def log_losses(task: str, p: Array, y: Array, logits: Array | None = None) -> Array:
    """-ln p(what is true) of each row (n,); multi-label: of each pair (n, K).

    From the logits where there are any: p is exactly 0 or 1 beyond a logit of 37, the loss is not.
    """
    rows = np.arange(len(y))
    if logits is None:
        of_truth = p[rows, y] if task == "multiclass" else np.where(y, p, 1.0 - p)
        return -np.log(np.maximum(of_truth, TINY))
    if task != "multiclass":
        return np.logaddexp(0.0, np.where(y, -logits, logits))
    best = logits.argmax(axis=1)
    gap = logits - logits[rows, best][:, None]
    others = np.exp(gap)
    others[rows, best] = 0.0
    losses: Array = np.log1p(others.sum(axis=1)) - gap[rows, y]
    return losses


def log_loss(task: str, p: Array, y: Array, logits: Array | None = None) -> float:
    """Mean of -ln p(what is true) over rows; multi-label: over pairs."""
    return float(np.mean(log_losses(task, p, y, logits)))


def against_the_rest(z: Array) -> Array:
    """ln p_k - ln(1 - p_k) of softmax logits (n, K): z_k - ln sum_{j != k} exp(z_j).

    It orders rows as p_k does, and still where p_k rounds to 0 or 1.

    >>> against_the_rest(np.array([[0.0, 0.0], [500.0, -500.0]])).tolist()
    [[0.0, 0.0], [1000.0, -1000.0]]
    """
    if z.size == 0:
        return z
    place = np.arange(len(z)), z.argmax(axis=1)
    largest = z[place][:, None]
    gap = np.exp(z - largest)
    gap[place] = 0.0
    found = z - largest - np.log1p(gap.sum(axis=1, keepdims=True) - gap)
    others = z.copy()
    others[place] = -np.inf
    second = others.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):  # a single class has no rest
        rest = second[:, 0] + np.log(np.exp(others - second).sum(axis=1))
    found[place] = largest[:, 0] - rest
    return found


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
