"""From one loss per example to one number: `sum`, `mean`, and the pair both are made of.

Rows of weight 0 (padding, masks) count as absent even where their loss is NaN. Sums over several
batches carry the pair (sum of weight * loss, sum of weight) and divide once; a mean of means is
another number.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Num

from jaxnet.errors import UserError
from jaxnet.nn.precision import wide_type

Weights = Num[ArrayLike, "..."] | Bool[ArrayLike, "..."] | None
Values = Float[ArrayLike, "..."]


def totals(values: Values, weights: Weights = None) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(sum_i w_i L_i, sum_i w_i); a boolean mask counts as weights 0 and 1.

    Shapes: values (m,) or [...], as losses of [..., K] logits are; weights of the same shape.

    Raises:
        UserError: other shapes; (m, 1) weights would make (m, m) products without a word.

    >>> [float(t) for t in totals(jnp.array([1.0, jnp.nan]), jnp.array([2.0, 0.0]))]
    [2.0, 2.0]
    """
    values = jnp.asarray(values)
    if values.ndim == 0:
        raise UserError(f"reductions take one loss an example, shape (m,); got {values.shape}")
    values = values.astype(wide_type(values.dtype))
    if weights is None:
        return jnp.sum(values), jnp.asarray(values.size, values.dtype)
    w = jnp.asarray(weights).astype(values.dtype)
    if w.shape != values.shape:
        raise UserError(f"weights take the shape of the losses, {values.shape}; got {w.shape}")
    present = jnp.where((w == 0) & ~jnp.isfinite(values), 0, values)
    return jnp.sum(w * present), jnp.sum(w)


def sum(values: Values, weights: Weights = None) -> Float[Array, ""]:
    """sum_i w_i L_i.

    >>> float(sum(jnp.array([1.0, 2.0])))
    3.0
    """
    return totals(values, weights)[0]


def mean(values: Values, weights: Weights = None) -> Float[Array, ""]:
    """sum_i w_i L_i / sum_i w_i; 0 with gradient 0 where the weights sum to 0.

    With equal weights this is the lectures' 1/m. Class weights belong to the loss and never
    enter the divisor.

    >>> float(mean(jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0])))
    1.75
    """
    total, weight = totals(values, weights)
    return total / jnp.where(weight == 0, 1, weight)
