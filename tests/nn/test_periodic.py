"""Waves of the leading columns: the formula, its gradients three ways, beside tables and alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import embedding, losses, periodic
from jaxnet.training.engines import ENGINES
from tests.nn.rows import close, same

pytestmark = pytest.mark.sampled(2)

KEY = jax.random.key(3)
COLUMNS, SIZE, ROWS, K = 3, 2, 9, 4


def rows(tables: int, dtype=np.float32) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(1)
    numbers, codes = rng.normal(size=(ROWS, COLUMNS + 1)), rng.integers(0, 5, (ROWS, tables))
    x = np.column_stack([numbers, codes]).astype(dtype)
    return jnp.asarray(x), jnp.asarray(rng.integers(0, K, ROWS), jnp.int32)


def test_the_formula_number_by_number():
    waves = periodic.init(KEY, COLUMNS, SIZE)
    x = np.asarray(rows(0)[0])[:, :COLUMNS]
    found = np.asarray(periodic.embed(waves, jnp.asarray(x))).reshape(ROWS, COLUMNS, SIZE)
    w, b, V, v = (np.asarray(part, np.float64) for part in waves)
    for m in range(ROWS):
        for j in range(COLUMNS):
            c = np.cos(2 * np.pi * x[m, j] * w[j] + b[j])
            np.testing.assert_allclose(found[m, j], c @ V[j] + v[j], rtol=1e-4, atol=1e-5)


def test_waves_are_drawn_as_told():
    w, b, V, v = periodic.init(KEY, 500, 3)
    np.testing.assert_allclose(np.std(w), periodic.SPREAD, rtol=0.05)
    assert 3.1 < float(jnp.max(b)) <= np.pi
    assert -np.pi <= float(jnp.min(b)) < -3.1
    for part in (V, v):
        assert 0.24 < float(jnp.max(jnp.abs(part))) <= 0.25
    assert not np.array_equal(b.ravel()[:100], V.ravel()[:100] * 4 * np.pi)


@pytest.mark.parametrize("tables", [0, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_engines_agree_with_autodiff(engine: str, tables: int):
    with jax.enable_x64(True):
        x, y = rows(tables, np.float64)
        drawn = embedding.init(
            KEY,
            (x.shape[1], 6, K),
            embeddings=((5, 2),) * tables,
            numeric=(COLUMNS, SIZE),
        )
        params = jax.tree.map(lambda leaf: jnp.asarray(np.float64(leaf)), drawn)
        weights = jnp.asarray([1, 0, 2.5, 1, 1, 0.5, 1, 1, 1.0])
        loss = losses.categorical_cross_entropy

        def mean_loss(params):
            z = embedding.forward(params, x, activation="tanh")
            return losses.mean(loss.plain(z, y), weights)

        options = {"activation": "tanh", "parametrisation": "standard", "compute_dtype": None}
        run = jax.jit(
            lambda p: (
                ENGINES[engine](p, x, y, weights, (), loss, {}, options),
                jax.value_and_grad(mean_loss)(p),
            )
        )
        (value, found), (expected_value, expected) = run(params)
        close(value, expected_value, 1e-13)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for mine, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert np.asarray(right).any()
            close(mine, right, 1e-12)


def test_names_and_back():
    drawn = embedding.init(KEY, (5, 6, K), embeddings=((5, 2),), numeric=(2, 3))
    named = embedding.named(drawn)
    assert {"waves.w", "waves.b", "waves.V", "waves.v", "tables.0"} < set(named)
    jax.tree.map(same, embedding.from_named(named), drawn)


def test_rows_of_another_width_are_refused():
    drawn = embedding.init(KEY, (5, 6, K), numeric=(2, 3))
    with pytest.raises(UserError, match="rows of 5 numbers"):
        embedding.forward(drawn, jnp.ones((2, 4)))
    with pytest.raises(UserError, match="at most the 5 columns"):
        embedding.init(KEY, (5, 6, K), numeric=(6, 3))


def test_waves_are_drawn_inside_a_program():
    init = jax.jit(lambda key: embedding.init(key, (5, 6, K), numeric=(2, 3)))
    expected = embedding.init(KEY, (5, 6, K), numeric=(2, 3))
    jax.tree.map(lambda mine, right: close(mine, right, 1e-6), init(KEY), expected)
