"""Sigmoid cross-entropy of K labels behind a linear layer: no coupling between the labels."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxnet.nn.linear_heads.head import Head, Problem, Rule
from jaxnet.nn.linear_heads.targets import all_classes, answers, read_answers
from jaxnet.nn.linear_heads.tiles import Plan, Span, Tile, read
from jaxnet.nn.losses import multilabel_cross_entropy
from jaxnet.nn.losses.sigmoid import by_label, coefficients
from jaxnet.nn.meshes import zeros


def terms(z: Array, c1: Array, c0: Array) -> tuple[Array, Array]:
    """L = c1 softplus(-z) + c0 softplus(z) and delta = c0 sigmoid(z) - c1 sigmoid(-z).

    With e = exp(-|z|), one exponential for both: softplus(z) = max(z, 0) + log1p(e), and sigmoid(z)
    is 1 / (1 + e) or e / (1 + e), each exact where the other saturates.
    """
    e = jnp.exp(-jnp.abs(z))
    linear = jnp.where(z > 0, c0, c1)
    # A label of weight 0 costs nothing at z = -inf or inf either (a masked class).
    linear = jnp.where(linear == 0, 0, linear * jnp.abs(z))
    delta = jnp.where(z > 0, c0 - c1 * e, c0 * e - c1) / (1 + e)
    return (c1 + c0) * jnp.log1p(e) + linear, delta


def _divisor(plan: Plan, K_here: int) -> int:
    mean = dict(plan.words).get("labels") == "mean"
    return all_classes(K_here, plan.class_axis).K if mean else 1


def _tile(plan: Plan, problem: Problem) -> Any:
    """(z, rows, labels) -> (L, delta), a number a label."""
    options = problem.options

    def tile(z: Array, rows: Span, labels: Span) -> tuple[Array, Array]:
        y = answers(problem.targets.values, rows, labels, z.dtype)
        here = {name: labels.of(v) if v.ndim else v for name, v in options.items()}
        c1, c0 = coefficients(y, weigh=by_label, **here)
        value, delta = terms(z, c1, c0)
        divisor = _divisor(plan, problem.W.shape[0])
        return value / divisor, delta / divisor

    return tile


def _forward(plan: Plan, problem: Problem) -> tuple[Array, None]:
    x, W, b = problem.x, problem.W, problem.b
    tile = _tile(plan, problem)

    def add(z: Array, rows: Span, labels: Span, losses: Array) -> Array:
        return rows.add(losses, jnp.sum(tile(z, rows, labels)[0], axis=1))

    losses = read(plan, x, W, b, add, zeros(x.shape[:1], problem.wide, x, W))
    return losses if plan.class_axis is None else lax.psum(losses, plan.class_axis), None


def _delta(plan: Plan, problem: Problem, _facts: None) -> Tile:
    tile = _tile(plan, problem)
    return lambda z, rows, labels: (None, tile(z, rows, labels)[1])


def _both(plan: Plan, problem: Problem) -> Tile:
    tile = _tile(plan, problem)

    def summed(z: Array, rows: Span, labels: Span) -> tuple[Array, Array]:
        value, delta = tile(z, rows, labels)
        return jnp.sum(value, axis=1), delta

    return summed


multilabel = Head(
    "multilabel",
    multilabel_cross_entropy,
    read_answers,
    Rule(_forward, _delta, _both),
    """Sigmoid cross-entropy of K labels behind z = x W^T + b, which is never held as a whole.

    L_i = w_i sum_j v_j [p_j y'_ij softplus(-z_ij) + (1 - y'_ij) softplus(z_ij)]
    delta = v [(1 - y') sigmoid(z) - p y' sigmoid(-z)],  dX = delta W,  dW = delta^T x

    the numbers of `losses.multilabel_cross_entropy` (lecture 2, multi-label), block by block of
    labels. Differentiating recomputes the tiles: 8 m H K operations in all. In
    `multilabel.sum(...)` = sum_i L_i loss and gradients come from one sweep over W: 6 m H K.

    Shapes: x (m, H), W (K, H), b (K,), weights (m,); result (m,). Targets (m, K), or sparse
    positives: integers (m, P), filled up with -1, in any order, duplicates counting once (P = K:
    `linear_heads.Positives(indices)`). A positive that names no label gives NaN, loss and gradient.
    Options: label_smoothing, pos_weight p (scalar or (K,)), class_weight v (K,), labels = "sum" or
    "mean". Binary cross-entropy is K = 1.

    >>> x, W, b = jnp.zeros((2, 3)), jnp.zeros((4, 3)), jnp.zeros(4)
    >>> multilabel(x, W, b, jnp.array([[2, -1], [0, 3]])).round(4).tolist()  # 4 log 2
    [2.7726, 2.7726]
    """,
)
