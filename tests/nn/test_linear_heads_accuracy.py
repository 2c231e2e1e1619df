"""Heads against float64, entry by entry: smoothing from 1e-6 on, masks, labels of any width."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import backprop, linear_heads, losses, mlp
from jaxnet.nn.linear_heads import Positives
from tests.nn.rows import same
from tests.nn.test_linear_heads import run

M, K = 120, 13
LIMIT = 4e-6  # what rounding leaves of a difference of two logits, up to 160


def logits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(z, labels) with |z| <= 80, a third of the rows confident and right."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-80, 80, (M, K))
    z[::2] = rng.normal(size=(M // 2, K)) * rng.uniform(0, 20, (M // 2, 1))
    y = rng.integers(0, K, M)
    rows = np.arange(0, M, 3)
    z[rows, y[rows]] = np.maximum(z[rows].max(axis=1), rng.uniform(0, 80, len(rows)))
    return np.clip(z, -80, 80).astype(np.float32), y.astype(np.int32)


def smoothing(count: int) -> np.ndarray:
    """Log-uniform from 1e-6 to .5, with the ends."""
    drawn = np.random.default_rng(count).uniform(np.log(1e-6), np.log(0.5), count)
    return np.exp(np.concatenate([[np.log(1e-6), np.log(0.5)], drawn])).astype(np.float32)


def behind(head: Any, y: Any, **fixed: Any) -> Any:
    """(z, e) -> (losses, deltas) of a head whose logits are z exactly."""

    def both(z: Any, e: Any) -> Any:
        def total(z: Any) -> Any:
            found = head(z, jnp.eye(K), jnp.zeros(K), y, block=5, label_smoothing=e, **fixed)
            return jnp.sum(found), found

        (_, found), delta = jax.value_and_grad(total, has_aux=True)(z)
        return found, delta

    return jax.jit(both)


def others(a: np.ndarray) -> np.ndarray:
    """The sum over the last axis of all but each: no difference."""
    return np.stack([np.delete(a, j, axis=-1).sum(axis=-1) for j in range(a.shape[-1])], axis=-1)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_smoothed_softmax_keeps_its_accuracy_at_any_smoothing(weighted: bool):
    z, y = logits(1)
    v = np.exp(np.random.default_rng(2).uniform(-2, 2, K)) if weighted else np.ones(K)
    v32 = np.float32(v)
    head = behind(linear_heads.categorical, y, **({"class_weight": v32} if weighted else {}))
    v, wide = np.float64(v32), np.float64(z)
    hit = np.arange(K) == y[:, None]
    gap = wide.max(axis=1, keepdims=True) - wide
    share = np.exp(-gap)
    whole = share.sum(axis=1, keepdims=True)
    for e32 in smoothing(6):
        e = np.float64(e32)
        each = e / K * v
        own = (1 - e) * v[y][:, None]
        one = share / whole * np.where(hit, others(each), others(each) + own)
        two = others(share) / whole * np.where(hit, own + each, each)
        found, delta = head(z, e32)
        assert (np.abs(delta - (one - two)) <= LIMIT * (one + two) + 1e-30).all(), e
        wanted = (np.where(hit, own + each, each) * (gap + np.log(whole))).sum(axis=1)
        np.testing.assert_allclose(found, wanted, rtol=2e-6)


def test_smoothed_answers_keep_theirs_also_where_they_are_nearly_zero_or_one():
    z, _ = logits(3)
    rng = np.random.default_rng(4)
    y = np.float32(np.exp(-rng.uniform(0, 16, (M, K))))
    y = np.where(rng.random((M, K)) < 0.5, y, np.float32(1) - y)
    head = behind(linear_heads.multilabel, y)
    wide, p = np.float64(z), np.float64(y)
    for e32 in smoothing(6):
        e = np.float64(e32)
        one = ((1 - e) * (1 - p) + e / 2) / (1 + np.exp(-wide))
        two = ((1 - e) * p + e / 2) / (1 + np.exp(wide))
        _, delta = head(z, e32)
        assert (np.abs(delta - (one - two)) <= 2e-6 * (one + two) + 1e-30).all(), e


INF = np.inf
ROWS = {  # logits, label -> loss, delta
    "masked": ([0.0, -INF, 0.0], 0, np.log(2), [-0.5, 0.0, 0.5]),
    "alone": ([-INF, 3.0, -INF], 1, 0.0, [0.0, 0.0, 0.0]),
    "label masked": ([0.0, -INF, 0.0], 1, INF, [0.5, -1.0, 0.5]),
    "right without end": ([INF, 1.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
    "wrong without end": ([INF, 1.0, 0.0], 1, INF, [1.0, -1.0, 0.0]),
    "all masked": ([-INF, -INF, -INF], 1, np.nan, [np.nan] * 3),
    "not a number": ([0.0, np.nan, 0.0], 0, np.nan, [np.nan] * 3),
}


@pytest.mark.parametrize("block", [1, 3])
def test_infinite_logits_have_their_limits(block: int):
    """As biases: W and x stay finite."""

    def total(b: Any, y: Any) -> Any:
        x, W = jnp.ones((1, 2)), jnp.zeros((3, 2))
        return linear_heads.categorical(x, W, b, y[None], block=block)[0]

    both = jax.jit(jax.value_and_grad(total))
    for name, (z, label, loss, delta) in ROWS.items():
        found, slope = both(jnp.array(z), jnp.int32(label))
        np.testing.assert_allclose(found, loss, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(slope, delta, rtol=1e-6, err_msg=name)


WIDE = [2**32 + 2, -(2**32) + 1, 2**31 + 1]


@pytest.mark.parametrize("x64", [False, True])
def test_labels_beyond_int32_name_no_class(x64: bool):
    with jax.enable_x64(x64):
        x, W, b = jnp.ones((1, 2)), jnp.zeros((4, 2)), jnp.zeros(4)
        layer = mlp.init(jax.random.key(0), [2, 4])
        for label in WIDE:
            y = np.array([label], np.int64)
            for given in (y, jnp.asarray(y)) if x64 else (y,):
                assert np.isnan(linear_heads.categorical(x, W, b, given)).all()
                assert np.isnan(linear_heads.multilabel(x, W, b, given[:, None])).all()
                same(linear_heads.ranks(x, W, b, given[:, None]), [[0]])
        if not x64:
            y = np.array([2**33 + 2], np.int64)
            value, _ = backprop.gradients(layer, x, y, losses.categorical_cross_entropy)
            assert np.isnan(value)
            for dtype in (np.uint32, np.uint8):
                labels = jnp.array([np.iinfo(dtype).max, 3], dtype)
                found = linear_heads.categorical(jnp.ones((2, 2)), W, b, labels)
                same(np.isnan(found), [True, False])


def test_a_row_that_is_not_a_number_gives_no_rank():
    x = jnp.array([[1.0], [jnp.nan]])
    W = jnp.array([[1.0], [3.0], [2.0]])
    found = run(lambda x: linear_heads.ranks(x, W, jnp.zeros(3), np.array([[0, 1], [0, 1]])), x)
    same(found, [[3, 1], [0, 0]])
    # a class that is not a number has no rank, and takes none from the others
    b = jnp.array([0.0, jnp.nan, 0.0])
    same(linear_heads.ranks(x[:1], W, b, np.array([[0, 1, 2]])), [[2, 0, 1]])


def test_labels_where_zeros_and_ones_are_read_are_refused():
    x, W, b = jnp.ones((2, 2)), jnp.zeros((3, 2)), jnp.zeros(3)
    y = np.array([[0, 2, -1], [1, -1, -1]])
    for given in (y, jnp.asarray(y)):
        with pytest.raises(UserError, match=r"write linear_heads\.Positives\(indices\)"):
            linear_heads.multilabel(x, W, b, given)
    assert np.isfinite(linear_heads.multilabel(x, W, b, Positives(y))).all()
    assert np.isnan(run(lambda y: linear_heads.multilabel(x, W, b, y), y)).all()


def test_signatures_name_the_options():
    options = {"class_weight", "label_smoothing", "pos_weight", "labels"}
    head = linear_heads.categorical
    for function in (head, head.sum, head.forward_mode, head.update):
        parameters = inspect.signature(function).parameters
        assert options <= parameters.keys()
        assert all(p.kind != p.VAR_KEYWORD for p in parameters.values())


@pytest.mark.parametrize("name", ["categorical", "multilabel"])
def test_logits_of_bfloat16_products_are_float32(name: str):
    """The factors are rounded, their products are not: a logit rounded too is off by 4e-3."""
    rng = np.random.default_rng(2)
    x, W = (rng.normal(size=size).astype(jnp.bfloat16) for size in ((8, 64), (K, 64)))
    b = np.zeros(K, np.float32)
    y = rng.integers(0, K, 8) if name == "categorical" else rng.integers(0, 2, (8, K))
    z = x.astype(np.float64) @ W.astype(np.float64).T
    if name == "categorical":
        expected = np.log(np.exp(z).sum(axis=1)) - z[np.arange(8), y]
    else:
        expected = np.logaddexp(0, np.where(y == 1, -z, z)).sum(axis=1)
    found = jax.jit(getattr(linear_heads, name))(x, W, b, y.astype(np.int32))
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-5)
