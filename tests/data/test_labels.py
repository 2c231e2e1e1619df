"""Labels of every kind, and the text of every refusal with its rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jaxnet.data import labels
from jaxnet.errors import DataError


def refusal(y, task="multiclass", classes=None, **options):
    with pytest.raises(DataError) as caught:
        labels.validate(y, task, classes, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        (np.array([3, 1, 3]), (1, 3), [1, 0, 1]),
        (np.array([-1, 1, 1], np.int8), (-1, 1), [0, 1, 1]),
        (np.array([[1], [0], [1]]), (0, 1), [1, 0, 1]),
        (np.array([True, False]), (False, True), [1, 0]),
        (np.array([2.0, -0.0, 0.0]), (0, 2), [1, 0, 0]),
        (np.array([2.0, 1.0], np.float16), (1, 2), [1, 0]),
        (np.array(["no", "yes", "no"]), ("no", "yes"), [0, 1, 0]),
        (np.array([b"b", b"a"]), ("a", "b"), [1, 0]),
        (np.array(["x", "é"], np.dtypes.StringDType()), ("x", "é"), [0, 1]),
        (np.array(["b", "a"], object), ("a", "b"), [1, 0]),
        (np.array([2, 1.0], object), (1, 2), [1, 0]),
        (np.array([True, False], object), (False, True), [1, 0]),
        (["nan", "a"], ("a", "nan"), [1, 0]),
        (np.array(["nan", "None"]), ("None", "nan"), [1, 0]),
        ((1, 2, 1), (1, 2), [0, 1, 0]),
        ([np.int64(7), np.int64(5)], (5, 7), [1, 0]),
        (pd.Series(["b", "a"]), ("a", "b"), [1, 0]),
        (pd.Series([2, 1], dtype="Int64"), (1, 2), [1, 0]),
        (pd.Categorical(["b", "a"]), ("a", "b"), [1, 0]),
        (pl.Series(["b", "a"]), ("a", "b"), [1, 0]),
        (np.array([2**63, 2**64 - 1], np.uint64), (2**63, 2**64 - 1), [0, 1]),
        (np.array([-(2**63), 2**63 - 1]), (-(2**63), 2**63 - 1), [0, 1]),
        ([10**30, -1], (-1, 10**30), [1, 0]),
    ],
)
def test_kinds_of_labels(y, classes, codes):
    for task, dtype in (("binary", np.float32), ("multiclass", np.int32)):
        found = labels.validate(y, task)
        assert found.classes == classes
        assert [type(label) for label in found.classes] == [type(label) for label in classes]
        assert found.targets.dtype == dtype
        np.testing.assert_array_equal(found.targets, codes)
        again = labels.validate(y, task, found.classes)
        np.testing.assert_array_equal(again.targets, codes)


def test_neighbours_that_float64_merges_stay_apart():
    y = np.array([2**53, 2**53 + 1, 2**53], np.int64)
    np.testing.assert_array_equal(labels.validate(y, "multiclass").targets, [0, 1, 0])
    known = (2**53, 2**53 + 1)
    np.testing.assert_array_equal(
        labels.validate(y.astype(np.uint64), "multiclass", known).targets, [0, 1, 0]
    )


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, "", "  "])
@pytest.mark.parametrize("of", [list, lambda y: np.array(y, object), pd.Series])
def test_missing_labels_are_named_by_row(missing, of):
    y = ["a", missing, "b", missing]
    text = "y: rows 1, 3 (counted from 0) have no label; leave such rows out of X and y"
    assert refusal(of(y)) == text


def test_missing_numbers():
    assert refusal(np.array([0.0, np.nan, 1.0])).startswith("y: row 1 (counted from 0) has no lab")
    assert refusal([0, float("nan"), 1]).startswith("y: row 1 (counted from 0) has no label")
    assert refusal(pd.Series([0, None, 1])).startswith("y: row 1 (counted from 0) has no label")
    assert refusal(np.array(["a", ""])).startswith("y: row 1 (counted from 0) has no label")


@pytest.mark.parametrize("bad", [0.5, float("inf"), 1e300, 2.0**53 + 2])
def test_numbers_that_are_no_classes(bad):
    for y in (np.array([0.0, 1.0, bad]), [0, 1, bad]):
        assert refusal(y) == (
            f"y: row 2 (counted from 0): {bad!r}: a label is a class, a whole number or a text; "
            f"jaxnet does not fit numbers (regression)"
        )


def test_many_rows_are_cut():
    y = np.arange(20) + 0.5
    assert "rows 0, 1, 2, 3, 4 and 15 more (counted from 0): 0.5, 1.5, 2.5, 3.5, 4.5:" in refusal(y)


def test_mixed_kinds_show_a_row_of_each():
    assert refusal([1, "a", 2]) == (
        "y mixes kinds: row 0 (counted from 0) is a number, 1; row 1 (counted from 0) is a text, "
        "'a'. Make them one kind: y.astype(str)"
    )
    assert "is a boolean, True" in refusal([1, True])
    assert (
        refusal(np.array(["a", {}], object))
        == "y: row 1 (counted from 0) holds a dict, not a class: {}"
    )


@pytest.mark.parametrize("dtype", ["c16", "M8[D]", "V2"])
def test_kinds_that_are_no_labels(dtype):
    assert "labels are integers, booleans or text" in refusal(np.zeros(3, dtype))


def test_shapes():
    assert refusal(np.eye(3)) == (
        "y has shape (3, 3): task multiclass needs one class for each row, (n,). "
        "One-hot rows: y.argmax(axis=1); several labels a row: task: multilabel"
    )
    assert refusal(np.zeros((2, 3, 4))).startswith("y has shape (2, 3, 4)")
    assert refusal([]) == "y has shape (0,): no rows, so no labels"
    assert refusal(3) == "y has shape (): no rows, so no labels"
    assert refusal([[1, 2], [3]]) == "y: row 0 (counted from 0) holds a list, not a class: [1, 2]"
    assert refusal([[1, 2], [3, []]]) == "y: rows of different lengths do not make an array"
    assert (
        refusal([0, 1], "multi") == "task 'multi': known are 'binary', 'multiclass', 'multilabel'"
    )


def test_one_class_only():
    text = "y: one class only, 'a' in all 3 rows: there is nothing to tell apart"
    assert refusal(["a"] * 3) == refusal(["a"] * 3, "binary") == text
    # Known classes: new rows may all be of one class.
    assert labels.validate(["a"] * 3, "binary", ("a", "b")).targets.tolist() == [0, 0, 0]


def test_binary_names_the_classes_that_are_too_many():
    assert refusal(np.array([0, 1, 2, 2]), "binary") == (
        "y: task binary needs two classes and there are 3: 0 (1 row), 1 (1 row), 2 (2 rows). "
        "Several classes: task: multiclass"
    )
    assert "7 (1 row) and 12 more. Several" in refusal(np.arange(20), "binary")


def test_unknown_classes_are_named_by_row():
    assert refusal(["a", "c", "b", "d"], "binary", ("a", "b"), what="y of the test set") == (
        "y of the test set: rows 1, 3 (counted from 0): unknown class 'c', 'd'. "
        "Known classes: 'a', 'b'"
    )
    assert "unknown class '0', '1'" in refusal(["0", "1"], "binary", (0, 1))


@pytest.mark.parametrize(
    ("classes", "names", "shown"),
    [
        ((0, 1), None, ("0", "1")),
        ((0, 1), ("no", "yes"), ("no", "yes")),
        ((False, True), ("no", "yes"), ("no", "yes")),
        ((1, 2, 3), ("a", "b", "c"), ("a", "b", "c")),
        ((-1, 1), ("no", "yes"), ("no", "yes")),
        (("a", "b"), ("b", "a"), ("a", "b")),
    ],
)
def test_class_names(classes, names, shown):
    assert labels.name_classes(classes, names) == shown


@pytest.mark.parametrize(
    ("classes", "names", "text"),
    [
        ((0, 2), ("a", "b", "c"), "no row has the class 'b'; take it out of class_names"),
        (("a", "c"), ("a", "b", "c"), "no row has the class 'b'; take it out of class_names"),
        ((0, 1, 2), ("a", "b"), "class_names does not fit the labels: names 'a', 'b'; labels 0, 1"),
        (("a", "x"), ("a", "b"), "class_names does not fit the labels: names 'a', 'b'; labels 'a'"),
    ],
)
def test_class_names_that_do_not_fit(classes, names, text):
    with pytest.raises(DataError) as caught:
        labels.name_classes(classes, names)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64"])
def test_multilabel(dtype):
    y = np.array([[1, 0], [0, 1], [1, 1]], dtype)
    found = labels.validate(y, "multilabel")
    assert found.targets.dtype == np.float32
    np.testing.assert_array_equal(found.targets, y)
    assert found.classes == ("label_0", "label_1")
    assert found.warnings == ()
    assert labels.validate(y.tolist(), "multilabel", names=["a", "b"]).classes == ("a", "b")


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (2.0, "2.0"),
        (-1.0, "-1.0"),
        (0.5, "0.5"),
        (np.nan, "a missing label (NaN)"),
        (np.inf, "inf"),
    ],
)
def test_multilabel_cells_other_than_0_and_1(bad, word, monkeypatch):
    monkeypatch.setattr(labels, "_CELLS_AT_A_TIME", 4)  # the row number must survive the chunks
    y = np.zeros((9, 2))
    y[7, 1] = bad
    assert refusal(y, "multilabel", names=["a", "b"]) == (
        f"y: row 7 (counted from 0), label 'b' (column 1) is {word}: "
        f"labels of task multilabel are 0 and 1"
    )


def test_multilabel_integers_out_of_range():
    assert "(column 0) is 255: labels" in refusal(np.array([[255, 1]], np.uint8), "multilabel")


def test_multilabel_shapes_and_kinds():
    assert refusal(np.array([0, 1]), "multilabel") == (
        "y has shape (2,): task multilabel needs one row of 0 and 1 for each row of X, (n, K). "
        "One class a row: task: multiclass"
    )
    assert "has shape (2, 0)" in refusal(np.zeros((2, 0)), "multilabel")
    assert "labels of task multilabel are 0 and 1" in refusal([["a", "b"]], "multilabel")
    assert refusal(np.eye(3), "multilabel", names=["a"]) == (
        "y has 3 columns and there are 1 label names"
    )


def test_multilabel_constant_columns_are_warned_of():
    y = np.array([[1, 0, 0, 1], [0, 0, 1, 1]])
    found = labels.validate(y, "multilabel", names=[*"abcd"])
    assert found.warnings == ("y: 0 in every row: label 'b'", "y: 1 in every row: label 'd'")
    # New rows need not vary.
    assert labels.validate(y, "multilabel", [*"abcd"]).warnings == ()


def test_multilabel_in_which_nothing_varies():
    assert refusal(np.array([[1, 0], [1, 0]]), "multilabel", names=["a", "b"]) == (
        "y: no label varies over the 2 rows: 'a' (2 rows), 'b' (0 rows): "
        "there is nothing to tell apart"
    )


def test_the_positive_class_is_the_second():
    found = labels.validate(["b", "a", "b"], "binary")
    assert labels.with_positive(found, None) is found
    assert labels.with_positive(found, "b") is found
    turned = labels.with_positive(found, "a")
    assert turned.classes == ("b", "a")
    np.testing.assert_array_equal(turned.targets, [0, 1, 0])
    again = labels.validate(["a", "b"], "binary", turned.classes)
    np.testing.assert_array_equal(again.targets, [1, 0])
    assert labels.with_positive(labels.validate([1, 0], "binary"), "0").classes == (1, 0)


def test_positive_classes_that_are_none():
    with pytest.raises(DataError) as caught:
        labels.with_positive(labels.validate(["no", "yes"], "binary"), "yess", "a.csv")
    assert str(caught.value) == (
        "data.positive: a.csv has no class 'yess'; did you mean 'yes'? Classes: 'no', 'yes'"
    )
    for task, y in (("multiclass", [0, 1]), ("multilabel", np.eye(2))):
        with pytest.raises(DataError, match="only task: binary has a positive class"):
            labels.with_positive(labels.validate(y, task), 1)
