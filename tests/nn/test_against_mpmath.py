"""Value and delta of every loss against the textbook formula in arithmetic of 60 digits and more.

The formulas are written here anew, as in the lectures and papers, and differentiated numerically by
mpmath: nothing of jaxnet is on their side. With a precision that outweighs every cancellation,
`log(1 - a)` at z = 80 is as good a formula as any.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from mpmath import mpf

from jaxnet.nn.losses import LOSSES, Loss

pytestmark = pytest.mark.sampled(2)

Z = [-80, -40, -17.5, -8.25, -2.75, -1, -0.5, -1e-3, 0, 1e-3, 0.25, 1, 3.125, 7, 16.75, 45, 80]
ROWS = [
    [0.0, 0.0, 0.0],
    [0.5, -1.25, 2.0],
    [17.0, 0.0, -3.0],
    [-40.0, 40.0, 39.0],
    [80.0, 0.0, 79.5],
    [-80.0, 0.0, -1e-3],
    [25.0, 25.0, -25.0],
    [1e-3, 2e-3, -1e-3],
]


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mpmath.workdps(200):
        yield


def sigmoid(z: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-z))


def binary(z: mpf, y: mpf, p: Any = 1) -> mpf:
    a = sigmoid(z)
    return -p * y * mpmath.log(a) - (1 - y) * mpmath.log(1 - a)


def smoothed(z: mpf, y: mpf) -> mpf:
    return binary(z, mpf(0.9375) * y + mpf(0.0625) / 2)


def focal(z: mpf, y: mpf, g: Any) -> mpf:
    a = sigmoid(z)
    return -y * (1 - a) ** g * mpmath.log(a) - (1 - y) * a**g * mpmath.log(1 - a)


def asymmetric(z: mpf, y: mpf, g_pos: Any, g_neg: Any, clip: Any) -> mpf:
    a = sigmoid(z)
    shifted = max(a - clip, mpf(0))
    negative = shifted**g_neg * mpmath.log(1 - shifted) if shifted > 0 else mpf(0)
    return -y * (1 - a) ** g_pos * mpmath.log(a) - (1 - y) * negative


def squared(z: mpf, y: mpf, f: Callable[[mpf], mpf]) -> mpf:
    return (y - f(z)) ** 2 / 2


CLIP = 0.0625  # a power of two is the same number in every arithmetic


class Formula(NamedTuple):
    """A loss of one logit, its options, and the formula it must be."""

    loss: str
    options: dict[str, Any]
    formula: Callable[[mpf, mpf], mpf]
    targets: tuple[float, ...] = (0.0, 1.0, 0.3125)


SINGLE = [
    Formula("binary_cross_entropy", {}, binary),
    Formula("binary_cross_entropy", {"pos_weight": 2.5}, partial(binary, p=mpf(2.5))),
    Formula("binary_cross_entropy", {"label_smoothing": 0.0625}, smoothed),
    Formula("multilabel_cross_entropy", {}, binary),
    Formula("focal", {}, partial(focal, g=2)),
    Formula("focal", {"gamma": 0.5}, partial(focal, g=mpf(0.5))),
    Formula("focal", {"gamma": 5.0}, partial(focal, g=5)),
    Formula("asymmetric", {"clip": CLIP}, partial(asymmetric, g_pos=0, g_neg=4, clip=mpf(CLIP))),
    Formula(
        "asymmetric",
        {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.0},
        partial(asymmetric, g_pos=1, g_neg=2, clip=mpf(0)),
    ),
    Formula("squared_error", {}, partial(squared, f=lambda z: z)),
    Formula("squared_error", {"activation": "sigmoid"}, partial(squared, f=sigmoid)),
    Formula(
        "squared_error",
        {"activation": "tanh"},
        partial(squared, f=mpmath.tanh),
        (-1.0, 1.0, 0.3125),
    ),
]


def compare(got: Any, exact: list[mpf], scale: Any, tolerance: float) -> None:
    """|got - exact| <= tolerance * scale, where the scale is no denormal number."""
    got, scale = (np.asarray(x, np.float64).ravel() for x in (got, scale))
    for found, right, size in zip(got, exact, scale, strict=True):
        if size > 1e-30:
            error = float(abs(mpf(float(found)) - right) / mpf(float(size)))
            assert error <= tolerance, (found, float(right), error)


def of_loss(loss: Loss, options: dict[str, Any]) -> Any:
    """(z, y) -> value, delta and scale, compiled."""
    parts = (loss, loss.delta, loss.scale)
    return jax.jit(lambda z, y: [part(z, y, **options) for part in parts])


def name(formula: Formula) -> str:
    return f"{formula.loss}-{formula.options}"


@pytest.mark.parametrize("formula", SINGLE, ids=name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 5e-14)])
def test_losses_of_one_logit(formula: Formula, dtype: Any, tolerance: float):
    grid = np.array([(z, y) for z in Z for y in formula.targets]).astype(dtype)
    points = [(mpf(float(z)), mpf(float(y))) for z, y in grid]
    values = [formula.formula(z, y) for z, y in points]
    slopes = [mpmath.diff(partial(formula.formula, y=y), z, h=mpf(10) ** -60) for z, y in points]
    loss = LOSSES[formula.loss]
    with jax.enable_x64(dtype == np.float64):
        columns = (jnp.asarray(column)[:, None] for column in grid.T)
        value, delta, scale = of_loss(loss, formula.options)(*columns)
    # The square of a - y doubles the error of a - y, which is relative to a + y.
    terms = np.abs(value) + (np.abs(grid[:, 1]) if formula.loss == "squared_error" else 0)
    compare(value, values, terms, tolerance)
    compare(delta, slopes, scale, tolerance)


def softmax(z: list[mpf]) -> list[mpf]:
    total = mpmath.fsum(map(mpmath.exp, z))
    return [mpmath.exp(x) / total for x in z]


def categorical(z: list[mpf], y: list[mpf]) -> mpf:
    return -mpmath.fsum(t * mpmath.log(a) for t, a in zip(y, softmax(z), strict=True))


def squared_softmax(z: list[mpf], y: list[mpf]) -> mpf:
    return mpmath.fsum((t - a) ** 2 for t, a in zip(y, softmax(z), strict=True)) / 2


def gradient(f: Callable[[list[mpf]], mpf], z: list[mpf]) -> list[mpf]:
    """Central differences, of which nothing is lost at 200 digits."""
    h = mpf(10) ** -60
    moved = [
        [x + (h if i == j else 0) * s for i, x in enumerate(z)] for j in range(3) for s in (1, -1)
    ]
    values = [f(row) for row in moved]
    return [(values[2 * j] - values[2 * j + 1]) / (2 * h) for j in range(3)]


@pytest.mark.parametrize(
    ("loss", "options", "formula"),
    [
        ("categorical_cross_entropy", {}, categorical),
        ("squared_error", {"activation": "softmax"}, squared_softmax),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-6), (np.float64, 2e-14)])
@pytest.mark.parametrize("soft", [False, True])
def test_losses_behind_softmax(loss, options, formula, dtype, tolerance, soft):
    targets = [[0.25, 0.75, 0.0], [0.125, 0.25, 0.5]] if soft else np.eye(3).tolist()
    grid = [(z, y) for z in np.array(ROWS, dtype) for y in targets]
    exact = [([mpf(float(x)) for x in z], [mpf(t) for t in y]) for z, y in grid]
    values = [formula(z, y) for z, y in exact]
    slopes = [slope for z, y in exact for slope in gradient(partial(formula, y=y), z)]
    with jax.enable_x64(dtype == np.float64):
        z = jnp.asarray([z for z, _ in grid], dtype)
        y = jnp.asarray([y for _, y in grid], dtype)
        y = y if soft else jnp.argmax(y, axis=1)
        value, delta, scale = of_loss(LOSSES[loss], options)(z, y)
    compare(value, values, value, tolerance)
    compare(delta, slopes, scale, tolerance)


@pytest.mark.parametrize("y", [0, 1])
def test_where_nothing_cancels_the_scale_is_delta_itself(y: int):
    """The error is relative to delta wherever delta is one term: the scale hides nothing."""
    z = jnp.asarray(Z, jnp.float32)
    targets = jnp.full(z.shape, y)
    for loss in ("binary_cross_entropy", "focal"):
        np.testing.assert_array_equal(
            LOSSES[loss].scale(z, targets), np.abs(LOSSES[loss].delta(z, targets))
        )
    rows = jnp.asarray(ROWS, jnp.float32)
    labels = jnp.full(len(ROWS), y)
    np.testing.assert_allclose(
        LOSSES["categorical_cross_entropy"].scale(rows, labels),
        np.abs(LOSSES["categorical_cross_entropy"].delta(rows, labels)),
        rtol=1e-6,
    )
