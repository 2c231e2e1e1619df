"""Killed or without power at any instant of a save, the checkpoint before it or itself is found.

What looks for failures is held to find them: it is run on versions of the code that are wrong.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jaxnet.outputs import checkpoints
from tests.outputs import disk_model, system_calls
from tests.outputs.disk_model import Disk, Event

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",  # which would be calls that are not ours
    "OPENBLAS_NUM_THREADS": "1",
}
SAVES = [("last", 10), ("last", 20), ("best", 20), ("last", 30), ("best", 40), ("last", 40)]


def campaign(folder: Path, *words: str) -> tuple[int, list[str]]:
    """How many processes were killed, and what was wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.outputs.kill_campaign", folder, *words],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    killed, *found = done.stdout.splitlines()
    return int(killed), found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_at_every_call(tmp_path: Path) -> None:
    killed, found = campaign(tmp_path)
    assert found == []
    assert killed > 80


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(
    ("mutant", "symptom"),
    [
        ("in place", r"half call \d+, write: damaged: .*cut short"),
        ("remove first", r"the best: .* None is none of \[20, 30\]"),
    ],
)
def test_kills_find_what_is_wrong(tmp_path: Path, mutant: str, symptom: str) -> None:
    assert any(re.search(symptom, line) for line in campaign(tmp_path, mutant, "the best")[1])


def saves(folder: Path) -> list[Event]:
    """The calls of a run of saves, from no directory at all."""

    def work(mark: Any) -> None:
        for kind, step in SAVES:
            mark("begin", (kind, step))
            system_calls.save(folder / "checkpoints", kind, step)
            mark("returned", (kind, step))

    folder.mkdir()
    return disk_model.record(folder, work)


def losses(events: list[Event], folder: Path) -> Iterator[str]:
    """What is wrong after power losses: at each call, all that may be on the disk."""
    disk, seen = Disk(), set()
    steps: dict[str, list[int | None]] = {kind: [None] for kind in checkpoints.KINDS}
    done: dict[str, int] = dict.fromkeys(checkpoints.KINDS, 0)
    for number, event in enumerate(events):
        if event.name == "begin":
            kind, step = event.value
            steps[kind] = [*steps[kind][-1:], step]
        elif event.name == "returned":
            kind, step = event.value
            steps[kind] = [step]
            done[kind] += 1
        else:
            disk.apply(event)
        for found in disk.after_power_loss():
            case = (found, str(steps))
            if case in seen:
                continue
            seen.add(case)
            root = folder / "root"
            disk_model.lay_out(found, root)
            wrong = system_calls.verdict(root / "checkpoints", steps)
            whole = [path for path, _ in found if "/last-" in path]
            if wrong is None and len(whole) < min(2, done["last"]):
                wrong = f"only {whole} are kept"
            wrong = wrong or after_that(root / "checkpoints")
            if wrong:
                yield f"call {number} ({event.name}), {steps}: {wrong}"
            shutil.rmtree(root)
    assert len(seen) > 50


def after_that(directory: Path) -> str | None:
    """The next save works, and removes what was left."""
    path = system_calls.save(directory, "last", 90)
    names = os.listdir(directory)
    if path.name not in names or any(name.startswith(".") for name in names):
        return f"the next save leaves {sorted(names)}"
    return None


def test_power_lost_at_every_call(tmp_path: Path) -> None:
    assert list(losses(saves(tmp_path / "real"), tmp_path)) == []


@pytest.mark.parametrize("mutant", ["no fsync of files", "no fsync of names", "in place"])
def test_power_losses_find_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    if mutant == "in place":
        monkeypatch.setattr(checkpoints, "write_atomic", system_calls.write_in_place)
    events = saves(tmp_path / "real")
    if mutant != "in place":
        kind = int if mutant == "no fsync of files" else str
        events = [e for e in events if e.name != "fsync" or not isinstance(e.place, kind)]
    assert next(losses(events, tmp_path), None)


STRACED = """
import os
import sys
from pathlib import Path
from tests.outputs.system_calls import save
for step in (10, 20, 30):
    save(Path(sys.argv[1]), "last", step)
    os.write(1, b"%d\\n" % step)
"""
# A call that some architectures lack is not asked for there.
TRACED = {"fsync": 9, "write": 12, "?rename,?renameat,?renameat2": 3, "?unlink,?unlinkat": 1}


def straced(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Three saves under strace."""
    command = ["strace", "-f", "-qq", "-o", folder.with_suffix(".log"), *words]
    return subprocess.run(
        [*command, sys.executable, "-c", STRACED, folder],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on this system")
def test_killed_by_the_system_at_its_calls(tmp_path: Path) -> None:
    calm = straced(tmp_path / "calm", "-e", f"trace={','.join(TRACED)}")
    if calm.returncode != 0:
        pytest.skip(f"strace is not permitted here: {calm.stderr}")
    log = (tmp_path / "calm.log").read_text()
    for calls, number in TRACED.items():
        names = [name.strip("?") for name in calls.split(",")]
        assert len(re.findall(rf"^\d+ +({'|'.join(names)})\(", log, re.M)) == number, log
        for when in range(1, number + 1):
            folder = tmp_path / f"{names[0]}-{when}"
            kill = f"inject={calls}:signal=SIGKILL:when={when}"
            killed = straced(folder, "-e", f"trace={calls}", "-e", kill)
            assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
            said = [int(line) for line in killed.stdout.split()]
            last = said[-1] if said else 0
            allowed = {"last": {last or None, last + 10}, "best": {None}}
            assert system_calls.verdict(folder, allowed) is None, kill
