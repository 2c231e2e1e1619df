"""The gradient of a run's own loss, on its own logits: how exact, and how exact autodiff would be.

The closed form, in float32 as training computes it, and autodiff of the form that is usual
elsewhere stand beside the closed form in float64, which finite differences of the float64 loss
confirm. Errors are measured as in `jaxnet.nn.gradcheck`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxnet.nn.gradcheck.checks import limit_of
from jaxnet.nn.gradcheck.engines import UNOPTIMISED, usual_losses
from jaxnet.nn.gradcheck.measure import (
    DIFFERENCES_LIMIT,
    FLOOR,
    Reference,
    contradiction,
    errors,
    resolved,
)
from jaxnet.nn.gradcheck.points import Batch, Pair, arguments, widen
from jaxnet.nn.gradcheck.reference import differences
from jaxnet.nn.losses import LOSSES
from jaxnet.training.epoch import Program

ROWS, POINTS = 256, 400
ENTRIES = 2**18  # logits that are looked at: fewer rows where there are many classes


def prove(
    program: Program, logits: Float[np.ndarray, "n k"], y: np.ndarray, *, label_smoothing: Any = 0.0
) -> dict[str, Any]:
    """The record of the proof: worst relative errors of both gradients, and points to draw.

    Args:
        program: whose loss and options are meant.
        logits: float32; up to 256 rows are taken, from the least sure to the surest.
        y: targets as the loss takes them.
        label_smoothing: as in training.

    Returns:
        loss, rows, closed_form and autodiff (worst relative errors), limit, ok, and up to 400
        points: logit, closed_form, autodiff. Or the reason why there is no proof.

    >>> z = np.float32([[-30.0], [0.5], [30.0]])
    >>> record = prove(Program("binary_cross_entropy"), z, np.float32([[0], [1], [1]]))
    >>> record["ok"], record["rows"], record["autodiff"]
    (True, 3, 1.0)
    """
    loss = LOSSES[program.loss]
    if loss.usual is None:
        return {"reason": f"{loss.name} names no other form of itself to compare its delta with"}
    if not len(logits):
        return {"reason": "no rows"}
    options = dict(program.options)
    if "label_smoothing" in loss.options and label_smoothing:
        options["label_smoothing"] = label_smoothing
    words = tuple(sorted((k, v) for k, v in options.items() if isinstance(v, str)))
    numbers = {k: np.asarray(v, np.float32) for k, v in options.items() if not isinstance(v, str)}
    pair = Pair(loss, loss.output_activation(**options), words)
    rows = _some_rows(logits)
    batch = Batch(logits[rows], y[rows], np.ones(len(rows), np.float32), numbers)
    reference, confirmed = _references(pair, batch)
    if not resolved(confirmed).any():
        return {"reason": "finite differences tell nothing at these logits"}
    right = contradiction(confirmed).error <= DIFFERENCES_LIMIT
    return {"loss": loss.name, "rows": len(rows)} | _record(pair, batch, reference, right)


def _record(pair: Pair, batch: Batch, reference: Reference, right: bool) -> dict[str, Any]:
    closed, usual = (
        errors(np.asarray(gradient(pair, batch)), reference.value, reference.scale)
        for gradient in (_closed_form, _autodiff)
    )
    limit = limit_of(pair, np.dtype(np.float32))
    return {
        "closed_form": float(closed.max()),
        "autodiff": float(usual.max()),
        "limit": limit,
        "ok": bool(right and closed.max() <= limit),
        "points": [
            {"logit": float(z), "closed_form": float(ours), "autodiff": float(theirs)}
            for z, ours, theirs in _points(batch.z, closed, usual, reference.scale)
        ],
    }


def _some_rows(logits: np.ndarray) -> np.ndarray:
    """Places of rows that span what there is, from the smallest logits to the largest."""
    count = min(ROWS, len(logits), max(1, ENTRIES // logits.shape[1]))
    order = np.argsort(np.abs(logits).max(axis=1), kind="stable")
    return order[np.linspace(0, len(order) - 1, count).round().astype(int)]


def _points(z: np.ndarray, closed: np.ndarray, usual: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(logit, error, error) of entries that span the logits, the worst of each among them."""
    table = np.stack([part.reshape(-1) for part in (z.astype(np.float64), closed, usual)], axis=1)
    table = table[scale.reshape(-1) > FLOOR]
    table = table[np.argsort(table[:, 0], kind="stable")]
    if not len(table):
        return table
    spread = np.linspace(0, len(table) - 1, min(len(table), POINTS - 2)).round().astype(int)
    return table[np.unique([*spread, *table[:, 1:].argmax(axis=0)])]


def _gradient(losses: Callable[..., Array], pair: Pair, batch: Batch) -> Array:
    return jax.grad(lambda z: jnp.sum(losses(z, batch.y, **arguments(pair, batch))))(batch.z)


@partial(jax.jit, static_argnums=0)
def _closed_form(pair: Pair, batch: Batch) -> Array:
    return _gradient(pair.loss, pair, batch)


@partial(jax.jit, static_argnums=0, compiler_options=UNOPTIMISED)
def _autodiff(pair: Pair, batch: Batch) -> Array:
    return _gradient(partial(usual_losses, pair), pair, batch)


def _references(pair: Pair, batch: Batch) -> tuple[Reference, Reference]:
    """(delta of each entry, its slope along one direction a row beside finite differences)."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], batch.z.shape)
    with jax.enable_x64(True):
        found = _in_float64(pair, *widen((batch, signs)))
        return jax.tree.map(np.asarray, found)


@partial(jax.jit, static_argnums=0, compiler_options=UNOPTIMISED)
def _in_float64(pair: Pair, batch: Batch, direction: Array) -> tuple[Reference, Reference]:
    options = arguments(pair, batch)
    delta = pair.loss.delta(batch.z, batch.y, **options)
    scale = pair.loss.scale(batch.z, batch.y, **options)

    def moved(step: Array) -> Array:
        return pair.loss.plain(batch.z + step, batch.y, **options)

    slope, doubt = differences(moved, direction[None])
    along = Reference(
        jnp.sum(delta * direction, axis=1), jnp.sum(scale, axis=1), slope[0], doubt[0]
    )
    return Reference(delta, scale, None, None), along
