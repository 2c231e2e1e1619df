"""A head that changes while its gradient is computed: block by block, so that dW never exists.

A block of dW is whole once all rows have been met; what is done with it there needs no other block
(an update of SGD, momentum or Adam, say). What couples the blocks, such as clipping by the norm of
the whole gradient, cannot be done here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
from jax import lax
from jaxtyping import Array, Float

from jaxnet.errors import UserError
from jaxnet.nn.linear_heads.tiles import Plan, Span, Sweep, Tile, sweep
from jaxnet.nn.meshes import axes_of, zeros
from jaxnet.nn.precision import as_words, from_words, wide_type

# change :: (first label, block of the parts, (dW, db) of it) -> the block as it shall be
Change: TypeAlias = Callable[[Any, Any, tuple[Array, Array]], Any]


class Updated(NamedTuple):
    """What `Head.update` gives.

    Attributes:
        losses: of the rows, (m,), not weighted; 0 for a row of weight 0.
        dx: d(sum_i w_i L_i)/dX, (m, H).
        parts: as given, each block of labels changed.
    """

    losses: Float[Array, " m"]
    dx: Float[Array, "m H"]
    parts: Any


def check_parts(name: str, parts: Any) -> int:
    """K, of parts that begin with W (K, H) and b (K,) and hold one row a label throughout.

    Raises:
        UserError: they do not.
    """
    leaves = jax.tree.leaves(parts)
    heads = [leaf.shape[:1] for leaf in leaves]
    if len(leaves) < 2 or len(set(heads)) != 1 or heads[0] == ():
        raise UserError(
            f"linear_heads.{name}.update takes parts (W, b, ...) whose arrays all have one row a "
            f"label; got {[leaf.shape for leaf in leaves]}"
        )
    return int(leaves[0].shape[0])


def _unchanged(block: Any, _gradients: Any) -> Any:
    return block


def run(
    plan: Plan,
    x: Array,
    factor: Array,
    tile: Tile,
    parts: Any,
    change: Change,
    losses: Any,
    when: Array,
) -> tuple[Array, Any, Any]:
    """(dX, parts, losses) of a sweep whose blocks of W and b are those that have been left so far.

    The arrays of `parts` are changed in place where the program may have them (donated arguments,
    the carry of a loop).
    """
    W = jax.tree.leaves(parts)[0]
    # Of one shard of the rows dW is a part of the sum; W is the same in all of them.
    summed = tuple(sorted(axes_of(x) - axes_of(W)))

    def block_of(held: Any, labels: Span) -> Any:
        return from_words(jax.tree.map(labels.of, held), parts)

    def read(held: Any, labels: Span) -> tuple[Array, Array]:
        W, b, *_ = jax.tree.leaves(block_of(held, labels))
        return W, b

    def write(held: Any, labels: Span, dW: Array, db: Array) -> Any:
        block = block_of(held, labels)
        found = lax.psum((dW, db), summed) if summed else (dW, db)
        # A branch is a program of its own, made before anything is written. What two parts read
        # would otherwise be read while it is written, and the compiler would copy the whole.
        changed = lax.cond(
            when, lambda block, found: change(labels.start, block, found), _unchanged, block, found
        )
        return jax.tree.map(labels.put, held, as_words(changed))

    start = Sweep(as_words(parts), zeros(x.shape, wide_type(x.dtype), x, W), losses)
    done = sweep(plan, x, factor, tile, read, write, start, W.shape[0])
    return done.x, from_words(done.held, parts), done.losses
