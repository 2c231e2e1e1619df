"""Plain values to a `Config`, with every problem found before any is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jaxnet.config.checks import check
from jaxnet.config.messages import mark_of, read
from jaxnet.config.problems import KeyPath, Problem, in_order
from jaxnet.config.schema import Config, Origin
from jaxnet.config.sections import section_at
from jaxnet.config.source import Source
from jaxnet.errors import ConfigError


def validate(
    source: Source, origin: Origin, *, extra_losses: Sequence[str], check_files: bool
) -> Config:
    """The config that a source describes.

    Raises:
        ConfigError: every problem of the source, of single values and of keys together.
    """
    problems = list(source.problems)
    bad = {problem.path for problem in problems if problem.path}
    value: dict[str, Any] = source.value
    config, errors = _attempt(value, origin, extra_losses)
    problems.extend(_worded(errors, source, bad))
    bad.update(_key_of(error) for error in errors)
    if config is None:
        # The rest is checked too: without the faulty values, which become their defaults.
        config, _ = _attempt(_usable(value, bad), origin, extra_losses)
    if config is not None:
        found = check(config, bad, check_files=check_files)
        problems.extend(_blamed(path, text, source) for path, text in found)
    if problems or config is None:
        raise ConfigError(in_order(problems))
    return config


def _attempt(
    value: dict[str, Any], origin: Origin, extra_losses: Sequence[str]
) -> tuple[Config | None, list[ErrorDetails]]:
    try:
        config = Config.model_validate(value, context={"extra_losses": tuple(extra_losses)})
    except ValidationError as error:
        details = error.errors(include_url=False)
        # Only says that another key of the section, which has an error of its own, is unusable.
        return None, [one for one in details if one["type"] != "default_factory_not_called"]
    config._origin = origin
    return config, []


def _worded(errors: list[ErrorDetails], source: Source, bad: set[KeyPath]) -> Iterator[Problem]:
    """The errors in words, each mistake once. Keys that were meant join the bad ones."""
    said = frozenset(bad)
    meant: set[KeyPath] = set()
    # Unknown keys first: `taks` also explains why `task` is missing.
    for error in sorted(errors, key=lambda error: error["type"] != "extra_forbidden"):
        path: KeyPath = tuple(error["loc"])
        if _within(path, said) or (error["type"] == "missing" and path in meant):
            continue
        reading = read(error, source)
        meant.update(reading.meant)
        yield reading.problem
    bad.update(meant)


def _blamed(path: KeyPath, text: str, source: Source) -> Problem:
    """The problem of a check: at a value, or at the key of a section."""
    return Problem(mark_of(source, path, key=section_at(path) is not None), path, text)


def _key_of(error: ErrorDetails) -> KeyPath:
    """The key of an error; for an item of a list, the list's."""
    path: KeyPath = tuple(error["loc"])
    return next((path[:i] for i, part in enumerate(path) if isinstance(part, int)), path)


def _within(path: KeyPath, paths: Iterable[KeyPath]) -> bool:
    return any(path[: len(other)] == other for other in paths)


def _usable(value: dict[str, Any], bad: Iterable[KeyPath]) -> dict[str, Any]:
    """The values that are not bad, with stand-ins for the two required keys."""
    return {"task": "binary", "data": {}, **_without(value, (), set(bad))}


def _without(section: dict[str, Any], above: KeyPath, bad: set[KeyPath]) -> dict[str, Any]:
    return {
        key: _without(item, (*above, key), bad) if isinstance(item, dict) else item
        for key, item in section.items()
        if (*above, key) not in bad
    }
