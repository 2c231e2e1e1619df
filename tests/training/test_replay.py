"""The replay of a step names the operation that spoils it, and the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import losses
from jaxnet.nn.losses import ELEMENTWISE, core
from jaxnet.training import epoch as epochs
from jaxnet.training import replay_ops, replay_rows
from jaxnet.training import state as states
from jaxnet.training.engines import ENGINES
from jaxnet.training.epoch import Program
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.replay import next_batch, replay
from jaxnet.training.replay_finding import advice

pytestmark = pytest.mark.sampled(2)

ROWS, FEATURES, CLASSES, BATCH, SEED = 37, 5, 3, 8, 3
STEPS = 5  # ceil(37 / 8)

every_engine = pytest.mark.parametrize("engine", ENGINES)


def rows(count=ROWS):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, FEATURES)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 1)


def program(**changes):
    chosen = Program("categorical_cross_entropy", optimizer=Optimizer("adam"), batch_size=BATCH)
    return chosen._replace(**changes)


def begin(chosen, *, outputs=CLASSES, step=0, features=FEATURES, embeddings=(), **rates):
    rates = states.hyper(**{"learning_rate": 0.01, "total_steps": 10 * STEPS, **rates})
    sizes = (features, 16, outputs)
    state = states.begin(sizes, chosen.optimizer, rates, seed=SEED, embeddings=embeddings)
    return state._replace(step=jnp.int32(step))


def said(found, clip_norm=None):
    return advice(found, learning_rate=0.01, clip_norm=clip_norm)


def step_of(row):
    """The step of the first epoch that takes a row."""
    order = epochs.order_of_rows(SEED, 0, ROWS, BATCH)
    return next(i for i, batch in enumerate(order) if row in batch)


@pytest.fixture
def own_loss(monkeypatch):
    """Register a loss for the length of a test."""

    def add(value, delta=None):
        made = losses.make(
            "own", value=value, delta=delta or (lambda z, y: z - y), layout=ELEMENTWISE
        )
        monkeypatch.setitem(core._REGISTRY, "own", made)
        return program(loss="own")

    return add


def targets(x):
    return np.abs(x[:, :CLASSES])


@pytest.mark.both
@every_engine
def test_an_input_that_overflows_the_first_layer_is_named_with_its_row(engine):
    x, y = rows()
    x[11] = 3e38
    chosen = program(engine=engine)
    found = replay(chosen, begin(chosen, step=step_of(11)), x, y)
    assert (found.operation, found.direction) == ("dot_general", "forward")
    assert found.place.startswith("jaxnet/nn/mlp.py:")
    assert "lax.dot_general" in found.code
    assert found.rows == (11,)
    assert found.exact
    assert found.inputs[0].row == 11
    assert found.inputs[0].value == np.float32(3e38)
    assert found.step == step_of(11) + 1
    assert [each.shape for each in found.operands] == [(BATCH, FEATURES), (16, FEATURES)]
    assert found.result.not_finite > 0
    assert "data.scale" in said(found)[0]


def test_a_step_that_is_sound_says_so():
    x, y = rows()
    chosen = program(optimizer=Optimizer("adam", clip_norm=1.0))
    found = replay(chosen, begin(chosen, step=2), x, y)
    assert found.operation is None
    assert (found.step, found.epoch, found.rows) == (3, 1, ())
    assert "on this machine the step is finite" in said(found)[0]
    assert np.isfinite(found.loss)


def test_the_batch_is_the_one_that_training_takes():
    """Of the last batch of an epoch, the padding is left out."""
    x, y = rows()
    chosen = program()
    found = replay(chosen, begin(chosen, step=2 * STEPS - 1), x, y)
    order = epochs.order_of_rows(SEED, 1, ROWS, BATCH).reshape(-1)
    assert found.epoch == 2
    assert found.batch == tuple(sorted(order[4 * BATCH : ROWS].tolist()))


def test_a_logarithm_of_0_in_a_loss_of_ones_own(own_loss):
    def value(z, y):
        return jnp.sum(jnp.log(y) + (z - y) ** 2, axis=-1)

    x, _ = rows()
    y = targets(x)
    y[4, 1] = 0
    chosen = own_loss(value)
    found = replay(chosen, begin(chosen, step=step_of(4)), x, y)
    assert (found.operation, found.direction, found.rows) == ("log", "forward", (4,))
    assert "test_replay.py" in found.place
    assert "jnp.log(y)" in found.code
    assert found.operands[0].low == 0
    assert "keep the argument of log above 0" in said(found)[0]


def test_an_exponential_that_overflows_in_a_loss_of_ones_own(own_loss):
    x, _ = rows()
    y = targets(x)
    y[7], y[8] = 90, 90
    chosen = own_loss(lambda z, y: jnp.sum(jnp.exp(y) - z, axis=-1))
    found = replay(chosen, begin(chosen, step=step_of(7)), x, y)
    assert (found.operation, found.direction) == ("exp", "forward")
    assert found.rows == tuple(r for r in (7, 8) if step_of(r) == step_of(7))
    assert "exp overflows float32 above 88" in said(found)[0]


@pytest.mark.parametrize("engine", ["closed_form", "backprop"])
def test_a_gradient_alone_that_is_not_finite(own_loss, engine):
    """The loss is finite; its delta divides by 0, at a line that is told for both engines."""

    def delta(z, y):
        return (z - y) / y

    x, _ = rows()
    y = targets(x)
    y[5, 2] = 0
    chosen = own_loss(lambda z, y: jnp.sum((z - y) ** 2, axis=-1), delta)._replace(engine=engine)
    found = replay(chosen, begin(chosen, step=step_of(5)), x, y)
    assert np.isfinite(found.loss)
    assert (found.operation, found.direction, found.rows) == ("div", "backward", (5,))
    assert "return (z - y) / y" in found.code
    assert "keep the divisor away from 0" in said(found)[0]


def test_a_gradient_of_weights_that_one_row_alone_makes_infinite(own_loss):
    """The operation sums over the rows, so each is tried by itself."""
    x, _ = rows()
    y = targets(x)
    x[9], y[9] = 1e15, 1e30
    chosen = own_loss(lambda z, y: jnp.sum(z * 0, axis=-1), lambda z, y: y)
    found = replay(chosen, begin(chosen, step=step_of(9)), x, y)
    assert (found.operation, found.direction) == ("dot_general", "backward")
    assert (found.rows, found.exact) == ((9,), True)


def test_only_the_rows_of_the_operation_are_named(own_loss):
    """Another row of the batch is spoiled by another operation, after it."""

    def value(z, y):
        return jnp.sum(jnp.log(y), axis=-1) + jnp.sum(1 / (y - 9), axis=-1) + z[:, 0]

    x, _ = rows()
    y = targets(x)
    first, second = next_batch(program(), begin(program()), x, y).rows[:2].tolist()
    y[first], y[second] = 0, 9
    chosen = own_loss(value)
    found = replay(chosen, begin(chosen), x, y)
    assert (found.operation, found.rows) == ("log", (first,))


def test_a_slope_of_autodiff_that_is_infinite(own_loss):
    x, _ = rows()
    x[9] = 0  # its logits are the biases, 0
    chosen = own_loss(lambda z, y: jnp.sum(jnp.sqrt(jnp.abs(z)), axis=-1))
    chosen = chosen._replace(engine="autodiff")
    found = replay(chosen, begin(chosen, step=step_of(9)), x, targets(x))
    assert np.isfinite(found.loss)
    assert (found.direction, found.rows) == ("backward", (9,))
    assert "jnp.sqrt" in found.code


def squared(**changes):
    return program(loss="squared_error", options=(("activation", "identity"),), **changes)


def test_a_gradient_whose_square_overflows():
    """Adam would square it; the step refuses it before."""
    x, _ = rows()
    y = targets(x)
    y[3] = 6e18
    found = replay(squared(), begin(squared(), step=step_of(3)), x, y)
    assert np.isfinite(found.loss)
    assert (found.operation, found.direction) == ("dot_general", "update")
    assert "(all_finite)" in found.place
    assert found.rows == (3,)
    assert found.exact  # its share of the gradient alone is too large
    assert found.gradient.value > 1e18
    assert any("optimizer.clip_norm=1.0" in text for text in said(found))


def test_a_norm_that_overflows(monkeypatch):
    monkeypatch.setattr(epochs, "all_finite", lambda gradients: jnp.bool_(True))
    chosen = squared(optimizer=Optimizer("sgd", clip_norm=1.0))
    x, _ = rows()
    y = targets(x)
    x[3], y[3] = x[3] * 100, 6e18
    found = replay(chosen, begin(chosen, step=step_of(3)), x, y)
    assert (found.operation, found.direction) == ("mul", "update")
    assert "(clip" in found.place
    assert found.rows[0] == 3
    assert not any("clip_norm" in text for text in said(found, 1.0))


def test_parameters_that_overflow_in_the_update():
    chosen = program(optimizer=Optimizer("sgd"))
    x, y = rows()
    state = begin(chosen, learning_rate=3e38)
    state = state._replace(params=jax.tree.map(lambda p: p + 1e2, state.params))
    x[:] *= 1e3
    found = replay(chosen, state, x, y)
    assert found.direction == "update"
    assert "optimizer" in said(found)[-1]


def test_infinities_that_are_masked_out_are_not_named(own_loss):
    """log makes -inf at every 0, of which the exponential makes 0 again; the fault is elsewhere."""

    def value(z, y):
        masked = jnp.log(jnp.where(y > 0, 1.0, 0.0))
        harmless = jnp.sum(jnp.exp(masked), axis=-1)
        return harmless + jnp.sum(1 / (y - 9), axis=-1) + jnp.sum(z, axis=-1)

    x, _ = rows()
    y = targets(x)
    y[::2, 1] = 0
    chosen = own_loss(value)
    assert replay(chosen, begin(chosen, step=step_of(6)), x, y).operation is None
    y[6, 0] = 9
    found = replay(chosen, begin(chosen, step=step_of(6)), x, y)
    assert (found.operation, found.rows) == ("div", (6,))


def test_an_infinity_in_the_same_array_as_a_harmless_one(own_loss):
    """Whole arrays are too coarse: the sum below takes a harmless -inf beside the fault."""

    def value(z, y):
        both = jnp.log(jnp.where(y > 0, 1.0, 0.0)) + jnp.exp(y)
        return jnp.sum(jnp.where(y > 0, both, 0), axis=-1) + jnp.sum(z, axis=-1)

    x, _ = rows()
    y = targets(x)
    y[6], y[6, 0] = 0, 100
    chosen = own_loss(value)
    found = replay(chosen, begin(chosen, step=step_of(6)), x, y)
    assert (found.operation, found.rows) == ("exp", (6,))


def test_a_constant_infinity_is_named_where_it_becomes_nan(own_loss):
    x, _ = rows()
    y = targets(x)
    y[6, 0] = 50
    chosen = own_loss(lambda z, y: jnp.sum(jnp.where(y > 40, -jnp.inf, z) * 0, axis=-1))
    found = replay(chosen, begin(chosen, step=step_of(6)), x, y)
    assert (found.operation, found.rows) == ("mul", (6,))


def test_a_label_that_names_no_class():
    x, y = rows()
    y[12] = CLASSES
    found = replay(program(), begin(program(), step=step_of(12)), x, y)
    assert found.rows == (12,)
    assert found.targets == (CLASSES,)
    assert said(found)[0].startswith("label 3 is none of the 3 classes")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_to_begin_with(value):
    x, y = rows()
    x[11, 2] = value
    found = replay(program(), begin(program(), step=step_of(11)), x, y)
    assert (found.operation, found.direction, found.rows) == ("x", "input", (11,))
    assert found.inputs[0][:2] == (11, 2)


def test_parameters_that_are_not_finite_to_begin_with():
    x, y = rows()
    state = begin(program())
    first, last = state.params.layers
    broken = state.params._replace(layers=(first, last._replace(b=last.b.at[1].set(jnp.nan))))
    found = replay(program(), state._replace(params=broken), x, y)
    assert (found.operation, found.direction) == ("params.layers.1.b", "input")
    assert found.rows == ()


def test_rows_of_weight_0_are_never_named():
    x, y = rows()
    x[11] = 3e38
    weights = np.ones(ROWS, np.float32)
    mate = int(epochs.order_of_rows(SEED, 0, ROWS, BATCH)[step_of(11)][0])
    mate = mate if mate != 11 else int(epochs.order_of_rows(SEED, 0, ROWS, BATCH)[step_of(11)][1])
    x[mate] = 3e38
    weights[mate] = 0
    found = replay(program(), begin(program(), step=step_of(11)), x, y, weights)
    assert found.rows == (11,)
    assert mate not in found.batch


@pytest.mark.parametrize(
    ("engine", "rate"),
    [("closed_form", 0.0), *((engine, 0.4) for engine in ENGINES)],
)
def test_rows_alone_add_up_to_the_batch(engine, rate):
    """Their dropout is that of the batch."""
    x, y = rows()
    chosen = program(engine=engine)
    state = begin(chosen, dropout=rate, label_smoothing=0.1)
    batch = next_batch(chosen, state, x, y)
    alone = replay_rows.each_alone(chosen, state, batch.x, batch.y, batch.weights)
    value, _ = epochs.value_and_gradients(chosen, state, batch.x, batch.y, batch.weights)
    assert alone.loss.mean() == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_with_dropout_embeddings_and_rounded_products(precision):
    x, y = rows()
    codes = np.arange(ROWS, dtype=np.float32)[:, None] * 1000
    x = np.concatenate([x, codes], axis=1)
    x[20, 1] = -3e38
    chosen = program(precision=precision)
    state = begin(
        chosen, dropout=0.3, step=step_of(20), features=FEATURES + 1, embeddings=((6, 4),)
    )
    grown = [layer._replace(W=layer.W * 10) for layer in state.params.layers]
    state = state._replace(params=state.params._replace(layers=tuple(grown)))
    found = replay(chosen, state, x, y)
    assert (found.operation, found.direction, found.rows) == ("dot_general", "forward", (20,))
    assert found.inputs[0][:2] == (20, 1)  # codes are no sizes


@pytest.mark.both
def test_operation_by_operation_the_step_is_the_same():
    x, y = rows()
    chosen = program(optimizer=Optimizer("adamw", clip_norm=0.5, ema=0.9))
    state = begin(chosen, dropout=0.3)
    batch = next_batch(chosen, state, x, y)
    arguments = (state, batch.x, batch.y, batch.weights)

    def step(*arguments):
        return epochs.step(chosen, *arguments)

    traced = jax.make_jaxpr(step)(*arguments)
    made = replay_ops.run(traced, jax.tree.leaves(arguments)).outputs
    for ours, theirs in zip(made, jax.tree.leaves(jax.jit(step)(*arguments)), strict=True):
        np.testing.assert_allclose(ours.array, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.both
def test_a_call_is_looked_into_and_a_loop_is_one_operation():
    def calls(x):
        return jax.jit(lambda v: jax.lax.cond(v[0] > 0, jnp.log, jnp.sqrt, v))(x)

    def loops(x):
        return jax.lax.fori_loop(0, 300, lambda i, v: v * 2, x)

    for function, x, names in [
        (calls, [1.0, 0.0], ["log"]),
        (calls, [-1.0, 0.0], ["sqrt"]),
        (loops, [1.0, 1.0], ["scan", "while"]),
    ]:
        traced, arguments = jax.make_jaxpr(function)(jnp.array(x)), [jnp.array(x)]
        run = replay_ops.run(traced, arguments)
        assert replay_ops.find_cause(traced, arguments, run).name in names
