"""`jaxnet runs`: a table for people, JSON for programs, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from jaxnet.outputs import records, run_directory
from jaxnet.outputs.run_directory import RunDirectory

Streams = pytest.CaptureFixture[str]


def make(path: Path, *, state: records.State) -> RunDirectory:
    run = run_directory.claim(run_directory.make(path))
    run.resolved_config.write_text("task: binary\n")
    times = ("2026-01-01T10:00:00.000+00:00", "2026-01-01T10:01:03.000+00:00")
    lines = [
        {"time": times[0], "event": "started"},
        {"time": times[1], "event": "checkpoint", "step": 12, "seconds": 41},
    ]
    run.events.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    numbers = {"validation_accuracy": 0.8, "validation_log_loss": 0.5}
    records.append_epoch(run, {"epoch": 3, "step": 10, **numbers})
    records.write_metrics(run, {"test": {"accuracy": 0.75, "log_loss": 0.25}})
    records.write_status(run, state)
    return run


def test_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Streams) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("runs/first"), state="finished")
    make(Path("runs/second"), state="running")  # and nobody is at it
    Path("runs/zoo").mkdir()
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "run     status    task    reached           metrics                                       "
        "productive / total\n"
        "first   finished  binary  epoch 3, step 12  test: accuracy 0.7500, log_loss 0.2500        "
        "41 s / 63 s (65 %)\n"
        "second  killed    binary  epoch 3, step 12  validation: accuracy 0.8000, log_loss 0.5000  "
        "41 s / 63 s (65 %)\n"
        "    go on with: jaxnet train --run-dir runs/second --resume\n"
        "runs/zoo: no run was started here\n"
    )


def test_json(tmp_path: Path, capsys: Streams) -> None:
    run = make(tmp_path / "runs" / "a b", state="stopped")
    (tmp_path / "runs" / "zoo").mkdir()
    assert main(["runs", "--json", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, second = json.loads(out)["runs"]
    assert first == {
        "path": str(run.path),
        "problem": None,
        "state": "stopped",
        "task": "binary",
        "started": "2026-01-01T10:00:00+00:00",
        "epoch": 3,
        "step": 12,
        "part": "validation",
        "metrics": {"accuracy": 0.8, "log_loss": 0.5},
        "productive": 41,
        "total": 63,
        "resume": f"jaxnet train --run-dir '{run.path}' --resume",
        "debug": None,
    }
    assert second["problem"] == f"{tmp_path / 'runs' / 'zoo'}: no run was started here"


def test_one_run_alone(tmp_path: Path, capsys: Streams) -> None:
    run = make(tmp_path / "only", state="failed")
    assert main(["runs", str(run.path)]) == 0
    head, line, go_on = capsys.readouterr().out.splitlines()
    assert go_on == f"    go on with: jaxnet train --run-dir {run.path} --resume"
    assert head.startswith("run   status  task")
    assert line.startswith("only  failed  binary")


def test_nothing_there(tmp_path: Path, capsys: Streams) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr() == (f"{tmp_path}: no runs yet\n", "")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"runs": []}


def test_names_that_would_steer_a_terminal(tmp_path: Path, capsys: Streams) -> None:
    make(tmp_path / "a\x1b[2J\n", state="stopped")
    make(tmp_path / os.fsdecode(b"\xff"), state="finished")
    (tmp_path / "b\r").mkdir()
    assert main(["runs", str(tmp_path)]) == 0
    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    assert "\r" not in out
    assert "a\\x1b[2J" in out
    assert main(["runs", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            [],
            "runs: there is no such directory; name the one that holds your runs: jaxnet runs DIR",
        ),
        (["a.csv"], "a.csv: a file, not a directory; name the one that holds your runs: "),
        (["a", "b"], "unexpected argument 'b'; see 'jaxnet runs --help'"),
        (["--jsn"], "unknown option '--jsn'; did you mean '--json'?"),
    ],
)
def test_mistakes_in_a_call(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Streams,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    assert main(["runs", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jaxnet: error: {expected}")


def test_nothing_heavy_is_imported_for_it(tmp_path: Path, environment: dict[str, str]) -> None:
    make(tmp_path / "runs" / "a", state="finished")
    heavy = ("jax", "numpy", "pydantic", "yaml", "pyarrow", "rich", "matplotlib", "sklearn")
    probe = (
        "import sys; from jaxnet.cli.main import main; code = main(sys.argv[1:]);"
        f"print(code, [name for name in {heavy} if name in sys.modules])"
    )
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", probe, "runs", os.fspath(tmp_path / "runs")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0 []"
