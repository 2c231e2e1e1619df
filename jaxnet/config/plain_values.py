"""Python objects to the plain values that YAML would give: dicts, lists and scalars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from jaxnet.config.problems import KeyPath, Mark, Marks, Problem, half_in, shown
from jaxnet.config.scalars import MOST_DIGITS
from jaxnet.config.source import MOST_LEVELS, Source

_TOO_LONG = f"a number of more than {MOST_DIGITS} digits is too long"


def from_python(value: Any, mark: Mark) -> Source:
    """A Python value as a source, every key of it marked with `mark`.

    Tuples become lists, paths text, NumPy scalars numbers, whole numbers as keys text. Problems:
    other keys that are not text, and values that no config can hold.
    """
    source = Source(None, {(): Marks(mark, mark)}, [])
    return source._replace(value=_convert(value, (), mark, source))


def _convert(value: Any, path: KeyPath, mark: Mark, source: Source) -> Any:
    source.marks[path] = Marks(mark, mark)
    if len(path) > MOST_LEVELS:
        _refuse(f"nested more than {MOST_LEVELS} levels deep", path, mark, source)
        return None
    if isinstance(value, Mapping):
        return _convert_mapping(value, path, mark, source)
    if isinstance(value, list | tuple):
        return [_convert(item, (*path, i), mark, source) for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return _convert(os.fspath(value), path, mark, source)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return _convert_scalar(value, path, mark, source)


def _convert_scalar(value: Any, path: KeyPath, mark: Mark, source: Source) -> Any:
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):  # subclasses, enumerations among them
        if isinstance(value, kind):
            plain = kind(value)
            if isinstance(plain, str) and (half := half_in(plain, path)) is not None:
                _refuse(half, path, mark, source)
                return None
            if isinstance(plain, int) and _too_long(plain):
                _refuse(_TOO_LONG, path, mark, source)
                return None
            return plain
    _refuse(f"a config cannot hold a value of type {type(value).__name__}", path, mark, source)
    return None


def _refuse(text: str, path: KeyPath, mark: Mark, source: Source) -> None:
    source.problems.append(Problem(mark, path, text))


def _too_long(value: int) -> bool:
    """Whether Python might refuse to write the number down."""
    return abs(value) >= 10**MOST_DIGITS


def _convert_mapping(
    value: Mapping[Any, Any], path: KeyPath, mark: Mark, source: Source
) -> dict[str, Any]:
    items = {}
    for key, item in value.items():
        # As in YAML, where the classes of {0: 1, 1: 5} are read as text.
        whole = type(key) is not bool and isinstance(key, Integral)
        if whole and _too_long(int(key)):
            _refuse(f"as a key, {_TOO_LONG}", path, mark, source)
        elif isinstance(key, str) and (half := half_in(key)) is not None:
            _refuse(f"as a key, {half}", path, mark, source)
        elif isinstance(key, str) or whole:
            items[str(key)] = _convert(item, (*path, str(key)), mark, source)
        else:
            _refuse(f"the key {shown(repr(key))} is not text", path, mark, source)
    return items
