"""How many bytes a training takes, known before anything is compiled.

The arrays are counted from their shapes. What a step needs in between is counted by rules that were
measured on the compiled program (see the tests): within a factor of two, most often a tenth off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.nn.linear_heads.tiles import tile_bytes
from jaxnet.nn.mlp import Layer
from jaxnet.nn.periodic import FREQUENCIES
from jaxnet.training import evaluate
from jaxnet.training import state as states
from jaxnet.training.best_labels import BEST, MOST_TRAIN
from jaxnet.training.epoch import Program, steps_per_epoch

_FLOAT = 4  # bytes

# Numbers that a step holds at its peak for each hidden unit and row of the batch, by activation:
# z, a, the mask of dropout and what the compiler keeps beside them.
_PER_UNIT: Mapping[str, float] = MappingProxyType({"gelu": 7.0, "sigmoid": 5.0, "silu": 5.0})
_PER_OTHER_UNIT = 4.5
# The same for each output and row, by loss; a loss of the user's own may take as many as ours.
_PER_OUTPUT: Mapping[str, float] = MappingProxyType(
    {
        "binary_cross_entropy": 3.0,
        "categorical_cross_entropy": 3.0,
        "squared_error": 3.0,
        "multilabel_cross_entropy": 3.0,
        "focal": 7.0,
    }
)
_PER_OTHER_OUTPUT = 12.0
# Their updates are made in place; the others keep a second copy of the gradients, as clipping does.
_IN_PLACE = frozenset(("sgd", "adam", "adamw"))
_JUDGED = 85  # bytes an output while a part is judged: p, float64 logits, and sorting them
_COPIES = 1  # of a checkpoint: on its way from an accelerator to a file, and from a file to any


class RowBytes(NamedTuple):
    """Bytes of rows on the device: of sparse ones their number and width do not tell.

    Attributes:
        train, validation: features and labels of these rows.
    """

    train: int
    validation: int


class Needs(NamedTuple):
    """Bytes that training takes, by part.

    Attributes:
        data: training rows on the device, with the order of the rows.
        validation: validation rows in blocks.
        parameters, optimizer: exact, from the shapes of the state.
        average: of the parameters (`optimizer.ema`).
        best: the best parameters so far.
        gradients: with the copies that clipping and some optimizers make.
        activations: of a batch, forward and backward.
        logits: of a batch, with what the loss makes of them.
        evaluation: of a block of validation rows.
        checkpoint: copies of state and best parameters in main memory, to a file or from it.
        predictions: logits and probabilities of every row, at the end, in main memory.
        shrink: the key of the config that makes the parameters fewer; no part.
    """

    data: int
    validation: int
    parameters: int
    optimizer: int
    average: int
    best: int
    gradients: int
    activations: int
    logits: int
    evaluation: int
    checkpoint: int
    predictions: int
    shrink: str = "model.hidden"

    @property
    def total(self) -> int:
        """The most that exists at one time, wherever it lies."""
        return sum(size for _, size in at_peak(self, DEVICE | HOST))


HOST = frozenset(("checkpoint", "predictions"))
DEVICE = frozenset(Needs._fields) - HOST - {"shrink"}
# Never at one time; all other parts last as long as the run.
_MOMENTS = (("gradients", "activations", "logits"), ("evaluation",), ("checkpoint",))
_END = ("predictions",)


def estimate(
    program: Program,
    sizes: tuple[int, ...],
    *,
    task: str,
    rows: int,
    validation_rows: int = 0,
    other_rows: int = 0,
    embeddings: tuple[tuple[int, int], ...] = (),
    numeric: tuple[int, int] = (0, 0),
    row_weights: bool = False,
    validation_weights: bool = False,
    keeps_best: bool = True,
    sparse: RowBytes | None = None,
    head_weights: str = "float32",
) -> Needs:
    """What training takes, by part; nothing is compiled and nothing allocated.

    Args:
        program, sizes, embeddings, numeric: as `state.begin` and `epoch.compiled` take them.
        task: its name, from which the size of the targets follows.
        rows: of the training part; `validation_rows` and `other_rows`, of the test say.
        row_weights, validation_weights: whether rows have weights.
        keeps_best: whether the best parameters so far are kept beside the last, to stop early.
        sparse: of rows that are no arrays. head_weights: type of the last W.

    >>> needs = estimate(Program("binary_cross_entropy"), (4, 8, 1), task="binary", rows=100)
    >>> needs.parameters == 4 * (4 * 8 + 8 + 8 + 1), needs.total > needs.parameters
    (True, True)
    """
    head = states.Head(program.head, head_weights)
    state = _shapes(program, sizes, embeddings, numeric, sparse is not None, head)
    parameters, moments = count(state.params), count(state.moments)
    average, outputs = count(state.average), sizes[-1]
    best = (average or parameters) if validation_rows and keeps_best else 0
    block = evaluate.block_size(validation_rows)
    if sparse is None:
        per_row = sizes[0] + (1 if task == "multiclass" else outputs)
        filled = -(-validation_rows // block) * block
        sparse = RowBytes(
            _FLOAT * rows * (per_row + row_weights),
            _FLOAT * filled * (per_row + validation_weights),
        )
        inputs = _inputs(sizes[0], embeddings, numeric)
    else:
        inputs = float(sizes[1])
    doubled = program.optimizer.name not in _IN_PLACE or program.optimizer.clip_norm is not None
    return Needs(
        data=sparse.train + _FLOAT * steps_per_epoch(rows, program.batch_size) * program.batch_size,
        validation=sparse.validation,
        parameters=parameters,
        optimizer=moments,
        average=average,
        best=best,
        gradients=_gradients(program, state.params, 1 + doubled),
        **_at_work(program, sizes, inputs, min(block, validation_rows)),
        checkpoint=_COPIES * (parameters + moments + average + best),
        predictions=_predictions(program, outputs, rows, validation_rows, other_rows),
        shrink=_shrink(state.params),
    )


def _at_work(
    program: Program, sizes: tuple[int, ...], inputs: float, evaluated: int
) -> dict[str, int]:
    """What a step holds in between, and a block of so many rows when these are evaluated."""
    batch, units, per_output = program.batch_size, sum(sizes[1:-1]), _per_output(program)
    logits = _logits(program, evaluated, sizes[-1]) * min(per_output, 5.0)
    return {
        "activations": int(_FLOAT * batch * (inputs + units * _per_unit(program))),
        "logits": int(_logits(program, batch, sizes[-1]) * per_output),
        "evaluation": int(_FLOAT * evaluated * (0.7 * inputs + units) + logits),
    }


def _shrink(params: Network) -> str:
    """The key of the config behind most of the parameters."""
    return "model.embedding_size" if 2 * count(params.tables) > count(params) else "model.hidden"


def _gradients(program: Program, params: Network, copies: int) -> int:
    """Of linear_blocks the last layer's is never whole; of narrow weights there is a copy."""
    if program.head != "linear_blocks":
        return copies * count(params)
    last = params.layers[-1]
    assert isinstance(last, Layer)
    narrow = last.W.dtype.itemsize < _FLOAT
    return copies * (count(params) - count(last)) + (count(last) if narrow else 0)


def _logits(program: Program, rows: int, outputs: int) -> int:
    """Of the logits of these rows those that exist at one time."""
    whole = _FLOAT * rows * outputs
    return min(whole, tile_bytes()) if program.head == "linear_blocks" else whole


def _predictions(program: Program, outputs: int, rows: int, validation: int, others: int) -> int:
    """Bytes of what the rows are judged by at the end."""
    if program.head == "linear_blocks":  # label, logit, probability and hit of the best
        of_rows = 17 * (min(rows, MOST_TRAIN) + validation + others)
        return min(BEST, outputs) * (of_rows + 8 * validation)  # sorted for the threshold
    logits = _FLOAT * outputs * (rows + validation + others)
    return logits + _JUDGED * outputs * max(rows, validation, others)


def count(tree: Any) -> int:
    """Bytes of the arrays of a tree, or of their shapes.

    >>> count({"W": jax.ShapeDtypeStruct((3, 4), "float32")})
    48
    """
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _shapes(
    program: Program,
    sizes: tuple[int, ...],
    embeddings: tuple[tuple[int, int], ...],
    numeric: tuple[int, int],
    sparse: bool,
    head: states.Head,
) -> states.State:
    """The state that `state.begin` would make, without a number in it."""

    def begin() -> states.State:
        rates = states.hyper(learning_rate=0.0, total_steps=1)
        kinds: dict[str, Any] = {"embeddings": embeddings, "numeric": numeric, "head": head}
        kinds["bag_spread"] = 1.0 if sparse else None
        return states.begin(sizes, program.optimizer, rates, seed=0, **kinds)

    shapes: states.State = jax.eval_shape(begin)
    return shapes


def _inputs(
    columns: int, embeddings: tuple[tuple[int, int], ...], numeric: tuple[int, int]
) -> float:
    """Numbers a row that a step makes of x: the row itself, and what embeddings make of it."""
    width = embedding.first_inputs(columns, embeddings, numeric)
    if numeric[0]:
        return columns + 2.4 * width + 1.75 * numeric[0] * FREQUENCIES
    return columns + 2.0 * width if embeddings else columns


def _per_unit(program: Program) -> float:
    return _PER_UNIT.get(program.activation, _PER_OTHER_UNIT)


def _per_output(program: Program) -> float:
    per = _PER_OUTPUT.get(program.loss, _PER_OTHER_OUTPUT)
    return per + 1.5 if program.engine == "autodiff" else per


def at_peak(needs: Needs, where: frozenset[str]) -> list[tuple[str, int]]:
    """The parts that exist when most is needed, with their bytes, largest first.

    Args:
        where: the parts that count: those of `DEVICE`, of `HOST`, or of both.

    >>> zeros = Needs(*[0] * 12)
    >>> at_peak(zeros._replace(parameters=8, gradients=9, checkpoint=4), DEVICE)[:2]
    [('gradients', 9), ('parameters', 8)]
    """
    sizes = {name: size for name, size in needs._asdict().items() if name in where}
    moments = [{name: sizes[name] for name in one if name in sizes} for one in _MOMENTS]
    during = max(moments, key=lambda one: sum(one.values()))
    passing = {name for one in (*_MOMENTS, _END) for name in one}
    lasting = {name: size for name, size in sizes.items() if name not in passing}
    # Only the parameters to keep are left when the predictions are made, and perhaps the rows.
    kept = {name: lasting.get(name, 0) for name in ("data", "parameters", "best")}
    end = kept | {name: sizes[name] for name in _END if name in sizes}
    most = max(lasting | during, end, key=lambda parts: sum(parts.values()))
    return sorted(most.items(), key=lambda part: -part[1])
