"""The runs below a directory: what became of each, how far it got, what it is worth."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.errors import RunDirectoryError, UserError
from jaxnet.files import MOST_TEXT, read_file
from jaxnet.outputs import records, run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.printable import shell_word

_TASK = re.compile(rb"^task: *([a-z]+)", re.MULTILINE)
_LAST = "9999"  # after the time of any run


_MAY_GO_ON = ("stopped", "killed", "failed")


class Listed(NamedTuple):
    """A run as far as its files tell; None for what they do not tell.

    Attributes:
        path: the directory.
        problem: what is wrong with it, where it cannot be read as a run; the rest is empty then.
        state: finished, failed, stopped, running or killed.
        task: of the config.
        started: when the first process of the run began, ISO 8601 in UTC.
        epoch: the last one that ran whole.
        step: updates done, as far as was recorded.
        part: of which rows the metrics are: test, or validation where the run has not finished.
        metrics: the two that say most.
        productive: seconds that the run as it stands has taken.
        total: seconds from its first event to its last.
        resume: what to type to go on, for a run that was stopped or killed, or failed.
        debug: what to type to see why, for a run that failed at a step that was not finite.
    """

    path: Path
    problem: str | None = None
    state: str | None = None
    task: str | None = None
    started: str | None = None
    epoch: int | None = None
    step: int | None = None
    part: str | None = None
    metrics: Mapping[str, float] = {}
    productive: float | None = None
    total: float | None = None
    resume: str | None = None
    debug: str | None = None


def find(directory: Path | str, *, poll: Callable[[], None] = lambda: None) -> list[Listed]:
    """The runs in a directory, newest first; those that cannot be read come last.

    Args:
        directory: holds run directories, or is one. Files and hidden directories are passed over.
        poll: called before each run; what it raises ends the search.

    Raises:
        UserError: there is no such directory, or it cannot be read.
    """
    top = Path(directory)
    if os.path.isdir(top) and run_directory.ours(RunDirectory(top)):
        return [describe(top)]
    found = []
    for path in _directories(top):
        poll()
        found.append(describe(path))
    # Sorting is stable: of equal times, and of problems, by name.
    found.sort(key=lambda run: _LAST if run.started is None else run.started, reverse=True)
    return sorted(found, key=lambda run: run.problem is not None)


def describe(path: Path) -> Listed:
    """What the files of one directory tell.

    Args:
        path: a directory; what is wrong with it becomes its `problem`.
    """
    run = RunDirectory(path)
    try:
        if run_directory.ours(run):
            return _described(run)
        os.listdir(path)
    except RunDirectoryError as error:
        remedy = f"to make it again: {records.resuming_command(run)}"
        return Listed(path, problem=f"{error}; {remedy}" if run_directory.ours(run) else str(error))
    except OSError as error:
        return Listed(path, problem=f"{path}: cannot be read ({error.strerror or error})")
    return Listed(path, problem=f"{path}: no run was started here")


def _directories(top: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(top))
    except FileNotFoundError:
        raise UserError(
            f"{top}: there is no such directory; name the one that holds your runs: jaxnet runs DIR"
        ) from None
    except NotADirectoryError:
        raise UserError(
            f"{top}: a file, not a directory; name the one that holds your runs: jaxnet runs DIR"
        ) from None
    except OSError as error:
        raise UserError(f"{top}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # a NUL in the name
        raise UserError(f"{str(top)!r}: not a name of a directory ({error})") from None
    return [top / name for name in names if not name.startswith(".") and os.path.isdir(top / name)]


def _described(run: RunDirectory) -> Listed:
    state = records.state_of(run)
    events = records.readable_lines(run.events)
    epochs = records.readable_lines(run.epochs)
    last = epochs[-1] if epochs else {}
    part, metrics = _headline(run, state, last)
    times = [_time(run, event) for event in events]
    begun = next((at for at, event in enumerate(events) if event.get("event") == "started"), None)
    return Listed(
        run.path,
        state=state,
        task=_task(run),
        started=None if begun is None else times[begun].isoformat(),
        epoch=_whole(last.get("epoch")),
        step=max((s for s in map(_whole, _steps(last, events)) if s is not None), default=None),
        part=part,
        metrics=metrics,
        productive=_productive(events),
        total=None if begun is None else _seconds_of_all(times[begun:]),
        resume=records.resuming_command(run) if state in _MAY_GO_ON else None,
        debug=_debug(run) if state == "failed" and _has_bad_step(events) else None,
    )


def _seconds_of_all(times: Sequence[datetime]) -> float:
    """From the first to the last, as far as the clock went forward: it may have been set back."""
    steps = ((after - before).total_seconds() for before, after in pairwise(times))
    return sum(step for step in steps if step > 0)


def _headline(
    run: RunDirectory, state: str, last: Mapping[str, Any]
) -> tuple[str | None, dict[str, float]]:
    """The test rows' metrics once a run has finished, else the validation rows' of an epoch."""
    kept = records.read_json(run.metrics) if state == "finished" else None
    for part in ("test", "validation"):
        chosen = _two(kept.get(part)) if isinstance(kept, dict) else {}
        if chosen:
            return part, chosen
    prefix = "validation_"
    chosen = _two({key.removeprefix(prefix): last[key] for key in last if key.startswith(prefix)})
    return ("validation", chosen) if chosen else (None, {})


def _two(metrics: Any) -> dict[str, float]:
    """What decisions are worth, and what probabilities are worth."""
    if not isinstance(metrics, dict):
        return {}
    decisions = "micro_f1" if "micro_f1" in metrics else "accuracy"
    numbers = {key: _number(metrics.get(key)) for key in (decisions, "log_loss")}
    return {key: number for key, number in numbers.items() if number is not None}


def _steps(last: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Of the last epoch and of the last checkpoint, which may lie in the next epoch.

    Where the run went on from an older one, or started over, that one counts.
    """
    telling = ("checkpoint", "resumed", "started")
    stood = [event.get("step") for event in events if event.get("event") in telling]
    return [last.get("step"), *stood[-1:]]


def _productive(events: Sequence[Mapping[str, Any]]) -> float | None:
    for event in reversed(events):
        key = {"finished": "productive", "checkpoint": "seconds"}.get(str(event.get("event")))
        seconds = _number(event.get(key)) if key is not None else None
        if seconds is not None:
            return seconds
    return None


def _has_bad_step(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the run failed at a step that was not finite."""
    failed = [event for event in events if event.get("event") == "failed"]
    return bool(failed) and _whole(failed[-1].get("step")) is not None


def _debug(run: RunDirectory) -> str:
    return f"jaxnet debug {shell_word(str(run.path))}"


def _task(run: RunDirectory) -> str | None:
    """From the config's text: nothing else of it is needed, and reading YAML takes its time."""
    try:
        found = _TASK.search(read_file(run.resolved_config, most=MOST_TEXT))
    except OSError:
        return None
    return found[1].decode() if found else None


def _time(run: RunDirectory, event: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(event["time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise RunDirectoryError(f"{run.events}: damaged, an event has no time") from None


def _number(value: Any) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number that no float holds
        return None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None
