"""The slips of the lectures: what is printed is wrong or says too little, what we use is right."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import activations, losses
from tests.docs import lecture_graphs as graphs


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def jax_arrays(*arrays: np.ndarray) -> list[jax.Array]:
    return [jnp.asarray(array) for array in arrays]


def agree(one: Any, other: Any) -> bool:
    return bool(np.allclose(one, other, rtol=1e-12, atol=1e-14))


def far(one: Any, other: Any) -> bool:
    """Apart by a tenth somewhere: no rounding."""
    return bool(np.abs(np.asarray(one) - np.asarray(other)).max() > 0.1)


def test_binary_seed_has_y_over_a_not_y_over_a_squared() -> None:
    _, a, y = (x[0] for x in graphs.sigmoid_case(1))

    @jax.jit
    def truth(a: Any, y: Any) -> Any:
        return jax.grad(lambda a: -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a)))(a)

    printed, corrected = -y / a**2 + (1 - y) / (1 - a), -y / a + (1 - y) / (1 - a)
    assert far(printed, truth(a, y))
    assert agree(corrected, truth(a, y))
    assert agree(jax.jit(losses.binary_cross_entropy.seed)(*jax_arrays(a, y)), corrected)
    assert far(printed * a * (1 - a), a - y)
    assert agree(corrected * a * (1 - a), a - y)


def test_binary_numerator_has_y_times_a_not_y_over_a() -> None:
    _, a, y = (x[0] for x in graphs.sigmoid_case(1))
    assert far(-y + y / a + a - y * a, a - y)
    assert agree(-y + y * a + a - y * a, a - y)


def test_hidden_delta_needs_the_transpose_of_our_weights() -> None:
    """In a square layer the wrong product even has the right shape."""
    rng = np.random.default_rng(0)
    z, W, delta = rng.standard_normal((5, 1)), rng.standard_normal((5, 5)), np.ones((5, 1))

    @jax.jit
    def truth(z: Any) -> Any:
        return jax.grad(lambda z: jnp.sum(W @ activations.sigmoid(z)))(z)

    slope = np.asarray(activations.sigmoid_derivative(jnp.asarray(z)))
    assert agree((W.T @ delta) * slope, truth(z))
    omega = W.T  # lecture 1: (n_in, n_out)
    assert agree((omega @ delta) * slope, truth(z))
    assert far((W @ delta) * slope, truth(z))


def test_one_binary_cost_is_a_sum_the_other_a_mean() -> None:
    z, a, y = (x[0] for x in graphs.sigmoid_case(1))
    first = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
    second = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))

    @jax.jit
    def ours(z: Any, y: Any) -> Any:
        each = losses.binary_cross_entropy(z, y)
        return losses.sum(each), losses.mean(each)

    total, mean = ours(z, y)
    assert agree(total, first)
    assert agree(mean, second)
    assert far(first, second)


def test_mean_squared_error_is_half_a_sum() -> None:
    """Only 1/2 sum_i (y_i - a_i)^2 has the derivative a - y that the lecture goes on with."""
    rng = np.random.default_rng(1)
    a, y = rng.uniform(size=5), rng.uniform(size=5)

    @jax.jit
    def derivatives(a: Any, y: Any) -> Any:
        half_sum = jax.grad(lambda a: jnp.sum((y - a) ** 2) / 2)
        mean = jax.grad(lambda a: jnp.mean((y - a) ** 2))
        return half_sum(a), mean(a)

    of_half_sum, of_mean = derivatives(a, y)
    assert agree(of_half_sum, a - y)
    assert far(of_mean, a - y)
    assert agree(
        jax.jit(losses.squared_error)(*jax_arrays(a[None, :], y[None, :])),
        [((y - a) ** 2).sum() / 2],
    )


@pytest.mark.parametrize(("activation", "convex"), [("identity", True), ("sigmoid", False)])
def test_squared_error_is_convex_but_not_behind_a_sigmoid(activation: str, convex: bool) -> None:
    z, y = np.linspace(-10, 10, 401), np.ones(401)

    @jax.jit
    def second(z: Any) -> Any:
        def delta(z: Any) -> Any:
            return jnp.sum(losses.squared_error.delta(z, jnp.asarray(y), activation=activation))

        return jax.grad(delta)(z)

    assert (np.asarray(second(z)).min() >= 0) == convex


def test_softmax_a_minus_y_needs_targets_that_sum_to_one() -> None:
    z, a, y = graphs.softmax_case(4)
    delta = jax.jit(losses.categorical_cross_entropy.delta)
    assert agree(delta(*jax_arrays(z.T, y.T)), (a - y).T)
    assert far(delta(*jax_arrays(z.T, 2 * y.T)), (a - 2 * y).T)
    assert agree(delta(*jax_arrays(z.T, 2 * y.T)), (2 * a - 2 * y).T)


def test_softmax_needs_its_whole_jacobian() -> None:
    """dL/da * da_i/dz_i, element by element as for a sigmoid, is only the diagonal."""
    z, a, y = graphs.softmax_case(4)
    seed = -y / a
    assert far(seed * a * (1 - a), a - y)
    assert agree(seed * a * (1 - a), -y * (1 - a))
    assert agree(a * (seed - (seed * a).sum(axis=0)), a - y)
    assert agree(jax.jit(activations.softmax_jacobian_product)(*jax_arrays(z.T, seed.T)), (a - y).T)


def test_two_classes_need_outputs_that_sum_to_one() -> None:
    """y_0 = 1 - y_1 alone does not make it binary cross-entropy: a_0 = 1 - a_1 must hold too."""
    rng = np.random.default_rng(2)
    z = 2 * rng.standard_normal((9, 2))
    y = rng.integers(0, 2, 9).astype(float)
    pair = np.stack([1 - y, y], axis=1)

    def categorical(a: np.ndarray) -> np.ndarray:
        return -(pair * np.log(a)).sum(axis=1)

    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    binary = np.asarray(jax.jit(losses.binary_cross_entropy)(*jax_arrays(z[:, 1] - z[:, 0], y)))
    assert agree(categorical(softmax), binary)
    assert far(categorical(1 / (1 + np.exp(-z))), binary)
