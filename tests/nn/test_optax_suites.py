"""The tests that optax ships for its own losses, run with ours bound in place of optax's.

What the adapters do, and why:

- The twin `loss.forward_mode` is bound, because `check_grads` and `hessian` ask for forward mode,
  which a custom_vjp refuses. It has the value and the delta of the loss.
- optax's losses take any number of axes and an `axis`; ours take rows (m, K) and (m,). The adapters
  move the class axes last and flatten the rest. optax's sigmoid losses return one number a label:
  the labels are passed as rows of one.
- `where` of optax leaves out classes: ours do without the option, because a logit of -inf says the
  same. A row with no class left has loss 0 in optax, and no meaning here: it is given zero logits
  and zero targets.
- `alpha` of optax's focal loss is the pair of class weights (1 - alpha, alpha).

All tests of the five classes below hold. Not run: the classes of losses that jaxnet does not have
(hinge, perceptron, sparsemax, poly, Kullback-Leibler, CTC), and `_smoothing_test`, whose function
makes targets and is no loss: `test_smoothing_is_that_of_optax` compares the two instead.

- Our functions are compiled: operation by operation the suite takes three times as long.

The strict promotion of this suite is off here: it is optax's tests that mix dtypes and ranks.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.losses import _classification_test as suite

from jaxnet.nn import losses

pytestmark = pytest.mark.sampled(2)

softmax_rows = jax.jit(losses.categorical_cross_entropy.forward_mode)
sigmoid_rows = jax.jit(losses.binary_cross_entropy.forward_mode)
focal_rows = jax.jit(losses.focal.forward_mode)


def _last(x: Any, axis: Any) -> jax.Array:
    """The array with its class axes moved last and made one."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    moved = jnp.moveaxis(x, axes, range(-len(axes), 0))
    return moved.reshape(*moved.shape[: moved.ndim - len(axes)], -1)


def _leave_out(z: jax.Array, where: Any, axis: Any, ndim: int) -> tuple[jax.Array, jax.Array]:
    """(logits with the classes left out at -inf, rows that keep one)."""
    where = jnp.asarray(where)
    if where.ndim != ndim:
        where = jnp.expand_dims(where, axis)
        kept = jnp.broadcast_to(_last(where, axis), z.shape)
    else:
        kept = _last(where, axis)
    rows = jnp.any(kept, axis=-1, keepdims=True)
    return jnp.where(rows, jnp.where(kept, z, -jnp.inf), 0), kept


def softmax_cross_entropy(logits: Any, labels: Any, axis: Any = -1, where: Any = None) -> jax.Array:
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    z, y = _last(logits, axis), _last(labels, axis)
    if where is not None:
        z, kept = _leave_out(z, where, axis, logits.ndim)
        y = jnp.where(kept, y, 0)
    rows = softmax_rows(z.reshape(-1, z.shape[-1]), y.reshape(-1, z.shape[-1]))
    return rows.reshape(z.shape[:-1])


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: Any = -1, where: Any = None
) -> jax.Array:
    logits = jnp.asarray(logits)
    z = _last(logits, axis)
    kept = jnp.ones_like(z, bool)
    if where is not None:
        z, kept = _leave_out(z, where, axis, logits.ndim)
    rows = softmax_rows(z.reshape(-1, z.shape[-1]), jnp.reshape(jnp.asarray(labels), -1))
    return jnp.where(jnp.any(kept, axis=-1), rows.reshape(z.shape[:-1]), 0)


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    logits = jnp.asarray(logits)
    each = sigmoid_rows(logits.ravel(), jnp.asarray(labels).ravel())
    return each.reshape(logits.shape)


def sigmoid_focal_loss(
    logits: Any, labels: Any, alpha: float | None = None, gamma: float = 2.0
) -> jax.Array:
    logits = jnp.asarray(logits)
    weights = {} if alpha is None else {"class_weight": jnp.stack([1 - alpha, alpha])}
    each = focal_rows(logits.ravel(), jnp.asarray(labels).ravel(), gamma=gamma, **weights)
    return each.reshape(logits.shape)


OURS = SimpleNamespace(
    softmax_cross_entropy=softmax_cross_entropy,
    safe_softmax_cross_entropy=softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels=softmax_cross_entropy_with_integer_labels,
    sigmoid_binary_cross_entropy=sigmoid_binary_cross_entropy,
    sigmoid_focal_loss=sigmoid_focal_loss,
)


@pytest.fixture(autouse=True)
def _ours_in_place_of_optax(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(suite, "_classification", OURS)
    np.random.seed(0)  # optax draws from it
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class TestSoftmaxCrossEntropy(suite.SoftmaxCrossEntropyTest):
    pass


class TestSafeSoftmaxCrossEntropy(suite.SafeSoftmaxCrossEntropyTest):
    pass


class TestSoftmaxCrossEntropyWithIntegerLabels(suite.SoftmaxCrossEntropyWithIntegerLabelsTest):
    pass


class TestSigmoidCrossEntropy(suite.SigmoidCrossEntropyTest):
    pass


class TestSigmoidFocalLoss(suite.SigmoidFocalLossTest):
    pass


def test_the_suites_reach_our_functions():
    assert suite._classification is OURS
    classes = [
        case
        for case in globals().values()
        if isinstance(case, type) and issubclass(case, suite.parameterized.TestCase)
    ]
    tests = [name for case in classes for name in dir(case) if name.startswith("test")]
    assert len(classes) == 5
    assert len(tests) >= 45


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_smoothing_is_that_of_optax(smoothing: float):
    rng = np.random.default_rng(0)
    z, labels = jnp.asarray(rng.normal(size=(4, 5)), jnp.float32), rng.integers(0, 5, 4)
    rows = optax.smooth_labels(jax.nn.one_hot(labels, 5), smoothing)
    expected = optax.softmax_cross_entropy(z, rows)
    found = losses.categorical_cross_entropy(z, labels, label_smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
