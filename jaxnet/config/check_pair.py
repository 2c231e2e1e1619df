"""The lecture's warning as a check: delta belongs to one pair of loss and output activation."""

from __future__ import annotations

from collections.abc import Iterator

from jaxnet.config.names import LOSS_NAMES, LOSS_TASKS, TASK_ACTIVATIONS
from jaxnet.config.problems import KeyPath
from jaxnet.config.schema import Config

Found = Iterator[tuple[KeyPath, str]]
_PAIR = "the closed-form delta belongs to one pair of loss and output activation"


def loss_and_task(config: Config) -> Found:
    """A loss of sigmoid outputs cannot train softmax outputs."""
    name, task = config.loss.name, config.task
    if name in LOSS_NAMES and task not in LOSS_TASKS[name]:
        yield (
            ("loss", "name"),
            f"{name} is a loss of sigmoid outputs, each a label of its own, but the outputs of "
            f"task: {task} are a softmax and sum to one; {_PAIR}: use cross_entropy (or task: "
            "multilabel)",
        )


def activation(config: Config) -> Found:
    """Only squared error lets the output activation be chosen."""
    given, name, task = config.loss.activation, config.loss.name, config.task
    if given is None or name not in LOSS_NAMES or task not in LOSS_TASKS[name]:
        return
    if name == "squared_error":
        if given == "softmax" and task != "multiclass":
            yield ("loss", "activation"), _SOFTMAX_OF_LABELS[task]
        return
    yield ("loss", "activation"), _mismatch(name, task, given)


_SOFTMAX_OF_LABELS = {
    "binary": "softmax of the one output of task: binary is always 1; use sigmoid, or task: "
    "multiclass with two classes",
    "multilabel": "softmax outputs sum to one, but a row of task: multilabel has any number of "
    "labels; use sigmoid",
}


def _mismatch(name: str, task: str, given: str) -> str:
    own = TASK_ACTIVATIONS[task]
    if given == own:
        return (
            f"{given} would be applied twice: {name} of task: {task} holds it already, because "
            f"{_PAIR}; remove loss.activation"
        )
    if given == "softmax":
        reason = "softmax outputs sum to one and need categorical cross-entropy (task: multiclass)"
    elif given == "sigmoid":
        reason = "sigmoid outputs do not sum to one and need task: binary or multilabel"
    else:
        reason = f"{given} outputs are not probabilities and need name: squared_error"
    return (
        f"{given} does not belong to {name} of task: {task}: {_PAIR}, here {own}; {reason}; "
        "remove loss.activation"
    )


def stalled(config: Config) -> Found:
    """Outputs that start where the activation is flat never move."""
    loss = config.loss
    if (
        loss.name == "squared_error"
        and loss.activation == "relu"
        and config.model.last_layer == "zeros"
    ):
        yield (
            ("loss", "activation"),
            "relu has no slope at 0, where model.last_layer: zeros starts every output, so nothing "
            "would be learned; use model.last_layer: same",
        )
