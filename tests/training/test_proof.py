"""The proof of a run's gradient: exact where the closed form is, and able to fail."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import losses
from jaxnet.nn.losses import LOSSES
from jaxnet.training import proof
from jaxnet.training.epoch import Program

pytestmark = pytest.mark.sampled(3)

RNG = np.random.default_rng(0)
CLASS_WEIGHT = ("class_weight", (0.5, 2.0, 1.0, 3.0, 0.25))
CASES = [
    ("binary_cross_entropy", 1, (("class_weight", (0.5, 2.0)), ("pos_weight", (3.0,))), 0.0),
    ("categorical_cross_entropy", 5, (), 0.0),
    ("categorical_cross_entropy", 5, (CLASS_WEIGHT,), 0.1),
    ("multilabel_cross_entropy", 5, (("labels", "mean"), ("pos_weight", (3.0,) * 5)), 0.1),
    ("focal", 5, (("gamma", 1.5), CLASS_WEIGHT), 0.0),
    ("asymmetric", 1, (("clip", 0.05), ("gamma_neg", 3.0)), 0.0),
    ("squared_error", 1, (("activation", "sigmoid"), ("class_weight", (0.5, 2.0))), 0.0),
    ("squared_error", 5, (("activation", "softmax"),), 0.1),
    ("squared_error", 5, (("activation", "identity"),), 0.0),
]


def batch(loss: str, outputs: int, count: int = 900) -> tuple[np.ndarray, np.ndarray]:
    z = (RNG.normal(size=(count, outputs)) * RNG.uniform(1, 25, (count, 1))).astype(np.float32)
    if LOSSES[loss].layout.name in ("multiclass", "outputs") and outputs > 1:
        return z, RNG.integers(0, outputs, count).astype(np.int32)
    return z, (RNG.random(z.shape) < 0.5).astype(np.float32)


@pytest.mark.parametrize(("loss", "outputs", "options", "smoothing"), CASES)
def test_every_loss_is_proven_on_logits_of_a_run(loss, outputs, options, smoothing):
    program = Program(loss, options)
    record = proof.prove(program, *batch(loss, outputs), label_smoothing=smoothing)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert list(record) == ["loss", "rows", "closed_form", "autodiff", "limit", "ok", "points"]
    assert record["ok"], record["closed_form"]
    assert (record["loss"], record["rows"]) == (loss, 256)
    assert 0 <= record["closed_form"] <= record["limit"]
    points = record["points"]
    assert 200 <= len(points) <= 400
    logits = [point["logit"] for point in points]
    assert logits == sorted(logits)
    for column in ("closed_form", "autodiff"):
        assert max(point[column] for point in points) == record[column]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_autodiff_of_the_usual_form_loses_all_where_the_answer_is_sure(loss):
    sure = np.linspace(-60, 60, 101, dtype=np.float32)[:, None]
    binary = loss == "binary_cross_entropy"
    z = sure if binary else np.concatenate([sure, -sure], axis=1)
    y = (sure > 0).astype(np.float32) if binary else (sure[:, 0] < 0).astype(np.int32)
    record = proof.prove(Program(loss), z, y)
    assert record["ok"]
    assert record["autodiff"] == pytest.approx(1.0)


def test_a_delta_that_is_wrong_is_found(monkeypatch):
    """By finite differences: in float64 a wrong formula is as wrong as in float32."""
    right = LOSSES["binary_cross_entropy"]
    wrong = losses.Loss(
        **{**_fields(right), "delta_of": lambda z, y, **o: 1.01 * right.delta_of(z, y, **o)}
    )
    monkeypatch.setattr(proof, "LOSSES", {"wrong": wrong})
    record = proof.prove(Program("wrong"), *batch("binary_cross_entropy", 1))
    assert not record["ok"]


def test_a_delta_that_loses_digits_is_found(monkeypatch):
    right = LOSSES["binary_cross_entropy"]
    textbook = losses.Loss(**{**_fields(right), "delta_of": lambda z, y: 1 / (1 + jnp.exp(-z)) - y})
    monkeypatch.setattr(proof, "LOSSES", {"textbook": textbook})
    record = proof.prove(Program("textbook"), *batch("binary_cross_entropy", 1))
    assert record["closed_form"] > 0.1
    assert not record["ok"]


def _fields(loss: losses.Loss) -> dict:
    return {name: getattr(loss, name) for name in loss.__dataclass_fields__}


def test_without_rows_or_another_form_it_says_so(monkeypatch):
    z, y = batch("binary_cross_entropy", 1)
    assert proof.prove(Program("focal"), z[:0], y[:0]) == {"reason": "no rows"}
    own = losses.make(
        "own",
        layout=losses.ELEMENTWISE,
        activation="sigmoid",
        value=lambda z, y: jnp.sum((z - y) ** 2, axis=1) / 2,
        delta=lambda z, y: z - y,
    )
    monkeypatch.setattr(proof, "LOSSES", {"own": own})
    assert "own names no other form" in proof.prove(Program("own"), z, y)["reason"]


def test_few_rows_of_many_classes_are_enough():
    z = RNG.normal(size=(300, 4096)).astype(np.float32)
    y = RNG.integers(0, 4096, 300).astype(np.int32)
    record = proof.prove(Program("categorical_cross_entropy"), z, y)
    assert (record["rows"], record["ok"]) == (64, True)
