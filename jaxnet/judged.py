"""What a judged model is, however it was judged: what a reader needs, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.config import Config
from jaxnet.errors import NonFiniteError
from jaxnet.job import Job, shown_rows
from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.training import head_step
from jaxnet.training.fit import Fitted
from jaxnet.training.thresholds import Decision


class Judged(NamedTuple):
    """A trained model with its decisions, and how good it is.

    Attributes:
        params: of the network.
        description: what a reader of the model needs, as in model.json.
        evaluation: as in evaluation.json.
    """

    params: Network
    description: dict[str, Any]
    evaluation: dict[str, Any]


def description(
    config: Config, job: Job, fitted: Fitted, temperature: float, decision: Decision
) -> dict[str, Any]:
    """What a reader of the model needs, as in model.json."""
    thresholds = decision.thresholds
    said = {
        "task": job.task.name,
        "model": config.model.name,
        "sizes": list(job.sizes),
        "embeddings": [list(shape) for shape in job.embeddings],
        "activation": job.program.activation,
        "parametrisation": job.program.parametrisation,
        "output_activation": job.activation,
        "precision": job.program.precision,
        "loss": job.program.loss,
        "epoch": fitted.epoch,
        "temperature": temperature,
        "thresholds": list(thresholds) if isinstance(thresholds, tuple) else thresholds,
    }
    if job.bag_spread is not None:
        said["inputs"] = "sparse"
    if job.program.head != "dense":
        _, last = head_step.split(fitted.params)  # an average is float32, whatever it follows
        said |= {"head": job.program.head, "head_weights": last.W.dtype.name}
    return said


def refuse_not_finite(fitted: Fitted, outputs: Mapping[str, np.ndarray]) -> None:
    """A model that is not finite, or whose outputs are not, is never kept.

    Args:
        outputs: by part of the data, (n, ...): logits, or what was made of them.

    Raises:
        NonFiniteError: names the step, and the rows whose outputs they are.
    """
    step = int(fitted.records[fitted.epoch - 1]["step"])
    for array in embedding.named(fitted.params).values():
        if not np.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
            raise NonFiniteError(
                f"parameters are not finite after step {step}; lower optimizer.learning_rate",
                step=step,
            )
    for part, z in outputs.items():
        rows = np.flatnonzero(~np.isfinite(z).all(axis=1)).tolist()
        if rows:
            raise NonFiniteError(
                f"after step {step} the outputs of {len(rows)} {part} rows are not finite, among "
                f"them those at the places {shown_rows(rows)} of that part (counted from 0): bound "
                "their inputs (data.scale=robust), or lower optimizer.learning_rate",
                step=step,
            )
