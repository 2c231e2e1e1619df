"""Exact evaluation: every row once, padding weighs nothing, sums carried and divided once."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnet.nn import embedding, linear_heads
from jaxnet.nn.bags import Bags
from jaxnet.nn.embedding import Network
from jaxnet.nn.linear_heads import Positives
from jaxnet.nn.losses import LOSSES
from jaxnet.training import calibration, head_step
from jaxnet.training.epoch import Program
from jaxnet.training.metrics import probability
from jaxnet.training.pace import Pace
from jaxnet.training.rows import as_dense, block_of, count, in_blocks, on_device, pick
from jaxnet.training.tasks import DEPTHS, Sums, find_task, hit_sums, log_losses, probabilities

BLOCK = 1024
SMALL_BLOCK = 64


def block_size(rows: int) -> int:
    """Rows of one block: all of them where they are few."""
    return min(BLOCK, max(1, rows))


def sums(program: Program, task_name: str, activation: str) -> Callable[..., Sums]:
    """Sums of losses and the task's counts over some blocks of rows, added to those before.

    The call is (total, params, x, y, rows, first, count, weights): total from `no_sums`, x, y and
    weights in blocks, rows in all, the first block and how many. Blocks are added one after the
    other, so it is the same number however they are dealt out to calls. Without weights every row
    counts 1.
    """
    of_block = _of_block(program, task_name, activation)

    def run(
        total: Sums,
        params: Any,
        x: Any,
        y: Any,
        rows: Any,
        first: Any,
        count: Any,
        row_weights: Any = None,
    ) -> Sums:
        block = x.shape[1]

        def body(i: Array, total: Sums) -> Sums:
            weights = (i * block + jnp.arange(block) < rows).astype(jnp.float32)
            if row_weights is not None:
                weights = weights * row_weights[i]
            found = of_block(params, block_of(x, i), block_of(y, i), weights)
            return jax.tree.map(jnp.add, total, found)

        return lax.fori_loop(first, first + count, body, total)

    return run


def _of_block(program: Program, task_name: str, activation: str) -> Callable[..., Sums]:
    """(params, x, y, weights) -> sums of one block."""
    if program.head == "linear_blocks":
        return _of_head(program)
    task, loss = find_task(task_name), LOSSES[program.loss]

    def of_block(params: Any, x: Any, y: Any, weights: Array) -> Sums:
        z = embedding.forward(params, x, **program.network)
        y = as_dense(y, z.shape[1])
        a = probabilities(task, z, activation)
        losses = loss.plain(z, y, **dict(program.options))
        exact = log_losses(task, z, a, y, activation)
        ranking = z if activation == task.activation else a  # a is 1 beyond a logit of 17
        return {**_means(weights, losses, exact), **task.sums(a, y, weights, ranking)}

    return of_block


def _of_head(program: Program) -> Callable[..., Sums]:
    """The same without logits: no threshold is put to all outputs, the best ones are looked at."""
    call = head_step.call_of(program.loss, program.network, dict(program.options), program.block)

    def of_block(params: Any, x: Any, y: Positives, weights: Array) -> Sums:
        body, (W, b) = head_step.split(params)
        labels = jnp.asarray(y.indices)
        a = call.hidden(body, x, ())
        losses = exact = call.head(a, W, b, y, **call.keywords)
        if set(program.options) - {("labels", "sum")}:  # else both are the same number
            exact = call.head(a, W, b, y, **call.without_options)
        k = min(DEPTHS[-1], W.shape[0])
        best = linear_heads.top_k(a, W, b, k, compute_dtype=call.network["compute_dtype"])
        hits = jnp.any(best.labels[:, :, None] == labels[:, None, :], axis=2)
        number = jnp.sum(weights) * W.shape[0]
        return {**_means(weights, losses, exact), "labels": number, **hit_sums(hits, weights)}

    return of_block


def _means(weights: Array, losses: Array, exact: Array) -> Sums:
    return {
        "weight": jnp.sum(weights),
        "loss": jnp.sum(jnp.where(weights > 0, weights * losses, 0)),
        "log_loss": jnp.sum(jnp.where(weights > 0, weights * exact, 0)),
    }


def row_losses(program: Program) -> Callable[..., Array]:
    """(params, x, y) -> the loss of each row, (m,)."""
    options = dict(program.options)
    if program.head == "linear_blocks":
        call = head_step.call_of(program.loss, program.network, options, program.block)

        def of_head(params: Network, x: Any, y: Any) -> Array:
            body, (W, b) = head_step.split(params)
            return call.head(call.hidden(body, x, ()), W, b, y, **call.keywords)

        return of_head

    def of_rows(params: Network, x: Any, y: Any) -> Array:
        z = embedding.forward(params, x, **program.network)
        return LOSSES[program.loss].plain(z, as_dense(y, z.shape[1]), **options)

    return of_rows


@lru_cache(maxsize=64)
def compiled_sums(program: Program, task_name: str, activation: str) -> Callable[..., Sums]:
    """`sums`, compiled once for each shape of data."""
    return jax.jit(sums(program, task_name, activation))


def no_sums(program: Program, task_name: str, activation: str, params: Any, x: Any, y: Any) -> Sums:
    """The sums over no block at all."""
    of_block = _of_block(program, task_name, activation)
    shapes = jax.eval_shape(of_block, params, block_of(x, 0), block_of(y, 0), jnp.zeros(x.shape[1]))
    return jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), shapes)


def measurer(
    program: Program,
    x: Any,
    y: Any,
    weights: np.ndarray | None,
    *,
    task: str,
    activation: str,
) -> Callable[[Network, Callable[[], None]], dict[str, float]]:
    """(params, poll) -> the task's metrics on rows that stay on the device.

    `poll` is called about once a second; what it raises ends the measuring.
    """
    run = compiled_sums(program, task, activation)
    rows = count(x)
    block = block_size(rows)
    blocks_x, blocks_y = in_blocks(x, block), in_blocks(y, block)
    blocks_w = None if weights is None else in_blocks(weights, block)
    pace = Pace()
    empty: list[Sums] = []  # traced once

    def measure(params: Network, poll: Callable[[], None]) -> dict[str, float]:
        if not empty:
            empty.append(no_sums(program, task, activation, params, blocks_x, blocks_y))
        total, first = empty[0], 0
        while first < blocks_x.shape[0]:
            poll()
            turns = min(pace.turns(), blocks_x.shape[0] - first)
            begun = time.perf_counter()
            args = (params, blocks_x, blocks_y, rows, first, turns, blocks_w)
            total = jax.block_until_ready(run(total, *args))
            pace.took(turns, time.perf_counter() - begun)
            first += turns
        return metrics(task, total)

    return measure


def metrics(task_name: str, totals: Sums) -> dict[str, float]:
    """The task's metrics from the carried sums, as far as these tell them."""
    numbers = {name: float(value) for name, value in totals.items()}
    found = {name: of(numbers) for name, of in find_task(task_name).metrics.items()}
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=64)
def _predictor(network: tuple[tuple[str, Any], ...]) -> Callable[..., Array]:
    return jax.jit(lambda params, x: embedding.forward(params, x, **dict(network)))


def logits(
    params: Network,
    x: Any,
    *,
    network: dict[str, Any],
    poll: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "n k"]:
    """z_L of every row, (n, outputs) float32.

    A row's result does not depend on the rows beside it: every block has the same shape.

    Args:
        network: keywords of `embedding.forward`, as `Program.network` gives them.
        poll: called before each block of rows; what it raises ends the prediction.
    """
    run = _predictor(tuple(sorted(network.items())))
    if not count(x):
        return np.zeros((0, params.layers[-1].b.shape[0]), np.float32)
    if isinstance(x, Bags):
        return np.concatenate(
            [part for (part,) in over_blocks(lambda b: (run(params, b),), x, poll)]
        )
    return _in_equal_blocks(partial(run, params), x, poll)


def over_blocks(
    run: Callable[[Any], tuple[Any, ...]], rows: Any, poll: Callable[[], None] = lambda: None
) -> Iterator[tuple[np.ndarray, ...]]:
    """What `run` makes of blocks of rows of one shape, on the host, without what filled them up.

    Args:
        run: block -> arrays with a row for each of its rows.
        rows: of any kind (see `training.rows`), or several of them in a tuple.
        poll: called before each block; what it raises ends the work.
    """
    several = type(rows) is tuple
    parts = [on_device(part) for part in (rows if several else (rows,))]
    n = count(parts[0])
    block = BLOCK if n > SMALL_BLOCK else SMALL_BLOCK
    for start in range(0, n, block):
        poll()
        at = jnp.asarray(np.minimum(np.arange(start, start + block), n - 1), jnp.int32)
        chosen = tuple(pick(part, at) for part in parts)
        found = run(chosen if several else chosen[0])
        yield tuple(np.asarray(part)[: n - start] for part in found)


def _in_equal_blocks(
    run: Callable[[Any], Any], rows: np.ndarray, poll: Callable[[], None] = lambda: None
) -> np.ndarray:
    """`run` of all rows in blocks of one shape, so that it is compiled once.

    Larger blocks leave the processor's cache and gain nothing.
    """
    block = BLOCK if len(rows) > SMALL_BLOCK else SMALL_BLOCK
    parts = []
    for start in range(0, len(rows), block):
        poll()
        part = rows[start : start + block]
        padded = np.zeros((block, *rows.shape[1:]), np.float32)
        padded[: len(part)] = part
        parts.append(np.asarray(run(padded))[: len(part)])
    return np.concatenate(parts)


@lru_cache(maxsize=64)
def _other_outputs(task_name: str, activation: str) -> Callable[..., Array]:
    return jax.jit(lambda z: probabilities(find_task(task_name), z, activation))


class Outputs(NamedTuple):
    """What a model says of n rows, as the metrics take it: binary (n,), else (n, K); float64.

    Attributes:
        p: probabilities.
        logits: calibrated: p is their sigmoid or softmax, and rounds where they do not. None where
            the outputs stand behind another activation than the task's own: p is all there is.
    """

    p: np.ndarray
    logits: np.ndarray | None

    @property
    def ranking(self) -> np.ndarray:
        """What ranks the outputs of a row."""
        return self.p if self.logits is None else self.logits


def outputs_of(
    task_name: str, z: Float[np.ndarray, "n k"], activation: str, temperature: float = 1.0
) -> Outputs:
    """Logits of the network, (n, outputs), over a temperature, and the probabilities they mean.

    >>> outputs_of("binary", np.float32([[0.0], [400.0]]), "sigmoid", 2.0)
    Outputs(p=array([0.5, 1. ]), logits=array([  0., 200.]))
    """
    p = probabilities_of(task_name, z, activation, temperature)
    calibrated = None
    if activation == find_task(task_name).activation:
        calibrated = np.asarray(z, np.float64) / temperature
    if task_name == "binary":
        return Outputs(p[:, 0], None if calibrated is None else calibrated[:, 0])
    return Outputs(p, calibrated)


def probabilities_of(
    task_name: str, z: Float[np.ndarray, "n k"], activation: str, temperature: float = 1.0
) -> Float[np.ndarray, "n k"]:
    """Probabilities of logits over a temperature, f(z / T), (n, outputs) float64.

    In float32 a sure mistake would round to the certain one.

    >>> probabilities_of("binary", np.float32([[0.0], [40.0]]), "sigmoid").round(3).tolist()
    [[0.5], [1.0]]
    """
    if activation == find_task(task_name).activation:
        return calibration.soften(z, task_name, temperature)
    scaled = np.asarray(z, np.float64) / temperature
    if not len(z):
        return scaled
    run = _other_outputs(task_name, activation)
    return _in_equal_blocks(run, scaled.astype(np.float32)).astype(np.float64)


def row_log_losses(
    task_name: str, z: np.ndarray, y: np.ndarray, activation: str, temperature: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Negative log likelihood of each row, (n,) float64; of several labels their mean.

    Args:
        z: logits (n, outputs).
        y: targets as the loss takes them: binary (n, 1), classes (n,), labels (n, K).

    >>> row_log_losses("binary", np.zeros((1, 1)), np.ones((1, 1)), "sigmoid").round(4).tolist()
    [0.6931]
    """
    found = outputs_of(task_name, z, activation, temperature)
    if task_name == "multiclass":
        return probability.log_losses(task_name, found.p, y, found.logits)
    true = (y[:, 0] if task_name == "binary" else y) >= 0.5
    losses = probability.log_losses(task_name, found.p, true, found.logits)
    return losses if task_name == "binary" else losses.mean(axis=1)
