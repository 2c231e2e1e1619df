"""Measures of a head that keeps no logits, against those of a dense one on the same rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.config import names
from jaxnet.nn import linear_heads
from jaxnet.training import evaluate, head_step, rows
from jaxnet.training.epoch import Program
from jaxnet.training.evaluate import measurer
from jaxnet.training.optimizer import Optimizer
from tests.training.test_head_step import (
    BATCH,
    LOSS,
    K,
    N,
    V,
    begun,
    close,
    drawn,
    program_of,
    with_head,
)

pytestmark = pytest.mark.sampled(2)

SGD = Optimizer("sgd")
TASK = {"task": "multilabel", "activation": "sigmoid"}


def host(tree):
    return jax.tree.map(np.asarray, tree)


def measured(program, params, x, y, weights=None):
    return measurer(program, host(x), host(y), weights, **TASK)(params, lambda: None)


@pytest.mark.parametrize(
    ("options", "kind", "weighted"),  # each with each of the others
    [
        ((), "bags", True),
        ((), "dense", False),
        ((("class_weight", V), ("pos_weight", 3.0)), "bags", False),
        ((("class_weight", V), ("pos_weight", 3.0)), "dense", True),
    ],
)
def test_measures_are_those_of_a_dense_head(kind, options, weighted, monkeypatch):
    monkeypatch.setattr(evaluate, "BLOCK", 8)  # three blocks, the last of them filled up
    data, now = drawn(kind), begun("linear_blocks", SGD, kind=kind)
    weights = np.linspace(0, 2, N, dtype=np.float32) if weighted else None
    program = program_of("linear_blocks", SGD, options=options)
    found = measured(program, now.params, data.x, data.sets, weights)
    dense = program_of("dense", SGD, options=options)
    for y in (data.dense, data.sets):
        wanted = measured(dense, now.params, data.x, y, weights)
        assert set(found) == set(names.HEAD_METRICS) < set(wanted)
        for name, value in found.items():
            assert value == pytest.approx(wanted[name], rel=2e-6), name
    assert 0 < found["precision_at_5"] < 1
    assert (found["loss"] == pytest.approx(found["log_loss"] * K)) == (options == ())


def test_precision_is_the_share_of_right_labels_among_the_best():
    data, now = drawn("dense"), begun("linear_blocks", SGD, kind="dense")
    found = measured(program_of("linear_blocks", SGD), now.params, data.x, data.sets)
    body, (W, b) = head_step.split(now.params)
    first = jax.tree.map(np.asarray, body.layers[0])
    z = np.maximum(np.asarray(data.x) @ first.W.T + first.b, 0) @ np.asarray(W).T + np.asarray(b)
    best = np.argsort(-z, axis=1)
    for k in (1, 3, 5):
        right = np.take_along_axis(np.asarray(data.dense), best[:, :k], axis=1)
        assert found[f"precision_at_{k}"] == pytest.approx(right.mean(), rel=1e-6)


@pytest.mark.parametrize("labels", [2, 4])
def test_of_few_labels_only_so_many_are_looked_at(labels):
    data, now = drawn("bags", labels), begun("linear_blocks", SGD, labels=labels)
    found = measured(program_of("linear_blocks", SGD), now.params, data.x, data.sets)
    wanted = measured(program_of("dense", SGD), now.params, data.x, data.dense)
    depths = [k for k in (1, 3, 5) if k <= labels]
    assert set(found) == {"loss", "log_loss", *(f"precision_at_{k}" for k in depths)}
    for name, value in found.items():
        assert value == pytest.approx(wanted[name], rel=2e-6), name


def test_narrow_weights_are_measured_as_they_are():
    data, now = drawn("bags"), begun("linear_blocks", SGD, weights="bfloat16")
    wide = with_head(now, W=head_step.split(now.params)[1].W.astype(jnp.float32))
    program = program_of("linear_blocks", SGD)
    one, other = (measured(program, each.params, data.x, data.sets) for each in (now, wide))
    assert one == pytest.approx(other, rel=1e-6)


def test_rows_without_any_label():
    data, now = drawn("bags"), begun("linear_blocks", SGD)
    none = linear_heads.Sets(
        np.zeros(N + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32)
    )
    found = measured(program_of("linear_blocks", SGD), now.params, data.x, none)
    wanted = measured(program_of("dense", SGD), now.params, data.x, jnp.zeros((N, K)))
    assert found["log_loss"] == pytest.approx(wanted["log_loss"], rel=2e-6)
    assert [found[f"precision_at_{k}"] for k in (1, 3, 5)] == [0, 0, 0]


def test_losses_of_rows_are_those_of_a_dense_head():
    data, now = drawn("bags"), begun("linear_blocks", SGD)
    options = (("class_weight", V),)
    at = jnp.array([5, 3, 0], jnp.int32)
    x, y = rows.pick(data.x, at), rows.pick(data.sets, at)
    found, wanted = (
        evaluate.row_losses(Program(LOSS, options, head=head, batch_size=BATCH))(now.params, x, y)
        for head in ("linear_blocks", "dense")
    )
    assert found.shape == (3,)
    close(found, wanted)
