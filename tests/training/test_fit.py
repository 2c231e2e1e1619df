"""Training: one compilation, exact epochs, three engines on one curve, stops that say why."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet.errors import NonFiniteError, UserError
from jaxnet.nn import losses, mlp
from jaxnet.training import epoch as epochs
from jaxnet.training import evaluate, pace
from jaxnet.training import fit as fits
from jaxnet.training import state as states
from jaxnet.training.engines import ENGINES
from jaxnet.training.fit import Plan, Rows, Stopping, Watch, fit
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.snapshot import beginning
from tests.training.small_fits import (
    BATCH,
    CLASSES,
    ROWS,
    STEPS,
    begin,
    program,
    rows,
    train,
)

pytestmark = pytest.mark.sampled(3)


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own():
    first, again = (epochs.order_of_rows(7, 0, ROWS, BATCH) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (STEPS, BATCH)
    assert sorted(first.reshape(-1)[:ROWS]) == list(range(ROWS))
    assert first.tolist() != epochs.order_of_rows(7, 1, ROWS, BATCH).tolist()
    assert first.tolist() != epochs.order_of_rows(8, 0, ROWS, BATCH).tolist()


@pytest.mark.both
def test_a_fit_compiles_once_whatever_the_lengths_of_its_stretches(monkeypatch):
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(epochs.stretch(program()), 1), donate_argnums=0)
    monkeypatch.setattr(epochs, "compiled", lambda chosen: run)
    monkeypatch.setattr(pace, "FIRST", 2)
    monkeypatch.setattr(pace, "SECONDS", 1e-9)
    train()
    monkeypatch.setattr(pace, "FIRST", 3)
    train(learning_rate=0.5, weight_decay=0.1, dropout=0.3, label_smoothing=0.1)
    train(dropout=0.0, learning_rate=1e-4, total_steps=7)


def test_other_rates_compile_nothing():
    chosen = program()
    train(chosen)
    run = epochs.compiled(chosen)
    compiled = run._cache_size()
    train(chosen, learning_rate=0.5, weight_decay=0.1, dropout=0.3, label_smoothing=0.1)
    assert epochs.compiled(chosen) is run
    assert run._cache_size() == compiled


@pytest.fixture
def optimized():
    """Programs as a user has them: other tests ask for the quickest compilation."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()


@pytest.mark.thorough
def test_the_level_of_the_compiler_changes_no_bit(optimized):
    chosen, data = program(), rows()
    ends = []
    for run in (epochs.compiled(chosen), jax.jit(epochs.stretch(chosen), donate_argnums=0)):
        state = begin(chosen, dropout=0.3)
        for epoch in range(-(-200 // STEPS)):
            order = epochs.order_of_rows(3, epoch, ROWS, BATCH)
            state, _ = run(state, data.x, data.y, order, STEPS)
        assert run._cache_size() == 1
        ends.append(state)
    assert int(ends[0].step) >= 200
    chex.assert_trees_all_equal(*ends)


def test_only_a_cpu_gets_another_level_and_the_users_own_comes_first(optimized, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=")
    assert epochs._compiler_options("cpu") == (("xla_backend_optimization_level", 2),)
    assert epochs._compiler_options("gpu") == epochs._compiler_options("tpu") == ()
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=1")
    assert epochs._compiler_options("cpu") == ()


def test_a_compiler_that_does_not_know_an_option_is_not_given_it(monkeypatch):
    monkeypatch.setattr(epochs, "version", lambda _: "9.9")
    epochs._is_known.cache_clear()
    assert epochs._is_known("xla_backend_optimization_level", 2)
    assert not epochs._is_known("xla_no_such_option", 2)
    epochs._is_known.cache_clear()


@pytest.mark.parametrize("lengths", [(STEPS,), (1, 4), (2, 2, 1), (100,)])
def test_the_lengths_of_stretches_change_no_bit(lengths):
    chosen, data = program(), rows()
    run, state = epochs.compiled(chosen), begin(chosen)
    order = epochs.order_of_rows(3, 0, ROWS, BATCH)
    for length in lengths:
        state, _ = run(state, data.x, data.y, order, length)
    assert int(state.step) == STEPS  # a stretch ends at the end of its epoch
    whole, _ = run(begin(chosen), data.x, data.y, order, STEPS)
    chex.assert_trees_all_equal(state, whole)


@pytest.mark.both
def test_an_epoch_is_the_plain_loop_of_optax():
    """Against a loop that anyone would write: batch after batch, the last one short."""
    chosen, data = program(), rows()
    state = begin(chosen)
    params = jax.tree.map(jnp.copy, state.params)
    schedule = optax.cosine_decay_schedule(0.01, 10 * STEPS)
    with jax.numpy_dtype_promotion("standard"):
        optimizer = optax.adam(schedule)
        moments, total = optimizer.init(params), 0.0
        order = epochs.order_of_rows(3, 0, ROWS, BATCH)
        for step in range(STEPS):
            chosen_rows = order.reshape(-1)[step * BATCH : min((step + 1) * BATCH, ROWS)]
            x, y = jnp.asarray(data.x[chosen_rows]), data.y[chosen_rows]

            def mean_loss(params, x=x, y=y):
                z = mlp.forward(params.layers, x)
                return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(z, y))

            value, gradients = jax.value_and_grad(mean_loss)(params)
            total += float(value) * len(chosen_rows)
            updates, moments = optimizer.update(gradients, moments)
            params = optax.apply_updates(params, updates)
    state, _ = epochs.compiled(chosen)(state, data.x, data.y, order, STEPS)
    chex.assert_trees_all_close(state.params, params, rtol=2e-4, atol=2e-6)
    assert float(state.loss) == pytest.approx(total, rel=1e-5)
    assert float(state.weight) == ROWS


@pytest.mark.both
@pytest.mark.parametrize("loss", ["categorical_cross_entropy", "squared_error"])
def test_the_three_engines_train_to_the_same_curve(loss):
    options = (("activation", "softmax"),) if loss == "squared_error" else ()
    curves = {
        engine: [
            (r["train_loss"], r["validation_loss"])
            for r in train(
                program(loss=loss, options=options, engine=engine), dropout=0.1, label_smoothing=0.1
            ).records
        ]
        for engine in ENGINES
    }
    np.testing.assert_allclose(curves["closed_form"], curves["autodiff"], rtol=2e-5)
    np.testing.assert_allclose(curves["closed_form"], curves["backprop"], rtol=2e-5)


def test_a_run_repeats_bit_for_bit():
    first, second = train(), train()
    chex.assert_trees_all_equal(first.params, second.params)
    assert first.records == second.records


def test_evaluation_counts_every_row_once_and_padding_never():
    chosen, data = program(), rows(count=23)
    params = begin(chosen).params
    run = evaluate.compiled_sums(chosen, "multiclass", "softmax")
    measured = []
    for block in (4, 23, 64):
        x, y = evaluate.in_blocks(data.x, block), evaluate.in_blocks(data.y, block)
        none = evaluate.no_sums(chosen, "multiclass", "softmax", params, x, y)
        whole = run(none, params, x, y, 23, 0, len(x))
        parts = run(run(none, params, x, y, 23, 0, 1), params, x, y, 23, 1, len(x) - 1)
        chex.assert_trees_all_equal(parts, whole)
        measured.append(evaluate.metrics("multiclass", whole))
    z = mlp.forward(params.layers, jnp.asarray(data.x))
    exact = float(losses.mean(losses.categorical_cross_entropy(z, jnp.asarray(data.y))))
    right = np.mean(np.argmax(np.asarray(z), axis=1) == data.y)
    for metrics in measured:
        assert metrics["loss"] == pytest.approx(exact, rel=1e-6)
        assert metrics["accuracy"] == pytest.approx(right, rel=1e-6)


def test_early_stopping_keeps_the_parameters_of_the_best_epoch():
    stopping = Stopping("log_loss", patience=2)
    fitted = train(plan=Plan(60, stopping), learning_rate=0.1, total_steps=60 * STEPS)
    values = [record["validation_log_loss"] for record in fitted.records]
    assert fitted.epoch == int(np.argmin(values)) + 1
    assert fitted.epochs == len(values) == fitted.epoch + 2 < 60
    assert "log_loss" in fitted.reason
    again = train(plan=Plan(fitted.epoch), learning_rate=0.1, total_steps=60 * STEPS)
    chex.assert_trees_all_equal(fitted.params, again.params)


def test_a_metric_to_maximise_is_maximised():
    stopping = Stopping("accuracy", patience=3, maximise=True)
    fitted = train(plan=Plan(20, stopping), learning_rate=0.05)
    values = [record["validation_accuracy"] for record in fitted.records]
    assert values[fitted.epoch - 1] == max(values)


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(UserError, match="cannot watch 'micro_f1'; choose from loss, log_loss"):
        train(plan=Plan(2, Stopping("micro_f1", 2)))


@pytest.mark.parametrize(
    ("values", "best"), [([0.5, np.nan, np.nan], 1), ([np.nan, 0.5, np.nan, np.nan], 2)]
)
def test_an_undefined_metric_is_never_better(values, best, monkeypatch):
    measured = iter(values)
    monkeypatch.setattr(
        evaluate, "measurer", lambda *_, **__: lambda *_: {"log_loss": next(measured)}
    )
    fitted = train(plan=Plan(9, Stopping("log_loss", patience=2)))
    assert (fitted.epoch, fitted.epochs) == (best, len(values))


def test_averaged_parameters_are_what_is_kept():
    averaged = train(program(optimizer=Optimizer("sgd", ema=0.5)), learning_rate=0.1)
    last = train(program(optimizer=Optimizer("sgd")), learning_rate=0.1)
    assert not np.allclose(averaged.params.layers[0].W, last.params.layers[0].W)


def test_dropout_changes_training_and_smoothing_changes_the_loss():
    plain = train().records[0]["train_loss"]
    assert train(dropout=0.5).records[0]["train_loss"] != plain
    assert train(label_smoothing=0.5).records[0]["train_loss"] != plain


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_stops_the_run_with_step_and_rows(value):
    data = rows()
    data.x[11, 0] = value
    with pytest.raises(NonFiniteError, match=r"the loss is not finite at step \d") as caught:
        train(data=data)
    order = epochs.order_of_rows(3, 0, ROWS, BATCH)
    step = next(i for i, batch in enumerate(order) if 11 in batch)
    assert caught.value.step == step + 1
    assert caught.value.rows == (11,)
    assert "lower optimizer.learning_rate" in str(caught.value)


def test_the_step_that_was_not_finite_is_not_applied():
    chosen, data = program(), rows()
    data.x[11, 0] = np.nan
    order = epochs.order_of_rows(3, 0, ROWS, BATCH)
    step = next(i for i, batch in enumerate(order) if 11 in batch)
    stopped, finite = epochs.compiled(chosen)(begin(chosen), data.x, data.y, order, STEPS)
    before, _ = epochs.compiled(chosen)(begin(chosen), data.x, data.y, order, step)
    assert not bool(finite)
    chex.assert_trees_all_equal(stopped, before)


def test_an_epoch_of_which_no_step_counts_has_no_training_loss():
    data = rows()
    data.x[11, 0] = np.nan
    fitted = train(program(batch_size=ROWS), Plan(2, most_skipped=2), data, learning_rate=0.01)
    assert fitted.last.skipped == 2
    assert [np.isnan(record["train_loss"]) for record in fitted.records] == [True, True]


def test_a_stretch_that_ends_early_does_not_make_the_next_one_long(monkeypatch):
    """Steps that were asked for and did not run say nothing of how fast they are."""
    data, told = rows(), []
    data.x[11, 0] = np.nan
    monkeypatch.setattr(pace, "FIRST", STEPS)
    monkeypatch.setattr(pace.Pace, "took", lambda self, turns, seconds: told.append(turns))
    fitted = train(plan=Plan(1, most_skipped=1), data=data)
    order = epochs.order_of_rows(3, 0, ROWS, BATCH)
    step = next(i for i, batch in enumerate(order) if 11 in batch)
    assert fitted.last.skipped == 1
    steps = [turns for turns in told if turns]
    assert steps[0] == step + 1  # with the one that was tried
    assert sum(steps) >= STEPS


def test_a_norm_that_overflows_stops_the_run_instead_of_freezing_it():
    """Divided by a norm of infinity, every clipped update would be 0 for ever."""
    data = rows()
    huge = Rows(data.x * np.float32(1e15), data.y)
    chosen = program(
        loss="squared_error",
        options=(("activation", "identity"),),
        optimizer=Optimizer("sgd", clip_norm=1.0),
    )
    with pytest.raises(NonFiniteError, match="not finite at step 1 "):
        train(chosen, data=huge)


def test_bfloat16_keeps_float32_parameters_and_losses():
    fitted = train(program(precision="bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(fitted.params)} == {jnp.dtype("float32")}
    close = train().records[-1]["train_loss"]
    assert fitted.records[-1]["train_loss"] == pytest.approx(close, rel=2e-2)


def test_the_watch_hears_of_everything():
    heard = []
    watch = Watch(
        lambda: heard.append("compiling"),
        lambda seconds: heard.append("compiled"),
        lambda epoch, part, seen, metrics: heard.append((epoch, part, seen)),
        lambda record: heard.append(record["epoch"]),
    )
    train(watch=watch, plan=Plan(2))
    assert heard[:2] == ["compiling", "compiled"]
    assert [event for event in heard if isinstance(event, int)] == [1, 2]
    assert (2, 1.0, 2 * ROWS) in heard


def test_predictions_do_not_depend_on_the_rows_beside():
    params = train().params
    ask = {"network": program().network}
    data = rows(2, count=300).x
    together = evaluate.logits(params, data, **ask)
    alone = evaluate.logits(params, data[123:124], **ask)
    np.testing.assert_allclose(together[123:124], alone, atol=1e-6)
    assert evaluate.logits(params, data[:0], **ask).shape == (0, CLASSES)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ENGINES)
def test_tables_learn_what_only_codes_tell(engine, precision):
    """The label is a code that says nothing as a number."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, 400)
    x = np.column_stack([rng.normal(size=(400, 2)), codes]).astype(np.float32)
    data = Rows(x, (codes * 7 % 12 % 3).astype(np.int32))
    chosen = program(engine=engine, batch_size=32, precision=precision)
    rates = states.hyper(learning_rate=0.03, weight_decay=0.1, total_steps=13 * 10)
    state = states.begin((3, 16, 3), chosen.optimizer, rates, seed=0, embeddings=((12, 4),))
    fitted = fit(
        chosen, beginning(state), data, data, Plan(10), task="multiclass", activation="softmax"
    )
    assert fitted.records[-1]["validation_accuracy"] == 1.0
    assert fitted.params.tables[0].dtype == jnp.float32


@pytest.mark.parametrize("value", [1e19, -3e19, 1e38, np.nan, np.inf])
def test_a_gradient_whose_square_overflows_stops_the_run(value):
    """Adam's second moment would be infinite, and the parameter would never move again."""
    params = begin(program()).params
    assert bool(epochs.all_finite(params))
    first = params.layers[0]
    bad = params._replace(layers=(first._replace(W=first.W.at[3, 2].set(value)),))
    assert not bool(epochs.all_finite(bad))


def test_the_line_shows_losses_that_can_be_compared():
    record = {"epoch": 1, "train_loss": 5.0, "validation_loss": 6.0, "validation_log_loss": 0.5}
    assert fits._shown([record]) == {"loss": 5.0, "val": 6.0}
