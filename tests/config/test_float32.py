"""Numbers that float32 would change are refused by their key."""

import numpy as np
import pytest

from jaxnet.config import load_config
from jaxnet.config.float32 import LARGEST, SMALLEST
from jaxnet.errors import ConfigError

SOURCES = {"binary": "breast_cancer", "multilabel": "digit_attributes"}
SMALL = "rounds to 0 in float32; the smallest number above 0 is 1.1754944e-38"
ONE = "rounds to 1 in float32; the largest number below 1 is 0.99999994"
INFINITE = "is infinite in float32; the largest number is 3.4e38"


def said(key: str, value: object, **given: object) -> str:
    task = str(given.pop("task", "binary"))
    base = {"task": task, "data": {"source": SOURCES[task]}, **given}
    with pytest.raises(ConfigError) as caught:
        load_config(base, {key: value})
    (line,) = caught.value.problems
    return line


def test_the_limits_are_those_of_float32() -> None:
    float32 = np.finfo(np.float32)
    assert (float(float32.max), float(float32.tiny)) == (LARGEST, SMALLEST)


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("model.dropout", {}),
        ("loss.label_smoothing", {}),
        ("loss.gamma", {"loss": {"name": "focal"}}),
        ("loss.gamma_pos", {"loss": {"name": "asymmetric"}}),
        ("loss.gamma_neg", {"loss": {"name": "asymmetric"}}),
        ("loss.clip", {"loss": {"name": "asymmetric"}}),
        ("loss.pos_weight", {}),
        ("optimizer.learning_rate", {}),
        ("optimizer.weight_decay", {}),
        ("optimizer.momentum", {"optimizer": {"name": "momentum"}}),
        ("optimizer.b1", {}),
        ("optimizer.b2", {}),
        ("optimizer.eps", {}),
        ("optimizer.decay", {"optimizer": {"name": "rmsprop"}}),
        ("optimizer.clip_norm", {}),
        ("optimizer.ema", {}),
        ("optimizer.schedule.warmup", {"optimizer": {"schedule": {"name": "warmup_cosine"}}}),
        ("optimizer.schedule.final", {}),
        ("optimizer.schedule.decay", {"optimizer": {"schedule": {"name": "exponential"}}}),
    ],
)
def test_what_is_too_small_for_an_array(key: str, given: dict[str, object]) -> None:
    assert said(key, 1e-60, **given) == f"override: {key}: 1e-60 {SMALL}"
    # 1e-40 is a float32, but compiled programs take it for 0.
    assert said(key, 1e-40, **given) == f"override: {key}: 1e-40 {SMALL}"


@pytest.mark.parametrize("key", ["learning_rate", "weight_decay", "eps", "clip_norm"])
def test_what_is_too_large(key: str) -> None:
    assert said(f"optimizer.{key}", 1e39) == f"override: optimizer.{key}: 1e+39 {INFINITE}"
    assert INFINITE in said(f"optimizer.{key}", 10**39)


@pytest.mark.parametrize("key", ["b1", "b2", "ema"])
def test_what_becomes_one(key: str) -> None:
    value = 0.99999999
    assert np.float32(value) == 1
    assert said(f"optimizer.{key}", value) == f"override: optimizer.{key}: 0.99999999 {ONE}"


@pytest.mark.parametrize(
    ("task", "key"), [("binary", "loss.class_weight"), ("multilabel", "loss.pos_weight")]
)
def test_weights_by_name(task: str, key: str) -> None:
    line = said(key, {"even": 1, "odd": 1e-60}, task=task)
    assert line == f"override: {key}: odd: 1e-60 {SMALL}"
    assert f"odd: {10**50} {INFINITE}" in said(key, {"odd": 10**50}, task=task)


def test_what_float32_holds_is_taken() -> None:
    given = {"task": "binary", "data": {"source": "breast_cancer"}}
    for key, values in {
        "optimizer.eps": [1e-30, SMALLEST, LARGEST],
        "optimizer.weight_decay": [0, 1e-30],
        "optimizer.b1": [0, 0.9999999, 0.99999994],
        "loss.pos_weight": [0, 1e-30, {"benign": 0}],
    }.items():
        for value in values:
            load_config(given, {key: value})


def test_what_stays_on_the_host_is_not_rounded() -> None:
    given = {"task": "binary", "data": {"source": "breast_cancer"}}
    cost = {"threshold": "cost", "cost": {"false_negative": 1e-60}}
    config = load_config(given, {"decision": cost, "checkpoints.every_seconds": 1e-60})
    assert config.decision.cost.false_negative == 1e-60
