"""Labels from columns: classes as written, several labels, and every refusal with its line."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from jaxnet.data import guess, targets
from jaxnet.data.targets import Target
from jaxnet.errors import DataError
from tests.data.tables import text, typed

Y = Target(("y",))


def read(frame, task="multiclass", target=Y, classes=None):
    return targets.read(frame, target, task, classes)


def refusal(frame, task="multiclass", target=Y, classes=None):
    with pytest.raises(DataError) as caught:
        read(frame, task, target, classes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cells", "classes", "codes"),
    [
        (["no", "yes", "no", "yes"], ("no", "yes"), [0, 1, 0, 1]),
        (["NA", "nan", "?", "NA", "nan", "?"], ("?", "NA", "nan"), [1, 2, 0, 1, 2, 0]),
        (["10", "9", "10", "9"], ("9", "10"), [1, 0, 1, 0]),
        (["1", "01", "1", "01"], ("01", "1"), [1, 0, 1, 0]),
        (["0.5", "b", "0.5", "b"], ("0.5", "b"), [0, 1, 0, 1]),
    ],
)
def test_classes_are_the_text_as_it_is_written(cells, classes, codes):
    found = read(text(y=cells))
    assert (found.classes, found.targets.dtype, found.warnings) == (classes, np.int32, ())
    assert found.targets.tolist() == codes
    again = read(text(y=cells[::-1]), classes=found.classes)
    assert again.targets.tolist() == codes[::-1]
    if len(classes) == 2:
        assert read(text(y=cells), "binary").targets.dtype == np.float32


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        ([3, 1, 3, 1], (1, 3)),
        ([1.0, 2.0, 1.0, 2.0], (1, 2)),
        ([0.0, 1.0, -0.0, 1.0], (0, 1)),
        ([True, False, True, False], (False, True)),
        (["b", "a", "b", "a"], ("a", "b")),
    ],
)
def test_typed_classes(cells, classes):
    found = read(typed(y=cells))
    assert found.classes == classes
    assert [type(label) for label in found.classes] == [type(label) for label in classes]
    # A text file of the same rows means the same classes.
    written = [str(int(c)) if isinstance(c, float) else str(c) for c in cells]
    again = read(text(y=written), classes=found.classes)
    assert again.targets.tolist() == found.targets.tolist()


@pytest.mark.parametrize("cell", ["", "  "])
def test_an_empty_label_is_refused_by_line(cell):
    assert refusal(text(y=["a", "b", cell, "a", cell])) == (
        "a.csv: line 4: no label in column 'y' (2 such rows); leave such rows out"
    )
    assert "no label in column 'y'; leave" in refusal(text(y=["a", "b", cell]), classes=("a", "b"))


@pytest.mark.parametrize("cells", [["a", None, "b"], [1, None, 2], [1.0, float("nan"), 2.0]])
def test_a_null_is_no_label(cells):
    assert refusal(typed(y=cells)) == "X: row 1: no label in column 'y'; leave such rows out"


def test_a_class_that_training_did_not_have():
    frame = text(y=["no", "yess", "yes", "yess"])
    assert refusal(frame, classes=("no", "yes")) == (
        "a.csv: line 3: column 'y' holds 'yess', a class that the training rows do not have (2 "
        "rows with classes unknown in training); did you mean 'yes'? Known classes: 'no', 'yes'"
    )


def test_one_class_and_too_many():
    assert refusal(text(y=["a"] * 3)) == (
        "a.csv: column 'y' holds one class only, 'a' in all 3 rows: there is nothing to tell apart"
    )
    assert read(text(y=["a"] * 3), classes=("a", "b")).targets.tolist() == [0, 0, 0]
    assert refusal(text(y=[*"abcabc"]), "binary") == (
        "a.csv: column 'y': task binary needs two classes and there are 3: 'a' (2 rows), 'b' (2 "
        "rows), 'c' (2 rows). Several classes: task: multiclass"
    )


def test_numbers_to_be_predicted():
    assert refusal(text(y=[f"{i}.5" for i in range(9)])) == (
        "a.csv: column 'y' holds 9 different values in 9 rows, such as '0.5', '1.5', '2.5': it "
        "looks like a number to be predicted (regression, which jaxnet does not do) or an "
        "identifier; name another column with data.target"
    )
    assert refusal(typed(y=[1.0, 0.5, float("inf")])) == (
        "X: row 1: column 'y' holds 0.5: a label is a class, a whole number or a text; jaxnet "
        "does not fit numbers (regression)"
    )
    (warning,) = read(typed(y=list(range(60)) * 2)).warnings
    assert warning.startswith("column 'y' holds 60 different numbers, each taken as a class")


@pytest.mark.parametrize("cells", [[b"a", b"b"], [[1], [2]], [datetime.date(2024, 1, 1)] * 2])
def test_types_that_are_no_labels(cells):
    assert "labels are integers, booleans or text" in refusal(typed(y=cells))


def test_classes_that_differ_by_blanks_or_case():
    for cells in (["Yes", "yes"] * 2, [" yes", "yes"] * 2):
        (warning,) = read(text(y=cells)).warnings
        assert warning.startswith(f"column 'y': classes {cells[0]!r} and 'yes' differ only by")


def test_no_rows():
    assert refusal(text(y=[])) == "a.csv: no rows, so no labels"


def test_no_such_column():
    assert refusal(text(z=["a"])) == "a.csv: no column 'y', which holds the labels; it has 'z'"


PAIR = Target(("p", "q"))


def test_columns_of_0_and_1():
    found = read(text(p=["0", " 1", "1"], q=["1", "1", "0"]), "multilabel", PAIR)
    assert (found.classes, found.targets.tolist()) == (("p", "q"), [[0, 1], [1, 1], [1, 0]])
    for cells in ([True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]):
        found = read(typed(p=cells, q=cells[::-1]), "multilabel", PAIR)
        assert found.targets.tolist() == [[1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("cell", "said"), [("", "no label"), ("true", "'true'"), ("2", "'2'"), ("1.0", "'1.0'")]
)
def test_cells_other_than_0_and_1(cell, said):
    assert refusal(text(p=["0", "1", "0"], q=["1", "0", cell]), "multilabel", PAIR) == (
        f"a.csv: line 4: column 'q' holds {said}: a label column of task multilabel holds 0 and 1"
    )


@pytest.mark.parametrize("cell", [None, 2, -1])
def test_typed_cells_other_than_0_and_1(cell):
    said = "no label" if cell is None else repr(cell)
    assert f"X: row 1: column 'p' holds {said}: a label" in refusal(
        typed(p=[0, cell], q=[0, 1]), "multilabel", PAIR
    )


TAGS = Target(("tags",), "|")


def test_names_in_one_column():
    frame = text(tags=["b|a", " a | a|", "", "10", "|"])
    found = read(frame, "multilabel", TAGS)
    assert found.classes == ("10", "a", "b")
    assert found.targets.tolist() == [[0, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert targets.rows_without_labels(found) == 2
    as_typed = typed(tags=pa.chunked_array([["b|a", None], ["a"]]))
    assert read(as_typed, "multilabel", TAGS).targets.tolist() == [[1, 1], [0, 0], [1, 0]]


def test_labels_that_training_did_not_have_are_counted():
    found = read(text(tags=["a|x", "x|y|b", ""]), "multilabel", TAGS, ("a", "b"))
    assert found.targets.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert found.warnings == (
        "a.csv: 3 labels are unknown in training and cannot be predicted: 'x', 'y'",
    )


def test_names_that_never_vary():
    assert "no label in any row" in refusal(text(tags=["", "|"]), "multilabel", TAGS)
    assert "no label varies over the 2 rows" in refusal(text(tags=["a"] * 2), "multilabel", TAGS)
    assert "holds int64, not names" in refusal(typed(tags=[1, 2]), "multilabel", TAGS)


NAMES = ["age", "job", "income"]


@pytest.mark.parametrize(
    ("target", "task", "expected"),
    [
        ("job", "binary", Target(("job",))),
        (["job", "age"], "multilabel", Target(("job", "age"))),
        ({"column": "job", "separator": ";"}, "multilabel", Target(("job",), ";")),
    ],
)
def test_what_a_config_says(target, task, expected):
    assert targets.resolve(target, task, NAMES, "a.csv") == expected


@pytest.mark.parametrize(
    ("target", "task", "said"),
    [
        (
            None,
            "binary",
            "data.target: name the column of a.csv that holds the labels. Its columns: 'age', "
            "'job', 'income'. Type data.target: income",
        ),
        ("incom", "binary", "data.target: a.csv has no column 'incom'; did you mean 'income'?"),
        ("z", "binary", "data.target: a.csv has no column 'z'. Its columns: 'age', 'job', 'inco"),
        ("job", "multilabel", "data.target: task multilabel needs a list of 0/1 columns, [job, "),
        (["job", "age"], "binary", "data.target: task binary has one class a row, in one column"),
        ({"column": "job", "separator": "|"}, "multiclass", "data.target: task multiclass has on"),
        (["job", "job"], "multilabel", "data.target: 'job', 'job': expected columns, each once"),
        ([], "multilabel", "data.target: : expected columns"),
        ({"column": "job"}, "multilabel", "data.target: expected a column, a list of columns, or"),
        ({"column": "job", "separator": ""}, "multilabel", "data.target.separator: expected a te"),
    ],
)
def test_what_a_config_says_wrongly(target, task, said):
    with pytest.raises(DataError) as caught:
        targets.resolve(target, task, NAMES, "a.csv")
    assert str(caught.value).startswith(said)


def test_lists_are_no_labels():
    frame = typed("rows.parquet", y=[[1], [0]], z=[0, 1])
    assert refusal(frame) == (
        "rows.parquet: column 'y' holds list<item: int64>: labels are integers, booleans or text"
    )
    assert refusal(frame, "multilabel", Target(("y", "z"))) == (
        "rows.parquet: column 'y' holds list<item: int64>, not 0 and 1"
    )
    assert "not names of labels" in refusal(frame, "multilabel", Target(("y",), "|"))


def test_a_guess_passes_over_lists():
    frame = typed("rows.parquet", a=[1, 2], y=["no", "yes"], seen=[[1], [0]])
    assert guess.choose(frame, [], None).target == Target(("y",))
