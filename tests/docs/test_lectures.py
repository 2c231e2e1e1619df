"""The equations of the two lectures: the lectures' own text in float64 beside jaxnet's functions.

docs/equations.md names each of these tests beside the equation it proves.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import activations, losses
from jaxnet.nn.losses import Loss
from tests.docs import lecture_graphs as graphs
from tests.docs.lecture_graphs import Case, Graph


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def same(ours: Any, lecture: Any, rtol: float = 1e-12) -> None:
    """Equal to `rtol` of the largest entry; float64, and not empty or all zero."""
    ours, lecture = np.asarray(ours), np.asarray(lecture)
    assert ours.dtype == np.float64
    assert ours.shape == lecture.shape
    assert np.abs(lecture).max() > 0
    np.testing.assert_allclose(ours, lecture, rtol=rtol, atol=rtol * np.abs(lecture).max())


class Cost(NamedTuple):
    """One of the second lecture's costs: its graph, a case, and jaxnet's loss."""

    graph: Graph
    case: Case
    loss: Loss
    output: Callable[[Any], Any]


COSTS = {
    "binary": Cost(
        graphs.BINARY, graphs.sigmoid_case(1), losses.binary_cross_entropy, jax.nn.sigmoid
    ),
    "multiclass": Cost(
        graphs.MULTICLASS,
        graphs.softmax_case(5),
        losses.categorical_cross_entropy,
        lambda z: jax.nn.softmax(z, axis=0),
    ),
    "multilabel": Cost(
        graphs.MULTILABEL, graphs.sigmoid_case(4), losses.multilabel_cross_entropy, jax.nn.sigmoid
    ),
}
every_cost = pytest.mark.parametrize("cost", list(COSTS))


class Ours(NamedTuple):
    """What jaxnet says of a case, rows being examples."""

    J: Any
    seed: Any
    delta: Any
    gradient: Any


@cache
def jaxnet_on(cost: str) -> Ours:
    _, case, loss, _ = COSTS[cost]

    @jax.jit
    def evaluate(z: Any, a: Any, y: Any) -> Ours:
        def mean(z: Any) -> Any:
            return losses.mean(loss(z, y))

        return Ours(mean(z), loss.seed(a, y), loss.delta(z, y), jax.grad(mean)(z))

    return evaluate(*(x.T for x in case))


# The second lecture, cost by cost ----------------------------------------------------------------


def check_nodes(cost: str) -> None:
    """dJ/du as printed = autodiff of the rest of the graph, for every node."""
    graph, case, _, _ = COSTS[cost]
    assert list(graph.printed) == list(reversed(graph.nodes))
    by_autodiff = graphs.derivatives(graph, case.a, case.y)
    for name, printed in graph.printed.items():
        same(by_autodiff[name], np.broadcast_to(printed(case.a, case.y), by_autodiff[name].shape))


def test_binary_graph_node_by_node() -> None:
    check_nodes("binary")


def test_multiclass_graph_node_by_node() -> None:
    check_nodes("multiclass")


def test_multilabel_graph_node_by_node() -> None:
    check_nodes("multilabel")


@every_cost
def test_cost_is_the_mean_of_the_loss(cost: str) -> None:
    graph, case, _, _ = COSTS[cost]
    J = graphs.forward(graph, case.a, case.y)[list(graph.nodes)[-1]]
    same(jaxnet_on(cost).J, J)


@every_cost
def test_seed_is_the_derivative_of_u_0(cost: str) -> None:
    graph, case, _, _ = COSTS[cost]
    m = case.a.shape[1]
    same(jaxnet_on(cost).seed / m, graph.printed["u_0"](case.a, case.y).T)


@every_cost
def test_delta_is_a_minus_y_over_m(cost: str) -> None:
    graph, case, _, output = COSTS[cost]
    m = case.a.shape[1]

    @jax.jit
    def through_the_graph(z: Any, y: Any) -> Any:
        return jax.grad(lambda z: graphs.rest(graph, {"a": z, "y": y}, "u_0")(output(z)))(z)

    same(jaxnet_on(cost).delta / m, (case.a - case.y).T / m)
    same(jaxnet_on(cost).delta / m, through_the_graph(case.z, case.y).T)


@every_cost
def test_gradient_of_the_loss_is_delta(cost: str) -> None:
    ours = jaxnet_on(cost)
    same(ours.gradient, ours.delta / ours.delta.shape[0], rtol=1e-15)


def test_multiclass_delta_where_targets_do_not_sum_to_one() -> None:
    z, a, y = graphs.softmax_case(5)
    y = y * np.arange(1.0, 10.0)

    @jax.jit
    def by_autodiff(z: Any, y: Any) -> Any:
        return jax.grad(lambda z: -jnp.sum(y * jax.nn.log_softmax(z, axis=0)))(z)

    same(a * y.sum(axis=0) - y, by_autodiff(z, y))
    same(jax.jit(losses.categorical_cross_entropy.delta)(z.T, y.T), (a * y.sum(axis=0) - y).T)


# From the seed through the output activation -----------------------------------------------------


@pytest.mark.parametrize("cost", ["binary", "multilabel"])
def test_seed_times_derivative_is_delta(cost: str) -> None:
    case, ours = COSTS[cost].case, jaxnet_on(cost)
    slope = activations.sigmoid_derivative(jnp.asarray(case.z.T))
    same(slope, (case.a * (1 - case.a)).T)
    same(ours.seed * slope, ours.delta)


def test_seed_through_softmax_is_delta() -> None:
    case, ours = COSTS["multiclass"].case, jaxnet_on("multiclass")
    seed = np.asarray(ours.seed).T
    through = jax.jit(activations.softmax_jacobian_product)(case.z.T, ours.seed)
    same(through, (case.a * (seed - (seed * case.a).sum(axis=0))).T)
    same(through, ours.delta)


def test_softmax_jacobian() -> None:
    z, a, _ = (x.T for x in graphs.softmax_case(5))
    v = np.random.default_rng(0).standard_normal(z.shape)
    jacobian = jax.jit(jax.vmap(jax.jacobian(jax.nn.softmax)))(z)
    same(jacobian, a[:, :, None] * np.eye(5) - a[:, :, None] * a[:, None, :])
    product = jax.jit(activations.softmax_jacobian_product)(z, v)
    same(product, np.einsum("ijk,ik->ij", jacobian, v))


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (losses.focal, {"gamma": 2.0}),
        (losses.asymmetric, {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.05}),
        (losses.squared_error, {"activation": "sigmoid"}),
        (losses.multilabel_cross_entropy, {"label_smoothing": 0.1, "pos_weight": 3.0}),
    ],
    ids=["focal", "asymmetric", "squared_error", "smoothed_and_weighted"],
)
def test_seed_times_derivative_is_delta_for_other_losses(
    loss: Loss, options: dict[str, Any]
) -> None:
    z, a, y = (x.T for x in graphs.sigmoid_case(4))
    seed = jax.jit(lambda a, y: loss.seed(a, y, **options))(a, y)
    same(seed * a * (1 - a), jax.jit(lambda z, y: loss.delta(z, y, **options))(z, y), rtol=1e-10)


# The first lecture: squared error behind every activation -----------------------------------------

# a = f(z), written out a second time.
INDEPENDENT: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + jnp.exp(-z)),
    "tanh": lambda z: (jnp.exp(z) - jnp.exp(-z)) / (jnp.exp(z) + jnp.exp(-z)),
    "relu": lambda z: jnp.where(z > 0, z, 0),
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "elu": lambda z: jnp.where(z > 0, z, jnp.exp(z) - 1),
    "selu": jax.nn.selu,
    "gelu": lambda z: z * (1 + jax.scipy.special.erf(z / np.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + jnp.exp(-z)),
    "softplus": lambda z: jnp.log(1 + jnp.exp(z)),
}


def outputs_and_targets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return 2 * rng.standard_normal((6, 3)), rng.uniform(size=(6, 3))


def test_every_activation_is_covered() -> None:
    assert set(INDEPENDENT) == set(activations.ACTIVATIONS)
    assert set(losses.squared_error.activation) == {*INDEPENDENT, "softmax"}


def squared_error(z: Any, y: Any, a: Any, activation: str) -> tuple[Any, Any, Any]:
    """jaxnet's value, seed and delta."""

    @jax.jit
    def evaluate(z: Any, y: Any, a: Any) -> tuple[Any, Any, Any]:
        return (
            losses.squared_error(z, y, activation=activation),
            losses.squared_error.seed(a, y, activation=activation),
            losses.squared_error.delta(z, y, activation=activation),
        )

    return evaluate(z, y, a)


@pytest.mark.parametrize("name", list(INDEPENDENT))
def test_squared_error_behind_any_activation(name: str) -> None:
    z, y = outputs_and_targets()
    f = INDEPENDENT[name]
    a, slope = jax.jit(lambda z: (f(z), jax.grad(lambda z: jnp.sum(f(z)))(z)))(z)
    a, slope = np.asarray(a), np.asarray(slope)
    value, seed, delta = squared_error(z, y, a, name)
    same(value, ((y - a) ** 2).sum(axis=1) / 2)
    same(seed, a - y)
    same(delta, (a - y) * slope)
    same(jax.jit(activations.find(name).derivative)(z), slope)


def test_squared_error_behind_softmax() -> None:
    z, y = outputs_and_targets()
    a = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    v = a - y
    value, seed, delta = squared_error(z, y, a, "softmax")
    same(value, (v**2).sum(axis=1) / 2)
    same(seed, v)
    same(delta, a * (v - (v * a).sum(axis=1, keepdims=True)))


# Two classes -------------------------------------------------------------------------------------


def test_two_class_softmax_is_binary_cross_entropy() -> None:
    z = 4 * np.random.default_rng(5).standard_normal((9, 2))
    p = np.asarray([0.0, 1.0, 1.0, 0.0, 0.2, 0.4, 0.6, 0.8, 0.95])

    @jax.jit
    def both(z: Any, p: Any) -> Any:
        softmax, sigmoid = losses.categorical_cross_entropy, losses.binary_cross_entropy
        pair, difference = jnp.stack([1 - p, p], axis=1), z[:, 1] - z[:, 0]
        return [
            (softmax(z, pair), sigmoid(difference, p)),
            (softmax.delta(z, pair)[:, 1], sigmoid.delta(difference, p)),
            (softmax.delta(z, pair)[:, 0], -sigmoid.delta(difference, p)),
            (activations.softmax(z)[:, 1], activations.sigmoid(difference)),
        ]

    for of_softmax, of_sigmoid in both(z, p):
        same(of_softmax, of_sigmoid)
