"""The resolved config as text loads as the same config."""

from pathlib import Path

import pytest
import yaml

from jaxnet.config import dump_yaml, load_config
from jaxnet.config.dump import dump_values
from jaxnet.config.source import parse

CONFIGS = {
    "defaults": {"task": "binary", "data": {"source": "breast_cancer"}},
    "loss": {
        "task": "multilabel",
        "data": {"source": "digit_attributes"},
        "loss": {"name": "asymmetric", "gamma_neg": 4, "clip": 0.05, "labels": "mean"},
    },
    "table": {
        "task": "binary",
        "data": {
            "train": "rows.csv",
            "target": "is it",
            "positive": "yes",
            "columns": {"zip code": "categorical", "no": "id"},
            "drop": ["a", "b,c"],
            "missing": ["", "-"],
            "split": {"group": "household"},
        },
        "loss": {"class_weight": {"yes": 5.0, "no": 1.0}},
        "decision": {"threshold": "cost", "cost": {"false_negative": 5.0}},
    },
    "labels": {
        "task": "multilabel",
        "data": {"train": "rows.csv", "target": {"column": "tags", "separator": "|"}},
        "loss": {"pos_weight": "balanced"},
    },
    "optimizer": {
        "task": "multiclass",
        "data": {"source": "digits"},
        "model": {"hidden": []},
        "optimizer": {"name": "lion", "eps": 1e-8, "schedule": {"name": "exponential"}},
        "training": {"early_stopping": None, "on_nan": "skip", "skip_limit": 3},
        "checkpoints": {"every_seconds": None, "keep_every_seconds": 600},
    },
}


@pytest.mark.parametrize("given", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("comments", [True, False])
def test_round_trip(given: dict[str, object], comments: bool, tmp_path: Path) -> None:
    config = load_config(given, check_files=False)
    text = dump_yaml(config, comments=comments)
    path = tmp_path / "config.resolved.yaml"
    path.write_text(text)
    again = load_config(path, check_files=False)
    values, expected = again.model_dump(), config.model_dump()
    expected["data"]["train"] = values["data"]["train"]  # made absolute
    assert values == expected
    assert dump_yaml(again, comments=comments) == text
    # Readers of YAML 1.1 see the same values.
    listed = {**config.model_dump()["model"], "hidden": list(config.model.hidden)}
    assert yaml.safe_load(text)["model"] == listed
    assert yaml.safe_load(text)["optimizer"] == config.model_dump()["optimizer"]


def test_relative_paths_become_absolute(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: binary\ndata: {train: 'sub dir/ä #1.npz'}\n")
    text = dump_yaml(load_config(path, check_files=False))
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "c.yaml"
    moved.write_text(text)
    again = load_config(moved, check_files=False)
    assert again.train_path == tmp_path / "sub dir" / "ä #1.npz"


def test_every_line_explains_its_key() -> None:
    text = dump_yaml(load_config(CONFIGS["defaults"]))
    assert all(" # " in line for line in text.splitlines())
    assert "#" not in dump_yaml(load_config(CONFIGS["defaults"]), comments=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "null",
        "1e-3",
        "0x1",
        "a: b",
        "a #b",
        "- a",
        "'",
        '"\\',
        "ä",
        "a\tb\nc",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f600",
        "true",
        "~",
        "=",
        " a ",
        "@a",
        "9" * 200,
        "a,b",
        "\x00",
    ],
)
def test_any_text_survives(text: str) -> None:
    values = {"a": text, text: ["x", {"k": text}]}
    assert parse(dump_values(values), "c.yaml").value == values


@pytest.mark.parametrize("number", [0, -3, 10**20, 0.1, 1e-8, 1e22, -2.5e-300, 5e-324, 1.0])
def test_any_number_survives(number: float) -> None:
    value = parse(dump_values({"a": number}), "c.yaml").value["a"]
    assert (value, type(value)) == (number, type(number))
    assert yaml.safe_load(dump_values({"a": number})) == {"a": number}
