"""What is compared with: the closed form in float64, itself held against finite differences.

All functions here run under `jax.enable_x64`, at exactly the numbers that were rounded to the
narrow type.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnet.nn.gradcheck.engines import UNOPTIMISED, work
from jaxnet.nn.gradcheck.measure import Reference
from jaxnet.nn.gradcheck.points import Batch, Pair, Points, arguments, uniform, widen

STEPS = (2.0**-6, 2.0**-7, 2.0**-8)  # powers of two: z + step is exact in float64


def differences(f: Callable[[Array], Array], directions: Array) -> tuple[Array, Array]:
    """Directional derivatives of f at 0 and a bound of their error, both with the directions first.

    Central differences of three steps, the h^2 and h^4 terms removed (Richardson). The error is
    what the last removal changed, or the rounding of the values divided by the step.
    """
    up_down = jnp.array([sign * h for h in STEPS for sign in (1, -1)])
    values = jax.vmap(lambda d: jax.vmap(lambda t: f(t * d))(up_down))(directions)
    d1, d2, d3 = ((values[:, 2 * i] - values[:, 2 * i + 1]) / (2 * h) for i, h in enumerate(STEPS))
    coarse, fine = (4 * d2 - d1) / 3, (4 * d3 - d2) / 3
    rounding = 8 * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values), axis=1) / STEPS[-1]
    return (16 * fine - coarse) / 15, jnp.maximum(jnp.abs(fine - coarse) / 15, rounding)


def _columns_of(z: Array) -> Array:
    """Directions that move one column of all rows at a time, (K, *z.shape)."""
    if z.ndim == 1:
        return jnp.ones_like(z)[None]
    return jnp.broadcast_to(jnp.eye(z.shape[1])[:, None, :], (z.shape[1], *z.shape))


def _by_column(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """(derivative, its error) of per-row values in each entry of x, of the shape of x."""
    found = differences(lambda step: f(x + step), _columns_of(x))
    derivative, error = (part.T.reshape(x.shape) for part in found)
    return derivative, error


def _column(rows: Array, like: Array) -> Array:
    return rows.reshape(rows.shape + (1,) * (like.ndim - 1))


Parts = tuple[Array, Array, tuple[Array, Array]]


def _in_logits(pair: Pair, batch: Batch) -> Parts:
    options = arguments(pair, batch)
    return (
        pair.loss.delta(batch.z, batch.y, **options),
        pair.loss.scale(batch.z, batch.y, **options),
        _by_column(lambda z: pair.loss.plain(z, batch.y, **options), batch.z),
    )


def _in_targets(pair: Pair, batch: Batch) -> Parts:
    """dL/dy by autodiff of the float64 value, which is smooth in y.

    The scale is |dL/dy| + |y d2L/dy2|, and for single labels + L: in sum the terms that P(z) - N(z)
    (behind a sigmoid) and a - y (squared error) are differences of.
    """

    def losses(y: Array) -> Array:
        return pair.loss.plain(batch.z, y, **arguments(pair, batch))

    exact, curvature = jax.jvp(
        lambda y: jax.grad(lambda y: jnp.sum(losses(y)))(y), (batch.y,), (batch.y,)
    )
    scale = jnp.abs(exact) + jnp.abs(curvature)
    if batch.y.size == batch.y.shape[0]:
        scale = scale + jnp.abs(_column(losses(batch.y), batch.y))
    return exact, scale, _by_column(losses, batch.y)


def _in_weights(pair: Pair, batch: Batch) -> Parts:
    """(L_i - mean) / sum w; its terms are |L_i| and |mean|."""
    values = pair.loss.plain(batch.z, batch.y, **arguments(pair, batch))
    total = jnp.sum(batch.g)
    average = jnp.sum(batch.g * values) / total

    def moved(step: Array) -> Array:
        weights = batch.g + step
        return jnp.sum(weights * values) / jnp.sum(weights)

    scale = (jnp.abs(values) + jnp.abs(average)) / total
    return (values - average) / total, scale, differences(moved, jnp.eye(len(batch.g)))


_PARTS = {"logits": _in_logits, "targets": _in_targets, "sample_weights": _in_weights}


@partial(jax.jit, static_argnums=(0, 1), compiler_options=UNOPTIMISED)
def _reference(pair: Pair, scope: str, batch: Batch, share: Array) -> Reference:
    exact, scale, (found, doubt) = _PARTS[scope](pair, batch)
    share = _column(share, exact)
    size = jnp.abs(share)
    return Reference(share * exact, size * scale, share * found, size * doubt)


def _share(scope: str, kind: str, g: np.ndarray) -> np.ndarray:
    """The factor of each row in the objective."""
    g = g.astype(np.float64)
    if scope == "sample_weights":
        return np.ones_like(g)
    return g / g.sum() if kind == "weighted" else g


def references(pair: Pair, points: Points) -> list[Reference]:
    """The gradients that `engines.work` lists, in float64 whatever the global setting of x64."""
    found = []
    with jax.enable_x64(True):
        for scope, kind, batch, _ in work(points):
            share = _share(scope, kind, batch.g)
            batch = uniform(pair, batch) if scope == "logits" else batch
            found.append(jax.tree.map(np.asarray, _reference(pair, scope, *widen((batch, share)))))
    return found
