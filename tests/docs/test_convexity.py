"""Squared error behind a sigmoid is not convex and stalls; cross-entropy is convex and does not."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import activations, losses
from jaxnet.nn.losses import Loss
from scripts import equation_curves as computed
from scripts.equation_curves import SIGMOID, Behind


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@cache
def along_z(name: str) -> tuple[np.ndarray, Behind]:
    z = np.linspace(-30, 30, 6001)
    loss, options = {
        "squared": (losses.squared_error, SIGMOID),
        "entropy": (losses.binary_cross_entropy, {}),
    }[name]
    return z, computed.behind_sigmoid(loss, z, **options)


@pytest.mark.usefixtures("float64")
def test_squared_error_bends_down_where_a_is_below_a_third() -> None:
    """y = 1: L'' = a (1 - a)^2 (3 a - 1), negative for z < -log 2."""
    z, square = along_z("squared")
    a = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(square.second, a * (1 - a) ** 2 * (3 * a - 1), rtol=1e-9, atol=1e-20)
    assert (square.second[z < -np.log(2) - 1e-9] < 0).all()
    assert (square.second[z > -np.log(2) + 1e-9] > 0).all()


@pytest.mark.usefixtures("float64")
def test_cross_entropy_never_bends_down() -> None:
    """L'' = a (1 - a) > 0, whatever the target."""
    z, entropy = along_z("entropy")
    a = 1 / (1 + np.exp(-z))
    assert (entropy.second > 0).all()
    # 1 - a as 1 / (1 + exp(z)): the textbook's difference would be the less exact side here
    np.testing.assert_allclose(entropy.second, a / (1 + np.exp(z)), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_squared_error_is_the_slower_by_sigma_prime() -> None:
    """delta of squared error = sigma'(z) times delta of cross-entropy; at most 4/27, at a = 1/3."""
    z, square = along_z("squared")
    _, entropy = along_z("entropy")
    slope = np.asarray(activations.sigmoid_derivative(jnp.asarray(z)))
    np.testing.assert_allclose(square.delta, slope * entropy.delta, rtol=1e-12)
    assert np.abs(square.delta).max() == pytest.approx(4 / 27, rel=1e-5)
    assert z[np.abs(square.delta).argmax()] == pytest.approx(-np.log(2), abs=0.01)
    at = np.searchsorted(z, -10.0)
    assert square.delta[at] == pytest.approx(-4.54e-5, rel=1e-3)
    assert entropy.delta[at] == pytest.approx(-1, rel=1e-4)


@pytest.mark.usefixtures("float64")
def test_one_example_has_a_plateau_and_no_local_minimum() -> None:
    _, square = along_z("squared")
    assert (square.delta < 0).all()


def hessian(loss: Loss, weights: np.ndarray, **options: Any) -> np.ndarray:
    """Of the mean loss of one neuron over the nine examples of the figure, in (w, b)."""

    def cost(weights: Any) -> Any:
        z = weights[0] * computed.LINE_X.astype(float) + weights[1]
        return losses.mean(loss(z, jnp.asarray(computed.LINE_Y, float), **options))

    return np.asarray(jax.jit(jax.vmap(jax.jacrev(jax.grad(cost))))(weights))


@pytest.mark.usefixtures("float64")
def test_convex_in_the_weights_of_a_neuron_or_not() -> None:
    weights = np.random.default_rng(0).uniform(-10, 10, (200, 2))
    entropy = np.linalg.eigvalsh(hessian(losses.binary_cross_entropy, weights))
    square = np.linalg.eigvalsh(hessian(losses.squared_error, weights, **SIGMOID))
    assert entropy.min() > -1e-14
    assert entropy.max() > 0.1
    assert square.min() < -0.01


B = np.linspace(-14, 14, 401, dtype=np.float32)


def test_valley_squared_error_has_two_and_descent_stays_in_the_worse() -> None:
    end = computed.roll_down(losses.squared_error, -8.0, **SIGMOID)[-1]
    curve = computed.valley(losses.squared_error, B, **SIGMOID)
    there = np.abs(B - end).argmin()
    assert end == pytest.approx(-4.1, abs=0.02)
    assert abs(curve.delta[there]) < 1e-3
    assert curve.second[there] > 0.01  # a minimum,
    assert curve.value[there] == pytest.approx(0.254, abs=1e-3)
    assert curve.value[-1] == pytest.approx(0.125, abs=1e-3)  # twice as high as elsewhere


def test_valley_cross_entropy_has_one() -> None:
    end = computed.roll_down(losses.binary_cross_entropy, -8.0)[-1]
    curve = computed.valley(losses.binary_cross_entropy, B)
    assert (curve.second > 0).all()
    assert end == pytest.approx(3.01, abs=0.01)
    assert end == pytest.approx(B[curve.value.argmin()], abs=0.07)


def test_surface_descent_arrives_with_cross_entropy_only() -> None:
    grid, start = np.linspace(-10, 10, 161, dtype=np.float32), (-6.0, -6.0)
    entropy = computed.descent(losses.binary_cross_entropy, start)
    square = computed.descent(losses.squared_error, start, **SIGMOID)
    np.testing.assert_allclose(entropy[-1], [0.99, -0.31], atol=0.01)
    cost = computed.surface(losses.squared_error, grid, **SIGMOID)
    best = grid[[*np.unravel_index(cost.argmin(), cost.shape)][::-1]]
    assert np.linalg.norm(square[-1] - best) > np.linalg.norm(square[0] - best)  # led away
    assert np.linalg.norm(square[-1] - square[0]) < 1.2


def test_race_squared_error_stalls_from_a_saturated_start() -> None:
    """2000 updates change nothing; cross-entropy is through by then, from the same start."""
    square = computed.race(losses.squared_error, 8.0, **SIGMOID)
    entropy = computed.race(losses.binary_cross_entropy, 8.0)
    assert square.miss[0] == entropy.miss[0] == pytest.approx(0.44, abs=1e-3)
    assert square.miss[2000] == pytest.approx(0.44, abs=1e-3)
    assert entropy.miss[1000] < 0.01
    assert entropy.gradient[0] / square.gradient[0] > 3000
    assert square.miss[-1] < 0.1  # it does leave in the end


def test_race_squared_error_learns_from_a_fair_start() -> None:
    """So the start is to blame, not the rate."""
    fair = computed.race(losses.squared_error, 0.0, **SIGMOID)
    assert fair.miss[1000] < 0.12
    assert fair.miss[-1] < 0.04
