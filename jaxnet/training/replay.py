"""The next step of a training state, operation by operation: why it is not finite.

`epoch.step` is traced and run one operation at a time. First the loss and its gradients alone, then
the whole step with what it makes of the gradients.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core, source_info_util

from jaxnet.training import epoch as epochs
from jaxnet.training import replay_ops, replay_rows
from jaxnet.training.epoch import Program
from jaxnet.training.replay_finding import Direction, Finding, Input, Largest, measure
from jaxnet.training.replay_ops import Op, Run
from jaxnet.training.replay_rows import Blame
from jaxnet.training.state import State

_MOST_INPUTS = 5
_FRAMES = 20  # of the code around an operation, searched for a line that is not a library's


class Batch(NamedTuple):
    """What one step takes: rows of the training arrays, their inputs, targets and weights."""

    rows: np.ndarray
    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


class _Arguments(NamedTuple):
    state: State
    x: Any
    y: Any
    weights: Any


class _Pass(NamedTuple):
    """A function of `_Arguments`, how it ran, and what spoiled its result, if anything did."""

    function: Callable[[_Arguments], Any]
    traced: core.ClosedJaxpr
    run: Run
    cause: Op | None


def next_batch(
    program: Program, state: State, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> Batch:
    """The batch of the next update of a state."""
    chosen, counted = epochs.next_rows(program, state, len(x))
    if weights is not None:
        counted = counted * np.asarray(weights, np.float32)[chosen]
    return Batch(chosen, np.asarray(x)[chosen], np.asarray(y)[chosen], counted)


def replay(
    program: Program, state: State, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> Finding:
    """Run the next update of a state operation by operation and find what spoils it.

    Args:
        state: the last good one.
        x, y, weights: of all training rows, as `fit.Rows` has them.
    """
    batch = next_batch(program, state, x, y, weights)
    arguments = _Arguments(state, batch.x, batch.y, batch.weights)
    first = _loss_and_gradients(program, arguments)
    loss, *gradients = (np.asarray(value.array) for value in first.run.outputs)
    step, per_epoch = int(state.step), epochs.steps_per_epoch(len(x), program.batch_size)
    counted = np.unique(batch.rows[batch.weights > 0])
    finding = Finding(
        step=step + 1,
        epoch=step // per_epoch + 1,
        loss=float(loss),
        batch=tuple(counted.tolist()),
        classes=int(state.params.layers[-1].b.shape[0]),
        parameter=_largest(state.params),
        gradient=_largest(jax.tree.unflatten(jax.tree.structure(state.params), gradients)),
    )
    if first.cause is not None:
        in_loss = first.cause.key in replay_ops.behind(first.run, first.run.outputs[:1])
        direction: Direction = "forward" if in_loss else "backward"
        return _explained(finding, program, batch, arguments, first, first.cause, direction)
    second = _pass(lambda a: epochs.step(program, *a), arguments)
    if second.cause is not None:
        return _explained(finding, program, batch, arguments, second, second.cause, "update")
    return finding


def _loss_and_gradients(program: Program, arguments: _Arguments) -> _Pass:
    return _pass(lambda a: epochs.value_and_gradients(program, *a), arguments)


def _pass(function: Callable[[_Arguments], Any], arguments: _Arguments) -> _Pass:
    traced, leaves = jax.make_jaxpr(function)(arguments), jax.tree.leaves(arguments)
    run = replay_ops.run(traced, leaves)
    return _Pass(function, traced, run, replay_ops.find_cause(traced, leaves, run))


def _explained(
    finding: Finding,
    program: Program,
    batch: Batch,
    arguments: _Arguments,
    found: _Pass,
    op: Op,
    direction: Direction,
) -> Finding:
    """The finding with the operation, its operands and the rows."""
    assert op.evidence is not None
    place, code = _written(op)
    if not op.name:
        direction = "input"
    elif place.startswith("jaxnet/nn/losses/core.py") and program.engine == "closed_form":
        place, code = _within_delta(program, arguments, op) or (place, code)
    blame = _rows(program, batch, arguments, found, op, direction)
    rows = dict.fromkeys(batch.rows[list(blame.rows)].tolist())  # padding repeats a row
    return finding._replace(
        operation=op.name or _name(arguments, -1 - op.key[0]),
        direction=direction,
        place=place,
        code=code,
        result=measure(op.evidence.outputs[0]),
        operands=tuple(measure(array) for array in op.evidence.operands),
        rows=tuple(rows),
        exact=blame.exact,
        inputs=_inputs(arguments.state, batch, blame),
        targets=_targets(batch, blame),
    )


def _within_delta(program: Program, arguments: _Arguments, op: Op) -> tuple[str, str] | None:
    """The line within a loss's delta: JAX gives all of a backward rule the line that called it.

    Written out, the same delta is called like any other function.
    """
    cause = _loss_and_gradients(program._replace(engine="backprop"), arguments).cause
    return _written(cause) if cause is not None and cause.name == op.name else None


def _rows(
    program: Program,
    batch: Batch,
    arguments: _Arguments,
    found: _Pass,
    op: Op,
    direction: Direction,
) -> Blame:
    assert op.evidence is not None
    if direction == "input":
        wrong = op.evidence.spoiled[0]
        of_rows = _name(arguments, -1 - op.key[0]) in ("x", "y", "weights")
        at = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1)) if of_rows else ()
        return Blame(tuple(int(row) for row in at), exact=True)
    if direction != "update":
        longer = _trace_longer(found.function, arguments)
        rows = replay_rows.by_axis(op.evidence, op.key, found.traced, longer)
        rows = None if rows is None else tuple(r for r in rows if batch.weights[r] > 0)
        if rows:
            return Blame(rows, exact=True)
    alone = replay_rows.each_alone(program, arguments.state, batch.x, batch.y, batch.weights)
    by_loss = direction == "forward"
    return replay_rows.blamed(
        alone, batch.weights, by=lambda each: each.loss if by_loss else each.gradient
    )


def _trace_longer(function: Callable[[_Arguments], Any], arguments: _Arguments) -> core.ClosedJaxpr:
    def longer(array: np.ndarray) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((len(array) + 1, *array.shape[1:]), array.dtype)

    state, *rows = arguments
    return jax.make_jaxpr(function)(_Arguments(state, *map(longer, rows)))


def _inputs(state: State, batch: Batch, blame: Blame) -> tuple[Input, ...]:
    """The largest inputs of the rows; the trailing columns of codes are no sizes."""
    numbers = batch.x[:, : batch.x.shape[1] - len(state.params.tables)][list(blame.rows)]
    sizes = np.where(np.isfinite(numbers), np.abs(numbers), np.inf)
    largest = np.argsort(-sizes, axis=None, kind="stable")[:_MOST_INPUTS]
    return tuple(
        Input(int(batch.rows[blame.rows[i]]), int(j), float(numbers[i, j]))
        for i, j in zip(*np.unravel_index(largest, numbers.shape), strict=True)
    )


def _targets(batch: Batch, blame: Blame) -> tuple[float, ...]:
    chosen = batch.y[list(blame.rows)]
    return tuple(chosen.reshape(-1).tolist()) if chosen.size == len(blame.rows) else ()


def _names(tree: Any) -> list[str]:
    """Dotted names of the arrays of a tree: params.layers.0.W."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in found]


def _name(arguments: _Arguments, number: int) -> str:
    return _names(arguments)[number].removeprefix("state.")


def _largest(tree: Any) -> Largest:
    sizes = [float(np.max(np.abs(np.asarray(leaf)), initial=0)) for leaf in jax.tree.leaves(tree)]
    top = int(np.argmax(np.nan_to_num(sizes, nan=np.inf, posinf=np.inf)))
    return Largest(_names(tree)[top], sizes[top])


_FRAME = re.compile(r"(?P<file>.*):(?P<line>\d+):\d+ \((?P<function>.*)\)$")
_PACKAGE = Path(__file__).parent.parent


def _written(op: Op) -> tuple[str, str]:
    """Where an operation was written, innermost line outside of libraries, and that line."""
    if op.source is None:
        return "", ""
    text = source_info_util.summarize(op.source, num_frames=_FRAMES)
    frames = [match for line in text.splitlines() if (match := _FRAME.match(line))]
    frames = [f for f in reversed(frames) if not f["file"].startswith("<@")]  # innermost first
    ours = [f for f in frames if "site-packages" not in f["file"] or _is_ours(f["file"])]
    for frame in ours or frames:
        code = linecache.getline(frame["file"], int(frame["line"])).strip()
        return f"{_shown(frame['file'])}:{frame['line']} ({frame['function']})", code
    return "", ""


def _is_ours(file: str) -> bool:
    return Path(file).is_relative_to(_PACKAGE)


def _shown(file: str) -> str:
    path = Path(file)
    if _is_ours(file):
        return (Path("jaxnet") / path.relative_to(_PACKAGE)).as_posix()
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
