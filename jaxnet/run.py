"""Training a config: config -> data -> task -> fit -> what the run leaves behind."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet import finished, lock, opening
from jaxnet import resume as resuming
from jaxnet.config import Config, load_config
from jaxnet.data import dataset
from jaxnet.data.dataset import Dataset
from jaxnet.errors import JaxnetError, NonFiniteError, RunFailed, Stopped, UserError
from jaxnet.job import (
    Job,
    check_own_loss,
    first_state,
    memory_needs,
    plan_job,
    registered_losses,
    shape_of_state,
    train_job,
)
from jaxnet.judge import judge
from jaxnet.keeping import Keeper
from jaxnet.outputs import checkpoints, records, report, run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.printable import shell_word
from jaxnet.recording import Metrics, recorded, tell_end, write_beginning, write_end
from jaxnet.resume import Earlier
from jaxnet.training import determinism, memory, selfcheck, settings, threads
from jaxnet.training.compilation_cache import compilation_cache
from jaxnet.training.fit import Fitted
from jaxnet.training.snapshot import Snapshot, beginning
from jaxnet.watching import Remark, first_lines, watching


class Run(NamedTuple):
    """A finished run.

    Attributes:
        directory: what the run left, see `jaxnet.outputs.run_directory`.
        metrics: {"train": {...}, "validation": {...}, "test": {...}}, as in metrics.json.
        had_finished: True where nothing was left to resume.
    """

    directory: Path
    metrics: Metrics
    had_finished: bool = False


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)


class Calling(NamedTuple):
    """How a run is called, whatever its config.

    Attributes:
        progress: show progress on standard error.
        fit_threads: let the network decide how many threads JAX gets (a process that has used JAX
            already keeps its own); the command line does.
        deterministic: ask an accelerator for equal bits at every run.
        command: how the run was started, for its records.
        poll: called after every stretch of steps and in every other loop; what it raises stops the
            run, after a checkpoint.
        warn: told of damaged checkpoints, and of what keeps a resumed run from equal bits.
    """

    progress: bool = True
    fit_threads: bool = False
    deterministic: bool = False
    command: str = "jaxnet.train(...)"
    poll: Callable[[], None] = lambda: None
    warn: Callable[[str], None] = _warn


def train(
    config: Config | str | Path | Mapping[str, Any] | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    deterministic: bool = False,
    calling: Calling | None = None,
    **overrides: Any,
) -> Run:
    """Train a config and leave a run directory behind.

    Args:
        config: path of a YAML file, a mapping of the same shape, or a loaded `Config`; None with
            `resume`: the one that the run began with.
        run_dir: new directory for the run; by default runs/<config>-<time>.
        resume: go on from the newest good checkpoint in `run_dir`, and end with the bits of a run
            that nothing disturbed; start there where it is absent, empty or without checkpoint.
        progress: show progress on standard error.
        deterministic: ask an accelerator for equal bits at every run.
        calling: instead of the two before, and more.
        overrides: config values by dotted key, `**{"optimizer.learning_rate": 0.01}`.

    Raises:
        UserError: a mistake in the config, the data or the run directory; or the config or the data
            are not those of the run to resume.
        RunFailed: training met a value that is not finite, or the disk is full.
        Stopped: `calling.poll` raised it; a checkpoint is there if its `saved` names the directory.

    >>> import tempfile, os
    >>> where = os.path.join(tempfile.mkdtemp(), "run")
    >>> config = {"task": "binary", "data": {"source": "breast_cancer"},
    ...           "model": {"hidden": [8]}, "training": {"epochs": 2}, "report": False}
    >>> sorted(train(config, run_dir=where, progress=False).metrics)
    ['test', 'train', 'validation']
    >>> train(run_dir=where, resume=True).had_finished
    True
    """
    begun = time.perf_counter()
    calling = calling or Calling(progress, deterministic=deterministic)
    if run_dir:
        run_directory.check_name(run_dir)
    config = _load(config, run_dir, resume, overrides)
    if run_dir and resume:
        earlier = RunDirectory(Path(run_dir))
        if left := finished.look(earlier, config, calling.warn, poll=calling.poll):
            return _had_finished(earlier, left, calling)
    opening.look(run_dir, resume=resume)
    config = load_config(config, extra_losses=registered_losses())  # its files are needed now
    reading = time.perf_counter()
    data = load_data(config)
    seconds = {"read": time.perf_counter() - reading}
    job = plan_job(config, data)
    calling.poll()
    names = {"name": config.name, "command": calling.command}
    with opening.taken(run_dir, resume=resume, **names) as (directory, remarks):
        metrics = _run(directory, config, job, data, resume, remarks, seconds, begun, calling)
    return Run(directory.path, metrics)


def _run(
    directory: RunDirectory,
    config: Config,
    job: Job,
    data: Dataset,
    resume: bool,
    remarks: Sequence[Remark],
    seconds: dict[str, float],
    begun: float,
    calling: Calling,
) -> Metrics:
    """All of a run in a directory of its own."""
    earlier = _earlier(directory, config, data, calling) if resume else None
    then = None if earlier is None else earlier.facts["machine"].get("settings")
    with settings.held(then), compilation_cache():
        remarks = [*remarks, *_prepared(directory, config, job, data, earlier, calling)]
        check_own_loss(config, job, data)
        if not resume:
            run_directory.claim(directory)
        with recorded(directory, calling.command, earlier), _memory_in_words(config, job, data):
            fitted = _trained(directory, config, job, data, earlier, remarks, calling)
            with _resumable(directory):
                metrics = _judged(directory, config, job, data, fitted, seconds, calling)
            seconds["total"] = time.perf_counter() - begun
            tell_end(directory, fitted, seconds)
    if config.report:
        _draw(directory, calling)
    return metrics


def _had_finished(run: RunDirectory, left: finished.Finished, calling: Calling) -> Run:
    """A finished run, with a report if it shall have one."""
    if left.draw:
        with lock.hold(run.lock, command=calling.command):
            _draw(run, calling)
    return Run(run.path, left.metrics, had_finished=True)


def _draw(directory: RunDirectory, calling: Calling) -> None:
    """The report of a finished run, which has finished whatever becomes of that."""
    path = directory.path
    again = f"to draw it: jaxnet report {shell_word(str(path))}"
    try:
        report.write(directory, poll=calling.poll)
    except (Exception, Stopped) as error:
        cause, why = error.__cause__, repr(error)
        if isinstance(error, Stopped):
            why = f"signal {error.signal}"
        elif isinstance(cause, OSError) and cause.strerror:  # what to do is another thing here
            why = cause.strerror
        elif isinstance(error, JaxnetError):
            why = str(error)
        calling.warn(f"{path}: the run has finished, without a report ({why}); {again}")
    except BaseException as error:  # Ctrl-C in a notebook
        error.add_note(f"{path}: the run has finished, without a report; {again}")
        raise


def _load(given: Any, run_dir: str | Path | None, resume: bool, overrides: Any) -> Config:
    """The config that is asked for, or the one that the run to resume began with."""
    if resume and not run_dir:
        raise UserError("resume needs the directory of the run: --run-dir DIR")
    here = None  # relative paths start at the config's directory
    if given is None:
        if not resume or not run_dir:
            raise UserError("train needs a config: its path, or a mapping of the same shape")
        given, here = run_directory.recorded_config(RunDirectory(Path(run_dir))), Path()
    # A finished run to resume has nothing left to read.
    return load_config(
        given,
        overrides,
        extra_losses=registered_losses(),
        check_files=not resume,
        directory=here,
    )


def _earlier(
    directory: RunDirectory, config: Config, data: Dataset, calling: Calling
) -> Earlier | None:
    """What there is to go on from, once it is known to fit."""
    run_directory.check_resumable(directory)
    run_directory.clear_temporary(directory)
    with _resumable(directory, checkpoints.any_in(directory.checkpoints)):
        earlier = resuming.find(directory, calling.warn, poll=calling.poll)
    if earlier is None and (said := resuming.starts_over(directory)):
        calling.warn(said)
    resuming.check(directory, config, data, earlier)
    return earlier


def _prepared(
    directory: RunDirectory,
    config: Config,
    job: Job,
    data: Dataset,
    earlier: Earlier | None,
    calling: Calling,
) -> list[Remark]:
    """Make all ready for the first step; gives what there is to say of the run."""
    remarks = [*_of_the_data(config, data), *_ready(config, job, data, earlier, calling)]
    remarks += [Remark("note", text) for text in resuming.told(earlier, config)]
    with _resumable(directory, earlier is not None):
        calling.poll()
    return remarks


def _ready(
    config: Config, job: Job, data: Dataset, earlier: Earlier | None, calling: Calling
) -> Iterator[Remark]:
    """Make the machine ready: threads, determinism, a check of the sums and of the memory.

    Yields what there is to say of it.
    """
    then = earlier.facts["machine"] if earlier is not None else None
    if calling.fit_threads:
        if then is not None:
            threads.repin(then["threads"])
        else:
            threads.pin(threads.choose(job.widths, job.program.batch_size))
    began = then is not None and then["platform"] != "cpu" and then["deterministic"]
    if calling.deterministic or began:
        with suppress(UserError) if not calling.deterministic else nullcontext():
            # Of a run that goes on without being asked again the difference is told below.
            yield Remark("note", determinism.ask())
    yield from (Remark("warning", doubt) for doubt in selfcheck.once())
    memory.check(memory_needs(config, job, data))
    if then is not None:
        for text in determinism.differences(then, determinism.facts()):
            calling.warn(text)
            yield Remark("warning", text)


def _trained(
    directory: RunDirectory,
    config: Config,
    job: Job,
    data: Dataset,
    earlier: Earlier | None,
    remarks: Sequence[Remark],
    calling: Calling,
) -> Fitted:
    """Train from the beginning or from a checkpoint, and leave a checkpoint of the end."""
    start = _start(config, job, data, earlier)
    write_beginning(directory, config, data, remarks)
    records.rewrite_epochs(directory, start.records)
    facts = {**resuming.identity(config, data), "machine": determinism.facts()}
    saved = earlier is not None
    keeper = Keeper(
        directory, config.checkpoints, facts, poll=calling.poll, start=start, saved=saved
    )
    lines = first_lines(data, directory, remarks)
    with watching(
        config, data, directory, keeper, start, lines=lines, show=calling.progress
    ) as watch:
        try:
            fitted = train_job(job, data, start, watch)
        except NonFiniteError as error:
            raise NonFiniteError(
                f"{error}; {_after_a_bad_step(directory, config)}",
                step=error.step,
                rows=error.rows,
            ) from None
    keeper.save(fitted.last)
    return fitted


def _after_a_bad_step(directory: RunDirectory, config: Config) -> str:
    """What to type: a run keeps its rate, so that resuming alone fails at the same step."""
    path = shell_word(str(directory.path))
    said = f"which operation: jaxnet debug {path}; a run with another rate: --run-dir DIR"
    if config.training.on_nan == "skip":
        return said
    return (
        f"{said}; without such steps: jaxnet train --run-dir {path} --resume training.on_nan=skip"
    )


@contextmanager
def _memory_in_words(config: Config, job: Job, data: Dataset) -> Iterator[None]:
    """Where memory ends after all, say what took it and what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = memory.translated(error, memory_needs(config, job, data))
        if said is None:
            raise
        raise RunFailed(said) from error


@contextmanager
def _resumable(directory: RunDirectory, saved: bool = True) -> Iterator[None]:
    """Before and after training: what a signal stops here is made again from a checkpoint."""
    try:
        yield
    except Stopped as stop:
        stop.saved = str(directory.path) if saved else None
        raise


def _judged(
    directory: RunDirectory,
    config: Config,
    job: Job,
    data: Dataset,
    fitted: Fitted,
    seconds: dict[str, float],
    calling: Calling,
) -> Metrics:
    """Decide and measure, and keep the model; `seconds` gets those of training and of this."""
    begun = time.perf_counter()
    judged = judge(config, job, data, fitted, poll=calling.poll)
    metrics = write_end(directory, judged, data.schema)
    seconds |= fitted.seconds
    seconds["evaluate"] += time.perf_counter() - begun
    return metrics


def _start(config: Config, job: Job, data: Dataset, earlier: Earlier | None) -> Snapshot:
    if earlier is None:
        return beginning(first_state(config, job, data))
    return resuming.snapshot_of(earlier, shape_of_state(config, job, data))


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
        train_labels=given.train_labels,
        validation_labels=given.validation_labels,
        test_labels=given.test_labels,
        label_names=given.label_names,
    )


def _of_the_data(config: Config, data: Dataset) -> Iterator[Remark]:
    """What there is to say of the rows; a recorded split may have no validation rows."""
    yield from (Remark("note", text) for text in data.notes)
    yield from (Remark("warning", text) for text in data.warnings)
    if not len(data.x_val):
        yield Remark(
            "warning",
            f"{config.data.split.file}: no row has the part 'validation', so every epoch runs, "
            "nothing is calibrated and no threshold is tuned",
        )
