"""The network: its initial values, its forward pass, dropout, and types of numbers."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import activations, losses, mlp
from tests.nn.rows import close, same

pytestmark = pytest.mark.sampled(3)

KEY = jax.random.key(7)


@pytest.mark.parametrize(
    ("scheme", "variance"),
    [("he", 2 / 300), ("glorot", 2 / 500), ("lecun", 1 / 300), ("ntk", 1.0), ("zeros", 0.0)],
)
def test_initial_weights_have_the_variance_of_their_scheme(scheme: str, variance: float):
    (layer,) = mlp.init(KEY, [300, 200], scheme=scheme)
    assert layer.W.shape == (200, 300)
    assert layer.W.dtype == layer.b.dtype == jnp.float32
    same(layer.b, np.zeros(200))
    # The standard error of a variance of 60,000 numbers is 0.6 percent.
    np.testing.assert_allclose(np.var(layer.W), variance, rtol=0.03)
    np.testing.assert_allclose(np.mean(layer.W), 0, atol=0.02 * max(variance, 1e-9) ** 0.5)


def test_init_is_a_function_of_its_key_alone():
    one, again = (mlp.init(KEY, [5, 7, 3]) for _ in range(2))
    jax.tree.map(same, one, again)
    other = mlp.init(jax.random.key(8), [5, 7, 3])
    assert not np.array_equal(one[0].W, other[0].W)
    square = mlp.init(KEY, [6, 6, 6])
    assert not np.array_equal(square[0].W, square[1].W)  # a key of its own for each layer


def test_the_last_layer_has_a_scheme_of_its_own():
    params = mlp.init(KEY, [4, 8, 8, 3], scheme="he", last_layer="zeros")
    assert [layer.W.shape for layer in params] == [(8, 4), (8, 8), (3, 8)]
    same(params[-1].W, np.zeros((3, 8)))
    assert np.asarray(params[-2].W).any()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_last_layer_of_zeros_starts_at_log_k_exactly(classes: int):
    params = mlp.init(KEY, [4, 8, classes], last_layer="zeros")
    x = jax.random.normal(KEY, (20, 4))
    logits = mlp.forward(params, x)
    same(logits, np.zeros((20, classes)))
    values = losses.categorical_cross_entropy(logits, jnp.arange(20) % classes)
    same(values, np.full(20, np.log(np.float64(classes)), np.float32))
    one = mlp.forward(mlp.init(KEY, [4, 8, 1], last_layer="zeros"), x)
    same(losses.binary_cross_entropy(one, jnp.ones((20, 1))), np.full(20, np.log(2), np.float32))


def test_bad_sizes_and_names_are_refused():
    for sizes in ([4], [], [4, 0, 3]):
        with pytest.raises(UserError, match="sizes must name at least inputs and outputs"):
            mlp.init(KEY, sizes)
    with pytest.raises(UserError, match="no init is called 'kaiming'; choose from he, glorot"):
        mlp.init(KEY, [4, 3], scheme="kaiming")
    with pytest.raises(UserError, match="no init is called 'zero'"):
        mlp.init(KEY, [4, 3], last_layer="zero")


def by_hand(params, x, name, scale=lambda n: 1.0):
    """z_l = scale * W_l a_{l-1} + b_l in float64, one example after the other."""
    f = activations.find(name).f
    rows = []
    for a in np.asarray(x, np.float64):
        for index, (W, b) in enumerate(params):
            z = scale(W.shape[1]) * np.asarray(W, np.float64) @ a + np.asarray(b)
            a = np.asarray(f(jnp.asarray(z))) if index + 1 < len(params) else z
        rows.append(z)
    return np.array(rows)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "identity"])
@pytest.mark.parametrize("parametrisation", ["standard", "ntk"])
def test_forward_is_the_formula_of_the_lecture(name: str, parametrisation: str):
    params = mlp.init(KEY, [5, 7, 6, 3], scheme="lecun")
    params = tuple(mlp.Layer(W, b + 0.1) for W, b in params)
    x = jax.random.normal(jax.random.key(1), (4, 5))
    network = {"activation": name, "parametrisation": parametrisation}
    logits = mlp.forward(params, x, **network)
    assert logits.dtype == jnp.float32
    scale = (lambda n: n**-0.5) if parametrisation == "ntk" else (lambda n: 1.0)
    close(logits, by_hand(params, x, name, scale), 1e-6)
    with_cache, cache = mlp.forward_with_cache(params, x, **network)
    same(with_cache, logits)
    assert [a.shape for a in cache.a] == [(4, 5), (4, 7), (4, 6)]
    assert [z.shape for z in cache.z] == [(4, 7), (4, 6), (4, 3)]
    same(cache.a[0], x)
    same(cache.z[-1], logits)
    same(cache.a[1], activations.find(name).f(cache.z[0]))


def test_ntk_outputs_keep_their_size_whatever_the_width():
    x = jax.random.normal(jax.random.key(1), (64, 40))
    sizes = [np.std(_ntk(width)(x)) for width in (32, 2048)]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=0.25)
    assert 0.2 < sizes[1] < 2


def _ntk(width: int):
    params = mlp.init(KEY, [40, width, 16], scheme="ntk")
    return partial(mlp.forward, params, parametrisation="ntk")


def test_rows_of_the_wrong_length_are_refused():
    params = mlp.init(KEY, [5, 3])
    for shape in ((4, 6), (5,), (4, 5, 1)):
        with pytest.raises(UserError, match=r"takes rows of 5 numbers, \(m, 5\); got"):
            mlp.forward(params, jnp.zeros(shape))
    with pytest.raises(UserError, match="no parametrisation is called 'mup'"):
        mlp.forward(params, jnp.zeros((4, 5)), parametrisation="mup")
    with pytest.raises(UserError, match="no activation is called 'swish'"):
        mlp.forward(params, jnp.zeros((4, 5)), activation="swish")


def test_no_rows_pass_through():
    assert mlp.forward(mlp.init(KEY, [5, 7, 3]), jnp.zeros((0, 5))).shape == (0, 3)


def test_dropout_needs_a_key_and_depends_on_nothing_else():
    params = mlp.init(KEY, [5, 64, 64, 3])
    x = jax.random.normal(KEY, (8, 5))
    with pytest.raises(UserError, match=r"forward\(\.\.\., dropout=0\.1, key=key\)"):
        mlp.forward(params, x, dropout=0.5)
    forward = jax.jit(lambda key: mlp.forward(params, x, dropout=0.5, key=key))
    one, again, other = (forward(jax.random.key(seed)) for seed in (0, 0, 1))
    same(one, again)
    assert not np.array_equal(one, other)
    masks = mlp.dropout_masks(params, 8, key=jax.random.key(0), rate=0.5)
    close(mlp.forward(params, x, masks=masks), one, 1e-6)
    same(mlp.forward(params, x, dropout=0.0, key=KEY), mlp.forward(params, x))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_meets_its_rate(rate: float):
    params = mlp.init(KEY, [5, 200, 300, 3])
    masks = mlp.dropout_masks(params, 500, key=KEY, rate=rate)
    assert [mask.shape for mask in masks] == [(500, 200), (500, 300)]
    for mask in masks:
        kept = np.asarray(mask) > 0
        np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)], rtol=1e-4)
        deviation = (rate * (1 - rate) / mask.size) ** 0.5
        np.testing.assert_allclose(kept.mean(), 1 - rate, atol=5 * deviation)
        np.testing.assert_allclose(np.mean(mask), 1, atol=5 * deviation / (1 - rate))
    first, second = (np.asarray(mask)[:, :200] > 0 for mask in masks)
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert abs(correlation) < 5 / first.size**0.5  # the layers draw apart


def test_a_new_dropout_rate_does_not_retrace():
    params = mlp.init(KEY, [5, 16, 3])
    x = jnp.ones((4, 5))
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def forward(rate):
        return mlp.forward(params, x, dropout=rate, key=KEY)

    assert not np.array_equal(forward(jnp.float32(0.2)), forward(jnp.float32(0.6)))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_products_are_summed_in_float32(dtype):
    params = mlp.init(KEY, [4096, 1], scheme="lecun")
    ones = (mlp.Layer(jnp.ones((1, 4096)), jnp.zeros(1)),)
    same(mlp.forward(ones, jnp.ones((1, 4096)), compute_dtype=jnp.bfloat16), [[4096]])
    x = jax.random.normal(KEY, (16, 4096))
    logits = mlp.forward(params, x, compute_dtype=dtype)
    assert logits.dtype == jnp.float32
    rounded = (mlp.Layer(params[0].W.astype(dtype).astype(jnp.float32), params[0].b),)
    close(logits, mlp.forward(rounded, x.astype(dtype).astype(jnp.float32)), 1e-5)
    slopes = jax.grad(lambda p: jnp.sum(mlp.forward(p, x, compute_dtype=dtype)))(params)
    assert slopes[0].W.dtype == slopes[0].b.dtype == jnp.float32
    close(slopes[0].W[0], jnp.sum(x.astype(dtype).astype(jnp.float32), axis=0), 1e-5)


def test_float64_parameters_compute_in_float64():
    with jax.enable_x64(True):
        params = jax.tree.map(lambda w: w.astype(jnp.float64), mlp.init(KEY, [5, 7, 3]))
        assert mlp.forward(params, jnp.ones((2, 5))).dtype == jnp.float64
