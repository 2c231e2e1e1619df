"""The schema's errors in words: what is wrong, and what to type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails

from jaxnet.config.problems import KeyPath, Mark, Problem, dotted, shown
from jaxnet.config.scalars import plain
from jaxnet.config.schema import Config
from jaxnet.config.sections import choices_of, field_at, keys, section_at
from jaxnet.config.source import Source
from jaxnet.errors import did_you_mean, nearest

# Words of other programs for our keys, too far away for a comparison of letters.
_ELSEWHERE = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "l2": "weight_decay",
    "layers": "hidden",
    "units": "hidden",
    "beta1": "b1",
    "beta2": "b2",
    "epsilon": "eps",
    "dataset": "source",
    "bs": "batch_size",
    "type": "name",
    "patience": "early_stopping",
}


class Reading(NamedTuple):
    """A schema error put in words.

    Attributes:
        problem: the line for the user.
        meant: further keys that the mistake is probably about, so that nothing is said twice.
    """

    problem: Problem
    meant: tuple[KeyPath, ...] = ()


def mark_of(source: Source, path: KeyPath, *, key: bool = False) -> Mark:
    """The place of a value (or of its key); for what is absent, of the section around it."""
    exact = source.marks.get(path)
    if exact is not None:
        return exact.key if key else exact.value
    while path not in source.marks:
        path = path[:-1]
    return source.marks[path].key


def read(error: ErrorDetails, source: Source) -> Reading:
    """One error of the schema in words."""
    path: KeyPath = tuple(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, source)
    if kind == "missing":
        return Reading(Problem(mark_of(source, path), path, _missing(path)))
    return Reading(Problem(mark_of(source, path), path, _wrong_value(error, path)))


def _unknown_key(path: KeyPath, source: Source) -> Reading:
    *above, word = (str(part) for part in path)
    section = section_at(tuple(above)) or Config
    here = list(section.model_fields)
    mark = mark_of(source, path, key=True)
    word = _ELSEWHERE.get(word, word) if word not in here else word
    meant = word if word in here else nearest(word, here)
    if meant is not None:
        end = did_you_mean(meant, here)
        return Reading(Problem(mark, path, f"unknown key{end}"), ((*above, meant),))
    found = [other for other in keys() if other[-1] == word]
    if len(found) == 1:
        text = f"unknown key; did you mean '{dotted(found[0])}'?"
        return Reading(Problem(mark, path, text), (found[0],))
    return Reading(Problem(mark, path, f"unknown key; valid: {', '.join(here)}"))


def _missing(path: KeyPath) -> str:
    if path == ("task",):
        return f"missing; add a line 'task: ' with one of {', '.join(choices_of(field_at(path)))}"
    if path == ("data",):
        return "missing; add a section such as 'data: {source: breast_cancer}'"
    return "missing"


def _wrong_value(error: ErrorDetails, path: KeyPath) -> str:
    value, kind, limits = error["input"], error["type"], error.get("ctx", {})
    if kind == "unknown_choice":
        return _wrong_choice(value, limits["choices"])
    if kind == "float32":
        return str(limits["text"])
    if kind == "one_of_several":
        return f"expected {limits['expected']}, got {_got(value)}"
    if kind == "literal_error":
        return _wrong_choice(value, choices_of(field_at(path)))
    if kind in _RANGES:
        bounds = {name: _bound(limit) for name, limit in limits.items()}
        return f"must be {_RANGES[kind].format(**bounds)}, got {_got(value)}"
    if kind in _KINDS:
        expected, hint = _KINDS[kind]
        return f"expected {expected}, got {_got(value)}{hint(value, path)}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {_got(value)}"


def _wrong_choice(value: Any, choices: list[str]) -> str:
    if isinstance(value, str):
        return f"unknown value {shown(value)!r}{did_you_mean(value, choices)}"
    return f"expected one of {', '.join(choices)}, got {_got(value)}"


_RANGES = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "too_long": "a list of at most {max_length} items",
    "string_too_short": "a name of at least {min_length} character",
}


def _bound(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _number_hint(value: Any, path: KeyPath) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}" if abs(value) < 1e15 else ""
    if isinstance(value, str) and isinstance(_unquoted(value), int | float):
        return f"; write {_unquoted(value)} without quotes"
    return ""


def _unquoted(text: str) -> Any:
    try:
        value = plain(text.strip().replace("_", ""))
    except ValueError:
        return None
    return None if isinstance(value, bool) else value


def _list_hint(value: Any, path: KeyPath) -> str:
    return f"; write [{value}]" if type(value) is int or _is_word(value) else ""


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _section_hint(value: Any, path: KeyPath) -> str:
    if value is None:
        return f"; remove {dotted(path)} for its defaults"
    section = section_at(path)
    name = section.model_fields.get("name") if section else None
    return f"; write {{name: {value}}}" if value in choices_of(name) else ""


def _no_hint(value: Any, path: KeyPath) -> str:
    return ""


def _text_hint(value: Any, path: KeyPath) -> str:
    return f'; write "{value}" in quotes' if type(value) in (int, float, bool) else ""


_KINDS: dict[str, tuple[str, Callable[[Any, KeyPath], str]]] = {
    "int_type": ("a whole number", _number_hint),
    "float_type": ("a number", _number_hint),
    "string_type": ("text", _text_hint),
    "tuple_type": ("a list", _list_hint),
    "dict_type": ("names and values such as {name: value}", _no_hint),
    "bool_type": ("true or false", _no_hint),
    "model_type": ("a section of keys", _section_hint),
    "model_attributes_type": ("a section of keys", _section_hint),
}


def _got(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {shown(value)!r}"
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return shown(repr(value))
