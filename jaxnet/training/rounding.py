"""Stochastic rounding: what is too small for a narrow type is kept on average.

An update of 1e-3 to a weight of 1 is lost in bfloat16, whose next number is 1.0078: rounded to the
nearest, the weight never moves. Rounded up with a chance in proportion to what is lost, it moves as
it should in the mean (Gupta et al. 2015).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnet.errors import UserError

ROUNDING = 0x85EBCA6B  # parts these random numbers from those of dropout


def rounded(
    x: Float[Array, "..."], dtype: Any, seed: Array, step: Array, block: Any
) -> Float[Array, "..."]:
    """float32 x in bfloat16: one of its two neighbours, by chances that keep the mean.

    Drawn from (seed, step, block) alone, so that a run that goes on rounds alike. Numbers that
    bfloat16 holds stay as they are, and so does what is not finite.

    Args:
        block: a number of the part of the array that this is, such as its first row.

    Raises:
        UserError: another pair of types.

    >>> x = rounded(jnp.full((1000,), 1.001), jnp.bfloat16, jnp.uint32(0), jnp.int32(0), 0)
    >>> sorted(set(x.tolist())), abs(float(x.astype(jnp.float32).mean()) - 1.001) < 4e-4
    ([1.0, 1.0078125], True)
    """
    if (x.dtype, jnp.dtype(dtype)) != (np.float32, jnp.bfloat16):
        raise UserError(f"stochastic rounding takes float32 to bfloat16, not {x.dtype} to {dtype}")
    words = jnp.stack([seed ^ np.uint32(ROUNDING), step.astype(jnp.uint32)])
    key = jax.random.fold_in(jax.random.wrap_key_data(words, impl="threefry2x32"), block)
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    # bfloat16 is the upper half of float32: added below it, 16 random bits carry by chance.
    moved = bits + jax.random.bits(key, x.shape, jnp.uint16).astype(jnp.uint32)
    kept = jnp.where(jnp.isfinite(x), moved, bits)
    upper = (kept >> 16).astype(jnp.uint16)
    return lax.bitcast_convert_type(upper, jnp.bfloat16)
