"""Runs killed with SIGKILL at any instant, and given again, leave what an undisturbed run leaves.

`scripts/soak_kill.py` does the same a thousand times. A run that was restored wrongly is noticed:
the faults of tests/kill_mutants.py are planted.
"""

import shutil
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxnet.outputs.records import read_lines
from tests import killing
from tests.kill_cases import COMMAND, CONFIGS, PREDICTIONS, SAME, Case, prepare
from tests.killing import Figures


class Killed(NamedTuple):
    """A run that was killed once: the line of an epoch was written, and no checkpoint after it.

    Attributes:
        step: at which it died.
        run: the directory.
    """

    step: int
    run: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return prepare("multiclass", tmp_path_factory.mktemp("mutants") / "multiclass")


@pytest.fixture(scope="module")
def early(case: Case) -> Killed:
    """Killed after its second epoch."""
    return killed(case, epoch=2)


@pytest.fixture(scope="module")
def late(case: Case) -> Killed:
    """Killed after an epoch that was worse than the best one, which is the one before."""
    return killed(case, epoch=read_lines(case.folder / "warm" / "events.jsonl")[-1]["epoch"] + 1)


def killed(case: Case, *, epoch: int) -> Killed:
    step = read_lines(case.folder / "warm" / "metrics.jsonl")[epoch - 1]["step"] + 1
    run = case.folder / f"killed-{step}"
    done = once(case, run, "none", step)
    assert (done.kills, done.wrong) == (1, ())
    assert len(read_lines(run / "metrics.jsonl")) == epoch
    return Killed(step, run)


def once(case: Case, run: Path, fault: str, step: int = 0) -> Figures:
    """One process of the mutant, and what is wrong with the run if that ended it."""
    command = ("-m", "tests.kill_mutants", fault, str(step))
    return killing.kill_and_compare(case, run, case.folder / "cache", unharmed, [command])


def unharmed(_figures: Figures) -> tuple[killing.Wait, bool]:
    return killing.to_its_end, False


def gone_on(case: Case, before: Killed, fault: str) -> Sequence[str]:
    """What is wrong with a run that went on after a kill with a fault planted."""
    run = case.folder / f"{fault}-{before.step}"
    shutil.copytree(before.run, run)
    done = once(case, run, fault)
    assert done.kills == 0
    return done.wrong


@pytest.mark.long
def test_killed_inside_a_save_a_run_leaves_the_same(case: Case) -> None:
    def draw(done: Figures) -> tuple[killing.Wait, bool]:
        again = done.in_saves < 1 and done.kills < 8  # one that comes too late hits no save
        return (killing.in_save(2), True) if again else (killing.to_its_end, False)

    run, cache = case.folder / "killed", case.folder / "cache"
    done = killing.kill_and_compare(case, run, cache, draw, repeat(COMMAND))
    assert done.wrong == ()
    assert done.runs == 1
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


EVERYTHING = {f"{name} differs" for name in (*SAME, PREDICTIONS)}


@pytest.mark.thorough
def test_without_a_fault_nothing_is_wrong(case: Case, late: Killed) -> None:
    assert gone_on(case, late, "none") == ()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "fault", ["position_off_by_one", "moments_forgotten", "average_forgotten", "order_of_epoch_0"]
)
def test_a_state_restored_wrongly_is_caught(case: Case, early: Killed, fault: str) -> None:
    assert set(gone_on(case, early, fault)) == EVERYTHING


@pytest.mark.thorough
def test_best_parameters_forgotten_are_caught(case: Case, late: Killed) -> None:
    assert set(gone_on(case, late, "best_forgotten")) == EVERYTHING


@pytest.mark.thorough
def test_a_loss_begun_anew_within_an_epoch_is_caught(case: Case, early: Killed) -> None:
    assert gone_on(case, early, "loss_forgotten") == ("metrics.jsonl differs",)


@pytest.mark.thorough
def test_a_scalar_that_came_back_with_a_shape_is_refused(case: Case, early: Killed) -> None:
    (said,) = gone_on(case, early, "scalars_get_a_shape")
    assert "of shape (1,), and this network has int32 of shape ()" in said


@pytest.mark.thorough
def test_checkpoints_written_in_place_are_caught(case: Case, early: Killed) -> None:
    run = case.folder / "in place"
    assert once(case, run, "written_in_place", early.step).kills == 1
    done = once(case, run, "written_in_place")
    assert done.damage == 1
    assert "is damaged" in done.wrong[0]


@pytest.mark.thorough
def test_lines_of_epochs_that_run_again_are_caught(case: Case, early: Killed) -> None:
    differs, twice = gone_on(case, early, "lines_stay")
    assert differs == "metrics.jsonl differs"
    assert twice.startswith("metrics.jsonl has the epochs [1, 2, 2, 3")
