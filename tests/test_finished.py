"""A run that has finished is resumed: what it left is looked at, and what is lost is made again."""

import errno
import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet.cli.main import main
from jaxnet.config import load_config
from jaxnet.errors import CheckpointError
from jaxnet.files import write_atomic
from jaxnet.outputs import records, report
from jaxnet.outputs.records import read_json
from jaxnet.outputs.report import page
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.run import Calling

pytestmark = pytest.mark.sampled(4)

LEFT = ("model/model.safetensors", "model/model.json", "metrics.jsonl", "metrics.json")
LEFT += ("config.resolved.yaml", "schema.json", "split.csv", "evaluation.json")


def config(**overrides):
    given = {
        "task": "binary",
        "data": {"source": "breast_cancer"},
        "model": {"hidden": [4]},
        "training": {"epochs": 2, "batch_size": 64},
        "report": False,
    }
    return load_config(given, overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished") / "run"
    jaxnet.train(config(), run_dir=directory, progress=False)
    return directory


@pytest.fixture
def place(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def resumed(directory, **overrides):
    """(the run, what was warned of)"""
    said: list[str] = []
    calling = Calling(progress=False, warn=said.append)
    given = config(**overrides)
    return jaxnet.train(given, run_dir=directory, resume=True, calling=calling), said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", b"[]"),
        ("metrics.json", b'{"test": 1}'),
        ("metrics.json", None),
        ("metrics.jsonl", b"no JSON\n"),
        ("config.resolved.yaml", b"task: [\n"),
        ("config.resolved.yaml", None),
        ("model/model.safetensors", b""),
        ("schema.json", None),
        ("evaluation.json", b"{"),
        ("evaluation.json", b"{}"),
        ("metrics.jsonl", None),
        ("metrics.jsonl", b'{"epoch": 1, "step": 7}\n'),
        ("split.csv", None),
        ("split.csv", b"row,part\n"),
        ("config.yaml", None),
        ("events.jsonl", None),
    ],
)
def test_what_is_lost_of_a_finished_run_is_made_again(name, content, finished, place):
    if content is None:
        (place / name).unlink()
    else:
        (place / name).write_bytes(content)
    done, said = resumed(place)
    assert not done.had_finished
    assert said == []
    for each in LEFT:
        assert (place / each).read_bytes() == (finished / each).read_bytes(), each
    assert resumed(place)[0].had_finished


@pytest.mark.parametrize("name", ["metrics.jsonl", "split.csv", "config.yaml", "events.jsonl"])
def test_what_cannot_be_made_again_is_named_and_nothing_is_trained(name, place):
    shutil.rmtree(place / "checkpoints")
    (place / name).unlink()
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    done, said = resumed(place)
    assert done.had_finished
    (text,) = said
    assert f"{name} lost, and no checkpoint to make that again from" in text
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("content", [None, b"", b"<!DOCTYPE html>\n<html>"])
def test_a_report_that_is_lost_is_drawn_from_what_is_there(content, place):
    shutil.rmtree(place / "checkpoints")  # nothing could be trained again
    if content is not None:
        (place / "report.html").write_bytes(content)
    done, said = resumed(place, report=True)
    assert (done.had_finished, said) == (True, [])
    assert report.is_whole(place / "report.html")
    before = (place / "report.html").stat().st_mtime_ns
    assert resumed(place, report=True)[0].had_finished
    assert (place / "report.html").stat().st_mtime_ns == before


def test_its_checkpoints_are_verified_too(place):
    newest = max((place / "checkpoints").glob("last-*"))
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    done, said = resumed(place)
    assert done.had_finished
    (text,) = said
    assert text.startswith(f"checkpoint {newest.name} is damaged (")


def test_without_checkpoints_more_epochs_begin_anew_and_say_so(place):
    shutil.rmtree(place / "checkpoints")
    done, said = resumed(place, **{"training.epochs": 3})
    assert not done.had_finished
    assert any("starts from its beginning" in text for text in said)


def test_without_checkpoints_other_data_is_refused_all_the_same(place):
    shutil.rmtree(place / "checkpoints")
    schema = read_json(place / "schema.json")
    schema["rows"]["train"] -= 1
    (place / "schema.json").write_text(json.dumps(schema))
    model = (place / "model/model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="rows were"):
        resumed(place, **{"training.epochs": 3})
    assert (place / "model/model.safetensors").read_bytes() == model


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def on_a_full_disk(path, *args, **options):
    if Path(path).name == "report.html":
        raise FULL
    write_atomic(path, *args, **options)


def refuse_to_draw(*_args, **_options):
    raise RuntimeError("no such font")


@pytest.mark.parametrize(
    ("place", "failing", "why"),
    [
        ((records, "write_atomic"), on_a_full_disk, "(No space left on device)"),
        ((page, "render"), refuse_to_draw, "(RuntimeError('no such font'))"),
    ],
    ids=["full disk", "drawing"],
)
def test_what_fails_after_the_end_leaves_a_run_that_has_finished(
    place, failing, why, finished, monkeypatch
):
    directory = finished.with_name(failing.__name__)
    shutil.copytree(finished, directory)
    (directory / "report.html").write_text("of 2 epochs")  # not to stay beside those of more
    more = {"training.epochs": 3, "report": True}
    with monkeypatch.context() as patched:
        patched.setattr(*place, failing)
        for has_finished in (False, True):
            done, said = resumed(directory, **more)
            assert done.had_finished == has_finished
            assert said[-1].startswith(f"{directory}: the run has finished, without a report {why}")
            assert read_json(directory / "status.json")["state"] == "finished"
            assert not (directory / "report.html").exists()
            assert not list(directory.glob(".tmp-*"))
    advice = shlex.split(said[-1].partition("to draw it: ")[2])
    assert main(advice[1:]) == 0
    assert "3 epochs" in (directory / "report.html").read_text()


def test_ctrl_c_in_a_notebook_while_drawing_is_raised_and_the_run_has_finished(place, monkeypatch):
    def struck(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write", struck)
    with pytest.raises(KeyboardInterrupt) as caught:
        resumed(place, **{"training.epochs": 3, "report": True})
    assert "to draw it: jaxnet report" in caught.value.__notes__[0]
    assert read_json(place / "status.json")["state"] == "finished"


def test_steps_that_were_left_out_are_a_warning_of_the_report(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    classes = (rows[:, 0] > 0).astype(np.int64)
    rows[17] = 1e22  # its gradient's square overflows
    np.savez(tmp_path / "rows.npz", X=rows, y=classes)
    given = {
        "task": "binary",
        "data": {"train": str(tmp_path / "rows.npz"), "scale": "none", "split": {"seed": 4}},
        "model": {"hidden": [4], "last_layer": "same", "numeric_embedding": "none"},
        "training": {"epochs": 2, "batch_size": 16, "on_nan": "skip"},
        "report": False,
    }
    jaxnet.train(given, run_dir=tmp_path / "run", progress=False)
    said = report.read(RunDirectory(tmp_path / "run")).said("warning")
    assert any("were left out: 2" in text for text in said)
