"""Encodings against their formulas, at extreme values, and through JSON."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler, StandardScaler

from jaxnet.data import encoding
from jaxnet.errors import DataError

RNG = np.random.default_rng(0)


def fit(*args, **options):
    return encoding.fit(*args, **options).encoding


X = RNG.normal(size=(101, 5)) * [1, 1e-8, 1e8, 3, 0.1] + [0, 1, 1e9, -5, 1e-3]


def test_robust_is_scikit_learns_scaler_and_the_smooth_clip():
    u = RobustScaler().fit_transform(X)
    expected = u / np.sqrt(1 + (u / 3) ** 2)
    found = encoding.apply(fit(X), X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-9)
    assert np.abs(found).max() < 3


def test_standard_is_scikit_learns_scaler():
    found = encoding.apply(fit(X, "standard"), X)
    np.testing.assert_allclose(found, StandardScaler().fit_transform(X), rtol=2e-6, atol=1e-7)


def test_none_is_a_cast():
    x = np.array([[0, 255], [7, 3]], np.uint8)
    found = encoding.apply(fit(x, "none"), x)
    np.testing.assert_array_equal(found, x.astype(np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("n", [1, 2, 3, 50, 51, 400])
def test_counting_8_bits_gives_the_quantiles_of_numpy(dtype, n):
    span = {"uint8": (0, 256), "int8": (-128, 128), "bool": (0, 2)}[dtype]
    x = RNG.integers(*span, size=(n, 7)).astype(dtype)
    x[:, 0] = x[0, 0]
    x[: n // 2, 1] = x[0, 1]
    found, wide = fit(x), fit(x.astype(np.float64))
    np.testing.assert_array_equal(found.center, wide.center)
    np.testing.assert_array_equal(found.scale, wide.scale)
    np.testing.assert_array_equal(found.center, np.median(x.astype(np.float64), axis=0))


def test_quartiles_that_coincide_fall_back_to_half_the_range():
    x = np.array([[0.0], [0], [0], [0], [0], [0], [0], [8]])
    found = fit(x)
    assert (found.center[0], found.scale[0]) == (0, 4)
    np.testing.assert_allclose(encoding.apply(found, x)[-1], 2 / np.sqrt(1 + 4 / 9), rtol=1e-7)


@pytest.mark.parametrize("how", ["robust", "standard"])
def test_a_constant_column_is_0_whatever_comes(how):
    x = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    found = fit(x, how)
    assert found.scale[0] == 0
    assert found.center[0] == 0.1
    new = encoding.apply(found, np.array([[5.0, 3.0], [1e308, 3.0]]))
    np.testing.assert_array_equal(new, 0)


def test_only_the_rows_given_count():
    rows = np.array([3, 1, 50, 99])
    found = fit(X, rows=rows)
    np.testing.assert_array_equal(found.center, fit(X[rows]).center)
    np.testing.assert_array_equal(
        encoding.apply(found, X, rows=rows), encoding.apply(found, X[rows])
    )
    assert encoding.apply(found, X, rows=rows[:0]).shape == (0, 5)


@pytest.mark.parametrize("cells", [1, 7, 40])
def test_chunks_change_nothing(monkeypatch, cells):
    whole = [
        encoding.apply(fit(x, how), x)
        for x in (X, np.clip(X, -100, 100).astype(np.int8))
        for how in encoding.HOWS
    ]
    monkeypatch.setattr(encoding, "_CELLS_AT_A_TIME", cells)
    monkeypatch.setattr(encoding, "_FIT_CELLS_AT_A_TIME", cells * 20)
    parts = [
        encoding.apply(fit(x, how), x)
        for x in (X, np.clip(X, -100, 100).astype(np.int8))
        for how in encoding.HOWS
    ]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_need_little_memory_beside_the_result():
    x = RNG.integers(0, 256, size=(20_000, 300), dtype=np.uint8)
    tracemalloc.start()
    try:
        found = fit(x, rows=np.arange(15_000))
        fitted = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        out = encoding.apply(found, x, rows=np.arange(15_000))
        applied = tracemalloc.get_traced_memory()[1] - out.nbytes
    finally:
        tracemalloc.stop()
    as_float64 = 8 * 15_000 * 300
    assert fitted < as_float64 / 3
    assert applied < as_float64 / 3


def test_values_far_beyond_the_training_rows_end_at_the_bound():
    found = fit(np.array([[0.0], [1e-300], [2e-300]]))
    new = np.array([[1e-290], [-1e-100], [1.0], [1e300], [-1.7e308]])
    np.testing.assert_array_equal(encoding.apply(found, new).ravel(), [3, -3, 3, 3, -3])


@given(
    x=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=1,
        max_size=8,
    ),
    new=st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=2, max_size=2
    ),
)
def test_robust_is_finite_for_every_finite_value(x, new):
    try:
        found = fit(np.array(x))
    except DataError:
        assert max(abs(value) for row in x for value in row) > 1e307  # wider than float64
        return
    out = encoding.apply(found, np.array([new]))
    assert np.all(np.abs(out) <= 3)
    assert np.all(np.sign(out) * np.sign(np.array(new) - found.center) >= 0)


@pytest.mark.parametrize("how", encoding.HOWS)
def test_json_gives_back_the_same_bits(how):
    x = X.copy()
    x[3, 1] = np.nan
    found = fit(x, how)
    records = json.loads(json.dumps(encoding.to_json(found), allow_nan=False))
    again = encoding.from_json(records, how)
    for one, other in zip(found[:4], again[:4], strict=True):
        assert one.tobytes() == other.tobytes()
    assert again.how == how
    np.testing.assert_array_equal(encoding.apply(again, x), encoding.apply(found, x))


@pytest.mark.parametrize(
    "change",
    [
        {"center": "text"},
        {"scale": float("nan")},
        {"scale": -1.0},
        {"fill": [1.0]},
        {"quantiles": [2.0, 1.0]},
        {"quantiles": [1.0]},
    ],
)
def test_a_damaged_record_is_refused(change):
    records = encoding.to_json(fit(X[:, :2], "quantile"))
    with pytest.raises(DataError, match=r"^schema: the encoding of the numeric columns is damaged"):
        encoding.from_json([records[0], {**records[1], **change}], "quantile")
    short = {key: records[1][key] for key in records[1] if key not in change}
    with pytest.raises(DataError, match="KeyError"):
        encoding.from_json([records[0], short], "quantile")
    with pytest.raises(DataError, match="its scale one of 'robust'"):
        encoding.from_json(records, "other")


def refusal(function, *args, **options):
    with pytest.raises(DataError) as caught:
        function(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinite_values_are_named_by_row_and_column(dtype, monkeypatch):
    monkeypatch.setattr(encoding, "_CELLS_AT_A_TIME", 8)
    x = np.zeros((20, 3), dtype)
    x[:, 1] = np.arange(20)
    good = fit(x)
    x[13, 2] = np.inf
    text = (
        "X: row 13 (counted from 0), column 'c' (2) is inf: features must be finite or missing "
        "(NaN); mend it, or make it missing: X[np.isinf(X)] = np.nan"
    )
    names = ["a", "b", "c"]
    assert refusal(encoding.check, x, names=names) == text
    assert refusal(fit, x, names=names) == text
    assert refusal(encoding.apply, good, x, names=names) == text
    x[13, 2] = -np.inf
    assert "X_test: row 13 (counted from 0), column 2 is -inf: features must be finite" in refusal(
        encoding.apply, good, x, what="X_test"
    )
    # The row is that of the whole array, whatever rows are looked at.
    assert "row 13 (" in refusal(fit, x, rows=np.array([2, 19, 13]))
    assert "row 13 (" in refusal(encoding.apply, good, x, rows=np.array([2, 19, 13]))
    fit(x, rows=np.array([2, 19]))
    lines = refusal(fit, x, names=names, where=lambda row: f"a.csv: line {row + 2}")
    assert lines.startswith("a.csv: line 15, column 'c' (2) is -inf")


@pytest.mark.parametrize("how", encoding.HOWS)
def test_missing_values_are_the_median_and_an_indicator(how):
    x = X.copy()
    x[:40, 1] = np.nan
    x[7, 3] = np.nan
    found = fit(x, how)
    assert found.indicator.tolist() == [False, True, False, True, False]
    assert found.width == 7
    out = encoding.apply(found, x)
    filled = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    np.testing.assert_array_equal(out[:, :5], encoding.apply(found, filled)[:, :5])
    np.testing.assert_array_equal(out[:, 5:], np.isnan(x)[:, [1, 3]])
    # Columns without a hole are as if the others were whole; a hole alone changes no statistics.
    np.testing.assert_array_equal(out[:, [0, 2, 4]], encoding.apply(fit(X, how), X)[:, [0, 2, 4]])
    alone = fit(x[40:, [1]], how)
    np.testing.assert_array_equal(out[40:, 1], encoding.apply(alone, x[40:, [1]])[:, 0])


def test_missing_values_that_training_did_not_have_are_the_median_and_counted():
    found = fit(X)
    new = np.full((3, 5), np.nan)
    new[0, 0] = 1.0
    out = encoding.apply(found, new)
    assert out.shape == (3, 5)
    np.testing.assert_array_equal(out[1:], 0)
    np.testing.assert_array_equal(encoding.newly_missing(found, new), [2, 3, 3, 3, 3])


def test_a_column_that_is_missing_throughout_is_0():
    x = np.column_stack([np.full(9, np.nan), np.arange(9.0)])
    found = fit(x)
    assert found.width == 2
    np.testing.assert_array_equal(encoding.apply(found, np.array([[5.0, 4.0]])), 0)


def test_columns_one_by_one_are_the_array():
    x = X.copy()
    x[:5, 2] = np.nan
    parts = tuple(x.T.copy())
    rows = np.array([9, 3, 50, 7, 80])
    for how in encoding.HOWS:
        found = fit(parts, how, rows=rows)
        np.testing.assert_array_equal(
            encoding.apply(found, parts), encoding.apply(fit(x, how, rows=rows), x)
        )


@pytest.mark.parametrize("how", ["standard", "none"])
def test_values_that_overflow_float32(how):
    x = np.array([[1.0, 1.0], [2.0, 2.0]])
    found = fit(x, how)
    assert refusal(encoding.apply, found, np.array([[1, 1], [1, -1e39]])) == (
        "X: row 1 (counted from 0), column 1 is -1e+39: too large for float32 once it is encoded; "
        "data.scale: robust bounds every value"
    )
    assert encoding.apply(fit(x), np.array([[1.5, -1e39]])).tolist() == [[0, -3]]


@pytest.mark.parametrize("how", ["robust", "standard", "quantile"])
def test_a_column_wider_than_float64(how):
    x = np.array([[0.0, -1.7e308], [1.0, 1.7e308], [2.0, 1.7e308], [2.0, -1.7e308]])
    assert refusal(fit, x, how, names=["a", "b"]) == (
        "X: column 'b' (1) spans more than float64 can hold; divide it by a constant or leave it "
        "out"
    )


def test_calls_that_make_no_sense():
    assert refusal(fit, X, "minmax") == (
        "data.scale: 'minmax' is unknown; known are 'robust', 'standard', 'quantile', 'none'"
    )
    assert refusal(fit, X[:0]) == "X: no rows to fit the scale on"
    assert refusal(encoding.apply, fit(X), X[:, :4]) == (
        "X: expected 5 columns, given an array of shape (101, 4)"
    )
