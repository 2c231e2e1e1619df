"""Where the cells of numeric columns lie: least value, quartiles, largest value, missing cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxnet.data.table import Array

_QUARTILES = (0.25, 0.5, 0.75)


class Spread(NamedTuple):
    """Of each column of a block (n, columns), over its cells that are not missing; float64.

    A column whose cells are all missing has zeros. missing: number of missing cells, int64.
    """

    low: Array
    q25: Array
    median: Array
    q75: Array
    high: Array
    missing: Array


def spread(block: Array) -> Spread:
    """Quantiles as NumPy's: linear between neighbours. NaN is missing.

    >>> found = spread(np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 7.0]]))
    >>> found.median, found.missing
    (array([2., 6.]), array([0, 1]))
    """
    if block.dtype.itemsize == 1:
        low, q25, median, q75, high = _counted(block)
        return Spread(low, q25, median, q75, high, np.zeros(block.shape[1], np.int64))
    cells = block.astype(np.float64)
    missing = np.count_nonzero(np.isnan(cells), axis=0)
    low, q25, median, q75, high = without_gaps(_ordered, 5, cells)
    return Spread(low, q25, median, q75, high, np.asarray(missing, np.int64))


def mean_and_deviation(block: Array) -> Array:
    """Mean and population standard deviation of each column: (2, columns).

    >>> mean_and_deviation(np.array([[1.0], [3.0], [np.nan]]))
    array([[2.],
           [1.]])
    """
    return without_gaps(_moments, 2, block.astype(np.float64))


def without_gaps(measure: Callable[[Array], Array], number: int, cells: Array) -> Array:
    """`number` measures of each column's cells that are not missing; 0 where all are."""
    gaps = np.isnan(cells)
    holed = gaps.any(axis=0)
    if not holed.any():
        return measure(cells)
    out = np.zeros((number, cells.shape[1]))
    if not holed.all():
        out[:, ~holed] = measure(cells[:, ~holed])
    for column in np.flatnonzero(holed):
        kept = cells[~gaps[:, column], column]
        if kept.size:
            out[:, [column]] = measure(kept[:, None])
    return out


def _ordered(cells: Array) -> Array:
    low, high = cells.min(axis=0), cells.max(axis=0)
    q25, median, q75 = np.quantile(cells, _QUARTILES, axis=0)
    return np.stack([low, q25, median, q75, high])


def _moments(cells: Array) -> Array:
    return np.stack([cells.mean(axis=0), cells.std(axis=0)])


def _counted(block: Array) -> list[Array]:
    """Order statistics of columns of 8 bits by counting the values.

    Several times faster than sorting for images.
    """
    lowest = -128 if block.dtype.kind == "i" else 0
    columns = np.ascontiguousarray((block.astype(np.int16) - lowest).astype(np.uint8).T)
    number = np.stack([np.bincount(column, minlength=256) for column in columns])
    up_to = np.cumsum(number, axis=1)  # rows with a value up to this one

    def ordered(k: int) -> Array:
        """The k-th smallest value of each column, from 0."""
        return (up_to <= k).sum(axis=1).astype(np.float64) + lowest

    n = len(block)
    found = [ordered(0)]
    for quantile in _QUARTILES:
        place = quantile * (n - 1)
        below, above = ordered(int(place)), ordered(min(int(place) + 1, n - 1))
        found.append(below + (above - below) * (place - int(place)))
    return [*found, ordered(n - 1)]
