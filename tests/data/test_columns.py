"""What columns are taken for, and every refusal with its line."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from jaxnet.data import columns, missing
from jaxnet.data.columns import Wishes
from jaxnet.errors import DataError
from tests.data.tables import text, typed

N = 40
NUMBERS = [str(i * 7 % 11) for i in range(N)]
LETTERS = ["a", "b"] * (N // 2)
WISHES = Wishes({}, (), (), None, missing.TOKENS)


def infer(frame, **wishes):
    return columns.infer(frame, WISHES._replace(**wishes))


def refusal(frame, **wishes):
    with pytest.raises(DataError) as caught:
        infer(frame, **wishes)
    return str(caught.value)


def with_cells(*cells):
    """Numbers, the last of which are others."""
    return [*NUMBERS[: N - len(cells)], *cells]


@pytest.mark.parametrize(
    "last", [("1.5",), ("-1e-3",), (" 7 ",), ("",), ("  ",), ("?", "NA", "null"), ("+.5", "5.")]
)
def test_text_that_is_numeric(last):
    found = infer(text(x=with_cells(*last)))
    assert (found.names, list(found.numbers), found.warnings) == (("x",), ["x"], ())
    assert found.notes == ("1 numeric column: 'x'",)


@pytest.mark.parametrize("last", [("007",), ("-00.5",), ("9007199254740993",)])
def test_digits_that_a_number_would_change_are_text(last):
    found = infer(text(x=with_cells(*last)))
    assert found.categories["x"].texts.to_pylist()[-1] == last[0]
    # Asked for, they are numbers.
    asked = infer(text(x=with_cells(*last)), kinds={"x": "numeric"})
    assert asked.numbers["x"][-1] == float(last[0])


def test_integers_with_few_values_stay_numeric():
    assert list(infer(text(x=["0", "1"] * 20)).numbers) == ["x"]


def test_words_are_categories_as_they_are_written():
    found = infer(text(x=LETTERS, y=["1", "many"] * 20))
    assert found.categories["x"].texts.to_pylist() == ["a", "b"]
    assert found.warnings == ()
    assert found.notes == ("2 categorical columns: 'x', 'y'",)


def test_a_few_words_among_numbers_are_shown_with_their_lines():
    found = infer(text(x=with_cells("n.a.", "3", "inf", "broken", "x")))
    assert found.categories["x"].texts.to_pylist()[-1] == "x"
    assert found.warnings == (
        "column 'x' is taken as categorical: all its cells are numbers but 'n.a.' (a.csv: line "
        "37), 'inf' (a.csv: line 39), 'broken' (a.csv: line 40) and 1 more. If these mean "
        "missing: data.missing: [n.a., ...]; to refuse them by line: data.columns: {x: numeric}",
    )


@pytest.mark.parametrize(
    ("cell", "text_"),
    [
        ("inf", "'inf', infinite, or too large for float64; mend it, or leave the cell empty to "),
        ("1e400", "'1e400', infinite, or too large for float64; mend it"),
    ],
)
def test_infinities_are_refused_by_line(cell, text_):
    frame = text(x=with_cells(cell, "1"))
    start = f"a.csv: line 40: column 'x' is numeric and holds {text_}"
    assert refusal(frame).startswith(start)
    assert refusal(frame, kinds={"x": "numeric"}).startswith(start)
    assert infer(frame, kinds={"x": "categorical"}).names == ("x",)


def test_words_in_a_column_that_must_be_numeric():
    frame = text(x=with_cells("many", "few"))
    assert refusal(frame, kinds={"x": "numeric"}) == (
        "a.csv: line 40: column 'x' is numeric and holds 'many', no number (2 such cells); mend "
        "it, leave the cell empty, or train with data.missing: [...], if it means missing"
    )
    assert infer(frame, missing=("many", "few")).numbers["x"][-1:].tolist() != [0]


def test_a_word_for_missing_is_noticed_however_often_it_comes():
    found = infer(text(x=[*map(str, range(100, 160)), *["NULL"] * 40]))
    assert found.warnings[0].startswith(
        "column 'x' is taken as categorical: all its cells are numbers but 'NULL' (a.csv: line 62),"
    )
    assert "data.missing: [NULL, ...]" in found.warnings[0]
    few_sizes = ["1", "2", "3"] * 20
    words = [f"w{i % 4}" for i in range(40)]
    for other in ([*few_sizes, *["many"] * 40], [*map(str, range(60)), *words]):
        assert infer(text(x=other)).warnings == ()


def test_decimal_commas_are_refused_with_the_hint():
    frame = text(x=["", *["3,14", "2", "0,5"] * 10])
    assert refusal(frame) == (
        "a.csv: line 3: column 'x' holds '3,14': numbers are written with a decimal comma; write "
        "a point (3.14), or take them as text: data.columns: {x: categorical}"
    )
    assert infer(frame, kinds={"x": "categorical"}).names == ("x",)
    assert infer(text(x=["1,2,3", "2,5"] * 20)).names == ("x",)  # lists, say
    assert infer(text(x=["1", "2", "1,2"] * 20)).names == ("x",)


def test_commas_between_thousands_are_not_taken_for_decimal_ones():
    """A point in their place would make the number a thousandth of what it is."""
    cells = ["12", "950", "7"] * 10
    assert refusal(text(x=[*cells, "1,234.5", "2,345,678"])) == (
        "a.csv: line 32: column 'x' holds '1,234.5': numbers are written with commas between "
        "thousands; leave these out (1234567), or take them as text: "
        "data.columns: {x: categorical}"
    )
    assert refusal(text(x=[*cells, "1,234"])) == (
        "a.csv: line 32: column 'x' holds '1,234': numbers are written with a comma, between "
        "thousands or as a decimal point; leave it out (1234) or write a point (1.234), as it is "
        "meant, or take them as text: data.columns: {x: categorical}"
    )
    assert "with a decimal comma" in refusal(text(x=["1,234", "0,5"] * 20))


def test_texts_of_their_own_in_each_row_are_left_out():
    names = [f"user {i}" for i in range(N)]
    found = infer(text(key=names, x=NUMBERS))
    assert (found.names, found.identifiers) == (("x",), ("key",))
    assert found.warnings == (
        "column 'key' is left out: 40 different texts in 40 rows, such as 'user 0', 'user 1', are "
        "identifiers or free text; to keep it: data.columns: {key: categorical}",
    )
    assert found.notes == ("1 numeric column: 'x'; 1 no features: 'key'",)
    kept = infer(text(key=names, x=NUMBERS), kinds={"key": "categorical"})
    assert (kept.names, kept.warnings) == (("key", "x"), ())


@pytest.mark.parametrize("text_", [True, False])
def test_integers_over_2_to_the_53_are_never_rounded(text_):
    keys = [2**53 + 1 + i for i in range(N)]
    frame = text(key=map(str, keys), x=NUMBERS) if text_ else typed(key=keys, x=range(N, 0, -1))
    assert infer(frame).identifiers == ("key",)
    repeated = [2**60 + i % 3 for i in range(N)]
    few = text(key=map(str, repeated)) if text_ else typed(key=repeated)
    assert infer(few).categories["key"].texts.to_pylist() == [str(2**60 + i) for i in range(3)]


@pytest.mark.parametrize(
    "cells", [range(N), range(5, 5 + 3 * N, 3), np.random.default_rng(0).permutation(N) + 100]
)
def test_row_numbers_are_warned_of(cells):
    for frame in (text(i=map(str, cells)), typed(i=list(map(int, cells)))):
        found = infer(frame)
        assert found.names == ("i",)
        assert found.warnings == (
            "column 'i' holds another whole number in every row, like a row number; if it is one: "
            "data.drop: [i]",
        )


@pytest.mark.parametrize(
    "cells", [[i**2 % 97 for i in range(N)], [i / 2 for i in range(N)], [1.7e308, -1.7e308] * 20]
)
def test_other_numbers_are_not_row_numbers(cells):
    assert infer(typed(i=cells)).warnings == ()


def test_typed_columns():
    day = datetime.date(1970, 1, 2)
    found = infer(
        typed(
            whole=[1, 2, 2, None],
            real=[0.5, float("nan"), None, 1.0],
            flag=[True, False, None, True],
            word=["1 a", "b", None, "?"],
            kind=pa.array(["u", "v", "u", None]).dictionary_encode(),
            day=[day, day, None, day],
            empty=pa.nulls(4),
            hole=pa.array([float("nan")] * 4),
        )
    )
    assert list(found.numbers) == ["whole", "real", "flag", "day"]
    assert list(found.categories) == ["word", "kind", "empty", "hole"]
    assert found.categories["word"].codes.tolist() == [0, 1, -1, -1]
    assert found.numbers["day"].tolist()[0] == 86400
    assert found.notes[1] == "true and false are taken as 1 and 0: 'flag'"
    assert found.notes[2] == (
        "column 'day' (date32[day]) is taken as a number, in seconds; leave it out with "
        "data.drop: [day]"
    )


def test_numbers_as_text_in_a_typed_table():
    found = infer(typed(x=["1", "2", None] * 4))
    assert list(found.categories) == ["x"]
    assert found.warnings == (
        "column 'x' holds numbers as text and is not taken as numeric; to do so: "
        "data.columns: {x: numeric}",
    )


def test_types_that_are_no_features():
    assert refusal(typed(x=[[1], [2]])) == (
        "X: column 'x' holds list<item: int64>, which is no feature; leave it out with "
        "data.drop: [x]"
    )
    assert infer(typed(x=[[1], [2]], y=[1, 2]), drop=("x",)).names == ("y",)
    for kind in ("numeric", "categorical"):
        assert "which is no feature" in refusal(typed(x=[b"a", b"b"]), kinds={"x": kind})


def test_a_table_of_identifiers_alone():
    said = refusal(text(key=[f"user {i}" for i in range(N)]))
    assert said.startswith(
        "a.csv: no column is left to learn from; column 'key' is left out: 40 different texts"
    )
    assert said.endswith(
        "Free text is not read: make columns of numbers of it, such as counts of words"
    )


def test_wishes():
    frame = text(a=NUMBERS, b=LETTERS, c=NUMBERS, d=LETTERS, y=LETTERS)
    found = infer(
        frame, kinds={"a": "categorical", "c": "id"}, drop=("b",), reserved=("y",), group="d"
    )
    assert (found.names, found.identifiers) == (("a",), ("b", "c", "d"))
    assert infer(frame, group="d", kinds={"d": "categorical"}).names == ("a", "b", "c", "d", "y")


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"drop": ("agee",)}, "data.drop: a.csv has no column 'agee'; did you mean 'age'?"),
        ({"drop": ("zzz",)}, "data.drop: a.csv has no column 'zzz'; it has 'age', 'job'"),
        ({"kinds": {"jobs": "id"}}, "data.columns: a.csv has no column 'jobs'; did you mean 'job'"),
        ({"group": "g"}, "data.split.group: a.csv has no column 'g'"),
        ({"drop": ("job",), "reserved": ("job",)}, "data.drop: column 'job' is the target already"),
        ({"kinds": {"age": "number"}}, "data.columns.age: 'number' is no kind; known are 'numeri"),
        (
            {"kinds": {"age": "id"}, "drop": ("age",)},
            "data.drop: column 'age' is given a kind in data.columns too",
        ),
        ({"drop": ("age", "job")}, "a.csv: no column is left to learn from"),
    ],
)
def test_wishes_that_do_not_fit(wishes, said):
    assert refusal(text(age=NUMBERS, job=LETTERS), **wishes).startswith(said)


def test_long_cells_are_cut_in_messages():
    shown = refusal(text(x=with_cells("w" * 500)), kinds={"x": "numeric"})
    assert len(shown) < 200


TRUTH = ["True", "false", "FALSE", "", "true", "TRUE", "?", "False"]


def test_true_and_false_are_numbers_whatever_the_file():
    """A file of text holds words where a data frame holds booleans."""
    found = infer(text(x=TRUTH))
    expected = [1, 0, 0, np.nan, 1, 1, np.nan, 0]
    np.testing.assert_array_equal(found.numbers["x"], expected)
    assert found.booleans == {"x"}
    assert found.notes[1:] == ("true and false are taken as 1 and 0: 'x'",)
    of_types = infer(typed(x=[True, False, False, None, True, True, None, False]))
    np.testing.assert_array_equal(of_types.numbers["x"], expected)
    assert of_types.booleans == {"x"}
    assert of_types.notes == found.notes
    assert infer(text(x=TRUTH), kinds={"x": "numeric"}).booleans == {"x"}
    assert infer(text(x=TRUTH), kinds={"x": "categorical"}).booleans == set()


@pytest.mark.parametrize("cells", [["1", "0"], ["true", "no"], ["t", "f"], ["", "?"]])
def test_what_is_no_truth(cells):
    assert infer(text(x=cells * 10, y=["1", "2"] * 10)).booleans == set()
    assert infer(typed(x=[1, 0])).booleans == set()
