"""Forward and backward pass of a network against the lectures' columns, transcribed literally.

numpy, float64, (features, examples): nothing of jaxnet is used on the lectures' side.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import activations, backprop, losses, mlp
from jaxnet.nn.losses import Loss
from jaxnet.nn.mlp import Layer, Params

Columns = np.ndarray


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def sigmoid(z: Columns) -> Columns:
    return 1 / (1 + np.exp(-z))


def softmax(z: Columns) -> Columns:
    return np.exp(z) / np.exp(z).sum(axis=0)


HIDDEN: dict[str, tuple[Callable[[Columns], Columns], Callable[[Columns], Columns]]] = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
}


class Lecture(NamedTuple):
    """A network as the second lecture has it: W (n_l, n_{l-1}), b (n_l, 1), x (n_0, m)."""

    W: list[Columns]
    b: list[Columns]
    x: Columns


class Pass(NamedTuple):
    a: list[Columns]
    z: list[Columns]


def network(sizes: tuple[int, ...], m: int) -> Lecture:
    rng = np.random.default_rng(6)
    W = [rng.standard_normal((n, p)) for p, n in pairwise(sizes)]
    b = [rng.standard_normal((n, 1)) for n in sizes[1:]]
    return Lecture(W, b, rng.standard_normal((sizes[0], m)))


def forward(lecture: Lecture, hidden: str, output: Callable[[Columns], Columns]) -> Pass:
    """z[l] = W[l] a[l-1] + b[l], a[l] = f(z[l]); a[0] = x."""
    f = HIDDEN[hidden][0]
    a, z = [lecture.x], []
    for l, (W, b) in enumerate(zip(lecture.W, lecture.b, strict=True)):  # noqa: E741
        z.append(W @ a[-1] + b)
        a.append(output(z[-1]) if l + 1 == len(lecture.W) else f(z[-1]))
    return Pass(a, z)


def backward(
    lecture: Lecture, done: Pass, delta: Columns, hidden: str
) -> list[tuple[Columns, Columns]]:
    """delta[l] = (W[l+1]^T delta[l+1]) * f'(z[l]); dW = delta a^T; db = sum over the examples."""
    slope = HIDDEN[hidden][1]
    gradients = []
    for l in reversed(range(len(lecture.W))):  # noqa: E741
        gradients.append((delta @ done.a[l].T, delta.sum(axis=1)))
        if l > 0:
            delta = (lecture.W[l].T @ delta) * slope(done.z[l - 1])
    return gradients[::-1]


def backward_of_lecture_1(
    lecture: Lecture, done: Pass, delta: Columns, hidden: str
) -> list[tuple[Columns, Columns]]:
    """omega (n_{l-1}, n_l): delta_l = (omega_{l+1} delta_{l+1}) * f', d omega = a delta^T."""
    slope = HIDDEN[hidden][1]
    omega = [W.T for W in lecture.W]
    gradients = []
    for l in reversed(range(len(omega))):  # noqa: E741
        gradients.append((done.a[l] @ delta.T, delta.sum(axis=1)))
        if l > 0:
            delta = (omega[l] @ delta) * slope(done.z[l - 1])
    return gradients[::-1]


def as_params(lecture: Lecture) -> Params:
    return tuple(
        Layer(jnp.asarray(W), jnp.asarray(b[:, 0]))
        for W, b in zip(lecture.W, lecture.b, strict=True)
    )


def same(ours: Any, theirs: Any) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == np.float64
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def jaxnet_on(lecture: Lecture, y: Columns, loss: Loss, hidden: str) -> Any:
    """(logits, cache, gradients), the delta of the output layer being the loss's."""

    @jax.jit
    def evaluate(params: Params, x: Any, y: Any) -> Any:
        logits, cache = mlp.forward_with_cache(params, x, activation=hidden)
        delta = loss.delta(logits, y) / x.shape[0]
        return logits, cache, backprop.backward(params, cache, delta, activation=hidden)

    return evaluate(as_params(lecture), lecture.x.T, np.asarray(y, float).T)


def check(ours: Params, lecture: Lecture, done: Pass, delta: Columns, hidden: str) -> None:
    """Every dW and db against both lectures."""
    second = backward(lecture, done, delta, hidden)
    first = backward_of_lecture_1(lecture, done, delta, hidden)
    for layer, (dW, db), (d_omega, db_1) in zip(ours, second, first, strict=True):
        same(layer.W, dW)
        same(layer.W, d_omega.T)
        same(layer.b, db)
        same(layer.b, db_1)


@pytest.mark.parametrize("hidden", list(HIDDEN))
def test_forward_and_backward_pass(hidden: str) -> None:
    lecture = network((4, 6, 5, 3), m=7)
    done = forward(lecture, hidden, softmax)
    y = np.eye(3)[[0, 2, 1, 1, 0, 2, 2]].T
    logits, cache, gradients = jaxnet_on(lecture, y, losses.categorical_cross_entropy, hidden)
    same(logits, done.z[-1].T)
    same(activations.softmax(logits), done.a[-1].T)
    for ours, theirs in zip((*cache.a, *cache.z), (*done.a[:-1], *done.z), strict=True):
        same(ours, theirs.T)
    check(gradients, lecture, done, (done.a[-1] - y) / 7, hidden)


TASKS: dict[str, tuple[Loss, Callable[[Columns], Columns], Columns]] = {
    "binary": (losses.binary_cross_entropy, sigmoid, np.array([[0, 1, 1, 0, 1, 0, 0]])),
    "multiclass": (
        losses.categorical_cross_entropy,
        softmax,
        np.eye(4, dtype=int)[[3, 0, 1, 2, 2, 0, 3]].T,
    ),
    "multilabel": (
        losses.multilabel_cross_entropy,
        sigmoid,
        np.random.default_rng(7).integers(0, 2, (4, 7)),
    ),
}


@pytest.mark.parametrize("task", list(TASKS))
def test_gradients_of_every_task(task: str) -> None:
    loss, output, y = TASKS[task]
    lecture = network((3, 5, y.shape[0]), m=7)
    done = forward(lecture, "tanh", output)

    @jax.jit
    def both(params: Params, x: Any, y: Any) -> Any:
        def cost(params: Params) -> Any:
            return losses.mean(loss(mlp.forward(params, x, activation="tanh"), y))

        return (
            backprop.gradients(params, x, y, loss, activation="tanh"),
            jax.value_and_grad(cost)(params),
        )

    (value, ours), (mean, by_jax) = both(as_params(lecture), lecture.x.T, y.T)
    same(value, mean)
    jax.tree.map(same, ours, by_jax)
    check(ours, lecture, done, (done.a[-1] - y) / 7, "tanh")


def test_squared_error_behind_a_sigmoid_in_a_network() -> None:
    """The equations at the head of lecture 1: delta_L = (a_L - y) * sigma'(z_L), and on down."""
    lecture = network((3, 5, 2), m=7)
    done = forward(lecture, "sigmoid", sigmoid)
    y, a = np.random.default_rng(8).uniform(size=(2, 7)), done.a[-1]

    @jax.jit
    def gradients(params: Params, x: Any, y: Any) -> Any:
        return backprop.gradients(
            params, x, y, losses.squared_error, activation="sigmoid", output_activation="sigmoid"
        )

    value, ours = gradients(as_params(lecture), lecture.x.T, y.T)
    same(value, ((y - a) ** 2).sum() / 2 / 7)
    check(ours, lecture, done, (a - y) * a * (1 - a) / 7, "sigmoid")
