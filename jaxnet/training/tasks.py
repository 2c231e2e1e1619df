"""What a task fixes: size of the head, output activation, losses, metrics and decision rule.

The same numbers are one thing or another by task: with sigmoid outputs every label is a question
of its own, with softmax outputs the classes share one answer. A pair of loss and activation that
does not belong together has no entry here, and `find_loss` refuses it with the lecture's reason.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnet.errors import LossPairError, UserError
from jaxnet.nn import activations
from jaxnet.nn.losses import (
    LOSSES,
    Loss,
    binary_cross_entropy,
    categorical_cross_entropy,
    multilabel_cross_entropy,
)
from jaxnet.nn.losses.core import PAIR_REASON
from jaxnet.training.metrics import probability

Sums = dict[str, Float[Array, ""]]
DEPTHS = (1, 3, 5)  # of precision_at_k


class Task(NamedTuple):
    """One kind of question about a row.

    Attributes:
        name: binary, multiclass or multilabel.
        activation: what turns logits into probabilities.
        outputs: number of classes or labels -> columns of the head.
        losses: name in a config -> name in `jaxnet.losses.LOSSES`.
        cross_entropy: the loss that is the log loss of the task.
        sums: (a, y, w, ranking) -> weighted sums, one for each of `metrics` but loss and log_loss;
            ranking orders the outputs of a row: the logits, or a where it is no function of them.
        metrics: name -> (sums -> number, None where they do not tell), of what is measured every
            epoch.
    """

    name: str
    activation: str
    outputs: Callable[[int], int]
    losses: Mapping[str, str]
    cross_entropy: Loss
    sums: Callable[[Array, Array, Array, Array], Sums]
    metrics: Mapping[str, Callable[[Mapping[str, float]], float | None]]


def _correct_binary(a: Array, y: Array, w: Array, ranking: Array) -> Sums:
    return {"correct": _count((a[:, 0] >= 0.5) == (y[:, 0] >= 0.5), w)}


def _correct_class(a: Array, y: Array, w: Array, ranking: Array) -> Sums:
    return {"correct": _count(jnp.argmax(a, axis=1).astype(y.dtype) == y, w)}


def _labels(a: Array, y: Array, w: Array, ranking: Array) -> Sums:
    """Counts over labels, from which F1 and Hamming loss follow, and rows that are all right."""
    said, true = a >= 0.5, y >= 0.5
    right, rows = said == true, w[:, None]
    best = lax.top_k(ranking, min(DEPTHS[-1], a.shape[1]))[1]
    return {
        **hit_sums(jnp.take_along_axis(true, best, axis=1), w),
        "right_labels": _count(right, rows),
        "labels": jnp.sum(w) * y.shape[1],
        "true_positives": _count(said & true, rows),
        "errors": _count(~right, rows),
        "right_rows": _count(jnp.all(right, axis=1), w),
    }


def hit_sums(hits: Array, w: Array) -> Sums:
    """Of the best labels of each row, (m, k) in order, those that are its own, for P@1, 3, 5."""
    of_row = jnp.cumsum(hits.astype(jnp.float32), axis=1)
    depths = [depth for depth in DEPTHS if depth <= hits.shape[1]]
    return {f"hits_{k}": jnp.sum(jnp.where(w > 0, w * of_row[:, k - 1], 0)) / k for k in depths}


def _count(holds: Array, w: Array) -> Array:
    return jnp.sum(jnp.where(holds, w, 0))


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")


def _told(*needed: str, of: Callable[[Mapping[str, float]], float]) -> Any:
    """The metric, or None where one of its sums was not made."""
    return lambda s: of(s) if all(name in s for name in needed) else None


def _precision(k: int) -> Any:
    return _told(f"hits_{k}", of=lambda s: _ratio(s[f"hits_{k}"], s["weight"]))


_EVERY = {
    "loss": lambda s: _ratio(s["loss"], s["weight"]),
    "log_loss": lambda s: _ratio(s["log_loss"], s["weight"]),
}
_ACCURACY = {"accuracy": lambda s: _ratio(s["correct"], s["weight"])}
_LABEL_METRICS = {
    "log_loss": lambda s: _ratio(s["log_loss"], s["labels"]),
    "accuracy": _told("right_labels", of=lambda s: _ratio(s["right_labels"], s["labels"])),
    "micro_f1": _told(
        "true_positives",
        of=lambda s: _ratio(2 * s["true_positives"], 2 * s["true_positives"] + s["errors"]),
    ),
    "hamming_loss": _told("errors", of=lambda s: _ratio(s["errors"], s["labels"])),
    "subset_accuracy": _told("right_rows", of=lambda s: _ratio(s["right_rows"], s["weight"])),
    **{f"precision_at_{k}": _precision(k) for k in DEPTHS},
}

_SIGMOID_LOSSES = {"squared_error": "squared_error", "focal": "focal", "asymmetric": "asymmetric"}

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "binary": Task(
            "binary",
            "sigmoid",
            lambda classes: 1,
            {"cross_entropy": "binary_cross_entropy", **_SIGMOID_LOSSES},
            binary_cross_entropy,
            _correct_binary,
            {**_EVERY, **_ACCURACY},
        ),
        "multiclass": Task(
            "multiclass",
            "softmax",
            lambda classes: classes,
            {"cross_entropy": "categorical_cross_entropy", "squared_error": "squared_error"},
            categorical_cross_entropy,
            _correct_class,
            {**_EVERY, **_ACCURACY},
        ),
        "multilabel": Task(
            "multilabel",
            "sigmoid",
            lambda labels: labels,
            {"cross_entropy": "multilabel_cross_entropy", **_SIGMOID_LOSSES},
            multilabel_cross_entropy,
            _labels,
            {**_EVERY, **_LABEL_METRICS},
        ),
    }
)


def find_task(name: str) -> Task:
    """The task called `name`.

    >>> find_task("binary").activation
    'sigmoid'
    """
    if name not in TASKS:
        raise UserError(f"no task is called {name!r}; choose from {', '.join(TASKS)}")
    return TASKS[name]


def find_loss(task: Task, name: str, activation: str | None = None) -> tuple[Loss, str]:
    """(loss, output activation) for a config's names; a registered loss goes by its own name.

    Raises:
        LossPairError: the loss does not train this task, or the activation is not of the pair.

    >>> find_loss(find_task("multiclass"), "cross_entropy")[0].name
    'categorical_cross_entropy'
    """
    registered = task.losses.get(name, name)
    if registered not in LOSSES or (name not in task.losses and _is_of_another_task(name)):
        raise LossPairError(
            f"{name} does not train task {task.name}, whose outputs are a {task.activation}: "
            f"{PAIR_REASON}. Use {', '.join(task.losses)}"
        )
    loss = LOSSES[registered]
    if loss.layout.name not in _LAYOUTS[task.name]:
        raise LossPairError(
            f"{name} takes {loss.layout.accepts}, which task {task.name} has not: {PAIR_REASON}"
        )
    if isinstance(loss.activation, tuple):
        return loss, loss.output_activation(activation=activation or task.activation)
    if (loss.activation == "softmax") != (task.activation == "softmax"):
        raise LossPairError(
            f"{name} stands behind {loss.activation}, the outputs of task {task.name} behind "
            f"{task.activation}: {PAIR_REASON}"
        )
    return loss, loss.output_activation(activation=activation)


# Layouts of losses that take the logits and targets of a task.
_LAYOUTS = {
    "binary": ("binary", "elementwise", "outputs"),
    "multiclass": ("multiclass", "outputs"),
    "multilabel": ("multilabel", "elementwise", "outputs"),
}


def _is_of_another_task(name: str) -> bool:
    built_in = {own for task in TASKS.values() for own in (*task.losses, *task.losses.values())}
    return name in built_in


def probabilities(task: Task, z: Float[Array, "m n"], activation: str) -> Float[Array, "m n"]:
    """Probabilities from logits, (m, n) with n outputs of the head.

    Behind the task's own activation they are its values. Squared error may stand behind another;
    its outputs are then clipped to [0, 1] and, for classes, divided by their sum.
    """
    if activation == "softmax":
        return activations.softmax(z)
    a = activations.find(activation).f(z)
    if activation == "sigmoid" and task.name != "multiclass":
        return a
    a = jnp.clip(a, 0, 1)
    if task.name != "multiclass":
        return a
    total = jnp.sum(a, axis=1, keepdims=True)
    return jnp.where(total > 0, a / jnp.where(total > 0, total, 1), 1 / z.shape[1])


def log_losses(task: Task, z: Array, a: Array, y: Array, activation: str) -> Float[Array, " m"]:
    """Negative log likelihood of each row: exact from the logits, else from clipped a.

    A probability of 0 costs what it costs at the end of a run, where float64 ends: 708.4.
    """
    if activation == task.activation:
        return task.cross_entropy.plain(z, y)
    tiny = jnp.finfo(a.dtype).tiny

    def cost(p: Array) -> Array:
        return jnp.where(p < tiny, -math.log(probability.TINY), -jnp.log(jnp.maximum(p, tiny)))

    if task.name == "multiclass":
        return cost(jnp.take_along_axis(a, y[:, None], axis=1)[:, 0])
    return jnp.sum(cost(jnp.where(y >= 0.5, a, 1 - a)), axis=1)


def as_targets(task: Task, y: np.ndarray) -> np.ndarray:
    """Validated labels as the loss takes them: binary (m, 1), classes (m,), labels (m, K)."""
    if task.name == "multiclass":
        return y.astype(np.int32)
    y = y.astype(np.float32)
    return y if y.ndim == 2 else y[:, None]  # there may be no rows
