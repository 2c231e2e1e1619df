"""Finding a key of the schema by its path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from jaxnet.config.problems import KeyPath
from jaxnet.config.schema import Config, Section


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, also one that may be null; None for a value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def section_at(path: KeyPath) -> type[Section] | None:
    """The section at a path; None when there is no section there."""
    section: type[Section] | None = Config
    for part in path:
        field = section.model_fields.get(str(part)) if section else None
        section = section_of(field) if field else None
    return section


def field_at(path: KeyPath) -> FieldInfo | None:
    """The field at a path; for an item of a list or of names and values, the whole's."""
    names = [part for part in path if isinstance(part, str)]
    while len(names) > 1 and section_at(tuple(names[:-1])) is None:
        names.pop()
    section = section_at(tuple(names[:-1])) if names else None
    return section.model_fields.get(names[-1]) if section else None


def choices_of(field: FieldInfo | None) -> list[str]:
    """The words that a field may hold, for a field of words."""
    kind: Any = field.annotation if field else None
    extra = field.json_schema_extra if field else None
    words = extra.get("enum") if isinstance(extra, dict) else None
    if isinstance(words, list):
        return [str(word) for word in words]  # a field that takes registered names too
    kinds = [kind, *get_args(kind)]
    kinds += [inner for one in kinds for inner in get_args(one)]  # values by name
    literal = [word for one in kinds if get_origin(one) is Literal for word in get_args(one)]
    return list(dict.fromkeys(literal))


def keys(section: type[Section] = Config, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path below a section, sections themselves included.

    >>> ("optimizer", "schedule", "warmup") in set(keys())
    True
    """
    for name, field in section.model_fields.items():
        yield (*above, name)
        below = section_of(field)
        if below is not None:
            yield from keys(below, (*above, name))
