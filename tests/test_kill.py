"""Runs killed with SIGKILL at any instant, and given again, leave what an undisturbed run leaves.

`scripts/soak_kill.py` does the same a thousand times; more faults that it must notice are in
tests/kill_faults.py.
"""

from itertools import repeat
from pathlib import Path

import pytest

from tests import killing
from tests.kill_cases import COMMAND, CONFIGS, Case, prepare
from tests.kill_faults import EVERYTHING, Killed, case, early, gone_on
from tests.killing import Figures

__all__ = ("case", "early")  # fixtures


def test_killed_in_one_save_after_another_a_run_leaves_the_same(case: Case) -> None:
    def draw(done: Figures) -> tuple[killing.Wait, bool]:
        return (killing.in_save(2), True) if done.kills < 2 else (killing.to_its_end, False)

    run, cache = case.folder / "twice", case.folder / "cache"
    done = killing.kill_and_compare(case, run, cache, draw, repeat(COMMAND))
    assert done.wrong == ()
    assert (done.kills, done.runs) == (2, 1)
    assert done.in_saves >= 1
    assert done.resumed >= 1


@pytest.mark.thorough
@pytest.mark.parametrize("task", CONFIGS)
def test_killed_again_and_again_a_run_leaves_the_same(task: str, tmp_path: Path) -> None:
    case = prepare(task, tmp_path / task)
    done = killing.campaign(case, kills=6, in_saves=2, seed="0")
    assert done.wrong == ()
    assert done.kills >= 6
    assert done.in_saves >= 2
    assert done.runs >= 1


@pytest.mark.thorough
def test_without_a_fault_nothing_is_wrong(case: Case, early: Killed) -> None:
    assert gone_on(case, early, "none") == ()


def test_a_state_restored_wrongly_is_caught(case: Case, early: Killed) -> None:
    assert set(gone_on(case, early, "position_off_by_one")) == EVERYTHING


@pytest.mark.thorough
def test_lines_of_epochs_that_run_again_are_caught(case: Case, early: Killed) -> None:
    differs, twice = gone_on(case, early, "lines_stay")
    assert differs == "metrics.jsonl differs"
    assert twice.startswith("metrics.jsonl has the epochs [1, 2, 2, 3")
