"""Types of arrays inside `jax.shard_map`: over which axes of the mesh they vary."""

from typing import Any

import jax
from jax import lax


def vary_alike(tree: Any) -> Any:
    """The arrays of a tree, all varying over the mesh axes that any of them varies over.

    Inside `jax.shard_map` with `check_vma=True` the type of an array says over which axes its
    copies differ, and the rule of a `custom_vjp` must return cotangents of just those types. With
    arguments that vary alike it does; JAX itself sums the cotangents of what was replicated.

    >>> vary_alike([jax.numpy.ones(2)])[0].shape
    (2,)
    """
    leaves, structure = jax.tree.flatten(tree)
    axes = [jax.typeof(leaf).manual_axis_type.varying for leaf in leaves]
    union = frozenset().union(*axes)
    if union:
        leaves = [
            lax.pcast(leaf, tuple(sorted(union - own)), to="varying") if union - own else leaf
            for leaf, own in zip(leaves, axes, strict=True)
        ]
    return jax.tree.unflatten(structure, leaves)
