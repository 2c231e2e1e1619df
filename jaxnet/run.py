"""Training a config: config -> data -> task -> fit -> what the run leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet import __version__
from jaxnet.config import METRIC_DIRECTIONS, Config, dump_yaml, load_config
from jaxnet.data import dataset
from jaxnet.data.dataset import Dataset
from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn import embedding
from jaxnet.nn.losses import LOSSES, Loss
from jaxnet.outputs import model_file, records, run_directory
from jaxnet.outputs.progress import Progress
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import evaluate, threads
from jaxnet.training import state as states
from jaxnet.training.compilation_cache import enable_compilation_cache
from jaxnet.training.epoch import Program, steps_per_epoch
from jaxnet.training.fit import Fitted, Plan, Rows, Stopping, Watch, fit
from jaxnet.training.metrics import final_metrics
from jaxnet.training.optimizer import Optimizer, Schedule
from jaxnet.training.selfcheck import selfcheck
from jaxnet.training.tasks import TASKS, Task, as_targets, find_loss, find_task

Metrics = dict[str, dict[str, float | None]]


class Run(NamedTuple):
    """A finished run.

    Attributes:
        directory: what the run left, see `jaxnet.outputs.run_directory`.
        metrics: {"validation": {...}, "test": {...}}, as in metrics.json.
    """

    directory: Path
    metrics: Metrics


class Job(NamedTuple):
    """A config made ready to train: the program, its state and the plan.

    Attributes:
        program: what is compiled.
        task: what the outputs mean.
        activation: of the outputs.
        sizes: of the layers, from inputs to outputs.
        plan: how long to train.
    """

    program: Program
    task: Task
    activation: str
    sizes: tuple[int, ...]
    plan: Plan


def train(
    config: Config | str | Path | Mapping[str, Any],
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    fit_threads: bool = False,
    poll: Callable[[], None] = lambda: None,
    **overrides: Any,
) -> Run:
    """Train a config and leave a run directory behind.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`.
        run_dir: new directory for the run; by default runs/<config>-<time>.
        resume: runs leave no checkpoints yet, so True starts afresh in an absent or empty
            directory and is refused in any other.
        progress: show progress on standard error.
        fit_threads: let the network decide how many threads JAX gets (a process that has used JAX
            already keeps its own); the command line does.
        poll: called after every stretch of steps; what it raises stops the run.
        overrides: config values by dotted key, `**{"optimizer.learning_rate": 0.01}`.

    Raises:
        UserError: a mistake in the config, the data or the run directory.
        RunFailed: training met a value that is not finite, or the disk is full.

    >>> import tempfile, os
    >>> where = os.path.join(tempfile.mkdtemp(), "run")
    >>> config = {"task": "binary", "data": {"source": "breast_cancer"},
    ...           "model": {"hidden": [8]}, "training": {"epochs": 2}}
    >>> done = train(config, run_dir=where, progress=False)
    >>> sorted(done.metrics)
    ['test', 'validation']
    """
    begun = time.perf_counter()
    if resume and run_dir is not None and Path(run_dir).is_dir() and any(Path(run_dir).iterdir()):
        raise UserError(f"{run_dir}: runs leave no checkpoints yet to resume from; start a new one")
    config = load_config(config, overrides, extra_losses=registered_losses())
    data = load_data(config)
    job = plan_job(config, data)
    pinned = fit_threads and threads.pin(threads.choose(job.sizes, job.program.batch_size))
    enable_compilation_cache()
    doubts = selfcheck()
    directory = run_directory.create(
        run_directory.default_path(config.name) if run_dir is None else run_dir
    )
    with _status(directory, threads=1 if pinned else None):
        warnings = (*doubts, *data.warnings)
        _write_beginning(directory, config, data, warnings)
        with _watching(config, data, warnings, directory, progress, poll) as watch:
            fitted = _fit(config, job, data, watch)
        metrics = _write_end(directory, config, job, data, fitted)
        seconds = {**fitted.seconds, "total": time.perf_counter() - begun}
        records.append_event(directory, "finished", reason=fitted.reason, seconds=seconds)
    return Run(directory.path, metrics)


def registered_losses() -> tuple[str, ...]:
    """Names of the losses that were registered in this process, beyond those of the tasks."""
    return tuple(set(LOSSES) - {name for task in TASKS.values() for name in task.losses.values()})


def load_data(config: Config) -> Dataset:
    """The rows a config names, split and encoded."""
    given = config.data
    return dataset.prepare(
        config.task,
        source=given.source,
        train=given.train,
        test=given.test,
        features=given.features,
        target=given.target,
        scale=given.scale,
        split=given.split.model_dump(),
        directory=config.directory,
    )


def plan_job(config: Config, data: Dataset) -> Job:
    """What the config asks for, in the terms of `jaxnet.training`."""
    task = find_task(config.task)
    loss, activation = find_loss(task, config.loss.name, config.loss.activation)
    optimizer = config.optimizer.model_dump(exclude={"learning_rate", "weight_decay", "schedule"})
    schedule = Schedule(**config.optimizer.schedule.model_dump())
    program = Program(
        loss=loss.name,
        options=_loss_options(config, loss, activation),
        activation=config.model.activation,
        parametrisation="ntk" if config.model.init == "ntk" else "standard",
        engine=config.loss.gradient,
        optimizer=Optimizer(**optimizer, schedule=schedule),
        batch_size=min(config.training.batch_size, len(data.x_train)),
        precision=config.training.precision,
    )
    outputs = task.outputs(len(data.schema["classes"]))
    sizes = (data.x_train.shape[1], *config.model.hidden, outputs)
    return Job(program, task, activation, sizes, Plan(config.training.epochs, _stopping(config)))


def _loss_options(config: Config, loss: Loss, activation: str) -> tuple[tuple[str, Any], ...]:
    """The options that the loss takes and the config sets; smoothing is an array of the state."""
    given = config.loss.model_dump(include={"gamma", "gamma_pos", "gamma_neg", "clip", "labels"})
    set_for = {name for name, value in given.items() if value is not None and name != "labels"}
    if config.loss.label_smoothing > 0:
        set_for.add("label_smoothing")
    if set_for - loss.options:
        raise UserError(
            f"loss.{min(set_for - loss.options)}: {loss.name} takes no such option; remove it"
        )
    if isinstance(loss.activation, tuple):
        given["activation"] = activation
    return tuple(
        (name, value)
        for name, value in sorted(given.items())
        if value is not None and name in loss.options
    )


def _stopping(config: Config) -> Stopping | None:
    early = config.training.early_stopping
    if early is None:
        return None
    return Stopping(early.metric, early.patience, METRIC_DIRECTIONS[early.metric] == "maximise")


def _fit(config: Config, job: Job, data: Dataset, watch: Watch) -> Fitted:
    steps = steps_per_epoch(len(data.x_train), job.program.batch_size) * config.training.epochs
    rates = states.hyper(
        learning_rate=config.optimizer.learning_rate,
        weight_decay=config.optimizer.weight_decay,
        dropout=config.model.dropout,
        label_smoothing=config.loss.label_smoothing,
        total_steps=steps,
    )
    state = states.begin(
        job.sizes,
        job.program.optimizer,
        rates,
        seed=config.training.seed,
        scheme=config.model.init,
        last_layer="zeros" if config.model.last_layer == "zeros" else None,
        embeddings=tuple((slots, width) for slots, width in data.schema.get("embeddings", ())),
    )
    train, validation = (
        Rows(x, as_targets(job.task, y))
        for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val))
    )
    names = {"task": job.task.name, "activation": job.activation}
    try:
        return fit(job.program, state, train, validation, job.plan, watch=watch, **names)
    except NonFiniteError as error:
        rows = [int(data.rows.train[row]) for row in error.rows]
        shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
        text = f"{error}. Rows of the step (counted from 0): {shown}"
        raise NonFiniteError(text, step=error.step, rows=rows) from None


@contextmanager
def _status(directory: RunDirectory, **details: Any) -> Iterator[None]:
    """Keep status.json true: running, then finished, failed or stopped."""
    records.write_status(directory, "running")
    records.append_event(directory, "started", jaxnet=__version__, **details)
    try:
        yield
    except BaseException as error:
        state: records.State = "failed" if isinstance(error, Exception) else "stopped"
        said = str(error) if isinstance(error, Exception) else "interrupted"
        records.append_event(directory, state, error=said)
        records.write_status(directory, state, error=said)
        raise
    records.write_status(directory, "finished")


@contextmanager
def _watching(
    config: Config,
    data: Dataset,
    warnings: Sequence[str],
    directory: RunDirectory,
    show: bool,
    poll: Callable[[], None],
) -> Iterator[Watch]:
    """Each epoch goes to metrics.jsonl, and to the terminal where the user wants to see it."""

    def ended(record: Mapping[str, float]) -> None:
        records.append_epoch(directory, record)

    if not show:
        yield Watch(ended=ended, advanced=lambda *_: poll())
        return
    with Progress(config.training.epochs, len(data.x_train)) as progress:
        rows = data.schema["rows"]
        progress.message(
            f"{rows['train']} training, {rows['validation']} validation, {rows['test']} test rows, "
            f"{data.x_train.shape[1]} features; run directory {directory.path}"
        )
        for note in data.notes:
            progress.message(f"note: {note}")
        for warning in warnings:
            progress.message(f"warning: {warning}")

        def advanced(*position: Any) -> None:
            poll()
            progress.update(*position)

        yield Watch(
            progress.compile_started,
            progress.compile_finished,
            advanced,
            ended,
            lambda f: progress.message(f"kept epoch {f.epoch} of {f.epochs}: {f.reason}"),
        )


def _write_beginning(
    directory: RunDirectory, config: Config, data: Dataset, warnings: Sequence[str]
) -> None:
    records.write_text(directory.config, config.text)
    records.write_text(directory.resolved_config, dump_yaml(config))
    records.write_json(directory.schema, data.schema)
    for warning in warnings:
        records.append_event(directory, "warning", text=warning)


def _write_end(
    directory: RunDirectory, config: Config, job: Job, data: Dataset, fitted: Fitted
) -> Metrics:
    """Save the model, measure what it predicts, write metrics.json."""
    description = {
        "task": job.task.name,
        "model": config.model.name,
        "sizes": list(job.sizes),
        "activation": job.program.activation,
        "parametrisation": job.program.parametrisation,
        "output_activation": job.activation,
        "precision": job.program.precision,
        "loss": job.program.loss,
        "epoch": fitted.epoch,
    }
    parts = {"validation": (data.x_val, data.y_val), "test": (data.x_test, data.y_test)}
    ask: dict[str, Any] = {
        "network": job.program.network,
        "task_name": job.task.name,
        "activation": job.activation,
    }
    predicted = {
        part: evaluate.predict(fitted.params, x, **ask) for part, (x, _) in parts.items() if len(x)
    }
    _refuse_not_finite(fitted, predicted)
    model_file.save(directory.model, embedding.named(fitted.params), description)
    metrics: Metrics = {}
    for part, p in predicted.items():
        shown = p[:, 0] if job.task.name == "binary" else p
        metrics[part] = final_metrics(job.task.name, shown, parts[part][1])
    records.write_metrics(directory, metrics)
    return metrics


def _refuse_not_finite(fitted: Fitted, predicted: Mapping[str, np.ndarray]) -> None:
    """A model that is not finite is never saved: its last update overflowed."""
    numbers = (*embedding.named(fitted.params).values(), *predicted.values())
    if not all(np.isfinite(array).all() for array in numbers):
        step = int(fitted.records[fitted.epoch - 1]["step"])
        raise NonFiniteError(
            f"parameters or outputs are not finite after step {step}; "
            "lower optimizer.learning_rate",
            step=step,
        )
