"""Softmax cross-entropy of one class out of K behind a linear layer, in two sweeps over W.

The first sweep keeps for each row, over the classes seen so far, M = max z and
s = sum_{j != k} exp(z_j - M), k being the place of the maximum: a sum without its largest term, so
that a confident right answer keeps its small loss. The second one computes the tiles again.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxnet.nn.linear_heads.head import Head, Problem, Rule
from jaxnet.nn.linear_heads.targets import all_classes, read_labels
from jaxnet.nn.linear_heads.tiles import Plan, Span, Tile, read
from jaxnet.nn.linear_heads.varying import zeros
from jaxnet.nn.losses import categorical_cross_entropy
from jaxnet.nn.losses.sigmoid import times


class Seen(NamedTuple):
    """What the first sweep knows of each row, (m,) each.

    Attributes:
        largest: M. others: s. own: the logit of the row's label, 0 while it has not been met.
        gaps: sum_j v_j (M - z_j) over class weights v, and weight: sum_j v_j, for smoothing only.
    """

    largest: Array
    others: Array
    own: Array
    gaps: Any = None
    weight: Any = None


class Facts(NamedTuple):
    """What the second sweep knows of each row, (m,) each.

    Attributes:
        largest: M. others: s. complement: 1 - a at the label. own: c at the label, hard part.
        total: sum_j c_j.
    """

    largest: Array
    others: Array
    complement: Array
    own: Array
    total: Array


def _finite(largest: Array) -> Array:
    """M, or 0 where every class so far is masked."""
    return jnp.where(largest == -jnp.inf, 0, largest)


def _of_tile(z: Array, labels: Array, span: Span, v: Array | None) -> Seen:
    largest = jnp.max(z, axis=1)
    at = z == largest[:, None]
    e = jnp.where(at, 0, jnp.exp(z - _finite(largest)[:, None]))
    ties = jnp.sum(at, axis=1, dtype=z.dtype) - 1
    own = jnp.sum(jnp.where(span.holds(labels), z, 0), axis=1)
    seen = Seen(largest, jnp.sum(e, axis=1) + ties, own)
    if v is None:
        return seen
    gaps = jnp.sum(times(v[None, :], _finite(largest)[:, None] - z), axis=1)
    return seen._replace(gaps=gaps, weight=jnp.full_like(gaps, jnp.sum(v)))


def _merge(one: Seen, two: Seen) -> Seen:
    """What is known after both. Neither largest term is ever added to a sum and taken off again."""
    largest = jnp.maximum(one.largest, two.largest)
    M = _finite(largest)
    first, second = jnp.exp(one.largest - M), jnp.exp(two.largest - M)
    others = jnp.where(
        two.largest > one.largest,
        two.others + (1 + one.others) * first,
        one.others + (1 + two.others) * second,
    )
    merged = Seen(largest, others, one.own + two.own)
    if one.gaps is None:
        return merged
    shifted = [part.gaps + times(part.weight, M - _finite(part.largest)) for part in (one, two)]
    return merged._replace(gaps=shifted[0] + shifted[1], weight=one.weight + two.weight)


def _nothing(problem: Problem, smoothed: bool) -> Seen:
    zero = zeros(problem.x.shape[:1], problem.wide, problem.x, problem.W)
    more = (zero, zero) if smoothed else (None, None)
    return Seen(zero - jnp.inf, zero, zero, *more)


def _class_weights(problem: Problem) -> Array:
    given = problem.options.get("class_weight")
    return jnp.ones(problem.W.shape[:1], problem.wide) if given is None else given


def _first_sweep(plan: Plan, problem: Problem) -> Seen:
    x, W, b = problem.x, problem.W, problem.b
    smoothed = "label_smoothing" in problem.options
    v = _class_weights(problem)

    def tile(z: Array, rows: Span, labels: Span, seen: Seen) -> Seen:
        v_block = labels.of(v) if smoothed else None
        found = _of_tile(z, rows.of(problem.targets.values), labels, v_block)
        return jax.tree.map(rows.put, seen, _merge(jax.tree.map(rows.of, seen), found))

    found: Seen = read(plan, x, W, b, tile, _nothing(problem, smoothed))
    return found


def _across(seen: Seen, axis: str) -> Seen:
    """What all shards of the classes know together."""
    largest = lax.pmax(seen.largest, axis)
    M = _finite(largest)
    index = lax.axis_index(axis)
    size = lax.axis_size(axis)
    holder = lax.pmin(jnp.where(seen.largest == largest, index, size), axis)
    # Where the maximum is, only the others count: as in `_merge`.
    share = jnp.where(index == holder, seen.others, (1 + seen.others) * jnp.exp(seen.largest - M))
    together = Seen(largest, lax.psum(share, axis), lax.psum(seen.own, axis))
    if seen.gaps is None:
        return together
    gaps = seen.gaps + times(seen.weight, M - _finite(seen.largest))
    return together._replace(gaps=lax.psum(gaps, axis), weight=lax.psum(seen.weight, axis))


def _own_weight(plan: Plan, problem: Problem) -> Array:
    """The class weight of each row's label."""
    v = problem.options.get("class_weight")
    labels = problem.targets.values
    if v is None:
        return jnp.ones(labels.shape, problem.wide)
    here = (labels >= 0) & (labels < v.shape[0])
    found = jnp.where(here, v.at[labels].get(mode="clip"), 0)
    return found if plan.class_axis is None else lax.psum(found, plan.class_axis)


def _forward(plan: Plan, problem: Problem) -> tuple[Array, Facts]:
    seen = _first_sweep(plan, problem)
    if plan.class_axis is not None:
        seen = _across(seen, plan.class_axis)
    own, smoothing = _own_weight(plan, problem), problem.options.get("label_smoothing")
    gap = seen.largest - seen.own
    s = seen.others
    complement = jnp.where(seen.own >= seen.largest, s / (1 + s), 1 - jnp.exp(-gap) / (1 + s))
    if smoothing is None:
        return own * (gap + jnp.log1p(s)), Facts(seen.largest, s, complement, own, own)
    each = smoothing / all_classes(problem.W.shape[0], plan.class_axis).K
    own = (1 - smoothing) * own
    total = own + each * seen.weight
    losses = times(own, gap) + times(each, seen.gaps) + total * jnp.log1p(s)
    return losses, Facts(seen.largest, s, complement, own, total)


def _delta(plan: Plan, problem: Problem, facts: Facts) -> Tile:
    """a sum_{p != j} c_p - (1 - a) c_j; where c is 0 but at the label, a c and there -(1 - a) c."""
    labels_of_rows = problem.targets.values
    smoothing = problem.options.get("label_smoothing")

    def hard(z: Array, rows: Span, labels: Span) -> tuple[None, Array]:
        M, s, complement, own, _ = (rows.of(fact) for fact in facts)
        a = jnp.exp(z - M[:, None]) * (own / (1 + s))[:, None]
        at_label = labels.holds(rows.of(labels_of_rows))
        return None, jnp.where(at_label, -(complement * own)[:, None], a)

    if smoothing is None:
        return hard
    each = smoothing / all_classes(problem.W.shape[0], plan.class_axis).K
    v = _class_weights(problem)

    def smoothed(z: Array, rows: Span, labels: Span) -> tuple[None, Array]:
        M, s, _, own, total = (rows.of(fact)[:, None] for fact in facts)
        a = jnp.exp(z - M) / (1 + s)
        complement = jnp.where(z >= M, s / (1 + s), 1 - a)
        at_label = labels.holds(rows.of(labels_of_rows))
        c = jnp.where(at_label, own, 0) + each * labels.of(v)[None, :]
        return None, a * (total - c) - complement * c

    return smoothed


categorical = Head(
    "categorical",
    categorical_cross_entropy,
    read_labels,
    Rule(_forward, _delta, None),
    """Softmax cross-entropy of K classes behind z = x W^T + b, which is never held as a whole.

    L_i = -w_i sum_j c_ij log a_ij,  a = softmax(z),  c = v y',  y' = (1 - e) y + e/K
    delta_j = a_j sum_{p != j} c_p - (1 - a_j) c_j,  dX = delta W,  dW = delta^T x

    the numbers of `losses.categorical_cross_entropy` (lecture 2, multiclass), block by block of
    classes: the maximum and the sum of the exponentials in one sweep over W (Milakov and
    Gimelshein 2018), the gradients, from recomputed tiles, in a second: 8 m H K operations.
    `categorical.sum(...)` = sum_i L_i.

    Shapes: x (m, H), W (K, H), b (K,), weights (m,); integer labels (m,); result (m,). A label that
    names no class gives NaN, loss and gradient. b = -inf masks a class.
    Options: class_weight v (K,), label_smoothing e.

    >>> x, W, b = jnp.zeros((2, 3)), jnp.zeros((4, 3)), jnp.zeros(4)
    >>> categorical(x, W, b, jnp.array([2, 0])).round(4).tolist()  # log 4
    [1.3863, 1.3863]
    """,
)
