"""Overrides from the command line and from Python."""

from pathlib import Path

import pytest

from jaxnet.config import ModelConfig, load_config
from jaxnet.errors import ConfigError

BASE = {"task": "binary", "data": {"source": "breast_cancer"}}


def refusal(overrides: object, base: object = BASE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(base, overrides)  # type: ignore[arg-type]
    return caught.value.problems


def test_values_are_yaml() -> None:
    config = load_config(
        BASE,
        [
            "optimizer.learning_rate=1e-2",
            "model.hidden=[64, 32]",
            "data.split={seed: 3, test: .2}",
            "optimizer.schedule.name=constant",
            "training.early_stopping=null",
            " training.epochs = 7 # a comment",
        ],
    )
    assert config.optimizer.learning_rate == 0.01
    assert config.model.hidden == (64, 32)
    assert (config.data.split.seed, config.data.split.test) == (3, 0.2)
    assert config.data.split.validation == 0.15
    assert config.optimizer.schedule.name == "constant"
    assert config.training.early_stopping is None
    assert config.training.epochs == 7


def test_the_last_one_wins() -> None:
    assert load_config(BASE, ["training.epochs=1", "training.epochs=2"]).training.epochs == 2


def test_a_value_may_hold_an_equals_sign() -> None:
    base = {"task": "binary", "data": {"train": "a.npz"}}
    config = load_config(base, ["data.train=b=c.npz"], check_files=False)
    assert config.data.train == "b=c.npz"


def test_below_null_a_section_starts_from_its_defaults() -> None:
    base = {**BASE, "training": {"early_stopping": None, "epochs": 3}}
    stopping = load_config(base, ["training.early_stopping.patience=5"]).training.early_stopping
    assert stopping is not None
    assert (stopping.metric, stopping.patience) == ("log_loss", 5)


def test_an_override_replaces_a_faulty_value(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: binary\ndata: {source: breast_cancer}\nmodel: {dropout: 2}\n")
    assert load_config(path, ["model.dropout=0.2"]).model.dropout == 0.2
    assert load_config(path, ["model={}"]).model.dropout == ModelConfig().dropout


def test_overrides_may_be_a_mapping() -> None:
    overrides = {"optimizer.learning_rate": 0.01, "training.early_stopping": None}
    config = load_config(BASE, {**overrides, "model": {"hidden": (8,)}})
    assert config.optimizer.learning_rate == 0.01
    assert config.training.early_stopping is None
    assert config.model.hidden == (8,)


def test_the_given_mapping_stays_as_it_was() -> None:
    base = {**BASE, "model": {"hidden": [4]}}
    load_config(base, {"model.dropout": 0.5, "training.epochs": 1})
    assert base == {**BASE, "model": {"hidden": [4]}}


@pytest.mark.parametrize("text", ["", "=", "=1", "a", ".a=1", "a.=1", "a..b=1", "a b=1", "a[0]=1"])
def test_what_is_no_override_is_refused(text: str) -> None:
    (line,) = refusal([text])
    assert line.startswith(f"override: {text!r} is not key.path=value")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.hidden=&a [1]", "override: model.hidden: the anchor &a is not allowed"),
        ("model.hidden=[1, *a]", "override: model.hidden[1]: the alias *a is not allowed"),
        ("model={hidden: [], hidden: []}", "override: model.hidden: given twice, first before"),
        ("model.hidden.0=8", "override: model.hidden: expected a list, got a section of keys"),
        ("modle.hidden=[8]", "override: modle: unknown key; did you mean 'model'?"),
        ("data={source: digits}", "override: data.source: digits is a set for task: multiclass"),
        ("task=null", "override: task: expected one of binary, multiclass, multilabel, got null"),
    ],
)
def test_problems_name_the_override(override: str, expected: str) -> None:
    (line,) = refusal([override])
    assert line.startswith(expected)


def test_all_overrides_are_read_before_any_is_reported() -> None:
    lines = refusal(["a", "training.epochs=0", "model.hidden=[", "model.dropout=x"])
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"training.epochs": object()}, "override: training.epochs: a config cannot hold a value"),
        ({"training.epochs": 1.5}, "override: training.epochs: expected a whole number, got 1.5"),
        ({"model": {1.5: 2}}, "override: model: the key 1.5 is not text"),
        ({"model": {True: 2}}, "override: model: the key True is not text"),
        ({"model": {1: 2}}, "override: model.1: unknown key"),
        ({"": 1}, "override: '' is not key.path=value"),
    ],
)
def test_problems_of_a_mapping(overrides: object, expected: str) -> None:
    lines = refusal(overrides)
    assert lines[0].startswith(expected)


def test_classes_that_are_numbers_may_be_keys() -> None:
    numpy = pytest.importorskip("numpy")
    given = {"task": "binary", "data": {"source": "breast_cancer"}}
    for key in (1, numpy.int64(1), "1"):
        config = load_config({**given, "loss": {"class_weight": {key: 5}}})
        assert config.loss.class_weight == {"1": 5.0}
        assert load_config(given, {"loss.class_weight": {key: 5}}).loss == config.loss


def test_numpy_scalars_and_paths_are_plain_values(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    overrides = {
        "optimizer.learning_rate": numpy.float32(0.5),
        "training.epochs": numpy.int64(3),
        "data": {"train": tmp_path / "a.npz"},
    }
    config = load_config(BASE, overrides, check_files=False)
    assert (config.optimizer.learning_rate, config.training.epochs) == (0.5, 3)
    assert config.train_path == tmp_path / "a.npz"


def test_a_mapping_that_holds_itself_ends() -> None:
    loop: dict[str, object] = {}
    loop["model"] = loop
    lines = refusal((), {**BASE, "model": loop})
    assert any("nested more than 20 levels deep" in line for line in lines)


def test_half_a_surrogate_pair_is_refused_but_in_the_name_of_a_file() -> None:
    """Python writes a byte of a name that is no text as such a half."""
    for overrides in (
        ['data.missing=["\\ud800"]'],
        {"data.missing": ["\ud800"]},
        ["data.\udcff=1"],
    ):
        with pytest.raises(ConfigError) as caught:
            load_config({"task": "binary", "data": {"source": "breast_cancer"}}, overrides)
        (problem,) = caught.value.problems
        assert "half of a surrogate pair" in problem or "is not key.path=value" in problem
        assert problem.isprintable()
    given = {"task": "binary", "data": {"train": "\udcff.csv", "target": "y"}}
    config = load_config(given, check_files=False)
    assert config.data.train == "\udcff.csv"
    given["data"]["train"] = "\ud800.csv"
    with pytest.raises(ConfigError, match=r"data.train: the character .ud800 is no text"):
        load_config(given, check_files=False)
