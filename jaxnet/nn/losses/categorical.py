"""Categorical cross-entropy behind softmax: one class out of K."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn.activations import softmax_parts
from jaxnet.nn.losses.core import Loss, register
from jaxnet.nn.losses.layout import MULTICLASS, one_hot
from jaxnet.nn.losses.sigmoid import times


def _class_weights(class_weight: Any, number_of_classes: int) -> Array | None:
    if class_weight is not None and class_weight.shape != (number_of_classes,):
        raise UserError(
            f"class_weight takes one number a class: shape ({number_of_classes},), "
            f"got {class_weight.shape}"
        )
    return class_weight


def _label_mask(z: Float[Array, "m K"], labels: Int[Array, " m"]) -> Array:
    return lax.broadcasted_iota(jnp.int32, z.shape, 1) == labels[:, None]


def _row_factor(z: Array, labels: Array, class_weight: Array | None) -> Array:
    """Weight of each row's class, NaN where the label names no class."""
    inside = (labels >= 0) & (labels < z.shape[1])
    known = jnp.where(inside, jnp.ones_like(z[:, 0]), np.nan)
    if class_weight is None:
        return known
    return known * jnp.sum(jnp.where(_label_mask(z, labels), class_weight[None, :], 0), axis=1)


def _rows(z: Array, y: Array, class_weight: Array | None, label_smoothing: Any) -> Array:
    """c = w y', with y' = (1 - e) y + e/K."""
    rows = one_hot(y, z) if y.ndim == 1 else y
    if label_smoothing is not None:
        rows = (1 - label_smoothing) * rows + label_smoothing / z.shape[1]
    return rows if class_weight is None else rows * class_weight[None, :]


def _value(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    weights = _class_weights(class_weight, z.shape[1])
    parts = softmax_parts(z)
    if y.ndim == 1 and label_smoothing is None:
        gap = jnp.sum(jnp.where(_label_mask(z, y), parts.gap, 0), axis=1)
        return _row_factor(z, y, weights) * (gap + parts.log_normalizer[:, 0])
    c = _rows(z, y, weights, label_smoothing)
    return jnp.sum(times(c, parts.gap + parts.log_normalizer), axis=1)


def _delta(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    weights = _class_weights(class_weight, z.shape[1])
    if y.ndim == 1 and label_smoothing is None:
        parts = softmax_parts(z)
        hard = jnp.where(_label_mask(z, y), -parts.complement, parts.a)
        return _row_factor(z, y, weights)[:, None] * hard
    others, own = _terms(z, _rows(z, y, weights, label_smoothing))
    return others - own


def _terms(z: Array, c: Array) -> tuple[Array, Array]:
    """a_j sum_{p != j} c_p and (1 - a_j) c_j: their difference is a_j sum_p c_p - c_j."""
    parts = softmax_parts(z)
    return parts.a * (jnp.sum(c, axis=1, keepdims=True) - c), parts.complement * c


def _scale(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    weights = _class_weights(class_weight, z.shape[1])
    others, own = _terms(z, _rows(z, y, weights, label_smoothing))
    return jnp.abs(others) + jnp.abs(own)


def _seed(a: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    c = _rows(a, y, _class_weights(class_weight, a.shape[1]), label_smoothing)
    return -jnp.where(c == 0, 0, c / jnp.where(c == 0, 1, a))


def _usual(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    c = _rows(z, y, _class_weights(class_weight, z.shape[1]), label_smoothing)
    return -jnp.sum(c * jax.nn.log_softmax(z, axis=1), axis=1)


categorical_cross_entropy = register(
    Loss(
        "categorical_cross_entropy",
        MULTICLASS,
        "softmax",
        _value,
        _delta,
        _seed,
        frozenset(("class_weight", "label_smoothing")),
        _scale,
        _usual,
        """Categorical cross-entropy behind softmax (lecture 2, multiclass classification).

    L = -sum_j c_j log a_j,  a = softmax(z),  c = w y',  y' = (1 - e) y + e/K
    delta_j = a_j sum_p c_p - c_j, which is a - y where the targets of a row sum to 1

    computed as a_j sum_{p != j} c_p - (1 - a_j) c_j with an exact 1 - a_j, so that a confident
    right answer keeps its small gradient (as written, a - y is exactly 0 there).

    Shapes: logits (m, K); targets integer labels (m,) or rows (m, K), one-hot or soft.
    Options: class_weight (K,), label_smoothing. An unknown label gives NaN, value and gradient.

    >>> float(categorical_cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0])  # log 4
    1.3862943649291992
    """,
    )
)
