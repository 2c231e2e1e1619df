#!/usr/bin/env python
"""Make run directories of this version, which every later version must be able to use.

    .venv/bin/python scripts/make_old_run.py [FOLDER]     (default: tests/fixtures)

Type it once a release, before the tag, and commit what it makes; tests/test_old_runs.py looks at
all that is there. Nothing is ever overwritten: a run of an old version cannot be made again.

    FOLDER/rows.csv           the table of all of them, made the first time
    FOLDER/run-0.1/           a run that was stopped in its midst, with checkpoints
    FOLDER/finished-0.1/      the same run, undisturbed
    FOLDER/predicted-0.1.csv  what its model predicts for the table
    FOLDER/states-0.1/        a checkpoint of each optimizer, after some updates of a tiny network

The two runs are tiny: a table of 90 rows, some steps, no report. What tells of this machine is
taken out: the lock files and, in config.resolved.yaml, the folder.
"""

import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.cli.main import main as command
from jaxnet.errors import Stopped
from jaxnet.outputs import checkpoint_file
from jaxnet.run import Calling
from jaxnet.training import epoch
from jaxnet.training.epoch import Program
from jaxnet.training.optimizer import SCALINGS, Optimizer
from jaxnet.training.snapshot import Best, Snapshot, beginning, pack
from jaxnet.training.state import State, begin, hyper

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
STOPPED_AFTER = "last-000000014.safetensors"  # at the next update, amidst the fourth epoch
ELSEWHERE = "/no/longer/there"  # where the run's data lay
CONFIG = """\
# A run of an old version; its table is rows.csv, beside it.
task: multiclass
data: {train: rows.csv, target: kind}
model: {hidden: [4], dropout: 0.1}
training: {epochs: 6, batch_size: 16, seed: 3}
optimizer: {learning_rate: 3e-3}
checkpoints: {every_steps: 1, keep: 2}
report: false
"""


def table() -> str:
    """Numbers with gaps, few categories, more categories than one-hot takes, three classes."""
    draw = random.Random(0)
    rows = [["width", "height", "size", "place", "kind"]]
    for index in range(90):
        kind = index % 3
        width, height = (f"{kind + draw.gauss(0, 0.7):.3f}" for _ in range(2))
        size = draw.choice(["small", "large", "huge"][: kind + 1])
        place = f"p{draw.randrange(12):02d}"
        rows.append([width, "" if index % 11 == 5 else height, size, place, "abc"[kind]])
    return "".join(f"{','.join(row)}\n" for row in rows)


def train(folder: Path, name: str, poll: Callable[[], None]) -> Path:
    """A run in the folder, without progress."""
    words = f"jaxnet train old.yaml --run-dir {name}"
    calling = Calling(progress=False, poll=poll, command=words)
    jaxnet.train(folder / "old.yaml", run_dir=folder / name, calling=calling)
    return folder / name


def train_until_stopped(folder: Path, name: str) -> Path:
    """A run that a signal stops, so that it leaves a checkpoint in the midst of an epoch."""

    def poll() -> None:
        if (folder / name / "checkpoints" / STOPPED_AFTER).exists():
            raise Stopped(signal.SIGTERM)

    try:
        train(folder, name, poll)
    except Stopped:
        return folder / name
    raise AssertionError("the run came to its end: nothing stopped it")


def program(optimizer: Optimizer) -> Program:
    """What the states were trained with."""
    return Program("categorical_cross_entropy", optimizer=optimizer, batch_size=4)


OPTIMIZERS = {
    **{name: Optimizer(name) for name in SCALINGS},
    "averaged": Optimizer("adamw", ema=0.9),
}


def first_state(optimizer: Optimizer) -> State:
    """Of three columns, a table of categories, one hidden layer and two classes."""
    rates = hyper(learning_rate=0.1, weight_decay=0.01, total_steps=9)
    return begin((4, 3, 2), optimizer, rates, seed=0, embeddings=((5, 2),))


def trained(optimizer: Optimizer) -> Snapshot:
    """After three updates, the best parameters those before the last."""
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    x[:, 3] = np.arange(8) % 5
    order = np.arange(8, dtype=np.int32).reshape(2, 4)
    step, state = epoch.compiled(program(optimizer)), first_state(optimizer)
    for count in (2, 1):
        best = Best(0.5, 1, jax.tree.map(jnp.copy, state.params))
        state, _ = step(state, x, np.arange(8, dtype=np.int32) % 2, order, count)
    record = {"epoch": 1, "step": 2, "train_loss": 0.5}
    return beginning(state)._replace(best=best, records=[record])


def make_states(folder: Path) -> None:
    """A file for each optimizer; plain sgd without best parameters."""
    folder.mkdir()
    for name, optimizer in OPTIMIZERS.items():
        found = trained(optimizer)
        found = found._replace(best=None) if name == "sgd" else found
        (folder / f"{name}.safetensors").write_bytes(checkpoint_file.encode(*pack(found)))


def neutral(run: Path, folder: Path) -> None:
    """Take out what tells of this machine."""
    (run / ".lock").unlink()
    resolved = run / "config.resolved.yaml"
    resolved.write_text(resolved.read_text("utf-8").replace(str(folder), ELSEWHERE), "utf-8")
    for path in run.rglob("*"):
        assert not path.is_file() or str(folder).encode() not in path.read_bytes(), path


def main() -> None:
    """Make what is not there yet."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES
    version = ".".join(jaxnet.__version__.split(".")[:2])
    names = (f"run-{version}", f"finished-{version}", f"predicted-{version}.csv")
    if not (target / f"states-{version}").exists():
        target.mkdir(parents=True, exist_ok=True)
        make_states(target / f"states-{version}")
        print(target / f"states-{version}")
    if there := [name for name in names if (target / name).exists()]:
        raise SystemExit(f"{target / there[0]} is there already, and is not made again")
    target.mkdir(parents=True, exist_ok=True)
    rows = target / "rows.csv"
    if not rows.exists():
        rows.write_text(table(), "utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        shutil.copy(rows, folder)
        (folder / "old.yaml").write_text(CONFIG, "utf-8")
        stopped = train_until_stopped(folder, names[0])
        finished = train(folder, names[1], lambda: None)
        predicted = folder / names[2]
        assert command(["predict", str(finished), str(rows), "--output", str(predicted)]) == 0
        for run in (stopped, finished):
            neutral(run, folder)
            shutil.copytree(run, target / run.name)
        shutil.copy(predicted, target)
    for name in names:
        print(target / name)


if __name__ == "__main__":
    main()
