"""Thresholds against trying every one; by hand; and what makes no sense."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.errors import DataError
from jaxnet.training.metrics import decide, final_metrics
from jaxnet.training.thresholds import (
    RULES,
    Decision,
    choose,
    tune_binary,
    tune_multilabel,
)

COST = {"false_positive": 1.0, "false_negative": 3.5}


def gain(rule, y, decided, cost=COST):
    if rule == "cost":
        (_, fp), (fn, _) = sk.confusion_matrix(y, decided, labels=[0, 1])
        return -(cost["false_positive"] * fp + cost["false_negative"] * fn)
    of = {
        "accuracy": sk.accuracy_score,
        "f1": lambda a, b: sk.f1_score(a, b, zero_division=0.0),
        "balanced_accuracy": sk.balanced_accuracy_score,
    }
    return of[rule](y, decided)


def every_cut(p):
    """A threshold for each set of rows that some threshold decides positive."""
    return [*np.unique(p), 2.0]


ROWS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1e-300, 0.1, 0.3, 0.5, 0.7, np.nextafter(0.7, 1), 1.0])
        | st.floats(0, 1),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS, st.sampled_from(RULES))
def test_no_threshold_is_better(rows, rule):
    p, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    t = tune_binary(p, y, rule, cost=COST)
    if 0 < y.sum() < len(y):
        best = max(gain(rule, y, p >= one) for one in every_cut(p))
        assert gain(rule, y, decide("binary", p, t)) == pytest.approx(best, rel=1e-12)
    else:
        assert t == (1 / 4.5 if rule == "cost" else 0.5)


@given(ROWS, st.sampled_from(["accuracy", "f1", "balanced_accuracy"]))
def test_of_equally_good_cuts_the_nearest_to_a_half_is_taken(rows, rule):
    p, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if not 0 < y.sum() < len(y):
        return
    t = tune_binary(p, y, rule)
    best = gain(rule, y, p >= t)
    if gain(rule, y, p >= 0.5) == pytest.approx(best, rel=1e-12):
        assert t == 0.5
    values = np.unique(np.concatenate([[0.0], p, [1.0]]))
    middles = values[:-1] + np.diff(values) / 2
    equal = [m for m in middles if gain(rule, y, p >= m) >= best - 1e-12]
    assert abs(t - 0.5) <= min((abs(m - 0.5) for m in equal), default=1.0) + 1e-15


def test_by_hand():
    p, y = [0.1, 0.2, 0.3, 0.8], [0, 1, 0, 1]
    # F1: from .2 up 2*2/(3+2) = .8; from .8 up 2/3; so halfway between .1 and .2.
    assert tune_binary(p, y, "f1") == pytest.approx(0.15)
    # Accuracy: from .2 up and from .8 up both 3 of 4; 0.5 divides the rows as the latter.
    assert tune_binary(p, y, "accuracy") == 0.5
    # A missed positive costs 5: from .2 up 1, from .8 up 5. Without tuning: 1 / 6, between them.
    assert tune_binary(p, y, "cost", cost={"false_negative": 5}) == pytest.approx(1 / 6)
    assert tune_binary(p, y, "cost", cost={"false_positive": 5}) == pytest.approx(0.8, abs=0.25)


def test_where_everything_or_nothing_should_be_decided_positive():
    # Nothing: each cut takes in more negatives than positives.
    t = tune_binary([0.6, 0.8, 0.7, 0.9], [0, 0, 1, 0], "accuracy")
    assert t == pytest.approx(0.95)
    t = tune_binary([0.6, 1.0, 1.0, 1.0], [0, 0, 1, 0], "accuracy")
    assert t == np.nextafter(1, 2)
    # Everything, and p = 0 is among it.
    assert tune_binary([0.2, 0.3, 0.4], [1, 1, 0], "accuracy") == pytest.approx(0.1)
    assert tune_binary([0.0, 0.3, 0.4], [1, 1, 0], "accuracy") == 0.0


def test_between_neighbouring_numbers():
    low = 0.3
    high = np.nextafter(low, 1)
    assert tune_binary([low, high], [0, 1], "f1") == high


def test_costs_that_count_only_one_mistake():
    p, y = [0.1, 0.2, 0.3], [1, 0, 1]
    assert decide("binary", p, tune_binary(p, y, "cost", cost={"false_positive": 0})).all()
    assert not decide("binary", p, tune_binary(p, y, "cost", cost={"false_negative": 0}))[1]


def multilabel(seed=0, n=400, k=6):
    rng = np.random.default_rng(seed)
    prior = np.geomspace(0.3, 0.005, k)
    y = rng.random((n, k)) < prior
    z = 1.2 * rng.normal(size=(n, k)) + np.log(prior) + 2.0 * y
    return 1 / (1 + np.exp(-z)), y.astype(int)


@pytest.mark.parametrize("rule", RULES)
def test_labels_are_tuned_one_by_one_and_drawn_to_the_threshold_of_all(rule):
    p, y = multilabel()
    y[:, 0], y[:, 5] = 1, 0
    found = tune_multilabel(p, y, rule, cost=COST)
    assert found.global_ == tune_binary(p.ravel(), y.ravel(), rule, cost=COST)
    for k in range(1, 5):
        own, count = tune_binary(p[:, k], y[:, k], rule, cost=COST), y[:, k].sum()
        assert found.each[k] == pytest.approx((count * own + 10 * found.global_) / (count + 10))
    assert found.each[0] == found.each[5] == found.global_
    exact = tune_multilabel(p, y, rule, cost=COST, shrink_below=0)
    assert exact.each[2] == pytest.approx(tune_binary(p[:, 2], y[:, 2], rule, cost=COST))


def test_the_global_threshold_has_the_best_micro_f1():
    p, y = multilabel(1, n=60, k=3)
    t = tune_multilabel(p, y).global_
    scores = [sk.f1_score(y, p >= one, average="micro") for one in np.unique(p)]
    assert sk.f1_score(y, p >= t, average="micro") == pytest.approx(max(scores))


def test_drawn_thresholds_do_better_on_other_rows():
    """What the default of `shrink_below` rests on, in small: rare labels, held-out halves."""
    gains = []
    for seed in range(20):
        p, y = multilabel(seed, n=400, k=40)
        drawn, own = (
            final_metrics(
                "multilabel",
                p[200:],
                y[200:],
                thresholds=tune_multilabel(p[:200], y[:200], shrink_below=below).each,
            )
            for below in (10, 0)
        )
        gains.append(drawn["f1"] - own["f1"])
    assert np.mean(gains) > 0.02


def test_what_a_config_asks_for():
    p, y = multilabel()
    assert choose("multiclass", None, None, "f1") == Decision("argmax")
    assert choose("binary", p[:, 0], y[:, 0], None) == Decision("threshold", None, 0.5)
    assert choose("binary", p[:, 0], y[:, 0], 0.2) == Decision("threshold", None, 0.2)
    tuned = choose("binary", p[:, 0], y[:, 0], "cost", cost=COST)
    t = tune_binary(p[:, 0], y[:, 0], "cost", cost=COST)
    assert tuned == Decision("threshold", "cost", t)
    each = tune_multilabel(p, y)
    expected = Decision("threshold", "f1", tuple(each.each.tolist()), each.global_)
    assert choose("multilabel", p, y, None) == choose("multilabel", p, y, "f1") == expected
    assert choose("multilabel", p, y, 0.3) == Decision("threshold", None, (0.3,) * 6, 0.3)
    np.testing.assert_array_equal(decide("multilabel", p, expected.thresholds), p >= each.each)


def test_what_cannot_be_tuned_is_left_and_says_so():
    found = choose("binary", [0.2, 0.3], [1, 1], "f1")
    assert found == Decision("threshold", None, 0.5, reason="rows of both classes are needed")
    found = choose("binary", [0.2], [1], "cost", cost={"false_negative": 3})
    assert found.thresholds == 0.25
    found = choose("multilabel", np.full((2, 3), 0.2), np.zeros((2, 3)), None)
    expected = Decision("threshold", None, (0.5,) * 3, 0.5, "all labels are alike")
    assert found == expected
    none = choose("multilabel", np.zeros((0, 3)), np.zeros((0, 3)), None)
    assert none == expected._replace(reason="no rows were held out")


@pytest.mark.parametrize(
    ("rule", "cost", "text"),
    [
        ("recall", None, "no rule is called 'recall'; choose from accuracy, f1, balanced_accuracy"),
        ("cost", {"false_positve": 1}, "costs are false_positive and false_negative, 0 or more"),
        ("cost", {"false_positive": -1}, "0 or more"),
        ("cost", {"false_positive": np.nan}, "0 or more"),
        ("cost", {"false_positive": 0, "false_negative": 0}, "must cost something"),
    ],
)
def test_calls_that_make_no_sense(rule, cost, text):
    with pytest.raises(DataError) as caught:
        tune_binary([0.1, 0.9], [0, 1], rule, cost=cost)
    assert text in str(caught.value)
