"""How a config that is made for a file is written: comments, values, names and paths in it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

from jaxnet.printable import shell_word

WIDTH = 100
_NAME = 30  # letters of a name in the list of columns
_SUFFIXES = (".csv.gz", ".csv", ".parquet", ".npz", ".txt.gz", ".txt")


def comment(text: str, indent: str = "") -> Iterator[str]:
    """A sentence as comment lines."""
    start = f"{indent}# "
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
    )


def shown(text: str, *, quoted: bool = True) -> str:
    """Text of a file on one line of a comment: nothing in it can end the line."""
    if quoted and len(text) > _NAME:
        text = f"{text[: _NAME - 3]}..."
    if text.isprintable() and text.strip() == text and text:
        return text
    return repr(text) if quoted else repr(text)[1:-1]


def as_yaml(value: str) -> str:
    """Text as a value on one line."""
    from jaxnet.config.dump import dump_values

    return dump_values({"x": value}).removeprefix("x: ").rstrip("\n")


def stem_of(path: Path) -> str:
    """The name of a file without what says its kind."""
    ending = next(suffix for suffix in _SUFFIXES if path.name.lower().endswith(suffix))
    return path.name[: -len(ending)] or "table"


def path_from(data: Path, output: Path | None) -> str:
    """The file as seen from the config; on standard output, from the working directory."""
    if output is None or data.is_absolute():
        return str(data)
    return os.path.relpath(data, output.parent)


def shell(path: Path | str) -> str:
    """A word of a command line."""
    return shell_word(path)
