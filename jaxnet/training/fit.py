"""From the first state to the best parameters: stretches of compiled steps, evaluation, stopping.

The host sees the ends of stretches only. A stretch ends at the end of an epoch or after about a
second, whichever comes first, so that progress and signals get through.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.nn.losses import LOSSES
from jaxnet.training import epoch as epochs
from jaxnet.training import evaluate
from jaxnet.training.epoch import Program
from jaxnet.training.state import State, predicting
from jaxnet.training.tasks import find_task

SECONDS_OF_A_STRETCH = 1.0
FIRST_STRETCH = 16  # steps, before the rate is known

Metrics = dict[str, float]


class Rows(NamedTuple):
    """Encoded rows on the host.

    Attributes:
        x: (n, d) float32, its trailing columns the codes of the embedded ones.
        y: as the loss takes them.
        weights: (n,) float32, what each row counts in the mean loss; None: 1 each.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None


class _Data(NamedTuple):
    """`Rows` on the device."""

    x: Array
    y: Array
    weights: Array | None


class Stopping(NamedTuple):
    """Stop once `metric` on the validation rows has not improved for `patience` epochs."""

    metric: str
    patience: int
    maximise: bool = False


class Plan(NamedTuple):
    """How long to train; without `stopping` every epoch runs and the last parameters are kept."""

    epochs: int
    stopping: Stopping | None = None


class Watch(NamedTuple):
    """What the caller wants to hear; each does nothing unless given.

    Attributes:
        compiling: called before the training program is compiled.
        compiled: with the seconds that took.
        advanced: with epoch (from 1), part of it that is done, rows seen in all, last metrics.
        ended: with the record of each epoch.
        finished: with what training gives.
    """

    compiling: Callable[[], None] = lambda: None
    compiled: Callable[[float], None] = lambda seconds: None
    advanced: Callable[[int, float, int, Mapping[str, float]], None] = lambda *_: None
    ended: Callable[[Metrics], None] = lambda record: None
    finished: Callable[["Fitted"], None] = lambda fitted: None


class Fitted(NamedTuple):
    """What training gives.

    Attributes:
        params: of the best epoch by the stopping metric, or of the last.
        epoch: the one they are from; 0: before the first update.
        epochs: how many ran.
        reason: why it ended, in words.
        records: one an epoch: epoch, step, train_loss, validation_<metric>.
        seconds: spent compiling, training and evaluating.
    """

    params: Network
    epoch: int
    epochs: int
    reason: str
    records: list[Metrics]
    seconds: dict[str, float]


class _Best(NamedTuple):
    value: float
    epoch: int
    params: Network


def fit(
    program: Program,
    state: State,
    train: Rows,
    validation: Rows,
    plan: Plan,
    *,
    task: str,
    activation: str,
    watch: Watch | None = None,
) -> Fitted:
    """Train and return the parameters to keep.

    Args:
        program: what is compiled; `state` is consumed.
        task: name of the task; `activation`, of the outputs, turns logits into probabilities.

    Raises:
        NonFiniteError: loss or gradient was NaN or infinite; names the step and the rows.
        UserError: the stopping metric is none of the task's, or the weights of the rows are not
            numbers >= 0 of which one is above 0.
    """
    watch = watch or Watch()
    _check_metric(plan.stopping, task)
    for part, rows in (("training", train), ("validation", validation)):
        _check_weights(part, rows)
    seconds = {"compile": 0.0, "train": 0.0, "evaluate": 0.0}
    run = epochs.compiled(program)
    data = _on_device(train)
    state = _compile(run, state, data, program.batch_size, watch, seconds)
    measure = _evaluator(program, validation, task, activation)
    best: _Best | None = None
    records: list[Metrics] = []
    reason = "all epochs ran"
    rate = 0.0
    for number in range(1, plan.epochs + 1):
        begun = time.perf_counter()
        state, loss, rate = _epoch(run, program, state, data, number, rate, records, watch)
        seconds["train"] += time.perf_counter() - begun
        begun = time.perf_counter()
        measured = measure(predicting(state)) if len(validation.x) else {}
        seconds["evaluate"] += time.perf_counter() - begun
        named = {f"validation_{name}": value for name, value in measured.items()}
        records.append({"epoch": number, "step": int(state.step), "train_loss": loss, **named})
        watch.ended(records[-1])
        watch.advanced(number, 1.0, number * len(train.x), _shown(records))
        if plan.stopping is None:
            continue
        best = _better(best, number, measured, plan.stopping, state)
        if number - best.epoch >= plan.stopping.patience:
            reason = f"no better {plan.stopping.metric} in {plan.stopping.patience} epochs"
            break
    params, epoch = (best.params, best.epoch) if best else (predicting(state), len(records))
    fitted = Fitted(params, epoch, len(records), reason, records, seconds)
    watch.finished(fitted)
    return fitted


def _check_metric(stopping: Stopping | None, task: str) -> None:
    known = find_task(task).metrics
    if stopping is not None and stopping.metric not in known:
        raise UserError(
            f"early stopping of task {task} cannot watch {stopping.metric!r}; "
            f"choose from {', '.join(known)}"
        )


def _check_weights(part: str, rows: Rows) -> None:
    w = rows.weights
    if w is None:
        return
    if w.shape != (len(rows.x),):
        raise UserError(f"weights of the {part} rows: {len(rows.x)} rows, weights {w.shape}")
    wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if wrong.size:
        raise UserError(
            f"weights of the {part} rows must be numbers >= 0; row {wrong[0]} (counted from 0): "
            f"{w[wrong[0]]}"
        )
    if len(w) and not w.any():
        raise UserError(f"weights of the {part} rows are all 0; give one row at least a weight")


def _on_device(rows: Rows) -> _Data:
    weights = None if rows.weights is None else jnp.asarray(rows.weights, jnp.float32)
    return _Data(jnp.asarray(rows.x), jnp.asarray(rows.y), weights)


def _compile(
    run: Any, state: State, data: _Data, batch_size: int, watch: Watch, seconds: dict[str, float]
) -> State:
    """Run no step, which compiles the program."""
    watch.compiling()
    begun = time.perf_counter()
    order = np.zeros((epochs.steps_per_epoch(len(data.x), batch_size), batch_size), np.int32)
    state, _ = jax.block_until_ready(run(state, data.x, data.y, order, 0, data.weights))
    seconds["compile"] = time.perf_counter() - begun
    watch.compiled(seconds["compile"])
    return state


def _evaluator(
    program: Program, rows: Rows, task: str, activation: str
) -> Callable[[Network], Metrics]:
    run = evaluate.compiled_sums(program, task, activation)
    block = evaluate.block_size(len(rows.x))
    x, y = evaluate.in_blocks(rows.x, block), evaluate.in_blocks(rows.y, block)
    weights = None if rows.weights is None else evaluate.in_blocks(rows.weights, block)
    return lambda params: evaluate.metrics(task, run(params, x, y, len(rows.x), weights))


def _epoch(
    run: Any,
    program: Program,
    state: State,
    data: _Data,
    number: int,
    rate: float,
    records: list[Metrics],
    watch: Watch,
) -> tuple[State, float, float]:
    """Run one epoch in stretches: (state, mean training loss, steps per second)."""
    rows = len(data.x)
    steps = epochs.steps_per_epoch(rows, program.batch_size)
    order = epochs.order_of_rows(int(state.seed), number - 1, rows, program.batch_size)
    done, loss, weight = 0, 0.0, 0.0
    while done < steps:
        count = int(rate * SECONDS_OF_A_STRETCH) or FIRST_STRETCH
        begun = time.perf_counter()
        state, progress = run(state, data.x, data.y, order, min(count, steps - done), data.weights)
        loss, weight = loss + float(progress.loss), weight + float(progress.weight)
        if not bool(progress.finite):
            raise _not_finite(program, state, data)
        rate = max(min(count, steps - done) / (time.perf_counter() - begun), 1.0)
        done += min(count, steps - done)
        seen = (number - 1) * rows + min(done * program.batch_size, rows)
        shown = {**_shown(records), "loss": _ratio(loss, weight)}
        watch.advanced(number, done / steps, seen, shown)
    return state, _ratio(loss, weight), rate


def _ratio(loss: float, weight: float) -> float:
    """The mean loss; 0 where all rows so far weigh 0."""
    return loss / weight if weight else 0.0


def _shown(records: list[Metrics]) -> Metrics:
    """What the progress line shows of the last epoch, under short names."""
    names = {
        "loss": "train_loss",
        "val": "validation_loss",  # the same sum over labels and weights as the training loss
        "acc": "validation_accuracy",
    }
    last = records[-1] if records else {}
    return {name: last[key] for name, key in names.items() if key in last}


def _better(
    best: _Best | None, number: int, measured: Metrics, stopping: Stopping, state: State
) -> _Best:
    """The better one of the best so far and this epoch; NaN is never better."""
    value = measured[stopping.metric]
    value = -value if stopping.maximise else value
    if best is not None and not value < best.value:
        return best
    kept = jax.tree.map(jnp.copy, predicting(state))  # the state itself is given away
    return _Best(value if np.isfinite(value) else np.inf, number, kept)


def _not_finite(program: Program, state: State, data: _Data) -> NonFiniteError:
    """The error for the step that was not applied, with the rows of its batch."""
    step, rows = int(state.step), len(data.x)
    per_epoch = epochs.steps_per_epoch(rows, program.batch_size)
    order = epochs.order_of_rows(int(state.seed), step // per_epoch, rows, program.batch_size)
    first = (step % per_epoch) * program.batch_size
    batch = order.reshape(-1)[first : min(first + program.batch_size, rows)]
    if data.weights is not None:
        batch = batch[np.asarray(data.weights)[batch] > 0]
    z = embedding.forward(state.params, data.x[batch], **program.network)
    losses = np.asarray(LOSSES[program.loss].plain(z, data.y[batch], **dict(program.options)))
    guilty = batch[~np.isfinite(losses)]
    what = "the loss is" if guilty.size else "the gradient is"
    return NonFiniteError(
        f"{what} not finite at step {step + 1} (epoch {step // per_epoch + 1}); "
        "lower optimizer.learning_rate, or set optimizer.clip_norm=1.0",
        step=step + 1,
        rows=[int(row) for row in (guilty if guilty.size else batch)],
    )
