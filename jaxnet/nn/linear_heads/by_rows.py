"""A linear head by blocks of rows, with every label in a tile and no rule of its own.

The dense loss of each block stands behind `jax.checkpoint`, so that jvp, linearize, products with
the Hessian and gradients in every option work, and reverse mode recomputes the tile.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxnet.nn.linear_heads.targets import Positives, Targets, answers
from jaxnet.nn.linear_heads.tiles import TILE_BYTES, Plan, Span, logits
from jaxnet.nn.losses import Loss


def rows_a_tile(m: int, K: int, block: int | None, itemsize: int = 4) -> int:
    """Rows of all K labels in a tile: 32 MiB, or as many numbers as m rows of `block` labels.

    >>> rows_a_tile(1024, 1_000_000, None), rows_a_tile(1024, 32_768, 512)
    (8, 16)
    """
    numbers = TILE_BYTES // itemsize if block is None else m * block
    return max(1, min(m, numbers // K))


def losses(
    loss: Loss, size: int, plan: Plan, x: Array, W: Array, b: Array, targets: Targets, options: Any
) -> Array:
    """(m,) losses, `size` rows at a time."""
    m = x.shape[0]

    def rows_of(parts: Any) -> Array:
        x_rows, y_rows = parts
        z = logits(x_rows, W, b)
        return loss.forward_mode(z, _dense(y_rows, z), **dict(plan.words), **options)

    y = targets.values
    whole = m // size * size
    block = jax.checkpoint(rows_of)
    head = jax.tree.map(lambda v: v[:whole].reshape(-1, size, *v.shape[1:]), (x, y))
    found = [lax.map(block, head).reshape(-1)] if whole else []
    if whole < m or m == 0:
        found.append(block(jax.tree.map(lambda v: v[whole:], (x, y))))
    value = jnp.concatenate(found)
    return value if targets.known is None else value * targets.known


def _dense(y: Any, z: Array) -> Array:
    """Rows of all labels for sparse positives; other targets as they are."""
    if not isinstance(y, Positives):
        return y
    return answers(y, Span(0, z.shape[0]), Span(0, z.shape[1]), z.dtype)
