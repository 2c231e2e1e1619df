"""SIGTERM and Ctrl-C at every phase of the real command: saved, told how to go on, the same bits.

The other half, each phase by itself with each of the two signals, is in scripts/soak_signals.py.
"""

import json
import signal
import sys
import threading

import pytest

import jaxnet
from jaxnet.cli.signals import heard
from jaxnet.errors import Stopped
from jaxnet.run import Calling
from tests import signalling
from tests.signalling import (
    BEFORE,
    DRAWING,
    EVALUATING,
    JUDGING,
    PREDICTING,
    READYING,
    SAVING,
    TRAINING,
    WRITING_THE_MODEL,
    Place,
    command,
)
from tests.tiers import thorough, usual

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SIGNALS = (TERM, INT, HUP)
WORDS = {TERM: "terminated", INT: "interrupted", HUP: "hung up"}
AGAIN = "give the same command again"


def alternating(phases, first=0):
    """(phase, place, signal): the signals by turns."""
    return [
        (name, place, SIGNALS[(first + number) % len(SIGNALS)])
        for number, (name, place) in enumerate(phases.items())
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a run that nothing disturbed, and the hashes of what it left."""
    folder = tmp_path_factory.mktemp("whole")
    signalling.write_config(folder)
    done = command(["train", "c.yaml", "--run-dir", "run", "--quiet"], cwd=folder)
    assert (done.code, done.err) == (0, "")
    return folder, signalling.hashes(folder / "run")


@pytest.fixture
def folder(tmp_path):
    signalling.write_config(tmp_path)
    return tmp_path


PHASES = alternating({**BEFORE, **READYING})


@pytest.mark.parametrize(
    ("name", "place", "number"),
    [*PHASES[::4], *thorough(*PHASES[1::4], *PHASES[2::4], *PHASES[3::4])],
)
def test_before_training_nothing_is_left_and_the_code_is_of_the_signal(name, place, number, folder):
    done = command(["train", "c.yaml", "--run-dir", "run"], (place, number), cwd=folder)
    assert (done.code, done.sent, done.out) == (128 + number, 1, "")
    assert done.err == f"jaxnet: error: {WORDS[number]}; {AGAIN}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["c.yaml", "rows.csv"]


STARTING = ("first state", *READYING, "compiling the step", "first stretch")
CHAINS = {
    "starting": {name: {**TRAINING, **READYING}[name] for name in STARTING},
    "training": {name: place for name, place in TRAINING.items() if name not in STARTING},
    "saving": SAVING,
    "judging": JUDGING,
}


@pytest.mark.parametrize("chain", usual(CHAINS, "saving"))
def test_stopped_in_phase_after_phase_a_run_ends_with_the_same_bits(chain, folder, whole):
    report = str(chain == "judging").lower()  # some of it is for the report alone
    words = ["train", "c.yaml", "--run-dir", "run", f"report={report}"]
    for name, place, number in alternating(CHAINS[chain], list(CHAINS).index(chain)):
        done = command([*words, "--quiet"], (place, number), cwd=folder)
        assert (name, done.code, done.sent, done.out) == (name, 75, 1, "")
        said = f"{WORDS[number]}; to go on: jaxnet train --run-dir run --resume"
        assert done.err == f"jaxnet: error: {said}\n", name
        status = json.loads((folder / "run/status.json").read_text())
        assert (status["state"], status["resumable"]) == ("stopped", True), name
        assert signalling.temporary(folder) == []
        words = done.advice
    done = command([*words, "--quiet"], cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert signalling.hashes(folder / "run") == whole[1]
    events = [json.loads(line) for line in (folder / "run/events.jsonl").read_text().splitlines()]
    begun = CHAINS[chain].keys() - READYING.keys()  # one that had not begun has nothing to record
    assert sum(event["event"] == "stopped" for event in events) == len(begun)


def test_a_signal_from_the_writing_of_the_model_on_finds_a_run_that_has_finished(folder, whole):
    train = ["train", "c.yaml", "--run-dir", "run", "--quiet"]
    again = "to draw it: jaxnet report run"
    resume = [*train, "--resume"]
    phases = ((WRITING_THE_MODEL, TERM, train), (DRAWING, TERM, resume), (DRAWING, INT, resume))
    for place, number, words in phases:
        done = command(words, (place, number), cwd=folder)
        assert (done.code, done.sent) == (0, 1)
        said = f"run: the run has finished, without a report (signal {int(number)}); {again}"
        assert said in done.err
        assert ("accuracy" in done.out, "report:" in done.out) == (True, False)
        status = json.loads((folder / "run/status.json").read_text())
        assert status["state"] == "finished"
        assert not (folder / "run/report.html").exists()
        assert signalling.temporary(folder) == []
        assert signalling.hashes(folder / "run") == whole[1]
    drawn = command(again.partition("jaxnet ")[2].split(), cwd=folder)
    assert (drawn.code, drawn.err) == (0, "")
    assert (folder / "run/report.html").is_file()


MIDST = TRAINING["in the midst of an epoch"]
SECONDS = {
    "at once": (MIDST, Place("jaxnet.keeping:Keeper.between")),
    "while the first one saves": (MIDST, SAVING["save, before the rename"]),
    "after that": (MIDST, SAVING["save, before older ones go"]),
    "while its end is recorded": (JUDGING["logits"], Place("jaxnet.outputs.records:record_end")),
}


@pytest.mark.thorough
def test_a_second_signal_ends_it_there_and_corrupts_nothing(folder, whole):
    words = ["train", "c.yaml", "--run-dir", "run", "--quiet", "--resume"]
    for index, (name, places) in enumerate(SECONDS.items()):
        signals = SIGNALS[index % 2], SIGNALS[index // 2 % 2]
        done = command(words, *zip(places, signals, strict=True), cwd=folder)
        assert (name, done.code, done.sent) == (name, -signals[1], 2)
        assert (done.out, done.err) == ("", "")
    done = command(words, cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert signalling.hashes(folder / "run") == whole[1]
    assert signalling.temporary(folder) == []


@pytest.mark.thorough
def test_a_signal_that_the_parent_ignores_stays_ignored(folder, whole):
    hits = [(BEFORE["reading the table"], INT), (MIDST, TERM), (JUDGING["importance"], HUP)]
    words = ["train", "c.yaml", "--run-dir", "run", "--quiet"]
    done = command(words, *hits, cwd=folder, ignored=True)
    assert (done.code, done.err, done.sent) == (0, "", 3)
    assert signalling.hashes(folder / "run") == whole[1]


PREDICTIONS = alternating(PREDICTING, 1)


@pytest.mark.parametrize(
    ("name", "place", "number"), [*PREDICTIONS[:1], *thorough(*PREDICTIONS[1:])]
)
def test_a_prediction_leaves_no_part_of_a_file(name, place, number, folder, whole):
    (folder / "old.csv").write_text("before")
    run = whole[0] / "run"
    words = ["predict", run, "rows.csv", "--output", "old.csv", "--overwrite", "--quiet"]
    done = command(words, (place, number), cwd=folder)
    assert (done.code, done.sent, done.out) == (128 + number, 1, "")
    assert done.err == f"jaxnet: error: {WORDS[number]}; {AGAIN}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["c.yaml", "old.csv", "rows.csv"]
    assert (folder / "old.csv").read_text() == "before"


EVALUATIONS = alternating(EVALUATING)


@pytest.mark.parametrize(
    ("name", "place", "number"), [*EVALUATIONS[:1], *thorough(*EVALUATIONS[1:])]
)
def test_an_evaluation_shows_nothing_half_done(name, place, number, folder, whole):
    done = command(
        ["evaluate", whole[0] / "run", "rows.csv", "--quiet"], (place, number), cwd=folder
    )
    assert (done.code, done.sent, done.out) == (128 + number, 1, "")
    assert done.err == f"jaxnet: error: {WORDS[number]}; {AGAIN}\n"


def test_the_handlers_are_as_before_and_a_thread_has_none():
    before = [signal.getsignal(number) for number in SIGNALS]
    with heard() as poll:
        assert [signal.getsignal(number) for number in SIGNALS] != before
        poll()
        signal.raise_signal(INT)
        assert signal.getsignal(TERM) is signal.SIG_DFL  # the second one is the system's
        with pytest.raises(Stopped):
            poll()
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with heard(), pytest.raises(KeyboardInterrupt):  # nothing has polled: as without it
        signal.raise_signal(INT)
    found = []

    def elsewhere():
        with heard() as poll:
            poll()
            found.append([signal.getsignal(number) for number in SIGNALS])

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before]


def test_what_is_ignored_stays_ignored():
    """As nohup starts a command: a terminal that closes ends nothing."""
    before = signal.signal(HUP, signal.SIG_IGN)
    try:
        with heard() as poll:
            assert signal.getsignal(HUP) is signal.SIG_IGN
            signal.raise_signal(HUP)
            poll()
    finally:
        signal.signal(HUP, before)


NOTEBOOK = {
    "task": "binary",
    "data": {"source": "breast_cancer"},
    "model": {"hidden": [8]},
    "training": {"epochs": 4, "batch_size": 64},
    "checkpoints": {"every_steps": 3},
    "report": False,
}


def trained(directory, **calling):
    jaxnet.train(NOTEBOOK, run_dir=directory, resume=True, progress=False, **calling)
    return signalling.hashes(directory)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a run in this process leaves that nothing disturbed."""
    return trained(tmp_path_factory.mktemp("alone") / "run")


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("jaxnet.training.fit._measured", 2),
        ("jaxnet.files._write_all", 200),
        ("jaxnet.judge.calibrate", 1),
    ],
)
def test_ctrl_c_in_a_notebook_leaves_a_run_that_goes_on(place, call, alone, tmp_path, monkeypatch):
    module, _, name = place.rpartition(".")
    original, left = getattr(sys.modules[module], name), [call]

    def struck(*args, **options):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(INT)
        return original(*args, **options)

    monkeypatch.setattr(sys.modules[module], name, struck)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "run")
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["state"], status["error"]) == ("stopped", "interrupted")
    assert list((tmp_path / "run/checkpoints").glob("last-*"))
    assert signalling.temporary(tmp_path) == []
    assert trained(tmp_path / "run") == alone


def test_in_a_thread_a_run_trains_and_stops_by_its_own_poll(alone, tmp_path):
    ends, polls = [], iter(range(6))

    def poll():
        if next(polls, None) is None:
            raise Stopped(TERM)

    def run(**calling):
        try:
            ends.append(trained(tmp_path / "run", **calling))
        except Stopped as stop:
            ends.append(stop.exit_code)

    for calling in ({"calling": Calling(progress=False, poll=poll)}, {}):
        thread = threading.Thread(target=run, kwargs=calling)
        thread.start()
        thread.join()
    assert ends == [75, alone]
