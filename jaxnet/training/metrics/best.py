"""Scores of sets of labels from the best labels of each row alone; on the host.

What needs the probabilities of all labels is not here. A row is decided to have those of its best
labels whose probability reaches the threshold: what is not among them is decided to be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.training.metrics.label_ranking import DEPTHS
from jaxnet.training.metrics.multilabel import KEYS
from jaxnet.training.metrics.scores import Score, mean_over_rows

Array = np.ndarray[Any, np.dtype[Any]]

PROPENSITY_A, PROPENSITY_B = 0.55, 1.5  # of Jain et al. 2016
_ROWS = 1024  # looked at in one go: looking labels up takes many times their memory


class Ranked(NamedTuple):
    """The best labels of n rows beside their own.

    Attributes:
        hits: (n, k), whether each of the best labels, the best first, is the row's own.
        labels: (n, k), which they are. p: (n, k), their probabilities, falling.
        own: (n,), how many labels the row has.
        indptr, indices: the row's own labels, row i from indptr[i] to indptr[i + 1].
        K: how many labels there are.
    """

    hits: Array
    labels: Array
    p: Array
    own: Array
    indptr: Array
    indices: Array
    K: int


def ranked(labels: Array, p: Array, indptr: Array, indices: Array, K: int) -> Ranked:
    """Find out which of the best labels are the rows' own.

    >>> found = ranked(np.array([[4, 1]]), np.array([[0.9, 0.2]]), np.array([0, 1]), [1], 5)
    >>> found.hits.tolist(), found.own.tolist()
    ([[False, True]], [1])
    """
    labels, indices, own = np.asarray(labels), np.asarray(indices), np.diff(indptr)
    hits = np.zeros(labels.shape, bool)
    for start in range(0, len(own), _ROWS):
        some = slice(start, start + _ROWS)
        rows = np.arange(start, min(start + _ROWS, len(own)), dtype=np.int64)
        mine = indices[indptr[start] : indptr[rows[-1] + 1]].astype(np.int64)
        keys = np.repeat(rows, own[some]) * K + mine
        hits[some] = np.isin(rows[:, None] * K + labels[some], keys)
    return Ranked(hits, labels, np.asarray(p), own, indptr, indices, K)


def scores(
    found: Ranked,
    threshold: float,
    *,
    log_loss: float | None = None,
    inverse: Array | None = None,
) -> dict[str, Score]:
    """Every metric of a multi-label task; those that need all outputs are undefined, with why.

    Args:
        threshold: from which probability on a label is decided to be there.
        log_loss: mean over rows and labels.
        inverse: 1 / propensity of each label (K,), see `inverse_propensities`; None: no PSP@k.
    """
    why = f"needs the logits of all labels; the {found.labels.shape[1]} best of a row are kept"
    metrics = dict.fromkeys(KEYS, Score(None, why))
    if log_loss is not None:
        metrics["log_loss"] = Score(log_loss)
    metrics |= _decided(found, threshold)
    metrics |= rankings(found, inverse)
    return metrics


def rankings(found: Ranked, inverse: Array | None = None) -> dict[str, Score]:
    """P@k, nDCG@k and, with inverse propensities, PSP@k, for k = 1, 3, 5.

    P@k = mean_i 1/k sum of hits among the best k;  a row without labels counts 0.
    nDCG@k = mean_i (sum hits / log2(place + 1)) / (the most that it could be); rows with labels.
    PSP@k = sum_i sum of hits / p_l over sum_i of the most that it could be (Jain et al. 2016).
    """
    metrics: dict[str, Score] = {}
    for k in DEPTHS:
        names = [
            f"precision_at_{k}",
            f"ndcg_at_{k}",
            *([f"psp_at_{k}"] if inverse is not None else []),
        ]
        if found.labels.shape[1] < k:
            metrics |= dict.fromkeys(names, Score(None, f"needs {k} labels or more"))
            continue
        hits = found.hits[:, :k]
        metrics[names[0]] = Score(float(hits.mean()))
        metrics[names[1]] = mean_over_rows(_ndcg(hits, found.own), "without labels")
        if inverse is not None:
            metrics[names[2]] = _psp(found, inverse, k)
    return metrics


def _ndcg(hits: Array, own: Array) -> Array:
    discount = 1.0 / np.log2(np.arange(hits.shape[1]) + 2.0)
    most = np.append(np.nan, np.cumsum(discount))[np.minimum(own, hits.shape[1])]
    gained: Array = hits @ discount / most
    return gained


def _psp(found: Ranked, inverse: Array, k: int) -> Score:
    gained = np.sum(found.hits[:, :k] * inverse[found.labels[:, :k]])
    rows = np.repeat(np.arange(len(found.own)), found.own)
    worth = inverse[found.indices]
    order = np.lexsort((-worth, rows))
    place = np.arange(len(rows)) - found.indptr[:-1][rows]
    most = np.sum(worth[order][place < k])
    return Score(float(gained / most)) if most > 0 else Score(None, "no row has a label")


def inverse_propensities(counts: Array, rows: int) -> Array:
    """1 / p_l = 1 + C (N_l + B)^-A with C = (log N - 1) (B + 1)^A, A = 0.55, B = 1.5; float64 (K,).

    Labels that few rows have are left out of them most often (Jain et al. 2016): a hit there is
    worth more.

    Args:
        counts: N_l, training rows of each label. rows: N, of training.

    >>> inverse_propensities(np.array([0, 10, 1000]), 2000).round(2).tolist()
    [9.74, 3.86, 1.24]
    """
    C = (np.log(max(rows, 3)) - 1) * (PROPENSITY_B + 1) ** PROPENSITY_A
    inverse: Array = 1 + C * (np.asarray(counts, np.float64) + PROPENSITY_B) ** -PROPENSITY_A
    return inverse


def _decided(found: Ranked, threshold: float) -> dict[str, Score]:
    """What follows from the labels that the rows are decided to have."""
    said = found.p >= threshold
    right = said & found.hits
    tp, many = right.sum(axis=1), said.sum(axis=1)
    errors = many + found.own - 2 * tp
    total = float(many.sum() + found.own.sum())
    both = np.where(many + found.own > 0, 2.0 * tp / np.maximum(many + found.own, 1), np.nan)
    micro = Score(2.0 * float(tp.sum()) / total) if found.own.sum() else Score(None, "no positives")
    pairs = max(found.own.size * found.K, 1)
    return {
        "accuracy": Score(1 - float(errors.sum()) / pairs),
        "f1": micro,
        "micro_f1": micro,
        "macro_f1": _macro(found, said, right),
        "samples_f1": mean_over_rows(both, "with no label, true or predicted"),
        "hamming_loss": Score(float(errors.sum()) / pairs),
        "subset_accuracy": Score(float(np.mean(errors == 0))),
        "label_coverage": _coverage(found, said),
    }


def _macro(found: Ranked, said: Array, right: Array) -> Score:
    """Mean F1 of the labels that some row has."""
    own, many, tp = (
        np.bincount(each, minlength=found.K)
        for each in (found.indices, found.labels[said], found.labels[right])
    )
    known = own > 0
    if not known.any():
        return Score(None, "no positives")
    f1 = 2.0 * tp[known] / (many + own)[known]
    out = f"{int((~known).sum()):,} labels without positive rows: left out of the mean"
    return Score(float(f1.mean()), "" if known.all() else out)


def _coverage(found: Ranked, said: Array) -> Score:
    known = np.unique(found.indices)
    if not known.size:
        return Score(None, "no positives")
    return Score(float(np.isin(known, found.labels[said]).mean()))


def summary(metrics: Mapping[str, Score]) -> dict[str, Any]:
    """As `evaluation.summarise` has them: "metrics", and "undefined" with the reasons."""
    return {
        "metrics": {key: one.value for key, one in metrics.items()},
        "undefined": {key: one.remark for key, one in metrics.items() if one.remark},
    }
