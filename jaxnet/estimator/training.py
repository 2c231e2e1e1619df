"""From rows and labels to a trained network with its decisions, kept as plain arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jaxnet.config import Config
from jaxnet.data import dataset
from jaxnet.data.dataset import Dataset
from jaxnet.errors import DataWarning, NonFiniteError
from jaxnet.estimator.labels import Array, Target
from jaxnet.job import Job, plan_job, train_job
from jaxnet.nn import embedding
from jaxnet.outputs.progress import Progress
from jaxnet.training import evaluate
from jaxnet.training.calibration import fit_temperature
from jaxnet.training.compilation_cache import enable_compilation_cache
from jaxnet.training.epoch import network_options
from jaxnet.training.fit import Fitted, Watch
from jaxnet.training.metrics.decisions import THRESHOLD
from jaxnet.training.selfcheck import selfcheck
from jaxnet.training.tasks import find_task
from jaxnet.training.thresholds import choose

_FEWEST = 50  # rows


class Trained(NamedTuple):
    """A trained network: nothing in it is more than a number, a text or an array of NumPy.

    Attributes:
        arrays: parameters by name.
        task: binary, multiclass or multilabel.
        network: names of the activation, the parametrisation and the precision.
        output_activation: what turns logits into probabilities.
        schema: how rows are encoded.
        temperature: what logits are divided by.
        thresholds: from which probability on a label is decided, (outputs,); None: argmax.
        epoch: of which the parameters are.
        records: one for each epoch.
    """

    arrays: dict[str, Array]
    task: str
    network: tuple[str, str, str]
    output_activation: str
    schema: dict[str, Any]
    temperature: float
    thresholds: Array | None
    epoch: int
    records: list[dict[str, float]]


def train(
    config: Config,
    x: Any,
    target: Target,
    *,
    held: Array,
    weights: Array | None,
    seed: int,
    show: bool = False,
) -> Trained:
    """Train on all rows but the ones held out, which stop, calibrate and tune.

    Args:
        x: a data frame or an array (n, d).
        held: row numbers of the validation part; may be empty.
        weights: of the rows, or None.
        seed: recorded with the split.
        show: progress on standard error.

    Raises:
        DataError: columns that cannot be used.
        NonFiniteError: training met a NaN or an infinity.
    """
    _be_ready()
    data = _encoded(config, x, target, held, seed)
    if not len(held):
        training = config.training.model_copy(update={"early_stopping": None})
        config = config.model_copy(update={"training": training})
    on_train = None if weights is None else weights[data.rows.train]
    on_held = None if weights is None or not len(held) else weights[data.rows.validation]
    job = plan_job(config, data, row_weights=on_train)
    with _watching(config, data, show) as watch:
        fitted = train_job(
            config, job, data, watch, row_weights=on_train, validation_weights=on_held
        )
    return _decided(config, job, data, fitted, on_held)


@lru_cache(maxsize=1)
def _be_ready() -> None:
    """Once a process: do sums add up, and where compiled programs are kept."""
    for doubt in selfcheck():
        warnings.warn(doubt, RuntimeWarning, stacklevel=5)
    enable_compilation_cache()


def _encoded(config: Config, x: Any, target: Target, held: Array, seed: int) -> Dataset:
    given = config.data
    data = dataset.from_frames(
        x,
        target.codes,
        task=target.task,
        validation=held if len(held) else 0.0,
        seed=seed,
        columns=given.columns,
        missing=given.missing,
        scale=given.scale,
        one_hot_limit=given.one_hot_limit,
        embedding_size=config.model.embedding_size,
    )
    # A rare class is often not among the rows held out; there is nothing to be done about it.
    said = [text for text in data.warnings if not text.startswith("the validation part")]
    if said:
        warnings.warn("; ".join(said), DataWarning, stacklevel=4)
    return data


@contextmanager
def _watching(config: Config, data: Dataset, show: bool) -> Iterator[Watch]:
    if not show:
        yield Watch()
        return
    with Progress(config.training.epochs, len(data.x_train)) as progress:
        for note in data.notes:
            progress.message(f"note: {note}")
        yield Watch(
            progress.compile_started,
            progress.compile_finished,
            progress.update,
            finished=lambda f: progress.message(f"kept epoch {f.epoch} of {f.epochs}: {f.reason}"),
        )


def _decided(
    config: Config, job: Job, data: Dataset, fitted: Fitted, weights: Array | None
) -> Trained:
    """Calibrated and tuned on the validation rows, if there are any."""
    program = job.program
    trained = Trained(
        embedding.named(fitted.params),
        job.task.name,
        (program.activation, program.parametrisation, program.precision),
        job.activation,
        data.schema,
        temperature=1.0,
        thresholds=None,
        epoch=fitted.epoch,
        records=fitted.records,
    )
    if not all(np.isfinite(array).all() for array in trained.arrays.values()):
        step = int(fitted.records[fitted.epoch - 1]["step"])
        text = f"parameters are not finite after step {step}; lower learning_rate"
        raise NonFiniteError(text, step=step)
    z, y = logits(trained, data.x_val), data.y_val
    if config.decision.calibration != "none" and len(y):
        found = fit_temperature(z, y, trained.task, activation=job.activation, weights=weights)
        trained = trained._replace(temperature=found.temperature)
    return trained._replace(thresholds=_thresholds(config, trained, z, y))


def _thresholds(config: Config, trained: Trained, z: Array, y: Array) -> Array | None:
    """One threshold an output; None for classes, of which the most likely one is decided for."""
    if trained.task == "multiclass":
        return None
    given = config.decision.threshold
    few = len(y) < _FEWEST  # on which a rule that nobody asked for would follow chance
    if not len(y) or (given is None and few):
        given = given if isinstance(given, float) else THRESHOLD
    p = probabilities(trained, z)
    p = p[:, 0] if trained.task == "binary" else p
    cost = config.decision.cost.model_dump() if given == "cost" else None
    found = choose(trained.task, p, y, given, cost=cost)
    return np.atleast_1d(np.asarray(found.thresholds, np.float64))


def logits(trained: Trained, x: Array) -> Array:
    """z of encoded rows, (n, outputs) float32."""
    params = embedding.from_named(trained.arrays)
    return evaluate.logits(params, x, network=network_options(*trained.network))


def probabilities(trained: Trained, z: Array) -> Array:
    """Calibrated probabilities of logits, (n, outputs) float64."""
    return evaluate.probabilities_of(
        trained.task, z, trained.output_activation, trained.temperature
    )


def scores(trained: Trained, z: Array) -> Array:
    """z / T less the logit of the threshold: above 0 where a label is decided for; (n, outputs)."""
    if trained.output_activation == find_task(trained.task).activation:
        scaled = z.astype(np.float64) / trained.temperature
    else:
        scaled = _logit(probabilities(trained, z))
    return scaled if trained.thresholds is None else scaled - _logit(trained.thresholds)


def _logit(p: Array) -> Array:
    small = np.finfo(np.float64).eps
    p = np.clip(p, small, 1 - small)
    return np.log(p) - np.log1p(-p)
