"""A first layer of bags is the dense product of the rows that it stands for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import bags
from jaxnet.nn.bags import ENTRIES, Bags, Drop

pytestmark = pytest.mark.sampled(2)

N, D, WIDTH = 70, 90, 6


def drawn(seed: int = 0) -> tuple[Bags, np.ndarray]:
    """Rows of very different lengths, some empty, of more entries than one turn takes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)) * (rng.random((N, D)) < rng.random((N, 1)))
    x[[0, 7, N - 1]] = 0
    x[3] = rng.normal(size=D)
    row, column = np.nonzero(x)
    assert len(row) > 2 * ENTRIES
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=N))])
    found = Bags(*map(jnp.asarray, (ends.astype(np.int32), column, np.float32(x[row, column]))))
    return found, x.astype(np.float32)


def table(seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (D, WIDTH))


def close(one: Any, other: Any, limit: float = 2e-6) -> None:
    other = np.asarray(other, np.float64)
    np.testing.assert_allclose(one, other, rtol=0, atol=limit * np.abs(other).max())


CHOICES = [None, np.arange(20, 50), np.array([3, 3, 0, 69, 3]), np.array([0, 7]), np.array([], int)]


@pytest.mark.parametrize("chosen", CHOICES, ids=["all", "some", "again", "empty rows", "none"])
def test_forward_and_backward_are_those_of_the_dense_product(chosen: np.ndarray | None) -> None:
    sparse, x = drawn()
    if chosen is not None:
        sparse, x = bags.take(sparse, jnp.asarray(chosen, jnp.int32)), x[chosen]
    E, delta = table(), np.random.default_rng(2).normal(size=(len(x), WIDTH)).astype(np.float32)
    z, pull = jax.vjp(lambda E: bags.embed(E, sparse), E)
    assert sparse.shape == (len(x),)
    if not len(x):
        assert z.shape == (0, WIDTH)
        return
    exact = x.astype(np.float64)
    close(z, exact @ np.asarray(E, np.float64))
    close(pull(jnp.asarray(delta))[0], exact.T @ delta)


def test_a_feature_that_stands_twice_is_added_twice() -> None:
    twice = Bags(jnp.array([0, 3]), jnp.array([4, 1, 4]), jnp.array([1.0, 2.0, 0.5]))
    E = table()
    close(bags.embed(E, twice)[0], 1.5 * E[4] + 2 * E[1])
    close(bags.table_gradient(D, twice, jnp.ones((1, 1)))[:5, 0], [0, 2, 0, 0, 1.5])


def test_narrow_products_have_sums_in_float32() -> None:
    sparse, x = drawn()
    narrow = lambda array: np.asarray(jnp.asarray(array, jnp.bfloat16), np.float64)  # noqa: E731
    z = bags.embed(table(), sparse, compute_dtype=jnp.bfloat16)
    assert z.dtype == jnp.float32
    close(z, narrow(x) @ narrow(table()))


def test_values_are_data_and_have_no_gradient() -> None:
    sparse, _ = drawn()
    with pytest.raises(UserError, match="values of bags are data"):
        jax.grad(lambda v: bags.embed(table(), sparse._replace(values=v)).sum())(sparse.values)


def thinned(sparse: Bags, rate: float, seed: int = 5) -> np.ndarray:
    """The rows as they are with dropout, spread out."""
    drop = Drop(jnp.array([seed, 9], jnp.uint32), rate)
    return np.asarray(bags.embed(jnp.eye(D), sparse._replace(drop=drop)))


def test_dropped_entries_are_0_and_the_others_grow() -> None:
    sparse, x = drawn()
    kept = thinned(sparse, 0.25)
    there = x != 0
    factors = kept[there] / x[there]
    np.testing.assert_allclose(factors[factors != 0], 1 / 0.75, rtol=1e-6)
    share = (factors == 0).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / factors.size)
    np.testing.assert_array_equal(thinned(sparse, 0.25), kept)
    assert (thinned(sparse, 0.25, seed=6) != kept).any()
    close(thinned(sparse, 0.0), x)


def test_the_gradient_sees_the_entries_that_were_kept() -> None:
    sparse, _ = drawn()
    drop = Drop(jnp.array([5, 9], jnp.uint32), 0.25)
    delta = np.random.default_rng(2).normal(size=(N, WIDTH)).astype(np.float32)
    _, pull = jax.vjp(lambda E: bags.embed(E, sparse._replace(drop=drop)), table())
    close(pull(jnp.asarray(delta))[0], thinned(sparse, 0.25).T.astype(np.float64) @ delta)


def test_no_entries_at_all() -> None:
    nothing = Bags(jnp.zeros(4, jnp.int32), jnp.zeros(0, jnp.int32), jnp.zeros(0))
    assert bags.embed(table(), nothing).tolist() == np.zeros((3, WIDTH)).tolist()


def test_the_first_layer_has_the_spread_that_was_asked_for() -> None:
    layer = bags.init(jax.random.key(0), 400, 50, spread=0.7)
    assert float(layer.E.std()) == pytest.approx(0.7, rel=0.02)
    assert not layer.b.any()
