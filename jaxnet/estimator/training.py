"""From rows and labels to a trained network with its decisions, kept as plain arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from jaxnet import judge
from jaxnet.config import Config
from jaxnet.data import dataset
from jaxnet.data.dataset import Dataset
from jaxnet.errors import DataWarning, NonFiniteError
from jaxnet.estimator.labels import Array, Target
from jaxnet.job import Job, check_own_loss, first_state, plan_job, train_job
from jaxnet.nn import embedding
from jaxnet.outputs.progress import Progress
from jaxnet.training import evaluate, selfcheck, settings
from jaxnet.training.compilation_cache import compilation_cache
from jaxnet.training.epoch import network_options
from jaxnet.training.fit import Fitted, Watch
from jaxnet.training.snapshot import beginning
from jaxnet.training.tasks import find_task

_FEWEST = 50  # rows held out, on which thresholds are tuned though nobody asked for it


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
    for doubt in selfcheck.once():
        warnings.warn(doubt, RuntimeWarning, stacklevel=4)
    data = _encoded(config, x, target, held, seed)
    on_train = None if weights is None else weights[data.rows.train]
    on_held = None if weights is None or not len(held) else weights[data.rows.validation]
    job = plan_job(config, data, row_weights=on_train)
    check_own_loss(config, job, data)
    try:
        with settings.held(), compilation_cache():
            with _watching(config, data, show) as watch:
                start = beginning(first_state(config, job, data))
                fitted = train_job(
                    job, data, start, watch, row_weights=on_train, validation_weights=on_held
                )
            return _decided(config, job, data, fitted, on_held)
    except NonFiniteError as error:
        text = str(error).replace("optimizer.", "")  # by the names of the parameters
        raise NonFiniteError(text, step=error.step, rows=error.rows) from None


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
    program, y = job.program, data.y_val
    z = evaluate.logits(fitted.params, data.x_val, network=program.network)
    judge.refuse_not_finite(fitted, {"validation": z})
    scaling = judge.calibrate(config, job, z, y, weights)
    temperature = scaling.temperature if scaling is not None else 1.0
    p = judge.outputs(job, z, temperature).p
    thresholds = judge.decide(config, p, y, fewest=_FEWEST).thresholds
    return Trained(
        embedding.named(fitted.params),
        job.task.name,
        (program.activation, program.parametrisation, program.precision),
        job.activation,
        data.schema,
        temperature,
        None if thresholds is None else np.atleast_1d(np.asarray(thresholds, np.float64)),
        fitted.epoch,
        fitted.records,
    )


def logits(trained: Trained, x: Array) -> Array:
    """z of encoded rows, (n, outputs) float32."""
    with settings.held(), compilation_cache():
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
