"""Losses behind sigmoids: K independent yes-or-no questions, one of them in the binary case.

All of them are linear in the targets: with P(z) the loss of a positive and N(z) that of a negative
example, L = sum_j c1_j P(z_j) + c0_j N(z_j), where c1 = p w y' and c0 = w (1 - y') hold positive
weight p, class weight w and smoothed target y'. P' <= 0 <= N', so that delta = c1 P' + c0 N'
cancels only where the targets themselves disagree.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.errors import UserError
from jaxnet.nn.activations import sigmoid, softplus
from jaxnet.nn.losses.core import Loss, register
from jaxnet.nn.losses.layout import BINARY, MULTILABEL, Layout

Pair = tuple[Float[Array, "m K"], Float[Array, "m K"]]


class Sides(NamedTuple):
    """The two sides of a loss behind sigmoids; each function returns (positive, negative).

    Attributes:
        value: z, *own options -> (P(z), N(z)).
        slope: z, *own options -> (P'(z), N'(z)).
        seed: a, *own options -> (dP/da, dN/da).
        bound: z, *own options -> absolute terms of the slopes; None: |slope|.
        usual: z, *own options -> (P(z), N(z)) in the form others leave to autodiff.
    """

    value: Callable[..., Pair]
    slope: Callable[..., Pair]
    seed: Callable[..., Pair]
    bound: Callable[..., Pair] | None = None
    usual: Callable[..., Pair] | None = None


def coefficients(
    y: Float[Array, "m K"],
    *,
    weigh: Callable[[Pair, Array], Pair],
    label_smoothing: Any = 0.0,
    pos_weight: Any = None,
    class_weight: Any = None,
) -> Pair:
    """(c1, c0): what a positive and a negative example weigh. Smoothing first: (1 - e) y + e/2.

    weigh: `by_label` or `by_answer`, how class weights enter.
    """
    c1 = (1 - label_smoothing) * y + label_smoothing / 2
    c0 = (1 - label_smoothing) * (1 - y) + label_smoothing / 2
    if pos_weight is not None:
        c1 = c1 * _row(pos_weight, y.shape[1], "pos_weight", "one number a label")
    return (c1, c0) if class_weight is None else weigh((c1, c0), class_weight)


def by_label(pair: Pair, class_weight: Array) -> Pair:
    """Class weights of K labels: each weighs both answers to its question alike."""
    c1, c0 = pair
    w = _row(class_weight, c1.shape[1], "class_weight", "one number a label")
    return c1 * w, c0 * w


def by_answer(pair: Pair, class_weight: Array) -> Pair:
    """Class weights of one question: those of the answers 0 and 1."""
    c1, c0 = pair
    w = _row(class_weight, 2, "class_weight", "two numbers, for the classes 0 and 1")
    return c1 * w[..., -1:], c0 * w[..., :1]


def _row(weight: Array, size: int, option: str, what: str) -> Array:
    if weight.ndim == 0 and option == "pos_weight":
        return weight
    if weight.shape != (size,):
        raise UserError(f"{option} takes {what}: shape ({size},), got {weight.shape}")
    return weight[None, :]


def times(c: Array, x: Array) -> Array:
    """c x, with 0 for a target of 0 against a logit of -inf or inf (a masked class)."""
    absent = (c == 0) & jnp.isinf(x)
    return jnp.where(absent, 0, c * jnp.where(absent, 0, x))


SHARED = {"label_smoothing": 0.0, "pos_weight": None, "class_weight": None}


def behind_sigmoid(
    name: str, layout: Layout, sides: Sides, own: Mapping[str, Any], doc: str
) -> Loss:
    """The `Loss` that two sides make; `own` are the options that go to the sides, in order."""

    def combine(
        pair: Callable[..., Pair], size: Callable[[Array], Array] = lambda x: x
    ) -> Callable[..., Array]:
        def terms(z: Array, y: Array, labels: str = "sum", **options: Any) -> Array:
            weigh = by_label if layout is MULTILABEL or z.shape[1] > 1 else by_answer
            weights = {k: v for k, v in options.items() if k in SHARED}
            c1, c0 = map(size, coefficients(y, weigh=weigh, **weights))
            arguments = (options.get(option, default) for option, default in own.items())
            positive, negative = map(size, pair(z, *arguments))
            total = times(c1, positive) + times(c0, negative)
            return total / _divisor(labels, z.shape[1])

        return terms

    def summed(pair: Callable[..., Pair]) -> Callable[..., Array]:
        terms = combine(pair)
        return lambda z, y, **options: jnp.sum(terms(z, y, **options), axis=1)

    return Loss(
        name,
        layout,
        "sigmoid",
        summed(sides.value),
        combine(sides.slope),
        combine(sides.seed),
        {**own, **SHARED, **({} if layout is BINARY else {"labels": "sum"})},
        combine(sides.bound or sides.slope, jnp.abs),
        summed(sides.usual) if sides.usual else None,
        doc,
    )


def _divisor(labels: str, columns: int) -> int:
    if labels not in ("sum", "mean"):
        raise UserError(f"labels takes 'sum' or 'mean', not {labels!r}")
    return columns if labels == "mean" else 1


def _seed(a: Array) -> Pair:
    """-y/a + (1 - y)/(1 - a), side by side (lecture 1 prints y/a^2 for y/a: a slip)."""
    return -1 / a, 1 / (1 - a)


def _usual(z: Array) -> Pair:
    """max(z, 0) - z y + log1p(exp(-|z|)), for y = 1 and y = 0."""
    softened = jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    return softened - z, softened


CROSS_ENTROPY = Sides(
    value=lambda z: (softplus(-z), softplus(z)),
    slope=lambda z: (-sigmoid(-z), sigmoid(z)),
    seed=_seed,
    usual=_usual,
)

_FORMULA = """
    L = w [p y' softplus(-z) + (1 - y') softplus(z)] = -w [p y' log a + (1 - y') log(1 - a)]
    delta = w [(1 - y') sigmoid(z) - p y' sigmoid(-z)], which is a - y for w = p = 1

    with a = sigmoid(z), y' = (1 - e) y + e/2 for label_smoothing e, p = pos_weight."""

binary_cross_entropy = register(
    behind_sigmoid(
        "binary_cross_entropy",
        BINARY,
        CROSS_ENTROPY,
        {},
        f"""Binary cross-entropy behind one sigmoid (lecture 2, binary classification).
{_FORMULA}

    Shapes: logits and targets (m,) or [..., 1], equal; targets 0/1 integers or probabilities.
    Options: label_smoothing, pos_weight (scalar), class_weight (2,) = weights of classes 0, 1.

    >>> float(binary_cross_entropy(jnp.array([0.0]), jnp.array([1]))[0])  # log 2
    0.6931471824645996
    """,
    )
)

multilabel_cross_entropy = register(
    behind_sigmoid(
        "multilabel_cross_entropy",
        MULTILABEL,
        CROSS_ENTROPY,
        {},
        f"""Sum (or mean) over K labels of binary cross-entropy (lecture 2, multi-label).
{_FORMULA}

    Shapes: logits and targets [..., K]. Options: label_smoothing, pos_weight (scalar or (K,)),
    class_weight (K,) = a weight per label, labels = "sum" (the lecture's) or "mean".

    >>> multilabel_cross_entropy(jnp.zeros((1, 2)), jnp.array([[1, 0]])).shape
    (1,)
    """,
    )
)
