"""`jaxnet train --resume` on real runs: what is said, where, and with which exit code."""

import json
import shutil
import signal
from pathlib import Path

import pytest

import jaxnet
from jaxnet.cli.main import main
from jaxnet.errors import Stopped
from jaxnet.run import Calling

Streams = pytest.CaptureFixture[str]
CONFIG = """\
task: binary
data: {source: breast_cancer}
model: {hidden: [4]}
training: {epochs: 3, batch_size: 64}
checkpoints: {every_steps: 2}
report: false
"""


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command chooses its threads by NPROC, which must not outlive the test."""
    monkeypatch.setenv("NPROC", "1")
    monkeypatch.delenv("NPROC")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its midst."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "c.yaml").write_text(CONFIG)
    sixth = folder / "run" / "checkpoints" / "last-000000006.safetensors"

    def poll() -> None:
        if sixth.exists():
            raise Stopped(signal.SIGTERM)

    calling = Calling(progress=False, poll=poll)
    with pytest.raises(Stopped) as caught:
        jaxnet.train(folder / "c.yaml", run_dir=folder / "run", calling=calling)
    assert caught.value.exit_code == 75
    return folder / "run"


@pytest.fixture
def half(stopped_run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(stopped_run, tmp_path / "half"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_stopped_run_goes_on_and_then_has_finished(half: Path, capsys: Streams) -> None:
    assert main(["train", "--run-dir", str(half), "--resume"]) == 0
    first, err = capsys.readouterr()
    assert "going on from last-" in err
    assert first.splitlines()[-1] == f"run directory: {half}"
    kept = {path: path.read_bytes() for path in half.rglob("*.*") if path.is_file()}
    assert main(["train", str(half), "--resume", "--quiet"]) == 0
    again, err = capsys.readouterr()
    assert again == first
    assert err == f"{half}: this run has finished; for more epochs: training.epochs=N\n"
    assert main(["train", "--run-dir", str(half), "--resume", "--json"]) == 0
    out, err = capsys.readouterr()
    metrics = json.loads((half / "metrics.json").read_bytes())
    assert {part: one for part, one in json.loads(out).items() if part != "run_directory"} == {
        part: one for part, one in metrics.items() if part != "details"
    }
    assert "this run has finished" in err
    assert {path: path.read_bytes() for path in kept} == kept


def test_the_same_command_starts_goes_on_and_has_finished(
    config: Path, tmp_path: Path, capsys: Streams
) -> None:
    words = ["train", str(config), "--run-dir", str(tmp_path / "run"), "--resume", "--quiet"]
    assert main(words) == 0
    first = capsys.readouterr()
    assert first.err == ""
    assert main(words) == 0
    assert capsys.readouterr().out == first.out


def test_a_damaged_checkpoint_is_told_also_where_nothing_else_is(
    half: Path, capsys: Streams
) -> None:
    before, damaged = sorted((half / "checkpoints").glob("last-*"))[-2:]
    flip(damaged)
    assert main(["train", "--run-dir", str(half), "--resume", "--quiet"]) == 0
    why = "its SHA-256 is not the one it was written with"
    assert capsys.readouterr().err.splitlines() == [
        f"jaxnet: warning: checkpoint {damaged.name} is damaged ({why})",
        f"jaxnet: warning: going on from {before.name}",
    ]


def test_without_a_good_checkpoint_that_is_told(half: Path, capsys: Streams) -> None:
    for path in (half / "checkpoints").iterdir():
        flip(path)
    assert main(["train", "--run-dir", str(half), "--resume", "--quiet"]) == 0
    said = f"jaxnet: warning: {half}: no good checkpoint is left; the run starts from its beginning"
    assert said in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["training.seed=1"], "training.seed: was 0, is 1; a resumed run keeps it"),
        (["training.epochs=0"], "training.epochs"),
        (["model.hidden=[8]"], "model.hidden: was [4], is [8]; a resumed run keeps it"),
    ],
)
def test_another_config_is_refused_and_nothing_changes(
    words: list[str], said: str, half: Path, capsys: Streams
) -> None:
    before = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    assert main(["train", "--run-dir", str(half), "--resume", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    after = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    lock = half / ".lock"
    assert after | {lock: b""} == before | {lock: b""}


def test_a_finished_run_goes_on_for_more_epochs(half: Path, capsys: Streams) -> None:
    assert main(["train", "--run-dir", str(half), "--resume", "--quiet"]) == 0
    more = ["train", "--run-dir", str(half), "--resume", "--quiet", "training.epochs=4"]
    assert main(more) == 0
    assert "this run has finished" not in capsys.readouterr().err
    assert len((half / "metrics.jsonl").read_text().splitlines()) == 4
