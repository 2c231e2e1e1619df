"""A table on the host: features and labels as they were given, before any split or encoding."""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Table(NamedTuple):
    """Features and labels of n rows, as read.

    x: (n, d), any real dtype; 8-bit images stay 8-bit until they are encoded.
    y: (n,) of any kind that `labels.validate` knows, or (n, K) of 0 and 1 for multi-label.
    names: class names (in the order of the sorted classes) or label names; None if not given.
    notes: what a reader should know about the reading, one sentence each.
    """

    x: Array
    y: Array
    feature_names: tuple[str, ...]
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
