"""Whole runs that are stopped and go on: the same bits, or a refusal that says what differs."""

import json
import shutil
import warnings
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import resume
from jaxnet.config import load_config
from jaxnet.config.schema import MOST_RATE
from jaxnet.errors import (
    CheckpointError,
    ConfigError,
    NonFiniteError,
    RunDirectoryError,
    Stopped,
    UserError,
)
from jaxnet.outputs import checkpoints
from jaxnet.outputs.records import read_lines
from jaxnet.run import Calling
from tests.tiers import usual

SOURCES = {"binary": "breast_cancer", "multiclass": "digits", "multilabel": "digit_attributes"}
SAME = ("model/model.safetensors", "model/model.json", "metrics.jsonl", "metrics.json")


def small(task="binary", **overrides):
    config = {
        "task": task,
        "data": {"source": SOURCES[task]},
        "model": {"hidden": [8], "dropout": 0.3},
        "training": {"epochs": 5, "batch_size": 64},
        "checkpoints": {"every_steps": 3},
        "report": False,
    }
    return load_config(config, overrides)


def stopping_after(polls):
    """Stops at that poll."""
    left = iter(range(polls))

    def poll():
        if next(left, None) is None:
            raise Stopped(15)

    return Calling(progress=False, poll=poll)


def stopped(config, directory, polls):
    with pytest.raises(Stopped) as caught:
        jaxnet.train(config, run_dir=directory, resume=True, calling=stopping_after(polls))
    return caught.value


def files(directory):
    return {name: (Path(directory) / name).read_bytes() for name in SAME}


@pytest.fixture(scope="module", params=usual(SOURCES, "binary"))
def whole(request, tmp_path_factory):
    """A run that nothing disturbed."""
    config = small(request.param)
    directory = tmp_path_factory.mktemp("whole") / "run"
    jaxnet.train(config, run_dir=directory, progress=False)
    return config, directory


@pytest.fixture
def half(tmp_path):
    """A binary run that was stopped in its midst."""
    config = small()
    stop = stopped(config, tmp_path / "run", 13)
    assert stop.exit_code == 75
    return config, tmp_path / "run"


def test_stopped_again_and_again_a_run_ends_with_the_same_bits(whole, tmp_path):
    config, directory = whole
    place = tmp_path / "run"
    codes = []
    for polls in range(2, 200):
        try:
            jaxnet.train(config, run_dir=place, resume=True, calling=stopping_after(polls))
            break
        except Stopped as stop:
            codes.append(stop.exit_code)
    assert len(codes) > 5
    assert set(codes) <= {75, 143}
    assert files(place) == files(directory)
    lines = read_lines(place / "metrics.jsonl")
    assert [line["epoch"] for line in lines] == list(range(1, 6))
    events = [event["event"] for event in read_lines(place / "events.jsonl")]
    assert events.count("started") >= 1
    assert events.count("resumed") > 3
    assert events[-1] == "finished"


def test_a_finished_run_says_so_and_more_epochs_go_on(whole):
    config, directory = whole
    before = files(directory)
    again = jaxnet.train(config, run_dir=directory, resume=True, progress=False)
    assert again.had_finished
    assert again.metrics == {
        part: one for part, one in json.loads(before["metrics.json"]).items() if part != "details"
    }
    assert files(directory) == before
    if config.task != "binary":
        return
    place = directory.with_name("more")
    shutil.copytree(directory, place)
    more = jaxnet.train(run_dir=place, resume=True, progress=False, **{"training.epochs": 7})
    assert not more.had_finished
    assert [line["epoch"] for line in read_lines(place / "metrics.jsonl")] == list(range(1, 8))
    assert "epochs: 7" in (place / "config.resolved.yaml").read_text()
    with pytest.raises(ConfigError, match=r"training\.epochs: was 7, is 6"):
        jaxnet.train(run_dir=place, resume=True, progress=False, **{"training.epochs": 6})


@pytest.mark.parametrize("what", ["absent", "empty", "lock alone", "no checkpoints"])
def test_where_there_is_nothing_to_go_on_from_a_run_starts(what, whole, tmp_path):
    config, directory = whole
    place = tmp_path / "run"
    if what != "absent":
        place.mkdir()
    if what == "lock alone":
        (place / ".lock").write_text('{"pid": 1}')
    if what == "no checkpoints":
        stopped(config, place, 5)
        shutil.rmtree(place / "checkpoints")
    said = []
    calling = Calling(progress=False, warn=said.append)
    done = jaxnet.train(config, run_dir=place, resume=True, calling=calling)
    assert files(done.directory) == files(directory)
    assert any("starts from its beginning" in text for text in said) == (what == "no checkpoints")


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"optimizer.learning_rate": 0.5}, r"optimizer\.learning_rate: was .*0\.001.* is .*0\.5"),
        ({"training.seed": 1}, r"training\.seed: was .*0.* is .*1"),
        ({"model.hidden": [9]}, r"model\.hidden: was .*8.* is .*9"),
        ({"training.early_stopping": None}, r"training\.early_stopping"),
        ({"training.epochs": 1}, r"training\.epochs: was .*, is 1"),
    ],
)
def test_another_config_is_refused_with_both_values(overrides, text, half):
    _, place = half
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    before.pop(place / ".lock")
    with pytest.raises(ConfigError, match=text):
        jaxnet.train(run_dir=place, resume=True, progress=False, **overrides)
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    after.pop(place / ".lock")
    assert after == before


def test_free_keys_may_change(half):
    _, place = half
    done = jaxnet.train(
        run_dir=place,
        resume=True,
        progress=False,
        **{"training.epochs": 6, "checkpoints.every_steps": None, "training.on_nan": "skip"},
    )
    assert len(read_lines(done.directory / "metrics.jsonl")) == 6


def table(path, rows=90, classes=("no", "yes"), column="height", seed=0):
    rng = np.random.default_rng(seed)
    lines = [f"age,{column},income"]
    for row in range(rows):
        age = rng.normal()
        lines.append(f"{age:.3f},{rng.normal():.3f},{classes[(row + int(age > 0)) % len(classes)]}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"rows": 80}, r"rows were 62 train, 14 validation, 14 test, are 56 train"),
        ({"classes": ("no", "maybe")}, r"its classes were 'no', 'yes', are 'maybe', 'no'"),
        ({"column": "width"}, r"columns gone: 'height', new: 'width'"),
        ({"seed": 1}, r"other values"),
    ],
)
def test_other_data_is_refused(changed, text, tmp_path, monkeypatch):
    table(tmp_path / "a.csv")
    config = {
        "task": "binary",
        "data": {"train": str(tmp_path / "a.csv"), "target": "income"},
        "model": {"hidden": [4]},
        "training": {"epochs": 3},
        "report": False,
    }
    stopped(config, tmp_path / "run", 4)
    table(tmp_path / "a.csv", **changed)
    with pytest.raises(CheckpointError, match=text):
        jaxnet.train(run_dir=tmp_path / "run", resume=True, progress=False)
    table(tmp_path / "b.csv")  # the same rows elsewhere are the same data
    monkeypatch.chdir(tmp_path)  # without a config, relative paths start here
    jaxnet.train(run_dir=tmp_path / "run", resume=True, progress=False, **{"data.train": "b.csv"})


def test_rows_of_another_order_are_refused(tmp_path):
    """Columns, counts and statistics are the same: the rows alone tell."""
    table(tmp_path / "a.csv")
    table(tmp_path / "b.csv", seed=1)
    config = {
        "task": "binary",
        "data": {
            "train": str(tmp_path / "a.csv"),
            "validation": str(tmp_path / "b.csv"),
            "target": "income",
        },
        "model": {"hidden": [4]},
        "training": {"epochs": 3},
        "report": False,
    }
    stopped(config, tmp_path / "run", 4)
    header, first, second, *rest = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([header, second, first, *rest]) + "\n")
    with pytest.raises(CheckpointError, match="other values"):
        jaxnet.train(run_dir=tmp_path / "run", resume=True, progress=False)


def test_a_finished_run_needs_its_rows_no_more_and_another_one_says_what_is_gone(tmp_path):
    table(tmp_path / "a.csv")
    config = {
        "task": "binary",
        "data": {"train": str(tmp_path / "a.csv"), "target": "income"},
        "model": {"hidden": [4]},
        "training": {"epochs": 1},
        "report": False,
    }
    jaxnet.train(config, run_dir=tmp_path / "run", progress=False)
    (tmp_path / "a.csv").unlink()
    assert jaxnet.train(run_dir=tmp_path / "run", resume=True, progress=False).had_finished
    with pytest.raises(UserError, match=r"data\.train: no such file.*a\.csv"):
        jaxnet.train(
            run_dir=tmp_path / "run", resume=True, progress=False, **{"training.epochs": 2}
        )


def test_damaged_checkpoints_are_named_and_the_one_before_is_used(half, tmp_path):
    config, place = half
    whole = jaxnet.train(config, run_dir=tmp_path / "whole", progress=False)
    newest = max((place / "checkpoints").glob("last-*"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes(content)
    said = []
    calling = Calling(progress=False, warn=said.append)
    done = jaxnet.train(run_dir=place, resume=True, calling=calling)
    assert said[0].startswith(f"checkpoint {newest.name} is damaged (")
    assert said[1].startswith("going on from last-")
    assert files(done.directory) == files(whole.directory)


def test_without_a_good_checkpoint_a_run_starts_from_its_beginning(half, tmp_path):
    config, place = half
    whole = jaxnet.train(config, run_dir=tmp_path / "whole", progress=False)
    for path in (place / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = jaxnet.train(run_dir=place, resume=True, progress=False)
    said = [str(one.message) for one in caught]
    assert any("is damaged" in text for text in said)
    assert any("from its beginning" in text for text in said)
    assert files(done.directory) == files(whole.directory)


@pytest.mark.parametrize("whole", ["binary"], indirect=True)
def test_where_checkpoints_is_a_link_nothing_there_is_removed_or_changed(whole, half, tmp_path):
    config, directory = half
    elsewhere = tmp_path / "elsewhere"
    shutil.move(directory / "checkpoints", elsewhere)
    for name in ("last-000000001.safetensors", "best-000000001.safetensors", "last-9.txt"):
        (elsewhere / name).write_text("somebody's own")
    temporary = elsewhere / ".tmp-0123456789abcdef"
    temporary.write_text("of a run that is writing")
    before = {path: path.read_bytes() for path in elsewhere.iterdir()}
    del before[max(elsewhere.glob("best-*"))]  # the run's own, written anew as it goes on
    (directory / "checkpoints").symlink_to(elsewhere)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two are damaged
        jaxnet.train(config, run_dir=directory, resume=True, progress=False)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(elsewhere.iterdir())) > len(before)
    assert files(directory) == files(whole[1])


def test_a_model_that_is_a_link_is_refused(half, tmp_path):
    (tmp_path / "other").mkdir()
    (half[1] / "model").symlink_to(tmp_path / "other")
    with pytest.raises(RunDirectoryError, match=r"model: a link to .*; remove the link"):
        jaxnet.train(run_dir=half[1], resume=True, progress=False)
    assert list((tmp_path / "other").iterdir()) == []


def test_resume_needs_a_directory_and_a_config(tmp_path):
    with pytest.raises(UserError, match="--run-dir DIR"):
        jaxnet.train(small(), resume=True, progress=False)
    with pytest.raises(RunDirectoryError, match="name the config"):
        jaxnet.train(run_dir=tmp_path / "none", resume=True, progress=False)
    with pytest.raises(UserError, match="needs a config"):
        jaxnet.train(run_dir=tmp_path / "none", progress=False)
    assert not (tmp_path / "none").exists()


# What anybody may have set, in the environment or by jax.config; see jaxnet.training.settings.
OTHERWISE = {
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
    "jax_enable_x64": True,
    "jax_debug_nans": True,
    "jax_disable_jit": True,
    "jax_error_checking_behavior_nan": "raise",
}


@contextmanager
def set_to(values):
    before = {name: jax.config.values[name] for name in values}
    for name, value in values.items():
        jax.config.update(name, value)
    jax.clear_caches()
    try:
        yield
        left = {name: jax.config.values[name] for name in values}
        assert left == values, "a run leaves the user's settings as they were"
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        jax.clear_caches()


@pytest.mark.parametrize("whole", ["binary"], indirect=True)
def test_under_other_settings_of_jax_a_run_goes_on_with_the_same_bits(whole, half):
    config, directory = half
    with set_to(OTHERWISE):
        jaxnet.train(config, run_dir=directory, resume=True, progress=False)
    assert files(directory) == files(whole[1])


@pytest.mark.parametrize("whole", ["binary"], indirect=True)
def test_a_choice_of_the_user_that_changes_bits_is_kept(whole, tmp_path):
    config, chosen, place = whole[0], tmp_path / "chosen", tmp_path / "run"
    usual = jax.config.values["jax_disable_most_optimizations"]
    with set_to({"jax_disable_most_optimizations": not usual}):
        jaxnet.train(config, run_dir=chosen, progress=False)
        stopped(config, place, 13)
    jaxnet.train(config, run_dir=place, resume=True, progress=False)  # compiles anew
    assert files(place) == files(chosen) != files(whole[1])


def huge_rows(path, rows=200, bad=(17,)):
    """Rows of which some have a gradient whose square overflows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    x[list(bad)] = 1e22
    np.savez(path, X=x, y=y)
    return {
        "task": "binary",
        "data": {"train": str(path), "scale": "none", "split": {"seed": 4}},
        "model": {"hidden": [4], "last_layer": "same", "numeric_embedding": "none"},
        "training": {"epochs": 3, "batch_size": 16},
        "report": False,
    }


def part_of(directory, row):
    lines = (directory / "split.csv").read_text().splitlines()[1:]
    return lines[row].split(",")[1]


def test_steps_that_are_not_finite_are_left_out_counted_and_reported(tmp_path):
    config = huge_rows(tmp_path / "rows.npz")
    with pytest.raises(NonFiniteError) as caught:
        jaxnet.train(config, run_dir=tmp_path / "stop", progress=False)
    assert part_of(tmp_path / "stop", 17) == "train"
    assert 17 in caught.value.rows
    (failed,) = [e for e in read_lines(tmp_path / "stop/events.jsonl") if e["event"] == "failed"]
    assert (failed["step"], tuple(failed["rows"])) == (caught.value.step, caught.value.rows)
    skip = {"training.on_nan": "skip"}
    # The last good state was kept: the run that stopped goes on, as one that skips from the start.
    went_on = jaxnet.train(run_dir=tmp_path / "stop", resume=True, progress=False, **skip)
    from_start = jaxnet.train(config, run_dir=tmp_path / "skip", progress=False, **skip)
    assert files(went_on.directory) == files(from_start.directory)
    events = [e for e in read_lines(tmp_path / "skip/events.jsonl") if e["event"] == "skipped"]
    assert [17 in event["rows"] for event in events] == [True] * 3
    assert [event["count"] for event in events] == [1, 2, 3]
    assert events[0]["step"] == caught.value.step


def test_too_many_of_them_stop_the_run_after_all(tmp_path):
    config = huge_rows(tmp_path / "rows.npz")
    overrides = {"training.on_nan": "skip", "training.skip_limit": 2}
    with pytest.raises(NonFiniteError, match=r"after leaving out training\.skip_limit=2"):
        jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **overrides)
    events = [e["event"] for e in read_lines(tmp_path / "run/events.jsonl")]
    assert events.count("skipped") == 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adamw", "lion", "rmsprop", "adagrad"])
def test_no_update_overflows_however_large_the_rate(name, tmp_path):
    """It is the step after it that is not finite, and the state before that is good."""
    overrides = {"optimizer.learning_rate": MOST_RATE, "optimizer.name": name}
    overrides |= {"model.last_layer": "same", "checkpoints.every_steps": 1}
    with pytest.raises(NonFiniteError, match="not finite at step"):
        jaxnet.train(small(), run_dir=tmp_path / "run", progress=False, **overrides)
    kept = checkpoints.survey(tmp_path / "run/checkpoints").newest
    assert kept.facts["step"] >= 1
    for path, array in kept.arrays.items():
        assert np.isfinite(array).all(), path


def test_a_directory_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"config\.yaml"):
        jaxnet.train(small(), run_dir=tmp_path, resume=True, progress=False)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == "mine"


def test_very_many_names_are_a_digest_and_those_of_older_checkpoints_compare_equal() -> None:
    names = [f"label {i}" for i in range(resume.MOST_NAMES + 1)]
    short = resume._classes(names)
    assert len(short) == 1
    assert short == resume._classes(names) == resume._classes(short)
    assert short != resume._classes([*names[1:], names[0]])
    assert resume._classes(names[:3]) == names[:3]
