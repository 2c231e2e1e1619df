"""The best labels and the places of given ones, against all logits sorted."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxnet import linear_heads
from jaxnet.errors import UserError
from jaxnet.nn.linear_heads import ranking, tiles
from tests.nn.rows import same
from tests.nn.test_linear_heads import run

pytestmark = pytest.mark.sampled(3)

H = 4
# m, K, block, k: prime K, block > K, k > block, k = K, blocks of one, one label, no rows, groups
REGIMES = [
    (7, 13, 5, 3),
    (7, 13, 20, 3),
    (5, 23, 4, 6),
    (3, 11, 4, 11),
    (4, 9, 1, 2),
    (4, 1, None, 1),
    (0, 13, 5, 3),
    (6, 1000, 256, 2),
    (6, 1000, 512, 4),
]


def draw(m: int, K: int, kinds: int | None = None) -> tuple[Any, Any, Any]:
    """x, W, b; with `kinds`, logits are whole numbers of which many are equal."""
    rng = np.random.default_rng(m * 1000 + K)
    if kinds is None:
        at = (rng.normal(size=(m, H)), rng.normal(size=(K, H)), rng.normal(size=K))
    else:
        at = (np.ones((m, H)), np.zeros((K, H)), rng.integers(0, kinds, K))
    return tuple(jnp.asarray(array, jnp.float32) for array in at)


def logits(x: Any, W: Any, b: Any) -> Any:
    return x @ W.T + b[None, :]


@pytest.mark.parametrize("kinds", [None, 3])
@pytest.mark.parametrize(("m", "K", "block", "k"), REGIMES)
def test_the_best_are_those_of_all_logits(m: int, K: int, block: Any, k: int, kinds: Any):
    at = draw(m, K, kinds)
    found = run(lambda *at: linear_heads.top_k(*at, k, block=block), *at)
    wanted, labels = run(lambda *at: lax.top_k(logits(*at), k), *at)
    same(found.labels, labels)
    np.testing.assert_allclose(found.logits, wanted, rtol=1e-6, atol=1e-6)
    assert (found.logits.dtype, found.labels.dtype) == (jnp.float32, jnp.int32)


def test_groups_are_used_and_change_nothing(monkeypatch: pytest.MonkeyPatch):
    z = draw(5, 512, 7)
    z = logits(*z) + jnp.asarray(np.random.default_rng(0).integers(0, 3, (5, 512)), jnp.float32)
    wanted = lax.top_k(z, 4)
    called = []
    monkeypatch.setattr(
        lax, "top_k", lambda z, k, top=lax.top_k: called.append(z.shape) or top(z, k)
    )
    found = ranking._largest(z, 4)
    assert called == [(5, 16), (5, 128)]
    jax.tree.map(same, found, tuple(wanted))


def test_labels_that_are_masked_come_last():
    x, W, b = draw(3, 7)
    best = run(lambda b: linear_heads.top_k(x, W, b, 7, block=2), b.at[:5].set(-jnp.inf))
    assert (np.sort(best.labels[:, :2]) == [5, 6]).all()
    same(best.labels[:, 2:], np.tile(np.arange(5), (3, 1)))


@pytest.mark.parametrize("kinds", [None, 3])
@pytest.mark.parametrize(("m", "K", "block", "k"), REGIMES)
def test_ranks_are_those_of_all_logits(m: int, K: int, block: Any, k: int, kinds: Any):
    at = draw(m, K, kinds)
    rng = np.random.default_rng(K)
    y = rng.integers(0, K, (m, 5)).astype(np.int32)
    y[:, 3:] = np.where(rng.random((m, 2)) < 0.5, -1, y[:, 3:])
    found = run(lambda *at: linear_heads.ranks(*at, y, block=block), *at)
    order = np.argsort(-np.asarray(logits(*at)), axis=1, kind="stable")
    places = np.argsort(order, axis=1, kind="stable") + 1
    same(found, np.where(y < 0, 0, np.take_along_axis(places, np.maximum(y, 0), axis=1)))


def test_rows_in_blocks_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiles, "LEAST_ROWS", 1)
    monkeypatch.setattr(tiles, "CPU_TILE_BYTES", 4 * 15)
    at, y = draw(7, 13), np.arange(7, dtype=np.int32)[:, None]
    best = run(lambda *at: linear_heads.top_k(*at, 3, block=5), *at)
    same(best.labels, run(lambda *at: lax.top_k(logits(*at), 3), *at)[1])
    order = np.argsort(-np.asarray(logits(*at)), axis=1, kind="stable")
    found = run(lambda *at: linear_heads.ranks(*at, y, block=5), *at)
    same(found[:, 0], [np.flatnonzero(order[i] == i)[0] + 1 for i in range(7)])


def test_a_label_that_does_not_exist_has_no_rank():
    at = draw(2, 13)
    same(linear_heads.ranks(*at, np.array([[13], [-1]])), [[0], [0]])


def test_products_in_a_narrow_type():
    at = draw(4, 50)
    best = run(lambda *at: linear_heads.top_k(*at, 5, compute_dtype=jnp.bfloat16), *at)
    x, W = (array.astype(jnp.bfloat16) for array in at[:2])
    z = lax.dot_general(x, W, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
    same(best.labels, lax.top_k(z + at[2][None, :], 5)[1])


@pytest.mark.optimised
def test_memory_does_not_grow_with_the_labels():
    def temp(K: int, function: Any) -> float:
        shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((1024, 64), (K, 64), (K,))]
        plan = jax.jit(function).lower(*shapes).compile().memory_analysis()
        return plan.temp_size_in_bytes / 2**20

    y = np.zeros((1024, 8), np.int32)
    for function in (
        lambda *at: linear_heads.top_k(*at, 5),
        lambda *at: linear_heads.ranks(*at, y),
    ):
        small, large = (temp(K, function) for K in (65_536, 524_288))
        assert large < 48  # all logits are 2 GiB
        assert large < 1.1 * small


def test_what_does_not_fit_is_refused():
    x, W, b = draw(2, 5)
    for k in (0, 6):
        with pytest.raises(UserError, match=f"k from 1 to the 5 labels there are; got {k}"):
            linear_heads.top_k(x, W, b, k)
    with pytest.raises(UserError, match=r"ranks takes positives \(2, P\), integers"):
        linear_heads.ranks(x, W, b, np.zeros((2, 1)))
    with pytest.raises(UserError, match=r"linear_heads.top_k takes x \(m, H\)"):
        linear_heads.top_k(x, W[:, 1:], b, 1)
