"""Metrics of a finished model, on the host, exact in float64. Knows no jax.

Written out in NumPy rather than called from scikit-learn, whose import takes a second at the end of
every run; the tests hold every number equal to scikit-learn's.

A metric that is 0/0 is None, never 0, and `undefined_reasons` says why. Where a mean over classes
or labels leaves some out for that reason, it says that too.

Of every task
    accuracy            rows decided rightly; multi-label: pairs of row and label
    balanced_accuracy   mean over classes of the share found (recall); multi-label: mean over labels
                        of the same for their two classes
    log_loss            mean of -ln p(what is true) over rows; multi-label: over rows and labels.
                        p is cut off at 2.2e-308, the least normal float64, and nowhere else
    roc_auc             area under the ROC curve; multiclass: each class against the rest, mean over
                        classes; multi-label: mean over labels
    pr_auc              average precision, sum of (rise of recall) x precision; means as roc_auc
    f1                  2 TP / (2 TP + FP + FN) of the positive class; multiclass: macro_f1;
                        multi-label: micro_f1
    mcc                 Matthews correlation; multiclass: Gorodkin's R_K; multi-label: over pairs
    brier               mean squared distance: (p - y)^2; multiclass: summed over classes (0 to 2);
                        multi-label: mean over pairs
    ece                 expected calibration error, 15 bins of equal width, (low, high]: of p of the
                        positive class; multiclass: of p of the decided class against its being
                        right; multi-label: of p over pairs
Multiclass: macro_f1, weighted_f1 (by rows), roc_auc_ovr (= roc_auc).
Multi-label: micro_f1 (over pairs), macro_f1 (mean over labels), samples_f1 (mean over rows),
    hamming_loss (1 - accuracy), subset_accuracy (rows with every label right).

f1, pr_auc, roc_auc of a class or label without positive rows are undefined.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

_COMMON = ("accuracy", "balanced_accuracy", "log_loss", "roc_auc", "pr_auc", "f1", "mcc", "brier")
KEYS: dict[str, tuple[str, ...]] = {
    "binary": (*_COMMON, "ece"),
    "multiclass": (*_COMMON, "ece", "macro_f1", "weighted_f1", "roc_auc_ovr"),
    "multilabel": (
        *(*_COMMON, "ece", "micro_f1", "macro_f1", "samples_f1"),
        *("hamming_loss", "subset_accuracy"),
    ),
}
BINS = 15

_THRESHOLD = 0.5
_TINY = np.finfo(np.float64).tiny
_ROUNDING = 1e-6  # a probability computed in float32 may miss its range by this much
_SUM_ROUNDING = 1e-3


class Score(NamedTuple):
    """A number, or None where it is undefined; the remark says why, or what was left out."""

    value: float | None
    remark: str = ""


class _Counts(NamedTuple):
    """True and false positives and negatives of each class or label, float64 (K,)."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array


def final_metrics(task: str, probabilities: Any, targets: Any) -> dict[str, float | None]:
    """Every metric of the task (`KEYS`), None where undefined.

    probabilities: binary (n,) of the positive class; multiclass (n, K); multi-label (n, K).
    targets: binary (n,) of 0 and 1; multiclass (n,) codes below K; multi-label (n, K) of 0 and 1.
    Decisions as `decide`. Raises DataError for shapes that disagree, targets out of range, and
    probabilities that are not finite, not in [0, 1] or, multiclass, do not add up to 1.

    >>> found = final_metrics("binary", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> found["roc_auc"], found["accuracy"], round(found["log_loss"], 4)
    (0.75, 0.75, 0.4723)
    """
    return {key: score.value for key, score in measure(task, probabilities, targets).items()}


def undefined_reasons(
    task: str, probabilities: Any, targets: Any, *, names: Sequence[str] | None = None
) -> dict[str, str]:
    """Why a metric is None, or which classes or labels its mean leaves out; only those metrics.

    >>> undefined_reasons("binary", [0.1, 0.4], [0, 0])["pr_auc"]
    'no positive rows'
    """
    found = measure(task, probabilities, targets, names=names)
    return {key: score.remark for key, score in found.items() if score.remark}


def measure(
    task: str, probabilities: Any, targets: Any, *, names: Sequence[str] | None = None
) -> dict[str, Score]:
    """Every metric of the task with its remark; `names` of classes or labels serve the remarks.

    >>> measure("binary", [0.1, 0.4], [0, 0])["roc_auc"]
    Score(value=None, remark='needs rows of both classes')
    """
    p, y = _checked(task, probabilities, targets)
    if len(p) == 0:
        return {key: Score(None, "no rows") for key in KEYS[task]}
    number = 2 if p.ndim == 1 else p.shape[1]
    shown = [str(i) for i in range(number)] if names is None else [str(name) for name in names]
    found = _MEASURES[task](p, y, shown)
    return {key: found[key] for key in KEYS[task]}


def decide(task: str, probabilities: Any) -> Array:
    """What a model predicts: binary int32 (n,), 1 from p = 0.5 up; multiclass int32 (n,), the most
    likely class, the first of equals; multi-label int32 (n, K), 1 from p = 0.5 up.

    >>> decide("binary", [0.49, 0.5])
    array([0, 1], dtype=int32)
    """
    p = np.asarray(probabilities)
    if task == "multiclass":
        return p.argmax(axis=1).astype(np.int32)
    return (p >= _THRESHOLD).astype(np.int32)


def _binary(p: Array, y: Array, names: Sequence[str]) -> dict[str, Score]:
    positive = y.astype(bool)
    decided = decide("binary", p).astype(bool)
    counts = _counts(positive[:, None], decided[:, None])
    auc, precision = _ranking(p, positive)
    both, some = "needs rows of both classes", "no positive rows"
    return {
        "accuracy": Score(float(np.mean(positive == decided))),
        "balanced_accuracy": _or_none(_balanced(counts)[0], both),
        "log_loss": Score(_log_loss(np.where(positive, p, 1.0 - p))),
        "roc_auc": _or_none(auc, both),
        "pr_auc": _or_none(precision, some),
        "f1": _or_none(_f1(counts)[0], some),
        "mcc": _matthews(np.stack([~positive, positive]), np.stack([~decided, decided]), "rows"),
        "brier": Score(float(np.mean((p - positive) ** 2))),
        "ece": Score(_calibration_error(p, positive)),
    }


def _multiclass(p: Array, y: Array, names: Sequence[str]) -> dict[str, Score]:
    decided = decide("multiclass", p)
    classes = np.arange(p.shape[1])[:, None]
    positive, chosen = y == classes, decided == classes  # (K, n)
    counts = _counts(positive.T, chosen.T)
    rows = counts.tp + counts.fn
    recall, f1 = _ratio(counts.tp, rows), _f1(counts)
    ranks = np.array([_ranking(p[:, k], positive[k]) for k in range(len(names))])
    absent = "no rows of class"
    auc = _mean(ranks[:, 0], names, absent)
    macro = _mean(f1, names, absent)
    if np.count_nonzero(rows) < 2:
        one = Score(None, f"every row is of class {names[int(np.argmax(rows))]}")
        auc = balanced = one
    else:
        balanced = _mean(recall, names, absent)
    distance = np.sum((p - positive.T) ** 2, axis=1)
    return {
        "accuracy": Score(float(np.mean(decided == y))),
        "balanced_accuracy": balanced,
        "log_loss": Score(_log_loss(p[np.arange(len(y)), y])),
        "roc_auc": auc,
        "pr_auc": _mean(ranks[:, 1], names, absent),
        "f1": macro,
        "mcc": _matthews(positive, chosen, "rows"),
        "brier": Score(float(np.mean(distance))),
        "ece": Score(_calibration_error(p.max(axis=1), decided == y)),
        "macro_f1": macro,
        "weighted_f1": Score(float(np.sum(np.where(rows > 0, f1, 0.0) * rows) / len(y))),
        "roc_auc_ovr": auc,
    }


def _multilabel(p: Array, y: Array, names: Sequence[str]) -> dict[str, Score]:
    positive = y.astype(bool)
    decided = decide("multilabel", p).astype(bool)
    counts = _counts(positive, decided)
    right = positive == decided
    ranks = np.array([_ranking(p[:, k], positive[:, k]) for k in range(len(names))])
    constant, absent = "only one value in label", "no positive rows of label"
    micro = _or_none(_f1(_Counts(*(part.sum(keepdims=True) for part in counts)))[0], "no positives")
    by_row = _ratio(
        2.0 * np.sum(positive & decided, axis=1), positive.sum(axis=1) + decided.sum(axis=1)
    )
    flat, chosen = positive.ravel(), decided.ravel()
    accuracy = float(np.mean(right))
    return {
        "accuracy": Score(accuracy),
        "balanced_accuracy": _mean(_balanced(counts), names, constant),
        "log_loss": Score(_log_loss(np.where(positive, p, 1.0 - p))),
        "roc_auc": _mean(ranks[:, 0], names, constant),
        "pr_auc": _mean(ranks[:, 1], names, absent),
        "f1": micro,
        "mcc": _matthews(np.stack([~flat, flat]), np.stack([~chosen, chosen]), "pairs"),
        "brier": Score(float(np.mean((p - positive) ** 2))),
        "ece": Score(_calibration_error(p.ravel(), flat)),
        "micro_f1": micro,
        "macro_f1": _mean(_f1(counts), names, absent),
        "samples_f1": _mean_over_rows(by_row),
        "hamming_loss": Score(float(np.mean(~right))),
        "subset_accuracy": Score(float(np.mean(right.all(axis=1)))),
    }


_MEASURES: dict[str, Callable[[Array, Array, Sequence[str]], dict[str, Score]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "multilabel": _multilabel,
}


def _ranking(p: Array, positive: Array) -> tuple[float, float]:
    """Area under the ROC curve and average precision of one column; NaN where undefined.

    Both from the counts of positives and negatives above each distinct p, in whole numbers, so
    ties count half in the first and rise together in the second.
    """
    order = np.argsort(p)[::-1]
    ends = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    above = ends + 1
    tp = np.cumsum(positive[order])[ends]
    fp = above - tp
    rise, run = np.diff(tp, prepend=0), np.diff(fp, prepend=0)
    if tp[-1] == 0:
        return np.nan, np.nan
    precision = float(np.sum(rise * (tp / above)) / tp[-1])
    if fp[-1] == 0:
        return np.nan, precision
    doubled = int(np.sum(run * (2 * tp - rise)))  # twice the area, in pairs of rows
    return doubled / (2 * int(tp[-1]) * int(fp[-1])), precision


def _counts(positive: Array, decided: Array) -> _Counts:
    """Counts over the rows of (n, K) booleans."""
    tp = np.sum(positive & decided, axis=0).astype(np.float64)
    fp, fn = decided.sum(axis=0) - tp, positive.sum(axis=0) - tp
    return _Counts(tp, fp, fn, len(positive) - tp - fp - fn)


def _balanced(counts: _Counts) -> Array:
    """Mean share found of positives and of negatives."""
    return 0.5 * (
        _ratio(counts.tp, counts.tp + counts.fn) + _ratio(counts.tn, counts.tn + counts.fp)
    )


def _f1(counts: _Counts) -> Array:
    """2 TP / (2 TP + FP + FN); NaN without positives, though the formula would give 0."""
    f1 = _ratio(2.0 * counts.tp, 2.0 * counts.tp + counts.fp + counts.fn)
    return np.where(counts.tp + counts.fn > 0, f1, np.nan)


def _matthews(positive: Array, decided: Array, what: str) -> Score:
    """(n c - sum_k t_k d_k) / sqrt((n^2 - sum_k t_k^2) (n^2 - sum_k d_k^2)) with n rows, c of them
    right, t_k of class k, d_k decided as k. positive, decided: booleans (K, n).
    """
    n = float(positive.shape[1])
    right = float(np.sum(positive & decided))
    true = positive.sum(axis=1).astype(np.float64)
    chosen = decided.sum(axis=1).astype(np.float64)
    spread_true, spread_chosen = n * n - np.sum(true**2), n * n - np.sum(chosen**2)
    if spread_true == 0 or spread_chosen == 0:
        who = "are" if spread_true == 0 else "are decided"
        return Score(None, f"all {what} {who} alike")
    covariance = n * right - np.sum(true * chosen)
    return Score(float(covariance / (np.sqrt(spread_true) * np.sqrt(spread_chosen))))


def _log_loss(p_of_truth: Array) -> float:
    return float(-np.mean(np.log(np.maximum(p_of_truth, _TINY))))


def _calibration_error(p: Array, outcome: Array) -> float:
    """sum over bins of |sum of p - sum of outcomes| / n."""
    edges = np.arange(1, BINS) / BINS
    place = np.searchsorted(edges, p, side="left")  # (low, high]; 0 is in the first bin
    gap = np.bincount(place, weights=p - outcome, minlength=BINS)
    return float(np.sum(np.abs(gap)) / len(p))


def _ratio(above: Array, below: Array) -> Array:
    """above / below, NaN for 0/0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def _or_none(value: float, reason: str) -> Score:
    return Score(None, reason) if np.isnan(value) else Score(float(value))


def _mean(each: Array, names: Sequence[str], reason: str) -> Score:
    """Mean over classes or labels that have a value; the remark names the others."""
    out = [names[int(i)] for i in np.flatnonzero(np.isnan(each))]
    if len(out) == len(each):
        return Score(None, f"{reason} {_some(out)}")
    remark = f"{reason} {_some(out)}: left out of the mean" if out else ""
    return Score(float(np.nanmean(each)), remark)


def _mean_over_rows(each: Array) -> Score:
    """Mean over rows that have a value."""
    out = int(np.isnan(each).sum())
    reason = f"{out} row{'s' if out != 1 else ''} with no label, true or predicted"
    if out == len(each):
        return Score(None, reason)
    return Score(float(np.nanmean(each)), f"{reason}: left out of the mean" if out else "")


def _some(names: list[str]) -> str:
    shown = 10
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _checked(task: str, probabilities: Any, targets: Any) -> tuple[Array, Array]:
    """Probabilities in float64 within [0, 1] and targets as int64, or a DataError."""
    if task not in KEYS:
        raise DataError(f"task {task!r}: known are {', '.join(KEYS)}")
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    axes = 1 if task == "binary" else 2
    fits = p.shape[:1] == y.shape if task == "multiclass" else p.shape == y.shape
    if p.ndim != axes or not fits:
        expected = {"binary": "(n,) and (n,)", "multiclass": "(n, K) and (n,)"}
        raise DataError(
            f"task {task}: expected probabilities and targets of shapes "
            f"{expected.get(task, '(n, K) and (n, K)')}, given {p.shape} and {y.shape}"
        )
    if not np.all((p >= -_ROUNDING) & (p <= 1.0 + _ROUNDING)):  # NaN fails both comparisons
        row = int(np.argwhere(~((p >= -_ROUNDING) & (p <= 1.0 + _ROUNDING)))[0][0])
        raise DataError(f"probabilities must lie in [0, 1]; row {row} (counted from 0): {p[row]}")
    if task == "multiclass" and np.any(np.abs(p.sum(axis=1) - 1.0) > _SUM_ROUNDING):
        row = int(np.argmax(np.abs(p.sum(axis=1) - 1.0)))
        raise DataError(f"probabilities of row {row} add up to {p[row].sum():.6g}, not to 1")
    with np.errstate(invalid="ignore"):  # a NaN becomes some integer, and differs from it
        codes = y.astype(np.int64)
    limit = p.shape[1] if task == "multiclass" else 2
    if np.any((codes != y) | (codes < 0) | (codes >= limit)):
        row = int(np.argwhere((codes != y) | (codes < 0) | (codes >= limit))[0][0])
        raise DataError(f"targets must be whole numbers below {limit}; row {row}: {y[row]}")
    return np.clip(p, 0.0, 1.0), codes
