"""How the gradient check measures: relative errors, finite differences, and its points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn.gradcheck import measure, reference
from jaxnet.nn.gradcheck.measure import Reference
from jaxnet.nn.gradcheck.points import Pair, Range, points, shape_of
from jaxnet.nn.losses import LOSSES

ONE = np.ones(3)


def test_the_worst_entry_is_found_with_its_place():
    found = measure.worst(np.float32([1, 2.002, 3]), np.array([1.0, 2, 3]), np.array([1.0, 2, 3]))
    np.testing.assert_allclose(found.error, 1e-3, rtol=1e-3)
    assert found.entry == (1,)
    assert (found.got, found.expected) == (np.float32(2.002), 2)


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_all_lost(lost: float):
    assert measure.worst(np.array([1, lost, 1]), ONE, ONE).error == 1
    assert measure.worst(ONE, np.array([1, lost, 1]), ONE).error == 1


def test_below_the_exponents_of_float32_only_inventions_count():
    tiny = np.full(3, 1e-33)
    assert measure.worst(np.zeros(3), tiny, tiny).error == 0
    assert measure.worst(np.array([0, 1e-20, 0]), tiny, tiny).error == 1
    assert measure.worst(np.array([0, 0.5, 0]), np.zeros(3), np.zeros(3)).error == 1


def test_nothing_has_no_error():
    empty = np.zeros((0, 3))
    assert measure.worst(empty, empty, empty).error == 0


def test_finite_differences_judge_only_where_they_can():
    agreed = Reference(ONE, ONE, np.array([1, 1, 1.5]), np.array([0, 1e-9, 1e-3]))
    assert measure.contradiction(agreed).error < 1e-9
    expected, where = measure.believed(agreed)
    assert expected is agreed.value
    assert where is True


def test_finite_differences_that_disagree_are_believed():
    wrong = Reference(1.001 * ONE, ONE, ONE, np.array([0, 0, 1e-3]))
    np.testing.assert_allclose(measure.contradiction(wrong).error, 1e-3)
    expected, where = measure.believed(wrong)
    np.testing.assert_array_equal(expected, ONE)
    np.testing.assert_array_equal(where, [True, True, False])


def test_blind_finite_differences_confirm_nothing():
    blind = Reference(ONE, ONE, ONE, ONE)
    assert measure.contradiction(blind).error == 1


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (jnp.exp, jnp.exp),
        (jnp.tanh, lambda x: 1 / jnp.cosh(x) ** 2),
        (lambda x: x**3, lambda x: 3 * x**2),
    ],
)
def test_finite_differences_reach_ten_digits_and_know_their_error(f, slope):
    with jax.enable_x64(True):
        x = jnp.linspace(-3, 3, 31)
        found, doubt = reference.differences(lambda step: f(x + step), jnp.ones((1, 31)))
        error = np.abs(np.asarray(found[0]) - np.asarray(slope(x)))
    assert error.max() < 1e-9
    assert (error <= np.asarray(doubt[0]) + 1e-12).all()


def test_a_kink_is_in_doubt():
    with jax.enable_x64(True):
        x = jnp.array([-1.0, 1e-3, 1.0])
        _, doubt = reference.differences(lambda step: jnp.abs(x + step), jnp.ones((1, 3)))
        doubt = np.asarray(doubt)
    assert doubt[0, 1] > 1e-3
    assert doubt[0, 0] < 1e-10


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_the_points_reach_as_far_as_they_should(name: str, dtype):
    loss = LOSSES[name]
    activation = loss.activation if isinstance(loss.activation, str) else "softmax"
    pair = Pair(loss, activation)
    found = points(pair, np.dtype(dtype), Range(), {})
    z = np.asarray(found.kinds["hard"].z, np.float64)
    assert set(found.kinds) == {"hard", "soft", "smoothed", "weighted"}
    assert 79 < np.abs(z).max() <= 80.5
    if shape_of(pair) == "classes":
        gaps = z.max(axis=1, keepdims=True) - z
        assert 76 < gaps.max() <= 81
        labels = found.kinds["hard"].y
        right = labels == z.argmax(axis=1)
        assert 0.4 < right.mean() < 0.7
    else:
        assert (z == 0).any()
    soft = np.asarray(found.kinds["soft"].y, np.float64)
    assert (soft == 0).any()
    assert ((soft > 0.1) & (soft < 0.9)).any()
    g = found.kinds["hard"].g
    assert g.dtype == np.float32
    assert len(np.unique(g)) > 100
    assert not (g == 1).all()
    assert (g < 0).any()
    assert (found.kinds["weighted"].g == 0).any()
    for batch in found.kinds.values():
        assert batch.z.dtype == dtype
