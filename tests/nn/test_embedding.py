"""Tables before the first layer: lookup, gradients three ways, nothing at all without tables."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.errors import UserError
from jaxnet.nn import embedding, losses, mlp
from jaxnet.nn.embedding import Network
from jaxnet.training.engines import ENGINES
from tests.nn.rows import close, same

pytestmark = pytest.mark.sampled(2)

KEY = jax.random.key(5)
EMBEDDINGS = ((6, 3), (4, 1), (9, 2))
PLAIN, ROWS, K = 2, 11, 3
SIZES = (PLAIN + len(EMBEDDINGS), 7, K)


@cache
def drawn() -> Network:
    return jax.tree.map(np.asarray, embedding.init(KEY, SIZES, embeddings=EMBEDDINGS))


def network(dtype=np.float32) -> Network:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf.astype(dtype)), drawn())


def rows(dtype=np.float32) -> tuple[jax.Array, jax.Array]:
    """Rows whose codes repeat and leave slots out, and their labels."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, slots - 1, ROWS) for slots, _ in EMBEDDINGS]
    x = np.column_stack([rng.normal(size=(ROWS, PLAIN)), *codes]).astype(dtype)
    return jnp.asarray(x), jnp.asarray(rng.integers(0, K, ROWS), jnp.int32)


def test_inputs_are_the_plain_columns_and_the_rows_of_the_tables():
    params, (x, _) = network(), rows()
    found = np.asarray(embedding.first_activations(params, x))
    for row, given_row in zip(found, np.asarray(x), strict=True):
        pieces = [np.asarray(t)[int(k)] for t, k in zip(params.tables, given_row[2:], strict=True)]
        same(row, np.concatenate([given_row[:2], *pieces]))
    same(embedding.forward(params, x), mlp.forward(params.layers, found))


@given(st.floats(width=32, allow_nan=False))
def test_no_code_reads_beyond_its_table(code: float):
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    found = embedding.first_activations(Network((jnp.asarray(table),), ()), np.float32([[code]]))
    same(found[0], table[int(np.clip(code, 0, 3))])


def test_a_network_without_tables_is_the_network_itself():
    params, x = embedding.init(KEY, (4, 8, 3)), jnp.ones((5, 4))
    layers = mlp.init(KEY, (4, 8, 3))
    jax.tree.map(same, params, Network((), layers))
    assert str(jax.make_jaxpr(lambda x: embedding.forward(params, x))(x)) == str(
        jax.make_jaxpr(lambda x: mlp.forward(layers, x))(x)
    )


def test_tables_are_drawn_as_told():
    table = embedding.init(KEY, (1, 2), embeddings=[(4000, 16)]).tables[0]
    np.testing.assert_allclose(np.std(table), 1 / 4, rtol=0.02)
    wide = embedding.init(KEY, (1, 2), embeddings=[(4000, 16)], spread=1.0).tables[0]
    close(wide, 4 * table, 1e-6)
    one, other = embedding.init(KEY, (2, 2), embeddings=[(4, 4), (4, 4)]).tables
    assert not np.array_equal(one, other)


def by_engine(name: str, params: Network, dtype=None, **more):
    x, y = rows(params.layers[0].W.dtype)
    weights = jnp.asarray([1, 0, 2.5, 1, 1, 0.5, 1, 1, 1, 0, 1], x.dtype)
    options = {"activation": "gelu", "parametrisation": "ntk", "compute_dtype": dtype}
    loss = losses.categorical_cross_entropy
    return ENGINES[name](params, x, y, weights, (), loss, more, options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16], ids=str)
def test_the_engines_agree_and_with_autodiff_of_one_hot_products(engine: str, dtype):
    """Against the same network with every table written as a matrix behind a one-hot column."""
    narrow = jnp.bfloat16 if dtype == jnp.bfloat16 else None
    tolerance = {"float32": 2e-6, "float64": 1e-13, "bfloat16": 5e-2}[jnp.dtype(dtype).name]
    with jax.enable_x64(dtype == jnp.float64):
        params = network(jnp.float64 if dtype == jnp.float64 else jnp.float32)
        x, y = rows(params.layers[0].W.dtype)
        weights = jnp.asarray([1, 0, 2.5, 1, 1, 0.5, 1, 1, 1, 0, 1], x.dtype)

        def mean_loss(params: Network):
            pieces = [x[:, :PLAIN]]
            for i, table in enumerate(params.tables):
                one_hot = jax.nn.one_hot(x[:, PLAIN + i].astype(int), len(table), dtype=x.dtype)
                pieces.append(one_hot @ table)
            inputs = jnp.concatenate(pieces, axis=1)
            z = mlp.forward(
                params.layers,
                inputs,
                activation="gelu",
                parametrisation="ntk",
                compute_dtype=narrow,
            )
            return losses.mean(losses.categorical_cross_entropy.plain(z, y), weights)

        run = jax.jit(lambda p: (by_engine(engine, p, narrow), jax.value_and_grad(mean_loss)(p)))
        (value, found), (expected_value, expected) = run(params)
        close(value, expected_value, tolerance)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for mine, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert mine.dtype == right.dtype
            close(mine, right, tolerance)
        for table in found.tables:
            assert np.asarray(table).any()
            same(table[-1], np.zeros(table.shape[1]))  # a slot that no row names


@pytest.mark.parametrize("engine", ENGINES)
def test_the_gradient_of_a_table_is_what_finite_differences_say(engine: str):
    with jax.enable_x64(True):
        params = network(jnp.float64)
        run = jax.jit(lambda p: by_engine(engine, p))
        _, found = run(params)
        step = 1e-5
        for index, table in enumerate(params.tables):
            for entry in ((0, 0), (1, table.shape[1] - 1), (2, 0)):
                values = [
                    run(
                        params._replace(
                            tables=(
                                *params.tables[:index],
                                table.at[entry].add(sign * step),
                                *params.tables[index + 1 :],
                            )
                        )
                    )[0]
                    for sign in (1, -1)
                ]
                slope = (values[0] - values[1]) / (2 * step)
                np.testing.assert_allclose(found.tables[index][entry], slope, rtol=1e-6, atol=1e-10)


def test_rows_and_sizes_that_do_not_fit_are_refused():
    params = network()
    with pytest.raises(UserError, match=r"rows of 5 numbers, \(m, 5\), the last 3 of them codes"):
        embedding.forward(params, jnp.ones((2, 8)))
    for bad in ([(3, 2)] * 6, [(0, 2)], [(3, 0)]):
        with pytest.raises(UserError, match=r"embeddings take \(slots, width\) >= 1"):
            embedding.init(KEY, SIZES, embeddings=bad)
    with pytest.raises(UserError, match="sizes must name at least inputs and outputs"):
        embedding.init(KEY, ())


@pytest.mark.parametrize("embeddings", [(), EMBEDDINGS])
def test_parameters_survive_their_names(embeddings):
    params = embedding.init(KEY, (5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2), embeddings=embeddings)
    back = embedding.from_named(dict(reversed(embedding.named(params).items())))
    assert jax.tree.structure(back) == jax.tree.structure(params)
    jax.tree.map(same, back, params)
    assert embedding.columns(back) == 5
