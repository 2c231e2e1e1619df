"""Categories: texts as written, typed cells as a file would hold them, missing ones apart."""

import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data import categories
from jaxnet.data.missing import TOKENS


def cells(found):
    """Every row's text again, None where it is missing."""
    texts = found.texts.to_pylist()
    return [None if code < 0 else texts[code] for code in found.codes]


@given(
    given_cells=st.lists(st.sampled_from(["a", "A", " a", "", "  ", "?", " NA", "na", "é"])),
    cut=st.integers(0, 5),
)
def test_text_comes_back_as_it_was_written(given_cells, cut):
    column = pa.chunked_array(
        [pa.array(given_cells[:cut], pa.string()), pa.array(given_cells[cut:], pa.string())]
    )
    expected = [None if c.strip() in ("", *TOKENS) else c for c in given_cells]
    found = categories.of(column, TOKENS)
    assert cells(found) == expected
    assert len(set(found.texts.to_pylist())) == len(found.texts)


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([7, None, 10]), ["7", None, "10"]),
        (pa.array([7.0, float("nan"), 0.5, 1e300]), ["7", None, "0.5", "1e+300"]),
        (pa.array([True, False, None]), ["True", "False", None]),
        (pa.array([datetime.date(2024, 1, 31)]), ["2024-01-31"]),
        (pa.array(["a", None, "?"]).dictionary_encode(), ["a", None, None]),
        (pa.array([None, None]), [None, None]),
        (pa.array([], pa.string()), []),
        (pa.array(["b", "a"], pa.string_view()), ["b", "a"]),
    ],
)
def test_typed_cells(column, texts):
    assert cells(categories.of(pa.chunked_array([column]), TOKENS)) == texts


def test_a_column_without_chunks():
    assert cells(categories.of(pa.chunked_array([], pa.string()), TOKENS)) == []


def test_integers_in_order_of_size():
    assert categories.in_order(["10", "-2", "9", "-10", "0"]) == ["-10", "-2", "0", "9", "10"]
    assert categories.in_order(["10", "9", "09"]) == ["09", "10", "9"]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_minus_zero_is_zero(kind):
    column = pa.chunked_array([pa.array([0.0, -0.0, 1.0, None], pa.float64()).cast(kind)])
    assert cells(categories.of(column, ())) == ["0", "0", "1", None]
