"""Quantile transform to a normal distribution: the rank of a value among the training rows.

u = Phi^-1(F(x)), F the piecewise linear distribution function through the training quantiles, their
number clip(n / 30, 10, 1000). Ties stand in the middle of the ranks they share, so nothing random
is needed to break them. u is kept within Phi^-1(1e-7) = -5.2 and 5.2.
"""

from __future__ import annotations

import numpy as np

from jaxnet.data.table import Array

_EDGE = 1e-7
_FEWEST, _MOST, _ROWS_EACH = 10, 1000, 30

# Wichura: Algorithm AS 241, the percentage points of the normal distribution, 1988: PPND16.
# Numerator and denominator of three ratios of polynomials, constant term first.
_CENTRAL = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip


def fit(cells: Array) -> Array:
    """The quantiles of a column (n,) without missing cells, rising: (number,).

    >>> fit(np.arange(0.0, 301.0)).tolist()
    [0.0, 33.333, 66.667, 100.0, 133.333, 166.667, 200.0, 233.333, 266.667, 300.0]
    """
    number = min(max(len(cells) // _ROWS_EACH, _FEWEST), _MOST)
    found = np.quantile(cells.astype(np.float64), np.linspace(0, 1, number))
    return np.maximum.accumulate(found)  # interpolation may round a tie downward


def apply(quantiles: Array, x: Array) -> Array:
    """u of each value of x (n,), float64.

    >>> apply(fit(np.arange(0.0, 301.0)), np.array([-9.0, 150.0, 300.0])).round(3)
    array([-5.199,  0.   ,  5.199])
    """
    ranks = np.linspace(0, 1, len(quantiles))
    upper = np.interp(x, quantiles, ranks)
    lower = -np.interp(-x, -quantiles[::-1], -ranks[::-1])
    return normal_quantile(np.clip((upper + lower) / 2, _EDGE, 1 - _EDGE))


def normal_quantile(p: Array) -> Array:
    """Phi^-1 of probabilities in [1e-11, 1 - 1e-11], to about 1e-15 relative: float64.

    >>> normal_quantile(np.array([0.5, 0.975])).round(6)
    array([0.      , 1.959964])
    """
    q = np.asarray(p, np.float64) - 0.5
    central = q * _ratio(_CENTRAL, 0.180625 - np.minimum(q * q, 0.180625))
    root = np.sqrt(-np.log(np.minimum(p, 1 - p)))
    tail = np.sign(q) * _ratio(_TAIL, root - 1.6)
    return np.where(np.abs(q) <= 0.425, central, tail)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    top, bottom = (np.polynomial.polynomial.polyval(r, c) for c in coefficients)
    return np.asarray(top / bottom)
