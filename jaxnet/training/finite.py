"""Whether gradients are finite, and their squares too."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

# Times a gradient of 3.4e18 it overflows, before the square of the gradient does in Adam's second
# moment, where an infinity would freeze the parameter for ever and nobody would see it.
LARGE = 1e20


def all_finite(gradients: Any) -> Bool[Array, ""]:
    """Whether every number is finite and its square too, by a sum which one that is not spoils.

    The rows of a matrix are added up by a product with a constant vector: on CPU a reduction to one
    number is a scalar loop, eighteen times as dear. A sum that overflows counts as not finite: such
    a gradient is of no use either.
    """
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(gradients):
        sums = leaf @ jnp.full(leaf.shape[-1], LARGE, leaf.dtype)
        total += jnp.sum(sums)
    return jnp.isfinite(total)
