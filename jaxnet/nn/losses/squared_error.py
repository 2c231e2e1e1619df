"""Squared error behind any output activation: the general form of lecture 1."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxnet.errors import UserError
from jaxnet.nn.activations import (
    ACTIVATIONS,
    sigmoid,
    softmax_jacobian_product,
    softmax_parts,
)
from jaxnet.nn.losses.core import Loss, register
from jaxnet.nn.losses.layout import OUTPUTS


def _residual_terms(z: Array, y: Array, activation: str) -> tuple[Array, Array]:
    """Two terms whose difference is a - y, exact where f saturates at the target."""
    match activation:
        case "sigmoid":
            return sigmoid(z) * (1 - y), y * sigmoid(-z)
        case "tanh":
            return sigmoid(2 * z) * (1 - y), sigmoid(-2 * z) * (1 + y)
        case "softmax":
            parts = softmax_parts(z)
            return parts.a * (1 - y), parts.complement * y
        case _:
            return ACTIVATIONS[activation].f(z), y


def _smoothed(z: Array, y: Array, activation: str, label_smoothing: Any) -> Array:
    if label_smoothing is None:
        return y
    parts = z.shape[1] if activation == "softmax" else 2
    return (1 - label_smoothing) * y + label_smoothing / parts


def _weights(y: Array, activation: str, class_weight: Any) -> Array:
    """Weight of each output: of its row's class (softmax, one column) or of its column."""
    if class_weight is None:
        return jnp.ones_like(y)
    expected = (2,) if y.shape[1] == 1 else (y.shape[1],)
    if class_weight.shape != expected:
        raise UserError(f"class_weight takes shape {expected}, got {class_weight.shape}")
    if y.shape[1] == 1:
        return class_weight[0] * (1 - y) + class_weight[1] * y
    if activation == "softmax":
        return jnp.broadcast_to(jnp.sum(class_weight[None, :] * y, axis=1, keepdims=True), y.shape)
    return jnp.broadcast_to(class_weight[None, :], y.shape)


def _targets_and_weights(
    z: Array, y: Array, activation: str, class_weight: Any = None, label_smoothing: Any = None
) -> tuple[Array, Array]:
    """Smoothed targets and the weight of each output; z gives the shape."""
    y = _smoothed(z, y, activation, label_smoothing)
    return y, _weights(y, activation, class_weight)


def _value(z: Array, y: Array, activation: str = "identity", **options: Any) -> Array:
    y, w = _targets_and_weights(z, y, activation, **options)
    above, below = _residual_terms(z, y, activation)
    return jnp.sum(w * (above - below) ** 2, axis=1) / 2


def _delta(z: Array, y: Array, activation: str = "identity", **options: Any) -> Array:
    y, w = _targets_and_weights(z, y, activation, **options)
    above, below = _residual_terms(z, y, activation)
    v = w * (above - below)
    if activation == "softmax":
        return softmax_jacobian_product(z, v)
    return v * ACTIVATIONS[activation].derivative(z)


def _scale(z: Array, y: Array, activation: str = "identity", **options: Any) -> Array:
    y, w = _targets_and_weights(z, y, activation, **options)
    above, below = _residual_terms(z, y, activation)
    v = jnp.abs(w) * (jnp.abs(above) + jnp.abs(below))
    if activation == "softmax":
        a = softmax_parts(z).a
        return a * (v + jnp.sum(v * a, axis=1, keepdims=True))
    return v * jnp.abs(ACTIVATIONS[activation].derivative(z))


def _seed(a: Array, y: Array, activation: str = "identity", **options: Any) -> Array:
    y, w = _targets_and_weights(a, y, activation, **options)
    return w * (a - y)


USUAL = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softmax": jax.nn.softmax}


def _usual(z: Array, y: Array, activation: str = "identity", **options: Any) -> Array:
    y, w = _targets_and_weights(z, y, activation, **options)
    a = USUAL.get(activation) or getattr(jax.nn, activation)
    return jnp.sum(w * (a(z) - y) ** 2, axis=1) / 2


squared_error = register(
    Loss(
        "squared_error",
        OUTPUTS,
        (*ACTIVATIONS, "softmax"),
        _value,
        _delta,
        _seed,
        frozenset(("activation", "class_weight", "label_smoothing")),
        _scale,
        _usual,
        """Squared error behind any output activation (lecture 1).

    L = 1/2 sum_k (y_k - a_k)^2,  a = f(z)
    delta = (a - y) * f'(z);  softmax: a_j (v_j - sum_p v_p a_p), v = a - y

    Behind a sigmoid it is not convex in z and stalls where f'(z) vanishes: as the lecture says,
    use cross-entropy for classes; a - y and f' are exact here, small as they may be.

    Shapes: logits and targets (m,) or (m, K), equal, or logits (m, K) and integer labels (m,).
    Options: activation (identity by default, or any of jaxnet.activations, or softmax),
    label_smoothing (e/2; softmax e/K), class_weight ((2,) for one column; else (K,)).

    >>> float(squared_error(jnp.array([3.0]), jnp.array([1.0]))[0])
    2.0
    """,
    )
)
