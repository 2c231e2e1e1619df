"""The records of a run as JSON: lines by epoch, events with their time, metrics, status.

JSON has no NaN and no infinity: an undefined number is `null` in every file written here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from jaxnet import lock
from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.files import MOST_RECORD, NotReadable, kind, open_file, read_file, write_atomic
from jaxnet.outputs.append import append_line
from jaxnet.outputs.run_directory import RunDirectory, writing
from jaxnet.printable import shell_word

State = Literal["running", "finished", "failed", "stopped"]


def plain(value: Any) -> Any:
    """The value as JSON can hold it: arrays as lists, what is not finite as None.

    Args:
        value: None, a bool, number, string, array or scalar of numpy or jax, or mappings and
            sequences of these.

    Raises:
        TypeError: anything else.

    >>> plain({"loss": math.nan, "sizes": (3, 1)})
    {'loss': None, 'sizes': [3, 1]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def digest(value: Any) -> str:
    """SHA-256 of a value as JSON, whatever the order of its keys and however it is written.

    >>> digest({"a": 1, "b": (2.5,)}) == digest({"b": [2.5], "a": 1})
    True
    """
    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def append_epoch(run: RunDirectory, record: Mapping[str, Any]) -> None:
    """Add one epoch's line to metrics.jsonl. It holds no times: equal runs leave equal files.

    Args:
        run: the directory of the run.
        record: the epoch's number and its metrics.

    Raises:
        RunFailed: the file cannot be written.
    """
    append_line(run.epochs, _line(record))


def rewrite_epochs(run: RunDirectory, records: Iterable[Mapping[str, Any]]) -> None:
    """Write metrics.jsonl anew, as when each of the records had been appended.

    Args:
        run: the directory of the run.
        records: of the epochs that count, in order; none for a run that starts afresh.

    Raises:
        RunFailed: the file cannot be written; it stays as it was.
    """
    write_text(run.epochs, "".join(f"{_line(record)}\n" for record in records))


def append_event(run: RunDirectory, event: str, **details: Any) -> None:
    """Add one line to events.jsonl: the time (UTC), what happened, details.

    Args:
        run: the directory of the run.
        event: a short name of what happened, such as "started".
        details: anything that `plain` takes.

    Raises:
        RunFailed: the file cannot be written.
    """
    append_line(run.events, _line({"time": _now(), "event": event, **details}))


def write_metrics(run: RunDirectory, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Write metrics.json: for "train", "validation" and "test" a flat mapping of numbers or None.

    Args:
        run: the directory of the run.
        metrics: part of the data -> name of the metric -> its value.

    Raises:
        RunFailed: the file cannot be written.
    """
    write_json(run.metrics, metrics)


def write_status(run: RunDirectory, state: State, **details: Any) -> None:
    """Write status.json: the state, when it was entered (UTC), details.

    Args:
        run: the directory of the run.
        state: "running", "finished", "failed" or "stopped".
        details: anything that `plain` takes, such as the message of an error.

    Raises:
        ValueError: the state is none of the four.
        RunFailed: the file cannot be written.
    """
    if state not in get_args(State):
        raise ValueError(f"{state!r} is no state of a run; the states are {get_args(State)}")
    write_json(run.status, {"state": state, "since": _now(), **details})


def write_finished(run: RunDirectory) -> None:
    """Write the status of a run that has finished, with the SHA-256 of what it left.

    Raises:
        RunFailed: the file cannot be written.
    """
    write_status(run, "finished", sha256=_results(run))


def changed_results(run: RunDirectory) -> list[str]:
    """Names of results of a finished run that are missing or not what they were.

    Raises:
        RunDirectoryError: status.json cannot be read, or makes no sense.
    """
    said = _status(run).get("sha256")
    now = _results(run)
    kept = said if isinstance(said, dict) else {}  # versions before kept none
    return [name for name, found in now.items() if found is None or kept.get(name, found) != found]


def _results(run: RunDirectory) -> dict[str, str | None]:
    """Name -> SHA-256 of each result that is made again from a checkpoint; None: missing."""
    found: dict[str, str | None] = {}
    for path in (run.schema, run.split, run.epochs, run.metrics, run.evaluation):
        try:
            found[path.name] = _sha256(path)
        except OSError:
            found[path.name] = None
    return found


def record_end(run: RunDirectory, state: State, error: str, **details: Any) -> None:
    """Add the event and write the status of a run that did not finish, as far as that works.

    What cannot be written, on a full disk say, is left: the run has an error to tell already.

    Args:
        run: the directory of the run.
        state: "failed" or "stopped", which is the name of the event too.
        error: what ended the run.
        details: anything that `plain` takes.
    """
    with contextlib.suppress(RunFailed):
        append_event(run, state, error=error, **details)
    with contextlib.suppress(RunFailed):
        write_status(run, state, error=error, **details)


def state_of(run: RunDirectory) -> str:
    """finished, failed, stopped, running or killed: said to run, by a process that is no more.

    Args:
        run: the directory of a run; one without a status has only just begun.

    Raises:
        RunDirectoryError: status.json or the lock cannot be read, or makes no sense.
    """
    while True:
        status = _status(run)
        if status["state"] != "running":
            return str(status["state"])
        if lock.holder(run.lock) is not None:
            return "running"
        if _status(run) == status:  # else it ended, or began, in between
            return "killed"


def what_next(run: RunDirectory) -> str:
    """What became of a run that has not left its results, and what to type."""
    state = state_of(run)
    if state == "running":
        return "its run is under way; wait for it"
    return f"its run is {state!r}; to go on: {resuming_command(run)}"


def resuming_command(run: RunDirectory) -> str:
    """What to type to go on with a run."""
    config = "" if run.resolved_config.is_file() else "CONFIG "
    command = f"jaxnet train {config}--run-dir {shell_word(str(run.path))} --resume"
    # The same step would fail again.
    return f"{command} training.on_nan=skip" if _failed_at_a_step(run) else command


def _failed_at_a_step(run: RunDirectory) -> bool:
    with contextlib.suppress(RunDirectoryError):
        status = _status(run)
        return status["state"] == "failed" and "step" in status
    return False


def _status(run: RunDirectory) -> dict[str, Any]:
    if not os.path.lexists(run.status):
        return {"state": "running"}
    if (other := kind(run.status)) is not None:
        raise RunDirectoryError(f"{run.status}: {other}, not a file; remove it")
    status = read_json(run.status)
    if not isinstance(status, dict) or status.get("state") not in get_args(State):
        raise RunDirectoryError(
            f"{run.status}: damaged, the state is none of {', '.join(get_args(State))}"
        )
    return status


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: the file; its directory exists.
        value: anything that `plain` takes.
        indent: spaces a level, for a person to read; None: all on one line.

    Raises:
        RunFailed: the file cannot be written.
    """
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    with writing(path):
        write_atomic(path, f"{text}\n".encode("utf-8", "backslashreplace"))


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Args:
        path: the file; its directory exists.
        text: its content.

    Raises:
        RunFailed: the file cannot be written.
    """
    with writing(path):
        write_atomic(path, text)


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run.

    Args:
        path: the file.

    Raises:
        RunDirectoryError: it is missing or damaged.
    """
    try:
        content = _read(path)
    except FileNotFoundError:
        raise RunDirectoryError(f"{path}: missing; did the run finish?") from None
    try:
        return _parsed(content)
    except MemoryError:
        raise _too_large(path) from None
    except ValueError as error:
        raise RunDirectoryError(f"{path}: damaged, this is not JSON ({error})") from None


def has_half_pairs(value: Any) -> bool:
    """Whether some text in what JSON gave is none: it has a half of a surrogate pair.

    >>> has_half_pairs({"a": ["\\ud800"]}), has_half_pairs({"a": ["\N{SNOWMAN}"]})
    (True, False)
    """
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of lines. A last line that was cut short is left out.

    Args:
        path: metrics.jsonl or events.jsonl; a missing file has no lines.

    Raises:
        RunDirectoryError: the file cannot be read, or a whole line of it is damaged.
    """
    try:
        lines = _read(path).split(b"\n")
    except FileNotFoundError:
        return []
    records = []
    for number, line in enumerate(lines[:-1], start=1):  # the part after the last newline is cut
        try:
            record = _parsed(line)
        except MemoryError:
            raise _too_large(path) from None
        except ValueError as error:
            raise RunDirectoryError(f"{path}:{number}: damaged line ({error})") from None
        if not isinstance(record, dict):
            raise RunDirectoryError(f"{path}:{number}: damaged line (not an object)")
        records.append(record)
    return records


def readable_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of lines, without those that are damaged: for an overview.

    Args:
        path: metrics.jsonl or events.jsonl; a missing file has no lines.

    Raises:
        RunDirectoryError: the file cannot be read.
    """
    try:
        lines = _read(path).splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(_parsed(line))
    return [record for record in found if isinstance(record, dict)]


def checkpoint_names(run: RunDirectory) -> set[str]:
    """The names of the checkpoints that a run says it wrote, or went on from.

    Args:
        run: the directory of the run; records that cannot be read name nothing.
    """
    try:
        events = readable_lines(run.events)
    except RunDirectoryError:
        return set()
    keys = {"checkpoint": ("name", "best"), "resumed": ("checkpoint",)}
    said = (event.get(key) for event in events for key in keys.get(str(event.get("event")), ()))
    return {name for name in said if isinstance(name, str)}


def _read(path: Path) -> bytes:
    """A file of a run; of what stands in its way, all but FileNotFoundError in words."""
    try:
        return read_file(path, most=MOST_RECORD)
    except FileNotFoundError:
        raise
    except NotReadable as error:
        raise RunDirectoryError(str(error)) from None
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error.strerror})") from None


def _parsed(text: bytes) -> Any:
    """JSON, of which NaN and Infinity are no part; ValueError for all that is not."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _too_large(path: Path) -> RunDirectoryError:
    return RunDirectoryError(f"{path}: too large for the memory there is")


def _sha256(path: Path) -> str:
    """Of the bytes of a file, a piece at a time."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(plain(record), ensure_ascii=False, allow_nan=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
