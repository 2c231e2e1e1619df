"""Squared error behind any output activation: the general form of lecture 1."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxnet.errors import UserError
from jaxnet.nn.activations import (
    ACTIVATIONS,
    DERIVATIVE_TERMS,
    sigmoid,
    softmax_jacobian_product,
    softmax_parts,
)
from jaxnet.nn.losses.core import Loss, register
from jaxnet.nn.losses.layout import OUTPUTS


def _residual_terms(
    z: Array, y: Array, activation: str, label_smoothing: Any = None
) -> tuple[Array, Array]:
    """Two terms whose difference is a - y', exact where f saturates at the target.

    1 - y' is taken from 1 - y and not from y', which rounds away what a little smoothing leaves.
    """
    e = 0 if label_smoothing is None else label_smoothing
    match activation:
        case "sigmoid":
            yes, no = (1 - e) * y + e / 2, (1 - e) * (1 - y) + e / 2
            return sigmoid(z) * no, sigmoid(-z) * yes
        case "tanh":
            return sigmoid(2 * z) * ((1 - e) * (1 - y) + e), sigmoid(-2 * z) * (
                (1 - e) * (1 + y) + e
            )
        case "softmax":
            K = z.shape[1]
            parts = softmax_parts(z)
            yes, no = (1 - e) * y + e / K, (1 - e) * (1 - y) + e * ((K - 1) / K)
            return parts.a * no, parts.complement * yes
        case _:
            return ACTIVATIONS[activation].f(z), _smoothed(y, activation, label_smoothing)


def _smoothed(y: Array, activation: str, label_smoothing: Any) -> Array:
    """y' = (1 - e) y + e/2; softmax e/K; tanh, whose targets are -1 and 1, (1 - e) y."""
    if label_smoothing is None:
        return y
    share = {"softmax": 1 / y.shape[1], "tanh": 0.0}.get(activation, 0.5)
    return (1 - label_smoothing) * y + label_smoothing * share


def _weights(y: Array, activation: str, class_weight: Any, label_smoothing: Any = None) -> Array:
    """Weight of each output: of its row's class (softmax, one column) or of its column.

    A soft target weighs as the mean of its classes; one outside [0, 1] is of no class: NaN. Behind
    tanh, whose classes are -1 and 1 (or 0 and 1), the sign of a target is its class.
    """
    if class_weight is None:
        return jnp.ones_like(y)
    expected = (2,) if y.shape[1] == 1 else (y.shape[1],)
    if class_weight.shape != expected:
        raise UserError(f"class_weight takes shape {expected}, got {class_weight.shape}")
    if y.shape[1] > 1 and activation != "softmax":
        return jnp.broadcast_to(class_weight[None, :], y.shape)
    if activation == "tanh":
        return jnp.where(y > 0, class_weight[1], class_weight[0])
    shares = _smoothed(y, activation, label_smoothing)
    if y.shape[1] == 1:
        weight = class_weight[0] * (1 - shares) + class_weight[1] * shares
    else:
        weight = jnp.sum(class_weight[None, :] * shares, axis=1, keepdims=True)
    is_share = jnp.all((y >= 0) & (y <= 1), axis=1, keepdims=True)
    return jnp.broadcast_to(jnp.where(is_share, weight, jnp.nan), y.shape)


Option = Any  # an array, or None where it is not given


def _value(
    z: Array,
    y: Array,
    activation: str = "identity",
    class_weight: Option = None,
    label_smoothing: Option = None,
) -> Array:
    above, below = _residual_terms(z, y, activation, label_smoothing)
    w = _weights(y, activation, class_weight, label_smoothing)
    return jnp.sum(w * (above - below) ** 2, axis=1) / 2


def _delta(
    z: Array,
    y: Array,
    activation: str = "identity",
    class_weight: Option = None,
    label_smoothing: Option = None,
) -> Array:
    above, below = _residual_terms(z, y, activation, label_smoothing)
    v = _weights(y, activation, class_weight, label_smoothing) * (above - below)
    if activation == "softmax":
        return softmax_jacobian_product(z, v)
    return v * ACTIVATIONS[activation].derivative(z)


def _scale(
    z: Array,
    y: Array,
    activation: str = "identity",
    class_weight: Option = None,
    label_smoothing: Option = None,
) -> Array:
    above, below = _residual_terms(z, y, activation, label_smoothing)
    w = _weights(y, activation, class_weight, label_smoothing)
    v = jnp.abs(w) * (jnp.abs(above) + jnp.abs(below))
    if activation == "softmax":
        a = softmax_parts(z).a
        return a * (v + jnp.sum(v * a, axis=1, keepdims=True))
    terms = DERIVATIVE_TERMS.get(activation, ACTIVATIONS[activation].derivative)
    return v * jnp.abs(terms(z))


def _seed(
    a: Array,
    y: Array,
    activation: str = "identity",
    class_weight: Option = None,
    label_smoothing: Option = None,
) -> Array:
    w = _weights(y, activation, class_weight, label_smoothing)
    return w * (a - _smoothed(y, activation, label_smoothing))


USUAL = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softmax": jax.nn.softmax}


def _usual(
    z: Array,
    y: Array,
    activation: str = "identity",
    class_weight: Option = None,
    label_smoothing: Option = None,
) -> Array:
    w = _weights(y, activation, class_weight, label_smoothing)
    a = USUAL.get(activation) or getattr(jax.nn, activation)
    return jnp.sum(w * (a(z) - _smoothed(y, activation, label_smoothing)) ** 2, axis=1) / 2


squared_error = register(
    Loss(
        "squared_error",
        OUTPUTS,
        (*ACTIVATIONS, "softmax"),
        _value,
        _delta,
        _seed,
        {"activation": "identity", "class_weight": None, "label_smoothing": 0.0},
        _scale,
        _usual,
        """Squared error behind any output activation (lecture 1).

    L = 1/2 sum_k (y_k - a_k)^2,  a = f(z)
    delta = (a - y) * f'(z);  softmax: a_j (v_j - sum_p v_p a_p), v = a - y

    Behind a sigmoid it is not convex in z and stalls where f'(z) vanishes: as the lecture says,
    use cross-entropy for classes; a - y and f' are exact here, small as they may be.

    Shapes: logits and targets (m,) or [..., K], equal, or logits [..., K] and integer labels [...].
    Options: activation (identity by default, or any of jaxnet.activations, or softmax),
    label_smoothing (e/2; softmax e/K; behind tanh y' = (1 - e) y, for targets -1 and 1),
    class_weight ((2,) for one column; else (K,)). A class weight belongs to a class: beside one
    column or softmax it takes targets in [0, 1] (tanh: of either sign); others give NaN.

    >>> float(squared_error(jnp.array([3.0]), jnp.array([1.0]))[0])
    2.0
    """,
    )
)
