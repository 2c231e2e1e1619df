"""A pipe, a socket, a device or a folder in the place of any file that a command reads.

The commands must neither wait for it nor read it without end: they say what it is, or go on.
"""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet.cli.main import main
from tests import signalling

RUN = ["config.resolved.yaml", "schema.json", "metrics.json", "metrics.jsonl", "events.jsonl"]
RUN += ["status.json", "evaluation.json", "split.csv", "report.html", "model/model.json"]
RUN += ["model/model.safetensors", "config.yaml", ".lock"]
COMMANDS = {
    "predict": ["predict", "run", "rows.csv", "--output", "out.csv", "--overwrite"],
    "evaluate": ["evaluate", "run"],
    "evaluate DATA": ["evaluate", "run", "rows.csv"],
    "runs": ["runs", "."],
    "report": ["report", "run"],
    "resume": ["train", "--run-dir", "run", "--resume", "--quiet"],
    "debug": ["debug", "run"],
}
DATA = ["x.csv", "x.csv.gz", "x.parquet", "x.npz", "x.txt", "x.txt.gz", "/dev/fd/63"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a config, and a run that has finished."""
    folder = tmp_path_factory.mktemp("whole")
    signalling.write_config(folder, rows=120)
    jaxnet.train(folder / "c.yaml", run_dir=folder / "run", **{"training.epochs": 1})
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, in which whatever waits is ended."""
    place = tmp_path / "here"
    shutil.copytree(whole, place)
    monkeypatch.chdir(place)

    def late(*_: object) -> None:
        raise AssertionError("it waits for a file that is none")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield place
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def put(path: Path, kind: str) -> None:
    """Something that is no file under this name."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        here = os.getcwd()
        os.chdir(path.parent)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
        os.chdir(here)


def told(capsys: pytest.CaptureFixture[str], words: list[str]) -> tuple[int, str]:
    code = main(words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err, (words, said.err)
    assert code in (0, 1, 2), (words, said.err)
    return code, said.out + said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_in_the_place_of_a_file_of_a_run(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    if command == "resume":  # a run that has not finished reads its files again
        status = (folder / "run" / "status.json").read_text()
        (folder / "run" / "status.json").write_text(status.replace("finished", "stopped"))
    # What draws or trains takes its time: all but the config at once.
    some = [[RUN[0]], RUN[1:]] if command in ("report", "resume") else [[name] for name in RUN]
    for number, names in enumerate(some):
        kept = {folder / "run" / name: (folder / "run" / name).read_bytes() for name in names}
        for path in kept:
            put(path, ("pipe", "device")[number % 2])
        told(capsys, COMMANDS[command])
        for path, content in kept.items():
            if not path.is_file():
                path.unlink(missing_ok=True)
            path.write_bytes(content)
        signal.alarm(60)


def test_in_the_place_of_a_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in list((folder / "run" / "checkpoints").iterdir()):
        put(path, "pipe")
    status = folder / "run" / "status.json"
    status.write_text(status.read_text().replace("finished", "stopped"))
    _, said = told(capsys, COMMANDS["resume"])
    assert "is damaged (a pipe, not a file)" in said


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_in_the_place_of_a_config_or_of_data(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    put(folder / "c.yaml", kind)
    for words in (["train", "c.yaml"], ["config", "check", "c.yaml"], ["config", "show", "c.yaml"]):
        code, said = told(capsys, words)
        assert code == 2
        assert f"c.yaml: a {'directory' if kind == 'folder' else kind}, not a file" in said
    for name in DATA[:-1]:
        put(folder / name, kind)
        for words in (
            ["predict", "run", name],
            ["evaluate", "run", name],
            ["config", "init", name],
        ):
            code, said = told(capsys, words)
            assert code == 2
            assert f"a {kind}, not a file" in said, (words, said)


@pytest.mark.parametrize("key", ["train", "validation", "test", "split", "label_names"])
def test_in_the_place_of_a_file_that_a_config_names(
    folder: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    name = "p.txt" if key == "label_names" else "p.csv"
    put(folder / name, "pipe")
    rows = "x.txt" if key == "label_names" else "rows.csv"
    (folder / "x.txt").write_text("1 1 1\n0 0:1\n")
    value = f"{{file: {name}}}" if key == "split" else name
    task = "multilabel" if key == "label_names" else "binary"
    lines = [f"task: {task}", "data:", f"  train: {rows}", f"  {key}: {value}"]
    if key == "train":
        del lines[2]
    (folder / "d.yaml").write_text("\n".join(lines))
    for words in (["config", "check", "d.yaml"], ["train", "d.yaml", "--run-dir", "new"]):
        code, said = told(capsys, words)
        assert code == 2
        assert "a pipe, not a file" in said
    assert not (folder / "new").exists()


def test_what_a_shell_puts_in_the_place_of_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`jaxnet predict RUN <(command)`, or /dev/stdin behind a pipe."""
    reading, writing = os.pipe()
    try:
        for words in (["predict", "run"], ["evaluate", "run"], ["config", "init"]):
            code, said = told(capsys, [*words, f"/dev/fd/{reading}"])
            assert code == 2
            assert "a pipe, not a file; write the rows to a file and name that" in said
    finally:
        os.close(reading)
        os.close(writing)


def test_labels_of_sparse_rows(folder: Path) -> None:
    from jaxnet.data import sparse_npz

    os.mkfifo(folder / "y.npz")
    np.savez(folder / "x.npz", format="csr", shape=[1, 1], indptr=[0, 1], indices=[0], data=[1.0])
    with pytest.raises(jaxnet.errors.DataError, match="a pipe, not a file"):
        sparse_npz.read(folder / "x.npz", folder / "y.npz")
