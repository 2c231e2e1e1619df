"""Curves of a model's probabilities as lists of few points, for drawing. Knows no jax.

A curve is {"x": [...], "y": [...]}: a chain of straight lines whose x never falls.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics.counts import Counts
from jaxnet.training.metrics.cuts import Cuts
from jaxnet.training.metrics.probability import BINS, Bins

Array = np.ndarray[Any, np.dtype[Any]]
Curve = dict[str, list[float]]

POINTS = 200
GRID = np.arange(101) / 100  # thresholds of a threshold curve


def roc(found: Cuts) -> Curve | None:
    """Share of positives found against share of negatives taken for them; None without both.

    The area under it is the ROC AUC: where p are tied, the line is slanted.

    >>> from jaxnet.training.metrics.cuts import cuts
    >>> roc(cuts(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])))
    {'x': [0.0, 0.0, 0.5, 0.5, 1.0], 'y': [0.0, 0.5, 0.5, 1.0, 1.0]}
    """
    if found.positives == 0 or found.negatives == 0:
        return None
    rises = np.diff(found.tp, prepend=0)
    # Before and after each cut; between two of them lie negatives alone, on a straight line.
    fp = np.stack([found.fp_above, found.fp], axis=1).ravel()
    tp = np.stack([found.tp - rises, found.tp], axis=1).ravel()
    x = np.concatenate([[0], fp, [found.negatives]]) / found.negatives
    y = np.concatenate([[0], tp, [found.positives]]) / found.positives
    return _curve(x, y)


def precision_recall(found: Cuts) -> Curve | None:
    """Precision against recall, from the highest p down; None without positive rows.

    The first precision is drawn from recall 0 on, as average precision counts it.

    >>> from jaxnet.training.metrics.cuts import cuts
    >>> precision_recall(cuts(np.array([0.1, 0.4, 0.8]), np.array([True, False, True])))["y"]
    [1.0, 1.0, 0.5, 0.6666666666666666]
    """
    if found.positives == 0:
        return None
    tp, fp = found.tp, found.fp
    precision = tp / (tp + fp)
    # Right before the next cut the negatives between have come in, at the same recall.
    sunk = tp / (tp + np.append(found.fp_above[1:], found.negatives))
    x = np.repeat(tp / found.positives, 2)
    y = np.stack([precision, sunk], axis=1).ravel()
    return _curve(np.append(0.0, x), np.append(precision[0], y))


def reliability(bins: Bins) -> dict[str, list[Any]]:
    """Of each of 15 bins that has rows: mean p, share that came true, rows, and the bin's edges.

    >>> from jaxnet.training.metrics.probability import binned
    >>> reliability(binned(np.array([0.25, 0.25]), np.array([False, True])))["share"]
    [0.5]
    """
    some = np.flatnonzero(bins.rows)
    rows = bins.rows[some]
    return {
        "p": (bins.p[some] / rows).tolist(),
        "share": (bins.outcome[some] / rows).tolist(),
        "rows": rows.tolist(),
        "low": (some / BINS).tolist(),
        "high": ((some + 1) / BINS).tolist(),
    }


def threshold_curve(p: Array, y: Array) -> dict[str, list[float | None]]:
    """Metrics of p >= t at the thresholds 0, 0.01, ..., 1; None where undefined.

    p, y: binary (n,): accuracy, f1, balanced_accuracy, precision, recall. Multi-label (n, K), one
    threshold for all labels: micro_f1 and macro_f1, the mean over labels with positive rows.

    >>> found = threshold_curve(np.array([0.2, 0.7]), np.array([False, True]))
    >>> found["accuracy"][20], found["accuracy"][21], found["precision"][71]
    (0.5, 1.0, None)
    """
    counts = _by_threshold(p.reshape(len(p), -1), y.reshape(len(y), -1))
    if p.ndim == 1:
        flat = Counts(*(part[0] for part in counts))
        values = {
            "accuracy": (flat.tp + flat.tn) / max(1, len(p)),
            "f1": counting.f1(flat),
            "balanced_accuracy": counting.balanced(flat),
            "precision": counting.precision(flat),
            "recall": counting.recall(flat),
        }
    else:
        known = Counts(*(part[counts.tp[:, 0] > 0] for part in counts))  # at 0 all are positive
        macro = counting.f1(known)
        values = {
            "micro_f1": counting.f1(Counts(*(part.sum(axis=0) for part in counts))),
            "macro_f1": macro.mean(axis=0) if len(macro) else np.full(len(GRID), np.nan),
        }
    return {"threshold": GRID.tolist(), **{key: numbers(one) for key, one in values.items()}}


def numbers(values: Array) -> list[float | None]:
    """Plain floats, None for NaN.

    >>> numbers(np.array([0.5, np.nan]))
    [0.5, None]
    """
    return [None if value != value else value for value in values.tolist()]


def thin(x: Array, y: Array, limit: int = POINTS) -> tuple[Array, Array]:
    """At most `limit` points of a chain of lines that keep its shape, its ends and its area.

    Points in line with their neighbours go first. If that is not enough, the chain is cut into
    pieces of equal length (across plus up), and of each piece that point stays which brings the
    area so far nearest to the true one: corners to the left and to the right of a staircase take
    turns, where corners of one side would add up. Both ends of a line longer than a piece stay.
    """
    kept = _corners(x, y)
    x, y = x[kept], y[kept]
    if len(x) <= limit:
        return x, y
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    area = np.append(0.0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    ends = np.searchsorted(along, along[-1] * np.arange(limit - 1) / (limit - 2), side="right")
    ends[0], ends[-1] = 1, len(x) - 1  # the first and the last point stay
    pieces = list(itertools.pairwise(np.maximum.accumulate(ends).tolist()))
    chosen, drawn = [0], 0.0
    for place, (start, end) in enumerate(pieces):
        if start == end:
            continue
        last, inside = chosen[-1], np.arange(start, end)
        by = drawn + (x[inside] - x[last]) * (y[inside] + y[last]) / 2
        stay = [start + int(np.argmin(np.abs(by - area[inside])))]
        if _empty(pieces, place - 1) or _empty(pieces, place + 1):
            stay = [start] * _empty(pieces, place - 1) + [end - 1] * _empty(pieces, place + 1)
        for point in dict.fromkeys(stay):
            drawn += float((x[point] - x[chosen[-1]]) * (y[point] + y[chosen[-1]]) / 2)
            chosen.append(point)
    return x[[*chosen, len(x) - 1]], y[[*chosen, len(x) - 1]]


def _empty(pieces: Sequence[tuple[int, int]], place: int) -> bool:
    return 0 <= place < len(pieces) and pieces[place][0] == pieces[place][1]


def _corners(x: Array, y: Array) -> Array:
    """Places of points where the chain turns, its ends among them."""
    step = np.flatnonzero((np.diff(x) != 0) | (np.diff(y) != 0)) + 1
    place = np.append(0, step)
    dx, dy = np.diff(x[place]), np.diff(y[place])
    turns = (dx[1:] * dy[:-1] != dx[:-1] * dy[1:]) | (dx[1:] * dx[:-1] + dy[1:] * dy[:-1] < 0)
    return place[np.concatenate([[True], turns, [True]])[: len(place)]]


def _curve(x: Array, y: Array) -> Curve:
    x, y = thin(x, y)
    return {"x": x.tolist(), "y": y.tolist()}


def _by_threshold(p: Array, y: Array) -> Counts:
    """Counts of each label at each threshold, (K, thresholds)."""
    k, places = p.shape[1], len(GRID) + 1
    # Place i: the first i thresholds are no higher than p.
    cell = np.searchsorted(GRID, p, side="right") + places * np.arange(k)
    y = y.astype(bool)

    def reached(cells: Array) -> Array:
        found = np.bincount(cells.ravel(), minlength=k * places).reshape(k, places)
        return found[:, :0:-1].cumsum(axis=1)[:, ::-1].astype(np.float64)

    tp, every = reached(cell[y]), reached(cell)
    fn = y.sum(axis=0)[:, None] - tp
    return Counts(tp, every - tp, fn, len(p) - every - fn)
