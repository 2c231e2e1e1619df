"""The best labels of each row, and the places of given ones, in one sweep over W.

Neither needs the logits as a whole: of each tile what may be among the best is kept, or what is
above a label is counted.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn.linear_heads.inputs import Arrays, check
from jaxnet.nn.linear_heads.tiles import Plan, Span, read, tile_bytes, tile_shape
from jaxnet.nn.losses.layout import ShapeError, as_targets, is_integer
from jaxnet.nn.meshes import automatic, axes_of, divided, first_divided, spec, vary, zeros

LABELS = 8192  # of a tile: choosing is cheaper in long rows (scripts/bench_heads.py)
GROUP = 32  # labels whose maximum is looked at first


class Best(NamedTuple):
    """Logits and labels of the best k, the best first; of equal ones the lower label first.

    Attributes:
        logits: (m, k). labels: (m, k), int32.
    """

    logits: Float[Array, "m k"]
    labels: Int[Array, "m k"]


def top_k(
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    k: int,
    *,
    block: int | None = None,
    compute_dtype: Any = None,
) -> Best:
    """The k largest of z = x W^T + b in each row, as `jax.lax.top_k` of all logits finds them.

    Args:
        k: from 1 to K.
        block: labels a tile, k at least; None: 8,192.
        compute_dtype: type of the products; None: that of x and W.

    Raises:
        UserError: shapes or types that do not fit, or k out of range.

    >>> best = top_k(jnp.ones((1, 1)), jnp.array([[1.0], [3.0], [2.0]]), jnp.zeros(3), 2)
    >>> best.logits.tolist(), best.labels.tolist()
    ([[3.0, 2.0]], [[1, 2]])
    """
    arrays = _checked("top_k", x, W, b, block, compute_dtype)
    x, W, b, _ = arrays
    m, K = x.shape[0], W.shape[0]
    if not 1 <= k <= K:
        raise UserError(f"top_k takes k from 1 to the {K} labels there are; got {k}")
    plan = _plan(m, K, max(LABELS if block is None else block, k), arrays)

    def tile(z: Array, rows: Span, labels: Span, best: Best) -> Best:
        found, at = _largest(z, min(k, labels.length))
        so_far = jax.tree.map(rows.of, best)
        together = jnp.concatenate([so_far.logits, found], axis=1)
        names = jnp.concatenate([so_far.labels, labels.start + at.astype(jnp.int32)], axis=1)
        # Labels seen before come first and are the lower ones: so do they among equals. The first
        # tile has k labels at least and takes the place of what is there at the start.
        _, chosen = lax.top_k(together, k)
        chosen = jnp.where(labels.start == 0, k + jnp.arange(k)[None, :], chosen)
        kept = Best(*(jnp.take_along_axis(part, chosen, axis=1) for part in (together, names)))
        return jax.tree.map(rows.put, best, kept)

    def found(x: Array, W: Array, b: Array) -> Best:
        x, W, b = vary((x, W, b), axes_of(x, W, b))
        start = Best(*(zeros((m, k), dtype, x) for dtype in (arrays.wide, jnp.int32)))
        best: Best = read(plan, x, W, b, tile, start)
        return best

    rows: Any = spec(divided(x), None)
    best: Best = automatic(found, x, W, b, out=Best(rows, rows))
    return best


def _largest(z: Array, k: int) -> tuple[Array, Array]:
    """`lax.top_k`, by groups where that is quicker: the k best lie in the k best groups."""
    m, labels = z.shape
    groups = labels // GROUP
    if labels % GROUP or 4 * k > groups:
        found, at = lax.top_k(z, k)
        return found, at
    grouped = z.reshape(m, groups, GROUP)
    _, chosen = lax.top_k(jnp.max(grouped, axis=2), k)
    chosen = jnp.sort(chosen, axis=1)  # in the order of the labels, which settles ties
    candidates = jnp.take_along_axis(grouped, chosen[:, :, None], axis=1).reshape(m, k * GROUP)
    found, at = lax.top_k(candidates, k)
    group = jnp.take_along_axis(chosen, at // GROUP, axis=1)
    return found, group * GROUP + at % GROUP


def ranks(
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    positives: ArrayLike,
    *,
    block: int | None = None,
    compute_dtype: Any = None,
) -> Int[Array, "m P"]:
    """The place of given labels among all, from 1 on: 1 + how many have a larger logit.

    Of equal logits the lower label comes first. The logits of the positives are products of their
    own, so labels that are equal but for rounding may change places. A logit of NaN is above and
    below none: its label has no rank, which is 0, and it counts for no other.

    Args:
        positives: labels (m, P), filled up with -1, whose rank is 0. A label that does not exist
            has the rank 0 too.
        block, compute_dtype: as in `top_k`.

    Raises:
        UserError: shapes or types that do not fit.

    >>> x, W = jnp.ones((1, 1)), jnp.array([[1.0], [3.0], [2.0]])
    >>> ranks(x, W, jnp.zeros(3), jnp.array([[0, 1, -1]])).tolist()
    [[3, 1, 0]]
    """
    arrays = _checked("ranks", x, W, b, block, compute_dtype)
    x, W, b, _ = arrays
    m, K = x.shape[0], W.shape[0]
    y = as_targets(positives)
    if y.ndim != 2 or y.shape[0] != m or not is_integer(y):
        raise ShapeError(
            f"ranks takes positives ({m}, P), integers filled up with -1; got {y.dtype} {y.shape}"
        )
    rows = first_divided(x, y)
    plan = _plan(m, K, LABELS if block is None else block, arrays)
    counted = partial(_ranks, plan, arrays.wide)
    found: Array = automatic(counted, x, W, b, y, out=spec(rows, None))
    return found


def _ranks(plan: Plan, wide: Any, x: Array, W: Array, b: Array, y: Array) -> Array:
    x, W, b, y = vary((x, W, b, y), axes_of(x, W, b, y))
    there = (y >= 0) & (y < W.shape[0])
    y = jnp.where(there, y, 0)
    own = _own_logits(wide, x, W, b, y)

    def tile(z: Array, rows: Span, labels: Span, above: Array) -> Array:
        places = labels.start + jnp.arange(labels.length, dtype=jnp.int32)

        def one(p: Array, above: Array) -> Array:
            mine = lax.dynamic_index_in_dim(rows.of(own), p, axis=1)
            label = lax.dynamic_index_in_dim(rows.of(y), p, axis=1)
            before = (z > mine) | ((z == mine) & (places[None, :] < label))
            before &= places[None, :] != label
            count = jnp.sum(before, axis=1, dtype=jnp.int32)
            return above.at[:, p].add(count)

        return rows.put(above, lax.fori_loop(0, y.shape[1], one, rows.of(above)))

    above = read(plan, x, W, b, tile, zeros(y.shape, jnp.int32, x))
    return jnp.where(there & ~jnp.isnan(own), above + 1, 0)


def _own_logits(wide: Any, x: Array, W: Array, b: Array, y: Array) -> Array:
    """z of the labels (m, P), one column after the other: (m, H) numbers at once."""

    def one(labels: Array) -> Array:
        products = (x * W[labels].astype(x.dtype)).astype(wide)
        return jnp.sum(products, axis=1) + b[labels].astype(wide)

    return lax.map(one, y.T).T


def _checked(
    name: str, x: ArrayLike, W: ArrayLike, b: ArrayLike, block: int | None, compute_dtype: Any
) -> Arrays:
    return check(name, x, W, b, None, block, None, compute_dtype)


def _plan(m: int, K: int, block: int, arrays: Arrays) -> Plan:
    return Plan(*tile_shape(m, K, block, tile_bytes() // arrays.wide.itemsize))
