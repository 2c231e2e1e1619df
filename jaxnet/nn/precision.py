"""Types of numbers: what narrow types are widened to before anything is summed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def wide_type(dtype: Any) -> Any:
    """The type that losses and sums are computed in: float64 stays, anything else is float32.

    >>> wide_type(jnp.bfloat16).name
    'float32'
    """
    return np.dtype(np.float64 if jnp.dtype(dtype) == np.float64 else np.float32)


def as_words(tree: Any) -> Any:
    """The same arrays, those of bfloat16 as 16-bit words.

    XLA on CPU reads and writes a slice of bfloat16 by way of float32, of the whole array: in a loop
    over blocks it would be widened at each of them.

    >>> as_words(jnp.ones(1, jnp.bfloat16)).dtype.name
    'uint16'
    """

    def one(array: Any) -> Any:
        if array.dtype != jnp.bfloat16:
            return array
        return lax.bitcast_convert_type(array, jnp.uint16)

    return jax.tree.map(one, tree)


def from_words(tree: Any, like: Any) -> Any:
    """The arrays that `as_words` had, of the types that those of `like` have."""

    def one(array: Any, other: Any) -> Any:
        if other.dtype != jnp.bfloat16:
            return array
        return lax.bitcast_convert_type(array, jnp.bfloat16)

    return jax.tree.map(one, tree, like)
