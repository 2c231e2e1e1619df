"""What a config changes of the one that a run began with, and which changes a run can take.

recorded = plain_values(config)             what a checkpoint keeps
is_of_one_run(recorded, recorded)           whether one run may have had both
changes(recorded, config)                   the keys that differ
refuse_changes(recorded, config, ...)       ConfigError for those that a resumed run cannot take
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jaxnet.config.dump import flow
from jaxnet.config.problems import shown
from jaxnet.config.schema import Config, Section
from jaxnet.config.sections import field_at, section_of
from jaxnet.errors import ConfigError
from jaxnet.printable import shell_word

# Keys, and sections with all of their keys, that a resumed run may change: the files are compared
# by what they hold.
FREE = frozenset(
    (
        *("training.epochs", "training.on_nan", "training.skip_limit", "checkpoints", "report"),
        *("data.train", "data.validation", "data.test", "data.split.file"),
        *("data.train_labels", "data.validation_labels", "data.test_labels", "data.label_names"),
    )
)
_LONGEST = 200  # characters of a value that a person would type again


class Change(NamedTuple):
    """A key with another value. new: None, too, for a key that this version does not know."""

    key: str
    old: Any
    new: Any


def plain_values(config: Config) -> dict[str, Any]:
    """A config with every default as values that JSON can hold; paths as they were given.

    >>> from jaxnet.config import load_config
    >>> config = load_config({"task": "binary", "data": {"source": "breast_cancer"}})
    >>> plain_values(config)["model"]["hidden"]
    [256, 256]
    """
    return config.model_dump(mode="json")


def is_free(key: str) -> bool:
    """Whether a resumed run may change a key.

    >>> is_free("checkpoints.keep"), is_free("training.seed")
    (True, False)
    """
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def changes(old: Mapping[str, Any], new: Config) -> list[Change]:
    """The keys in which a config differs from recorded values, in the schema's order.

    A key that was not recorded counts as its default: an older version had no other.

    Args:
        old: as `plain_values` gives it, possibly that of another version.
        new: the config to compare.

    >>> from jaxnet.config import load_config
    >>> given = {"task": "binary", "data": {"source": "breast_cancer"}}
    >>> changes(given, load_config(given, ["training.seed=1", "training.early_stopping=null"]))[0]
    Change(key='training.seed', old=0, new=1)
    """
    return list(_between(old, plain_values(new), Config, ""))


def is_of_one_run(old: Mapping[str, Any], new: Mapping[str, Any], *, above: str = "") -> bool:
    """Whether two recorded configs differ in free keys only, of the keys that both have.

    >>> is_of_one_run({"training": {"seed": 0}}, {"training": {"seed": 0, "epochs": 9}})
    True
    >>> is_of_one_run({"training": {"seed": 0}}, {"training": {"seed": 1}})
    False
    """
    for name in old.keys() & new.keys():
        before, after = old[name], new[name]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            same = is_of_one_run(before, after, above=f"{above}{name}.")
        else:
            same = before == after or is_free(f"{above}{name}")
        if not same:
            return False
    return True


def _between(
    old: Mapping[str, Any], new: Mapping[str, Any], section: type[Section], above: str
) -> Iterator[Change]:
    filled: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        default = None
        if name not in old and not field.is_required():
            # Some defaults depend on the keys before them.
            default = field.get_default(call_default_factory=True, validated_data=filled)
        filled[name] = old.get(name, default)
        before, after = _plain(filled[name]), new[name]
        below = section_of(field)
        if below and isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _between(before, after, below, f"{above}{name}.")
        elif before != after:
            yield Change(f"{above}{name}", before, after)
    for name, value in old.items():
        if name not in section.model_fields:
            yield Change(f"{above}{name}", value, None)


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def refuse_changes(old: Mapping[str, Any], new: Config, *, where: str) -> None:
    """Stop where a config does not go on with the run that recorded values belong to.

    Args:
        old: as `plain_values` gave it when the run began.
        new: the config to go on with.
        where: the run directory, for the message.

    Raises:
        ConfigError: every key that cannot change, with both values and what to type.
    """
    problems = [_refusal(change) for change in changes(old, new) if not is_free(change.key)]
    epochs = old.get("training", {}).get("epochs", 0)
    if new.training.epochs < epochs:
        problems.append(
            f"training.epochs: was {epochs}, is {new.training.epochs}; a resumed run may be "
            f"longer, not shorter: type training.epochs={epochs} or more, {_ANEW}"
        )
    if problems:
        raise ConfigError([f"{where}: {problem}" for problem in problems])


_ANEW = "or start a new run with --run-dir DIR"


def _refusal(change: Change) -> str:
    key, old = change.key, flow(change.old)
    if field_at(tuple(key.split("."))) is None:
        return (
            f"{shown(key)}: was {shown(old)}, a key that this version of jaxnet does not know: "
            f"resume with the version that began the run, {_ANEW}"
        )
    command = shell_word(f"{key}={old}")
    what = f"type {command}" if len(command) <= _LONGEST else "give what config.resolved.yaml has"
    said = f"{key}: was {shown(old)}, is {shown(flow(change.new))}"
    return f"{said}; a resumed run keeps it: {what}, {_ANEW}"
