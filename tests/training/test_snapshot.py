"""A run that goes on from a snapshot ends with the bits of one that was never disturbed."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import CheckpointError
from jaxnet.outputs import checkpoint_file
from jaxnet.training import snapshot as snapshots
from jaxnet.training import state as states
from jaxnet.training.epoch import Program
from jaxnet.training.fit import Plan, Rows, Stopping, Watch, fit
from jaxnet.training.optimizer import Optimizer, Schedule
from jaxnet.training.snapshot import beginning, pack, unpack
from tests.tiers import usual

EPOCHS, PER_EPOCH = 8, 8  # 64 steps
ROWS, BATCH, FEATURES = 61, 8, 5
# task -> loss, output activation, outputs
TASKS = {
    "binary": ("binary_cross_entropy", "sigmoid", 1),
    "multiclass": ("categorical_cross_entropy", "softmax", 3),
    "multilabel": ("multilabel_cross_entropy", "sigmoid", 4),
}
OPTIMIZERS = {
    "adamw": Optimizer("adamw", schedule=Schedule("cosine"), ema=0.9),
    "momentum": Optimizer("momentum", schedule=Schedule("warmup_cosine"), clip_norm=1.0),
    "lion": Optimizer("lion"),
}


class Stop(Exception):
    pass


def rows(task, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    x[:, -1] = rng.integers(0, 6, ROWS)  # codes of an embedded column
    if task == "multiclass":
        return Rows(x, ((x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 0)))
    labels = x @ rng.normal(size=(FEATURES, TASKS[task][2])) > 0
    return Rows(x, labels.astype(np.float32))


def given(task, optimizer):
    loss, _, outputs = TASKS[task]
    program = Program(loss, optimizer=OPTIMIZERS[optimizer], batch_size=BATCH)
    rates = states.hyper(
        learning_rate=0.02, weight_decay=0.01, dropout=0.2, total_steps=EPOCHS * PER_EPOCH
    )
    first = states.begin(
        (FEATURES, 12, outputs),
        program.optimizer,
        rates,
        seed=7,
        embeddings=((6, 3),),
        numeric=(2, 2),
    )
    return program, first


def train(task, optimizer, start=None, **watch):
    program, first = given(task, optimizer)
    return fit(
        program,
        beginning(first) if start is None else start,
        rows(task, 0),
        rows(task, 1),
        Plan(EPOCHS, Stopping("log_loss", 3), every_steps=(1,)),
        task=task,
        activation=TASKS[task][1],
        watch=Watch(**watch),
    )


def every_snapshot(task, optimizer):
    """Checkpoints at every step of a run, two where an epoch ends, through their file format."""
    kept = []
    whole = train(
        task, optimizer, between=lambda now: kept.append(checkpoint_file.encode(*pack(now)))
    )
    return whole, [checkpoint_file.decode(content) for content in kept]


def facts_of(fitted):
    arrays, facts = pack(fitted.last)
    return arrays, {
        name: value for name, value in facts.items() if name not in ("seconds", "times")
    }


@pytest.mark.both
@pytest.mark.parametrize(
    ("task", "optimizer"),
    usual(
        itertools.product(TASKS, OPTIMIZERS),
        ("binary", "adamw"),
        ("multiclass", "momentum"),
        ("multilabel", "lion"),
    ),
)
def test_from_every_step_on_the_bits_are_the_same(task, optimizer):
    whole, found = every_snapshot(task, optimizer)
    steps = {facts["step"] for _, facts in found}
    assert steps == set(range(int(whole.last.state.step) + 1))
    expected, said = facts_of(whole)
    for arrays, facts in found if (task, optimizer) == ("binary", "adamw") else found[::11]:
        _, first = given(task, optimizer)
        again = train(task, optimizer, unpack(arrays, facts, first))
        assert again.records == whole.records
        assert (again.epoch, again.epochs, again.reason) == (
            (whole.epoch, whole.epochs, whole.reason)
        )
        found_arrays, found_facts = facts_of(again)
        assert found_facts == said
        for name, array in expected.items():
            assert array.tobytes() == found_arrays[name].tobytes(), (facts["step"], name)
        chex.assert_trees_all_equal(again.params, whole.params)


def middle():
    _, found = every_snapshot("binary", "adamw")
    return next(one for one in found if one.facts["step"] == 2 * PER_EPOCH + 5)


def test_a_scalar_that_comes_back_as_an_array_is_refused():
    arrays, facts = middle()
    name = next(name for name in arrays if name.endswith(".count"))
    assert arrays[name].shape == ()
    with pytest.raises(CheckpointError, match=r"count is int32 of shape \(1,\)"):
        unpack({**arrays, name: arrays[name].reshape(1)}, facts, given("binary", "adamw")[1])


@pytest.mark.parametrize("part", ["moments", "average", "params", "step", "seed", "loss"])
def test_an_array_that_is_missing_or_of_another_type_is_refused(part):
    arrays, facts = middle()
    like = given("binary", "adamw")[1]
    name = next(name for name in sorted(arrays) if name.startswith(f"state.{part}"))
    without = {key: array for key, array in arrays.items() if key != name}
    with pytest.raises(CheckpointError, match="is missing"):
        unpack(without, facts, like)
    with pytest.raises(CheckpointError, match="float16"):
        unpack({**arrays, name: arrays[name].astype(np.float16)}, facts, like)


def test_what_is_packed_on_a_cpu_is_the_memory_of_the_run():
    """A state of gigabytes is not held twice in order to be saved."""
    now = train("binary", "adamw").last
    assert now.best is not None
    arrays = [*pack(now)[0].values(), *snapshots.pack_best(now.best)[0].values()]
    found = {array.ctypes.data for array in arrays}
    for leaf in jax.tree.leaves((now.state, now.best.params)):
        assert leaf.unsafe_buffer_pointer() in found


def test_what_comes_back_is_in_memory_of_its_own_and_is_let_go_one_by_one():
    arrays, facts = middle()
    kept = dict(arrays)
    found = unpack(arrays, facts, given("binary", "adamw")[1])
    assert arrays.keys() == {"records", "best.value"}
    restored = [*jax.tree.leaves(found.state), *jax.tree.leaves(found.best.params)]
    given_memory = {array.ctypes.data for array in kept.values()}
    assert all(leaf.unsafe_buffer_pointer() not in given_memory for leaf in restored)


def test_weights_in_bfloat16_come_back_bit_for_bit():
    arrays, facts = middle()
    first = given("binary", "adamw")[1]

    def rounded(params):
        *body, last = params.layers
        return params._replace(layers=(*body, last._replace(W=last.W.astype(jnp.bfloat16))))

    found = unpack(dict(arrays), facts, first)
    params = rounded(found.state.params)
    now = found._replace(state=found.state._replace(params=params))
    assert found.best.params.layers[-1].W.dtype == jnp.float32  # an average, as they are
    like = first._replace(params=rounded(first.params))
    written = checkpoint_file.encode(*pack(now))
    back = unpack(*checkpoint_file.decode(written), like)
    assert back.state.params.layers[-1].W.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(back.state, now.state)
    assert checkpoint_file.encode(*pack(back)) == written
    with pytest.raises(CheckpointError, match=r"is bfloat16 of shape .* has float32"):
        unpack(*checkpoint_file.decode(written), first)


def test_an_array_too_many_and_another_network_are_refused():
    arrays, facts = middle()
    with pytest.raises(CheckpointError, match="more is not known here"):
        unpack({**arrays, "more": np.zeros(3)}, facts, given("binary", "adamw")[1])
    with pytest.raises(CheckpointError):
        unpack(dict(arrays), facts, given("binary", "lion")[1])
    with pytest.raises(CheckpointError):
        unpack(dict(arrays), facts, given("multilabel", "adamw")[1])
    with pytest.raises(CheckpointError, match=r"at step \d+, not at 3"):
        unpack(arrays, {**facts, "step": 3}, given("binary", "adamw")[1])


def test_rates_and_length_are_those_of_the_run_that_goes_on():
    arrays, facts = middle()
    program, _ = given("binary", "adamw")
    rates = states.hyper(learning_rate=0.02, weight_decay=0.01, dropout=0.2, total_steps=999)
    first = states.begin(
        (FEATURES, 12, 1), program.optimizer, rates, seed=7, embeddings=((6, 3),), numeric=(2, 2)
    )
    assert int(unpack(arrays, facts, first).state.hyper.total_steps) == 999


# The campaign above can fail: each of these is a way in which programs have lost their place.
def forget_moments(state, first):
    return state._replace(moments=first.moments)


def forget_average(state, first):
    return state._replace(average=first.average)


def forget_seed(state, first):
    return state._replace(seed=jnp.uint32(0))


def forget_the_sums_of_the_epoch(state, first):
    return state._replace(loss=first.loss, weight=first.weight)


def forget_the_place(state, first):
    return state._replace(step=state.step - state.step % PER_EPOCH)


@pytest.mark.parametrize(
    "forget",
    [
        forget_moments,
        forget_average,
        forget_seed,
        forget_the_sums_of_the_epoch,
        forget_the_place,
    ],
)
def test_a_state_that_forgets_anything_ends_with_other_bits(forget):
    whole = train("binary", "adamw")
    arrays, facts = middle()
    first = given("binary", "adamw")[1]
    start = unpack(arrays, facts, first)
    start = start._replace(state=forget(start.state, first))
    again = train("binary", "adamw", start)
    same = all(
        np.array_equal(a, b)
        for a, b in zip(
            jax.tree.leaves(again.last.state), jax.tree.leaves(whole.last.state), strict=True
        )
    )
    assert not (same and again.records == whole.records)


def test_what_stops_a_run_between_two_steps_loses_nothing():
    whole, kept = train("multiclass", "adamw"), []

    def stop(now):
        if int(now.state.step) >= 5 + len(kept) * 9:
            kept.append(pack(now))
            raise Stop

    start = None
    for _ in range(20):
        try:
            done = train("multiclass", "adamw", start, between=stop)
            break
        except Stop:
            start = unpack(*kept[-1], given("multiclass", "adamw")[1])
    chex.assert_trees_all_equal(done.params, whole.params)
    assert done.records == whole.records


def test_the_best_parameters_alone_have_the_names_of_a_model():
    fitted = train("binary", "adamw")
    assert fitted.last.best is not None
    arrays, facts = snapshots.pack_best(fitted.last.best)
    assert "layers.0.W" in arrays
    assert facts == {"epoch": fitted.epoch}


def test_what_was_skipped_is_remembered():
    _, first = given("binary", "lion")
    arrays, facts = pack(beginning(first)._replace(skipped=3))
    assert unpack(dict(arrays), facts, first).skipped == 3
