"""Tiles of the logits: z = x W^T + b for some rows and some labels, one tile at a time.

Blocks of labels follow each other, and inside a block of labels the blocks of rows; what is left
over is a smaller block of its own, so that nothing is padded, masked or copied. A tile is the only
array that grows with rows times labels.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxnet.nn.meshes import zeros
from jaxnet.nn.precision import as_words, from_words, wide_type

# Measured on two cores (bench_heads.py): 1 to 2 MiB stay in the caches, 8 MiB cost a tenth more.
CPU_TILE_BYTES = 2 * 2**20
TILE_BYTES = 32 * 2**20  # where starting a product costs more than its numbers
LEAST_BLOCKS = 16
LEAST_LABELS = 512
LEAST_ROWS = 256
SLICES = 8


class Plan(NamedTuple):
    """What is fixed when a program is compiled.

    Attributes:
        rows, labels: size of a tile.
        class_axis: the mesh axis that the classes are spread over; None: all of them are here.
        words: options that are text.
    """

    rows: int
    labels: int
    class_axis: str | None = None
    words: tuple[tuple[str, str], ...] = ()


def tile_bytes() -> int:
    """What a tile may take: 2 MiB on a CPU, 32 MiB elsewhere.

    >>> tile_bytes() in (CPU_TILE_BYTES, TILE_BYTES)
    True
    """
    return CPU_TILE_BYTES if jax.default_backend() == "cpu" else TILE_BYTES


def tile_shape(m: int, K: int, block: int | None, numbers: int) -> tuple[int, int]:
    """(rows, labels) of a tile of about so many numbers; `block` fixes the labels.

    At least 16 blocks of labels, but none below 512; rows are divided where a tile would still be
    larger, into 256 or more.

    >>> tile_shape(1024, 32_768, None, 2**19), tile_shape(256, 1_000_003, None, 2**19)
    ((1024, 512), (256, 2048))
    >>> tile_shape(1_000_000, 10, None, 2**19), tile_shape(1024, 32_768, 8192, 2**19)
    ((52428, 10), (256, 8192))
    """
    if block is None:
        block = max(min(numbers // max(m, 1), -(-K // LEAST_BLOCKS)), LEAST_LABELS)
    labels = min(block, K)
    return min(m, max(numbers // labels, LEAST_ROWS)), labels


class Span(NamedTuple):
    """Consecutive places of one axis, `start` traced and `length` not."""

    start: Any
    length: int

    def of(self, array: Array, axis: int = 0) -> Array:
        """These places of the array; all of them without a copy."""
        if self.length == array.shape[axis]:
            return array
        part = lax.dynamic_slice_in_dim(as_words(array), self.start, self.length, axis)
        return from_words(part, array)

    def put(self, array: Array, part: Array) -> Array:
        """The array with these places of its first axis replaced."""
        if self.length == array.shape[0]:
            return part
        return lax.dynamic_update_slice_in_dim(array, part, self.start, 0)

    def add(self, array: Array, part: Array) -> Array:
        """The array with the part added at these places of its first axis."""
        return self.put(array, self.of(array) + part)

    def at(self, array: Array, index: Array) -> Array:
        """array[i, index_i], 0 where the index is none of these places: (m,) of (m, length)."""
        place = index - self.start
        here = (place >= 0) & (place < self.length)
        place = jnp.clip(place, 0, self.length - 1)[:, None]
        found = jnp.take_along_axis(array, place, axis=1, mode="promise_in_bounds")[:, 0]
        return jnp.where(here, found, 0)

    def holds(self, index: Array) -> Array:
        """(len(index), length): whether the index is this place."""
        places = self.start + jnp.arange(self.length, dtype=jnp.int32)
        return index[:, None] == places[None, :]


Step: TypeAlias = Callable[[Span, Any], Any]


def over(count: int, size: int, step: Step, carry: Any) -> Any:
    """carry = step(span, carry) for the blocks of `count` places, the last of them shorter.

    >>> over(7, 3, lambda span, total: total + span.start * 10 + span.length, 0).item()
    97
    """
    if count <= size:
        return step(Span(0, count), carry)
    whole = count // size
    carry = lax.fori_loop(0, whole, lambda i, carry: step(Span(i * size, size), carry), carry)
    left = count - whole * size
    return step(Span(whole * size, left), carry) if left else carry


def logits(x: Float[Array, "m H"], W: Float[Array, "B H"], b: Float[Array, " B"]) -> Array:
    """z = x W^T + b of a tile, in float32 or wider."""
    z = _product(x, W.astype(x.dtype), 1, 1)
    return z + b.astype(z.dtype)[None, :]


def _product(left: Array, right: Array, i: int, j: int) -> Array:
    """Sum over axis i of left and j of right, added up in float32 or wider."""
    wide = wide_type(left.dtype)
    return lax.dot_general(left, right, (((i,), (j,)), ((), ())), preferred_element_type=wide)


def largest(z: Float[Array, "m B"]) -> Float[Array, " m"]:
    """max over the labels of a tile; on CPU by slices, since a reduction there is a scalar loop."""
    part = z.shape[1] // SLICES
    if part < 8 or jax.default_backend() != "cpu":
        return jnp.max(z, axis=1)
    slices = [z[:, i * part : (i + 1) * part] for i in range(SLICES)]
    found = jnp.max(reduce(jnp.maximum, slices), axis=1)
    if z.shape[1] % SLICES:
        found = jnp.maximum(found, jnp.max(z[:, SLICES * part :], axis=1))
    return found


def row_sums(tile: Float[Array, "m B"], of: Array | None = None) -> Float[Array, " m"]:
    """sum_j of_j tile_j, `of` being 1 unless given; on CPU a product, for the same reason."""
    if jax.default_backend() != "cpu":
        return jnp.sum(tile if of is None else tile * of[None, :], axis=1)
    of = jnp.ones(tile.shape[1], tile.dtype) if of is None else of.astype(tile.dtype)
    return lax.dot(tile, of, precision=lax.Precision.HIGHEST)


def read(plan: Plan, x: Array, W: Array, b: Array, tile: Callable[..., Any], carry: Any) -> Any:
    """carry = tile(z, rows, labels, carry) for every tile, block of labels by block of labels."""

    def one_block(labels: Span, carry: Any) -> Any:
        W_block, b_block = labels.of(W), labels.of(b)

        def one_tile(rows: Span, carry: Any) -> Any:
            return tile(logits(rows.of(x), W_block, b_block), rows, labels, carry)

        return over(x.shape[0], plan.rows, one_tile, carry)

    return over(W.shape[0], plan.labels, one_block, carry)


class Gradients(NamedTuple):
    """dX (m, H), dW (K, H), db (K,) and, where asked for, the losses (m,)."""

    x: Any
    W: Any
    b: Any
    losses: Any = None


# tile :: (z, rows, labels) -> (losses of the rows or None, delta), both of this tile
Tile: TypeAlias = Callable[[Array, Span, Span], tuple[Array | None, Array]]
# read :: (held, labels) -> (W, b), of the labels; write :: (held, labels, dW, db) -> held
Read: TypeAlias = Callable[[Any, Span], tuple[Array, Array]]
Write: TypeAlias = Callable[[Any, Span, Array, Array], Any]


class Sweep(NamedTuple):
    """What a sweep over the labels carries.

    Attributes:
        held: what is read and written block by block. x: dX so far, (m, H).
        losses: so far, (m,); None where the tiles have none.
    """

    held: Any
    x: Array
    losses: Any


def sweep(
    plan: Plan, x: Array, factor: Array, tile: Tile, read: Read, write: Write, start: Sweep, K: int
) -> Sweep:
    """delta factor, projected on x and W tile by tile: 6 m H K operations with the logits.

    The factors of the rows (cotangents, weights) enter before the projection; a factor of 0 takes
    the row out, whatever is in it. delta is narrowed to the type of the products, all sums are
    float32 or wider, and each block of labels is written once, when its gradient is whole.
    """
    wide = wide_type(x.dtype)
    present = factor != 0

    def one_tile(rows: Span, labels: Span, block: tuple[Array, Array], carry: Gradients) -> Any:
        x_rows, (W_block, b_block) = rows.of(x), block
        found, delta = tile(logits(x_rows, W_block, b_block), rows, labels)
        keep, scale = rows.of(present)[:, None], rows.of(factor)[:, None]
        delta = jnp.where(keep, scale * delta, 0)
        narrow = delta.astype(x.dtype)
        return Gradients(
            rows.add(carry.x, _product(narrow, W_block.astype(x.dtype), 1, 0)),
            carry.W + _product(narrow, x_rows, 0, 0),
            carry.b + jnp.sum(delta, axis=0),
            carry.losses if found is None else rows.add(carry.losses, found),
        )

    def one_block(labels: Span, carry: Sweep) -> Sweep:
        block = read(carry.held, labels)
        dW, db = (zeros(part.shape, wide, x, carry.x) for part in block)
        begin = Gradients(carry.x, dW, db, carry.losses)
        done = over(x.shape[0], plan.rows, lambda rows, c: one_tile(rows, labels, block, c), begin)
        return Sweep(write(carry.held, labels, done.W, done.b), done.x, done.losses)

    return over(K, plan.labels, one_block, start)


def gradients(
    plan: Plan, x: Array, W: Array, b: Array, factor: Array, tile: Tile, losses: Array | None = None
) -> Gradients:
    """dX, dW and db of a `sweep`, dW and db as a whole."""

    def write(held: Any, labels: Span, dW: Array, db: Array) -> Any:
        whole = zip(held, (dW.astype(W.dtype), db.astype(b.dtype)), strict=True)
        return tuple(labels.put(*both) for both in whole)

    start = Sweep(
        tuple(zeros(part.shape, part.dtype, x, W) for part in (W, b)),
        zeros(x.shape, wide_type(x.dtype), x, W),
        losses,
    )
    done = sweep(
        plan, x, factor, tile, lambda _, at: (at.of(W), at.of(b)), write, start, W.shape[0]
    )
    dW, db = done.held
    return Gradients(done.x, dW, db, done.losses)
