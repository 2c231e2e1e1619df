"""From trained parameters to decisions that can be trusted: calibrated, tuned, measured, explained.

Temperature and thresholds are fitted on the validation rows; the test rows only measure them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from jaxnet import judge_best, sparse_job
from jaxnet.config import Config
from jaxnet.data.dataset import Dataset
from jaxnet.data.splits import PARTS
from jaxnet.job import Job
from jaxnet.judged import Judged, description, refuse_not_finite
from jaxnet.nn.bags import Bags
from jaxnet.polling import at_once
from jaxnet.training import evaluate, evaluation, importance, proof
from jaxnet.training.calibration import Calibration, before_after, fit_temperature
from jaxnet.training.evaluate import Outputs
from jaxnet.training.fit import Fitted
from jaxnet.training.metrics.decisions import THRESHOLD
from jaxnet.training.tasks import as_targets
from jaxnet.training.thresholds import Decision, choose

Part: TypeAlias = tuple[Any, np.ndarray]  # x and y


def judge(
    config: Config,
    job: Job,
    data: Dataset,
    fitted: Fitted,
    *,
    poll: Callable[[], None] = lambda: None,
) -> Judged:
    """Calibrate and tune on the validation rows, then measure every part.

    What columns matter and the proof of the gradient are for the report, and left out without it.

    Args:
        poll: called now and then; what it raises stops the work.

    Raises:
        NonFiniteError: parameters or outputs are not finite.
    """
    if job.program.head == "linear_blocks":
        return judge_best.judge(config, job, data, fitted, poll=poll)
    parts = _parts(data)
    logits = {
        part: evaluate.logits(fitted.params, x, network=job.program.network, poll=poll)
        for part, (x, _) in parts.items()
    }
    refuse_not_finite(fitted, logits)
    y_val = parts["validation"][1]
    with at_once(poll):
        scaling = calibrate(config, job, logits["validation"], y_val)
    temperature = scaling.temperature if scaling is not None else 1.0
    with at_once(poll):
        decision = decide(config, outputs(job, logits["validation"], temperature).p, y_val)
        summaries = {}
        for part, (_, y) in parts.items():  # one after another: float64 of every row is dear
            found = outputs(job, logits[part], temperature)
            summaries[part] = evaluation.summarise(
                job.task.name,
                found.p,
                y,
                logits=found.logits,
                thresholds=decision.thresholds,
                names=data.schema["class_names"],
                with_curves=part != "train",
            )
            judge_best.add_propensities(summaries[part], found.ranking, y, data.schema)
        changed = {
            part: before_after(job.task.name, logits[part], y, temperature)
            for part, (_, y) in parts.items()
            if scaling is not None and scaling.fitted and part != "train" and len(y)
        }
    explained = _NOT
    if config.report:
        explained = _explain(config, job, data, parts, fitted, logits, temperature, poll)
    record = evaluation.record(
        summaries, calibration=scaling, changed=changed, decision=decision, **explained
    )
    said = description(config, job, fitted, temperature, decision)
    return Judged(fitted.params, said, record)


_NOT = {name: {"reason": "report: false"} for name in ("importance", "proof")}


def _parts(data: Dataset) -> dict[str, Part]:
    """x and y of each part; a split that was given may leave one without rows."""
    x = map(sparse_job.inputs, (data.x_train, data.x_val, data.x_test))
    y = map(sparse_job.indicators, (data.y_train, data.y_val, data.y_test))
    return dict(zip(PARTS, zip(x, y, strict=True), strict=True))


def outputs(job: Job, z: np.ndarray, temperature: float) -> Outputs:
    """What the logits z (n, outputs) say, as the metrics take it."""
    return evaluate.outputs_of(job.task.name, z, job.activation, temperature)


def calibrate(
    config: Config, job: Job, z: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> Calibration | None:
    """The temperature of the validation rows; None where the config wants none.

    Args:
        z, y: logits and targets of the validation rows, of which there may be none.
        weights: of these rows; None weighs them alike.
    """
    if config.decision.calibration == "none":
        return None
    return fit_temperature(z, y, job.task.name, activation=job.activation, weights=weights)


def decide(config: Config, p: np.ndarray, y: np.ndarray, *, fewest: int = 0) -> Decision:
    """The decision rule: a threshold that was given or is tuned on the validation rows.

    Args:
        p, y: probabilities and targets of the validation rows, of which there may be none.
        fewest: of fewer rows the default threshold is 0.5: a rule that nobody asked for would
            follow chance.
    """
    given = config.decision.threshold
    if given is None and len(y) < fewest:
        given = THRESHOLD
    cost = config.decision.cost.model_dump() if given == "cost" else None
    return choose(config.task, p, y, given, cost=cost)


def _explain(
    config: Config,
    job: Job,
    data: Dataset,
    parts: Mapping[str, Part],
    fitted: Fitted,
    logits: Mapping[str, np.ndarray],
    temperature: float,
    poll: Callable[[], None],
) -> dict[str, Any]:
    """What the columns are worth, and the proof of the gradient, on rows that were held out."""
    part = next(part for part in reversed(PARTS) if len(parts[part][1]))
    x, y = parts[part][0], as_targets(job.task, parts[part][1])

    def log_losses(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        z = evaluate.logits(fitted.params, rows, network=job.program.network, poll=poll)
        return evaluate.row_log_losses(job.task.name, z, targets, job.activation, temperature)

    smoothing = config.loss.label_smoothing
    worth: dict[str, Any] = {"reason": "sparse rows have no columns by name"}
    if not isinstance(x, Bags):
        groups = data.schema["groups"]
        worth = importance.importance(log_losses, x, y, groups, part=part, poll=poll)
    return {
        "importance": worth,
        "proof": proof.prove(job.program, logits[part], y, label_smoothing=smoothing),
    }
