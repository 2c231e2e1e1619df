"""Inside `jax.shard_map`: which arrays differ along which mesh axes, and making them agree.

With `check_vma=True` JAX knows of every array along which axes it varies. An array made to vary
(`pcast`) gets its gradient summed over that axis by the transpose: that is how dX is summed over
the class axis and dW over the data axis. Outside of `shard_map` all of this does nothing.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def axes_of(*trees: Any) -> frozenset[str]:
    """Mesh axes along which any of the arrays varies.

    >>> sorted(axes_of(jnp.zeros(3)))
    []
    """
    found: frozenset[str] = frozenset()
    for leaf in jax.tree.leaves(trees):
        found |= frozenset(jax.typeof(leaf).manual_axis_type.varying)
    return found


def vary(tree: Any, axes: frozenset[str]) -> Any:
    """The arrays, varying along all of the axes."""

    def one(array: Array) -> Array:
        missing = tuple(sorted(axes - axes_of(array)))
        return lax.pcast(array, missing, to="varying") if missing else array

    return jax.tree.map(one, tree)


def zeros(shape: tuple[int, ...], dtype: Any, *like: Array) -> Array:
    """Zeros that vary as the arrays `like` do."""
    return vary(jnp.zeros(shape, dtype), axes_of(*like))
