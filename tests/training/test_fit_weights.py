"""Weights of rows in training and in evaluation."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn import losses, mlp
from jaxnet.training import epoch as epochs
from jaxnet.training.engines import ENGINES
from jaxnet.training.fit import Plan, Rows, fit
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.snapshot import beginning
from tests.training.small_fits import (
    BATCH,
    ROWS,
    begin,
    program,
    rows,
    train,
)

pytestmark = pytest.mark.sampled(3)

WEIGHTED = np.array([0, 1, 2, 1, 0.5] * 8, np.float32)[:ROWS]


@pytest.mark.optimised
def test_weights_of_one_are_no_weights():
    plain = train()
    ones = np.ones(ROWS, np.float32)
    weighted = train(data=rows()._replace(weights=ones))
    assert weighted.records == plain.records
    chex.assert_trees_all_equal(weighted.params, plain.params)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_takes_the_weighted_mean(engine):
    chosen, data = program(engine=engine, batch_size=ROWS), rows()._replace(weights=WEIGHTED)
    order = epochs.order_of_rows(3, 0, ROWS, ROWS)
    before = begin(chosen).params
    state, _ = epochs.compiled(chosen)(begin(chosen), data.x, data.y, order, 1, data.weights)
    z = mlp.forward(before.layers, jnp.asarray(data.x))
    each = np.asarray(losses.categorical_cross_entropy(z, jnp.asarray(data.y)))
    assert float(state.weight) == WEIGHTED.sum()
    assert float(state.loss) == pytest.approx(np.sum(each * WEIGHTED), rel=1e-5)


def test_a_row_of_weight_0_is_left_out_and_one_of_weight_2_counts_twice():
    data, chosen = rows(), program(optimizer=Optimizer("sgd"), batch_size=2 * ROWS)
    w = np.array([0, 1, 2] * 13, np.float32)[:ROWS]
    data.x[0] = 1e6  # of finite features: 0 * NaN is NaN in delta^T a

    def after(rows_):
        size = len(rows_.x)
        order = epochs.order_of_rows(3, 0, size, 2 * ROWS)
        weights = None if rows_.weights is None else jnp.asarray(rows_.weights)
        state, _ = epochs.compiled(chosen)(begin(chosen), rows_.x, rows_.y, order, 1, weights)
        return state.params

    repeated = np.repeat(np.arange(ROWS), w.astype(int))
    expected = after(Rows(data.x[repeated], data.y[repeated]))
    found = after(data._replace(weights=w))
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-7)


def test_a_batch_that_weighs_nothing_teaches_nothing_and_spoils_nothing():
    weights = np.zeros(ROWS, np.float32)
    order = epochs.order_of_rows(3, 0, ROWS, BATCH)
    chosen, data = program(optimizer=Optimizer("sgd", clip_norm=1.0)), rows()
    state, finite = epochs.compiled(chosen)(begin(chosen), data.x, data.y, order, 1, weights)
    assert (float(state.loss), float(state.weight), int(state.step)) == (0, 0, 1)
    assert bool(finite)
    chex.assert_trees_all_equal(state.params, begin(chosen).params)
    weights[order[-1, 0]] = 1  # of the last step alone
    fitted = train(data=data._replace(weights=weights), plan=Plan(1))
    assert np.isfinite(fitted.records[0]["train_loss"])
    assert fitted.records[0]["train_loss"] > 0


def test_validation_rows_may_be_weighted():
    chosen, data = program(), rows()
    integers = np.array([0, 1, 2] * 13)[:ROWS]
    repeated = np.repeat(np.arange(ROWS), integers)
    found, expected = (
        fit(
            chosen,
            beginning(begin(chosen)),
            data,
            v,
            Plan(1),
            task="multiclass",
            activation="softmax",
        )
        for v in (
            data._replace(weights=integers.astype(np.float32)),
            Rows(data.x[repeated], data.y[repeated]),
        )
    )
    for name, value in expected.records[0].items():
        assert found.records[0][name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (np.ones(3), r"weights of the training rows: 37 rows, weights \(3,\)"),
        (np.full(ROWS, np.nan), r"must be numbers >= 0; row 0 \(counted from 0\): nan"),
        (-np.ones(ROWS), r"row 0 \(counted from 0\): -1\.0"),
        (np.zeros(ROWS), "weights of the training rows are all 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights, text):
    with pytest.raises(UserError, match=text):
        train(data=rows()._replace(weights=weights.astype(np.float32)))


def test_a_row_without_weight_is_not_blamed():
    data = rows()
    data.x[11, 0] = np.nan
    data.x[12, 0] = np.nan
    weights = np.ones(ROWS, np.float32)
    weights[12] = 0
    with pytest.raises(NonFiniteError) as caught:
        train(program(batch_size=ROWS), data=data._replace(weights=weights))
    assert caught.value.rows == (11,)
