"""From the first state to the best parameters: stretches of compiled steps, evaluation, stopping.

The host sees the ends of stretches only. A stretch ends at the end of an epoch, at a step that the
plan names, or after about a second, so that progress, signals and checkpoints get through. Where it
ends changes no bit of the result, so a run may stop between any two and go on in another process.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn.embedding import Network
from jaxnet.training import epoch as epochs
from jaxnet.training import evaluate
from jaxnet.training.epoch import Program
from jaxnet.training.pace import Pace
from jaxnet.training.rows import count, on_device, pick
from jaxnet.training.snapshot import Best, Metrics, Snapshot
from jaxnet.training.state import State, predicting
from jaxnet.training.tasks import find_task


class Rows(NamedTuple):
    """Encoded rows on the host.

    Attributes:
        x: (n, d) float32, its trailing columns the codes of the embedded ones; or `Bags`.
        y: as the loss takes them; or `Sets` of labels.
        weights: (n,) float32, what each row counts in the mean loss; None: 1 each.
    """

    x: Any
    y: Any
    weights: np.ndarray | None = None


class _Data(NamedTuple):
    """`Rows` on the device."""

    x: Any
    y: Any
    weights: Array | None


class Stopping(NamedTuple):
    """Stop once `metric` on the validation rows has not improved for `patience` epochs."""

    metric: str
    patience: int
    maximise: bool = False


class Plan(NamedTuple):
    """How long to train; without `stopping` every epoch runs and the last parameters are kept.

    Attributes:
        epochs: at most.
        stopping: before that.
        most_skipped: steps that are not finite are left out, up to so many; 0: the first one stops
            the run.
        every_steps: a stretch ends at every multiple of each of these numbers of steps.
    """

    epochs: int
    stopping: Stopping | None = None
    most_skipped: int = 0
    every_steps: tuple[int, ...] = ()


class Watch(NamedTuple):
    """What the caller wants to hear; each does nothing unless given.

    Attributes:
        compiling: called before the training program is compiled.
        compiled: with the seconds that took.
        advanced: with epoch (from 1), part of it that is done, rows seen in all, last metrics.
        ended: with the record of each epoch.
        finished: with what training gives.
        between: with the snapshot between any two stretches; what it raises stops the run.
        skipped: with step (from 1), rows and number of each step that was left out.
        failed: with the last good snapshot, before a step that is not finite stops the run.
    """

    compiling: Callable[[], None] = lambda: None
    compiled: Callable[[float], None] = lambda seconds: None
    advanced: Callable[[int, float, int, Mapping[str, float]], None] = lambda *_: None
    ended: Callable[[Metrics], None] = lambda record: None
    finished: Callable[["Fitted"], None] = lambda fitted: None
    between: Callable[[Snapshot], None] = lambda snapshot: None
    skipped: Callable[[int, Sequence[int], int], None] = lambda *_: None
    failed: Callable[[Snapshot], None] = lambda snapshot: None


class Fitted(NamedTuple):
    """What training gives.

    Attributes:
        params: of the best epoch by the stopping metric, or of the last.
        epoch: the one they are from; 0: before the first update.
        epochs: how many ran.
        reason: why it ended, in words.
        records: one an epoch: epoch, step, train_loss, validation_<metric>.
        seconds: spent compiling, training and evaluating.
        last: where training stands, to go on from.
    """

    params: Network
    epoch: int
    epochs: int
    reason: str
    records: list[Metrics]
    seconds: dict[str, float]
    last: Snapshot


class _Loop(NamedTuple):
    """What stays the same from stretch to stretch."""

    program: Program
    run: Callable[..., tuple[State, Any]]
    data: _Data
    measure: Callable[..., Metrics] | None
    plan: Plan
    watch: Watch
    pace: Pace

    @property
    def per_epoch(self) -> int:
        return epochs.steps_per_epoch(count(self.data.x), self.program.batch_size)

    def steps(self, state: State, order: np.ndarray, turns: int) -> tuple[State, bool]:
        """(state after that many steps, whether all were finite), once they are done."""
        data = self.data
        state, finite = self.run(state, data.x, data.y, order, turns, data.weights)
        return state, bool(finite)


def fit(
    program: Program,
    start: Snapshot,
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
        program: what is compiled.
        start: `snapshot.beginning`, or where an earlier run stood; it is consumed.
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
    run, data = epochs.compiled(program), _on_device(train)
    measure = None
    if count(validation.x):
        measure = evaluate.measurer(program, *validation, task=task, activation=activation)
    loop = _Loop(program, run, data, measure, plan, watch, Pace())
    now = start
    if _why_it_ends(plan, now) is None:
        now = _compile(loop, now)
    while (reason := _why_it_ends(plan, now)) is None:
        now = _measured(loop, _epoch(loop, now))
    params, epoch = predicting(now.state), len(now.records)
    if now.best is not None:
        params, epoch = now.best.params, now.best.epoch
    fitted = Fitted(params, epoch, len(now.records), reason, now.records, now.seconds, now)
    watch.finished(fitted)
    return fitted


def _why_it_ends(plan: Plan, now: Snapshot) -> str | None:
    """In words; None while it goes on."""
    ran, stopping = len(now.records), plan.stopping
    if stopping and now.best is not None and ran - now.best.epoch >= stopping.patience:
        return f"no better {stopping.metric} in {stopping.patience} epochs"
    return "all epochs ran" if ran >= plan.epochs else None


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
    if w.shape != (count(rows.x),):
        raise UserError(f"weights of the {part} rows: {count(rows.x)} rows, weights {w.shape}")
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
    return _Data(on_device(rows.x), on_device(rows.y), weights)


def _compile(loop: _Loop, now: Snapshot) -> Snapshot:
    """Run no step, which compiles the program."""
    loop.watch.compiling()
    begun = time.perf_counter()
    order = np.zeros((loop.per_epoch, loop.program.batch_size), np.int32)
    state, _ = loop.steps(now.state, order, 0)
    seconds = time.perf_counter() - begun
    now.seconds["compile"] += seconds
    loop.watch.compiled(seconds)
    now = now._replace(state=state)
    loop.watch.between(now)
    return now


def _epoch(loop: _Loop, now: Snapshot) -> Snapshot:
    """Train to the end of the epoch, in stretches; nothing to do where that is reached."""
    rows, batch, number = count(loop.data.x), loop.program.batch_size, len(now.records) + 1
    order = epochs.order_of_rows(int(now.state.seed), number - 1, rows, batch)
    step, end = int(now.state.step), number * loop.per_epoch
    while step < end:
        begun = time.perf_counter()
        turns = min(loop.pace.turns(), end - step, _to_multiple(step, loop.plan.every_steps))
        state, finite = loop.steps(now.state, order, turns)
        # A step that is not finite ends the stretch, whatever was asked for.
        ran = int(state.step) - step + (not finite)
        loop.pace.took(ran, time.perf_counter() - begun)
        now, step = now._replace(state=state), int(state.step)
        if not finite:
            now, step = _leave_out(loop, now), step + 1
        now.seconds["train"] += time.perf_counter() - begun
        done = step - end + loop.per_epoch
        shown = {**_shown(now.records), "loss": _mean_loss(now.state)}
        seen = (number - 1) * rows + min(done * batch, rows)
        loop.watch.advanced(number, done / loop.per_epoch, seen, shown)
        loop.watch.between(now)
    return now


def _to_multiple(step: int, of: Sequence[int]) -> int:
    """Steps to the next multiple of one of the numbers.

    >>> _to_multiple(13, [10]), _to_multiple(20, [10, 7])
    (7, 1)
    """
    return min((each - step % each for each in of), default=np.iinfo(np.int32).max)


def _measured(loop: _Loop, now: Snapshot) -> Snapshot:
    """The end of an epoch: its record, and whether it is the best so far."""
    number, begun = len(now.records) + 1, time.perf_counter()
    measured: Metrics = {}
    if loop.measure is not None:
        measured = loop.measure(predicting(now.state), lambda: loop.watch.between(now))
    now.seconds["evaluate"] += time.perf_counter() - begun
    named = {f"validation_{name}": value for name, value in measured.items()}
    loss = _mean_loss(now.state)
    record = {"epoch": number, "step": int(now.state.step), "train_loss": loss, **named}
    now.records.append(record)
    if loop.plan.stopping is not None:
        best = _better(now.best, number, measured, loop.plan.stopping, now.state)
        now = now._replace(best=best)
    loop.watch.ended(record)
    loop.watch.advanced(number, 1.0, number * count(loop.data.x), _shown(now.records))
    loop.watch.between(now)
    return now


def _mean_loss(state: State) -> float:
    """Of the epoch so far; NaN where no step of it counts, all left out say."""
    weight = float(state.weight)
    return float(state.loss) / weight if weight else float("nan")


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
    best: Best | None, number: int, measured: Metrics, stopping: Stopping, state: State
) -> Best:
    """The better one of the best so far and this epoch; NaN is never better."""
    value = measured[stopping.metric]
    value = -value if stopping.maximise else value
    if best is not None and not value < best.value:
        return best
    kept = jax.tree.map(jnp.copy, predicting(state))  # the state itself is given away
    return Best(value if np.isfinite(value) else np.inf, number, kept)


def _leave_out(loop: _Loop, now: Snapshot) -> Snapshot:
    """Step over the update that was not finite, or fail where there have been too many."""
    step, most = int(now.state.step), loop.plan.most_skipped
    what, rows = _guilty(loop.program, now.state, loop.data)
    if now.skipped < most:
        loop.watch.skipped(step + 1, rows, now.skipped + 1)
        after = now.state._replace(step=jnp.int32(step + 1))
        return now._replace(state=after, skipped=now.skipped + 1)
    loop.watch.failed(now)
    before = f", after leaving out training.skip_limit={most}" if most else ""
    raise NonFiniteError(
        f"{what} not finite at step {step + 1} (epoch {step // loop.per_epoch + 1}){before}; "
        "lower optimizer.learning_rate, or set optimizer.clip_norm=1.0",
        step=step + 1,
        rows=rows,
    )


def _guilty(program: Program, state: State, data: _Data) -> tuple[str, list[int]]:
    """What is not finite at the update that was not applied, and the rows that make it so."""
    chosen, counted = epochs.next_rows(program, state, count(data.x))
    batch = chosen[counted > 0]
    if data.weights is not None:
        batch = batch[np.asarray(data.weights)[batch] > 0]
    at = jnp.asarray(batch, jnp.int32)
    losses = np.asarray(
        evaluate.row_losses(program)(state.params, pick(data.x, at), pick(data.y, at))
    )
    guilty = batch[~np.isfinite(losses)]
    if guilty.size:
        return "the loss is", np.sort(guilty).tolist()
    return "the gradient is", np.sort(batch).tolist()
