"""Shapes of logits and targets: what a loss accepts and how it reads it.

Leading axes may be any number: a loss takes logits [..., K] and gives [...], as optax does. Shapes
that only broadcast are refused: (m,) logits against (m, 1) targets would make an (m, m) loss
without a word. Integer labels that name no class become NaN, value and gradient, because JAX would
clamp them or wrap them around in silence.
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
        fits: (z, y) -> whether they have such shapes.
        has_class_axis: (z, y) -> whether the last axis of z holds the outputs of a row; if not,
            every number of z is a row of one output.
        read: (z (m, K), y) -> targets as the loss's functions see them.
    """

    name: str
    accepts: str
    fits: Callable[[Array, Array], bool]
    has_class_axis: Callable[[Array, Array], bool]
    read: Callable[[Array, Array], Array]

    def check(self, name: str, z: Array, y: Array) -> tuple[Array, Array]:
        """The arguments of the loss called `name`, if they fit.

        Raises:
            ShapeError: logits that are not floating-point, or shapes that do not fit.
        """
        if not jnp.issubdtype(z.dtype, jnp.floating):
            raise ShapeError(
                f"{name} takes floating-point logits, got {z.dtype}; use z.astype(float)"
            )
        if not self.fits(z, y):
            raise ShapeError(
                f"{name} takes {self.accepts}; got logits {z.shape} and targets {y.shape}. "
                "Shapes are never broadcast: reshape one of them"
            )
        return z, y


class ShapeError(UserError, TypeError):
    """Logits and targets whose shapes or types do not fit the loss."""


def is_integer(y: Array) -> bool:
    """Whether targets are labels (integers or booleans) rather than probabilities."""
    return bool(jnp.issubdtype(y.dtype, jnp.integer) or y.dtype == jnp.bool_)


def as_targets(targets: ArrayLike) -> Array:
    """Targets as an array; integers beyond int32 stay beyond every class instead of wrapping.

    False and True become 0 and 1. What `jax.jit` does to its own arguments comes before: without
    x64 it wraps NumPy's 64-bit integers to int32 where they do not fit.
    """
    ends = np.iinfo(np.int32)
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "iu":
        if targets.dtype.itemsize >= 4:  # a shorter type fits, and has no room for these ends
            targets = np.clip(targets, max(ends.min, np.iinfo(targets.dtype).min), ends.max)
        return jnp.asarray(targets.astype(np.int32))
    found = jnp.asarray(targets)
    if found.dtype.itemsize >= 4 and jnp.issubdtype(found.dtype, jnp.integer):
        found = jnp.clip(found, max(ends.min, jnp.iinfo(found.dtype).min), ends.max)
    return found.astype(jnp.int32) if is_integer(found) else found


def _read_zero_one(z: Array, y: Array) -> Array:
    """Targets as numbers; integers other than 0 and 1 become NaN."""
    if not is_integer(y):
        return y.reshape(z.shape).astype(z.dtype)
    y = y.reshape(z.shape)
    return jnp.where((y == 0) | (y == 1), y.astype(z.dtype), jnp.asarray(np.nan, z.dtype))


def _read_classes(z: Array, y: Array) -> Array:
    """Integer labels (m,) stay what they are; rows of targets become numbers."""
    return y if y.ndim == 1 else y.astype(z.dtype)


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


def _same(z: Array, y: Array) -> bool:
    return z.shape == y.shape


def _labels(z: Array, y: Array) -> bool:
    """Whether y holds one integer label for each row of logits [..., K]."""
    return z.ndim > 0 and is_integer(y) and z.shape[:-1] == y.shape


BINARY = Layout(
    "binary",
    "logits and targets of one column and equal shape, (m,) or [..., 1]",
    fits=lambda z, y: _same(z, y) and (z.ndim < 2 or z.shape[-1] == 1),
    has_class_axis=lambda z, y: z.ndim > 1,
    read=_read_zero_one,
)
MULTILABEL = Layout(
    "multilabel",
    "logits [..., K] and targets [..., K]",
    fits=lambda z, y: _same(z, y) and z.ndim > 0,
    has_class_axis=lambda z, y: True,
    read=_read_zero_one,
)
ELEMENTWISE = Layout(
    "elementwise",
    "logits and targets of equal shape, (m,) or [..., K]",
    fits=_same,
    has_class_axis=lambda z, y: z.ndim > 1,
    read=_read_zero_one,
)
MULTICLASS = Layout(
    "multiclass",
    "logits [..., K] and targets either integer labels [...] or rows [..., K]",
    # Logits (m,) beside labels (m,) are those of two classes in one column, not one row of m.
    fits=lambda z, y: (
        z.ndim > 0
        and z.shape[-1] > 0
        and (_labels(z, y) or (_same(z, y) and (z.ndim > 1 or not is_integer(y))))
    ),
    has_class_axis=lambda z, y: True,
    read=_read_classes,
)
OUTPUTS = Layout(
    "outputs",
    "logits and targets of equal shape, (m,) or [..., K], or logits [..., K] and integer labels "
    "[...]",
    fits=lambda z, y: _same(z, y) or _labels(z, y),
    has_class_axis=lambda z, y: z.ndim > 1 or y.ndim < z.ndim,
    read=_read_outputs,
)
