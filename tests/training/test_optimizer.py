"""Optimizers step as their papers say, rates are arrays, schedules end where they should."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet.config import OPTIMIZERS, SCHEDULES
from jaxnet.errors import UserError
from jaxnet.nn.embedding import Network
from jaxnet.nn.mlp import Layer
from jaxnet.training import optimizer as optimizers
from jaxnet.training.optimizer import Optimizer, Rates, Schedule, apply, build, factor

PARAMS = {"W": jnp.array([[1.0, -2.0]]), "b": jnp.array([3.0])}
FINITE = jnp.bool_(True)
GRADIENTS = {"W": jnp.array([[0.5, 0.25]]), "b": jnp.array([-1.0])}


def test_every_name_of_the_config_is_built():
    assert set(OPTIMIZERS) == set(optimizers.SCALINGS)
    assert set(SCHEDULES) == set(optimizers.SCHEDULES)


def two_steps(optimizer, learning_rate, weight_decay):
    def run(rates):
        params, moments = PARAMS, optimizers.init(optimizer, PARAMS)
        for _ in range(2):
            params, moments = apply(optimizer, rates, GRADIENTS, moments, params, FINITE)
        return params

    return jax.jit(run)(Rates(jnp.float32(learning_rate), jnp.float32(weight_decay)))


REFERENCES = {
    "sgd": lambda: optax.sgd(0.1),
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "adam": lambda: optax.adam(0.1),
    "adamw": lambda: optax.adamw(0.1, weight_decay=0.0),
    "lion": lambda: optax.lion(0.1, b1=0.9, b2=0.999, weight_decay=0.0),
    "rmsprop": lambda: optax.rmsprop(0.1, decay=0.9),
    "adagrad": lambda: optax.adagrad(0.1, eps=1e-8),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_weight_decay_it_is_the_optax_alias(name):
    reference, params = REFERENCES[name](), PARAMS
    moments = reference.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(2):
            updates, moments = reference.update(GRADIENTS, moments, params)
            params = optax.apply_updates(params, updates)
    for got, expected in zip(
        jax.tree.leaves(two_steps(Optimizer(name), 0.1, 0.0)), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_shrinks_weights_and_leaves_biases(name):
    still = two_steps(Optimizer(name), 0.01, 0.0)
    decayed = two_steps(Optimizer(name), 0.01, 0.5)
    assert not np.allclose(still["W"], decayed["W"], rtol=1e-4)
    np.testing.assert_array_equal(still["b"], decayed["b"])


def test_decoupled_decay_does_not_pass_through_the_moments():
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    moments = optimizers.init(Optimizer("adamw"), PARAMS)
    params, _ = apply(Optimizer("adamw"), Rates(0.1, 0.5), zero, moments, PARAMS, FINITE)
    np.testing.assert_allclose(params["W"], 0.95 * PARAMS["W"], rtol=1e-6)


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_clipping_is_that_of_optax(largest):
    clipped, norm = optimizers.clip(GRADIENTS, largest)
    reference = optax.clip_by_global_norm(largest)
    expected, _ = reference.update(GRADIENTS, reference.init(PARAMS))
    for got, wanted in zip(jax.tree.leaves(clipped), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    assert float(norm) == pytest.approx(float(optax.tree.norm(GRADIENTS)), rel=1e-6)


def test_gradients_of_zero_stay_zero_when_clipped():
    zero = jax.tree.map(jnp.zeros_like, GRADIENTS)
    clipped, norm = optimizers.clip(zero, 1.0)
    assert float(norm) == 0.0
    assert all(not leaf.any() for leaf in jax.tree.leaves(clipped))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_the_chain_of_optax_with_weight_decay(name, decay):
    optimizer, rates = Optimizer(name), Rates(0.05, decay)
    chain, expected = build(optimizer, rates), PARAMS
    params, moments, state = PARAMS, optimizers.init(optimizer, PARAMS), chain.init(PARAMS)
    for scale in (1.0, -2.0, 0.5):
        gradients = jax.tree.map(lambda g, scale=scale: g * scale, GRADIENTS)
        params, moments = apply(optimizer, rates, gradients, moments, params, FINITE)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = chain.update(gradients, state, expected)
            expected = optax.apply_updates(expected, updates)
    for got, wanted in zip(jax.tree.leaves(params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_that_is_not_finite_changes_nothing(name):
    optimizer = Optimizer(name)
    moments = optimizers.init(optimizer, PARAMS)
    bad = jax.tree.map(lambda g: g * jnp.nan, GRADIENTS)
    before = (PARAMS, moments)
    after = apply(optimizer, Rates(0.1, 0.1), bad, moments, PARAMS, jnp.bool_(False))
    for got, wanted in zip(jax.tree.leaves(after), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("schedule", "start", "middle", "end"),
    [
        (Schedule("constant"), 1.0, 1.0, 1.0),
        (Schedule("cosine", final=0.1), 1.0, 0.55, 0.1),
        (Schedule("warmup_cosine", warmup=0.5, final=0.0), 0.0, 1.0, 0.0),
        (Schedule("warmup_cosine", warmup=0.0, final=0.0), 1.0, 0.5, 0.0),
        (Schedule("exponential", decay=0.01), 1.0, 0.1, 0.01),
    ],
)
def test_schedules_start_pass_and_end_where_they_should(schedule, start, middle, end):
    got = [float(factor(schedule, jnp.float32(t))) for t in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(got, [start, middle, end], atol=1e-6)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="no optimizer is called 'adamm'; choose from sgd"):
        build(Optimizer("adamm"), Rates(0.1, 0.0))
    with pytest.raises(UserError, match="no schedule is called 'cos'; choose from constant"):
        factor(Schedule("cos"), jnp.float32(0))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_leaves_tables_of_embeddings(name):
    params = Network((jnp.ones((3, 2)),), (Layer(jnp.ones((2, 2)), jnp.ones(2)),))
    zero = jax.tree.map(jnp.zeros_like, params)
    moments = optimizers.init(Optimizer(name), params)
    after, _ = apply(Optimizer(name), Rates(0.1, 0.5), zero, moments, params, FINITE)
    np.testing.assert_array_equal(after.tables[0], params.tables[0])
    np.testing.assert_array_equal(after.layers[0].b, params.layers[0].b)
    assert (np.asarray(after.layers[0].W) < 1).all()


def test_a_warm_up_starts_with_its_first_step():
    schedule, step = Schedule("warmup_cosine", warmup=0.5), 0.125
    got = [float(factor(schedule, jnp.float32(i * step), step=step)) for i in range(5)]
    np.testing.assert_allclose(got, [0.25, 0.5, 0.75, 1.0, 1.0], rtol=1e-6)
    short = Schedule("warmup_cosine", warmup=0.05)  # shorter than one step
    assert float(factor(short, jnp.float32(0), step=step)) == 1.0


def test_the_average_follows_closely_at_first():
    """Decay min(ema, (1 + t) / (10 + t)) at update t: the first parameters are soon forgotten."""
    optimizer = Optimizer("sgd", ema=0.9)
    average, expected = jnp.float32(1.0), 1.0
    for t, value in enumerate([3.0, -2.0, 5.0], start=1):
        average = optimizers.follow(optimizer, average, jnp.float32(value), jnp.int32(t), FINITE)
        decay = (1 + t) / (10 + t)
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(average, expected, rtol=1e-6)
    late = optimizers.follow(optimizer, jnp.float32(1.0), jnp.float32(0.0), jnp.int32(1000), FINITE)
    np.testing.assert_allclose(late, 0.9, rtol=1e-6)
