"""When a run saves, and what."""

import math

import jax
import jax.numpy as jnp
import ml_dtypes  # noqa: F401 - gives numpy its name of bfloat16
import numpy as np
import pytest

from jaxnet.config.schema import CheckpointsConfig
from jaxnet.errors import NonFiniteError, RunFailed, Stopped
from jaxnet.keeping import _NUMBERS, Keeper, _refuse_not_finite
from jaxnet.outputs import checkpoints, records
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import state as states
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.snapshot import Best, beginning

RECORD = {"epoch": 1, "step": 2, "train_loss": 0.5}


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path)


def at(step, best=True):
    """A run after so many steps, two an epoch, whose first epoch was the best."""
    state = states.begin(
        (2, 3, 1), Optimizer("sgd"), states.hyper(learning_rate=0.1, total_steps=9), seed=0
    )
    kept = Best(0.5, 1, state.params) if best else None
    start = beginning(state._replace(step=state.step + step))
    return start._replace(best=kept, records=[RECORD] * (step // 2))


def keeper(run, start, *, saved, seconds=None, **settings):
    clock = iter(seconds) if seconds is not None else iter(lambda: 0.0, math.inf)
    given = CheckpointsConfig(**settings)
    return Keeper(run, given, {}, poll=lambda: None, start=start, saved=saved, clock=clock.__next__)


def timed(run, clock, **settings):
    return Keeper(
        run,
        CheckpointsConfig(keep=9, **settings),
        {},
        poll=lambda: None,
        start=at(0, best=False),
        saved=False,
        clock=clock,
    )


def names(run):
    return (
        sorted(path.name for path in run.checkpoints.glob("*")) if run.checkpoints.is_dir() else []
    )


def test_a_run_saves_after_its_time_and_its_steps_and_not_twice_at_one_place(run):
    kept = keeper(run, at(0), saved=False, seconds=[0, 29, 30, 30, 31], every_seconds=30)
    kept.between(at(2))
    assert names(run) == []
    kept.between(at(3))
    kept.save(at(3))
    assert [name for name in names(run) if "last" in name] == ["last-000000003.safetensors"]
    by_steps = keeper(run, at(3), saved=True, every_seconds=None, every_steps=4)
    by_steps.between(at(3))
    by_steps.between(at(5))  # 4 lies between them
    by_steps.between(at(6))
    assert [name for name in names(run) if "last" in name][1:] == ["last-000000005.safetensors"]


class Clock:
    """A clock that is set, and goes on by itself while a checkpoint is written."""

    def __init__(self, monkeypatch, takes):
        self.now, real = 0.0, checkpoints.save

        def save(*args):
            self.now += takes
            return real(*args)

        monkeypatch.setattr(checkpoints, "save", save)

    def __call__(self):
        return self.now


def test_saves_by_time_take_a_twentieth_of_a_run_at_most(run, monkeypatch):
    """However long one takes: here 10 seconds, when one every 30 seconds is asked for."""
    clock = Clock(monkeypatch, takes=10)
    kept = timed(run, clock, every_seconds=30)
    ended, steps = [], 1
    while len(ended) < 4:
        before, clock.now = clock.now + 1, clock.now + 1
        kept.between(at(steps, best=False))
        if clock.now > before:
            ended.append(clock.now)
        steps += 1
    assert ended == [40, 240, 440, 640]


def test_quick_saves_come_after_the_time_that_is_asked_for(run, monkeypatch):
    clock = Clock(monkeypatch, takes=1)
    kept = timed(run, clock, every_seconds=30)
    found = []
    for step, clock.now in enumerate((30, 60, 61, 92), 1):  # they end at 31, 62, 93
        kept.between(at(step, best=False))
        found.append(len(names(run)))
    assert found == [1, 1, 2, 3]


def test_saves_by_steps_and_at_the_end_wait_for_nothing(run, monkeypatch):
    clock = Clock(monkeypatch, takes=1000)
    kept = timed(run, clock, every_seconds=30, every_steps=2)
    for step in (2, 3, 4):
        kept.between(at(step, best=False))
    assert names(run) == [checkpoints.name_of("last", step) for step in (2, 4)]
    kept.save(at(5, best=False))

    def stop():
        raise Stopped(15)

    kept._poll = stop
    with pytest.raises(Stopped) as stopped:
        kept.between(at(7, best=False))
    assert stopped.value.saved == str(run.path)
    assert names(run) == [checkpoints.name_of("last", step) for step in (2, 4, 5, 7)]


def test_after_a_save_the_next_step_writes_into_the_same_memory(run):
    """Whoever holds on to what was saved makes every step copy the state."""
    now = at(2)
    kept = keeper(run, at(0), saved=False)
    before = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(now.state.moments)]
    params = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(now.state.params)]
    kept.save(now)
    state, now = now.state._replace(seed=jnp.uint32(1)), None
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    after = step((state.params, state.moments))
    assert [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(after)] == params + before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("place", [0, -1, _NUMBERS - 1, _NUMBERS])
def test_one_number_in_a_large_array_is_found(dtype, place):
    array = np.zeros(2 * _NUMBERS + 3, dtype).reshape(1, -1)
    _refuse_not_finite({"state.params": array}, 7)
    for value in (np.inf, -np.inf, np.nan):
        array.flat[place] = value
        with pytest.raises(NonFiniteError, match="params is not finite after step 7"):
            _refuse_not_finite({"state.params": array}, 7)
        _refuse_not_finite({"records": array, "best.value": array}, 7)


def test_a_state_that_is_not_finite_is_never_saved(run):
    now = at(2)
    network = now.state.params
    layer = network.layers[0]
    broken = layer._replace(W=layer.W.at[0, 0].set(jnp.nan))
    spoiled = network._replace(layers=(broken, *network.layers[1:]))
    with pytest.raises(NonFiniteError, match="is not finite after step 2; lower optimizer") as it:
        keeper(run, at(0), saved=False).save(now._replace(state=now.state._replace(params=spoiled)))
    assert it.value.step == 2
    assert names(run) == []


def test_a_run_that_goes_on_writes_its_best_parameters_again(run):
    """The file may have been damaged while the run lay still; nobody would write it again."""
    keeper(run, at(0), saved=False).save(at(2))
    best = run.checkpoints / "best-000000002.safetensors"
    best.write_bytes(best.read_bytes()[:-1])
    keeper(run, at(2), saved=True).save(at(3))
    assert checkpoints.survey(run.checkpoints).damaged == ()


OURS = {"config": {"training": {"seed": 0, "epochs": 5}}, "hashes": {"schema": "s", "data": "d"}}
THEIRS = {**OURS, "hashes": {"schema": "s", "data": "of other rows"}}


def put(run, step, facts, kind="last"):
    checkpoints.save(run.checkpoints, kind, {}, {**facts, "step": step, "seconds": 0.0})
    return run.checkpoints / checkpoints.name_of(kind, step)


def of_run(run, facts=OURS, *, start=0):
    settings = CheckpointsConfig(keep=2)
    start = at(start, best=False)
    return Keeper(run, settings, facts, poll=lambda: None, start=start, saved=False)


def test_only_checkpoints_of_the_run_are_removed_or_written_anew(run):
    longer = {**OURS, "config": {"training": {"seed": 0, "epochs": 9}}}
    seeded = {**OURS, "config": {"training": {"seed": 1, "epochs": 5}}}
    others = [put(run, 1, THEIRS), put(run, 2, seeded), put(run, 3, THEIRS, "best")]
    garbage = run.checkpoints / checkpoints.name_of("last", 4)
    garbage.write_bytes(b"somebody's own")
    own = put(run, 5, longer)  # a process killed before it could say so
    recorded = run.checkpoints / checkpoints.name_of("last", 6)
    recorded.write_bytes(b"damaged since")
    records.append_event(run, "checkpoint", step=6, name=recorded.name)
    before = {path: path.read_bytes() for path in (*others, garbage)}
    now = of_run(run)
    for step in (7, 8, 9):
        now.save(at(step))
    assert not own.exists()
    assert not recorded.exists()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_of_another_run_in_the_place_of_a_checkpoint_stays(linked, run, tmp_path):
    if linked:
        (tmp_path / "elsewhere").mkdir()
        run.checkpoints.symlink_to(tmp_path / "elsewhere")
    theirs = put(run, 6, THEIRS).read_bytes()
    now = of_run(run)
    now.save(at(5, best=False))
    with pytest.raises(RunFailed, match=r"this run did not write that file.*move it"):
        now.save(at(6, best=False))
    assert (run.checkpoints / checkpoints.name_of("last", 6)).read_bytes() == theirs
    assert not list(run.checkpoints.glob(".tmp-*"))


def test_two_runs_with_one_folder_remove_nothing_of_each_other(run, tmp_path):
    other = RunDirectory(tmp_path / "other")
    other.path.mkdir()
    run.checkpoints.mkdir()
    other.checkpoints.symlink_to(run.checkpoints)
    for step in (1, 2, 3):
        put(run, step, OURS)
        records.append_event(other, "checkpoint", step=step, name=checkpoints.name_of("last", step))
    before = names(run)
    now = of_run(other)
    for step in (3, 4, 5, 6):  # the third has the same bits
        now.save(at(step, best=False))
    assert set(names(run)) == {*before, *(checkpoints.name_of("last", step) for step in (5, 6))}
