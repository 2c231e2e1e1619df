"""Shapes of logits and targets: what a loss accepts and how it reads it.

Shapes that only broadcast are refused: (m,) logits against (m, 1) targets would make an (m, m)
loss without a word. Integer labels that name no class become NaN, value and gradient, because JAX
would clamp them or wrap them around in silence.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from jaxnet.errors import UserError


class Layout(NamedTuple):
    """How one family of losses lays out its arguments.

    Attributes:
        name: the family, in a word.
        accepts: the shapes it takes, in words for messages.
        check: (loss name, z, y) -> (z, y) or UserError.
        read: (z (m, K), y) -> targets as the loss's functions see them.
    """

    name: str
    accepts: str
    check: Callable[[str, Array, Array], tuple[Array, Array]]
    read: Callable[[Array, Array], Array]


class ShapeError(UserError, TypeError):
    """Logits and targets whose shapes or types do not fit the loss."""


def is_integer(y: Array) -> bool:
    """Whether targets are labels (integers or booleans) rather than probabilities."""
    return bool(jnp.issubdtype(y.dtype, jnp.integer) or y.dtype == jnp.bool_)


def as_targets(targets: ArrayLike) -> Array:
    """Targets as an array; integers beyond int32 stay beyond every class instead of wrapping.

    False and True become 0 and 1.
    """
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "iu":
        ends = np.iinfo(np.int32)
        if targets.dtype.itemsize >= 4:  # a shorter type fits, and has no room for these ends
            targets = np.clip(targets, max(ends.min, np.iinfo(targets.dtype).min), ends.max)
        return jnp.asarray(targets.astype(np.int32))
    found = jnp.asarray(targets)
    return found.astype(jnp.int32) if found.dtype == jnp.bool_ else found


def _refuse(name: str, accepts: str, z: Array, y: Array) -> ShapeError:
    return ShapeError(
        f"{name} takes {accepts}; got logits {z.shape} and targets {y.shape}. "
        "Shapes are never broadcast: reshape one of them"
    )


def _need_float(name: str, z: Array) -> None:
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise ShapeError(f"{name} takes floating-point logits, got {z.dtype}; use z.astype(float)")


def _same_shape(accepts: str, fits: Callable[[Array], bool]) -> Callable[..., tuple[Array, Array]]:
    def check(name: str, z: Array, y: Array) -> tuple[Array, Array]:
        _need_float(name, z)
        if z.shape != y.shape or not fits(z):
            raise _refuse(name, accepts, z, y)
        return z, y

    return check


def _rows_of_classes(name: str, z: Array, y: Array) -> tuple[Array, Array]:
    _need_float(name, z)
    by_label = y.ndim == 1 and is_integer(y) and z.shape[:1] == y.shape
    if z.ndim != 2 or z.shape[1] < 1 or not (by_label or z.shape == y.shape):
        raise _refuse(name, MULTICLASS.accepts, z, y)
    return z, y


def _rows_or_labels(name: str, z: Array, y: Array) -> tuple[Array, Array]:
    _need_float(name, z)
    by_label = z.ndim == 2 and y.ndim == 1 and is_integer(y) and z.shape[:1] == y.shape
    if not by_label and (z.shape != y.shape or z.ndim not in (1, 2)):
        raise _refuse(name, OUTPUTS.accepts, z, y)
    return z, y


def _read_zero_one(z: Array, y: Array) -> Array:
    """Targets as numbers; integers other than 0 and 1 become NaN."""
    y = y.reshape(z.shape)
    if not is_integer(y):
        return y.astype(z.dtype)
    return jnp.where((y == 0) | (y == 1), y.astype(z.dtype), jnp.asarray(np.nan, z.dtype))


def _read_classes(z: Array, y: Array) -> Array:
    """Integer labels (m,) stay what they are; rows of targets become numbers."""
    return y.astype(jnp.int32) if y.ndim == 1 else y.astype(z.dtype)


def _read_outputs(z: Array, y: Array) -> Array:
    """Labels (m,) before K outputs become rows of 0 and 1; an unknown label a row of NaN."""
    if y.ndim == 1 and is_integer(y) and z.shape[1] > 1:
        return one_hot(y, z)
    return y.reshape(z.shape).astype(z.dtype)


def one_hot(labels: Array, z: Array) -> Array:
    """Rows of 0 and 1 of the shape and type of z; a label outside its K classes gives NaN."""
    rows = jax.nn.one_hot(labels, z.shape[1], dtype=z.dtype)
    inside = (labels >= 0) & (labels < z.shape[1])
    return jnp.where(inside[:, None], rows, jnp.asarray(np.nan, z.dtype))


_BINARY_SHAPES = "logits and targets of one column and equal shape, (m,) or (m, 1)"
_MULTILABEL_SHAPES = "logits (m, K) and targets (m, K)"
_ELEMENTWISE_SHAPES = "logits and targets of equal shape, (m,), (m, 1) or (m, K)"

BINARY = Layout(
    "binary",
    _BINARY_SHAPES,
    _same_shape(_BINARY_SHAPES, lambda z: z.ndim == 1 or (z.ndim == 2 and z.shape[1] == 1)),
    _read_zero_one,
)
MULTILABEL = Layout(
    "multilabel",
    _MULTILABEL_SHAPES,
    _same_shape(_MULTILABEL_SHAPES, lambda z: z.ndim == 2),
    _read_zero_one,
)
ELEMENTWISE = Layout(
    "elementwise",
    _ELEMENTWISE_SHAPES,
    _same_shape(_ELEMENTWISE_SHAPES, lambda z: z.ndim in (1, 2)),
    _read_zero_one,
)
MULTICLASS = Layout(
    "multiclass",
    "logits (m, K) and targets either integer labels (m,) or rows (m, K)",
    _rows_of_classes,
    _read_classes,
)
OUTPUTS = Layout(
    "outputs",
    "logits and targets of equal shape, (m,) or (m, K), or logits (m, K) and integer labels (m,)",
    _rows_or_labels,
    _read_outputs,
)
