"""Corners where a gradient or a label could go wrong without a word."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import losses, mlp


def test_soft_targets_have_gradients_beside_a_masked_class():
    z = jnp.array([[0.0, 1.0, -jnp.inf]])
    y = jnp.array([[1.0, 0.0, 0.0]])
    total = jax.jit(jax.grad(lambda y: losses.sum(losses.categorical_cross_entropy(z, y))))
    gradient = np.asarray(total(y))
    np.testing.assert_allclose(gradient[0, :2], np.log1p(np.exp([1, -1])), rtol=1e-6)
    assert np.isfinite(gradient).all()


def test_a_masked_row_reaches_no_gradient_at_all():
    z = jnp.array([[0.5, -0.5], [jnp.nan, 1.0]])
    y, mask = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([True, False])

    def mean(z, y, class_weight, label_smoothing):
        options = {"class_weight": class_weight, "label_smoothing": label_smoothing}
        return losses.mean(losses.categorical_cross_entropy(z, y, **options), mask[: len(z)])

    at = (jnp.array([1.0, 2.0]), jnp.float32(0.1))
    gradients = jax.jit(jax.grad(mean, argnums=(0, 1, 2, 3)))
    masked = gradients(z, y, *at)
    removed = gradients(z[:1], y[:1], *at)
    for got, wanted in zip(masked[:2], removed[:2], strict=True):
        got = np.asarray(got)
        np.testing.assert_allclose(got[:1], wanted, rtol=1e-6)
        assert not got[1:].any()
    np.testing.assert_allclose(masked[2], removed[2], rtol=1e-6)
    np.testing.assert_allclose(masked[3], removed[3], rtol=1e-6)


@pytest.mark.parametrize("label", [2**32 + 1, -(2**32), 2**31])
def test_labels_of_64_bits_never_wrap_to_a_class(label):
    labels = np.array([label, 0])
    values = losses.categorical_cross_entropy(jnp.zeros((2, 3)), labels)
    assert np.isnan(values[0])
    assert np.isfinite(values[1])
    assert np.isnan(losses.binary_cross_entropy(jnp.zeros(2), labels)[0])
    with jax.enable_x64(True):  # here the label is one of JAX's own 64 bits
        wide = jnp.asarray(labels)
        assert wide.dtype == jnp.int64
        for call in (losses.categorical_cross_entropy, losses.categorical_cross_entropy.delta):
            found = jax.jit(call)(jnp.zeros((2, 3)), wide)
            assert np.isnan(found[0]).all()
            assert np.isfinite(found[1]).all()
        assert np.isnan(losses.binary_cross_entropy(jnp.zeros(2), wide)[0])


def test_means_are_taken_in_float32():
    assert float(losses.mean(jnp.ones(70_000, jnp.float16))) == 1.0


@pytest.mark.parametrize("targets", [np.zeros(0, np.int32), np.zeros((0, 3), np.float32)])
def test_no_rows_have_a_gradient_of_no_rows(targets):
    def total(z):
        return losses.sum(losses.categorical_cross_entropy(z, targets))

    assert jax.jit(jax.grad(total))(jnp.zeros((0, 3))).shape == (0, 3)


def test_forward_mode_takes_no_rows():
    z = jnp.zeros((0, 3))
    forward = losses.categorical_cross_entropy.forward_mode
    along = jax.jit(lambda z: jax.jvp(lambda z: forward(z, jnp.zeros(0, jnp.int32)), (z,), (z,)))
    value, tangent = along(z)
    assert value.shape == tangent.shape == (0,)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_narrow_products_keep_the_types_of_the_parameters(dtype):
    params = jax.tree.map(lambda p: p.astype(dtype), mlp.init(jax.random.key(0), [4, 8, 3]))

    def total(params):
        return jnp.sum(mlp.forward(params, jnp.ones((2, 4)), compute_dtype=jnp.bfloat16))

    gradients = jax.jit(jax.grad(total))(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype(dtype)}
