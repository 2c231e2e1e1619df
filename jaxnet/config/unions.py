"""Values of the config that may be one of several things, each checked by one function.

A union of types would report one error for each of its types; here a wrong value gets one line that
says all that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from jaxnet.config.float32 import held
from jaxnet.config.names import THRESHOLD_RULES
from jaxnet.config.problems import shown

_NAME = {"type": "string", "minLength": 1}
_WEIGHT = {"type": "number", "minimum": 0}
_NULL = {"type": "null"}
_RULES = tuple(dict.fromkeys(rule for rules in THRESHOLD_RULES.values() for rule in rules))


def _expected(text: str) -> PydanticCustomError:
    return PydanticCustomError("one_of_several", "{expected}", {"expected": text})


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_weight(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf


def _target(value: Any) -> Any:
    if value is None or _is_name(value):
        return value
    if isinstance(value, list | tuple) and value and all(map(_is_name, value)):
        if len(set(value)) != len(value):
            raise _expected("columns of which each is named once")
        return tuple(value)
    within = isinstance(value, dict) and value.keys() == {"column", "separator"}
    if within and all(map(_is_name, value.values())):
        return dict(value)
    raise _expected('a column, a list of 0/1 columns, or {column: tags, separator: "|"}')


def _weights(value: Any) -> dict[str, float] | None:
    """Weights by name, or None where the value is none."""
    named = isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if named and value and all(map(_is_weight, value.values())):
        return {key: held(weight, f"{shown(key)}: ") for key, weight in value.items()}
    return None


def _class_weight(value: Any) -> Any:
    if value is None or value == "balanced":
        return value
    found = _weights(value)
    if found is None:
        raise _expected("balanced, or weights such as {yes: 5.0, no: 1.0}, or null")
    return found


def _pos_weight(value: Any) -> Any:
    if value is None or value == "balanced":
        return value
    if _is_weight(value):
        return held(value)
    found = _weights(value)
    if found is None:
        raise _expected("balanced, a number, weights such as {label: 5.0}, or null")
    return found


def _threshold(value: Any) -> Any:
    if value is None or (isinstance(value, str) and value in _RULES):
        return value
    if _is_weight(value) and 0 < value < 1:
        return float(value)
    raise _expected(f"a number between 0 and 1, {', '.join(_RULES)}, or null")


def _one_of(check: Callable[[Any], Any], *schemas: dict[str, Any]) -> Any:
    return Annotated[Any, PlainValidator(check), WithJsonSchema({"anyOf": list(schemas)})]


_BY_NAME = {"type": "object", "additionalProperties": _WEIGHT, "minProperties": 1}
_BALANCED = {"const": "balanced"}
Target = _one_of(
    _target,
    _NAME,
    {"type": "array", "items": _NAME, "minItems": 1},
    {
        "type": "object",
        "properties": {"column": _NAME, "separator": _NAME},
        "required": ["column", "separator"],
        "additionalProperties": False,
    },
    _NULL,
)
ClassWeight = _one_of(_class_weight, _BALANCED, _BY_NAME, _NULL)
PosWeight = _one_of(_pos_weight, _BALANCED, _WEIGHT, _BY_NAME, _NULL)
Threshold = _one_of(
    _threshold,
    {"enum": list(_RULES)},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    _NULL,
)
