"""What sparse rows and heads without logits ask for, beyond what `job` asks of every config."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxnet.config import Config
from jaxnet.config.check_sparse import against_blocks
from jaxnet.data import sparse
from jaxnet.data.dataset import Dataset
from jaxnet.data.sparse import SparseLabels, SparseRows
from jaxnet.errors import UserError
from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Sets
from jaxnet.training import needs
from jaxnet.training.tasks import Task, as_targets

MANY_LABELS = 4096  # from here on logits cost more than the blocks do


def inputs(x: Any) -> Any:
    """Encoded rows as `jaxnet.training` takes them: arrays as they are, sparse rows as `Bags`."""
    return Bags(x.indptr, x.indices, x.values) if isinstance(x, SparseRows) else x


def targets(task: Task, y: Any, head: str) -> Any:
    """Labels as the losses take them: `as_targets`, or `Sets` of the positives.

    Args:
        head: "dense", or "linear_blocks", which reads sets.
    """
    if head == "linear_blocks":
        y = as_sets(y)
    if not isinstance(y, SparseLabels):
        return as_targets(task, y)
    most = int(sparse.counts(y).max(initial=1))
    return Sets(y.indptr, y.indices, np.arange(most, dtype=np.int32))


def as_sets(y: Any) -> SparseLabels:
    """Labels of the host, zeros and ones (n, K) or sets of labels, as sets.

    >>> as_sets(np.array([[0, 1], [1, 1]])).indices.tolist()
    [1, 0, 1]
    """
    if isinstance(y, SparseLabels):
        return y
    rows, labels = np.nonzero(y)
    indptr = sparse.ends(np.bincount(rows, minlength=len(y)))
    return SparseLabels(indptr, labels.astype(np.int32), y.shape[1])


def indicators(y: Any) -> Any:
    """Labels of the host as metrics of a dense head take them: sets as zeros and ones (n, K)."""
    if not isinstance(y, SparseLabels):
        return y
    found = np.zeros(y.shape, np.float32)
    found[sparse.row_of_each(y), y.indices] = 1
    return found


def bag_spread(x: Any, scheme: str) -> float | None:
    """Deviation of a first layer of bags at which z_1 has the variance that the scheme wants.

    Rows of length l give z_1 a variance of (l spread)^2: 2 for he, else 1. None for arrays.

    >>> bag_spread(np.zeros((2, 3)), "he")
    """
    if not isinstance(x, SparseRows):
        return None
    lengths = sparse.norms(x).astype(np.float64)
    square = float(np.mean(lengths**2)) if len(x) else 0.0
    return math.sqrt((2.0 if scheme == "he" else 1.0) / (square or 1.0))


def head(config: Config, labels: int) -> str:
    """The head that the config asks for: "dense" or "linear_blocks".

    auto is linear_blocks from 4,096 labels on, where nothing is asked for that this one has not.

    Args:
        labels: K.
    """
    if config.model.head != "auto":
        return config.model.head
    fits = labels >= MANY_LABELS and not any(against_blocks(config))
    return "linear_blocks" if fits else "dense"


def check_depth(config: Config, labels: int) -> None:
    """Refuse to stop by the best k of fewer labels.

    Raises:
        UserError: names the key.
    """
    stopping = config.training.early_stopping
    if stopping is None or not stopping.metric.startswith("precision_at_"):
        return
    k = int(stopping.metric.removeprefix("precision_at_"))
    if labels < k:
        raise UserError(
            f"training.early_stopping.metric: {stopping.metric} needs {k} labels, and there are "
            f"{labels}"
        )


def held(data: Dataset) -> needs.RowBytes | None:
    """Bytes of the rows on the device; None for rows that are arrays."""
    if not isinstance(data.x_train, SparseRows):
        return None
    return needs.RowBytes(
        *(_held(x, y) for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val)))
    )


def _held(x: SparseRows, y: SparseLabels) -> int:
    return 4 * (2 * len(x.indices) + len(y.indices) + 2 * len(x) + 2)
