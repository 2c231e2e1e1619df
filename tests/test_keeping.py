"""When a run saves, and what."""

import math

import jax.numpy as jnp
import pytest

from jaxnet.config.schema import CheckpointsConfig
from jaxnet.errors import NonFiniteError
from jaxnet.keeping import Keeper
from jaxnet.outputs import checkpoints
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


def names(run):
    return (
        sorted(path.name for path in run.checkpoints.glob("*")) if run.checkpoints.is_dir() else []
    )


def test_a_run_saves_after_its_time_and_its_steps_and_not_twice_at_one_place(run):
    kept = keeper(run, at(0), saved=False, seconds=[0, 29, 30, 30], every_seconds=30)
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
