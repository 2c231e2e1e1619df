"""Grouped splits: no group in two parts, shares and classes near, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data.splits import split
from jaxnet.errors import DataError


@given(
    sizes=st.lists(st.integers(1, 8), min_size=30, max_size=80),
    seed=st.integers(0, 1000),
    labels=st.sampled_from([1, 3]),
)
def test_groups_stay_together_and_shares_are_near(sizes, seed, labels):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(groups)
    y = rng.random((n, 3)) < 0.4 if labels == 3 else rng.integers(0, 2, n)
    task = "multilabel" if labels == 3 else "binary"
    parts = split(y, task, 0.2, 0.3, seed, groups=groups)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    seen = [set(groups[part]) for part in parts]
    assert len(set.union(*seen)) == sum(map(len, seen))
    for part, share in zip(parts, (0.5, 0.2, 0.3), strict=True):
        assert abs(len(part) - share * n) <= 8 + 0.02 * n
        for column in np.atleast_2d(np.asarray(y).T):
            assert abs(column[part].sum() - share * column.sum()) <= 8 + 0.05 * n
    again = split(y, task, 0.2, 0.3, seed, groups=groups)
    assert all(map(np.array_equal, parts, again))


def test_the_seed_decides_between_equal_groups():
    groups, y = np.repeat(np.arange(50), 2), np.tile([0, 1], 50)
    first, other = (split(y, "binary", seed=seed, groups=groups) for seed in (0, 1))
    assert not np.array_equal(first.test, other.test)
    assert [len(part) for part in first] == [70, 16, 14]


def test_classes_are_balanced_where_groups_are_pure():
    groups = np.repeat(np.arange(40), 5)
    y = np.repeat(np.arange(40) % 4 == 0, 5).astype(int)
    parts = split(y, "binary", 0.25, 0.25, groups=groups)
    assert [int(y[part].sum()) for part in parts] == [25, 10, 15] or [
        int(y[part].sum()) for part in parts
    ] == [25, 15, 10]


def test_parts_that_are_not_wanted_are_empty():
    groups, y = np.repeat(np.arange(10), 2), np.tile([0, 1], 10)
    assert [len(p) for p in split(y, "binary", 0.0, 0.2, groups=groups)] == [16, 0, 4]
    assert [len(p) for p in split(y, "binary", 0.0, 0.0, groups=groups)] == [20, 0, 0]


def test_too_few_groups():
    with pytest.raises(DataError) as caught:
        split(np.tile([0, 1], 10), "binary", 0.15, 0.15, groups=np.repeat([0, 1], 10))
    assert str(caught.value) == (
        "too few groups to split: 20 rows in 2 groups leave none for validation (a share of "
        "0.15); give more groups or another share"
    )
