"""One problem of a config: where it is, which key, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# Keys from the top of the config; a number is a place in a list.
KeyPath = tuple[str | int, ...]


class Mark(NamedTuple):
    """A place in a file (line and column from 1), or the name of another origin (line 0)."""

    origin: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin


class Marks(NamedTuple):
    """Where a key stands and where its value starts."""

    key: Mark
    value: Mark


class Problem(NamedTuple):
    """What is wrong with the value at `path`, or with the text at `mark` when `path` is empty."""

    mark: Mark
    path: KeyPath
    text: str

    def __str__(self) -> str:
        key = f"{dotted(self.path)}: " if self.path else ""
        return f"{self.mark}: {key}{self.text}"


def dotted(path: KeyPath) -> str:
    """A key path as a person writes it.

    >>> dotted(("model", "hidden", 1))
    'model.hidden[1]'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = shown(part) or "''"
            text += f".{name}" if text else name
    return text


def shown(text: str, limit: int = 60) -> str:
    """Text for one line of a message: control characters escaped, the middle cut out if long.

    >>> shown("a\\tb")
    'a\\\\tb'
    """
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: 4 * limit])
    return clean if len(clean) <= limit else f"{clean[: limit - 10]}...{clean[-7:]}"


# The keys whose values are names of files.
FILES = {
    *(("data", part) for part in ("train", "validation", "test", "label_names")),
    *(("data", f"{part}_labels") for part in ("train", "validation", "test")),
    ("data", "split", "file"),
}
# Half of a pair that stands for one character: no text has it, and no file can hold it.
_HALF = re.compile("[\ud800-\udfff]")
# Those by which Python writes a byte that is no text.
_BYTES = re.compile("[\udc80-\udcff]")


def half_in(text: str, path: KeyPath = ()) -> str | None:
    """What is wrong with text that has a half of a surrogate pair in it; None of all other text.

    In the name of a file some of them stand for bytes that are no text, and may stay.

    >>> half_in("a\\ud800")
    'the character \\\\ud800 is no text: half of a surrogate pair'
    """
    if path in FILES:
        text = _BYTES.sub("", text)
    found = _HALF.search(text)
    return found and f"the character {shown(found[0])} is no text: half of a surrogate pair"


def in_order(problems: Iterable[Problem]) -> list[str]:
    """The lines of the problems, each once: those with a place in a file first, from its top."""
    order = sorted(problems, key=lambda p: (not p.mark.line, p.mark.line, p.mark.column))
    return list(dict.fromkeys(str(problem) for problem in order))
