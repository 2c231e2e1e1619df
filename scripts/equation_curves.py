"""The numbers behind the figures of docs/equations.md, from jaxnet's own functions.

`scripts/draw_equations.py` draws them, and the tests of the page hold its claims against them.
"""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.nn import activations, backprop, losses, mlp
from jaxnet.nn.losses import Loss

SIGMOID = {"activation": "sigmoid"}
Curves = dict[str, np.ndarray]

# The names of the curves, as the legends show them; alphabetical, as jit returns a dictionary.
WRITTEN = r"$a-y$, as written"
KINKED = r"autodiff of $\max(z,0)-zy+\log(1+e^{-|z|})$"
SOFTPLUS = r"autodiff of a library's softplus$(-z)$"
LOG_SOFTMAX = "autodiff of log_softmax"
DELTA = r"jaxnet's $\delta$"
SLOPE_WRITTEN = r"$a(1-a)$, as written"
SLOPE_AUTODIFF = "autodiff of jax.nn.sigmoid"
SLOPE = r"jaxnet's $\sigma(z)\,\sigma(-z)$"


def relative(ours: Any, truth: np.ndarray) -> np.ndarray:
    """|ours - truth| / |truth|, the truth being float64."""
    return np.abs(np.asarray(ours, np.float64) - truth) / np.abs(truth)


def logits(low: float = -20.0, high: float = 80.0) -> np.ndarray:
    """Float32 logits, 100 to the unit."""
    return np.linspace(low, high, round(100 * (high - low)) + 1, dtype=np.float32)


@cache
def delta_errors() -> tuple[np.ndarray, Curves]:
    """Relative error of dL/dz of binary cross-entropy at y = 1, four ways, in float32."""
    z = logits()
    loss, y = losses.binary_cross_entropy, jnp.ones_like(z)

    @jax.jit
    def four_ways(z: Any) -> dict[str, Any]:
        return {
            WRITTEN: activations.sigmoid(z) - y,
            KINKED: jax.grad(lambda z: jnp.sum(loss.usual(z[:, None], y[:, None])))(z),
            SOFTPLUS: jax.grad(lambda z: jnp.sum(jax.nn.softplus(-z)))(z),
            DELTA: loss.delta(z, y),
        }

    truth = -1 / (1 + np.exp(z.astype(np.float64)))
    return z, {name: relative(ours, truth) for name, ours in four_ways(z).items()}


@cache
def slope_errors() -> tuple[np.ndarray, Curves]:
    """Relative error of sigma'(z), three ways, in float32."""
    z = logits()

    @jax.jit
    def three_ways(z: Any) -> dict[str, Any]:
        a = activations.sigmoid(z)
        return {
            SLOPE_WRITTEN: a * (1 - a),
            SLOPE_AUTODIFF: jax.grad(lambda z: jnp.sum(jax.nn.sigmoid(z)))(z),
            SLOPE: activations.sigmoid_derivative(z),
        }

    e = np.exp(-np.abs(z.astype(np.float64)))
    truth = e / (1 + e) ** 2
    return z, {name: relative(ours, truth) for name, ours in three_ways(z).items()}


def softmax_deltas(z: np.ndarray, labels: np.ndarray) -> tuple[Curves, np.ndarray]:
    """delta of the labelled class, three ways in float32, and the same in float64."""
    rows = np.arange(len(z))
    one_hot = np.eye(z.shape[1], dtype=np.float32)[labels]
    loss, y = losses.categorical_cross_entropy, jnp.asarray(labels)

    @jax.jit
    def three_ways(z: Any) -> dict[str, Any]:
        return {
            WRITTEN: jax.nn.softmax(z) - one_hot,
            LOG_SOFTMAX: jax.grad(lambda z: jnp.sum(loss.usual(z, y)))(z),
            DELTA: loss.delta(z, y),
        }

    gap = z.astype(np.float64) - z[rows, labels, None].astype(np.float64)
    others = np.exp(gap).sum(axis=1, where=one_hot == 0)
    ours = {name: np.asarray(d)[rows, labels] for name, d in three_ways(z).items()}
    return ours, -others / (1 + others)


@cache
def softmax_errors() -> tuple[np.ndarray, Curves]:
    """Relative error of the true class's delta when its logit leads nine others by the gap."""
    gap = logits()
    z = np.zeros((len(gap), 10), np.float32)
    z[:, 0] = gap
    ours, truth = softmax_deltas(z, np.zeros(len(z), np.int32))
    return gap, {name: relative(delta, truth) for name, delta in ours.items()}


def lost_rows(scales: np.ndarray, rows: int = 2048) -> Curves:
    """Share of right answers whose own delta is exactly 0: ten normal logits times each scale."""
    draws = np.random.default_rng(0).standard_normal((rows, 10))
    z = (scales[:, None, None] * draws).astype(np.float32).reshape(-1, 10)
    ours, _ = softmax_deltas(z, z.argmax(axis=1).astype(np.int32))
    return {name: (d == 0).reshape(len(scales), rows).mean(axis=1) for name, d in ours.items()}


class Behind(NamedTuple):
    """A cost behind a sigmoid along one axis: itself and its first two derivatives."""

    value: np.ndarray
    delta: np.ndarray
    second: np.ndarray


def behind_sigmoid(loss: Loss, z: np.ndarray, **options: Any) -> Behind:
    """L(z), dL/dz and d2L/dz2 at y = 1."""
    y = jnp.ones_like(z)

    @jax.jit
    def three(z: Any) -> list[Any]:
        second = jax.grad(lambda z: jnp.sum(loss.delta(z, y, **options)))
        return [loss(z, y, **options), loss.delta(z, y, **options), second(z)]

    return Behind(*map(np.asarray, three(z)))


# One neuron a = sigma(3 x + b) and four examples: what is left to learn is b.
VALLEY_X = np.array([2.0, 0.75, -1.0, -1.0], np.float32)
VALLEY_Y = np.array([1.0, 0.0, 1.0, 1.0], np.float32)


def valley(loss: Loss, b: np.ndarray, **options: Any) -> Behind:
    """Mean loss of the four examples for each bias b, and its two derivatives."""

    def cost(b: Any) -> Any:
        return losses.mean(loss(3 * VALLEY_X + b, jnp.asarray(VALLEY_Y), **options))

    each = [jax.vmap(f) for f in (cost, jax.grad(cost), jax.grad(jax.grad(cost)))]
    return Behind(*map(np.asarray, jax.jit(lambda b: [f(b) for f in each])(b)))


def roll_down(loss: Loss, start: float, *, steps: int = 1000, **options: Any) -> np.ndarray:
    """The biases that gradient descent at rate 0.5 visits from `start`, by the closed form."""

    def step(b: Any, _: None) -> tuple[Any, Any]:
        delta = loss.delta(3 * VALLEY_X + b, jnp.asarray(VALLEY_Y), **options)
        return b - 0.5 * jnp.mean(delta), b

    return np.asarray(jax.jit(lambda b: jax.lax.scan(step, b, None, steps))(np.float32(start))[1])


class Race(NamedTuple):
    """Mean |a - y| and the length of the gradient before each update."""

    miss: np.ndarray
    gradient: np.ndarray


def half_moons(rows: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved half circles with noise: features (rows, 2), targets (rows, 1)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, rows)
    angle = rng.uniform(0, np.pi, rows)
    x = np.stack([np.cos(angle) + y, np.sin(angle) * (1 - 2 * y) + 0.5 * y], axis=1)
    x = x - x.mean(axis=0) + 0.15 * rng.standard_normal((rows, 2))
    return x.astype(np.float32), y[:, None].astype(np.float32)


@cache
def race(loss: Loss, bias: float, *, steps: int = 4000, **options: Any) -> Race:
    """Gradient descent at rate 1 on half moons, 2-16-1 with tanh, by the lectures' backward pass.

    The bias of the output starts at `bias`: at 8 every row is said to be positive with 0.9997.
    """
    x, y = map(jnp.asarray, half_moons())

    def step(params: mlp.Params, _: None) -> tuple[mlp.Params, Race]:
        z, cache = mlp.forward_with_cache(params, x, activation="tanh")
        delta = loss.delta(z, y, **options) / len(x)
        gradient = backprop.backward(params, cache, delta, activation="tanh")
        length = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
        miss = jnp.mean(jnp.abs(activations.sigmoid(z) - y))
        return jax.tree.map(jnp.subtract, params, gradient), Race(miss, length)

    @jax.jit
    def run() -> Race:
        first, last = mlp.init(jax.random.key(0), [2, 16, 1], scheme="glorot")
        return jax.lax.scan(step, (first, last._replace(b=last.b + bias)), None, steps)[1]

    return Race(*map(np.asarray, run()))


# One neuron a = sigma(w x + b) and nine examples on a line, two of them on the wrong side.
LINE_X = np.linspace(-2, 2, 9, dtype=np.float32)
LINE_Y = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1], np.float32)


def surface(loss: Loss, grid: np.ndarray, **options: Any) -> np.ndarray:
    """Mean loss of the nine examples, rows b and columns w, both running over the grid."""

    def cost(w: Any, b: Any) -> Any:
        return losses.mean(loss.plain(w * LINE_X + b, jnp.asarray(LINE_Y), **options))

    over_w = jax.vmap(cost, in_axes=(0, None))
    return np.asarray(jax.jit(jax.vmap(over_w, in_axes=(None, 0)))(grid, grid))


def descent(
    loss: Loss, start: tuple[float, float], *, steps: int = 400, **options: Any
) -> np.ndarray:
    """(w, b) before each update of gradient descent at rate 1, by the closed form."""

    def step(at: Any, _: None) -> tuple[Any, Any]:
        delta = loss.delta(at[0] * LINE_X + at[1], jnp.asarray(LINE_Y), **options)
        return at - jnp.stack([jnp.mean(delta * LINE_X), jnp.mean(delta)]), at

    walk = jax.jit(lambda at: jax.lax.scan(step, at, None, steps)[1])
    return np.asarray(walk(np.array(start, np.float32)))


def other_deltas(z: np.ndarray, target: float) -> Curves:
    """delta of four losses behind a sigmoid for one target."""
    names = ("cross-entropy", "label smoothing 0.2", r"focal, $\gamma=2$", "asymmetric")

    @jax.jit
    def four_losses(z: Any) -> list[Any]:
        y, entropy = jnp.full_like(z, target), losses.binary_cross_entropy
        return [
            entropy.delta(z, y),
            entropy.delta(z, y, label_smoothing=0.2),
            losses.focal.delta(z, y, gamma=2.0),
            losses.asymmetric.delta(z, y),
        ]

    return dict(zip(names, map(np.asarray, four_losses(z)), strict=True))
