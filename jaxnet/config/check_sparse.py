"""Checks of sparse rows and of heads that keep no logits: what they need, what they do not take."""

from __future__ import annotations

from collections.abc import Iterator

from jaxnet.config import names
from jaxnet.config.check_data import ARRAYS
from jaxnet.config.data_schema import SPARSE
from jaxnet.config.problems import KeyPath
from jaxnet.config.schema import Config, DataConfig, ModelConfig

Found = Iterator[tuple[KeyPath, str]]
_OF_TABLES = ("features", "target", "positive", "columns", "drop", "missing")


def rows(config: Config) -> Found:
    """Sparse rows have sets of labels, and no columns by name."""
    data = config.data
    if data.source is not None or data.train is None:
        return
    if not config.is_sparse:
        yield from _only_sparse(config)
        return
    if config.task != "multilabel":
        text = f"{config.task}, and data.train is a file of sparse rows with sets of labels, for "
        yield ("task",), text + "task: multilabel; a table is a .csv, .csv.gz or .parquet file"
    for key in _OF_TABLES:
        field = DataConfig.model_fields[key]
        if getattr(data, key) != field.get_default(call_default_factory=True):
            yield ("data", key), "belongs to tables and arrays; sparse rows do not use it"
    if data.split.group is not None:
        yield ("data", "split", "group"), "belongs to tables; sparse rows have no named columns"
    if data.scale not in ("unit", "none"):
        yield (
            ("data", "scale"),
            f"{data.scale} is for columns of numbers; sparse rows: unit or none",
        )
    default = ModelConfig.model_fields["numeric_embedding"].default
    if config.model.numeric_embedding not in (default, "none"):
        yield ("model", "numeric_embedding"), "is for numeric columns; sparse rows have none"


def _only_sparse(config: Config) -> Found:
    for key in ("validation_labels", "test_labels"):
        if getattr(config.data, key) is not None:
            text = "belongs to sparse .npz rows, whose training labels are data.train_labels"
            yield ("data", key), text
    if config.data.label_names is not None:
        text = "belongs to sparse rows; a table has the names of its labels"
        yield ("data", "label_names"), text
    if config.data.scale == "unit":
        scales = ", ".join(scale for scale in names.SCALES if scale != "unit")
        yield ("data", "scale"), f"unit is for sparse rows; of columns of numbers: {scales}"
    if config.model.input_dropout:
        yield ("model", "input_dropout"), "is for sparse rows; model.dropout is for hidden units"


def labels(config: Config) -> Found:
    """Sparse .npz rows have their labels in files of their own, XC text in the same."""
    data = config.data
    for part in ("train", "validation", "test"):
        path, own = getattr(data, part), getattr(data, f"{part}_labels")
        key = ("data", f"{part}_labels")
        if own is not None and path is None:
            yield key, f"given without data.{part}, whose labels they are"
        elif own is not None and path.lower().endswith(SPARSE):
            yield key, f"XC text holds its own labels; remove it ({path})"
        elif own is not None and not own.lower().endswith(ARRAYS):
            yield key, "expected a sparse .npz file"
        elif own is None and path is not None and data.train_labels and path.endswith(ARRAYS):
            yield key, f"missing; the labels of data.{part} are in a sparse .npz file of their own"


def names_of_labels(config: Config) -> Found:
    """Names come as text."""
    path = config.data.label_names
    if path is not None and not path.lower().endswith(SPARSE):
        yield ("data", "label_names"), "expected a .txt or .txt.gz file with one name a line"


def head(config: Config) -> Found:
    """A head that keeps no logits is of one loss, and its gradient is never whole."""
    model = config.model
    if model.head_weights != "float32" and model.head != "linear_blocks":
        yield ("model", "head_weights"), "is used with model.head: linear_blocks only"
    if model.block is not None and model.head == "dense":
        yield ("model", "block"), "is used with model.head: linear_blocks only; remove it"
    if model.head == "linear_blocks":
        yield from against_blocks(config)


def against_blocks(config: Config) -> Found:
    """What is asked for that a head without logits does not have; `auto` is dense then."""
    key = ("model", "head")
    if config.task != "multilabel":
        yield key, f"linear_blocks is for task: multilabel; task: {config.task} has dense"
    elif config.loss.name != "cross_entropy":
        yield key, f"linear_blocks is for loss.name: cross_entropy, not {config.loss.name}"
    if config.loss.gradient != "closed_form":
        text = (
            f"linear_blocks has gradients in closed form; loss.gradient is {config.loss.gradient}"
        )
        yield key, text
    if config.optimizer.clip_norm is not None:
        text = (
            "the norm of the whole gradient is never known with model.head: linear_blocks; remove"
        )
        yield ("optimizer", "clip_norm"), f"{text} it, or use dense"
    if not config.model.hidden and config.is_sparse:
        text = "linear_blocks needs a hidden layer before it; set hidden, or head: dense"
        yield ("model", "hidden"), text
    stopping = config.training.early_stopping
    if stopping is not None and stopping.metric not in names.HEAD_METRICS:
        text = f"{stopping.metric} needs all logits; with model.head: linear_blocks there is "
        path = ("training", "early_stopping", "metric")
        yield path, text + ", ".join(names.HEAD_METRICS)
    given = config.decision.threshold
    if isinstance(given, str) and given != "f1":
        text = f"{given} needs all logits; with model.head: linear_blocks: f1, or a number"
        yield ("decision", "threshold"), text
