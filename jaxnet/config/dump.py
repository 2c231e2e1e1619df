"""A config as YAML text: every default filled in, each key with its description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jaxnet.config.problems import KeyPath
from jaxnet.config.scalars import plain
from jaxnet.config.schema import Config
from jaxnet.config.sections import field_at

_SAFE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")
# Words that YAML 1.1 readers take for something else; jaxnet itself does not need the quotes.
_OLD_WORDS = {"y", "n", "yes", "no", "on", "off", "="}
_COMMENT_COLUMN = 38


def dump_yaml(config: Config, *, comments: bool = True) -> str:
    """The resolved config: every key, relative paths made absolute. It loads as the same config.

    >>> from jaxnet.config import load_config
    >>> config = load_config({"task": "binary", "data": {"source": "breast_cancer"}})
    >>> print(dump_yaml(config).splitlines()[0])
    task: binary                          # binary, multiclass or multilabel.
    """
    values = config.model_dump()
    files = {
        "train": config.train_path,
        "validation": config.validation_path,
        "test": config.test_path,
    }
    for key, path in files.items():
        values["data"][key] = None if path is None else str(path)
    for part, path in config.label_paths.items():
        values["data"][f"{part}_labels"] = str(path)
    values["data"]["label_names"] = config.label_names_path and str(config.label_names_path)
    values["data"]["split"]["file"] = config.split_path and str(config.split_path)
    return "".join(f"{line}\n" for line in _lines(values, (), comments))


def dump_values(values: Mapping[str, Any]) -> str:
    """Plain values as YAML, in the order given.

    >>> dump_values({"task": "binary", "model": {"hidden": [8]}})
    'task: binary\\nmodel:\\n  hidden: [8]\\n'
    """
    return "".join(f"{line}\n" for line in _lines(values, (), comments=False))


def _lines(values: Mapping[str, Any], above: KeyPath, comments: bool) -> Iterator[str]:
    for key, value in values.items():
        path = (*above, key)
        start = "  " * len(above) + f"{_text(str(key))}:"
        below = isinstance(value, Mapping) and bool(value)
        yield _commented(start if below else f"{start} {flow(value)}", path, comments)
        if below:
            yield from _lines(value, path, comments)


def _commented(line: str, path: KeyPath, comments: bool) -> str:
    field = field_at(path) if comments else None
    if field is None or not field.description:
        return line
    return f"{line:<{_COMMENT_COLUMN - 1}} # {field.description}"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        items = (f"{_text(str(key))}: {flow(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    return _text(value) if isinstance(value, str) else str(value)


def _float(value: float) -> str:
    """Python's shortest form, with the dot that YAML 1.1 readers ask for before an exponent."""
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text


def _text(text: str) -> str:
    """Text bare where that reads back as the same text, otherwise in double quotes."""
    if _SAFE.fullmatch(text) and text.lower() not in _OLD_WORDS:
        try:
            if plain(text) == text:
                return text
        except ValueError:
            pass
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character != "\ufeff":
        return character
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
