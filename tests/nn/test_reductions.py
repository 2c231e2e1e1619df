"""`mean`, `sum` and the pair that is carried across batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import losses
from tests.nn.rows import same

VALUES = jnp.asarray([1.0, 2.0, 6.0])


def test_weights_enter_sum_and_divisor():
    w = jnp.asarray([1.0, 0.0, 3.0])
    assert losses.sum(VALUES) == 9
    assert losses.mean(VALUES) == 3
    assert losses.sum(VALUES, w) == 19
    assert losses.mean(VALUES, w) == 19 / 4
    assert losses.mean(VALUES, jnp.asarray([True, False, True])) == 3.5
    assert losses.mean(VALUES, np.array([1, 0, 3])) == 19 / 4


def test_pairs_of_batches_add_up_to_the_whole_and_means_do_not():
    w = jnp.asarray([1.0, 1.0, 3.0])
    parts = [losses.totals(VALUES[i:j], w[i:j]) for i, j in ((0, 2), (2, 3))]
    total, weight = (sum(column) for column in zip(*parts, strict=True))
    assert total / weight == losses.mean(VALUES, w)
    means = [float(losses.mean(VALUES[i:j], w[i:j])) for i, j in ((0, 2), (2, 3))]
    assert np.mean(means) != losses.mean(VALUES, w)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_of_weight_zero_are_absent_whatever_they_hold(bad: float):
    values, w = VALUES.at[1].set(bad), jnp.asarray([1.0, 0.0, 3.0])
    assert losses.mean(values, w) == 19 / 4
    slope = jax.grad(losses.mean)(values, w)
    same(slope, np.float32([0.25, 0, 0.75]))
    assert np.isfinite(jax.grad(losses.mean, argnums=1)(values, w)[jnp.asarray([0, 2])]).all()
    assert not np.isfinite(losses.mean(values, jnp.ones(3)))


def test_no_weight_at_all_is_zero_with_gradient_zero():
    zero = jnp.zeros(3)
    assert losses.mean(VALUES, zero) == 0
    same(jax.grad(losses.mean)(VALUES, zero), zero)
    assert losses.mean(VALUES[:0]) == 0
    same(jax.grad(losses.mean)(VALUES[:0]), VALUES[:0])


def test_shapes_are_never_broadcast():
    with pytest.raises(UserError, match=r"weights take the shape of the losses, \(3,\); got"):
        losses.mean(VALUES, jnp.ones((3, 1)))
    with pytest.raises(UserError, match=r"got \(1,\)"):
        losses.sum(VALUES, jnp.ones(1))
    with pytest.raises(UserError, match=r"weights take the shape of the losses, \(3, 1\); got"):
        losses.mean(VALUES[:, None], jnp.ones(3))
    with pytest.raises(UserError, match=r"one loss an example, shape \(m,\); got \(\)"):
        losses.mean(VALUES[0])
