"""Heads that change while their gradient is computed, against changes by the whole gradient."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxnet import linear_heads
from jaxnet.errors import UserError
from tests.nn.heads import CASES, NARROW, Case, draw, name_of
from tests.nn.rows import close, same
from tests.nn.test_linear_heads import BARE, REGIMES, run
from tests.tiers import thorough

pytestmark = pytest.mark.sampled(3)

# One case of each head in every shape: how targets are read is the same as in test_linear_heads.py.
EVERYWHERE = (CASES[0], CASES[4])
SHAPES = [
    *((case, REGIMES[0]) for case in CASES),
    *((EVERYWHERE[0], shape) for shape in REGIMES[1:]),
    *thorough(*((case, shape) for case in EVERYWHERE[1:] for shape in REGIMES[1:])),
]


def momentum(first: Any, parts: Any, gradients: Any) -> Any:
    """What has one row a label goes along; that the block is the right one is told by its rows."""
    W, b, velocity, seen = parts
    velocity = 0.9 * velocity + gradients[0]
    places = first + jnp.arange(b.shape[0], dtype=jnp.int32)
    return W - 0.1 * velocity, b - 0.1 * gradients[1], velocity, seen + places


def parts_of(W: Any, b: Any) -> Any:
    return W, b, jnp.sin(W), jnp.zeros(W.shape[:1], jnp.int32)


def by_the_whole(case: Case, at: Any, y: Any) -> Any:
    """(losses, dX, parts) with dW as a whole."""
    x, W, b, w = at

    def total(x: Any, W: Any, b: Any) -> Any:
        losses = case.head.loss(x @ W.T + b[None, :], y, **case.options(W.shape[0]))
        return jnp.sum(w * losses), losses

    (_, losses), (dx, dW, db) = jax.value_and_grad(total, (0, 1, 2), has_aux=True)(x, W, b)
    return losses, dx, momentum(0, parts_of(W, b), (dW, db))


@pytest.mark.parametrize(("case", "shape"), SHAPES, ids=lambda v: getattr(v, "name", str(v)))
def test_an_update_by_blocks_is_one_by_the_whole_gradient(case: Case, shape: tuple[int, int, int]):
    m, K, block = shape
    drawn = draw(case, m, K)
    x, W, b, w = drawn.at

    def update(x: Any, parts: Any, y: Any, w: Any) -> Any:
        options = case.options(K)
        return case.head.update(x, parts, y, momentum, weights=w, block=block, **options)

    done = run(update, x, parts_of(W, b), drawn.targets, w)
    losses, dx, parts = run(partial(by_the_whole, case), drawn.at, drawn.dense)
    close(done.losses, losses, 2e-6)
    close(done.dx, dx, 2e-6)
    for one, other in zip(done.parts[:3], parts[:3], strict=True):
        close(one, other, 2e-6)
    same(done.parts[3], np.arange(K))


@pytest.mark.parametrize("case", BARE, ids=name_of)
def test_a_row_of_weight_0_is_absent_whatever_is_in_it(case: Case):
    drawn = draw(case, 7, 13)
    x, W, b, w = drawn.at
    w = w.at[2].set(0)

    def update(x: Any) -> Any:
        parts = parts_of(W, b)
        words = dict(case.words)
        return case.head.update(x, parts, drawn.targets, momentum, weights=w, block=5, **words)

    one, two = run(update, x), run(update, x.at[2].set(jnp.nan))
    jax.tree.map(same, one, two)
    same(one.losses[2], 0)
    same(one.dx[2], 0)


@pytest.mark.parametrize("case", BARE, ids=name_of)
def test_nothing_changes_unless_it_shall(case: Case):
    drawn = draw(case, 7, 13)
    x, W, b, _ = drawn.at
    parts = parts_of(W, b)

    def update(parts: Any, when: Any) -> Any:
        return case.head.update(x, parts, drawn.targets, momentum, when=when, block=5)

    yes, no = (run(update, parts, jnp.bool_(when)) for when in (True, False))
    jax.tree.map(same, no.parts, parts)
    assert not np.array_equal(yes.parts[0], W)
    same(yes.losses, no.losses)
    same(yes.dx, no.dx)


@pytest.mark.parametrize("case", BARE, ids=name_of)
def test_a_label_that_names_nothing_gives_nan(case: Case):
    drawn = draw(case, 3, 13)
    wrong = {"labels": jnp.array([1, 13, 2]), "sparse": jnp.array([[1], [13], [2]])}
    if case.kind not in wrong:
        pytest.skip("dense targets name every label")
    done = run(
        lambda parts: case.head.update(drawn.at[0], parts, wrong[case.kind], momentum),
        parts_of(*drawn.at[1:3]),
    )
    same(np.isnan(done.losses), [False, True, False])
    assert np.isnan(done.parts[1]).any()


@pytest.mark.parametrize("head", [linear_heads.multilabel, linear_heads.categorical])
def test_narrow_weights_and_narrow_products(head: Any):
    """bfloat16 W beside float32 x is multiplied in float32, unless another type is asked for."""
    case = next(case for case in NARROW if case.head is head)
    drawn = draw(case, 9, 12)
    x, W, b, _ = drawn.at
    narrow = W.astype(jnp.bfloat16)

    def keep(first: Any, parts: Any, gradients: Any) -> Any:
        assert gradients[0].dtype == jnp.float32
        return parts[0], parts[1], gradients[0]

    def update(W: Any, x: Any, **more: Any) -> Any:
        parts = W, b, jnp.zeros(W.shape, jnp.float32)
        return run(lambda x: head.update(x, parts, drawn.targets, keep, block=5, **more), x)

    exact = update(narrow.astype(jnp.float32), x)
    close(update(narrow, x).parts[2], exact.parts[2], 1e-6)
    rough = update(narrow, x, compute_dtype=jnp.bfloat16).parts[2]
    assert 1e-4 < np.abs(rough - exact.parts[2]).max() / np.abs(exact.parts[2]).max() < 3e-2


@pytest.mark.both
@pytest.mark.optimised
@pytest.mark.parametrize("head", [linear_heads.multilabel, linear_heads.categorical])
def test_no_gradient_of_k_rows_and_no_copy_of_the_parts(head: Any):
    """Beyond the arguments, which are changed in place: a few tiles, whatever K is."""
    m, H, steps = 512, 128, 3
    y = jax.ShapeDtypeStruct((m,) if head is linear_heads.categorical else (m, 8), jnp.int32)

    def train(x: Any, parts: Any, y: Any) -> Any:
        def one(_: Any, carry: Any) -> Any:
            x, parts = carry
            done = head.update(x, parts, y, momentum)
            return x - done.dx, done.parts

        return lax.fori_loop(0, steps, one, (x, parts))

    sizes = {}
    for K in (32_768, 131_072):
        W = jax.ShapeDtypeStruct((K, H), jnp.float32)
        b = jax.ShapeDtypeStruct((K,), jnp.float32)
        parts = W, b, W, jax.ShapeDtypeStruct((K,), jnp.int32)
        x = jax.ShapeDtypeStruct((m, H), jnp.float32)
        plan = jax.jit(train, donate_argnums=1).lower(x, parts, y).compile().memory_analysis()
        assert plan.alias_size_in_bytes == 4 * (2 * K * H + 2 * K)
        sizes[K] = plan.temp_size_in_bytes
    assert max(sizes.values()) < 16 * 2**20  # W of the smaller K alone has as many
    assert sizes[131_072] < 1.25 * sizes[32_768]


def test_parts_without_one_row_a_label_are_refused():
    head, x, y = linear_heads.multilabel, jnp.ones((2, 3)), jnp.array([[1], [0]])
    for parts in (
        (jnp.ones((4, 3)), jnp.ones(5)),
        (jnp.ones((4, 3)),),
        (jnp.ones((4, 3)), jnp.ones(4), jnp.ones(())),
    ):
        with pytest.raises(UserError, match="whose arrays all have one row a label"):
            head.update(x, parts, y, momentum)
    with pytest.raises(UserError, match=r"takes x \(m, H\), W \(K, H\) and b \(K,\)"):
        head.update(x, (jnp.ones((4, 2)), jnp.ones(4)), y, momentum)
