"""Scores from the best labels alone are those of all outputs, where all labels are among them."""

import tracemalloc

import numpy as np
import pytest

from jaxnet.training.epoch import Program
from jaxnet.training.evaluation import summarise
from jaxnet.training.metrics import best
from jaxnet.training.needs import estimate
from jaxnet.training.thresholds import tune_best

ROWS, LABELS = 2500, 7  # more rows than are looked at in one go


@pytest.fixture(scope="module")
def outputs():
    rng = np.random.default_rng(0)
    p, y = rng.random((ROWS, LABELS)), rng.random((ROWS, LABELS)) < 0.2
    y[:, 3] = False
    y[:3] = False
    return p, y


def ranked(p, y, k=LABELS):
    labels = np.argsort(-p, axis=1, kind="stable")[:, :k]
    indptr = np.append(0, np.cumsum(y.sum(axis=1)))
    of_best = np.take_along_axis(p, labels, axis=1)
    return best.ranked(labels, of_best, indptr, np.nonzero(y)[1], p.shape[1])


def tuned(found):
    return tune_best(found.p, found.hits, int(found.own.sum()))


def test_hits_are_the_labels_of_the_row(outputs):
    p, y = outputs
    found = ranked(p, y, 4)
    np.testing.assert_array_equal(found.hits, np.take_along_axis(y, found.labels, axis=1))
    none = ranked(p[:0], y[:0])
    assert none.hits.shape == (0, LABELS)


def test_scores_are_those_of_all_outputs(outputs):
    p, y = outputs
    mine = best.scores(ranked(p, y), 0.45)
    names = [f"l{label}" for label in range(LABELS)]
    dense = summarise(
        "multilabel", p, y.astype(float), thresholds=[0.45] * LABELS, names=names, with_curves=False
    )["metrics"]
    known = {name: score.value for name, score in mine.items() if score.value is not None}
    assert {"f1", "macro_f1", "samples_f1", "ndcg_at_5", "precision_at_3", "accuracy"} < set(known)
    for name, value in known.items():
        assert value == pytest.approx(dense[name], rel=1e-12), name


def test_the_threshold_has_the_best_micro_f1(outputs):
    p, y = outputs
    found = ranked(p.round(2), y, 3)  # many that are equal
    chosen = best.scores(found, tuned(found))["micro_f1"].value
    others = [best.scores(found, t)["micro_f1"].value for t in np.arange(0, 1.005, 0.005)]
    assert chosen == pytest.approx(max(others), rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_psp_is_the_share_of_the_most_that_could_be(outputs, k):
    p, y = outputs
    counts, rows = np.array([900, 20, 3, 0, 1, 50, 7]), 1000
    propensity = 1 / (1 + (np.log(rows) - 1) * 2.5**0.55 * np.exp(-0.55 * np.log(counts + 1.5)))
    worth = y / propensity
    order = np.argsort(-p, axis=1, kind="stable")[:, :k]
    gained = np.take_along_axis(worth, order, axis=1).sum()
    most = np.sort(worth, axis=1)[:, -k:].sum()
    inverse = best.inverse_propensities(counts, rows)
    score = best.rankings(ranked(p, y), inverse)[f"psp_at_{k}"]
    assert score.value == pytest.approx(gained / most, rel=1e-12)


def test_no_threshold_parts_what_is_equal():
    """Between the two labels of 0.5 in the first row F1 would be 1."""
    p, y = np.array([[0.9, 0.5, 0.5], [0.5, 0.5, 0]]), np.zeros((2, 3), bool)
    y[0, :2] = True
    assert tuned(ranked(p, y)) == pytest.approx(0.7)


def test_memory_is_as_was_estimated():
    rows, labels, k = 5000, 500, 100
    p = np.random.default_rng(0).random((rows, labels))
    program = Program("multilabel_cross_entropy", head="linear_blocks")
    sizes = {"sizes": (9, 8, labels), "task": "multilabel"}
    needs = estimate(program, rows=1, validation_rows=rows, **sizes)
    order = np.argsort(-p, axis=1)[:, :k].astype(np.int32)
    of_best, own = np.take_along_axis(p, order, axis=1), np.arange(rows + 1)
    tracemalloc.start()
    tuned(best.ranked(order, of_best, own, np.zeros(rows, np.int32), labels))
    most = tracemalloc.get_traced_memory()[1] + order.nbytes + of_best.nbytes
    tracemalloc.stop()
    assert 0.8 < most / needs.predictions < 1.2
