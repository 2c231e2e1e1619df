"""What the replay of a step found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

Direction = Literal["input", "forward", "backward", "update"]

LARGE_INPUT = 1e4  # encoded inputs are of the order of 1
LARGE_PARAMETER = 1e3


class Range(NamedTuple):
    """An array in numbers; low and high of those that are finite, None where none is."""

    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    not_finite: int


class Input(NamedTuple):
    """One number of the encoded inputs: a row, a column of x, its value, the column's name."""

    row: int
    column: int
    value: float
    name: str = ""


class Largest(NamedTuple):
    """The largest absolute number among the parameters, or their gradients, and its array."""

    name: str
    value: float


class Finding(NamedTuple):
    """Why a step was not finite.

    Attributes:
        step: number of the step, from 1.
        epoch: that it belongs to, from 1.
        loss: mean loss of the batch, as it came out.
        operation: name of the primitive that made the first NaN or infinity that reached the loss,
            the gradients or the update; of the argument where one was not finite to begin with,
            such as "x" or "params.layers.0.W"; None where the step replays without any.
        direction: "input", "forward" (the loss), "backward" (its gradients) or "update" (what is
            made of the gradients: their norm, their squares, the new parameters).
        place: file, line and function that the operation was written at.
        code: that line.
        result: what the operation made.
        operands: what it made it of.
        rows: rows of the training arrays behind it.
        exact: whether each of `rows` is at fault by itself; False: they are the largest only.
        batch: rows of the step, those of weight 0 left out.
        inputs: the largest numbers that `rows` hold, by size.
        targets: what `rows` have as targets, where that is one number each.
        classes: outputs of the network.
        parameter: the largest parameter.
        gradient: the largest gradient.
    """

    step: int
    epoch: int
    loss: float
    operation: str | None = None
    direction: Direction = "forward"
    place: str = ""
    code: str = ""
    result: Range | None = None
    operands: tuple[Range, ...] = ()
    rows: tuple[int, ...] = ()
    exact: bool = True
    batch: tuple[int, ...] = ()
    inputs: tuple[Input, ...] = ()
    targets: tuple[float, ...] = ()
    classes: int = 0
    parameter: Largest = Largest("", 0.0)
    gradient: Largest = Largest("", 0.0)


def measure(array: np.ndarray) -> Range:
    """The shape and the range of an array.

    >>> measure(np.array([1.0, np.inf], np.float32))
    Range(shape=(2,), dtype='float32', low=1.0, high=1.0, not_finite=1)
    """
    wide = array.astype(np.float64) if array.dtype.kind != "b" else array.astype(np.int64)
    finite = wide[np.isfinite(wide)]
    low, high = (float(np.min(finite)), float(np.max(finite))) if finite.size else (None, None)
    return Range(array.shape, str(array.dtype), low, high, int(wide.size - finite.size))


# What keeps a primitive within its domain, for code that is not ours.
_REMEDIES = {
    "log": "keep the argument of log above 0: of a sigmoid use -softplus(-z), of a softmax "
    "log_softmax(z)",
    "exp": "exp overflows float32 above 88: subtract the largest first, or use logsumexp, softplus",
    "div": "keep the divisor away from 0: where(d == 0, 1, d)",
    "sqrt": "sqrt has no slope at 0: add a small number to its argument",
    "rsqrt": "add a small number to the argument of rsqrt",
    "pow": "a power overflows, or has no slope at 0: bound its base",
    "integer_pow": "a power overflows, or is one of 1/0: bound its base",
}


def advice(finding: Finding, *, learning_rate: float, clip_norm: float | None) -> tuple[str, ...]:
    """What to try, the likeliest first."""
    if finding.operation is None:
        return (
            "on this machine the step is finite: a sum was within rounding of the largest number, "
            "or the run had another device or number of threads",
            *_slower(learning_rate, clip_norm),
        )
    if finding.direction == "input":
        return _of_input(finding)
    found = [*_own_code(finding), *_labels(finding), *_large_inputs(finding)]
    grown = finding.parameter
    if grown.value >= LARGE_PARAMETER:
        found.append(
            f"the parameters have grown to {grown.value:.3g} ({grown.name}): training had diverged "
            "before this step"
        )
    if not found or grown.value >= LARGE_PARAMETER or finding.direction == "update":
        found += _slower(learning_rate, clip_norm)
    return tuple(found)


def _of_input(finding: Finding) -> tuple[str, ...]:
    if finding.operation in ("x", "y", "weights"):
        what = {"x": "inputs", "y": "targets", "weights": "weights"}[finding.operation]
        return (f"the {what} of these rows are not finite: correct the rows or leave them out",)
    return (
        "the state was not finite before this step: start again from an older checkpoint with a "
        "lower optimizer.learning_rate",
    )


def _own_code(finding: Finding) -> Iterator[str]:
    if finding.place and not finding.place.startswith("jaxnet/"):
        yield "the operation is in code of your own: " + _REMEDIES.get(
            str(finding.operation), "keep its operands within what it can take"
        )


def _labels(finding: Finding) -> Iterator[str]:
    values: Any = np.asarray(finding.targets)
    if values.dtype.kind in "iu" and finding.classes > 1:
        wrong = values[(values < 0) | (values >= finding.classes)]
        if wrong.size:
            yield f"label {wrong[0]} is none of the {finding.classes} classes: correct the labels"


def _large_inputs(finding: Finding) -> Iterator[str]:
    if finding.inputs and abs(finding.inputs[0].value) >= LARGE_INPUT:
        row, column, value, name = finding.inputs[0]
        yield (
            f"row {row} holds {value:.3g} in input {name or column}: correct that cell, or bound "
            "the inputs: data.scale=robust"
        )


def _slower(learning_rate: float, clip_norm: float | None) -> Iterator[str]:
    lower = f"lower optimizer.learning_rate (it is {learning_rate:.3g}): "
    yield f"{lower}optimizer.learning_rate={min(learning_rate / 10, 1e-3):.3g}"
    if clip_norm is None:
        yield "bound the gradients: optimizer.clip_norm=1.0"
