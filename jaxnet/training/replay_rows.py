"""The rows behind a value that is not finite: told by an axis of the array, or each row alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core
from jaxtyping import Array

from jaxnet.nn import mlp
from jaxnet.training import epoch as epochs
from jaxnet.training import replay_ops
from jaxnet.training.epoch import Program
from jaxnet.training.replay_ops import Evidence, Key
from jaxnet.training.state import State

# Where no row is to blame alone: how many are named, and from which part of the largest on.
MOST, NEAR = 5, 0.1


class Blame(NamedTuple):
    """Rows of a batch, by their place in it; exact: False where they are only the largest."""

    rows: tuple[int, ...]
    exact: bool


class Alone(NamedTuple):
    """Each row as if it were the batch.

    Attributes:
        loss: of the row.
        gradient: the largest number of its gradient.
        finite: whether a step takes its share of the batch's gradient, see `finite.all_finite`.
    """

    loss: np.ndarray
    gradient: np.ndarray
    finite: np.ndarray


def each_alone(program: Program, state: State, x: Any, y: Any, weights: np.ndarray) -> Alone:
    """Loss and gradient of every row of a batch alone, under the dropout of the batch."""
    masks: mlp.Masks = ()
    if float(state.hyper.dropout) > 0 and len(state.params.layers) > 1:
        masks = epochs.masks_of(state, len(x))

    def one(row: tuple[Array, Array, Array, mlp.Masks]) -> tuple[Array, Array, Array]:
        x, y, share, masks = jax.tree.map(lambda a: a[None], row)
        value, gradients = epochs.given_masks(program, state, x, y, jnp.ones(1), masks)
        sizes = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradients)]
        shares = jax.tree.map(lambda leaf: leaf * share[0], gradients)
        return value, jnp.max(jnp.stack(sizes)), epochs.all_finite(shares)

    shares = jnp.asarray(weights / max(weights.sum(), 1e-30), jnp.float32)
    rows = (jnp.asarray(x), jnp.asarray(y), shares, masks)
    return Alone(*map(np.asarray, jax.jit(lambda *rows: lax.map(one, rows))(*rows)))


def by_axis(
    evidence: Evidence, key: Key, traced: core.ClosedJaxpr, other: core.ClosedJaxpr
) -> tuple[int, ...] | None:
    """Rows at which the outputs of an operation are spoiled; None where they have no axis of rows.

    Args:
        other: a trace for one row more: an axis of rows is one that has become longer.
    """
    here, there = (replay_ops.equation_at(each, key) for each in (traced, other))
    if here is None or there is None or here.primitive is not there.primitive:
        return None
    outputs = zip(here.outvars, there.outvars, evidence.spoiled, strict=False)
    rows: set[int] = set()
    axes_found = False
    for a, b, spoiled in outputs:
        shapes = zip(np.shape(spoiled), a.aval.shape, b.aval.shape, strict=False)
        axes = [axis for axis, (_, m, more) in enumerate(shapes) if more == m + 1]
        if spoiled.any() and axes:
            axes_found = True
            rest = tuple(axis for axis in range(spoiled.ndim) if axis != axes[0])
            rows |= set(np.flatnonzero(spoiled.any(axis=rest)).tolist())
    return tuple(sorted(rows)) if axes_found else None


def blamed(alone: Alone, weights: np.ndarray, *, by: Callable[[Alone], np.ndarray]) -> Blame:
    """Rows whose own loss or gradient is not finite; else those of which `by` is largest."""
    counted = weights > 0
    own = counted & ~(np.isfinite(alone.loss) & np.isfinite(alone.gradient) & alone.finite)
    if own.any():
        return Blame(tuple(np.flatnonzero(own).tolist()), exact=True)
    sizes = np.where(counted, weights * np.abs(by(alone)), -1)
    order = [row for row in np.argsort(-sizes, kind="stable")[:MOST].tolist() if counted[row]]
    return Blame(tuple(row for row in order if sizes[row] >= NEAR * sizes[order[0]]), exact=False)
