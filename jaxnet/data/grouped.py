"""Splits that keep the rows of a group together: no group stands in two parts.

Groups are dealt one by one, the largest first, each to the part where it brings the classes (or
labels) and the number of rows closest to the shares asked for: the part p that gets the group of
counts c makes sum_k ((wanted_pk - c_k) / total_k)^2 least, so it is the one of largest
sum_k wanted_pk c_k / total_k^2.
"""

from __future__ import annotations

import numpy as np

from jaxnet.data.table import Array


def deal(targets: Array, groups: Array, shares: Array, order: Array) -> Array:
    """The part of each row: its place in `shares`, int64 (n,).

    targets: (n,) codes or (n, K) of 0 and 1. groups: (n,) codes from 0 up. order: the rows,
    shuffled; which of equal groups comes first is decided by it.

    >>> groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> deal(np.array([0, 1] * 4), groups, np.array([0.5, 0.25, 0.25]), np.arange(8)).tolist()
    [0, 0, 0, 0, 1, 1, 2, 2]
    """
    n = len(groups)
    by_group = order[np.argsort(groups[order], kind="stable")]
    size = np.bincount(groups)
    begin = np.cumsum(size) - size
    seen, first = np.unique(groups[order], return_index=True)
    rank = np.full(len(size), n)
    rank[seen] = first
    total = _total(targets)
    wanted = shares[:, None] * total  # rows of each class, and all rows, that a part still wants
    weight = 1.0 / np.maximum(total, 1.0) ** 2
    closed = np.where(shares > 0, 0.0, -np.inf)
    parts = np.empty(n, np.int64)
    for group in np.lexsort((rank, -size)):
        if size[group] == 0:
            continue
        rows = by_group[begin[group] : begin[group] + size[group]]
        places, count = _counts(targets[rows])
        gain = wanted[:, places] @ (count * weight[places]) + closed
        part = int(np.argmax(gain))
        parts[rows] = part
        wanted[part, places] -= count
    return parts


def _total(targets: Array) -> Array:
    """Rows of each class (positive rows of each label), and last all rows."""
    if targets.ndim == 2:
        return np.append(np.count_nonzero(targets, axis=0), len(targets)).astype(np.float64)
    return np.append(np.bincount(targets.astype(np.int64)), len(targets)).astype(np.float64)


def _counts(targets: Array) -> tuple[Array, Array]:
    """Places and counts of the classes in a group; the last place is all rows."""
    if targets.ndim == 2:
        count = np.count_nonzero(targets, axis=0)
        places = np.append(np.flatnonzero(count), targets.shape[1])
        return places, np.append(count, len(targets))[places].astype(np.float64)
    classes, count = np.unique(targets.astype(np.int64), return_counts=True)
    return np.append(classes, -1), np.append(count, len(targets)).astype(np.float64)
