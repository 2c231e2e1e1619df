"""Softmax cross-entropy of one class out of K behind a linear layer, in two sweeps over W.

The first sweep keeps for each row, over the classes seen so far, M = max z and the sum of
exp(z_j - M) over all classes but the label's: a sum of what is positive, so that a confident right
answer keeps its small loss. The second one computes the tiles again.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxnet.nn.linear_heads.head import Head, Problem, Rule
from jaxnet.nn.linear_heads.targets import all_classes, read_labels
from jaxnet.nn.linear_heads.tiles import Plan, Span, Tile, largest, read, row_sums
from jaxnet.nn.losses import categorical_cross_entropy
from jaxnet.nn.losses.sigmoid import times
from jaxnet.nn.meshes import zeros


class Seen(NamedTuple):
    """What the first sweep knows of each row, (m,) each.

    Attributes:
        largest: M. others: o = sum_{j != y} exp(z_j - M). own: z_y, 0 while it has not been met.
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
        largest: M. label: delta at the label. scale: what exp(z - M) is multiplied by elsewhere.
        hard: c at the label less what each class gets there; None without smoothing.
    """

    largest: Array
    label: Array
    scale: Array
    hard: Any = None


def _exp(z: Array, M: Array) -> Array:
    """exp(z - M) for z <= M; 0 for -inf below anything, 1 for inf as the maximum."""
    end = jnp.finfo(z.dtype).max
    return jnp.exp(jnp.minimum(z - jnp.clip(M, -end, end), 0))


def _gap(M: Array, z: Array) -> Array:
    """M - z, with 0 for an infinite maximum itself."""
    return jnp.where(z == M, 0, M - z)


def _of_tile(z: Array, y: Array, span: Span, v: Array | None) -> Seen:
    M = largest(z)
    e = jnp.where(span.holds(y), 0, _exp(z, M[:, None]))
    seen = Seen(M, row_sums(e), span.at(z, y))
    if v is None:
        return seen
    gaps = jnp.where(v[None, :] == 0, 0, _gap(M[:, None], z))
    return seen._replace(gaps=row_sums(gaps, v), weight=jnp.full_like(M, jnp.sum(v)))


def _merge(one: Seen, two: Seen) -> Seen:
    """What is known after both."""
    M = jnp.maximum(one.largest, two.largest)
    others = [part.others * _exp(part.largest, M) for part in (one, two)]
    merged = Seen(M, others[0] + others[1], one.own + two.own)
    if one.gaps is None:
        return merged
    gaps = [part.gaps + times(part.weight, _gap(M, part.largest)) for part in (one, two)]
    return merged._replace(gaps=gaps[0] + gaps[1], weight=one.weight + two.weight)


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
    M = lax.pmax(seen.largest, axis)
    others = seen.others * _exp(seen.largest, M)
    together = Seen(M, lax.psum(others, axis), lax.psum(seen.own, axis))
    if seen.gaps is None:
        return together
    gaps = seen.gaps + times(seen.weight, _gap(M, seen.largest))
    return together._replace(gaps=lax.psum(gaps, axis), weight=lax.psum(seen.weight, axis))


def _at_label(plan: Plan, problem: Problem, v: Array) -> Array:
    """(m,) of (K,): the number of each row's label."""
    labels = problem.targets.values
    here = (labels >= 0) & (labels < v.shape[0])
    found = jnp.where(here, v.at[labels].get(mode="clip"), 0)
    return found if plan.class_axis is None else lax.psum(found, plan.class_axis)


def _weight_of_others(plan: Plan, v: Array) -> Array:
    """(K,): sum_{p != j} v_p for each class j.

    The whole less its own; of the one class that may be nearly the whole, the others added up.
    """

    def over_shards(reduction: Any, number: Array) -> Array:
        return number if plan.class_axis is None else reduction(number, plan.class_axis)

    most = v == over_shards(lax.pmax, jnp.max(v))
    parts = v, jnp.where(most, 0, v), most.astype(v.dtype)
    whole, less, count = over_shards(lax.psum, jnp.stack([jnp.sum(part) for part in parts]))
    return jnp.where(most & (count == 1), less, whole - v)


def _forward(plan: Plan, problem: Problem) -> tuple[Array, Facts]:
    seen = _first_sweep(plan, problem)
    if plan.class_axis is not None:
        seen = _across(seen, plan.class_axis)
    # Of a row whose classes are all masked nothing can be said.
    M = jnp.where(seen.largest == -jnp.inf, jnp.asarray(np.nan, problem.wide), seen.largest)
    v = problem.options.get("class_weight")
    own = jnp.ones_like(M) if v is None else _at_label(plan, problem, v)
    gap, o = _gap(M, seen.own), seen.others
    e = _exp(seen.own, M)
    total = o + e
    log_total = jnp.where(gap == 0, jnp.log1p(o), jnp.log(total))
    smoothing = problem.options.get("label_smoothing")
    if smoothing is None:
        losses = times(own, gap) + own * log_total
        return losses, Facts(M, -own * (o / total), own / total)
    K = all_classes(problem.W.shape[0], plan.class_axis).K
    each, hard = smoothing / K, (1 - smoothing) * own
    if v is None:
        others = jnp.full_like(M, K - 1)
    else:
        others = _at_label(plan, problem, _weight_of_others(plan, v))
    losses = times(hard, gap) + times(each, seen.gaps) + (hard + each * seen.weight) * log_total
    label = (e / total) * (each * others) - (o / total) * (hard + each * own)
    return losses, Facts(M, label, 1 / total, hard)


def _delta(plan: Plan, problem: Problem, facts: Facts) -> Tile:
    """a sum_{p != j} c_p - (1 - a) c_j, with c = v y'; the label's share of all others is known."""
    y = problem.targets.values
    smoothing = problem.options.get("label_smoothing")

    def hard(z: Array, rows: Span, labels: Span) -> tuple[None, Array]:
        M, label, scale = (rows.of(fact)[:, None] for fact in facts[:3])
        return None, jnp.where(labels.holds(rows.of(y)), label, _exp(z, M) * scale)

    if smoothing is None:
        return hard
    each = smoothing / all_classes(problem.W.shape[0], plan.class_axis).K
    v = _class_weights(problem)
    weighted = "class_weight" in problem.options
    others = _weight_of_others(plan, v) if weighted else v

    def smoothed(z: Array, rows: Span, labels: Span) -> tuple[None, Array]:
        M, label, scale, c = (rows.of(fact)[:, None] for fact in facts)
        a = _exp(z, M) * scale
        if weighted:
            rest = c + each * labels.of(others)[None, :]
            delta = a * rest - (1 - a) * (each * labels.of(v)[None, :])
        else:
            delta = a - each
        return None, jnp.where(labels.holds(rows.of(y)), label, delta)

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
    names no class gives NaN, loss and gradient. Options: class_weight v (K,), label_smoothing e.

    A logit of -inf (b = -inf) masks its class: loss and gradient are those without it, and inf
    with a finite gradient where it is the label's, or has a share of it by smoothing (class weight
    0 takes that away). Of a logit of inf the limit is taken. NaN in a row, or all of its classes
    masked, makes its loss and gradient NaN; weight 0 removes the row.

    >>> x, W, b = jnp.zeros((2, 3)), jnp.zeros((4, 3)), jnp.zeros(4)
    >>> categorical(x, W, b, jnp.array([2, 0])).round(4).tolist()  # log 4
    [1.3863, 1.3863]
    """,
)
