"""Arrays that are spread over a mesh: by `jax.shard_map`, or by a mesh with Explicit axes.

Inside `shard_map` with `check_vma=True` JAX knows of every array along which axes it varies. An
array made to vary (`pcast`) gets its gradient summed over that axis by the transpose: that is how
dX is summed over the class axis and dW over the data axis.

With Explicit axes (what `jax.make_mesh` gives) the type of an array says how it is divided, and an
operation whose result could be divided in several ways is refused. `automatic` leaves those inside
of a function to the compiler and says how its results are divided.

Where nothing is spread all of this does nothing.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
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

    def one(array: Any) -> Any:
        missing = tuple(sorted(axes - axes_of(array)))
        return lax.pcast(array, missing, to="varying") if missing else array

    return jax.tree.map(one, tree)


def zeros(shape: tuple[int, ...], dtype: Any, *like: Array) -> Array:
    """Zeros that vary as the arrays `like` do."""
    return vary(jnp.zeros(shape, dtype), axes_of(*like))


def summed_like(tree: Any, like: Any) -> Any:
    """Gradients of arrays that are the same along some mesh axes: their sum over these.

    It is what JAX's own derivative does inside `shard_map` with `check_vma=True`.
    """

    def one(gradient: Array, array: Array) -> Array:
        missing = tuple(sorted(axes_of(gradient) - axes_of(array)))
        return lax.psum(gradient, missing) if missing else gradient

    return jax.tree.map(one, tree, like)


Axes: TypeAlias = Any  # of one dimension of an array: None, a name or several


def divided(array: Any, dimension: int = 0) -> Axes:
    """The Explicit mesh axes that a dimension of the array is divided over; None: none.

    >>> divided(jnp.zeros(3)) is None
    True
    """
    spec = jax.typeof(array).sharding.spec
    return spec[dimension] if dimension < len(spec) else None


def first_divided(*arrays: Any) -> Axes:
    """`divided` of the first dimension, of the first array where it is; None is passed over."""
    axes = (divided(array) for array in arrays if array is not None)
    return next((found for found in axes if found is not None), None)


def spec(*dimensions: Axes) -> PartitionSpec:
    """How a result is divided; a mesh axis that an earlier dimension has is left out.

    >>> spec("rows", None) == spec("rows", "rows") == PartitionSpec("rows", None)
    True
    """
    used: set[str] = set()
    kept = []
    for axes in dimensions:
        names = (axes,) if isinstance(axes, str) else tuple(axes or ())
        free = not used & set(names)
        kept.append(axes if free else None)
        used |= set(names) if free else set()
    return PartitionSpec(*kept)


def divide_alike(z: Array, y: Array) -> tuple[Array, Array]:
    """Logits [..., K] and their targets, [..., K] or [...], divided over the same Explicit axes.

    An operation of two arrays that are divided in different ways is refused by JAX. Where one of
    them is whole it takes the division of the other; where they differ, the targets follow.
    """
    dimensions = range(z.ndim)
    found = [divided(z, i) or (divided(y, i) if i < y.ndim else None) for i in dimensions]
    if all(axes is None for axes in found):
        return z, y
    mesh = jax.typeof(z if any(divided(z, i) for i in dimensions) else y).sharding.mesh
    of_z = spec(*found)

    def placed(array: Array, wanted: PartitionSpec) -> Array:
        if tuple(jax.typeof(array).sharding.spec) == tuple(wanted):
            return array
        return jax.sharding.reshard(array, NamedSharding(mesh, wanted))

    return placed(z, of_z), placed(y, PartitionSpec(*tuple(of_z)[: y.ndim]))


def specs_of(tree: Any) -> Any:
    """How each of the arrays is divided."""
    return jax.tree.map(lambda array: jax.typeof(array).sharding.spec, tree)


def automatic(function: Callable[..., Any], *arguments: Any, out: Any) -> Any:
    """function(*arguments); where they are divided over Explicit axes, the compiler takes over.

    Args:
        out: a `spec` for each result, as a tree of the form of the results.
    """
    leaves = jax.tree.leaves(arguments)
    found = [jax.typeof(leaf).sharding for leaf in leaves]
    spread = [sharding.mesh for sharding in found if any(axes for axes in sharding.spec)]
    if not spread:
        return function(*arguments)
    (mesh, *_) = spread
    names = tuple(
        name
        for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True)
        if kind == AxisType.Explicit
    )
    shardings = jax.tree.map(lambda of: NamedSharding(mesh, of), out, is_leaf=_is_spec)
    return jax.sharding.auto_axes(function, axes=names, out_sharding=shardings)(*arguments)


def _is_spec(value: Any) -> bool:
    return isinstance(value, PartitionSpec)
