"""Python objects to the plain values that YAML would give: dicts, lists and scalars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from jaxnet.config.problems import KeyPath, Mark, Marks, Problem
from jaxnet.config.source import MOST_LEVELS, Source


def from_python(value: Any, mark: Mark) -> Source:
    """A Python value as a source, every key of it marked with `mark`.

    Tuples become lists, paths text, NumPy scalars numbers, whole numbers as keys text. Problems:
    other keys that are not text, and values that no config can hold.
    """
    source = Source(None, {(): Marks(mark, mark)}, [])
    return source._replace(value=_convert(value, (), mark, source))


def _convert(value: Any, path: KeyPath, mark: Mark, source: Source) -> Any:
    source.marks[path] = Marks(mark, mark)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if len(path) > MOST_LEVELS:
        problem = Problem(mark, path, f"nested more than {MOST_LEVELS} levels deep")
        source.problems.append(problem)
        return None
    if isinstance(value, Mapping):
        return _convert_mapping(value, path, mark, source)
    if isinstance(value, list | tuple):
        return [_convert(item, (*path, i), mark, source) for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return _convert(os.fspath(value), path, mark, source)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    for kind in (int, float, str):  # subclasses, enumerations among them
        if isinstance(value, kind):
            return kind(value)
    text = f"a config cannot hold a value of type {type(value).__name__}"
    source.problems.append(Problem(mark, path, text))
    return None


def _convert_mapping(
    value: Mapping[Any, Any], path: KeyPath, mark: Mark, source: Source
) -> dict[str, Any]:
    items = {}
    for key, item in value.items():
        # As in YAML, where the classes of {0: 1, 1: 5} are read as text.
        if isinstance(key, str) or (type(key) is not bool and isinstance(key, Integral)):
            items[str(key)] = _convert(item, (*path, str(key)), mark, source)
        else:
            text = f"the key {key!r} is not text"
            source.problems.append(Problem(mark, path, text))
    return items
