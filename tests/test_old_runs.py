"""Runs of earlier versions, as tests/fixtures has them: they go on, and their models predict.

scripts/make_old_run.py makes them, once a release. Bits are another jaxlib's: numbers are close.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxnet
from jaxnet.cli.main import main
from jaxnet.outputs import checkpoint_file, checkpoints
from jaxnet.outputs.records import read_lines
from jaxnet.training import snapshot
from scripts import make_old_run

pytestmark = pytest.mark.both

FIXTURES = Path(__file__).parent / "fixtures"
ROWS = FIXTURES / "rows.csv"
VERSIONS = sorted(path.name.removeprefix("run-") for path in FIXTURES.glob("run-*"))
SCRIPT = Path(__file__).parents[1] / "scripts" / "make_old_run.py"
# Sums in another order, over 24 updates; other weights or rows change far more (see below).
CLOSE = {"rtol": 1e-4, "atol": 1e-5}

Streams = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command chooses its threads by NPROC, which must not outlive the test."""
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.delenv("NPROC")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(version: str, tmp_path: Path) -> Path:
    """A copy of the run that was stopped."""
    return Path(shutil.copytree(FIXTURES / f"run-{version}", tmp_path / "run"))


def predicted(path: Path) -> tuple[list[str], np.ndarray]:
    """(decisions, probabilities) in a file that `jaxnet predict` wrote."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = [name for name in rows[0] if name.startswith("p(")]
    decisions = [row["prediction"] for row in rows]
    return decisions, np.array([[float(row[name]) for name in columns] for row in rows])


def predict(run: Path, output: Path) -> np.ndarray:
    assert main(["predict", str(run), str(ROWS), "--output", str(output), "--quiet"]) == 0
    return predicted(output)[1]


def resume(run: Path, *words: str) -> int:
    return main(["train", "--run-dir", str(run), "--resume", f"data.train={ROWS}", *words])


def test_there_are_runs_of_this_version() -> None:
    assert ".".join(jaxnet.__version__.split(".")[:2]) in VERSIONS


def test_every_checkpoint_is_good(run: Path) -> None:
    for kind, count in (("last", 2), ("best", 1)):
        found = checkpoints.survey(run / "checkpoints", kind)
        assert found.reasons == {}
        assert found.newest is not None
        assert len(list((run / "checkpoints").glob(f"{kind}-*.safetensors"))) == count


def test_a_stopped_run_goes_on_to_its_end(
    run: Path, version: str, tmp_path: Path, capsys: Streams
) -> None:
    before = len(read_lines(run / "metrics.jsonl"))
    assert resume(run) == 0
    assert "going on from last-000000015.safetensors: 3 epochs are done" in capsys.readouterr().err
    epochs = read_lines(run / "metrics.jsonl")
    assert (before, len(epochs)) == (3, 6)
    events = [event["event"] for event in read_lines(run / "events.jsonl")]
    assert events[0] == "started"
    assert "resumed" in events
    assert events[-1] == "finished"
    expected = predicted(FIXTURES / f"predicted-{version}.csv")[1]
    np.testing.assert_allclose(predict(run, tmp_path / "out.csv"), expected, **CLOSE)
    whole = read_lines(FIXTURES / f"finished-{version}" / "metrics.jsonl")
    for name in ("train_loss", "validation_log_loss"):
        np.testing.assert_allclose([e[name] for e in epochs], [e[name] for e in whole], rtol=1e-5)


def test_what_is_close_is_no_accident(run: Path, version: str, tmp_path: Path) -> None:
    """With two epochs more: far off."""
    expected = predicted(FIXTURES / f"predicted-{version}.csv")[1]
    assert resume(run, "training.epochs=8", "--quiet") == 0
    assert not np.allclose(predict(run, tmp_path / "out.csv"), expected, **CLOSE)


def test_a_finished_run_predicts_what_it_predicted(version: str, tmp_path: Path) -> None:
    run = FIXTURES / f"finished-{version}"
    decisions, expected = predicted(FIXTURES / f"predicted-{version}.csv")
    np.testing.assert_allclose(predict(run, tmp_path / "out.csv"), expected, **CLOSE)
    model = jaxnet.load(run)
    rows = pd.read_csv(ROWS).drop(columns="kind")
    np.testing.assert_allclose(model.predict_proba(rows), expected, **CLOSE)
    assert list(model.predict(rows)) == decisions


def test_a_finished_run_has_finished_and_takes_more_epochs(
    version: str, tmp_path: Path, capsys: Streams
) -> None:
    run = Path(shutil.copytree(FIXTURES / f"finished-{version}", tmp_path / "run"))
    assert resume(run, "--json") == 0
    out, err = capsys.readouterr()
    assert "this run has finished" in err
    assert json.loads(out)["test"] == json.loads((run / "metrics.json").read_bytes())["test"]
    assert resume(run, "training.epochs=7", "--quiet") == 0
    assert len(read_lines(run / "metrics.jsonl")) == 7


def test_a_state_of_every_optimizer_goes_on(version: str) -> None:
    """Its names are those of the optimizer's own records, which another optax might change."""
    folder = FIXTURES / f"states-{version}"
    assert {path.stem for path in folder.iterdir()} == set(make_old_run.OPTIMIZERS)
    for name, optimizer in make_old_run.OPTIMIZERS.items():
        found = checkpoint_file.decode((folder / f"{name}.safetensors").read_bytes())
        first = make_old_run.first_state(optimizer)
        gone_on = snapshot.unpack(dict(found.arrays), found.facts, first)
        assert (int(gone_on.state.step), gone_on.best is None) == (3, name == "sgd")
        again = snapshot.pack(gone_on)[0]
        assert again.keys() == found.arrays.keys()
        for path, array in again.items():
            np.testing.assert_array_equal(array, found.arrays[path])
        mine = snapshot.pack(make_old_run.trained(optimizer))[0]
        for path in found.arrays.keys() - {"records"}:
            np.testing.assert_allclose(found.arrays[path], mine[path], **CLOSE, err_msg=name)


def test_other_rows_are_refused(run: Path, tmp_path: Path, capsys: Streams) -> None:
    """So the hash of the rows is that of the version that wrote it."""
    text = ROWS.read_text("utf-8")
    other = tmp_path / "rows.csv"
    other.write_text(re.sub(r"(?m)^(-?\d)\.(\d)", r"\1.9", text, count=3), "utf-8")
    assert main(["train", "--run-dir", str(run), "--resume", f"data.train={other}"]) == 2
    assert "the data is not what the run began with" in capsys.readouterr().err


def test_the_table_has_moved_and_that_is_said(run: Path, capsys: Streams) -> None:
    assert main(["train", "--run-dir", str(run), "--resume"]) == 2
    assert "/no/longer/there/rows.csv" in capsys.readouterr().err


def test_without_a_checkpoint_another_config_is_refused_all_the_same(
    run: Path, capsys: Streams
) -> None:
    """Also where the table is no longer where the recorded config has it."""
    shutil.rmtree(run / "checkpoints")
    assert resume(run, "training.seed=1") == 2
    assert "training.seed: was 3, is 1; a resumed run keeps it" in capsys.readouterr().err


def of_a_later_format(path: Path) -> None:
    """The file as a later version may write it: whole, and not for this one."""
    checkpoint = checkpoint_file.decode(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_file, "_FORMAT", 99)
        path.write_bytes(checkpoint_file.encode(checkpoint.arrays, checkpoint.facts))


def test_checkpoints_of_a_later_format_are_refused_and_left_alone(
    run: Path, capsys: Streams
) -> None:
    newest = max((run / "checkpoints").glob("last-*"))
    of_a_later_format(newest)
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    assert resume(run) == 2
    assert capsys.readouterr().err == (
        f"jaxnet: error: {newest}: format 99, this version of jaxnet reads format 1; use the "
        "version that wrote it, or start a new run with --run-dir DIR\n"
    )
    assert {path: path.read_bytes() for path in before} == before


def test_the_runs_tell_nothing_of_the_machine_that_made_them() -> None:
    for path in FIXTURES.rglob("*"):
        assert path.name != ".lock"
        content = path.read_bytes() if path.is_file() else b""
        assert b"/tmp" not in content, path
        assert b"/home" not in content, path


@pytest.mark.thorough
def test_the_script_makes_them_anew_and_overwrites_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = str(SCRIPT.parents[1])
    words = [sys.executable, str(SCRIPT), str(tmp_path)]
    options = {"capture_output": True, "text": True, "check": False, "timeout": 300}
    shutil.copy(ROWS, tmp_path)
    done = subprocess.run(words, env={**environment, "PYTHONPATH": root}, **options)
    assert done.returncode == 0, done.stderr
    version = VERSIONS[-1]
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    there = {path.relative_to(FIXTURES) for path in FIXTURES.rglob("*") if path.is_file()}
    assert {path for path in there if version in str(path)} | {Path("rows.csv")} == made
    assert (tmp_path / "rows.csv").read_bytes() == ROWS.read_bytes()
    again = subprocess.run(words, env={**environment, "PYTHONPATH": root}, **options)
    assert again.returncode == 1
    assert "is there already, and is not made again" in again.stderr
