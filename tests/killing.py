"""Runs killed with SIGKILL again and again, compared with one that nothing disturbed.

The command is the real one, in processes of its own, given again until it ends by itself. A process
is killed at an instant by chance, or inside a save: as soon as the n-th temporary file stands among
its checkpoints. That such a kill hit is not taken for granted: the temporary file must be left.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from jaxnet.outputs import run_list
from jaxnet.resume import NO_CHECKPOINT
from tests.kill_cases import COMMAND, Case, events, half_written, problems, start, train_words

HAD_FINISHED = "this run has finished; for more epochs: training.epochs=N\n"
AIMED = 0.5  # of the processes are to be killed inside a save


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        code: 0, or -9 for one that was killed.
        said: on standard error.
        restarted: it said that it found no checkpoint, and there was none.
        in_save: it left a temporary file among the checkpoints.
        elsewhere: it left one elsewhere in the run directory.
    """

    code: int
    said: str
    restarted: bool
    in_save: bool
    elsewhere: bool


class Figures(NamedTuple):
    """Of one campaign, or of several.

    Attributes:
        kills, in_saves: kills in all; those that left half a checkpoint.
        elsewhere: those that left another half file.
        aimed: processes that were to be killed inside a save.
        damage: processes that found a damaged checkpoint.
        resumed: processes that went on from a checkpoint.
        runs: that came to their end and were compared.
        wrong: what was found, a line each.
        productive, total: seconds of the runs, as `jaxnet runs` reports them.
    """

    kills: int = 0
    in_saves: int = 0
    elsewhere: int = 0
    aimed: int = 0
    damage: int = 0
    resumed: int = 0
    runs: int = 0
    wrong: tuple[str, ...] = ()
    productive: float = 0.0
    total: float = 0.0

    def plus(self, other: Figures) -> Figures:
        return Figures(*(a + b for a, b in zip(self, other, strict=True)))


Wait = Callable[[subprocess.Popen[str], Path], None]  # until it is time, or the process has ended
# Figures of this run so far -> when to kill the next process, and whether that is inside a save.
Draw = Callable[[Figures], tuple[Wait, bool]]


def to_its_end(process: subprocess.Popen[str], _run: Path) -> None:
    process.wait()


def at(seconds: float) -> Wait:
    """Kill so long after the start."""

    def wait(process: subprocess.Popen[str], _run: Path) -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)

    return wait


def in_save(number: int) -> Wait:
    """Kill once so many temporary files of this process have appeared among the checkpoints."""

    def wait(process: subprocess.Popen[str], run: Path) -> None:
        folder, seen, left = run / "checkpoints", temporary(run / "checkpoints"), number
        while process.poll() is None:
            new = temporary(folder) - seen
            left -= len(new)
            if left <= 0:
                return
            seen |= new
            time.sleep(0.0001)

    return wait


def temporary(folder: Path) -> set[str]:
    """Names of half-written files in a folder."""
    try:
        return {name for name in os.listdir(folder) if name.startswith(".tmp-")}
    except FileNotFoundError:
        return set()


def process(
    case: Case, run: Path, cache: Path, wait: Wait, command: Sequence[str] = COMMAND
) -> Ended:
    """Give the command once, and kill its process group when it is time."""
    before = half_written(run)
    had_none = not any((run / "checkpoints").glob("last-*"))
    with tempfile.TemporaryFile("w+") as said:
        one = start(command, train_words(case, run), cache, said)
        try:
            wait(one, run)
        finally:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        said.seek(0)
        text = said.read()
    restarted = had_none and text.endswith(f"{NO_CHECKPOINT}\n") and text.count("\n") == 1
    left = half_written(run) - before if one.returncode else set()
    inside = {path for path in left if path.parent.name == "checkpoints"}
    return Ended(one.returncode, text, restarted, bool(inside), bool(left - inside))


def kill_and_compare(
    case: Case, run: Path, cache: Path, draw: Draw, commands: Iterable[Sequence[str]]
) -> Figures:
    """Kill a run until a process of it ends by itself; then compare what it left.

    Args:
        draw: when to kill the next process.
        commands: what to start, for each process.
    """
    figures = Figures()
    for command in commands:
        wait, aimed = draw(figures)
        ended = process(case, run, cache, wait, command)
        figures = figures.plus(_counted(ended, aimed))
        if not _is_quiet(ended) or ended.code not in (0, -signal.SIGKILL):
            text = f"a process ended with {ended.code} and said: {ended.said.strip()}"
            figures = figures._replace(wrong=(*figures.wrong, text))
        if ended.code != -signal.SIGKILL:
            break
    if ended.code:
        return figures
    found = run_list.describe(run)
    return figures._replace(
        resumed=events(run).count("resumed"),
        runs=1,
        wrong=(*figures.wrong, *problems(case, run)),
        productive=found.productive or 0.0,
        total=found.total or 0.0,
    )


def _is_quiet(ended: Ended) -> bool:
    """Nothing said, or only that all was done (the kill came after that, before the end), or that
    nothing was (the kill came before the first save)."""
    if not ended.said or ended.restarted:
        return True
    return HAD_FINISHED in ended.said and ended.said.count("\n") == 1


def _counted(ended: Ended, aimed: bool) -> Figures:
    killed = ended.code == -signal.SIGKILL
    return Figures(
        kills=int(killed),
        in_saves=int(killed and ended.in_save),
        elsewhere=int(killed and ended.elsewhere),
        aimed=int(aimed),
        damage=int("is damaged" in ended.said),
    )


def campaign(case: Case, *, kills: int, in_saves: int, seed: str) -> Figures:
    """Run after run, until there were so many kills, so many of them inside a save.

    The compilation cache is empty at first, so that kills fall while programs are written to it.

    Args:
        seed: the same instants each time, as far as the machine keeps time.
    """
    drawn, folder = random.Random(f"{case.task} {seed}"), case.folder / f"campaign-{seed}"
    done = Figures()

    def enough(figures: Figures) -> bool:
        return figures.kills >= kills and figures.in_saves >= in_saves

    def draw(this_run: Figures) -> tuple[Wait, bool]:
        now = done.plus(this_run)
        if enough(now):
            return to_its_end, False
        instant, number = drawn.random(), drawn.randint(1, max(case.saves // 4, 1))
        aimed = drawn.random() < AIMED or now.kills >= kills
        return (in_save(number), True) if aimed else (at(instant * case.seconds), False)

    while not enough(done) and not done.wrong and done.runs < kills:  # where no kill hits it ends
        run = folder / f"run-{done.runs}"
        one = kill_and_compare(case, run, folder / "cache", draw, repeat(COMMAND))
        done = done.plus(one)
        if not one.wrong:
            shutil.rmtree(run)
    return done
