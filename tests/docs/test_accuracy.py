"""`a - y` as written loses all relative accuracy where a saturates; the complementary forms do not.

The numbers are those of the figures: scripts/equation_curves.py.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import activations, losses
from scripts import equation_curves as computed

FIGURES = {
    "delta": computed.delta_errors,
    "slope": computed.slope_errors,
    "softmax": computed.softmax_errors,
}


@pytest.mark.parametrize(
    ("figure", "written", "zero_from"),
    [
        ("delta", computed.WRITTEN, 17),
        ("delta", computed.KINKED, 17),
        ("slope", computed.SLOPE_WRITTEN, 17),
        ("slope", computed.SLOPE_AUTODIFF, 17),
        ("softmax", computed.WRITTEN, 19),
        ("softmax", computed.LOG_SOFTMAX, 19),
    ],
)
def test_the_textbook_form_is_exactly_0_when_saturated(
    figure: str, written: str, zero_from: float
) -> None:
    z, curves = FIGURES[figure]()
    assert (curves[written][z >= zero_from] == 1).all()  # relative error 1: the number is 0
    assert (curves[written][z == 12] > 1e-4).all()
    assert curves[written][(z < -1) & (z > -16)].max() < 5e-7


@pytest.mark.parametrize(
    ("figure", "curve", "limit"),
    [
        ("delta", computed.DELTA, 2e-7),
        ("delta", computed.SOFTPLUS, 6e-7),
        ("slope", computed.SLOPE, 3e-7),
        ("softmax", computed.DELTA, 1e-6),
    ],
)
def test_the_complementary_form_is_right_everywhere(figure: str, curve: str, limit: float) -> None:
    z, curves = FIGURES[figure]()
    assert z.min() == -20
    assert z.max() == 80
    assert curves[curve].max() <= limit


def test_at_zero_autodiff_takes_one_side_of_a_kink() -> None:
    """max(z, 0) - z y + log1p(exp(-|z|)) at z = 0, where a last layer of zeros starts."""
    z, curves = computed.delta_errors()
    at_zero = np.flatnonzero(z == 0)
    assert curves[computed.KINKED][at_zero] == [1.0]  # -1 for -1/2
    assert curves[computed.KINKED][at_zero + 1] < 1e-6
    assert curves[computed.DELTA][at_zero] == [0.0]


def test_bfloat16_loses_it_from_6() -> None:
    z = jnp.asarray(np.linspace(6, 80, 149), jnp.bfloat16)
    y = jnp.ones_like(z)
    assert (jax.jit(jax.nn.sigmoid)(z) == y).all()
    truth = -1 / (1 + np.exp(np.asarray(z, np.float64)))
    delta = jax.jit(losses.binary_cross_entropy.delta)(z, y)
    assert delta.dtype == jnp.bfloat16
    assert computed.relative(delta, truth).max() <= 4e-3


def test_right_answers_lose_their_gradient_behind_softmax() -> None:
    lost = computed.lost_rows(np.array([1.0, 20.0, 40.0]))
    for name in (computed.WRITTEN, computed.LOG_SOFTMAX):
        none, a_fifth, half = lost[name]
        assert none == 0
        assert 0.2 < a_fifth < 0.23
        assert 0.48 < half < 0.52
    assert (lost[computed.DELTA][:2] == 0).all()
    assert lost[computed.DELTA][2] < 0.005


def test_what_jaxnet_loses_is_below_float32_itself() -> None:
    z = (40 * np.random.default_rng(0).standard_normal((2048, 10))).astype(np.float32)
    ours, truth = computed.softmax_deltas(z, z.argmax(axis=1).astype(np.int32))
    smallest = np.finfo(np.float32).tiny
    assert (np.abs(truth[ours[computed.DELTA] == 0]) < smallest).all()
    held = np.abs(truth) > 1e-30
    assert computed.relative(ours[computed.DELTA], truth)[held].max() <= 5e-6
    assert held.mean() > 0.9


@jax.jit
def seed_times_derivative(z: Any, y: Any) -> tuple[Any, Any, Any]:
    """a, dJ/da * a (1 - a) and delta."""
    loss, a = losses.binary_cross_entropy, activations.sigmoid(z)
    return a, loss.seed(a, y) * (a * (1 - a)), loss.delta(z, y)


def test_seed_through_the_derivative_fails_where_a_is_0_or_1() -> None:
    """In float32, at z = 20: a is 1, so dJ/da is infinite for y = 0 and a (1 - a) is 0."""
    a, through, delta = seed_times_derivative(jnp.float32([20.0, 20.0]), jnp.float32([0.0, 1.0]))
    assert (a == 1).all()
    assert np.isnan(through[0])  # inf * 0
    assert through[1] == 0
    np.testing.assert_allclose(delta, [1, -1 / (1 + np.exp(20.0))], rtol=2e-7)


def test_seed_times_derivative_is_delta_elsewhere_in_float32() -> None:
    """As far as the rounding of a near 1 allows."""
    z, y = np.meshgrid(np.linspace(-8, 8, 161), [0.0, 0.3, 1.0])
    _, through, delta = seed_times_derivative(
        jnp.asarray(z.ravel(), jnp.float32), jnp.asarray(y.ravel(), jnp.float32)
    )
    np.testing.assert_allclose(through, delta, rtol=3e-4, atol=1e-6)
