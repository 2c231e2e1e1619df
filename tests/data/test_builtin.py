"""Built-in sets equal scikit-learn's own, with and without its files in their usual place."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from jaxnet.data import builtin
from jaxnet.errors import DataError


@pytest.fixture(params=["bundled file", "scikit-learn's loader"])
def way(request, monkeypatch):
    """Both ways to the data must give the same."""
    if request.param != "bundled file":
        monkeypatch.setattr(builtin, "_bundled", lambda file: None)
    else:
        assert builtin._bundled("digits.csv.gz"), "the fast way is not being tested"
    return request.param


def test_breast_cancer_is_scikit_learns(way):
    table, own = builtin.load("breast_cancer"), load_breast_cancer()
    np.testing.assert_array_equal(table.x, own.data)
    np.testing.assert_array_equal(table.y, own.target)
    assert table.feature_names == tuple(own.feature_names)
    assert table.names == tuple(own.target_names) == ("malignant", "benign")


def test_digits_are_scikit_learns(way):
    table, own = builtin.load("digits"), load_digits()
    np.testing.assert_array_equal(table.x, own.data)
    np.testing.assert_array_equal(table.y, own.target)
    assert table.x.dtype == np.uint8
    assert table.feature_names == tuple(own.feature_names)
    assert table.names == tuple("0123456789")


@pytest.mark.parametrize("content", [b"", b"569,30,benign,malignant\n1,2\n", None])
def test_a_file_that_looks_different_is_left_to_scikit_learn(content, monkeypatch):
    monkeypatch.setattr(builtin, "_bundled", lambda file: content)
    np.testing.assert_array_equal(builtin.load("breast_cancer").x, load_breast_cancer().data)


def test_digit_attributes_follow_from_the_digit():
    table, digits = builtin.load("digit_attributes"), builtin.load("digits")
    np.testing.assert_array_equal(table.x, digits.x)
    rule = {
        "even": lambda k: k % 2 == 0,
        "prime": lambda k: k in {2, 3, 5, 7},
        "at_least_five": lambda k: k >= 5,
        "closed_loop": lambda k: k in {0, 6, 8, 9},
        "square_number": lambda k: round(k**0.5) ** 2 == k,
        "multiple_of_three": lambda k: k % 3 == 0,
        "power_of_two": lambda k: bin(k).count("1") == 1,
        "straight_strokes": lambda k: k in {1, 4, 7},
    }
    assert table.names == tuple(rule)
    expected = [[rule[name](int(k)) for name in table.names] for k in digits.y]
    np.testing.assert_array_equal(table.y, expected)


def test_no_attribute_is_constant_or_a_copy_of_another():
    y = builtin.load("digit_attributes").y
    assert np.all((y.mean(axis=0) > 0.1) & (y.mean(axis=0) < 0.9))
    columns = {tuple(column) for column in y.T} | {tuple(1 - column) for column in y.T}
    assert len(columns) == 2 * y.shape[1]


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(DataError) as caught:
        builtin.load("breast_cancr")
    assert str(caught.value) == (
        "data.source: no built-in data set 'breast_cancr'; did you mean 'breast_cancer'? "
        "Built-in: 'breast_cancer', 'digits', 'digit_attributes'. "
        "Own arrays: data: {train: file.npz}"
    )


def test_loading_imports_neither_jax_nor_scikit_learn():
    code = (
        "import sys; from jaxnet.data import prepare; prepare('multiclass', source='digits');"
        "print([m for m in ('jax', 'sklearn', 'scipy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
