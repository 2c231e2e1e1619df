"""The list of runs tells what the files tell, and what is wrong with those that tell nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jaxnet import lock
from jaxnet.errors import UserError
from jaxnet.outputs import records, run_directory, run_list
from jaxnet.outputs.run_directory import RunDirectory


def begin(path: Path, *, minute: int = 0) -> RunDirectory:
    """A run that ran one epoch of 10 steps and saved itself 2 steps later."""
    run = run_directory.claim(run_directory.make(path))
    run.resolved_config.write_text("# of a run\ntask: multiclass   # one of three\nseed: 0\n")
    records.write_status(run, "running")
    events = [
        {"time": f"2026-01-01T10:{minute:02}:00.000+00:00", "event": "started"},
        {"time": f"2026-01-01T10:{minute:02}:30.000+00:00", "event": "checkpoint"},
    ]
    events[1] |= {"step": 12, "seconds": 20.5}
    write_events(run, events)
    epoch = {"epoch": 1, "step": 10, "train_loss": 0.7, "validation_loss": 0.9}
    records.append_epoch(run, {**epoch, "validation_log_loss": 0.6, "validation_accuracy": 0.8})
    return run


def write_events(run: RunDirectory, events: list[dict[str, Any]]) -> None:
    run.events.write_text("".join(f"{json.dumps(event)}\n" for event in events))


def finish(run: RunDirectory) -> None:
    end = {"time": "2026-01-01T12:01:00+02:00", "event": "finished", "productive": 45}
    write_events(run, [*records.read_lines(run.events), end])
    records.append_epoch(run, {"epoch": 2, "step": 20})
    test = {"roc_auc": 0.9, "accuracy": 0.75, "log_loss": 0.5}
    records.write_metrics(run, {"validation": {"accuracy": 0.85}, "test": test})
    records.write_status(run, "finished")


def test_a_finished_run(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    finish(run)
    assert run_list.describe(run.path) == run_list.Listed(
        run.path,
        state="finished",
        task="multiclass",
        started="2026-01-01T10:00:00+00:00",
        epoch=2,
        step=20,
        part="test",
        metrics={"accuracy": 0.75, "log_loss": 0.5},
        productive=45,
        total=60,
    )


@pytest.mark.parametrize("state", ["stopped", "killed"])
def test_a_run_to_go_on_with(tmp_path: Path, state: str) -> None:
    run = begin(tmp_path / "my run")
    if state == "stopped":
        records.write_status(run, "stopped")
    # What an earlier end left says nothing of the run as it stands.
    records.write_metrics(run, {"test": {"accuracy": 0.1}})
    found = run_list.describe(run.path)
    assert (found.state, found.epoch, found.step) == (state, 1, 12)
    assert (found.part, found.metrics) == ("validation", {"accuracy": 0.8, "log_loss": 0.6})
    assert (found.productive, found.total) == (20.5, 30)
    assert found.resume == f"jaxnet train --run-dir '{run.path}' --resume"
    run.resolved_config.unlink()
    without = run_list.describe(run.path)
    assert without.task is None
    assert without.resume == f"jaxnet train CONFIG --run-dir '{run.path}' --resume"


def test_a_clock_that_was_set_back_takes_no_time_away(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    with open(run.events, "a") as stream:
        for time in ("2025-12-31T10:00:00+00:00", "2025-12-31T10:00:07+00:00"):
            stream.write(json.dumps({"time": time, "event": "note"}) + "\n")
    assert run_list.describe(run.path).total == 30 + 7


def test_a_run_under_way(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    with lock.hold(run.lock, command="jaxnet train a.yaml"):
        found = run_list.describe(run.path)
    assert (found.state, found.resume) == ("running", None)


def test_a_failed_run_that_has_only_begun(tmp_path: Path) -> None:
    run = run_directory.claim(run_directory.make(tmp_path / "a"))
    records.append_event(run, "started")
    records.record_end(run, "failed", "no memory")
    found = run_list.describe(run.path)
    assert (found.state, found.epoch, found.step, found.part) == ("failed", None, None, None)
    assert (found.productive, found.debug) == (None, None)
    assert found.resume == f"jaxnet train CONFIG --run-dir {run.path} --resume"
    assert found.total is not None


def test_metrics_by_task_and_by_what_is_defined(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    finish(run)
    several = {"accuracy": 0.9, "micro_f1": 0.8, "log_loss": None}
    records.write_metrics(run, {"test": several})
    assert run_list.describe(run.path).metrics == {"micro_f1": 0.8}
    nothing = {"accuracy": None, "log_loss": None}
    records.write_metrics(run, {"test": nothing, "validation": {"accuracy": 0.7}})
    found = run_list.describe(run.path)
    assert (found.part, found.metrics) == ("validation", {"accuracy": 0.7})


def test_the_newest_comes_first_and_what_is_no_run_last(tmp_path: Path) -> None:
    begin(tmp_path / "b", minute=5)
    begin(tmp_path / "a", minute=7)
    begin(tmp_path / "c", minute=6)
    (tmp_path / "other" / "b").mkdir(parents=True)
    (tmp_path / "data.csv").touch()
    (tmp_path / ".cache").mkdir()
    found = run_list.find(tmp_path)
    assert [one.path.name for one in found] == ["a", "c", "b", "other"]
    assert found[-1].problem == f"{tmp_path / 'other'}: no run was started here"
    assert run_list.find(tmp_path / "a") == found[:1]
    assert run_list.find(tmp_path / "other" / "b") == []


def test_it_can_be_interrupted(tmp_path: Path) -> None:
    begin(tmp_path / "a")

    def poll() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_list.find(tmp_path, poll=poll)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: run.status.write_text("{"), "status.json: damaged, this is not JSON"),
        (lambda run: run.status.write_text('{"state": "x"}'), "status.json: damaged, the state"),
        (lambda run: run.events.write_text("{}\n"), "events.jsonl: damaged, an event has no time"),
        (
            lambda run: run.events.write_text('{"time": "0001-01-01T00:00:00+23:00"}\n'),
            "events.jsonl: damaged, an event has no time",
        ),
        (
            lambda run: (run.status.unlink(), os.mkfifo(run.status)),
            "status.json: a pipe",
        ),
        (lambda run: run.metrics.write_text("\0"), "metrics.json: damaged, this is not JSON"),
        (lambda run: run.metrics.unlink(), "metrics.json: missing"),
        (
            lambda run: (run.epochs.unlink(), run.epochs.mkdir()),
            "metrics.jsonl: a directory",
        ),
    ],
)
def test_what_is_damaged_is_said(
    tmp_path: Path, damage: Callable[[RunDirectory], object], words: str
) -> None:
    run = begin(tmp_path / "a")
    finish(run)
    damage(run)
    [found] = run_list.find(tmp_path)
    assert found.problem is not None
    assert found.problem.startswith(f"{run.path / words}")
    assert found.problem.endswith(f"to make it again: jaxnet train --run-dir {run.path} --resume")
    assert found == run_list.Listed(run.path, problem=found.problem)


@pytest.mark.parametrize("name", ["events", "epochs"])
def test_a_damaged_line_takes_no_run_from_the_list(tmp_path: Path, name: str) -> None:
    run = begin(tmp_path / "a")
    finish(run)
    before = run_list.describe(run.path)
    path = getattr(run, name)
    path.write_bytes(b"no JSON\n[]\n" + path.read_bytes() + b'{"half')
    assert run_list.describe(run.path) == before


def test_where_a_run_stands_that_went_on_from_an_older_checkpoint(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    for event, step in (("checkpoint", 80), ("resumed", 11)):
        records.append_event(run, event, step=step, seconds=1)
    assert run_list.describe(run.path).step == 11


def test_a_run_that_failed_at_a_step_goes_on_without_it(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    records.record_end(run, "failed", "the loss is not finite", step=12, rows=[3])
    found = run_list.describe(run.path)
    command = f"jaxnet train --run-dir {run.path} --resume training.on_nan=skip"
    assert (found.resume, found.debug) == (command, f"jaxnet debug {run.path}")


def test_a_lock_that_makes_no_sense_is_said(tmp_path: Path) -> None:
    run = begin(tmp_path / "a")
    run.lock.symlink_to("nowhere")
    [found] = run_list.find(tmp_path)
    assert found.problem is not None
    assert "a symbolic link, where a run has its lock" in found.problem


def test_any_json_is_taken(tmp_path: Path) -> None:
    """Right in form and wrong in content: left out, and never a traceback."""
    run = begin(tmp_path / "a")
    finish(run)
    events = records.read_lines(run.events)
    values = [None, True, "x", [], {}, -1, 0.5, 10**400]
    for value in values:
        for key in ("event", "step", "seconds", "productive"):
            write_events(run, [{**event, key: value} for event in events])
            for metrics in (value, {"test": value}, {"test": {"accuracy": value}}):
                run.metrics.write_text(json.dumps(metrics))
                run.epochs.write_text(json.dumps({"epoch": value, "validation_x": value}) + "\n")
                assert run_list.describe(run.path).problem is None


def test_a_directory_that_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begin(Path("a")).path.chmod(0)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        [found] = run_list.find(".")
        with pytest.raises(UserError, match=r"a: cannot be read \(Permission denied\)"):
            run_list.find("a")
    finally:
        os.seteuid(user)
        Path("a").chmod(0o700)
    assert found.problem == "a: cannot be read (Permission denied)"


def test_where_there_are_no_runs_to_look_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such directory; name the one that holds"):
        run_list.find(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file, not a directory; name the one that holds"):
        run_list.find(tmp_path / "file")
    with pytest.raises(UserError, match="not a name of a directory"):
        run_list.find("a\0")
