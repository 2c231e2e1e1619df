"""A watch over what Python does while a config is loaded: it may read the config, and nothing else.

The hook cannot be removed from a process: install it in one of its own.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.config import load_config
from jaxnet.errors import ConfigError

# Everything else is noted: code that is imported, compiled or run, processes, sockets, files.
HARMLESS = {"builtins.id", "os.listdir", "sys._getframe", "object.__getattr__"}


class Guard(NamedTuple):
    """watch: calls a function while everything is noted; noted: what it did that it should not."""

    watch: Callable[..., Any]
    noted: list[str]


def install(config: Path) -> Guard:
    """Watch this process from now on, whenever `watch` calls something.

    Args:
        config: the one file that may be opened, to read.
    """
    _import_what_is_imported_late(config)
    noted: list[str] = []
    watching = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if watching and not _is_harmless(event, args, str(config)):
            noted.append(f"{event} {args!r:.200}")

    def watch(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        nonlocal watching
        watching = True
        try:
            return function(*args, **options)
        finally:
            watching = False

    sys.addaudithook(hook)
    return Guard(watch, noted)


def _is_harmless(event: str, args: tuple[Any, ...], config: str) -> bool:
    if event == "open":
        path, mode, flags = args
        reads = not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        return reads and str(path) == config and (mode is None or set(mode) <= set("rb"))
    return event in HARMLESS


def _import_what_is_imported_late(config: Path) -> None:
    config.write_text("taks: binary\n")
    for given in (config, config.parent / "another.yml"):
        with contextlib.suppress(ConfigError):
            load_config(given, ["loss.name=focl"])
