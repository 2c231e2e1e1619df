"""Why a step of a run was not finite: its state is brought back, and the step replayed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet import resume
from jaxnet.config import Config
from jaxnet.data.dataset import Dataset
from jaxnet.errors import RunDirectoryError, UserError
from jaxnet.job import Job, file_rows, first_state, plan_job
from jaxnet.outputs import checkpoints, records, run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.resume import Earlier
from jaxnet.run import load_data
from jaxnet.training import epoch as epochs
from jaxnet.training import settings, threads
from jaxnet.training.compilation_cache import compilation_cache
from jaxnet.training.pace import Pace
from jaxnet.training.replay import replay
from jaxnet.training.replay_finding import Finding, advice
from jaxnet.training.state import State
from jaxnet.training.tasks import as_targets


class Debugged(NamedTuple):
    """What the replay of a run's step gave.

    Attributes:
        finding: rows are those of the file that the training rows came from, counted from 0.
        advice: what to try, the likeliest first.
        start: the checkpoint it began with; None: the first state of the run.
        steps: how many good steps lay between that and the one looked at.
    """

    finding: Finding
    advice: tuple[str, ...]
    start: str | None
    steps: int


def debug(
    directory: Path | str,
    *,
    fit_threads: bool = False,
    poll: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Debugged:
    """Replay the step at which a run failed, or the last one that it left out.

    Args:
        directory: of the run. Nothing is written there.
        fit_threads: give JAX as many threads as the run had, for equal sums.
        poll: called now and then; what it raises stops the search.
        warn: told of damaged checkpoints.

    Raises:
        RunDirectoryError: no run, or none of its steps was NaN or infinite.
        UserError: the config or the data are not those of the run any more, or the run has sparse
            rows or a head that keeps no logits, whose steps are not replayed.
    """
    run = run_directory.open_existing(directory)
    failed = _failed_steps(run)
    config = resume.load_recorded(run)
    if config.is_sparse:
        raise _not_replayed(run, "sparse rows", failed[0])
    data = load_data(config)
    job = plan_job(config, data)
    if job.program.head == "linear_blocks":
        raise _not_replayed(run, "a head that keeps no logits", failed[0])
    poll()
    newest = resume.find(run, warn)
    resume.check(run, config, data, newest)
    if newest is not None and fit_threads:
        threads.repin(newest.facts["machine"]["threads"])
    then = None if newest is None else newest.facts["machine"].get("settings")
    with settings.held(then), compilation_cache():
        found = [_debugged(run, config, job, data, failed[0], poll)]
        if found[0].finding.operation is None and len(failed) > 1:
            # A step that was left out is why, where it was the finished model that was not finite.
            found.append(_debugged(run, config, job, data, failed[1], poll))
    return next((each for each in found if each.finding.operation is not None), found[0])


def _not_replayed(run: RunDirectory, what: str, step: int) -> UserError:
    """What to do where a step is not run one operation at a time."""
    return UserError(
        f"{run.path}: steps of runs with {what} are not replayed. Step {step:,} was not finite; "
        f"{run.status.name} and {run.events.name} name its rows, as far as they are known. Try a "
        "lower optimizer.learning_rate, data.scale=unit (sparse rows) or robust (tables), or "
        "training.on_nan=skip, which goes on after such a step"
    )


def _debugged(
    run: RunDirectory,
    config: Config,
    job: Job,
    data: Dataset,
    step: int,
    poll: Callable[[], None],
) -> Debugged:
    """Replay a step, which is numbered from 1."""
    state, start = _nearest(run, first_state(config, job, data), step - 1)
    y, begun = as_targets(job.task, data.y_train), int(state.step)
    state = _forward(job, state, data.x_train, y, step - 1, poll)
    poll()
    found = _as_the_file_has_it(replay(job.program, state, data.x_train, y), data)
    rate = float(state.hyper.learning_rate)
    tried = advice(found, learning_rate=rate, clip_norm=job.program.optimizer.clip_norm)
    return Debugged(found, tried, start, int(state.step) - begun)


def _failed_steps(run: RunDirectory) -> list[int]:
    """The steps, numbered from 1, that the events call not finite, the last one first."""
    steps = [
        max(int(event["step"]), 1)
        for event in records.read_lines(run.events)
        if event.get("event") in ("failed", "skipped") and isinstance(event.get("step"), int)
    ]
    if steps:
        return list(dict.fromkeys(reversed(steps)))
    status, state = records.read_json(run.status), records.state_of(run)
    error = status.get("error") if state == "failed" else None
    raise RunDirectoryError(
        f"{run.path}: no step of this run was NaN or infinite: it "
        + (f"failed otherwise: {error}" if error else f"is {state}")
    )


def _nearest(run: RunDirectory, first: State, step: int) -> tuple[State, str | None]:
    """The last state kept that is not after a step, and the checkpoint it is from."""
    found = checkpoints.nearest(run.checkpoints, step)
    if found is None:
        return first, None
    return resume.snapshot_of(Earlier(*found), first).state, found[0]


def _forward(
    job: Job, state: State, x: np.ndarray, y: np.ndarray, step: int, poll: Callable[[], None]
) -> State:
    """The state at a step, or at the first one before it that fails again."""
    if int(state.step) >= step:
        return state
    train, inputs, targets = epochs.compiled(job.program), jnp.asarray(x), jnp.asarray(y)
    per_epoch, pace = epochs.steps_per_epoch(len(x), job.program.batch_size), Pace()
    while (at := int(state.step)) < step:
        poll()
        order = epochs.order_of_rows(
            int(state.seed), at // per_epoch, len(x), job.program.batch_size
        )
        begun, count = time.perf_counter(), min(pace.turns(), step - at)
        state, finite = train(state, inputs, targets, order, count, None)
        pace.took(int(state.step) - at, time.perf_counter() - begun)
        if not bool(finite) and not job.plan.most_skipped:
            break
        if not bool(finite):  # the run stepped over it
            state = state._replace(step=state.step + 1)
    return state


def _as_the_file_has_it(found: Finding, data: Dataset) -> Finding:
    """Rows by their place in the file, inputs by their names."""

    def numbered(row: Any) -> int:
        return file_rows(data, [row])[0]

    names = data.schema["inputs"]
    return found._replace(
        rows=tuple(sorted(map(numbered, found.rows))),
        batch=tuple(sorted(map(numbered, found.batch))),
        inputs=tuple(
            each._replace(row=numbered(each.row), name=str(names[each.column]))
            for each in found.inputs
        ),
    )
