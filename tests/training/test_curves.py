"""Curves hold scikit-learn's points, and thinned they keep their shape."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxnet.training.curves import POINTS, precision_recall, reliability, roc, thin, threshold_curve
from jaxnet.training.metrics import final_metrics
from jaxnet.training.metrics.cuts import average_precision, cuts, roc_auc
from jaxnet.training.metrics.probability import binned

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=60,
)


def columns(rows):
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def area(curve):
    return np.trapezoid(curve["y"], curve["x"])


def height(chain, x):
    """y of a chain at places x where it does not stand upright."""
    return np.interp(x, chain["x"], chain["y"])


def points(curve):
    return list(zip(curve["x"], curve["y"], strict=True))


def distance(x, y, curve):
    """Least distance, across plus up, of points from the lines of a curve (an upper bound)."""
    cx, cy = np.array(curve["x"]), np.array(curve["y"])
    share = np.linspace(0, 1, 21)[:, None]
    lines = np.stack([cx[:-1] + share * np.diff(cx), cy[:-1] + share * np.diff(cy)], axis=-1)
    flat = lines.reshape(-1, 2)
    gaps = np.abs(flat[:, 0] - x[:, None]) + np.abs(flat[:, 1] - y[:, None])
    return gaps.min(axis=1)


@given(ROWS)
def test_cuts_are_counted_row_by_row(rows):
    p, y = columns(rows)
    found = cuts(p, y)
    assert found.p.tolist() == sorted(set(p[y].tolist()), reverse=True)
    assert (found.rows, found.positives, found.negatives) == (len(p), y.sum(), (~y).sum())
    assert found.greatest == p.max()
    for place, v in enumerate(found.p):
        assert found.tp[place] == np.sum(y & (p >= v))
        assert found.fp[place] == np.sum(~y & (p >= v))
        assert found.fp_above[place] == np.sum(~y & (p > v))
        assert found.lower[place] == max(p[p < v], default=-np.inf)


@given(ROWS)
def test_the_areas_are_those_of_scikit_learn(rows):
    p, y = columns(rows)
    found = cuts(p, y)
    if not y.any():
        assert np.isnan(roc_auc(found))
        assert np.isnan(average_precision(found))
        return
    assert average_precision(found) == pytest.approx(sk.average_precision_score(y, p), rel=1e-12)
    if y.all():
        assert np.isnan(roc_auc(found))
    else:
        assert roc_auc(found) == pytest.approx(sk.roc_auc_score(y, p), rel=1e-12)


@given(ROWS)
def test_the_roc_curve_is_scikit_learns(rows):
    p, y = columns(rows)
    curve = roc(cuts(p, y))
    if not y.any() or y.all():
        assert curve is None
        return
    fpr, tpr, _ = sk.roc_curve(y, p, drop_intermediate=False)
    assert (points(curve)[0], points(curve)[-1]) == ((0, 0), (1, 1))
    assert set(points(curve)) <= set(zip(fpr, tpr, strict=True))
    assert area(curve) == pytest.approx(roc_auc(cuts(p, y)), rel=1e-12)


@given(ROWS)
def test_the_precision_recall_curve_is_scikit_learns(rows):
    p, y = columns(rows)
    curve = precision_recall(cuts(p, y))
    if not y.any():
        assert curve is None
        return
    precision, recall, _ = sk.precision_recall_curve(y, p)
    theirs = set(zip(recall[:-1], precision[:-1], strict=True))  # but for their (0, 1)
    ours = points(curve)
    # The last point before a cut is one of theirs even where a tie makes it no corner of theirs.
    assert set(ours[1:]) <= theirs | {(x, y) for x, y in ours if x == 0}
    first = recall[recall > 0].min()
    assert ours[0] == (0, precision[np.flatnonzero(recall == first)[-1]])
    assert ours[-1] == (1, pytest.approx(y.mean(), rel=1e-12))
    assert (np.diff(curve["x"]) >= 0).all()


def test_precision_recall_by_hand():
    # From the highest p down: right, wrong, wrong, right.
    p, y = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, False, True])
    assert precision_recall(cuts(p, y)) == {
        "x": [0.0, 0.5, 0.5, 1.0],
        "y": [1.0, 1.0, pytest.approx(1 / 3), 0.5],
    }


def staircase(kind, n, seed=0):
    """Rankings that are hard to thin: (p, y)."""
    rng = np.random.default_rng(seed)
    p = np.sort(rng.random(n))[::-1]
    y = {
        "random": rng.random(n) < 0.5,
        "alternating": np.arange(n) % 2 == 0,
        "good": rng.random(n) < p**3,
        "rare": rng.random(n) < 0.02 * p,
        "dense, then a long line": np.r_[rng.random(n // 2) < 0.9, np.zeros(n - n // 2, bool)],
        "long lines between stairs": (np.arange(n) // (n // 7)) % 2 == np.arange(n) % 2,
        "perfect but for a few": (np.arange(n) < n // 2) ^ (rng.random(n) < 0.01),
        "first wrong": np.arange(n) > 0,
    }[kind].copy()
    y[-1], y[-2] = True, False
    return p, y


KINDS = [
    *("random", "alternating", "good", "rare", "dense, then a long line"),
    *("long lines between stairs", "perfect but for a few", "first wrong"),
]


@pytest.mark.parametrize("n", [398, 402, 1000, 30_000])
@pytest.mark.parametrize("kind", KINDS)
def test_thinned_curves_keep_their_shape(kind, n):
    p, y = staircase(kind, n)
    found = cuts(p, y)
    fpr, tpr, _ = sk.roc_curve(y, p, drop_intermediate=True)
    precision, recall, _ = sk.precision_recall_curve(y, p)
    some = recall > 0
    recall, precision = recall[some][::-1], precision[some][::-1]
    wholes = {
        "roc": (roc(found), fpr, tpr),
        "pr": (precision_recall(found), np.r_[0, recall], np.r_[precision[0], precision]),
    }
    for curve, x, whole in wholes.values():
        assert len(curve["x"]) <= POINTS
        assert (np.diff(curve["x"]) >= 0).all()
        assert points(curve)[0] == (x[0], whole[0])
        assert points(curve)[-1] == (x[-1], whole[-1])
        assert abs(area(curve) - np.trapezoid(whole, x)) < 1e-3
        few = np.linspace(0, len(x) - 1, 300).astype(int)
        length = np.sum(np.abs(np.diff(x)) + np.abs(np.diff(whole)))
        # A piece is a 198th of the whole length; nothing is further from what is drawn.
        assert distance(x[few], whole[few], curve).max() < 2.5 * length / 198
    assert (np.diff(wholes["roc"][0]["y"]) >= 0).all()
    # Steps of a ROC curve can be chosen to make up for each other.
    assert area(wholes["roc"][0]) == pytest.approx(roc_auc(found), abs=5e-5)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=600),
    st.integers(4, 60),
)
@example([(0, 1), (1, 0)] * 300, 40)
def test_thinned_chains_keep_their_ends_order_and_number(steps, limit):
    x, y = np.cumsum(np.array(steps, float), axis=0).T
    tx, ty = thin(x, y, limit)
    assert len(tx) <= max(limit, 2)
    assert (tx[0], ty[0], tx[-1], ty[-1]) == (x[0], y[0], x[-1], y[-1])
    assert (np.diff(tx) >= 0).all()
    assert (np.diff(ty) >= 0).all()
    assert set(zip(tx, ty, strict=True)) <= set(zip(x, y, strict=True))
    piece = (x[-1] - x[0] + y[-1] - y[0]) / (limit - 2)
    total = abs(np.trapezoid(ty, tx) - np.trapezoid(y, x))
    assert total <= piece**2 * (limit / 8 + 2)  # each piece by itself could be wrong by its eighth


def test_points_in_line_go_first():
    x, y = np.arange(1000.0), np.minimum(np.arange(1000.0), 500)
    tx, ty = thin(x, y)
    assert (tx.tolist(), ty.tolist()) == ([0, 500, 999], [0, 500, 500])
    assert [one.tolist() for one in thin(np.zeros(5), np.zeros(5))] == [[0], [0]]
    assert [one.tolist() for one in thin(np.zeros(1), np.ones(1))] == [[0], [1]]


@given(ROWS)
def test_reliability_bin_by_bin(rows):
    p, y = columns(rows)
    found = reliability(binned(p, y))
    expected = []
    for k in range(15):
        within = (p > k / 15) & (p <= (k + 1) / 15) | ((p == 0) & (k == 0))
        if within.any():
            expected.append(
                (p[within].mean(), y[within].mean(), within.sum(), k / 15, (k + 1) / 15)
            )
    assert list(zip(*found.values(), strict=True)) == [pytest.approx(one) for one in expected]
    assert list(found) == ["p", "share", "rows", "low", "high"]
    gap = np.abs(np.subtract(found["p"], found["share"])) @ found["rows"] / len(p)
    assert gap == pytest.approx(final_metrics("binary", p, y)["ece"], abs=1e-12)


@settings(max_examples=20)
@given(ROWS)
def test_threshold_curve_of_two_classes(rows):
    p, y = columns(rows)
    found = threshold_curve(p, y)
    assert found["threshold"] == [i / 100 for i in range(101)]
    for place in (0, 10, 11, 50, 70, 71, 100):
        decided = p >= place / 100
        assert found["accuracy"][place] == pytest.approx(np.mean(decided == y))
        known = {
            "f1": sk.f1_score(y, decided) if y.any() else None,
            "precision": sk.precision_score(y, decided) if decided.any() else None,
            "recall": sk.recall_score(y, decided) if y.any() else None,
            "balanced_accuracy": sk.balanced_accuracy_score(y, decided)
            if y.any() and not y.all()
            else None,
        }
        for key, value in known.items():
            assert found[key][place] == (None if value is None else pytest.approx(value)), key


def test_threshold_curve_of_labels():
    rng = np.random.default_rng(0)
    p = np.round(rng.random((80, 5)), 2)
    y = rng.random((80, 5)) < p
    y[:, 3] = False
    found = threshold_curve(p, y)
    for place, t in enumerate(found["threshold"]):
        expected = final_metrics("multilabel", p, y, thresholds=t)
        assert found["micro_f1"][place] == pytest.approx(expected["micro_f1"], rel=1e-12)
        assert found["macro_f1"][place] == pytest.approx(expected["macro_f1"], rel=1e-12)
    none = threshold_curve(p, np.zeros_like(y))
    assert none["micro_f1"] == none["macro_f1"] == [None] * 101
