"""Sparse rows as blocks of one shape, for a device."""

from typing import NamedTuple

import numpy as np

from jaxnet.data.sparse import SparseLabels, SparseRows, counts, row_of_each
from jaxnet.data.table import Array


class Flat(NamedTuple):
    """Entries one after another. rows: int32, rising; indices: int32; values: float32."""

    rows: Array
    indices: Array
    values: Array


def padded(rows: SparseRows, width: int | None = None, m: int | None = None) -> tuple[Array, Array]:
    """The rows as a block: indices int32 (m, width) and values float32 (m, width).

    What pads is index 0 with value 0: a sum of value * row over the block, and its gradient, need
    no mask, and no index is ever out of range.

    Args:
        width: at least the most entries of a row, which is the default.
        m: at least the number of rows, which is the default; rows beyond have no entries.

    Raises:
        ValueError: a row has more entries than width, or there are more rows than m.

    >>> x = SparseRows(np.array([0, 2, 2]), np.int32([1, 4]), np.float32([0.5, 2]), 5)
    >>> padded(x, 3)[0].tolist(), padded(x, 3)[1].tolist()
    ([[1, 4, 0], [0, 0, 0]], [[0.5, 2.0, 0.0], [0.0, 0.0, 0.0]])
    """
    there = _places(rows, width, m)
    indices, values = np.zeros(there.shape, np.int32), np.zeros(there.shape, np.float32)
    indices[there], values[there] = rows.indices, rows.values
    return indices, values


def padded_labels(labels: SparseLabels, width: int | None = None, m: int | None = None) -> Array:
    """The positives as a block: int32 (m, width), padded with -1. Arguments as of `padded`.

    >>> from jaxnet.data.sparse_entries import labels_of
    >>> padded_labels(labels_of([[3], [], [0, 1]], 4)).tolist()
    [[3, -1], [-1, -1], [0, 1]]
    """
    there = _places(labels, width, m)
    block = np.full(there.shape, -1, np.int32)
    block[there] = labels.indices
    return block


def flat(rows: SparseRows, size: int | None = None) -> Flat:
    """The entries with their row, for a sum over sorted segments.

    What pads is the last row, index 0 and value 0: the rows keep rising and nothing is added.

    Args:
        size: at least the number of entries, which is the default.

    Raises:
        ValueError: more entries than size; size without a row to put the padding in.

    >>> x = SparseRows(np.array([0, 2, 3]), np.int32([1, 4, 2]), np.float32([0.5, 2, 1]), 5)
    >>> flat(x, 4).rows.tolist(), flat(x, 4).values.tolist()
    ([0, 0, 1, 1], [0.5, 2.0, 1.0, 0.0])
    """
    nnz = len(rows.indices)
    more = (nnz if size is None else size) - nnz
    if more < 0 or (more and not len(rows)):
        raise ValueError(f"{nnz} entries of {len(rows)} rows do not fill {size} places")
    row = np.pad(
        row_of_each(rows).astype(np.int32), (0, more), constant_values=max(len(rows) - 1, 0)
    )
    return Flat(row, np.pad(rows.indices, (0, more)), np.pad(rows.values, (0, more)))


def _places(rows: SparseRows | SparseLabels, width: int | None, m: int | None) -> Array:
    """Which places of a block (m, width) hold an entry."""
    each = counts(rows)
    most = int(each.max(initial=0))
    width, m = most if width is None else width, len(rows) if m is None else m
    if most > width or len(rows) > m:
        raise ValueError(
            f"{len(rows)} rows of up to {most} entries do not fit into a block of {m} by {width}"
        )
    each = np.pad(each, (0, m - len(rows)))
    return np.arange(width) < each[:, None]
