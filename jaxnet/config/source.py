"""YAML text to plain values, with the line and column of every key and value kept.

A config is data: no tags, no anchors, no aliases, one document, a bounded size and depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from jaxnet.config.problems import KeyPath, Mark, Marks, Problem, half_in, shown
from jaxnet.config.scalars import plain
from jaxnet.errors import ConfigError

MOST_BYTES = 1024 * 1024
MOST_LEVELS = 20


class Source(NamedTuple):
    """What a text holds.

    Attributes:
        value: the value, of dicts, lists and scalars.
        marks: places of every key and value, by key path.
        problems: what is not allowed in it. The value has everything else.
    """

    value: Any
    marks: dict[KeyPath, Marks]
    problems: list[Problem]


def decode(data: bytes, origin: str) -> str:
    """UTF-8 bytes, with or without a byte order mark, as text.

    Raises:
        ConfigError: more than 1 MiB, or not UTF-8.
    """
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{origin}: larger than 1 MiB: this is not a config")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise ConfigError(
            f"{Mark(origin, line, column)}: not UTF-8 text; save the file as UTF-8"
        ) from None


def parse(text: str, origin: str, *, place: Mark | None = None) -> Source:
    """Read one YAML document.

    Args:
        text: the document.
        origin: the name to put before line and column.
        place: the mark of everything, for text that is not in a file.

    Raises:
        ConfigError: the text is not YAML, or nested too deeply to go on.
    """
    composer = _Composer(text, origin, place)
    try:
        value = composer.document()
    except yaml.MarkedYAMLError as error:
        where = composer.mark(error.problem_mark or error.context_mark)
        raise ConfigError(f"{where}: {_syntax(error)}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        where = place or Mark(origin, line, column)
        raise ConfigError(
            f"{where}: the character {chr(error.character)!r} is not allowed"
        ) from None
    return Source(value, composer.marks, composer.problems)


# The parser's words for the slips that people make, and what to do about them.
_SLIPS = {
    "'\\t' that cannot start any token": "a tab indents here; YAML indents with spaces",
    "mapping values are not allowed here": "a second 'key: value' on one line, or the indentation "
    "is off; put text that holds ': ' in quotes",
    "could not find expected ':'": "expected 'key: value'",
    "expected <block end>": "the indentation does not fit the lines above",
    "while scanning a quoted scalar": "a quote is not closed",
    "expected ',' or ']'": "a list is not closed: expected ',' or ']'",
    "expected ',' or '}'": "a section is not closed: expected ',' or '}'",
    "expected the node content": "a value is missing or not closed",
    "cannot start any token": "this character needs quotes around the text",
}


def _syntax(error: yaml.MarkedYAMLError) -> str:
    words = f"{error.context or ''}: {error.problem or ''}"
    for slip, advice in _SLIPS.items():
        if slip in words:
            return f"not valid YAML: {advice}"
    return f"not valid YAML: {shown(error.problem or error.context or 'syntax error', 100)}"


class _Composer:
    """Builds values from the parser's events; the parser itself does not recurse."""

    def __init__(self, text: str, origin: str, place: Mark | None) -> None:
        self.origin = origin
        self.place = place
        top = place or Mark(origin, 1, 1)
        self.marks: dict[KeyPath, Marks] = {(): Marks(top, top)}
        self.problems: list[Problem] = []
        self.events: Iterator[yaml.Event] = iter(_events(text))

    def mark(self, at: yaml.Mark | None) -> Mark:
        if self.place is not None or at is None:
            return self.place or Mark(self.origin)
        return Mark(self.origin, at.line + 1, at.column + 1)

    def document(self) -> Any:
        next(self.events)  # start of the stream
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        first = next(self.events)
        here = self.mark(first.start_mark)
        self.marks[()] = Marks(here, here)
        value = self.value(first, ())
        next(self.events)  # end of the document
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            where = self.mark(event.start_mark)
            self.problems.append(Problem(where, (), "a second document; a config is one"))
        return value

    def value(self, event: yaml.Event, path: KeyPath) -> Any:
        where = self.mark(event.start_mark)
        if len(path) > MOST_LEVELS:
            raise ConfigError(f"{where}: nested more than {MOST_LEVELS} levels deep")
        if isinstance(event, yaml.AliasEvent):
            self.refuse(where, path, f"the alias *{event.anchor} is not allowed; write the value")
            return None
        if event.anchor is not None:
            self.refuse(where, path, f"the anchor &{event.anchor} is not allowed; remove it")
        if event.tag is not None:
            self.refuse(where, path, f"the tag {event.tag} is not allowed; remove it")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, where, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        return self.mapping(path)

    def scalar(self, event: yaml.ScalarEvent, where: Mark, path: KeyPath) -> Any:
        if (half := half_in(event.value, path)) is not None:  # written as an escape in quotes
            self.refuse(where, path, half)
            return None
        if event.style is not None:  # in quotes or a block: text, whatever it looks like
            return event.value
        try:
            return plain(event.value)
        except ValueError as error:
            self.refuse(where, path, str(error))
            return None

    def sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            where = self.mark(event.start_mark)
            self.marks[here] = Marks(where, where)
            items.append(self.value(event, here))
        return items

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            where = self.mark(event.start_mark)
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor:
                raise ConfigError(f"{where}: a key must be a plain word")
            if (half := half_in(event.value)) is not None:
                raise ConfigError(f"{where}: {half}")
            here = (*path, event.value)
            value_event = next(self.events)
            if event.value in items:
                first = self.marks[here].key
                at = f"at line {first.line}" if first.line else "before"
                self.refuse(where, here, f"given twice, first {at}; keep one of them")
                marks, problems = self.marks, self.problems
                self.marks, self.problems = {}, []  # only the first of the two counts
                self.value(value_event, here)
                self.marks, self.problems = marks, problems
                continue
            self.marks[here] = Marks(where, self.mark(value_event.start_mark))
            items[event.value] = self.value(value_event, here)
        return items

    def refuse(self, where: Mark, path: KeyPath, text: str) -> None:
        self.problems.append(Problem(where, path, shown(text, 120)))


def _events(text: str) -> Iterator[yaml.Event]:
    # The loader in Python, not libyaml's: its texts and marks are the same everywhere.
    yield from yaml.parse(text, Loader=yaml.SafeLoader)
