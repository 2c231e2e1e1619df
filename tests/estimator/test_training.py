"""Weights, thresholds and temperature do what they say."""

import jax
import numpy as np
import pytest

from jaxnet.errors import NonFiniteError
from tests.estimator.small import N, indicators, numbers, small

pytestmark = pytest.mark.sampled(2)


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_predict_follows_the_threshold(threshold):
    x, y = numbers()
    model = small(threshold=threshold, epochs=20, learning_rate=0.05).fit(x, y)
    expected = model.predict_proba(x)[:, 1] >= threshold
    assert 0 < expected.sum() < N
    assert np.array_equal(model.predict(x), expected.astype(int))
    assert np.array_equal(model.decision_function(x) >= 0, expected)
    assert model.thresholds_.tolist() == [threshold]


def test_the_settings_of_jax_change_nothing_and_stay_the_users():
    x, y = numbers()
    usual = small(dropout=0.3).fit(x, y).predict_proba(x)
    jax.config.update("jax_random_seed_offset", 7)
    try:
        with jax.enable_x64(True), jax.threefry_partitionable(False), jax.debug_nans(True):
            before = dict(jax.config.values)
            assert np.array_equal(small(dropout=0.3).fit(x, y).predict_proba(x), usual)
            assert jax.config.values == before
    finally:
        jax.config.update("jax_random_seed_offset", 0)


def test_labels_have_a_threshold_each_from_fifty_rows_on():
    x, y = indicators(400)
    y[:, 2] = (x[:, 1] > 1.2) | (np.arange(400) % 10 == 0)  # rare and hard: low thresholds
    model = small(epochs=2).fit(x, y)
    assert len(model.validation_indices_) >= 50
    assert model.thresholds_[2] < 0.4
    p = model.predict_proba(x)
    assert np.array_equal(model.predict(x), (p >= model.thresholds_).astype(int))
    assert small().fit(*indicators()).thresholds_.tolist() == [0.5] * 3


def test_a_temperature_is_fitted_unless_unwanted():
    x, y = numbers(400)
    y ^= np.random.default_rng(2).random(400) < 0.2
    warm = small(epochs=2).fit(x, y)
    plain = small(epochs=2, calibration="none").fit(x, y)
    assert warm.temperature_ != 1 == plain.temperature_
    assert np.allclose(warm.decision_function(x) * warm.temperature_, plain.decision_function(x))


def test_outputs_that_are_no_logits_decide_alike():
    x, y = numbers()
    given = {"loss": "squared_error", "overrides": {"loss.activation": "tanh"}}
    model = small(**given).fit(x, y)
    assert np.array_equal(model.decision_function(x) >= 0, model.predict(x) == 1)


def test_a_class_that_weighs_more_is_likelier():
    x, y = numbers()
    plain = small().fit(x, y).predict_proba(x)[:, 1].mean()
    weighed = small(class_weight={1: 9.0}).fit(x, y).predict_proba(x)[:, 1].mean()
    assert weighed > plain + 0.1


def test_training_that_overflows_says_what_to_give():
    said = r"lower learning_rate, or set clip_norm=1.0. Rows of the step"
    with pytest.raises(NonFiniteError, match=said) as caught:
        small(optimizer="sgd", learning_rate=1e15).fit(*numbers())
    assert caught.value.step > 0
    assert set(caught.value.rows) < set(range(N))


def test_balanced_classes_are_alike():
    x, y = numbers()
    y[:60] = 0
    p = small(class_weight="balanced", epochs=1).fit(x, y).predict_proba(x)[:, 1]
    assert abs(p.mean() - 0.5) < 0.1 < 0.5 - small(epochs=1).fit(x, y).predict_proba(x)[:, 1].mean()


def test_a_label_that_weighs_more_is_likelier():
    x, y = indicators()
    plain = small().fit(x, y).predict_proba(x).mean(axis=0)
    weighed = small(pos_weight={2: 9.0}).fit(x, y).predict_proba(x).mean(axis=0)
    assert weighed[2] > plain[2] + 0.1


def test_only_the_ratios_of_sample_weights_count():
    x, y = numbers()
    one = small().fit(x, y, sample_weight=np.full(N, 1.0)).predict_proba(x)
    four = small().fit(x, y, sample_weight=np.full(N, 4.0)).predict_proba(x)
    assert np.allclose(one, four, atol=1e-6)
    assert np.allclose(one, small().fit(x, y).predict_proba(x), atol=1e-6)


def test_a_row_of_weight_0_is_neither_learned_from_nor_held_out():
    x, y = numbers()
    weights = np.ones(N)
    weights[::4] = 0
    flipped = np.where(weights == 0, 1 - y, y)
    model = small().fit(x, y, sample_weight=weights)
    assert not (model.validation_indices_ % 4 == 0).any()
    assert len(model.validation_indices_) == 9  # of the 60 rows that weigh anything
    other = small().fit(x, flipped, sample_weight=weights)
    assert np.array_equal(model.validation_indices_, other.validation_indices_)
    assert np.allclose(model.predict_proba(x), other.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.zeros(N), "all.*zero|at least one non-zero"),
        (-np.ones(N), "Negative"),
        (np.ones(3), "sample_weight.shape"),
        (np.arange(N) % 2, None),
    ],
    ids=["all 0", "negative", "another length", "fine"],
)
def test_weights_that_are_none(weights, said):
    x, y = numbers()
    if said is None:
        small().fit(x, y, sample_weight=weights)
        return
    with pytest.raises(ValueError, match=said):
        small().fit(x, y, sample_weight=weights)


def test_one_class_with_a_weight_is_one_class():
    x, y = numbers()
    with pytest.raises(ValueError, match="only one class in rows of a weight above 0, 1"):
        small().fit(x, y, sample_weight=y)
