"""A config and its rows, in memory: what the config asks for, and the training of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet import sparse_job
from jaxnet.config import METRIC_DIRECTIONS, Config
from jaxnet.data import sparse
from jaxnet.data.dataset import Dataset
from jaxnet.data.sparse import SparseLabels
from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn import embedding
from jaxnet.nn.losses import LOSSES, Loss
from jaxnet.training import needs, own_loss, weights
from jaxnet.training import state as states
from jaxnet.training.epoch import Program, steps_per_epoch
from jaxnet.training.fit import Fitted, Plan, Rows, Stopping, Watch, fit
from jaxnet.training.optimizer import Optimizer, Schedule
from jaxnet.training.snapshot import Snapshot
from jaxnet.training.state import State
from jaxnet.training.tasks import TASKS, Task, as_targets, find_loss, find_task

MANY_ROWS = 200_000  # from here on an epoch has updates enough with batches of 256


class Job(NamedTuple):
    """A config made ready to train: the program, its state and the plan.

    Attributes:
        program: what is compiled.
        task: what the outputs mean.
        activation: of the outputs.
        sizes: of the layers, from the columns of x to the outputs.
        embeddings: (slots, width) of the trailing columns of x.
        numeric: (columns, size) of the leading columns of x that get waves.
        output_bias: of the last layer before the first update, or None for zeros.
        bag_spread: deviation of the first layer of sparse rows; None: x is an array.
        plan: how long to train.
    """

    program: Program
    task: Task
    activation: str
    sizes: tuple[int, ...]
    embeddings: tuple[tuple[int, int], ...]
    numeric: tuple[int, int]
    output_bias: np.ndarray | None
    bag_spread: float | None
    plan: Plan

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the layers as they are multiplied, the embeddings among the inputs."""
        inputs = embedding.first_inputs(self.sizes[0], self.embeddings, self.numeric)
        return (inputs, *self.sizes[1:])


def registered_losses() -> tuple[str, ...]:
    """Names of the losses that were registered in this process, beyond those of the tasks."""
    return tuple(set(LOSSES) - {name for task in TASKS.values() for name in task.losses.values()})


def check_own_loss(config: Config, job: Job, data: Dataset) -> None:
    """Refuse a loss that is none of jaxnet's own and whose delta is wrong; it takes the first rows.

    Autodiff of the value does not look at delta, so nothing is asked then.

    Raises:
        UserError: with the numbers.
    """
    if job.program.loss not in registered_losses() or job.program.engine == "autodiff":
        return
    loss, outputs = LOSSES[job.program.loss], job.sizes[-1]
    options = dict(job.program.options)
    if "label_smoothing" in loss.options and config.loss.label_smoothing:
        options["label_smoothing"] = config.loss.label_smoothing
    rows = min(own_loss.rows_wanted(outputs), len(data.y_train))
    y = data.y_train
    first = sparse.part(y, 0, rows) if isinstance(y, SparseLabels) else y[:rows]
    targets = as_targets(job.task, sparse_job.indicators(first))
    own_loss.check_delta(loss, options, targets, outputs)


def plan_job(config: Config, data: Dataset, *, row_weights: np.ndarray | None = None) -> Job:
    """What the config asks for, in the terms of `jaxnet.training`.

    Args:
        row_weights: of the training rows; None weighs them alike.
    """
    task = find_task(config.task)
    loss, activation = find_loss(task, config.loss.name, config.loss.activation)
    optimizer = config.optimizer.model_dump(exclude={"learning_rate", "weight_decay", "schedule"})
    schedule = Schedule(**config.optimizer.schedule.model_dump())
    shares = _shares(task, data, row_weights)
    head = sparse_job.head(config, len(shares.names))
    sparse_job.check_depth(config, len(shares.names))
    options = _loss_options(config, loss, activation, shares)
    if head == "linear_blocks" and isinstance(config.loss.pos_weight, int | float):
        options["pos_weight"] = float(config.loss.pos_weight)  # not one for each of a million
    program = Program(
        loss=loss.name,
        options=tuple(sorted(options.items())),
        activation=config.model.activation,
        parametrisation="ntk" if config.model.init == "ntk" else "standard",
        engine=config.loss.gradient,
        optimizer=Optimizer(**optimizer, schedule=schedule),
        batch_size=_batch_size(config.training.batch_size, len(data.x_train)),
        precision=config.training.precision,
        head=head,
        block=config.model.block,
        input_dropout=config.model.input_dropout,
    )
    bias = None
    if config.model.output_bias == "prior":
        given = {key: options.get(key) for key in ("class_weight", "pos_weight")}
        bias = weights.prior_bias(
            activation, task.name, shares.counts, shares.rows, average=shares.average, **given
        )
    return Job(
        program,
        task,
        activation,
        sizes=(data.x_train.shape[1], *config.model.hidden, task.outputs(len(shares.names))),
        embeddings=tuple((slots, width) for slots, width in data.schema["embeddings"]),
        numeric=_numeric(config, data.schema),
        output_bias=bias,
        bag_spread=sparse_job.bag_spread(data.x_train, config.model.init),
        plan=_plan(config, data),
    )


MOST_WAVES = 100  # numeric columns; beyond it, images say, waves cost more than they tell


def _numeric(config: Config, schema: Mapping[str, Any]) -> tuple[int, int]:
    """How many leading columns of x get waves, and into how many numbers each."""
    columns = sum(column["kind"] == "numeric" for column in schema["columns"])
    wanted = config.model.numeric_embedding
    if wanted == "none" or (wanted == "auto" and columns > MOST_WAVES):
        return 0, 0
    return columns, config.model.numeric_embedding_size if columns else 0


def _batch_size(wanted: int | None, rows: int) -> int:
    """Rows of one update: a power of two near an eighth of them, where none is asked for.

    Of few rows a large batch leaves too few updates (scripts/bench_defaults.py).

    >>> _batch_size(None, 105), _batch_size(None, 400), _batch_size(None, 9000), _batch_size(64, 9)
    (16, 32, 128, 9)
    """
    if wanted is None:
        most = 128 if rows < MANY_ROWS else 256
        wanted = min(max(2 ** (max(rows // 8, 1).bit_length() - 1), 16), most)
    return min(wanted, rows)


class _Shares(NamedTuple):
    """Training rows of each class or label, by their weights."""

    names: list[str]
    counts: np.ndarray
    rows: float
    average: float


def _shares(task: Task, data: Dataset, row_weights: np.ndarray | None) -> _Shares:
    names = data.schema["class_names"]
    if isinstance(data.y_train, SparseLabels):
        counts = sparse.label_counts(data.y_train).astype(np.float64)
    else:
        counts = weights.target_counts(task.name, data.y_train, len(names), row_weights)
    rows = float(len(data.y_train) if row_weights is None else row_weights.sum())
    return _Shares(names, counts, rows, rows / len(data.y_train))


def _loss_options(config: Config, loss: Loss, activation: str, shares: _Shares) -> dict[str, Any]:
    """The options that the loss takes and the config sets; smoothing is an array of the state."""
    given = config.loss.model_dump(include={"gamma", "gamma_pos", "gamma_neg", "clip"})
    only = slice(1, None) if config.task == "binary" else slice(None)  # the positive class
    given["class_weight"] = weights.class_weights(
        config.loss.class_weight, shares.counts, shares.names
    )
    given["pos_weight"] = weights.pos_weights(
        config.loss.pos_weight, shares.counts[only], shares.rows, shares.names[only]
    )
    asked = {name for name, value in given.items() if value is not None}
    if config.loss.label_smoothing > 0:
        asked.add("label_smoothing")
    if asked - set(loss.options):
        name = min(asked - set(loss.options))
        raise UserError(f"loss.{name}: {loss.name} takes no such option; remove it")
    given["labels"] = config.loss.labels
    if isinstance(loss.activation, tuple):
        given["activation"] = activation
    return {
        name: value for name, value in given.items() if value is not None and name in loss.options
    }


def _plan(config: Config, data: Dataset) -> Plan:
    """How long to train; without validation rows nothing stops early."""
    given, early = config.training, config.training.early_stopping
    stopping = None
    if early is not None and len(data.x_val):
        maximise = METRIC_DIRECTIONS[early.metric] == "maximise"
        stopping = Stopping(early.metric, early.patience, maximise)
    return Plan(
        epochs=given.epochs,
        stopping=stopping,
        most_skipped=given.skip_limit if given.on_nan == "skip" else 0,
        every_steps=config.checkpoints.multiples,
    )


def shape_of_state(config: Config, job: Job, data: Dataset) -> State:
    """The first state without its numbers, but with its rates: what others are held to."""
    shapes: State = jax.eval_shape(lambda: first_state(config, job, data))
    return shapes._replace(hyper=_rates(config, job, data))


def first_state(config: Config, job: Job, data: Dataset) -> State:
    """The training state before the first update."""
    return states.begin(
        job.sizes,
        job.program.optimizer,
        _rates(config, job, data),
        seed=config.training.seed,
        scheme=config.model.init,
        last_layer="zeros" if config.model.last_layer == "zeros" else None,
        embeddings=job.embeddings,
        numeric=job.numeric,
        output_bias=job.output_bias,
        bag_spread=job.bag_spread,
        head=states.Head(job.program.head, config.model.head_weights),
    )


def _rates(config: Config, job: Job, data: Dataset) -> states.Hyper:
    steps = steps_per_epoch(len(data.x_train), job.program.batch_size) * config.training.epochs
    return states.hyper(
        learning_rate=config.optimizer.learning_rate,
        weight_decay=config.optimizer.weight_decay,
        dropout=config.model.dropout,
        label_smoothing=config.loss.label_smoothing,
        total_steps=steps,
    )


def memory_needs(config: Config, job: Job, data: Dataset) -> needs.Needs:
    """What training the job on these rows takes, as far as it can be told beforehand."""
    return needs.estimate(
        job.program,
        job.sizes,
        task=job.task.name,
        rows=len(data.x_train),
        validation_rows=len(data.x_val),
        other_rows=len(data.x_test),
        embeddings=job.embeddings,
        numeric=job.numeric,
        keeps_best=job.plan.stopping is not None,
        sparse=sparse_job.held(data),
        head_weights=config.model.head_weights,
    )


def train_job(
    job: Job,
    data: Dataset,
    start: Snapshot,
    watch: Watch,
    *,
    row_weights: np.ndarray | None = None,
    validation_weights: np.ndarray | None = None,
) -> Fitted:
    """Train on the training rows, stop on the validation rows.

    Args:
        start: `beginning(first_state(...))`, or where an earlier run stood.
        row_weights: of the training rows; None weighs them alike.
        validation_weights: of the validation rows, in the metric that stops.

    Raises:
        NonFiniteError: training met a NaN or an infinity; names step and rows.
    """
    train, validation = (
        Rows(sparse_job.inputs(x), sparse_job.targets(job.task, y, job.program.head), weights)
        for x, y, weights in (
            (data.x_train, data.y_train, row_weights),
            (data.x_val, data.y_val, validation_weights),
        )
    )
    names = {"task": job.task.name, "activation": job.activation}
    try:
        return fit(job.program, start, train, validation, job.plan, watch=watch, **names)
    except NonFiniteError as error:
        rows = file_rows(data, error.rows)
        text = f"{error}. Rows of the step (counted from 0): {shown_rows(rows)}"
        raise NonFiniteError(text, step=error.step, rows=rows) from None


def file_rows(data: Dataset, rows: Sequence[int]) -> list[int]:
    """Training rows by their place in the file they came from, counted from 0."""
    return sorted(int(data.rows.train[row]) for row in rows)


def shown_rows(rows: Sequence[int], *, most: int = 10) -> str:
    """Some numbers of rows in words.

    >>> shown_rows([3, 1, 4], most=2)
    '3, 1, ...'
    """
    return ", ".join(map(str, rows[:most])) + (", ..." if len(rows) > most else "")
