"""The whole network: gradients of every W and b by three engines, against float64.

The error of a tensor is the norm of what is wrong over the norm of the float64 gradient, and the
worst tensor counts. (An entry alone is a sum over rows, which may cancel to nothing.)
"""

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnet.nn import backprop, mlp
from jaxnet.nn.gradcheck.engines import UNOPTIMISED, usual_losses
from jaxnet.nn.gradcheck.measure import ALL_LOST
from jaxnet.nn.gradcheck.points import CLASSES, COLUMNS, Pair, chosen, shape_of, widen
from jaxnet.nn.losses import mean
from jaxnet.nn.mlp import Layer, Params

ROWS, INPUTS, HIDDEN = 48, 6, (16, 12)
STEP = 1e-5


class Problem(NamedTuple):
    """A network, its data and the weights of the rows."""

    params: Params
    x: Any
    y: Any
    weights: Any


class Found(NamedTuple):
    """Gradients of a network by each engine."""

    closed_form: Params
    autodiff: Params
    backprop: Params


def problem(pair: Pair) -> Problem:
    """A small network with uneven biases, standard normal rows, hard targets, uneven weights."""
    shape = shape_of(pair)
    outputs = {"classes": CLASSES, "columns": COLUMNS, "single": 1}[shape]
    rng = np.random.default_rng(3)
    sizes = (INPUTS, *HIDDEN, outputs)
    params = tuple(
        Layer(
            jnp.asarray(rng.standard_normal((n_out, n_in)) * (2 / n_in) ** 0.5, jnp.float32),
            jnp.asarray(rng.standard_normal(n_out) / 4, jnp.float32),
        )
        for n_in, n_out in pairwise(sizes)
    )
    labels = (ROWS,) if shape == "classes" else (ROWS, outputs)
    y = rng.integers(0, CLASSES if shape == "classes" else 2, labels).astype(np.int32)
    x = rng.standard_normal((ROWS, INPUTS)).astype(np.float32)
    weights = (rng.uniform(0.5, 2, ROWS) * (rng.random(ROWS) > 0.1)).astype(np.float32)
    return Problem(params, x, y, weights)


def _objective(pair: Pair, hidden: str, p: Problem, *, usual: bool, dtype: Any) -> Array:
    logits = mlp.forward(p.params, p.x, activation=hidden, compute_dtype=dtype)
    options = chosen(pair)
    values = (
        usual_losses(pair, logits, p.y, **options) if usual else pair.loss(logits, p.y, **options)
    )
    return mean(values, p.weights)


@partial(jax.jit, static_argnums=(0, 1, 2), compiler_options=UNOPTIMISED)
def narrow(pair: Pair, hidden: str, dtypes: tuple[Any, ...], p: Problem) -> list[Found]:
    """The gradients of each engine, for each type that products are computed in."""

    def found(dtype: Any) -> Found:
        def by_jax(usual: bool) -> Params:
            return jax.grad(
                lambda params: _objective(
                    pair, hidden, p._replace(params=params), usual=usual, dtype=dtype
                )
            )(p.params)

        words = chosen(pair)
        _, by_hand = backprop.gradients(
            p.params,
            p.x,
            p.y,
            pair.loss,
            weights=p.weights,
            activation=hidden,
            compute_dtype=dtype,
            output_activation=words.pop("activation", None),
            **words,
        )
        return Found(by_jax(usual=False), by_jax(usual=True), by_hand)

    return [found(dtype) for dtype in dtypes]


@partial(jax.jit, static_argnums=(0, 1), compiler_options=UNOPTIMISED)
def wide(pair: Pair, hidden: str, p: Problem, directions: Params) -> tuple[Params, Array]:
    """(gradients in float64, their disagreement with differences along random directions)."""

    def value(params: Params) -> Array:
        return _objective(pair, hidden, p._replace(params=params), usual=False, dtype=None)

    exact = jax.grad(value)(p.params)

    def disagreement(direction: Params) -> Array:
        def along(step: float) -> Array:
            return value(jax.tree.map(lambda w, d: w + step * d, p.params, direction))

        products = jax.tree.leaves(jax.tree.map(lambda g, d: g * d, exact, direction))
        slope, size = (sum(jnp.sum(f(part)) for part in products) for f in (jnp.array, jnp.abs))
        return jnp.abs((along(STEP) - along(-STEP)) / (2 * STEP) - slope) / size

    return exact, jnp.max(jax.vmap(disagreement)(directions))


def directions(p: Problem) -> Params:
    """Eight random directions in the space of the parameters, stacked."""
    rng = np.random.default_rng(4)
    return jax.tree.map(lambda w: rng.standard_normal((8, *w.shape)), p.params)


def reference(pair: Pair, hidden: str, p: Problem) -> tuple[Params, float]:
    """`wide` of the same numbers in float64, whatever the global setting."""
    with jax.enable_x64(True):
        exact, disagreement = wide(pair, hidden, widen(p), widen(directions(p)))
        return jax.tree.map(np.asarray, exact), float(disagreement)


def error(got: Params, expected: Params) -> tuple[float, str]:
    """(largest |got - expected| / |expected| of a tensor, its name); NaN counts as 1.

    The norms are Euclidean.
    """
    found = []
    for index, (layer, right) in enumerate(zip(got, expected, strict=True), start=1):
        for name, tensor, reference in zip("Wb", layer, right, strict=True):
            size = np.linalg.norm(reference)
            distance = np.linalg.norm(np.asarray(tensor).astype(np.float64) - reference)
            relative = float(distance / size if size > 0 else distance)
            found.append((relative if np.isfinite(relative) else ALL_LOST, f"in {name}_{index}"))
    return max(found)
