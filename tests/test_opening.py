"""A directory that is taken, lost while a run is under way, or somebody else's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet import lock
from jaxnet.config import load_config
from jaxnet.errors import CheckpointError, RunDirectoryError, RunFailed, Stopped, UserError
from jaxnet.outputs import run_directory
from jaxnet.outputs.records import read_lines
from jaxnet.run import Calling

CONFIG = {
    "task": "binary",
    "data": {"source": "breast_cancer"},
    "model": {"hidden": [4]},
    "training": {"epochs": 4, "batch_size": 64},
    "checkpoints": {"every_steps": 3},
    "report": False,
}


def at_poll(number, action):
    """Calls that do something at one of their polls."""
    seen = iter(range(1000))

    def poll():
        if next(seen) == number:
            action()

    return Calling(progress=False, poll=poll)


def stop():
    raise Stopped(15)


def content(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def replaced(place):
    """Another run's directory where one was."""

    def act():
        place.rename(place.with_name("moved"))
        place.mkdir()
        (place / "theirs").write_text("theirs")

    return act


@pytest.mark.parametrize("poll", [4, 9, 14])
def test_a_run_whose_directory_was_replaced_writes_nothing_there(poll, tmp_path):
    place = tmp_path / "run"
    with pytest.raises(RunFailed, match="was removed or replaced while the run was under way"):
        jaxnet.train(CONFIG, run_dir=place, calling=at_poll(poll, replaced(place)))
    assert [path.name for path in place.iterdir()] == ["theirs"]


def test_a_lock_that_was_taken_away_is_missed(tmp_path):
    place = tmp_path / "run"

    def act():
        (place / ".lock").unlink()
        with pytest.raises(Stopped):  # another run begins there and is stopped
            jaxnet.train(CONFIG, run_dir=place, resume=True, calling=at_poll(9, stop))

    with pytest.raises(RunFailed, match="was removed or replaced"):
        jaxnet.train(CONFIG, run_dir=place, calling=at_poll(9, act))
    done = jaxnet.train(run_dir=place, resume=True, progress=False)
    epochs = [line["epoch"] for line in read_lines(done.directory / "metrics.jsonl")]
    assert epochs == [1, 2, 3, 4]


def test_only_what_lies_below_a_lock_is_lost_with_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with lock.hold(tmp_path / "one/.lock", command="a"):
        assert lock.lost(tmp_path / "one/model/file") is None
        (tmp_path / "one/.lock").unlink()
        assert lock.lost(tmp_path / "one/model/file") == tmp_path / "one"
        assert lock.lost(tmp_path / "two/file") is None
    assert lock.lost(tmp_path / "one/model/file") is None


@pytest.mark.parametrize(
    ("names", "resume"),
    [
        ((".lock",), False),
        ((".lock",), True),
        ((".lock", "config.yaml"), True),
        (("config.yaml",), True),
        (("checkpoints/last-000000001.safetensors", "metrics.json"), True),
    ],
)
def test_what_is_somebody_elses_stays_as_it_was(names, resume, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine\n")
    before = content(tmp_path)
    with pytest.raises(RunDirectoryError):
        jaxnet.train(CONFIG, run_dir=tmp_path, resume=resume, progress=False)
    assert content(tmp_path) == before


def test_a_directory_is_looked_at_before_the_data_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxnet.run, "load_data", lambda config: pytest.fail("data was read"))
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(RunDirectoryError, match="holds something already"):
        jaxnet.train(CONFIG, run_dir=tmp_path, progress=False)
    with (
        lock.hold(tmp_path / ".lock", command="jaxnet train a.yaml"),
        pytest.raises(lock.Held, match=r"\(jaxnet train a.yaml\)"),
    ):
        jaxnet.train(CONFIG, run_dir=tmp_path, resume=True, progress=False)


def test_an_empty_name_is_no_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for resume in (False, True):
        with pytest.raises(UserError, match="run-dir"):
            jaxnet.train(CONFIG, run_dir="", resume=resume, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_under_the_name_of_a_checkpoint_is_refused_at_the_start(tmp_path):
    place = tmp_path / "run"
    with pytest.raises(Stopped):
        jaxnet.train(CONFIG, run_dir=place, calling=at_poll(9, stop))
    in_the_way = place / "checkpoints/last-000000020.safetensors"
    in_the_way.mkdir()
    with pytest.raises(CheckpointError, match="a directory, where a checkpoint belongs; remove it"):
        jaxnet.train(run_dir=place, resume=True, progress=False)
    in_the_way.rmdir()
    assert jaxnet.train(run_dir=place, resume=True, progress=False).metrics


def test_the_config_stays_as_it_was_given(tmp_path):
    given = tmp_path / "c.yaml"
    given.write_text("# mine\n" + json.dumps(CONFIG))
    place = tmp_path / "run"
    with pytest.raises(Stopped):
        jaxnet.train(given, run_dir=place, calling=at_poll(9, stop))
    shutil.rmtree(place / "checkpoints")
    jaxnet.train(run_dir=place, resume=True, calling=Calling(progress=False, warn=str))
    assert (place / "config.yaml").read_text() == given.read_text()


def test_the_names_of_new_directories_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(run_directory, "sync_directory", synced.append)
    run_directory.make(tmp_path / "a/b/c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    run_directory.make(tmp_path / "a/b/c")
    assert len(synced) == 3


def test_what_a_run_goes_on_from_is_not_held_beside_it(tmp_path, monkeypatch):
    place = tmp_path / "run"
    with pytest.raises(Stopped):
        jaxnet.train(CONFIG, run_dir=place, calling=at_poll(9, stop))
    found = []
    find = jaxnet.resume.find
    monkeypatch.setattr(
        jaxnet.resume, "find", lambda *args, **more: found.append(find(*args, **more)) or found[0]
    )
    jaxnet.train(run_dir=place, resume=True, progress=False)
    assert found[0].checkpoint.arrays == {}


def test_multiples_that_shall_stay_are_written(tmp_path):
    config = load_config(CONFIG, {"checkpoints": {"every_seconds": None, "keep_every_steps": 5}})
    jaxnet.train(config, run_dir=tmp_path / "run", progress=False)
    kept = sorted(
        int(path.stem.partition("-")[2]) for path in (tmp_path / "run/checkpoints").glob("last-*")
    )
    steps = read_lines(tmp_path / "run/metrics.jsonl")[-1]["step"]
    assert np.setdiff1d(np.arange(5, steps, 5), kept).size == 0
    assert len(kept) == len(set(kept) & set(range(5, steps + 1, 5)) | {steps})


def test_runs_are_where_they_are_whatever_is_beside_them(tmp_path):
    assert Path(jaxnet.train(CONFIG, run_dir=tmp_path / "run", progress=False).directory).is_dir()
