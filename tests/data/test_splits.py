"""Splits: disjoint, covering, in proportion, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data.splits import split
from jaxnet.errors import DataError

SHARES = st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45])


def covers(parts, n):
    """Each row in exactly one part, rising within it."""
    assert all(np.all(np.diff(part) > 0) for part in parts)
    return np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))


@given(
    sizes=st.lists(st.integers(7, 60), min_size=2, max_size=6),
    validation=SHARES,
    test=SHARES,
    seed=st.integers(0, 2**31),
)
def test_single_label_splits(sizes, validation, test, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(y)
    parts = split(y, "multiclass", validation, test, seed)
    assert covers(parts, n)
    assert len(parts.validation) == np.floor(validation * n + 0.5)
    assert len(parts.test) == np.floor(test * n + 0.5)
    for part, share in zip(parts, (1 - validation - test, validation, test), strict=True):
        exact = share * np.array(sizes)
        found = np.bincount(y[part], minlength=len(sizes))
        # Rounded down or up, twice for validation, and one row for a class that would get none.
        assert np.all(np.abs(found - exact) <= 2.5)
        if len(part) >= len(sizes):
            assert np.all(found >= 1)
    assert np.all(np.bincount(y[parts.train], minlength=len(sizes)) >= 1)


def test_equal_classes_are_split_exactly():
    y = np.tile(np.arange(10), 100)
    parts = split(y, "multiclass")
    assert [np.bincount(y[part]).tolist() for part in parts] == [[70] * 10, [15] * 10, [15] * 10]


def test_rare_classes_reach_every_part():
    y = np.repeat([0, 1, 2], [194, 3, 3])
    for seed in range(20):
        parts = split(y, "multiclass", 0.15, 0.15, seed)
        assert [len(part) for part in parts] == [140, 30, 30]
        for part in parts:
            np.testing.assert_array_equal(np.bincount(y[part])[1:], [1, 1])


def test_two_rows_of_a_class_leave_one_to_train_on():
    y = np.repeat([0, 1], [98, 2])
    for validation, test in ((0.15, 0.15), (0.0, 0.45), (0.45, 0.0), (0.3, 0.65)):
        parts = split(y, "binary", validation, test)
        assert np.bincount(y[parts.train])[1] >= 1


def test_a_large_test_part_leaves_every_class_to_train_on():
    parts = split(np.array([0, 0, 1, 1]), "binary", 0.0, 0.8)
    assert [len(part) for part in parts] == [2, 0, 2]
    np.testing.assert_array_equal(np.bincount(np.array([0, 0, 1, 1])[parts.train]), [1, 1])


def test_more_rare_classes_than_held_out_rows():
    y = np.repeat(np.arange(100), 3)
    parts = split(y, "multiclass", 0.1, 0.1)
    assert [len(part) for part in parts] == [240, 30, 30]
    assert np.all(np.bincount(y[parts.train]) >= 1)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_same_seed_same_split_other_seed_other_split(task):
    y = np.tile(np.eye(4)[:, :3], (50, 1)) if task == "multilabel" else np.tile(np.arange(4), 50)
    first, again, other = (split(y, task, seed=seed) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_the_split_of_a_seed_never_changes():
    """A stored run names its split by seed: these rows are part of the contract."""
    y = np.tile([0, 1, 1], 10)
    parts = split(y, "binary", 0.1, 0.2, 7)
    assert parts.validation.tolist() == [10, 13, 21]
    assert parts.test.tolist() == [4, 6, 11, 20, 23, 24]


def test_rows_are_picked_at_random_within_a_class():
    y = np.repeat([0, 1], 500)
    picked = np.zeros(1000)
    for seed in range(40):
        picked[split(y, "binary", 0, 0.5, seed).test] += 1
    # 40 draws of one half: mean 20, standard deviation 3.2.
    assert picked.min() >= 5
    assert picked.max() <= 35
    assert abs(picked[:500:2].mean() - 20) < 0.5


@pytest.mark.parametrize("task", ["binary", "multilabel"])
@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 0.0), (0.0, 0.0)])
def test_parts_that_are_not_wanted_are_empty(task, validation, test):
    y = np.tile([0.0, 1.0], 50)
    parts = split(y[:, None] if task == "multilabel" else y, task, validation, test)
    assert covers(parts, 100)
    assert [len(parts.validation), len(parts.test)] == [validation * 100, test * 100]


def random_labels(n, rates, seed):
    return np.random.default_rng(seed).random((n, len(rates))) < np.array(rates)


@given(
    n=st.integers(60, 300),
    rates=st.lists(st.sampled_from([0.02, 0.1, 0.3, 0.5, 0.9]), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
)
def test_multilabel_splits(n, rates, seed):
    y = random_labels(n, rates, seed)
    parts = split(y, "multilabel", 0.15, 0.25, seed)
    assert covers(parts, n)
    for part, share in zip(parts, (0.6, 0.15, 0.25), strict=True):
        assert abs(len(part) - share * n) <= 3 + 0.03 * n
        found = y[part].sum(axis=0)
        assert np.all(np.abs(found - share * y.sum(axis=0)) <= 3 + 0.1 * share * y.sum(axis=0))


def textbook(positive, shares, order):
    """Iterative stratification row by row, as the paper states it (ties: first label, first part).

    Rows of a label are taken in the order given; `split` takes them in the same order.
    """
    wanted = np.array(shares)[:, None] * positive.sum(axis=0)
    rows_wanted = np.array(shares) * len(positive)
    part = np.full(len(positive), -1)
    while True:
        left = positive[part < 0].sum(axis=0)
        if not left.any():
            break
        label = min((number, k) for k, number in enumerate(left) if number)[1]
        for row in order:
            if part[row] < 0 and positive[row, label]:
                best = max(range(3), key=lambda j: (wanted[j, label], rows_wanted[j], -j))
                part[row] = best
                wanted[best] -= positive[row]
                rows_wanted[best] -= 1
    for row in order:
        if part[row] < 0:
            part[row] = int(np.argmax(rows_wanted))
            rows_wanted[part[row]] -= 1
    return part


@pytest.mark.parametrize("seed", range(5))
def test_multilabel_equals_the_textbook_row_by_row(seed):
    from jaxnet.data.splits import _iterative

    positive = random_labels(200, [0.01, 0.05, 0.2, 0.2, 0.6], seed)
    shares = (0.5, 0.25, 0.25)  # exact in binary, so that ties are ties in both
    order = np.random.default_rng(seed).permutation(200)
    np.testing.assert_array_equal(
        _iterative(positive, np.array(shares), order), textbook(positive, shares, order)
    )


def test_a_single_positive_row_is_trained_on():
    y = np.zeros((100, 2), bool)
    y[::2, 0] = y[17, 1] = True
    for seed in range(10):
        assert 17 in split(y, "multilabel", seed=seed).train


def refusal(*args, **options):
    with pytest.raises(DataError) as caught:
        split(*args, **options)
    return str(caught.value)


def test_a_class_of_one_row():
    y = np.repeat([0, 1, 2], [50, 1, 1])
    assert refusal(y, "multiclass", classes=["a", "b", "c"]) == (
        "too few rows to split: classes 'b', 'c' with 1 row of 52 (2 are needed: one to train on, "
        "one to hold out); leave such rows out or merge the classes with another"
    )
    assert "class 1 with 1 row of 51" in refusal(y[:51], "binary")
    assert len(split(y, "multiclass", 0, 0).train) == 52


def test_too_few_rows():
    y = np.array([0, 0, 1, 1, 0])
    assert refusal(y, "binary", 0.05, 0.2) == (
        "too few rows to split: 5 rows leave none for validation (a share of 0.05); give more "
        "rows or another share"
    )
    assert "leave none for test (a share of 0.01)" in refusal(y, "binary", 0, 0.01)
    assert "leave none for train" in refusal(np.ones((1, 1)), "multilabel", 0.9, 0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation": -0.1}, "data.split.validation: -0.1 is not a share: from 0 to below 1"),
        ({"test": 1.0}, "data.split.test: 1.0 is not a share: from 0 to below 1"),
        ({"test": float("nan")}, "data.split.test: nan is not a share: from 0 to below 1"),
        ({"validation": 0.5, "test": 0.5}, "data.split: validation 0.5 and test 0.5 leave nothing"),
        ({"seed": -1}, "data.split.seed: -1 is negative; seeds count from 0"),
    ],
)
def test_shares_out_of_range(options, text):
    assert refusal(np.tile([0, 1], 50), "binary", **options).startswith(text)
