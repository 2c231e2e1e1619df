"""Rows on the device, of any kind: arrays, bags of features, sets of labels."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.errors import UserError
from jaxnet.nn import bags, linear_heads
from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Positives, Sets

MOST_ENTRIES = 2**31 - 1  # what an int32 counts


def count(rows: Any) -> int:
    """How many there are.

    >>> count(np.zeros((3, 2)))
    3
    """
    return int(rows.shape[0])


def on_device(rows: Any) -> Any:
    """Rows of the host.

    Raises:
        UserError: more entries than an int32 counts.
    """
    if isinstance(rows, Bags | Sets):
        if rows.indices.shape[0] > MOST_ENTRIES:
            raise UserError(f"{rows.indices.shape[0]:,} entries of sparse rows; at most 2^31 - 1")
        rows = rows._replace(indptr=np.asarray(rows.indptr, np.int32))
    return jax.tree.map(jnp.asarray, rows)


def pick(rows: Any, at: Array) -> Any:
    """The rows at indices that are known to be inside."""
    if isinstance(rows, Bags):
        return bags.take(rows, at)
    if isinstance(rows, Sets):
        return linear_heads.chosen(rows, at)
    return rows.at[at].get(mode="promise_in_bounds")


class Blocks(NamedTuple):
    """Bags or sets in blocks of one number of rows.

    Attributes:
        rows: all of them. at: (blocks, block), which of them; what fills up is the first.
    """

    rows: Any
    at: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Blocks, and rows of each."""
        return self.at.shape[0], self.at.shape[1]


def in_blocks(rows: Any, block: int) -> Any:
    """Rows of the host in whole blocks on the device: arrays filled up with zeros, or `Blocks`.

    >>> in_blocks(np.ones((3, 2)), 2).shape
    (2, 2, 2)
    """
    number = count(rows)
    blocks = max(1, -(-number // block))
    if isinstance(rows, Bags | Sets):
        at = np.zeros(blocks * block, np.int32)
        at[:number] = np.arange(number)
        return Blocks(on_device(rows), jnp.asarray(at.reshape(blocks, block)))
    padded = np.zeros((blocks * block, *rows.shape[1:]), rows.dtype)
    padded[:number] = rows
    return jnp.asarray(padded.reshape(blocks, block, *rows.shape[1:]))


def block_of(blocks: Any, i: Any) -> Any:
    """The block with a number."""
    return pick(blocks.rows, blocks.at[i]) if isinstance(blocks, Blocks) else blocks[i]


def as_dense(y: Any, labels: int) -> Any:
    """Targets as a dense loss takes them: sets of labels as zeros and ones, all others as given."""
    return linear_heads.indicators(y, labels) if isinstance(y, Positives) else y
