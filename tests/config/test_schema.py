"""Types, ranges and descriptions of single values."""

import json

import pytest

from jaxnet.config import json_schema, load_config
from jaxnet.config.problems import dotted
from jaxnet.config.sections import field_at, keys
from jaxnet.errors import ConfigError

BASE = {"task": "binary", "data": {"source": "breast_cancer"}}


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [
        ("data.split.validation", [0.01, 0.8], [0, 1, -0.1, 1.5]),
        ("data.split.seed", [0, 2**32 - 1], [-1, 2**32, 10**30]),
        ("model.hidden", [[], [1], [8] * 20], [[0], [-1], [10**9], [8] * 1001]),
        ("model.dropout", [0, 0.99], [-0.1, 1, 1.5]),
        ("loss.label_smoothing", [0, 0.99], [1, -0.1]),
        ("optimizer.learning_rate", [1e-12, 1, 10], [0, -1e-3]),
        ("optimizer.weight_decay", [0, 1], [-1e-9]),
        ("optimizer.b1", [0, 0.999], [1, -0.1]),
        ("optimizer.eps", [1e-16], [0]),
        ("optimizer.schedule.final", [0, 1], [-0.1, 1.1]),
        ("optimizer.clip_norm", [None, 1e-3], [0, -1]),
        ("optimizer.ema", [None, 0.99], [0, 1]),
        ("training.epochs", [1, 10**6], [0, -1, 10**7]),
        ("training.batch_size", [1, 2**24], [0, 2**24 + 1]),
        ("training.seed", [0, 2**32 - 1], [-1, 2**32]),
        ("training.early_stopping.patience", [1], [0]),
        ("checkpoints.every_seconds", [None, 0.1, 3600], [0, -1]),
        ("checkpoints.every_steps", [None, 1, 10**6], [0, -1, 10**7]),
        ("checkpoints.keep", [2, 100], [1, 0, 10**7]),
        ("checkpoints.keep_every_steps", [None, 1], [0, -1]),
        ("checkpoints.keep_every_seconds", [None, 0.5], [0, -1]),
    ],
)
def test_ranges(key: str, inside: list[object], outside: list[object]) -> None:
    for value in inside:
        load_config({**BASE, "optimizer": {"schedule": {"name": "cosine"}}}, {key: value})
    for value in outside:
        with pytest.raises(ConfigError, match=rf"override: {key}.*: must be "):
            load_config(BASE, {key: value})


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("optimizer.learning_rate", ["1e-3", True, None, [1e-3], {}]),
        ("training.epochs", ["5", True, 5.0, 1.5, None]),
        ("model.hidden", [8, "8", None, {"a": 1}, ["8"], [8.0], [True], [[8]]]),
        ("model.activation", [1, None, True, ["relu"], "RELU"]),
        ("data.features", [1, True, None, ["X"]]),
        ("training", [None, 1, "x", []]),
        ("training.early_stopping", [False, "log_loss", 5]),
        ("task", [1, None, "Binary", True]),
    ],
)
def test_types_are_strict(key: str, wrong: list[object]) -> None:
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"override: {key}"):
            load_config(BASE, {key: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ConfigError, match="learning_rate: must be"):
        load_config(BASE, {"optimizer.learning_rate": value})


def test_a_whole_number_serves_where_a_fraction_is_expected() -> None:
    rate = load_config(BASE, {"optimizer.learning_rate": 1}).optimizer.learning_rate
    assert type(rate) is float


@pytest.mark.parametrize("path", list(keys()), ids=dotted)
def test_every_key_has_a_description(path: tuple[str, ...]) -> None:
    field = field_at(path)
    assert field is not None
    assert field.description
    assert field.description.endswith(".")
    assert len(field.description) <= 100


def test_a_run_may_be_saved_at_its_end_only() -> None:
    given = {"every_seconds": None, "every_steps": None}
    config = load_config(BASE, {"checkpoints": given, "training.on_nan": "skip"})
    assert (config.checkpoints.every_seconds, config.checkpoints.every_steps) == (None, None)
    assert config.checkpoints.keep == 3


def test_the_json_schema_knows_what_the_config_knows() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["task", "data"]
    assert schema["additionalProperties"] is False
    loss = schema["$defs"]["LossConfig"]["properties"]
    assert loss["name"]["enum"] == ["cross_entropy", "squared_error", "focal", "asymmetric"]
    optimizer = schema["$defs"]["OptimizerConfig"]["properties"]
    assert optimizer["learning_rate"]["exclusiveMinimum"] == 0
    assert optimizer["b2"]["default"] == 0.999
    for section in (schema, *schema["$defs"].values()):
        for key, one in section["properties"].items():
            below = schema["$defs"].get(one.get("$ref", "").rpartition("/")[2], {})
            assert one.get("description") or below.get("description"), key


@pytest.mark.parametrize("wrong", [3, "kind", ["a"], {"a": "number"}, {"a": None}])
def test_kinds_of_columns_are_one_of_three(wrong: object) -> None:
    given = {"task": "binary", "data": {"train": "a.csv", "target": "y"}}
    with pytest.raises(ConfigError, match=r"data\.columns") as caught:
        load_config(given, {"data.columns": wrong}, check_files=False)
    assert str(caught.value).count("categorical") <= 1
