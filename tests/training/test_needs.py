"""What a training is thought to need, held against what the compiler then asks for."""

import tracemalloc
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Sets
from jaxnet.outputs import checkpoint_file
from jaxnet.training import epoch as epochs
from jaxnet.training import evaluate, evaluation
from jaxnet.training import state as states
from jaxnet.training.epoch import Program
from jaxnet.training.needs import DEVICE, HOST, Needs, RowBytes, at_peak, count, estimate
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.rows import in_blocks

pytestmark = pytest.mark.sampled(3)

ROWS = 3000
BINARY, CLASSES = "binary_cross_entropy", "categorical_cross_entropy"
LABELS = "multilabel_cross_entropy"
TASKS = {
    BINARY: "binary",
    CLASSES: "multiclass",
    **dict.fromkeys((LABELS, "focal", "asymmetric"), "multilabel"),
}

# (loss, sizes, what differs from the defaults of Program, what differs in the network)
CASES: list[tuple[str, tuple[int, ...], dict[str, Any], dict[str, Any]]] = [
    (BINARY, (30, 64, 64, 1), {"batch_size": 32}, {}),
    (BINARY, (64, 1), {"batch_size": 512}, {}),
    (BINARY, (16, 128, 128, 1), {"batch_size": 1024, "activation": "gelu"}, {}),
    (BINARY, (64, 512, 512, 1), {"optimizer": Optimizer("adamw", ema=0.9, clip_norm=1.0)}, {}),
    (BINARY, (64, 512, 512, 1), {"optimizer": Optimizer("sgd"), "engine": "backprop"}, {}),
    (BINARY, (64, 512, 512, 1), {"optimizer": Optimizer("rmsprop")}, {"row_weights": True}),
    (BINARY, (64, 512, 512, 1), {"optimizer": Optimizer("lion"), "precision": "bfloat16"}, {}),
    (BINARY, (10, 64, 1), {}, {"embeddings": ((50_000, 16), (50, 4))}),
    (BINARY, (40, 32, 1), {"batch_size": 1024}, {"numeric": (40, 8)}),
    (CLASSES, (64, 128, 128, 10), {"engine": "autodiff", "batch_size": 1024}, {}),
    (CLASSES, (16, 32, 2000), {"batch_size": 512}, {}),
    (LABELS, (16, 32, 2000), {"batch_size": 512, "engine": "autodiff"}, {}),
    ("focal", (16, 32, 2000), {"batch_size": 512}, {}),
]


def begin(program: Program, sizes: tuple[int, ...], network: dict[str, Any]) -> states.State:
    rates = states.hyper(learning_rate=0.1, total_steps=10)
    return states.begin(sizes, program.optimizer, rates, seed=0, **network)


@pytest.mark.optimised
@pytest.mark.parametrize(("loss", "sizes", "given", "more"), CASES)
def test_the_estimate_is_near_what_is_compiled(
    loss: str, sizes: tuple[int, ...], given: dict[str, Any], more: dict[str, Any]
) -> None:
    """Between half and twice of what XLA reserves for a stretch, and never below its arguments."""
    program = Program(loss, **given)
    network = {name: value for name, value in more.items() if name != "row_weights"}
    needs = estimate(program, sizes, task=TASKS[loss], rows=ROWS, **more)
    state = jax.eval_shape(lambda: begin(program, sizes, network))
    shape = jax.ShapeDtypeStruct
    whole = loss == CLASSES
    y = shape((ROWS,) if whole else (ROWS, sizes[-1]), jnp.int32 if whole else jnp.float32)
    order = (epochs.steps_per_epoch(ROWS, program.batch_size), program.batch_size)
    weights = shape((ROWS,), jnp.float32) if "row_weights" in more else None
    arguments = (state, shape((ROWS, sizes[0]), jnp.float32), y, shape(order, jnp.int32), 0)
    reserved = epochs.compiled(program).lower(*arguments, weights).compile().memory_analysis()

    held = needs.data + needs.parameters + needs.optimizer + needs.average
    assert held == pytest.approx(reserved.argument_size_in_bytes, abs=100)  # a few scalars
    step = needs.gradients + needs.activations + needs.logits
    assert 0.5 < step / reserved.temp_size_in_bytes < 2
    in_all = reserved.argument_size_in_bytes + reserved.temp_size_in_bytes
    assert 0.5 < (held + step) / in_all < 2


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("name", "weights", "labels", "hidden", "batch"),
    [
        ("sgd", "float32", 65_536, 64, 256),
        ("adamw", "bfloat16", 65_536, 64, 256),
        ("adamw", "float32", 500_000, 32, 64),
    ],
)
def test_sparse_rows_and_a_head_without_logits(
    name: str, weights: str, labels: int, hidden: int, batch: int
) -> None:
    features, entries, positives, most = 5_000, 20, 5, 9
    program = Program(LABELS, head="linear_blocks", batch_size=batch, optimizer=Optimizer(name))
    sizes, shape = (features, hidden, labels), jax.ShapeDtypeStruct
    held = RowBytes(4 * ROWS * (2 * entries + positives + 2) + 8, 0)
    needs = estimate(
        program, sizes, task="multilabel", rows=ROWS, sparse=held, head_weights=weights
    )
    head = states.Head("linear_blocks", weights)
    state = jax.eval_shape(lambda: begin(program, sizes, {"bag_spread": 1.0, "head": head}))
    ends, whole = shape((ROWS + 1,), jnp.int32), jnp.int32
    x = Bags(ends, shape((ROWS * entries,), whole), shape((ROWS * entries,), jnp.float32))
    y = Sets(ends, shape((ROWS * positives,), whole), shape((most,), whole))
    order = shape((epochs.steps_per_epoch(ROWS, batch), batch), whole)
    run = epochs.compiled(program).lower(state, x, y, order, 0, None)
    reserved = run.compile().memory_analysis()
    known = needs.data + needs.parameters + needs.optimizer
    assert known == pytest.approx(reserved.argument_size_in_bytes, abs=200)
    step = needs.gradients + needs.activations + needs.logits
    assert 0.5 < step / reserved.temp_size_in_bytes < 2
    logits = 4 * batch * labels
    assert needs.logits < 3 * logits / 8


def test_the_best_average_of_narrow_weights_is_not_narrow() -> None:
    program = Program(LABELS, head="linear_blocks", optimizer=Optimizer("sgd", ema=0.9))
    sizes, rows = (50, 8, 4096), {"rows": 10, "validation_rows": 10}
    narrow = estimate(program, sizes, task="multilabel", head_weights="bfloat16", **rows)
    wide = estimate(program, sizes, task="multilabel", **rows)
    assert narrow.best == narrow.average == wide.parameters > narrow.parameters


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("loss", "activation", "sizes", "network"),
    [
        (BINARY, "sigmoid", (30, 256, 256, 1), {}),
        (BINARY, "sigmoid", (40, 32, 1), {"numeric": (40, 8)}),
        (CLASSES, "softmax", (16, 32, 2000), {}),
        ("asymmetric", "sigmoid", (16, 32, 2000), {}),
    ],
)
def test_the_evaluation_is_near_what_is_compiled(
    loss: str, activation: str, sizes: tuple[int, ...], network: dict[str, Any]
) -> None:
    program, task = Program(loss), TASKS[loss]
    needs = estimate(program, sizes, task=task, rows=10, validation_rows=ROWS, **network)
    params = jax.eval_shape(lambda: begin(program, sizes, network)).params
    whole = loss == CLASSES
    y = np.zeros(ROWS if whole else (ROWS, sizes[-1]), np.int32 if whole else np.float32)
    block = evaluate.block_size(ROWS)
    x = in_blocks(np.zeros((ROWS, sizes[0]), np.float32), block)
    blocks = in_blocks(y, block)
    empty = evaluate.no_sums(program, task, activation, params, x, blocks)
    run = evaluate.compiled_sums(program, task, activation)
    reserved = run.lower(empty, params, x, blocks, ROWS, 0, 3).compile().memory_analysis()
    held = needs.validation + needs.parameters
    assert held == pytest.approx(reserved.argument_size_in_bytes, abs=100)
    assert 0.5 < needs.evaluation / reserved.temp_size_in_bytes < 2


@pytest.mark.parametrize(("name", "ema"), [("sgd", None), ("momentum", 0.9), ("adamw", None)])
def test_parameters_and_optimizer_are_exact(name: str, ema: float | None) -> None:
    program = Program(CLASSES, optimizer=Optimizer(name, ema=ema))
    network: dict[str, Any] = {"embeddings": ((20, 3),), "numeric": (4, 2)}
    needs = estimate(program, (6, 8, 3), task="multiclass", rows=100, **network)
    state = begin(program, (6, 8, 3), network)
    assert needs.parameters == sum(leaf.nbytes for leaf in jax.tree.leaves(state.params))
    assert needs.optimizer == sum(leaf.nbytes for leaf in jax.tree.leaves(state.moments))
    assert needs.average == (0 if ema is None else needs.parameters)


def test_a_network_that_fits_nowhere_is_counted_all_the_same() -> None:
    needs = estimate(Program(BINARY), (10, 10**7, 10**7, 1), task="binary", rows=1000)
    assert needs.parameters > 4 * 10**14
    assert needs.shrink == "model.hidden"


def test_tables_are_made_smaller_by_their_own_key() -> None:
    tables = {"embeddings": ((10**6, 64),)}
    needs = estimate(Program(BINARY), (4, 8, 1), task="binary", rows=1000, **tables)
    assert needs.shrink == "model.embedding_size"


def test_validation_rows_are_counted_in_whole_blocks() -> None:
    def of(rows: int) -> Needs:
        return estimate(
            Program(CLASSES), (4, 8, 3), task="multiclass", rows=10, validation_rows=rows
        )

    assert of(0).validation == of(0).evaluation == of(0).best == 0
    assert of(3).validation == 4 * 3 * (4 + 1)
    assert of(1025).validation == 4 * 2048 * (4 + 1)


def test_a_checkpoint_takes_the_copies_that_are_counted(tmp_path: Path) -> None:
    """The memory that one takes when it is read, as Python counts it; written, it takes less."""
    program, sizes = Program(BINARY), (64, 512, 512, 1)
    needs = estimate(program, sizes, task="binary", rows=100, validation_rows=10)
    state = begin(program, sizes, {})
    leaves = jax.tree.leaves((state.params, state.moments, state.params))
    arrays = {f"a{index}": np.asarray(leaf) for index, leaf in enumerate(leaves)}
    path = tmp_path / "file"
    path.write_bytes(checkpoint_file.encode(arrays, {"kind": "last", "step": 1, "seconds": 1.0}))
    tracemalloc.start()
    found = checkpoint_file.read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.arrays.keys() == arrays.keys()
    assert most == pytest.approx(needs.checkpoint, rel=0.05)


def test_parts_of_different_moments_are_not_added_up() -> None:
    zeros = Needs(*[0] * 12)
    assert zeros._replace(evaluation=7, activations=4, logits=5).total == 9
    assert zeros._replace(parameters=1, best=1, optimizer=9, predictions=20).total == 22
    assert zeros._replace(parameters=1, checkpoint=4, predictions=3, activations=3).total == 5
    split = zeros._replace(checkpoint=4, activations=3)
    assert dict(at_peak(split, DEVICE))["activations"] == 3
    assert dict(at_peak(split, HOST))["checkpoint"] == 4


def test_scalars_and_vectors_count_too() -> None:
    assert count((np.float32(1), np.zeros(3, np.int8))) == 7


@pytest.mark.parametrize(
    ("loss", "outputs"), [(BINARY, 1), (CLASSES, 3), (CLASSES, 40), (LABELS, 40)]
)
def test_what_judging_takes_is_near_what_is_measured(loss: str, outputs: int) -> None:
    task, rows, rng = TASKS[loss], 40_000 // outputs, np.random.default_rng(0)
    z = rng.normal(size=(rows, outputs)).astype(np.float32)
    y = rng.integers(outputs, size=rows) if loss == CLASSES else (z > rng.normal(size=z.shape))
    y = y[:, 0] if loss == BINARY else y
    activation = "softmax" if loss == CLASSES else "sigmoid"
    thresholds = {BINARY: 0.5, CLASSES: None, LABELS: (0.5,) * outputs}[loss]
    tracemalloc.start()
    try:
        found = evaluate.outputs_of(task, z, activation)
        evaluation.summarise(task, found.p, y, logits=found.logits, thresholds=thresholds)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needs = estimate(Program(loss), (4, outputs), task=task, rows=rows)
    assert 0.6 < needs.predictions / (peak + z.nbytes) < 1.6
