"""What follows from the lectures: soft targets, smoothing, weights, focal and asymmetric loss."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import losses
from jaxnet.nn.losses import Loss
from scripts import equation_curves as computed
from tests.docs import lecture_graphs as graphs


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def rows(case: graphs.Case) -> tuple[jax.Array, np.ndarray, jax.Array]:
    """Logits, activations and targets, rows being examples."""
    return jnp.asarray(case.z.T), case.a.T, jnp.asarray(case.y.T)


def same(ours: Any, formula: Any) -> None:
    ours, formula = np.asarray(ours), np.asarray(formula)
    assert ours.shape == formula.shape
    assert np.abs(formula).max() > 0
    np.testing.assert_allclose(ours, formula, rtol=1e-10, atol=1e-12)


def value(loss: Loss, z: Any, y: Any, **options: Any) -> Any:
    return jax.jit(lambda z, y: loss(z, y, **options))(z, y)


def delta(loss: Loss, z: Any, y: Any, **options: Any) -> Any:
    return jax.jit(lambda z, y: loss.delta(z, y, **options))(z, y)


def gradient(f: Callable[[Any], Any], at: Any) -> Any:
    return jax.jit(jax.grad(lambda x: jnp.sum(f(x))))(at)


def test_soft_targets_of_softmax_have_the_gradient_minus_log_a() -> None:
    z, a, y = rows(graphs.softmax_case(5))
    assert (np.asarray(y) == 0).any()  # there too
    same(gradient(lambda y: losses.categorical_cross_entropy(z, y), y), -np.log(a))


def test_soft_targets_of_a_sigmoid_have_the_gradient_minus_z() -> None:
    z, a, y = rows(graphs.sigmoid_case(4))
    same(gradient(lambda y: losses.multilabel_cross_entropy(z, y), y), -z)
    same(-z, np.log(1 - a) - np.log(a))


def test_label_smoothing_is_the_same_loss_of_other_targets() -> None:
    e = 0.2
    z, a, y = rows(graphs.sigmoid_case(4))
    smoothed = (1 - e) * np.asarray(y) + e / 2
    same(delta(losses.multilabel_cross_entropy, z, y, label_smoothing=e), a - smoothed)
    z, a, y = rows(graphs.softmax_case(5))
    smoothed = (1 - e) * np.asarray(y) + e / 5
    same(delta(losses.categorical_cross_entropy, z, y, label_smoothing=e), a - smoothed)


def test_label_smoothing_has_its_minimum_short_of_certainty() -> None:
    z, one = jnp.asarray([np.log(0.9 / 0.1)]), jnp.ones(1)
    loss = losses.binary_cross_entropy
    assert abs(delta(loss, z, one, label_smoothing=0.2).item()) < 1e-15
    assert delta(loss, z + 1, one, label_smoothing=0.2).item() > 0


def test_weights_of_classes_multiply_loss_and_delta() -> None:
    z, a, y = rows(graphs.softmax_case(5))
    labels = jnp.argmax(y, axis=1)
    weight = jnp.asarray([1.0, 2.0, 0.5, 3.0, 0.0])
    factor, one_hot = np.asarray(weight[labels]), np.eye(5)[np.asarray(labels)]
    loss = losses.categorical_cross_entropy
    same(value(loss, z, labels, class_weight=weight), -factor * (one_hot * np.log(a)).sum(axis=1))
    same(delta(loss, z, labels, class_weight=weight), factor[:, None] * (a - one_hot))


def test_positive_weight_multiplies_the_positive_side() -> None:
    z, a, y = rows(graphs.sigmoid_case(4))
    loss, y_ = losses.multilabel_cross_entropy, np.asarray(y)
    same(delta(loss, z, y, pos_weight=3.0), (1 - y_) * a - 3 * y_ * (1 - a))


def test_weights_of_rows_divide_and_those_of_classes_do_not() -> None:
    loss, z, y = losses.binary_cross_entropy, jnp.zeros(2), jnp.asarray([1, 0])
    values = value(loss, z, y)
    weighted = value(loss, z, y, class_weight=jnp.asarray([1.0, 3.0]))
    same(losses.mean(weighted), (3 + 1) * np.log(2) / 2)
    same(losses.mean(values, jnp.asarray([3.0, 1.0])), np.log(2))


def test_focal_delta() -> None:
    """delta = (2y - 1) (1 - p)^g (g p log p + p - 1), p = sigma((2y - 1) z)."""
    z, a, _ = rows(graphs.sigmoid_case(4))
    y, g = jnp.asarray(np.random.default_rng(0).integers(0, 2, z.shape).astype(float)), 2.0
    sign = 2 * np.asarray(y) - 1
    p = np.where(sign > 0, a, 1 - a)
    same(value(losses.focal, z, y, gamma=g), (-((1 - p) ** g) * np.log(p)).sum(axis=1))
    same(delta(losses.focal, z, y, gamma=g), sign * (1 - p) ** g * (g * p * np.log(p) + p - 1))
    same(delta(losses.focal, z, y, gamma=0.0), a - np.asarray(y))


def literal_asymmetric(z: Any, y: Any, positive: float, negative: float, clip: float) -> Any:
    a = 1 / (1 + jnp.exp(-z))
    am = jnp.maximum(a - clip, 0)
    return -y * (1 - a) ** positive * jnp.log(a) - (1 - y) * am**negative * jnp.log(1 - am)


def test_asymmetric_delta() -> None:
    z, _, y = rows(graphs.sigmoid_case(4))
    options = {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.05}
    literal = jax.jit(lambda z: literal_asymmetric(z, y, 1.0, 4.0, 0.05))
    same(value(losses.asymmetric, z, y, **options), jnp.sum(literal(z), axis=1))
    same(delta(losses.asymmetric, z, y, **options), gradient(literal, z))


def test_asymmetric_lets_go_of_easy_and_of_hopeless_negatives() -> None:
    z = np.linspace(-6, 6, 601)
    slope = computed.other_deltas(z, 0.0)["asymmetric"]
    a = 1 / (1 + np.exp(-z))
    assert (slope[a <= 0.05] == 0).all()
    assert slope.max() == pytest.approx(0.73, abs=0.01)
    assert z[slope.argmax()] == pytest.approx(2.2, abs=0.05)
    assert slope[-1] < 0.1
