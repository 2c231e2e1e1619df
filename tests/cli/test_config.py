"""`jaxnet config show | check | schema`."""

import json
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from jaxnet.config import load_config

Streams = pytest.CaptureFixture[str]


def test_show_prints_a_config_that_loads(config: Path, tmp_path: Path, capsys: Streams) -> None:
    assert main(["config", "show", str(config), "training.epochs=3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    again = tmp_path / "again.yaml"
    again.write_text(out)
    expected = load_config(config, ["training.epochs=3"])
    assert load_config(again).model_dump() == expected.model_dump()


def test_show_without_a_config_prints_the_defaults(capsys: Streams) -> None:
    assert main(["config", "show", "task=multiclass"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("task: multiclass ")
    assert any(line.startswith("  learning_rate: 0.001 ") for line in lines)


def test_check_says_ok(config: Path, capsys: Streams) -> None:
    assert main(["config", "check", str(config)]) == 0
    assert capsys.readouterr() == (f"{config}: ok\n", "")


def test_check_says_everything_that_is_wrong(config: Path, capsys: Streams) -> None:
    words = ["config", "check", str(config), "training.epochs=0", "model.dropout=1"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "jaxnet: error: override: model.dropout: must be less than 1, got 1",
        "jaxnet: error: override: training.epochs: must be at least 1, got 0",
    ]


@pytest.mark.parametrize("words", [[], ["any.yaml"]])
def test_schema_is_the_same_for_every_config(words: list[str], capsys: Streams) -> None:
    assert main(["config", "schema", *words]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["task", "data"]
