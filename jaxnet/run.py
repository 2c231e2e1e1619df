"""Training a config: config -> data -> task -> fit -> what the run leaves behind."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet import __version__
from jaxnet.config import Config, dump_yaml, load_config
from jaxnet.data import dataset, split_file
from jaxnet.data.dataset import Dataset
from jaxnet.errors import UserError
from jaxnet.job import plan_job, registered_losses, train_job
from jaxnet.judge import Judged, judge
from jaxnet.nn import embedding
from jaxnet.outputs import model_file, records, report, run_directory
from jaxnet.outputs.progress import Progress
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import threads
from jaxnet.training.compilation_cache import enable_compilation_cache
from jaxnet.training.fit import Watch
from jaxnet.training.selfcheck import selfcheck

Metrics = dict[str, dict[str, float | None]]


class Run(NamedTuple):
    """A finished run.

    Attributes:
        directory: what the run left, see `jaxnet.outputs.run_directory`.
        metrics: {"train": {...}, "validation": {...}, "test": {...}}, as in metrics.json.
    """

    directory: Path
    metrics: Metrics


def train(
    config: Config | str | Path | Mapping[str, Any],
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    fit_threads: bool = False,
    command: str = "jaxnet.train(...)",
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
        command: how the run was started, for its records.
        poll: called after every stretch of steps; what it raises stops the run.
        overrides: config values by dotted key, `**{"optimizer.learning_rate": 0.01}`.

    Raises:
        UserError: a mistake in the config, the data or the run directory.
        RunFailed: training met a value that is not finite, or the disk is full.

    >>> import tempfile, os
    >>> where = os.path.join(tempfile.mkdtemp(), "run")
    >>> config = {"task": "binary", "data": {"source": "breast_cancer"},
    ...           "model": {"hidden": [8]}, "training": {"epochs": 2}, "report": False}
    >>> done = train(config, run_dir=where, progress=False)
    >>> sorted(done.metrics)
    ['test', 'train', 'validation']
    """
    begun = time.perf_counter()
    _refuse_resuming(resume, run_dir)
    config = load_config(config, overrides, extra_losses=registered_losses())
    reading = time.perf_counter()
    data = load_data(config)
    seconds = {"read": time.perf_counter() - reading}
    job = plan_job(config, data)
    pinned = fit_threads and threads.pin(threads.choose(job.widths, job.program.batch_size))
    enable_compilation_cache()
    warnings = (*selfcheck(), *data.warnings, *_nothing_held_out(config, data))
    place = run_directory.default_path(config.name) if run_dir is None else run_dir
    directory = run_directory.create(place)
    with _status(directory, command, threads=1 if pinned else None):
        _write_beginning(directory, config, data, warnings)
        with _watching(config, data, warnings, directory, progress, poll) as watch:
            fitted = train_job(config, job, data, watch)
        judging = time.perf_counter()
        metrics = _write_end(directory, judge(config, job, data, fitted, poll=poll))
        seconds |= fitted.seconds
        seconds["evaluate"] += time.perf_counter() - judging
        seconds["total"] = time.perf_counter() - begun
        ended = {"reason": fitted.reason, "epoch": fitted.epoch, "seconds": seconds}
        records.append_event(directory, "finished", **ended)
    if config.report:
        report.write(directory)
    return Run(directory.path, metrics)


def _refuse_resuming(resume: bool, run_dir: str | Path | None) -> None:
    """There is nothing yet that a directory with something in it could be resumed from."""
    if resume and run_dir is not None and Path(run_dir).is_dir() and any(Path(run_dir).iterdir()):
        raise UserError(f"{run_dir}: runs leave no checkpoints yet to resume from; start a new one")


def load_data(config: Config) -> Dataset:
    """The rows a config names, split and encoded."""
    given = config.data
    return dataset.prepare(
        config.task,
        source=given.source,
        train=given.train,
        validation=given.validation,
        test=given.test,
        features=given.features,
        target=given.target,
        positive=given.positive,
        columns=given.columns,
        drop=given.drop,
        missing=given.missing,
        scale=given.scale,
        one_hot_limit=given.one_hot_limit,
        embedding_size=config.model.embedding_size,
        split=given.split.model_dump(),
        directory=config.directory,
    )


def _nothing_held_out(config: Config, data: Dataset) -> Iterator[str]:
    """A warning where a recorded split has no validation rows."""
    if not len(data.x_val):
        yield (
            f"{config.data.split.file}: no row has the part 'validation', so every epoch runs, "
            f"nothing is calibrated and no threshold is tuned"
        )


@contextmanager
def _status(directory: RunDirectory, command: str, **details: Any) -> Iterator[None]:
    """Keep status.json true: running, then finished, failed or stopped."""
    records.write_status(directory, "running")
    records.append_event(
        directory,
        "started",
        jaxnet=__version__,
        command=command,
        versions=_versions(),
        device=_device(),
        **details,
    )
    try:
        yield
    except BaseException as error:
        state: records.State = "failed" if isinstance(error, Exception) else "stopped"
        said = str(error) if isinstance(error, Exception) else "interrupted"
        records.append_event(directory, state, error=said)
        records.write_status(directory, state, error=said)
        raise
    records.write_status(directory, "finished")


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _device() -> str:
    import jax

    device = jax.devices()[0]
    return f"{device.platform} ({device.device_kind})"


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
            f"{data.x_train.shape[1]} inputs; run directory {directory.path}"
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
    records.write_text(directory.split, split_file.as_csv(data.rows, sum(map(len, data.rows))))
    for note in data.notes:
        records.append_event(directory, "note", text=note)
    for warning in warnings:
        records.append_event(directory, "warning", text=warning)


def _write_end(directory: RunDirectory, judged: Judged) -> Metrics:
    """Save the model and what it is worth."""
    model_file.save(directory.model, embedding.named(judged.params), judged.description)
    records.write_json(directory.evaluation, judged.evaluation, indent=None)
    metrics = {part: one["metrics"] for part, one in judged.evaluation["parts"].items()}
    records.write_metrics(directory, {**metrics, "details": _details(judged.evaluation)})
    return metrics


# What metrics.json says of a part beside its numbers.
_DETAILS = ("undefined", "confusion", "per_class", "per_label")


def _details(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        part: {key: one[key] for key in _DETAILS if one.get(key)}
        for part, one in evaluation["parts"].items()
    }
