"""Loading a config from a file or a mapping, with overrides."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxnet.config.dump import dump_values
from jaxnet.config.overrides import apply
from jaxnet.config.plain_values import from_python
from jaxnet.config.problems import Mark, shown
from jaxnet.config.schema import Config, Origin
from jaxnet.config.source import MOST_BYTES, Source, decode, parse
from jaxnet.config.validate import validate
from jaxnet.errors import ConfigError, nearest
from jaxnet.files import NotReadable, open_file


def load_config(
    given: str | os.PathLike[str] | Mapping[str, Any] | Config,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    extra_losses: Sequence[str] = (),
    check_files: bool = True,
    directory: Path | None = None,
) -> Config:
    """Load a config and check all of it.

    Args:
        given: the path of a YAML file, a nested mapping, or a config to change.
        overrides: `key.path=value` texts whose values are YAML, or a mapping from key path to
            value. The last one wins; a section that is absent or null starts from its defaults.
        extra_losses: names of losses registered in this process.
        check_files: whether the files that the config names must exist.
        directory: where relative paths start; None: see below.

    Returns:
        The config, every default filled in. Relative paths start at the file's directory, and at
        the working directory for a mapping; that of a file in an override at the working directory
        if the file is there, else as the others.

    Raises:
        ConfigError: every problem at once, as `file:line:column: key.path: what is wrong`.

    >>> config = load_config({"task": "binary", "data": {"source": "breast_cancer"}},
    ...                      ["optimizer.learning_rate=1e-2", "training.early_stopping=null"])
    >>> config.optimizer.learning_rate, config.training.early_stopping
    (0.01, None)
    """
    source, origin = _read(given)
    if source.value is None:
        source = source._replace(value={})
    if not isinstance(source.value, dict):
        raise ConfigError(f"{source.marks[()].value}: expected keys such as 'task: binary'")
    if directory is not None:
        origin = origin._replace(directory=_absolute(directory))
    changed = apply(source, overrides)
    return validate(changed, origin, extra_losses=extra_losses, check_files=check_files)


def _read(given: str | os.PathLike[str] | Mapping[str, Any] | Config) -> tuple[Source, Origin]:
    if isinstance(given, Config):
        values = given.model_dump(exclude_unset=True)
        return from_python(values, Mark("config")), given._origin
    if isinstance(given, Mapping):
        source = from_python(given, Mark("config"))
        text = dump_values(source.value) if isinstance(source.value, dict) else ""
        return source, Origin(_absolute(Path(".")), "config", text)
    path = Path(given)
    name = shown(os.fspath(given), 1000)
    if not name:
        raise ConfigError("the path of the config is empty")
    text = decode(_bytes(path, name), name)
    source = parse(text, name)
    return source, Origin(_absolute(path).parent, path.stem, text)


def _bytes(path: Path, name: str) -> bytes:
    try:
        with open_file(path) as stream:
            return stream.read(MOST_BYTES + 1)  # `decode` refuses more
    except FileNotFoundError:
        raise ConfigError(f"{name}: no such file{_beside(path)}") from None
    except NotReadable as error:
        near = _beside(path / "_") if error.errno == errno.EISDIR else ""
        raise ConfigError(f"{name}: {error.strerror}{near}") from None
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ConfigError(f"{name}: cannot be read: {reason}") from None


def _beside(path: Path) -> str:
    """The nearest config in the directory where one was looked for."""
    try:
        names = [entry for entry in os.listdir(path.parent) if entry.endswith((".yaml", ".yml"))]
    except (OSError, ValueError):
        return ""
    near = nearest(path.name, sorted(names))
    return f"; did you mean {str(path.parent / near)!r}?" if near else ""


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError:  # the working directory is gone
        return path
