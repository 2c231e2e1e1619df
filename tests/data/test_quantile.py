"""The quantile transform against scikit-learn's, and against the standard library."""

import statistics

import numpy as np
from sklearn.preprocessing import QuantileTransformer

from jaxnet.data import quantile

RNG = np.random.default_rng(0)


def test_percentage_points_of_the_normal_distribution():
    p = np.concatenate([np.linspace(1e-7, 1 - 1e-7, 2001), np.logspace(-11, -0.31, 500)])
    expected = [statistics.NormalDist().inv_cdf(value) for value in p]
    np.testing.assert_allclose(quantile.normal_quantile(p), expected, rtol=1e-14, atol=1e-15)


def test_it_is_scikit_learns_transform_for_equal_quantiles():
    x = np.round(RNG.lognormal(size=3000), 1)  # with ties
    new = np.concatenate([RNG.lognormal(size=500), [-1.0, 1e9], x[:50]])
    found = quantile.fit(x)
    assert len(found) == 100
    peer = QuantileTransformer(n_quantiles=100, output_distribution="normal", subsample=None)
    expected = peer.fit(x[:, None]).transform(new[:, None]).ravel()
    np.testing.assert_allclose(quantile.apply(found, new), expected, atol=1e-6)


def test_numbers_of_quantiles():
    lengths = {n: len(quantile.fit(np.arange(float(n)))) for n in (1, 5, 299, 330, 10**5)}
    assert lengths == {1: 10, 5: 10, 299: 10, 330: 11, 10**5: 1000}


def test_a_rare_value_beside_a_common_one():
    x = np.repeat([0.0, 5.0], [95, 5])
    low, high = quantile.apply(quantile.fit(x), np.array([0.0, 5.0]))
    assert -1 < low < 0
    assert high > 1
