"""Exact evaluation: every row once, padding weighs nothing, sums carried and divided once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.nn.losses import LOSSES
from jaxnet.training.epoch import Program
from jaxnet.training.tasks import Sums, Task, find_task, log_losses, probabilities

BLOCK = 1024
SMALL_BLOCK = 64


def in_blocks(array: np.ndarray, block: int = BLOCK) -> Array:
    """Rows padded with zeros to whole blocks, (blocks, block, ...), on the device."""
    blocks = max(1, -(-len(array) // block))
    padded = np.zeros((blocks * block, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return jnp.asarray(padded.reshape(blocks, block, *array.shape[1:]))


def block_size(rows: int) -> int:
    """Rows of one block: all of them where they are few."""
    return min(BLOCK, max(1, rows))


def sums(program: Program, task_name: str, activation: str) -> Callable[..., Sums]:
    """(params, x, y and perhaps weights in blocks, rows) -> sums of losses and the task's counts.

    The call is (params, x, y, rows, weights); without weights every row counts 1.
    """
    task, loss = find_task(task_name), LOSSES[program.loss]

    def of_block(params: Any, x: Array, y: Array, weights: Array) -> Sums:
        z = embedding.forward(params, x, **program.network)
        a = probabilities(task, z, activation)
        losses = loss.plain(z, y, **dict(program.options))
        exact = log_losses(task, z, a, y, activation)
        return {
            "weight": jnp.sum(weights),
            "loss": jnp.sum(jnp.where(weights > 0, weights * losses, 0)),
            "log_loss": jnp.sum(jnp.where(weights > 0, weights * exact, 0)),
            **task.sums(a, y, weights),
        }

    def run(params: Any, x: Array, y: Array, rows: Any, row_weights: Any = None) -> Sums:
        block = x.shape[1]

        def body(i: Array, total: Sums) -> Sums:
            weights = (i * block + jnp.arange(block) < rows).astype(jnp.float32)
            if row_weights is not None:
                weights = weights * row_weights[i]
            return jax.tree.map(jnp.add, total, of_block(params, x[i], y[i], weights))

        empty = jax.eval_shape(of_block, params, x[0], y[0], jnp.zeros(block))
        return lax.fori_loop(0, x.shape[0], body, jax.tree.map(jnp.zeros_like, empty))

    return run


@lru_cache(maxsize=64)
def compiled_sums(program: Program, task_name: str, activation: str) -> Callable[..., Sums]:
    """`sums`, compiled once for each shape of data."""
    return jax.jit(sums(program, task_name, activation))


def metrics(task_name: str, totals: Sums) -> dict[str, float]:
    """The task's metrics from the carried sums."""
    numbers = {name: float(value) for name, value in totals.items()}
    return {name: of(numbers) for name, of in find_task(task_name).metrics.items()}


@lru_cache(maxsize=64)
def _predictor(network: tuple[tuple[str, Any], ...]) -> Callable[..., Array]:
    return jax.jit(lambda params, x: embedding.forward(params, x, **dict(network)))


def predict(
    params: Network,
    x: Float[np.ndarray, "n d"],
    *,
    network: dict[str, Any],
    task_name: str,
    activation: str,
) -> Float[np.ndarray, "n k"]:
    """Probabilities of every row, (n, outputs) float64.

    A row's result does not depend on the rows beside it: every block has the same shape.
    """
    run = _predictor(tuple(sorted(network.items())))
    block = BLOCK if len(x) > SMALL_BLOCK else SMALL_BLOCK
    parts = [_logits(run, params, x[i : i + block], block) for i in range(0, len(x), block)]
    z = np.concatenate(parts) if parts else np.zeros((0, params.layers[-1].b.shape[0]), np.float32)
    return _exact(find_task(task_name), z, activation)


def _logits(run: Any, params: Any, x: np.ndarray, block: int) -> np.ndarray:
    padded = np.zeros((block, x.shape[1]), np.float32)
    padded[: len(x)] = x
    return np.asarray(run(params, padded))[: len(x)]


def _exact(task: Task, z: np.ndarray, activation: str) -> np.ndarray:
    """Probabilities in float64: in float32 a sure mistake would round to the certain one."""
    if activation != task.activation:
        return np.asarray(probabilities(task, jnp.asarray(z), activation), np.float64)
    z = z.astype(np.float64)
    if activation == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))
