"""Deltas under label smoothing of every size, against the same formula in 80-bit arithmetic.

1 - y' must come from the definition of y' and not from y' itself: with little smoothing the one is
a difference of numbers that are nearly equal. Errors are relative to the sum of delta's terms.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from jaxnet.nn.losses import LOSSES

M, K = 64, 7
Wide = np.longdouble


def softmax(z: Any) -> tuple[Any, Any]:
    """(a, 1 - a)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    others = e @ (1 - np.eye(K, dtype=Wide))
    total = e.sum(axis=1, keepdims=True)
    return e / total, others / total


def sigmoid(z: Any) -> tuple[Any, Any]:
    return 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))


def categorical(z: Any, y: Any, e: Any, w: Any) -> tuple[Any, Any]:
    """The two terms of delta."""
    a, rest = softmax(z)
    c = w * ((1 - e) * y + e / K)
    return a * (c @ (1 - np.eye(K, dtype=Wide))), rest * c


def labelwise(z: Any, y: Any, e: Any, w: Any) -> tuple[Any, Any]:
    a, rest = sigmoid(z)
    return w * a * ((1 - e) * (1 - y) + e / 2), w * rest * ((1 - e) * y + e / 2)


def squared_sigmoid(z: Any, y: Any, e: Any, w: Any) -> tuple[Any, Any]:
    a, rest = sigmoid(z)
    above, below = labelwise(z, y, e, w)
    return above * a * rest, below * a * rest


def squared_tanh(z: Any, y: Any, e: Any, w: Any) -> tuple[Any, Any]:
    a, rest = sigmoid(2 * z)
    t, slope = (1 - e) * y, 4 * a * rest
    return w * slope * a * (1 - t), w * slope * rest * (1 + t)


def squared_softmax(z: Any, y: Any, e: Any, w: Any) -> tuple[Any, Any]:
    a, rest = softmax(z)
    t = (1 - e) * y + e / K
    v = (w * t).sum(axis=1, keepdims=True) * (a * (1 - t) - rest * t)
    size = (w * t).sum(axis=1, keepdims=True) * (a * (1 - t) + rest * t)
    # The sum of the terms' absolute values counts all of them, of either sign.
    delta = a * (v - (v * a).sum(axis=1, keepdims=True))
    terms = a * (size + (size * a).sum(axis=1, keepdims=True))
    return (terms + delta) / 2, (terms - delta) / 2


WEIGHTS = np.float32([0.5, 2.0, 1.5, 1.0, 0.25, 3.0, 1.0])
CASES: list[tuple[str, dict[str, Any], str, Callable[..., Any], float]] = [
    ("categorical_cross_entropy", {}, "labels", categorical, 4e-6),
    ("categorical_cross_entropy", {"class_weight": WEIGHTS}, "labels", categorical, 4e-6),
    ("categorical_cross_entropy", {}, "rows", categorical, 4e-6),
    ("binary_cross_entropy", {}, "column", labelwise, 5e-7),
    ("multilabel_cross_entropy", {"class_weight": WEIGHTS}, "columns", labelwise, 5e-7),
    ("squared_error", {"activation": "sigmoid"}, "columns", squared_sigmoid, 1e-6),
    ("squared_error", {"activation": "tanh"}, "signs", squared_tanh, 1e-6),
    ("squared_error", {"activation": "softmax"}, "labels", squared_softmax, 5e-6),
]


@pytest.mark.parametrize(("name", "options", "kind", "terms", "limit"), CASES)
def test_smoothing_from_a_millionth_to_a_half_loses_nothing(name, options, kind, terms, limit):
    rng = np.random.default_rng(7)
    z = np.float32(rng.normal(size=(M, 1 if kind == "column" else K)) * rng.choice([2, 12], (M, 1)))
    labels = rng.integers(0, K, M)
    if kind in ("labels", "rows"):
        z[np.arange(M), labels] += np.float32(rng.choice([0, 25], M))  # half of them certain
    if kind == "labels":
        y, rows = labels, np.eye(K)[labels]
    elif kind == "rows":  # nearly one-hot
        tiny = 10.0 ** rng.uniform(-6, -2, (M, K)) / K
        y = rows = np.float32(np.where(np.eye(K)[labels] == 1, 1 - 1e-3, tiny))
    else:
        y = rows = np.float32(rng.integers(0, 2, z.shape))
        if kind == "signs":
            y = rows = 2 * y - 1
    smoothing = np.float32(10.0 ** rng.uniform(-6, np.log10(0.5), 40))
    delta = jax.jit(jax.vmap(lambda e: LOSSES[name].delta(z, y, label_smoothing=e, **options)))
    found = np.asarray(delta(smoothing))
    weights = options.get("class_weight", np.float32(1))
    for e, got in zip(smoothing, found, strict=True):
        above, below = terms(z.astype(Wide), rows.astype(Wide), Wide(e), weights.astype(Wide))
        size = above + below
        error = np.where(size > 1e-30, np.abs(got - (above - below)) / size, 0)
        worst = np.unravel_index(np.argmax(error), error.shape)
        assert error[worst] < limit, (float(e), worst, float(error[worst]))


def test_smoothing_behind_tanh_is_symmetric_about_0():
    z, y = np.float32([0.7, -0.7]), np.float32([1, -1])
    one, other = LOSSES["squared_error"](z, y, activation="tanh", label_smoothing=0.2)
    assert one == other
    np.testing.assert_allclose(one, (0.8 - np.tanh(0.7)) ** 2 / 2, rtol=1e-5)
