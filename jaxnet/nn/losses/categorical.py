"""Categorical cross-entropy behind softmax: one class out of K."""

from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn import meshes
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


# Reductions over the classes. XLA reduces rows on CPU in a loop of scalars; the maximum of eight
# slices is taken by vectors, and a product with ones is a sum by them. Fewer classes gain nothing.
WIDE = 32


def _largest(z: Float[Array, "m K"]) -> Float[Array, "m 1"]:
    """Largest logit of each row."""
    part = z.shape[1] // 8
    if z.shape[1] < WIDE or _divided(z):
        return jnp.max(z, axis=1, keepdims=True)
    slices = [z[:, i * part : (i + 1) * part] for i in range(8)]
    largest = jnp.max(reduce(jnp.maximum, slices), axis=1, keepdims=True)
    rest = z[:, 8 * part :]
    return jnp.maximum(largest, jnp.max(rest, axis=1, keepdims=True)) if rest.size else largest


def _divided(z: Float[Array, "m K"]) -> bool:
    """Whether the type of z divides its classes over devices: then they cannot be sliced."""
    return meshes.divided(z, 1) is not None


def _row_sum(x: Float[Array, "m K"]) -> Float[Array, "m 1"]:
    if x.shape[1] < WIDE or jax.default_backend() != "cpu":
        return jnp.sum(x, axis=1, keepdims=True)
    return lax.dot(x, jnp.ones((x.shape[1], 1), x.dtype), precision=lax.Precision.HIGHEST)


class _Hard(NamedTuple):
    """Softmax of rows that have one label, M being the largest logit of a row.

    below = z - M, e = exp(below) with 0 at the label, others = sum_j e_j, gap = M - z_y (NaN of a
    label that names no class), total = others + exp(-gap).
    """

    is_label: Array
    below: Float[Array, "m K"]
    e: Float[Array, "m K"]
    others: Float[Array, "m 1"]
    gap: Float[Array, "m 1"]
    total: Float[Array, "m 1"]


def _hard(z: Float[Array, "m K"], labels: Int[Array, " m"]) -> _Hard:
    K = z.shape[1]
    largest = lax.stop_gradient(_largest(z))  # what follows is the same for any number near it
    # Logits of +inf share the row among them, as large ones that are equal do.
    below = jnp.where((largest == jnp.inf) & (z == jnp.inf), 0, z - largest)
    is_label = _label_mask(z, labels)
    if _divided(z):
        below_label = jnp.sum(jnp.where(is_label, below, 0), axis=1, keepdims=True)
    else:
        inside = jnp.clip(labels, 0, K - 1)[:, None]
        below_label = jnp.take_along_axis(below, inside, axis=1, mode="promise_in_bounds")
    known = ((labels >= 0) & (labels < K))[:, None]
    gap = jnp.where(known, -below_label, jnp.nan)
    e = jnp.where(is_label, 0, jnp.exp(below))
    others = _row_sum(e)
    return _Hard(is_label, below, e, others, gap, others + jnp.exp(-gap))


def _rows(z: Array, y: Array, class_weight: Array | None, label_smoothing: Any) -> Array:
    """c = w y', with y' = (1 - e) y + e/K."""
    rows = one_hot(y, z) if y.ndim == 1 else y
    if label_smoothing is not None:
        rows = (1 - label_smoothing) * rows + label_smoothing / z.shape[1]
    return rows if class_weight is None else rows * class_weight[None, :]


def _weight_of_label(h: _Hard, class_weight: Array | None) -> Array | int:
    if class_weight is None:
        return 1
    return jnp.sum(jnp.where(h.is_label, class_weight[None, :], 0), axis=1, keepdims=True)


def _share(c: Array, x: Float[Array, "m 1"]) -> Float[Array, "m 1"]:
    """c x for a number c >= 0, with 0 infinity = 0.

    The `where` stands between the product and a sum: added to a product as such, XLA may fuse the
    two in one program and not in another, and value and gradient would see other last bits.
    """
    infinite = jnp.isinf(x)
    return jnp.where(infinite, jnp.where(c == 0, 0, x), c * jnp.where(infinite, 0, x))


def _value(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    weights = _class_weights(class_weight, z.shape[1])
    if y.ndim == 2 or (weights is not None and label_smoothing is not None):
        parts = softmax_parts(z)
        c = _rows(z, y, weights, label_smoothing)
        return jnp.sum(times(c, parts.gap + parts.log_normalizer), axis=1)
    h = _hard(z, y)
    is_top = h.gap == 0
    # The factor 1 = exp(gap) is for autodiff, which must see that the label is a logit too.
    of_top = jnp.log1p(h.others * jnp.exp(jnp.where(is_top, h.gap, 0)))
    loss = jnp.where(is_top, of_top, jnp.log(h.total) + h.gap)
    if label_smoothing is not None:
        mean = jnp.log(h.total) - _row_sum(h.below) / z.shape[1]  # of -log a_j over the classes
        loss = _share(1 - label_smoothing, loss) + _share(label_smoothing, mean)
    return (_weight_of_label(h, weights) * loss)[:, 0]


def _delta(z: Array, y: Array, class_weight: Any = None, label_smoothing: Any = None) -> Array:
    weights = _class_weights(class_weight, z.shape[1])
    if y.ndim == 2 or (weights is not None and label_smoothing is not None):
        others, own = _terms(z, _rows(z, y, weights, label_smoothing))
        return others - own
    h = _hard(z, y)
    if label_smoothing is None:
        return jnp.where(h.is_label, -h.others, h.e) * (_weight_of_label(h, weights) / h.total)
    # a_y (1 - y'_y) - (1 - a_y) y'_y at the label, a_j - y'_j elsewhere; 1 - y'_y = e (K - 1)/K.
    share, left = label_smoothing / z.shape[1], label_smoothing * ((z.shape[1] - 1) / z.shape[1])
    at_label = (jnp.exp(-h.gap) * left - h.others * (1 - label_smoothing + share)) / h.total
    return jnp.where(h.is_label, at_label, h.e / h.total - share)


def _terms(z: Array, c: Array) -> tuple[Array, Array]:
    """a_j sum_{p != j} c_p and (1 - a_j) c_j: their difference is a_j sum_p c_p - c_j.

    Beside the largest c the others are summed without it; elsewhere sum_p c_p - c_j loses nothing.
    """
    parts = softmax_parts(z)
    is_largest = _label_mask(c, jnp.argmax(c, axis=1).astype(jnp.int32))
    rest = jnp.sum(jnp.where(is_largest, 0, c), axis=1, keepdims=True)
    largest = jnp.sum(jnp.where(is_largest, c, 0), axis=1, keepdims=True)
    return parts.a * jnp.where(is_largest, rest, rest + (largest - c)), parts.complement * c


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
        {"class_weight": None, "label_smoothing": 0.0},
        _scale,
        _usual,
        """Categorical cross-entropy behind softmax (lecture 2, multiclass classification).

    L = -sum_j c_j log a_j,  a = softmax(z),  c = w y',  y' = (1 - e) y + e/K
    delta_j = a_j sum_p c_p - c_j, which is a - y where the targets of a row sum to 1

    computed as a_j sum_{p != j} c_p - (1 - a_j) c_j with an exact 1 - a_j, so that a confident
    right answer keeps its small gradient (as written, a - y is exactly 0 there).

    Shapes: logits [..., K]; targets integer labels [...] or rows [..., K], one-hot or soft.
    Options: class_weight (K,), label_smoothing. An unknown label gives NaN, value and gradient.

    >>> float(categorical_cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0])  # log 4
    1.3862943649291992
    """,
    )
)
