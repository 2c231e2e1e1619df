"""How well each row's own labels are ranked above the others."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DEPTHS = (1, 3, 5)

_PAIRS = 1 << 20  # of row and label in one block: bounds the memory


class Ranking(NamedTuple):
    """One number a row, NaN where it has no label: (n,), hits and ndcg (n, depths).

    Attributes:
        lrap: label-ranking average precision.
        coverage: how far down the last of the row's labels stands.
        hits: share of the k most likely labels that are the row's; 0 for a row without labels.
        ndcg: discounted gain of the k most likely, divided by the most it could be.
    """

    lrap: Array
    coverage: Array
    hits: Array
    ndcg: Array


def rank_labels(p: Array, positive: Array) -> Ranking:
    """Rankings of the rows of p (n, K), or of any scores, against positive, bool (n, K).

    >>> found = rank_labels(np.array([[0.9, 0.2, 0.5]]), np.array([[True, True, False]]))
    >>> float(found.lrap[0]), float(found.coverage[0])  # (1/1 + 2/3) / 2; the second label is third
    (0.8333333333333333, 3.0)
    """
    step = max(1, _PAIRS // max(1, p.shape[1]))
    starts = range(0, max(1, len(p)), step)
    parts = [_of_block(p[i : i + step], positive[i : i + step]) for i in starts]
    return Ranking(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _of_block(p: Array, positive: Array) -> Ranking:
    n, k = p.shape
    order = np.argsort(-p, axis=1)
    sorted_p = np.take_along_axis(p, order, axis=1)
    new = np.ones((n, k), bool)
    new[:, 1:] = sorted_p[:, 1:] != sorted_p[:, :-1]
    # Ties are runs of equal p; places count on from row to row.
    runs = np.append(np.flatnonzero(new), n * k)
    places = np.flatnonzero(np.take_along_axis(positive, order, axis=1))
    run = np.searchsorted(runs, places, side="right") - 1
    rows, own = places // max(k, 1), positive.sum(axis=1)
    first, past = runs[run] - rows * k, runs[run + 1] - rows * k  # ranks of the run, from 0
    before = np.cumsum(own) - own
    ranked_above = np.searchsorted(places, runs[run + 1], side="left") - before[rows]
    some = np.where(own > 0, own, np.nan)
    lrap = np.bincount(rows, ranked_above / past, minlength=n) / some
    last = np.full(n, np.nan)
    last[rows] = past  # places rise, so the last of a row stays
    hits, ndcg = np.zeros((n, len(DEPTHS))), np.full((n, len(DEPTHS)), np.nan)
    for column, depth in enumerate(DEPTHS):
        hits[:, column] = _gain(np.ones(depth), rows, first, past, n) / depth
        discount = 1.0 / np.log2(np.arange(depth) + 2.0)
        most = np.append(0.0, np.cumsum(discount))[np.minimum(own, depth)]
        gain = _gain(discount, rows, first, past, n)
        np.divide(gain, most, out=ndcg[:, column], where=own > 0)
    return Ranking(lrap, last, hits, ndcg)


def _gain(weights: Array, rows: Array, first: Array, past: Array, n: int) -> Array:
    """Sum by row of the weight of each label's rank, the mean over the ranks that it ties for."""
    upto = np.append(0.0, np.cumsum(weights))
    depth = len(weights)
    mean = (upto[np.minimum(past, depth)] - upto[np.minimum(first, depth)]) / (past - first)
    return np.bincount(rows, mean, minlength=n)
