"""A run that has finished: whether all that it left is there, and what of it is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxnet.config import Config
from jaxnet.config.changes import plain_values, refuse_changes
from jaxnet.errors import JaxnetError
from jaxnet.outputs import checkpoints, model_file, records, report
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.resume import load_recorded, tell_damaged


class Finished(NamedTuple):
    """What a run that has nothing left to train left.

    Attributes:
        metrics: as in metrics.json, without its details.
        draw: whether its report is lost, which can be drawn without any data.
    """

    metrics: dict[str, Any]
    draw: bool


def look(
    run: RunDirectory,
    config: Config,
    warn: Callable[[str], None],
    *,
    poll: Callable[[], None] = lambda: None,
) -> Finished | None:
    """What a finished run left; None where there is something to train, or to make again.

    A file of its results that is missing or damaged is made again from a checkpoint. Damaged
    checkpoints are told, and stay: nothing is left to go on with from them.

    Args:
        poll: called before each checkpoint; what it raises ends the look.

    Raises:
        ConfigError: the config differs from the one that the run began with.
    """
    try:
        metrics = _results(run)
        began = plain_values(load_recorded(run, check_files=False))
    except JaxnetError:
        return None
    if metrics is None:
        return None
    refuse_changes(began, config, where=str(run.path))
    if config.training.epochs > began["training"]["epochs"]:
        return None
    survey = checkpoints.survey(run.checkpoints, poll=poll)
    lost = _lost(run, None if survey.newest is None else survey.newest.facts["epochs"])
    if lost and survey.newest is not None:
        return None
    tell_damaged(survey.reasons, warn)
    if lost:
        warn(f"{run.path}: {' and '.join(lost)} lost, and no checkpoint to make that again from")
    return Finished(metrics, draw=config.report and not report.is_whole(run.report))


def _results(run: RunDirectory) -> dict[str, Any] | None:
    """The metrics of a run that says it has finished and whose model is whole; else None."""
    status = records.read_json(run.status)
    if not isinstance(status, dict) or status.get("state") != "finished":
        return None
    model = model_file.load(run.model)
    if model.schema not in (None, records.digest(records.read_json(run.schema))):
        return None
    records.read_json(run.evaluation)
    metrics = records.read_json(run.metrics)
    if not isinstance(metrics, dict):
        return None
    parts = {part: one for part, one in metrics.items() if part != "details"}
    whole = parts and all(isinstance(one, dict) for one in parts.values())
    return parts if whole else None


def _lost(run: RunDirectory, epochs: int | None) -> list[str]:
    """Names of records that are missing or cut short.

    Args:
        epochs: how many have run, where that is known.
    """
    lost = [path.name for path in (run.config, run.events) if not os.path.isfile(path)]
    lost += records.changed_results(run)
    if run.epochs.name not in lost:
        try:
            lines = [line.get("epoch") for line in records.read_lines(run.epochs)]
        except JaxnetError:
            lines = []
        if lines != list(range(1, 1 + (len(lines) if epochs is None else epochs))):
            lost.append(run.epochs.name)
    return lost
