"""Types of numbers: what narrow types are widened to before anything is summed."""

from typing import Any

import jax.numpy as jnp
import numpy as np


def wide_type(dtype: Any) -> Any:
    """The type that losses and sums are computed in: float64 stays, anything else is float32.

    >>> wide_type(jnp.bfloat16).name
    'float32'
    """
    return np.dtype(np.float64 if jnp.dtype(dtype) == np.float64 else np.float32)
