"""Parameters of the classifier as keys of a config, and mistakes in them in the user's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxnet.config import Config, load_config
from jaxnet.errors import ConfigError, UserError, did_you_mean
from jaxnet.job import registered_losses

# Each parameter and its key. `early_stopping`, `random_state` and `verbose` are no plain values.
KEYS: dict[str, str] = {
    "hidden": "model.hidden",
    "activation": "model.activation",
    "dropout": "model.dropout",
    "embedding_size": "model.embedding_size",
    "numeric_embedding": "model.numeric_embedding",
    "numeric_embedding_size": "model.numeric_embedding_size",
    "loss": "loss.name",
    "label_smoothing": "loss.label_smoothing",
    "class_weight": "loss.class_weight",
    "pos_weight": "loss.pos_weight",
    "optimizer": "optimizer.name",
    "learning_rate": "optimizer.learning_rate",
    "weight_decay": "optimizer.weight_decay",
    "schedule": "optimizer.schedule.name",
    "clip_norm": "optimizer.clip_norm",
    "ema": "optimizer.ema",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "precision": "training.precision",
    "patience": "training.early_stopping.patience",
    "stopping_metric": "training.early_stopping.metric",
    "validation_fraction": "data.split.validation",
    "columns": "data.columns",
    "missing": "data.missing",
    "scale": "data.scale",
    "one_hot_limit": "data.one_hot_limit",
    "calibration": "decision.calibration",
    "threshold": "decision.threshold",
}
_SECTIONS = ("model", "loss", "optimizer", "training", "decision")
_OTHERS = {"training.early_stopping": "early_stopping", "training.seed": "random_state"}


def default_config(task: str = "binary") -> Config:
    """The config that nothing was said about.

    >>> default_config().model.hidden
    (256, 256)
    """
    return load_config(_bare(task), check_files=False)


def default(parameter: str) -> Any:
    """The config's default of a parameter, which is the classifier's too.

    >>> default("epochs")
    64
    """
    value: Any = _DEFAULT
    for name in KEYS[parameter].split("."):
        value = getattr(value, name)
    return value or None if isinstance(value, dict) else value


def config_of(
    given: Mapping[str, Any],
    task: str,
    *,
    seed: int,
    class_names: Mapping[Any, str] | None = None,
) -> Config:
    """The config that the parameters stand for.

    Args:
        given: parameters by name, as `get_params` gives them.
        task: found from the labels.
        seed: of the weights, the order of rows and dropout.
        class_names: class or label -> its name in the data set, for weights by class.

    Raises:
        ConfigError: every problem at once, by the names of the parameters.

    >>> config_of({"hidden": 8, "learning_rate": 0.1}, "binary", seed=0).model.hidden
    (8,)
    """
    values = {KEYS[name]: _plain(value) for name, value in given.items() if name in KEYS}
    if isinstance(values.get("model.hidden"), int):
        values["model.hidden"] = [values["model.hidden"]]
    if not values.get("data.split.validation", True):
        del values["data.split.validation"]  # a config has no word for none
    if not values.get("data.columns", True):
        del values["data.columns"]
    for name in ("class_weight", "pos_weight"):
        if isinstance(given.get(name), Mapping) and class_names:
            own, what = dict(class_names), "class or label"
            if name == "pos_weight" and task == "binary":
                own, what = dict([*own.items()][1:]), "positive class"
            values[KEYS[name]] = _by_class(f"{name}: y has no {what}", given[name], own)
    if not given.get("early_stopping", True):
        for name in ("patience", "stopping_metric"):
            values.pop(KEYS[name], None)
        values["training.early_stopping"] = None
    values["training.seed"] = seed
    values |= _overrides(given.get("overrides"))
    try:
        return load_config(_bare(task), values, check_files=False, extra_losses=registered_losses())
    except ConfigError as error:
        raise ConfigError([_in_parameters(line) for line in error.problems]) from None


def _bare(task: str) -> dict[str, Any]:
    """The least that a config needs; the rows come from elsewhere."""
    target: Any = ["y", "z"] if task == "multilabel" else "y"
    return {"task": task, "data": {"train": "X.csv", "target": target}}


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as Python's; sequences as lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def _by_class(problem: str, given: Mapping[Any, Any], names: Mapping[Any, str]) -> dict[str, Any]:
    """Weights by the names that the classes have in the data set."""
    unknown = [label for label in given if label not in names]
    if unknown:
        wrong = _plain(unknown[0])
        alike = [label for label in names if str(label) == str(wrong)]  # "1" for 1
        hint = (
            f"; did you mean {alike[0]!r}?" if alike else did_you_mean(str(wrong), map(str, names))
        )
        raise UserError(f"{problem} {wrong!r}{hint}")
    return {names[label]: _plain(weight) for label, weight in given.items()}


def _overrides(given: Any) -> dict[str, Any]:
    """Keys beyond the parameters. Raises UserError for one that is a parameter, or of the data."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise UserError("overrides: give a dict of config keys: {'optimizer.b1': 0.95}")
    own = {key: name for name, key in KEYS.items()} | _OTHERS
    for key in given:
        if key in own:
            raise UserError(f"overrides: {key} is the parameter {own[key]}; give {own[key]}=...")
        if key.split(".")[0] not in _SECTIONS or "." not in key:
            raise UserError(
                f"overrides: {key}: keys are <section>.<name>, of the sections "
                f"{', '.join(_SECTIONS)}"
            )
    return {key: _plain(value) for key, value in given.items()}


def _in_parameters(problem: str) -> str:
    """A problem of the config, by the parameter instead of the key."""
    text = problem.removeprefix("override: ").removeprefix("config: ")
    return f"JaxnetClassifier: {next(_renamed(text), text)}"


def _renamed(text: str) -> Iterator[str]:
    for name, key in (*KEYS.items(), *((name, key) for key, name in _OTHERS.items())):
        if text.startswith((f"{key}:", f"{key}[", f"{key}.")):
            yield name + text.removeprefix(key)


_DEFAULT = default_config()
