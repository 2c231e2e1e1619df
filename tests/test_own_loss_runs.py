"""A loss registered in the process trains by its name, unless its delta is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.config import load_config
from jaxnet.data import builtin
from jaxnet.errors import UserError
from jaxnet.nn import losses
from jaxnet.nn.losses import core
from jaxnet.outputs.records import read_lines
from jaxnet.run import load_data

CONFIG = {
    "task": "binary",
    "data": {"source": "breast_cancer"},
    "model": {"hidden": [8], "numeric_embedding": "none"},
    "loss": {"name": "half_brier"},
    "training": {"epochs": 3, "early_stopping": None},
    "report": False,
}


def right(z, y):
    return (jax.nn.sigmoid(z) - y) * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)


@pytest.fixture
def half_brier(monkeypatch):
    """(delta) -> the loss, registered for the length of a test."""

    def make(delta):
        loss = losses.make(
            "half_brier",
            layout=losses.ELEMENTWISE,
            activation="sigmoid",
            value=lambda z, y: jnp.sum((jax.nn.sigmoid(z) - y) ** 2, axis=1) / 2,
            delta=delta,
        )
        monkeypatch.setitem(core._REGISTRY, loss.name, loss)
        return loss

    return make


def test_a_right_one_trains_and_is_measured(half_brier, tmp_path):
    loss = half_brier(right)
    done = jaxnet.train(CONFIG, run_dir=tmp_path / "run", progress=False)
    lines = read_lines(done.directory / "metrics.jsonl")
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert done.metrics["test"]["roc_auc"] > 0.9

    model = jaxnet.load(done.directory)
    data = load_data(load_config(CONFIG, extra_losses=["half_brier"]))
    rows = builtin.load("breast_cancer").x[data.rows.validation]
    z = np.float32(model.logits(rows) * model.temperature)
    costs = loss.plain(z, np.float32(data.y_val)[:, None])
    assert lines[-1]["validation_loss"] == pytest.approx(float(costs.mean()), rel=1e-5)
    assert lines[-1]["validation_loss"] * 2 == pytest.approx(
        float(np.mean((jax.nn.sigmoid(z)[:, 0] - data.y_val) ** 2)), rel=1e-5
    )


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param(lambda z, y: 0.5 * right(z, y), id="a factor"),
        pytest.param(lambda z, y: -right(z, y), id="a sign"),
        pytest.param(lambda z, y: jax.nn.sigmoid(z) - y, id="without the derivative"),
    ],
)
def test_a_wrong_one_is_refused_before_the_first_update(half_brier, delta, tmp_path):
    half_brier(delta)
    with pytest.raises(UserError, match="loss half_brier: delta is not the derivative"):
        jaxnet.train(CONFIG, run_dir=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_estimator_refuses_it_too(half_brier):
    half_brier(lambda z, y: 2 * right(z, y))
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    with pytest.raises(UserError, match="delta is not the derivative"):
        jaxnet.JaxnetClassifier(loss="half_brier").fit(x, y)


def test_autodiff_of_the_value_needs_no_delta(half_brier, tmp_path):
    half_brier(lambda z, y: 2 * right(z, y))
    changes = {"loss.gradient": "autodiff", "training.epochs": 1}
    done = jaxnet.train(CONFIG, run_dir=tmp_path / "run", progress=False, **changes)
    assert done.metrics["test"]["roc_auc"] is not None
