"""Linear heads against the dense losses: values and gradients in every shape of tile."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import linear_heads
from jaxnet.nn.linear_heads import tiles
from tests.nn.heads import BARE, CASES, NARROW, Case, Drawn, draw, name_of
from tests.nn.rows import UNOPTIMISED, close
from tests.tiers import thorough, usual

pytestmark = pytest.mark.sampled(3)

PER_CASE = pytest.mark.parametrize("case", CASES, ids=name_of)
LIMIT = 2e-6
# m, K, block: prime K, block > K, block in (K/2, K), m < block, no rows, one label, blocks of one
REGIMES = [(7, 13, 5), (7, 13, 20), (9, 12, 8), (3, 23, 11), (0, 13, 5), (6, 1, 4), (4, 5, 1)]
SHAPES = [
    *(pytest.param(case, REGIMES[0], marks=pytest.mark.both) for case in CASES),
    *((BARE[0], shape) for shape in REGIMES[1:]),
    *thorough(*((case, shape) for case in BARE[1:] for shape in REGIMES[1:])),
]


def run(function: Any, *at: Any) -> Any:
    """The function compiled, without the time for optimisation."""
    return jax.jit(function, compiler_options=UNOPTIMISED)(*at)


def dense(case: Case, at: Any, y: Any) -> Any:
    """Weighted losses by the dense loss behind the logits."""
    x, W, b, w = at
    return w * case.head.loss(x @ W.T + b[None, :], y, **case.options(W.shape[0]))


def tiled(case: Case, at: Any, y: Any, block: int = 5) -> Any:
    """Weighted losses by the head."""
    x, W, b, w = at
    return case.head(x, W, b, y, weights=w, block=block, **case.options(W.shape[0]))


def differentiated(losses: Any) -> Any:
    """(at, cotangents, targets) -> (losses, gradients of their product with the cotangents)."""

    def total(at: Any, g: Any, y: Any) -> Any:
        found = losses(at, y)
        return jnp.sum(g * found), found

    both = jax.jit(jax.value_and_grad(total, has_aux=True), compiler_options=UNOPTIMISED)

    def of(drawn: Drawn, y: Any) -> Any:
        (_, found), gradients = both(drawn.at, drawn.g, y)
        return found, gradients

    return of


@cache
def by_head(case: Case, block: int = 5) -> Any:
    """Compiled once for all tests of one shape."""
    return differentiated(partial(tiled, case, block=block))


@cache
def by_loss(case: Case) -> Any:
    """The same of the dense loss."""
    return differentiated(partial(dense, case))


def agree(got: Any, wanted: Any, limit: float = LIMIT) -> None:
    """Value and each gradient, relative to the largest entry."""
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        close(one, other, limit)


@pytest.mark.parametrize(("case", "shape"), SHAPES, ids=lambda v: getattr(v, "name", str(v)))
def test_values_and_gradients_are_those_of_the_dense_loss(case: Case, shape: tuple[int, int, int]):
    m, K, block = shape
    drawn = draw(case, m, K)
    agree(by_head(case, block)(drawn, drawn.targets), by_loss(case)(drawn, drawn.dense))


@PER_CASE
@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_the_same_with_small_and_with_saturated_logits(case: Case, scale: float):
    drawn = draw(case, 7, 13, scale)
    agree(by_head(case)(drawn, drawn.targets), by_loss(case)(drawn, drawn.dense))


@pytest.mark.parametrize("case", usual(CASES, *NARROW), ids=name_of)
def test_the_sum_has_the_gradients_of_the_sum(case: Case):
    drawn = draw(case, 7, 13)
    w = drawn.at[3].at[2].set(0)
    drawn = drawn._replace(at=(*drawn.at[:3], w), g=jnp.full(7, -3.0))

    def one_sweep(at: Any, y: Any) -> Any:
        x, W, b, w = at
        return -3 * case.head.sum(x, W, b, y, weights=w, block=5, **case.options(13))

    losses, wanted = by_loss(case)(drawn, drawn.dense)
    value, found = run(jax.value_and_grad(one_sweep), drawn.at, drawn.targets)
    agree((value, found), (-3 * jnp.sum(losses), wanted))


@pytest.mark.parametrize("case", [CASES[0], CASES[-1]], ids=name_of)
def test_rows_in_blocks_too(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiles, "LEAST_ROWS", 1)
    monkeypatch.setattr(tiles, "CPU_TILE_BYTES", 4 * 15)
    assert tiles.tile_shape(7, 13, 5, 15) == (3, 5)
    drawn = draw(case, 7, 13)
    found = differentiated(partial(tiled, case))(drawn, drawn.targets)
    agree(found, by_loss(case)(drawn, drawn.dense))


@pytest.mark.parametrize("case", usual(BARE, BARE[-1]), ids=name_of)
def test_each_gradient_alone_is_the_same(case: Case):
    drawn = draw(case, 7, 13)

    def head(*at: Any) -> Any:
        return jnp.sum(drawn.g * tiled(case, at, drawn.targets))

    _, together = by_head(case)(drawn, drawn.targets)
    for index in range(4):
        close(run(jax.grad(head, index), *drawn.at), together[index], 2e-7)


@pytest.mark.parametrize("case", BARE, ids=name_of)
def test_confident_answers_keep_their_small_losses_and_gradients(case: Case):
    """Every entry to 2e-6 of itself, where the textbook form has zeros."""
    K, targets = 11, {"labels": jnp.array([3]), "sparse": jnp.array([[3]])}
    b = jnp.full(K, -20.0).at[3].set(20.0)
    at = (jnp.zeros((1, 2)), jnp.zeros((K, 2)), b)
    y = targets.get(case.kind, jnp.zeros((1, K), jnp.int32).at[0, 3].set(1))
    value, db = run(jax.value_and_grad(lambda b: jnp.sum(case.head(*at[:2], b, y, block=4))), b)
    softmax = case.head is linear_heads.categorical
    small = np.exp(-40.0 if softmax else -20.0)
    wanted = np.full(K, small)
    wanted[3] = -small * ((K - 1) if softmax else 1)
    np.testing.assert_allclose(value, small * (10 if softmax else 11), rtol=LIMIT)
    np.testing.assert_allclose(db, wanted, rtol=LIMIT)


@pytest.mark.parametrize("case", NARROW, ids=name_of)
def test_against_float64(case: Case):
    with jax.enable_x64(True):
        drawn = draw(case, 7, 13, 3.0, np.float64)
        found = by_head(case)(drawn, drawn.targets)
        assert found[0].dtype == np.float64
        agree(found, by_loss(case)(drawn, drawn.dense), 1e-12)


@pytest.mark.parametrize("case", usual(NARROW, *NARROW[1:3]), ids=name_of)
def test_bfloat16_is_no_further_from_float64_than_the_dense_form(case: Case):
    narrow = draw(case, 64, 211, 3.0, jnp.bfloat16)
    mine = by_head(case, 60)(narrow, narrow.targets)
    other = by_loss(case)(narrow, narrow.dense)
    assert [leaf.dtype for leaf in mine[1]] == [leaf.dtype for leaf in narrow.at]
    assert mine[0].dtype == jnp.float32
    with jax.enable_x64(True):
        at, g = jax.tree.map(lambda part: part.astype(np.float64), (narrow.at, narrow.g))
        right = by_loss(case)(narrow._replace(at=at, g=g), narrow.dense)
        for one, two, true in zip(*map(jax.tree.leaves, (mine, other, right)), strict=True):
            errors = [np.linalg.norm(np.float64(found) - true) for found in (one, two)]
            assert errors[0] <= 1.05 * errors[1] + 1e-6 * np.linalg.norm(true)


def test_carries_of_bfloat16_are_float32():
    """A running sum in bfloat16 would stop at 256."""
    m, K = 1, 4096
    W, b = jnp.ones((K, 1), jnp.bfloat16), jnp.zeros(K, jnp.bfloat16)
    x = jnp.zeros((m, 1), jnp.bfloat16)
    y = jnp.full((m, 1), -1)
    value, dx = run(
        jax.value_and_grad(lambda x: jnp.sum(linear_heads.multilabel(x, W, b, y, block=1))), x
    )
    np.testing.assert_allclose(value, K * np.log(2), rtol=1e-4)
    np.testing.assert_allclose(np.float32(dx), K / 2, rtol=1e-2)
