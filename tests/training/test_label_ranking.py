"""Rankings of labels and the most likely classes: scikit-learn's numbers, ties, by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.training.metrics import final_metrics, label_ranking, undefined_reasons
from jaxnet.training.metrics.label_ranking import DEPTHS, rank_labels

EXACT = {"rel": 1e-12, "abs": 1e-13}
LEVELS = [0.0, 0.25, 0.5, 0.75, 1.0]  # few, so that many are equal


@st.composite
def tables(draw):
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    cells = st.lists(st.sampled_from(LEVELS), min_size=n * k, max_size=n * k)
    flags = st.lists(st.booleans(), min_size=n * k, max_size=n * k)
    return np.array(draw(cells)).reshape(n, k), np.array(draw(flags)).reshape(n, k)


def one_by_one(p, own, depth):
    """(lrap, coverage, hits, ndcg) of one row, from the definitions; equals over their places."""
    above = [(p >= value).sum() for value in p]
    lrap = [np.sum(own & (p >= v)) / a for v, a, o in zip(p, above, own, strict=True) if o]
    hits = gain = 0.0
    for value in p[own]:
        places = range((p > value).sum(), (p >= value).sum())
        weights = [1 / math.log2(place + 2) if place < depth else 0.0 for place in places]
        hits += np.mean([place < depth for place in places])
        gain += np.mean(weights)
    most = sum(1 / math.log2(place + 2) for place in range(min(depth, own.sum())))
    if not own.any():
        return math.nan, math.nan, 0.0, math.nan
    return np.mean(lrap), max(a for a, o in zip(above, own, strict=True) if o), hits, gain / most


@given(tables())
def test_every_row_by_the_definitions(table):
    p, own = table
    found = rank_labels(p, own)
    for row in range(len(p)):
        for column, depth in enumerate(DEPTHS):
            lrap, coverage, hits, ndcg = one_by_one(p[row], own[row], depth)
            assert found.lrap[row] == pytest.approx(lrap, nan_ok=True, **EXACT)
            assert found.coverage[row] == pytest.approx(coverage, nan_ok=True)
            assert found.hits[row, column] == pytest.approx(hits / depth, **EXACT)
            assert found.ndcg[row, column] == pytest.approx(ndcg, nan_ok=True, **EXACT)


@given(tables())
def test_means_are_those_of_scikit_learn(table):
    p, own = table
    some = own.any(axis=1)
    found = final_metrics("multilabel", p, own)
    if not some.any():
        assert found["lrap"] is None
        return
    y, q = own[some].astype(int), p[some]
    if p.shape[1] > 1:  # scikit-learn takes one label for two classes
        assert found["lrap"] == pytest.approx(sk.label_ranking_average_precision_score(y, q))
        assert found["coverage_error"] == pytest.approx(sk.coverage_error(y, q))
        for k in DEPTHS:
            if k <= p.shape[1]:
                assert found[f"ndcg_at_{k}"] == pytest.approx(sk.ndcg_score(y, q, k=k), **EXACT)
    for k in DEPTHS:
        if k > p.shape[1]:
            assert found[f"ndcg_at_{k}"] is found[f"precision_at_{k}"] is None


def test_by_hand():
    # Ranked b, c, a; own are a and b. Next row: ranked a, b, c; own is c. Last row: nothing.
    p = [[0.1, 0.9, 0.5], [0.9, 0.5, 0.1], [0.2, 0.3, 0.4]]
    y = [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    found = final_metrics("multilabel", p, y)
    assert found["lrap"] == pytest.approx(((1 / 1 + 2 / 3) / 2 + 1 / 3) / 2)
    assert found["coverage_error"] == 3
    assert found["precision_at_1"] == pytest.approx(1 / 3)
    assert found["precision_at_3"] == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    second, third = 1 / math.log2(3), 1 / 2
    assert found["ndcg_at_1"] == 0.5
    assert found["ndcg_at_3"] == pytest.approx(((1 + third) / (1 + second) + third) / 2)
    # a and b are decided once each from .5 up; c is too, but where it is not the row's.
    assert found["label_coverage"] == 1
    coverage = final_metrics("multilabel", p, y, thresholds=[0.95, 0.5, 0.5])["label_coverage"]
    assert coverage == pytest.approx(2 / 3)


def test_labels_without_positives_are_no_part_of_the_coverage():
    p, y = [[0.9, 0.1, 0.9], [0.1, 0.1, 0.1]], [[0, 1, 0], [1, 0, 0]]
    assert final_metrics("multilabel", p, y)["label_coverage"] == 0.5  # a, not b; c has no rows


def test_remarks():
    p, y = np.full((3, 2), 0.4), np.array([[1, 0], [0, 0], [0, 0]])
    reasons = undefined_reasons("multilabel", p, y)
    for key in ("lrap", "coverage_error", "ndcg_at_1"):
        assert reasons[key] == "2 rows without labels: left out of the mean"
    assert reasons["precision_at_3"] == reasons["ndcg_at_3"] == "needs 3 labels or more"
    assert "precision_at_1" not in reasons


def test_blocks_of_rows_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    p = np.round(rng.random((50, 7)), 1)
    y = rng.random((50, 7)) < 0.3
    whole = rank_labels(p, y)
    monkeypatch.setattr(label_ranking, "_PAIRS", 21)
    for one, other in zip(whole, rank_labels(p, y), strict=True):
        np.testing.assert_array_equal(one, other)


@given(st.integers(0, 1000), st.integers(3, 7))
def test_top_k_of_equals_takes_the_first(seed, k):
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 4, size=(20, k)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    y = rng.integers(0, k, 20)
    found = final_metrics("multiclass", p, y)
    for top in (2, 3, 5):
        if top >= k:
            assert found[f"top_{top}_accuracy"] is None
            continue
        # scikit-learn puts the last of equals first
        theirs = sk.top_k_accuracy_score(k - 1 - y, p[:, ::-1], k=top, labels=range(k))
        assert found[f"top_{top}_accuracy"] == pytest.approx(theirs, **EXACT)
        assert found[f"top_{top}_accuracy"] >= found["accuracy"]
