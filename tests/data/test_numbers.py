"""Text to numbers against Python's float and a grammar, and typed cells to numbers."""

import datetime
import decimal
import itertools
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data import numbers
from jaxnet.data.missing import TOKENS

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
CELLS = st.one_of(
    st.text("0123456789+-.eE ", max_size=8),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**60), 2**60).map(str),
    st.sampled_from(["", " ", "?", "nan", "NaN", "inf", "-Infinity", "1e400", "0x1", "1_0", "a"]),
    st.sampled_from(["007", "-00.5", "0.5", "٣", "½", "1d5", "1f", "nan(1)", "1,5", "+-1", "--1"]),
)


def column(cells, *cuts):
    """A column in chunks."""
    edges = [0, *cuts, len(cells)]
    return pa.chunked_array(
        [pa.array(cells[a:b], pa.string()) for a, b in itertools.pairwise(edges)],
        pa.string(),
    )


def judged(cell):
    """(value or None, what it is) of one cell, one at a time."""
    cell = cell.strip()
    if cell == "" or cell in TOKENS:
        return None, "missing"
    if re.fullmatch(r"[+-]?(inf|infinity)", cell, re.IGNORECASE):
        return None, "infinite"
    if not NUMBER.fullmatch(cell):
        return None, "odd"
    value = float(cell)
    if np.isinf(value):
        return None, "infinite"
    digits = cell.lstrip("+-")
    code = bool(re.match("0[0-9]", digits)) or (digits.isdigit() and int(digits) > 2**53)
    return value, "code" if code else "number"


@given(cells=st.lists(CELLS, max_size=12), cut=st.integers(0, 12))
def test_columns_of_text_are_judged_cell_by_cell(cells, cut):
    found = numbers.of(column(cells, min(cut, len(cells))), TOKENS)
    expected = [judged(cell) for cell in cells]
    values = [np.nan if value is None else value for value, _ in expected]
    np.testing.assert_array_equal(found.values, values)
    for field, word in (("odd", "odd"), ("infinite", "infinite"), ("codes", "code")):
        rows = [row for row, (_, what) in enumerate(expected) if what == word]
        assert getattr(found, field).tolist() == rows, field


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_numbers_come_back_bit_by_bit(values):
    found = numbers.of(column([repr(value) for value in values]), TOKENS)
    assert found.values.tobytes() == np.array(values, np.float64).tobytes()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_all_types_of_text(kind):
    cells = pa.chunked_array([pa.array(["1", None, " 2", "?"], kind)])
    np.testing.assert_array_equal(numbers.of(cells, TOKENS).values, [1, np.nan, 2, np.nan])
    words = pa.chunked_array([pa.array(["1", None, "x", "007"], kind)])
    found = numbers.of(words, TOKENS)
    assert (found.odd.tolist(), found.codes.tolist()) == ([2], [3])


def test_text_by_dictionary():
    cells = pa.array(["1", None, "x", "007", "1"]).dictionary_encode()
    found = numbers.of(pa.chunked_array([cells, cells]), TOKENS)
    np.testing.assert_array_equal(found.values, [1, np.nan, np.nan, 7, 1] * 2)
    assert (found.odd.tolist(), found.codes.tolist()) == ([2, 7], [3, 8])


def test_slices_of_a_table_are_read_at_their_place():
    cells = column(["01", "2", "", "4", "05"], 2).slice(1, 3)
    found = numbers.of(cells, TOKENS)
    np.testing.assert_array_equal(found.values, [2, np.nan, 4])
    assert found.codes.size == 0


def test_other_tokens():
    cells = column(["1", "-", "nan"])
    found = numbers.of(cells, ("-",))
    np.testing.assert_array_equal(found.values, [1, np.nan, np.nan])
    assert found.odd.tolist() == [2]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (pa.array([1, None, -3], pa.int8()), [1, np.nan, -3]),
        (pa.array([1, 2**63], pa.uint64()), [1, 2.0**63]),
        (pa.array([0.5, float("nan"), None], pa.float32()), [0.5, np.nan, np.nan]),
        (pa.array([0.5], pa.float16()), [0.5]),
        (pa.array([True, None, False]), [1, np.nan, 0]),
        (pa.array([decimal.Decimal("1.25"), None]), [1.25, np.nan]),
        (pa.array([7, None]).dictionary_encode(), [7, np.nan]),
        (pa.array([None, None]), [np.nan, np.nan]),
        (pa.array([datetime.date(1970, 1, 2), None]), [86400, np.nan]),
        (pa.array([86_400_000], pa.date64()), [86400]),
        (pa.array([1500], pa.timestamp("ms", "Europe/Berlin")), [1.5]),
        (pa.array([datetime.time(0, 1)], pa.time64("us")), [60]),
        (pa.array([2], pa.duration("s")), [2]),
    ],
)
def test_typed_cells(cells, values):
    np.testing.assert_array_equal(numbers.of(pa.chunked_array([cells]), ()).values, values)


def test_typed_cells_that_are_large_or_infinite():
    found = numbers.of(pa.chunked_array([pa.array([2**53, 2**53 + 1, None, -(2**63)])]), ())
    assert found.codes.tolist() == [1, 3]
    assert numbers.of(pa.chunked_array([[1.0, float("-inf")]]), ()).infinite.tolist() == [1]


@pytest.mark.parametrize("cells", [[[1]], [{"a": 1}], [b"1"]])
def test_types_without_numbers(cells):
    assert numbers.of(pa.chunked_array([pa.array(cells)]), ()) is None
