"""Arguments of linear heads: shapes, types, options, and what has no gradient."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from jaxnet.errors import UserError
from jaxnet.nn.linear_heads.targets import Positives, Targets
from jaxnet.nn.linear_heads.tiles import Plan, tile_bytes, tile_shape
from jaxnet.nn.losses import Loss
from jaxnet.nn.losses.layout import ShapeError
from jaxnet.nn.meshes import axes_of, vary
from jaxnet.nn.precision import wide_type

Options: TypeAlias = dict[str, Array]


class Arrays(NamedTuple):
    """x, W, b and weights after the checks; x has the type of the products."""

    x: Array
    W: Array
    b: Array
    weights: Array | None

    @property
    def wide(self) -> Any:
        """The type of logits, losses and sums."""
        return wide_type(self.x.dtype)


def check(
    name: str,
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    weights: ArrayLike | None,
    block: int | None,
    class_axis: str | None,
    compute_dtype: Any = None,
) -> Arrays:
    """The arrays, or the error that says which of them does not fit.

    Raises:
        ShapeError: shapes or types that do not fit.
        UserError: a block of less than one label, or a class axis that W does not vary along, under
            which sums would be missing.
    """
    x, W, b = jnp.asarray(x), jnp.asarray(W), jnp.asarray(b)
    fits = x.ndim == 2 and W.ndim == 2 and x.shape[1] == W.shape[1] and W.shape[0] > 0
    if not fits or b.shape != W.shape[:1]:
        raise ShapeError(
            f"linear_heads.{name} takes x (m, H), W (K, H) and b (K,); "
            f"got {x.shape}, {W.shape} and {b.shape}"
        )
    if not all(jnp.issubdtype(array.dtype, jnp.floating) for array in (x, W, b)):
        raise ShapeError(
            f"linear_heads.{name} takes floating-point x, W and b; "
            f"got {x.dtype}, {W.dtype} and {b.dtype}"
        )
    if block is not None and (isinstance(block, bool) or block != int(block) or block < 1):
        raise UserError(f"block is a number of labels, 1 or more, or None; got {block!r}")
    if class_axis is not None and class_axis not in axes_of(W):
        raise UserError(
            f"W is not divided along class_axis={class_axis!r}: call inside jax.shard_map(..., "
            f"check_vma=True) with W's in_specs P({class_axis!r}, None). With check_vma=False the "
            "gradients would not be summed over the devices"
        )
    x = x.astype(compute_dtype or np.promote_types(x.dtype, W.dtype))
    if weights is None:
        return Arrays(x, W, b, None)
    w = jnp.asarray(weights).astype(wide_type(x.dtype))
    if w.shape != x.shape[:1]:
        raise ShapeError(f"weights are one number a row of x, {x.shape[:1]}; got {w.shape}")
    return Arrays(x, W, b, w)


def part_options(
    loss: Loss, options: Mapping[str, Any], K: int, wide: Any
) -> tuple[tuple[tuple[str, str], ...], Options]:
    """(options that are text, options that are numbers), checked by the dense loss.

    Raises:
        UserError: an option that the dense loss does not take, or of another shape than it takes.
    """
    sample = jax.ShapeDtypeStruct((1, K), wide)
    label = jax.ShapeDtypeStruct((1, K), wide)
    given = {name: option for name, option in options.items() if option is not None}
    words = {name: option for name, option in given.items() if isinstance(option, str)}
    numbers = {name: jnp.asarray(v, wide) for name, v in given.items() if name not in words}
    shapes = {name: jax.ShapeDtypeStruct(v.shape, v.dtype) for name, v in numbers.items()}
    # Traced for its checks alone: nothing is computed.
    jax.eval_shape(
        lambda z, y, numbers: loss.plain(z, y, **words, **numbers), sample, label, shapes
    )
    return tuple(sorted(words.items())), numbers


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _constant(what: str, array: Array) -> Array:
    return array


# tangent :: (array, d array) -> error
@_constant.defjvp
def _no_tangent(what: str, _primals: Any, _tangents: Any) -> Any:
    raise UserError(
        f"{what} has no gradient in a linear head; take it from forward_mode, "
        "or hide it with jax.lax.stop_gradient"
    )


def refuse_gradient(name: str, targets: Targets, options: Options) -> tuple[Targets, Options]:
    """The same arrays, which refuse to be differentiated rather than have a gradient of 0."""
    fixed = {k: _constant(f"{k} of linear_heads.{name}", v) for k, v in options.items()}
    values = targets.values
    if not isinstance(values, Positives) and jnp.issubdtype(values.dtype, jnp.floating):
        values = _constant(f"the targets of linear_heads.{name}", values)
    return Targets(values, targets.known), fixed


def place(
    arrays: Arrays,
    targets: Targets,
    options: Options,
    block: int | None,
    class_axis: str | None,
    words: tuple[tuple[str, str], ...],
) -> tuple[Plan, tuple[Array, Array, Array, Targets, Options]]:
    """The plan, and x, W and b varying along the same mesh axes."""
    x, W, b = arrays.x, arrays.W, arrays.b
    m, K = x.shape[0], W.shape[0]
    numbers = tile_bytes() // arrays.wide.itemsize
    plan = Plan(*tile_shape(m, K, block, numbers), class_axis, words)
    x, W, b = vary((x, W, b), axes_of(x, W, b, targets, options))
    return plan, (x, W, b, targets, options)
