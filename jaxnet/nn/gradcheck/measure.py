"""Relative errors, and where the worst one is."""

from typing import Any, NamedTuple

import numpy as np

FLOOR = (
    1e-30  # below it float32 runs out of exponents: there only a gradient that is not small errs
)
ALL_LOST = 1.0  # the error of NaN and infinity
# Finite differences of float64 values: what they must agree to, and how well they must know it.
DIFFERENCES_LIMIT = 1e-6
RESOLVED = 1e-7


class Reference(NamedTuple):
    """A gradient in float64; all parts have its shape.

    Attributes:
        value: the closed form in float64.
        scale: sum of the absolute values of the terms it is the sum of.
        differences: the gradient by finite differences of the float64 loss.
        doubt: bound of the error of these differences.
    """

    value: Any
    scale: Any
    differences: Any
    doubt: Any


class Worst(NamedTuple):
    """The largest relative error, where it is, and the two numbers that differ there."""

    error: float
    entry: tuple[int, ...]
    got: float
    expected: float


def errors(got: Any, expected: np.ndarray, scale: np.ndarray, where: Any = True) -> np.ndarray:
    """|got - expected| / scale of each entry, over the entries `where` scale is above 1e-30.

    All is lost (1) where it is below and the gradient above 1e-29, and where it is not finite.

    >>> errors([1.0, 0.0], np.array([2.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    got = np.asarray(got).astype(np.float64)
    found = np.zeros(got.shape)
    np.divide(np.abs(got - expected), scale, out=found, where=where & (scale > FLOOR))
    invented = (scale <= FLOOR) & (np.abs(got) > 10 * FLOOR)
    found[where & (invented | ~np.isfinite(got - expected) | ~np.isfinite(found))] = ALL_LOST
    return found


def worst(got: Any, expected: np.ndarray, scale: np.ndarray, where: Any = True) -> Worst:
    """The largest of the `errors`."""
    found = errors(got, expected, scale, where)
    if not found.size:
        return Worst(0.0, (), 0.0, 0.0)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(found)), found.shape))
    said = float(np.asarray(got).astype(np.float64)[index])
    return Worst(float(found[index]), index, said, float(expected[index]))


def resolved(reference: Reference) -> np.ndarray:
    """Where finite differences have digits enough to judge the closed form."""
    return (reference.doubt < RESOLVED * reference.scale) & (reference.scale > FLOOR)


def contradiction(reference: Reference) -> Worst:
    """The largest relative difference between the closed form in float64 and finite differences.

    Everything lost (1) where finite differences resolve nothing at all.
    """
    seen = resolved(reference)
    if reference.value.size and not seen.any():
        return Worst(ALL_LOST, (0,) * reference.value.ndim, float("nan"), float("nan"))
    return worst(reference.value, reference.differences, reference.scale, seen)


def believed(reference: Reference) -> tuple[np.ndarray, Any]:
    """(expected gradient, where): the closed form, or finite differences that contradict it."""
    seen = resolved(reference)
    if not seen.any() or contradiction(reference).error <= DIFFERENCES_LIMIT:
        return reference.value, True
    return reference.differences, seen
