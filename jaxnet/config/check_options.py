"""Options that what was chosen does not take: said, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jaxnet.config import names
from jaxnet.config.problems import KeyPath
from jaxnet.config.schema import (
    Config,
    LossConfig,
    OptimizerConfig,
    ScheduleConfig,
    Section,
    default_b2,
)

Found = Iterator[tuple[KeyPath, str]]
Named = LossConfig | OptimizerConfig | ScheduleConfig


def loss(config: Config) -> Found:
    """Options of one loss given to another. A loss registered in process takes what it likes."""
    for path, text in _not_taken(config.loss, ("loss",), names.LOSS_OPTIONS):
        if path != ("loss", "activation"):  # has reasons of its own, in `check_pair`
            yield path, text


def optimizer(config: Config) -> Found:
    """Options of one optimizer given to another."""
    yield from _not_taken(config.optimizer, ("optimizer",), names.OPTIMIZER_OPTIONS)


def schedule(config: Config) -> Found:
    """Options of one schedule given to another."""
    path = ("optimizer", "schedule")
    yield from _not_taken(config.optimizer.schedule, path, names.SCHEDULE_OPTIONS)


def _not_taken(section: Named, path: KeyPath, taken: Mapping[str, tuple[str, ...]]) -> Found:
    chosen = section.name
    for option in dict.fromkeys(option for options in taken.values() for option in options):
        if chosen not in taken or option in taken[chosen]:
            continue
        if not _unchanged(section, option):
            owners = ", ".join(name for name, options in taken.items() if option in options)
            yield (*path, option), f"{chosen} does not take it, only {owners}; remove it"


def _unchanged(section: Section, option: str) -> bool:
    """Whether an option is at a default: what a resolved config spells out is no mistake."""
    defaults = _B2 if option == "b2" else (type(section).model_fields[option].default,)
    return getattr(section, option) in defaults


_B2 = tuple(default_b2(name) for name in names.OPTIMIZERS)


def labels(config: Config) -> Found:
    """A sum over labels exists where a row has labels."""
    if config.loss.labels == "mean" and config.task != "multilabel":
        text = f"mean is for task: multilabel; a row of task: {config.task} has one loss; remove it"
        yield ("loss", "labels"), text


def metric(config: Config) -> Found:
    """Early stopping watches a metric that the task has."""
    stopping = config.training.early_stopping
    if stopping is not None and stopping.metric not in names.METRICS[config.task]:
        valid = ", ".join(names.METRICS[config.task])
        text = f"{stopping.metric} is for task: multilabel; for task: {config.task}: {valid}"
        yield ("training", "early_stopping", "metric"), text


def skips(config: Config) -> Found:
    """A limit of skipped steps exists where steps are skipped."""
    section = config.training
    if section.on_nan != "skip" and not _unchanged(section, "skip_limit"):
        text = "is used with training.on_nan: skip only; set it or remove this"
        yield ("training", "skip_limit"), text


def weights(config: Config) -> Found:
    """Positive labels are of sigmoid outputs; weights go where the loss has them."""
    given = config.loss
    if given.pos_weight is not None and config.task == "multiclass":
        text = "is for task: binary or multilabel; use class_weight"
        yield ("loss", "pos_weight"), text
    if given.pos_weight is not None and given.name == "squared_error":
        other = "cross_entropy" if config.task == "multilabel" else "class_weight"
        yield ("loss", "pos_weight"), f"squared_error does not take it; use {other}"
    if given.class_weight is not None and config.task == "multilabel":
        yield ("loss", "class_weight"), "is for one class a row; use pos_weight, one for each label"


def decision(config: Config) -> Found:
    """What a threshold can be tuned for depends on the task."""
    given, rules = config.decision.threshold, names.THRESHOLD_RULES[config.task]
    path = ("decision", "threshold")
    if given is not None and config.task == "multiclass":
        yield path, "task: multiclass decides for the most likely class; remove it"
    elif isinstance(given, str) and given not in rules:
        yield path, f"{given} is for task: binary; for task: {config.task}: {', '.join(rules)}"
    costs = config.decision.cost
    if given != "cost" and (costs.false_positive, costs.false_negative) != (1.0, 1.0):
        yield ("decision", "cost"), "is used with decision.threshold: cost only; set it or remove"
    if given == "cost" and costs.false_positive + costs.false_negative == 0:
        yield ("decision", "cost"), "both costs are 0, so every decision is as good as another"
