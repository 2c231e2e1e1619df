"""`jaxnet train`: the config first, then the run, then its results on standard output."""

import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from jaxnet.cli.main import main

Streams = pytest.CaptureFixture[str]


class FakeRun(NamedTuple):
    directory: Path
    metrics: dict[str, dict[str, float | None]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Calls of a training that takes no time."""
    seen: list[dict[str, Any]] = []

    def train(config: Any, **options: Any) -> FakeRun:
        seen.append({"config": config, **options})
        metrics = {"accuracy": 0.97654321, "roc_auc": None, "log_loss": math.nan}
        return FakeRun(Path("runs/ä"), {"validation": {"accuracy": 1.0}, "test": metrics})

    module = ModuleType("jaxnet.run")
    module.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jaxnet.run", module)
    return seen


def test_the_loaded_config_and_the_options_reach_the_run(
    calls: list[dict[str, Any]], config: Path
) -> None:
    words = ["training.epochs=3", str(config), "--run-dir", "d", "model.hidden=[8]", "--quiet"]
    assert main(["train", *words]) == 0
    (one,) = calls
    assert (one["run_dir"], one["progress"]) == ("d", False)
    assert one["config"].training.epochs == 3
    assert one["config"].model.hidden == (8,)
    assert one["config"].name == "c"


def test_defaults(calls: list[dict[str, Any]], config: Path) -> None:
    assert main(["train", str(config)]) == 0
    assert (calls[0]["run_dir"], calls[0]["progress"]) == (None, True)


def test_results_as_a_table(calls: list[dict[str, Any]], config: Path, capsys: Streams) -> None:
    assert main(["train", str(config)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split() for line in out.splitlines()] == [
        ["metric", "validation", "test"],
        ["accuracy", "1.0000", "0.9765"],
        ["roc_auc", "n/a", "n/a"],
        ["log_loss", "n/a", "n/a"],
        ["run", "directory:", "runs/ä"],
        ["report:", "runs/ä/report.html"],
    ]
    assert len({len(line) for line in out.splitlines()[:-2]}) == 1


def test_no_report_is_named_where_none_was_asked_for(
    calls: list[dict[str, Any]], config: Path, capsys: Streams
) -> None:
    assert main(["train", str(config), "report=false"]) == 0
    assert "report:" not in capsys.readouterr().out


def test_results_as_json(calls: list[dict[str, Any]], config: Path, capsys: Streams) -> None:
    assert main(["train", str(config), "--json"]) == 0
    out, _ = capsys.readouterr()
    assert out.isascii()
    assert json.loads(out) == {
        "run_directory": "runs/ä",
        "validation": {"accuracy": 1.0},
        "test": {"accuracy": 0.97654321, "roc_auc": None, "log_loss": None},
    }


def test_a_faulty_config_never_reaches_the_run(calls: list[dict[str, Any]], config: Path) -> None:
    assert main(["train", str(config), "training.epochs=0"]) == 2
    assert calls == []
