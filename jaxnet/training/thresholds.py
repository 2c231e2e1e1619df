"""Thresholds that suit a purpose, chosen on held-out rows. On the host; knows no jax.

A row is decided positive where p >= t. What is decided changes only where t passes the p of a row,
and gets better only where that row is positive, so the cuts right below the positive rows, and one
above all rows, are all there is to try: sorted once, counted exactly.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.errors import DataError
from jaxnet.training.metrics.check import checked
from jaxnet.training.metrics.cuts import Cuts, cuts
from jaxnet.training.metrics.decisions import THRESHOLD

Array = np.ndarray[Any, np.dtype[Any]]
Costs = Mapping[str, float]

_EQUAL = 1e-12  # relative; costs are sums of decimals, and equal ones differ in the last digits


def _accuracy(tp: Array, fp: Array, found: Cuts, cost: Costs) -> Array:
    return tp - fp


def _f1(tp: Array, fp: Array, found: Cuts, cost: Costs) -> Array:
    return 2.0 * tp / (tp + fp + found.positives)


def _balanced_accuracy(tp: Array, fp: Array, found: Cuts, cost: Costs) -> Array:
    return tp * found.negatives - fp * found.positives


def _cost(tp: Array, fp: Array, found: Cuts, cost: Costs) -> Array:
    return -(cost["false_positive"] * fp + cost["false_negative"] * (found.positives - tp))


_GAINS: dict[str, Callable[[Array, Array, Cuts, Costs], Array]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
    "cost": _cost,
}
RULES = tuple(_GAINS)


class Thresholds(NamedTuple):
    """Thresholds of labels.

    Attributes:
        global_: the best one threshold for all pairs of row and label.
        each: of each label, (K,).
    """

    global_: float
    each: Array


class Decision(NamedTuple):
    """How rows are decided.

    Attributes:
        rule: argmax or threshold.
        tuned_for: the rule that thresholds were tuned by, None where they were not.
        thresholds: what `decide` takes: None, a number, or one for each label.
        global_threshold: multi-label: the best one for all labels.
        reason: why thresholds were not tuned though they were asked to be.
    """

    rule: str
    tuned_for: str | None = None
    thresholds: float | tuple[float, ...] | None = None
    global_threshold: float | None = None
    reason: str = ""


def choose(
    task: str, p: Any, y: Any, threshold: float | str | None, *, cost: Costs | None = None
) -> Decision:
    """The decision for a config's `decision.threshold`, tuned on held-out rows p, y.

    threshold: a number; a rule of `tune_binary`; None: 0.5, multi-label f1. Multiclass decides for
    the most likely class whatever is asked. Raises DataError as `tune_binary`.

    >>> choose("binary", [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], "f1").thresholds
    0.25
    >>> choose("binary", [0.1, 0.2], [0, 0], "f1").reason
    'rows of both classes are needed'
    """
    if task == "multiclass":
        return Decision("argmax")
    if threshold is None:
        threshold = THRESHOLD if task == "binary" else "f1"
    if not isinstance(threshold, str):
        return _fixed(task, p, float(threshold))
    p, y = checked(task, p, y)
    costs = _costs(threshold, cost)
    if not 0 < np.count_nonzero(y) < y.size:
        alike = "rows of both classes are needed" if task == "binary" else "all labels are alike"
        reason = alike if y.size else "no rows were held out"
        return _fixed(task, p, _centre(threshold, costs))._replace(reason=reason)
    if task == "binary":
        return Decision("threshold", threshold, tune_binary(p, y, threshold, cost=costs))
    found = tune_multilabel(p, y, threshold, cost=costs)
    return Decision("threshold", threshold, tuple(found.each.tolist()), found.global_)


def _fixed(task: str, p: Any, threshold: float) -> Decision:
    if task == "binary":
        return Decision("threshold", None, threshold)
    return Decision("threshold", None, (threshold,) * np.shape(p)[1], threshold)


def tune_binary(p: Any, y: Any, rule: str, *, cost: Costs | None = None) -> float:
    """The threshold with the best `rule` on rows with probabilities p (n,) and targets y (n,).

    Halfway between the p of the rows it divides; halfway to 0 or 1 where it divides none. Where
    the usual threshold divides the same rows it stays, and of equally good cuts the nearest to it
    is taken. The usual one is 0.5; for costs it is FP / (FP + FN), where calibrated probabilities
    would be cut. So is it where rows of both kinds, which a choice needs, are not there.

    rule: accuracy, f1, balanced_accuracy or cost, the least total of
    cost = {"false_positive": FP, "false_negative": FN} a row (each 1 if left out).
    Raises DataError for an unknown rule, costs below 0 or both 0, and p or y that make no sense.

    >>> tune_binary([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], "f1")
    0.25
    >>> tune_binary([0.1, 0.2, 0.3, 0.8], [0, 1, 0, 1], "cost", cost={"false_negative": 5})
    0.16666666666666666
    """
    p, y = checked("binary", p, y)
    costs = _costs(rule, cost)
    return _best(cuts(p, y == 1), rule, costs)


def tune_multilabel(
    p: Any, y: Any, rule: str = "f1", *, cost: Costs | None = None, shrink_below: float = 10
) -> Thresholds:
    """A threshold for each label: its own best, the nearer to the best of all the fewer positives.

    p, y: (n, K); rule, cost: as of `tune_binary`, exact for each label and over all pairs (f1: the
    micro F1). With c positive rows and s = `shrink_below` the threshold of a label is
        (c own + s global) / (c + s),
    the global one for labels whose rows are all of one kind. Tuned on 60 to 1000 rows of digit
    attributes and of made labels with few positives, and tried on others, this had a higher macro
    F1 than own thresholds from 10 positives up and the global one below, and mostly a higher micro
    F1. With the best threshold for macro F1 as the global one, macro F1 gained less than half of
    what micro F1 lost.

    >>> tune_multilabel([[0.1, 0.6], [0.3, 0.7]], [[0, 0], [1, 0]], shrink_below=1)
    Thresholds(global_=0.2, each=array([0.2, 0.2]))
    """
    p, y = checked("multilabel", p, y)
    costs, positive = _costs(rule, cost), y == 1
    pooled = _best(cuts(p.ravel(), positive.ravel()), rule, costs)
    columns = zip(p.T.copy(), positive.T.copy(), strict=True)
    own = np.array([_best(cuts(*column), rule, costs) for column in columns])
    count = positive.sum(axis=0)
    mixed = (count > 0) & (count < len(p))
    weight = np.divide(count, count + shrink_below, out=np.zeros(len(own)), where=mixed)
    # Not pooled + weight * (own - pooled), which would miss its own threshold by a rounding.
    return Thresholds(pooled, weight * own + (1.0 - weight) * pooled)


def tune_best(p: Any, hits: Any, positives: int) -> float:
    """The threshold with the best micro F1, where only the likeliest labels of a row are known.

    Args:
        p, hits: probabilities of the known pairs of row and label, and which are positive.
        positives: of all pairs; those that are not known are decided to be negative.

    >>> tune_best([[0.3, 0.2]], [[True, False]], 1)
    0.25
    """
    found = cuts(np.ravel(p), np.ravel(hits))
    tp, fp = np.append(0, found.tp), np.append(0, found.fp)
    return _nearest(found, 2.0 * tp / (tp + fp + positives), THRESHOLD)


def _best(found: Cuts, rule: str, cost: Costs) -> float:
    centre = _centre(rule, cost)
    if found.positives == 0 or found.negatives == 0:
        return centre
    tp, fp = np.append(0, found.tp), np.append(0, found.fp)
    return _nearest(found, _GAINS[rule](tp, fp, found, cost), centre)


def _nearest(found: Cuts, gain: Array, centre: float) -> float:
    """Of the best cuts the one nearest to the centre; the first is above all rows."""
    best = float(gain.max())
    places = np.flatnonzero(gain >= best - _EQUAL * abs(best))
    low = np.append(found.greatest, found.lower)[places]
    high = np.append(np.inf, found.p)[places]
    candidates = _between(low, high, centre)
    return float(candidates[np.argmin(np.abs(candidates - centre))])


def _between(low: Array, high: Array, centre: float) -> Array:
    """Thresholds t with low < t <= high: the centre where it is one, else the middle."""
    bottom, top = np.maximum(low, 0.0), np.minimum(high, 1.0)
    middle = bottom + 0.5 * (top - bottom)
    # Between neighbouring numbers there is no middle, and above 1 there is little room.
    middle = np.where(
        (middle > low) & (middle <= high), middle, np.minimum(high, np.nextafter(1, 2))
    )
    return np.where((low < centre) & (centre <= high), centre, middle)


def _centre(rule: str, cost: Costs) -> float:
    if rule != "cost":
        return THRESHOLD
    return cost["false_positive"] / (cost["false_positive"] + cost["false_negative"])


def _costs(rule: str, cost: Costs | None) -> Costs:
    if rule not in RULES:
        raise DataError(f"no rule is called {rule!r}; choose from {', '.join(RULES)}")
    full = {"false_positive": 1.0, "false_negative": 1.0, **(cost or {})}
    if len(full) > 2 or not all(0 <= value < np.inf for value in full.values()):
        raise DataError(f"costs are false_positive and false_negative, 0 or more; given {cost}")
    if sum(full.values()) == 0:
        raise DataError("one of false_positive and false_negative must cost something")
    return full
