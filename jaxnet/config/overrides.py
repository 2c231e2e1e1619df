"""Overrides: `key.path=value` from the command line, or a mapping of key paths from Python."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxnet.config.plain_values import from_python
from jaxnet.config.problems import FILES, KeyPath, Mark, Marks, Problem, dotted, half_in, shown
from jaxnet.config.source import Source, parse
from jaxnet.errors import ConfigError

OVERRIDE = Mark("override")
_KEY = re.compile(r"[^\s=.\[\]]+(\.[^\s=.\[\]]+)*")


def apply(source: Source, overrides: Sequence[str] | Mapping[str, Any]) -> Source:
    """The source with the overrides set in it, one after the other; the last one wins.

    A section on the way that is absent or null starts empty, so from its defaults. What cannot
    be read or set is added to the problems.
    """
    result = Source(_copy(source.value), dict(source.marks), list(source.problems))
    for path, replacement in _read(overrides, result.problems):
        _set(result, path, _from_here(path, replacement))
    return result


def _from_here(path: KeyPath, source: Source) -> Source:
    """The path of a file, as it was typed, from where it was typed, if the file is there.

    Otherwise it starts where the config's own paths do.
    """
    value = source.value
    if path in FILES and isinstance(value, str) and value and _is_file(value):
        return source._replace(value=os.path.abspath(value))
    return source


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # no name that a file can have
        return False


def _read(
    overrides: Sequence[str] | Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[KeyPath, Source]]:
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            path: KeyPath = tuple(str(key).split("."))
            if not _KEY.fullmatch(str(key)) or half_in(str(key)):
                problems.append(_bad_syntax(str(key)))
            else:
                replacement = from_python(value, OVERRIDE)
                yield path, _below(path, replacement, problems)
        return
    for text in [overrides] if isinstance(overrides, str) else overrides:
        key, equals, value_text = text.partition("=")
        key = key.strip()
        if not equals or not _KEY.fullmatch(key) or half_in(key):
            problems.append(_bad_syntax(text))
            continue
        path = tuple(key.split("."))
        if not value_text.strip():
            problems.append(Problem(OVERRIDE, path, f"no value; write {key}=null for null"))
            continue
        try:
            replacement = parse(value_text, "override", place=OVERRIDE)
        except ConfigError as error:
            for line in error.problems:
                problems.append(Problem(OVERRIDE, path, line.removeprefix("override: ")))
            continue
        yield path, _below(path, replacement, problems)


def _bad_syntax(text: str) -> Problem:
    return Problem(
        OVERRIDE,
        (),
        f"{shown(text)!r} is not key.path=value, such as optimizer.learning_rate=1e-2",
    )


def _below(path: KeyPath, source: Source, problems: list[Problem]) -> Source:
    """A source whose paths start at `path`; its problems join `problems`."""
    problems.extend(Problem(OVERRIDE, (*path, *p.path), p.text) for p in source.problems)
    marks = {(*path, *inner): Marks(OVERRIDE, OVERRIDE) for inner in source.marks}
    return Source(source.value, marks, [])


def _set(result: Source, path: KeyPath, replacement: Source) -> None:
    section = result.value
    for depth, part in enumerate(path[:-1], start=1):
        if section.get(part) is None:
            section[part] = {}
            result.marks[path[:depth]] = Marks(OVERRIDE, OVERRIDE)
        section = section[part]
        if not isinstance(section, dict):
            text = f"cannot be set, because {dotted(path[:depth])} is not a section of keys"
            result.problems.append(Problem(OVERRIDE, path, text))
            return
    for old in [old for old in result.marks if old[: len(path)] == path]:
        del result.marks[old]
    section[path[-1]] = replacement.value
    result.marks.update(replacement.marks)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
