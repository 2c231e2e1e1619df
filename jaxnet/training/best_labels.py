"""The best labels of every row, and the loss of every row, from a head that keeps no logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.nn import linear_heads
from jaxnet.nn.embedding import Network
from jaxnet.training import evaluate, head_step
from jaxnet.training.epoch import Program

BEST = 100  # labels a row that are looked at: no row is decided to have more
MOST_TRAIN = 20_000  # training rows that are measured at the end of a run


class BestLabels(NamedTuple):
    """Of each row the labels with the largest logits, the largest first.

    Attributes:
        labels: (n, k) int32. logits: (n, k) float32.
    """

    labels: np.ndarray
    logits: np.ndarray


def best_labels(
    params: Network,
    x: Any,
    k: int,
    *,
    network: Mapping[str, Any],
    poll: Callable[[], None] = lambda: None,
) -> BestLabels:
    """The k best labels of every row, in one sweep over the last layer's W a block of rows.

    Args:
        x: (n, d) float32, or `Bags`, on the host.
        k: at most the number of labels.
        network: keywords of `embedding.hidden`, as `Program.network` gives them.
        poll: called before each block of rows; what it raises ends the work.
    """
    run = _ranker(tuple(sorted(network.items())), k)
    none = np.zeros((0, k), np.int32), np.zeros((0, k), np.float32)
    found = [none, *evaluate.over_blocks(lambda rows: run(params, rows), x, poll)]
    return BestLabels(*(np.concatenate(part) for part in zip(*found, strict=True)))


def losses(
    program: Program, params: Network, x: Any, y: Any, poll: Callable[[], None] = lambda: None
) -> np.ndarray:
    """The cross-entropy of each row, summed over its labels, without weights and smoothing, (n,).

    Whatever block the program has, it is taken in blocks of the usual size: a model that is
    measured again, without its program, gives the same numbers.

    Args:
        x, y: rows on the host, as `fit.Rows` has them.
    """
    run = _plain_losses(program)
    found = evaluate.over_blocks(lambda rows: (run(params, *rows),), (x, y), poll)
    return np.concatenate([np.zeros(0, np.float32), *(part for (part,) in found)])


@lru_cache(maxsize=16)
def _ranker(network: tuple[tuple[str, Any], ...], k: int) -> Callable[..., Any]:
    """Compiled once for each shape of the rows."""
    call = head_step.call_of("multilabel_cross_entropy", dict(network), {}, None)
    compute_dtype = dict(network)["compute_dtype"]

    def ranked(params: Network, x: Any) -> Any:
        body, (W, b) = head_step.split(params)
        best = linear_heads.top_k(call.hidden(body, x, ()), W, b, k, compute_dtype=compute_dtype)
        return best.labels, best.logits

    return jax.jit(ranked)


@lru_cache(maxsize=16)
def _plain_losses(program: Program) -> Callable[..., Any]:
    call = head_step.call_of(program.loss, program.network, {}, None)

    def plain(params: Network, x: Any, y: Any) -> Any:
        body, (W, b) = head_step.split(params)
        return call.head(call.hidden(body, x, ()), W, b, y, **call.without_options)

    return jax.jit(plain)
