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
    had_finished: bool = False


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Calls of a training that takes no time."""
    seen: list[dict[str, Any]] = []

    def train(config: Any, *, calling: dict[str, Any], **options: Any) -> FakeRun:
        seen.append({"config": config, **options, **calling})
        metrics = {"accuracy": 0.97654321, "roc_auc": None, "log_loss": math.nan}
        parts = {"validation": {"accuracy": 1.0}, "test": metrics}
        return FakeRun(Path("runs/ä"), parts, had_finished=options["run_dir"] == "finished")

    module = ModuleType("jaxnet.run")
    module.train = train  # type: ignore[attr-defined]
    module.Calling = dict  # type: ignore[attr-defined]
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
    (one,) = calls
    assert (one["run_dir"], one["progress"]) == (None, True)
    assert (one["resume"], one["deterministic"]) == (False, False)


def test_how_the_run_is_called_reaches_it(
    calls: list[dict[str, Any]], config: Path, capsys: Streams
) -> None:
    words = ["train", str(config), "--run-dir", "a b", "--resume", "--deterministic", "--quiet"]
    assert main(words) == 0
    (one,) = calls
    assert (one["resume"], one["deterministic"]) == (True, True)
    assert one["fit_threads"]
    assert (
        one["command"] == f"jaxnet train {config} --run-dir 'a b' --resume --deterministic --quiet"
    )
    assert one["poll"]() is None
    capsys.readouterr()
    one["warn"]("checkpoint a is damaged")
    assert capsys.readouterr() == ("", "jaxnet: warning: checkpoint a is damaged\n")


def begun(directory: Path) -> Path:
    """A run directory with the config that it began with, and nothing else."""
    directory.mkdir()
    text = "task: binary\ndata: {source: breast_cancer}\ntraining: {epochs: 7}\n"
    (directory / "config.resolved.yaml").write_text(text)
    return directory


def test_a_resumed_run_needs_no_config(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    directory = str(begun(tmp_path / "run"))
    assert main(["train", "--run-dir", directory, "--resume", "checkpoints.keep=5"]) == 0
    assert main(["train", "--resume", directory, "checkpoints.keep=5"]) == 0
    assert main(["train", directory, "checkpoints.keep=5", "--resume"]) == 0
    for one in calls:
        assert (one["run_dir"], one["resume"]) == (directory, True)
        assert one["config"].training.epochs == 7
        assert one["config"].checkpoints.keep == 5
    assert len(calls) == 3


def test_the_config_that_is_named_comes_before_the_recorded_one(
    calls: list[dict[str, Any]], config: Path, tmp_path: Path
) -> None:
    directory = str(begun(tmp_path / "run"))
    assert (
        main(["train", str(config), "training.epochs=9", "--run-dir", directory, "--resume"]) == 0
    )
    assert calls[0]["config"].training.epochs == 9
    assert calls[0]["config"].name == "c"


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None], ids=["empty", "absent"])
def test_where_no_run_has_begun_the_config_is_asked_for(
    make: Any, calls: list[dict[str, Any]], tmp_path: Path, capsys: Streams
) -> None:
    directory = tmp_path / "run"
    make(directory)
    assert main(["train", "--run-dir", str(directory), "--resume"]) == 2
    out, err = capsys.readouterr()
    assert (out, calls) == ("", [])
    assert f"name the config: jaxnet train CONFIG --run-dir {directory} --resume" in err


def test_a_directory_without_resume_is_no_config(
    calls: list[dict[str, Any]], tmp_path: Path, capsys: Streams
) -> None:
    assert main(["train", str(begun(tmp_path / "run"))]) == 2
    assert calls == []
    assert capsys.readouterr().err.startswith("jaxnet: error: ")


def test_a_run_that_had_finished_says_so_beside_its_results(
    calls: list[dict[str, Any]], config: Path, capsys: Streams
) -> None:
    words = ["train", str(config), "--run-dir", "finished", "--resume", "--quiet"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == "runs/ä: this run has finished; for more epochs: training.epochs=N\n"
    assert "accuracy              1.0000      0.9765\n" in out
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "this run has finished" in err
    assert json.loads(out)["validation"] == {"accuracy": 1.0}


def test_results_as_a_table(
    calls: list[dict[str, Any]], config: Path, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    assert main(["train", str(config)]) == 0
    assert "report:" not in capsys.readouterr().out  # it could not be drawn
    report = Path("runs/ä/report.html")
    report.parent.mkdir(parents=True)
    report.touch()
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
