"""What a report is drawn from: the files of a run directory, as far as they are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxnet.errors import RunDirectoryError
from jaxnet.files import MOST_TEXT, kind, read_file
from jaxnet.outputs.records import read_json, read_lines
from jaxnet.outputs.run_directory import RunDirectory

Record = Mapping[str, Any]

_EMPTY: Record = MappingProxyType({})

_NEEDED_FOR = {
    "config.resolved.yaml": "the settings are not shown",
    "schema.json": "the data cannot be described",
    "metrics.jsonl": "there are no curves by epoch",
    "metrics.json": "there are no final metrics",
    "evaluation.json": "there are no ROC and reliability diagrams and no table of errors",
    "events.jsonl": "there are no timings, versions and warnings",
    "status.json": "how the run ended is not known",
}


class Records(NamedTuple):
    """The content of the files of one run; what is missing is empty.

    Attributes:
        name: of the run, the name of its directory.
        config: text of config.resolved.yaml.
        schema: of schema.json.
        epochs: lines of metrics.jsonl.
        metrics: of metrics.json.
        evaluation: of evaluation.json.
        events: lines of events.jsonl.
        status: of status.json.
        missing: a sentence for each file that is missing or damaged.
    """

    name: str
    config: str = ""
    schema: Record = _EMPTY
    epochs: Sequence[Record] = ()
    metrics: Record = _EMPTY
    evaluation: Record = _EMPTY
    events: Sequence[Record] = ()
    status: Record = _EMPTY
    missing: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """binary, multiclass or multilabel; empty where the schema does not say."""
        return str(self.schema.get("task", ""))

    @property
    def part(self) -> str:
        """The part of the data that the report speaks of first: test, or validation without one."""
        return next((part for part in ("test", "validation") if self.scores(part)), "test")

    def summary(self, part: str) -> Record:
        """What evaluation.json holds of a part, or nothing."""
        return mapping(mapping(self.evaluation.get("parts")).get(part))

    def scores(self, part: str) -> Record:
        """Metrics of a part, name -> number or None."""
        return mapping(self.summary(part).get("metrics")) or mapping(self.metrics.get(part))

    def event(self, name: str) -> Record:
        """The last event of that name, or nothing."""
        found = [event for event in self.events if event.get("event") == name]
        return found[-1] if found else {}

    def said(self, name: str) -> list[str]:
        """The texts of the events of that name, each once, in order."""
        texts = [str(e["text"]) for e in self.events if e.get("event") == name and "text" in e]
        return list(dict.fromkeys(texts))


def mapping(value: Any) -> Record:
    """The value if it is a mapping, else an empty one.

    >>> mapping(None), mapping({"a": 1})
    ({}, {'a': 1})
    """
    return value if isinstance(value, Mapping) else {}


def read(directory: RunDirectory) -> Records:
    """Read what there is. A missing or damaged file becomes a sentence of `missing`.

    Args:
        directory: of a run, finished or not.
    """
    missing: list[str] = []

    def attempt(path: Path, how: Callable[[Path], Any], fits: Callable[[Any], bool]) -> Any:
        """The content of a file, or None and a sentence in `missing`."""
        if not path.exists():
            missing.append(f"{path.name} is missing: {_NEEDED_FOR[path.name]}.")
            return None
        if (other := kind(path)) is not None:
            missing.append(f"{path.name} is {other}, not a file: {_NEEDED_FOR[path.name]}.")
            return None
        try:
            found = how(path)
        except (RunDirectoryError, OSError, ValueError):
            found = None
        if not fits(found):
            missing.append(f"{path.name} is damaged: {_NEEDED_FOR[path.name]}.")
            return None
        return found

    def lines(path: Path) -> tuple[Record, ...]:
        found = attempt(path, read_lines, lambda value: value is not None)
        return tuple(line for line in found or () if isinstance(line, Mapping))

    def document(path: Path) -> Record:
        return mapping(attempt(path, read_json, lambda value: isinstance(value, Mapping)))

    config = attempt(directory.resolved_config, _text, lambda value: value is not None)
    return Records(
        name=directory.path.resolve().name or "run",
        config=config or "",
        schema=document(directory.schema),
        epochs=lines(directory.epochs),
        metrics=document(directory.metrics),
        evaluation=document(directory.path / "evaluation.json"),
        events=lines(directory.events),
        status=document(directory.status),
        missing=tuple(missing),
    )


def _text(path: Path) -> str:
    return read_file(path, most=MOST_TEXT).decode(errors="replace")
