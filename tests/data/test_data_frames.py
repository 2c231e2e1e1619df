"""Data frames of every maker become the same table, or are refused by their column."""

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxnet.data.columns import Wishes, infer
from jaxnet.data.data_frames import from_frame, is_frame
from jaxnet.errors import DataError

AGES, JOBS = [31.5, None, 40.0], ["clerk", "cook", None]


class Exchanged:
    """Offers the older exchange of data frames and nothing else."""

    def __init__(self, frame):
        self.frame = frame

    def __dataframe__(self, **options):
        return self.frame.__dataframe__(**options)


class Streamed:
    """Offers a stream of Arrow data and the names of its columns."""

    columns = ("age", "job")

    def __arrow_c_stream__(self, requested_schema=None):
        return pa.table({"age": AGES, "job": JOBS}).__arrow_c_stream__(requested_schema)


FRAMES = {
    "dict": {"age": AGES, "job": JOBS},
    "dict of arrays": {"age": np.ma.array([31.5, 0, 40], mask=[0, 1, 0]), "job": pl.Series(JOBS)},
    "pandas": pd.DataFrame({"age": AGES, "job": JOBS}, index=[7, 7, 9]),
    "pandas object": pd.DataFrame({"age": AGES, "job": JOBS}, dtype=object),
    "pandas nullable": pd.DataFrame({"age": AGES, "job": JOBS}).convert_dtypes(),
    "pandas category": pd.DataFrame({"age": AGES, "job": pd.Categorical(JOBS)}),
    "polars": pl.DataFrame({"age": AGES, "job": JOBS}),
    "polars category": pl.DataFrame({"age": AGES, "job": pl.Series(JOBS, dtype=pl.Categorical)}),
    "polars enum": pl.DataFrame({"age": AGES, "job": pl.Series(JOBS, dtype=pl.Enum(JOBS[:2]))}),
    "table": pa.table({"age": AGES, "job": JOBS}),
    "batch": pa.record_batch({"age": AGES, "job": JOBS}),
    "reader": pa.table({"age": AGES, "job": JOBS}).to_reader(),
    "exchanged": Exchanged(pa.table({"age": AGES, "job": JOBS})),
    "streamed": Streamed(),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_kind_gives_the_same_table(kind):
    assert is_frame(FRAMES[kind])
    frame = from_frame(FRAMES[kind], "X_test")
    assert frame.columns.to_pydict() == {"age": AGES, "job": JOBS}
    assert frame.columns.schema.types[0] == pa.float64()
    assert frame.columns.schema.types[1] in (pa.string(), pa.large_string())
    assert (frame.text, frame.name) == (False, "X_test")
    assert frame.where(np.int64(2)) == "X_test: row 2 (counted from 0)"


@pytest.mark.parametrize(
    "x",
    [
        [[1, 2]],
        np.zeros((2, 2)),
        "rows.csv",
        None,
        pd.Series([1], name="a"),
        pl.Series("a", [1]),
        pl.LazyFrame({"a": [1]}),
        pa.array([1]),
        pa.chunked_array([[1]]),
    ],
)
def test_what_has_no_named_columns_is_no_frame(x):
    assert not is_frame(x)
    with pytest.raises(DataError, match="is no table with named columns; give a data frame"):
        from_frame(x)


def test_types_stay():
    day = datetime.datetime(2026, 1, 2)
    frame = pd.DataFrame(
        {
            "flag": [True, False],
            "count": pd.array([1, None], dtype="Int64"),
            "small": np.array([1, 2], np.uint8),
            "day": [day, day],
            "sparse": pd.arrays.SparseArray([0, 3]),
            "big end": np.array([1, 2], ">f4"),
        }
    )
    table = from_frame(frame).columns
    assert [str(kind) for kind in table.schema.types] == [
        "bool", "int64", "uint8", "timestamp[us]", "int64", "float",
    ]  # fmt: skip
    assert table.column("count").to_pylist() == [1, None]
    assert table.column("sparse").to_pylist() == [0, 3]
    assert table.column("day").to_pylist() == [day, day]


def test_names_become_text():
    frame = from_frame(pd.DataFrame([[1, 2]], columns=[0, ("a", "b")]))
    assert frame.columns.column_names == ["0", "('a', 'b')"]


def test_no_rows_are_a_table_too():
    assert from_frame(pd.DataFrame({"a": np.zeros(0)})).columns.shape == (0, 1)


MIXED = "holds mixed kinds of values, or none that a table can hold"


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (pd.DataFrame({"a": [1, 2], "b": [1, "x"]}, dtype=object), f"column 'b' {MIXED}"),
        (pd.DataFrame({"b": ["x", 1.5]}, dtype=object), f"column 'b' {MIXED}"),
        (pd.DataFrame({"b": [True, 1]}, dtype=object), f"column 'b' {MIXED}"),
        (pd.DataFrame({"b": [object()]}), f"column 'b' {MIXED}"),
        (pd.DataFrame({"b": [1 + 2j]}), f"column 'b' {MIXED}"),
        ({"a": [1], "b": [1, "x"]}, f"column 'b' {MIXED}"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns or more are named 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns or more are named '1'"),
        ({"a": [1], "": [2]}, "column 2 of 2 has no name"),
        ({"a": [1, 2], "b": [1]}, "columns of different lengths: 'b' has 1 cells, 'a' has 2"),
        ({"a": 1}, "column 'a' is int: not a list of cells"),
        ({"a": "xy"}, "column 'a' is str: not a list of cells"),
        ({"a": {1, 2}}, "column 'a' is set: not a list of cells"),
        ({"a": np.zeros((2, 2))}, r"column 'a' has shape \(2, 2\): one axis is needed"),
        ({}, "no columns, so nothing to learn from"),
        (pd.DataFrame(), "no columns, so nothing to learn from"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_column(x, complaint):
    with pytest.raises(DataError, match=f"^X_new: .*{complaint}"):
        from_frame(x, "X_new")


@pytest.mark.parametrize(
    "x",
    [
        pd.DataFrame({"b": [b"x", "y"]}, dtype=object),
        pd.DataFrame({"b": [[1], [2]]}),
        pl.DataFrame({"b": [[1], [2]]}),
        pl.DataFrame({"b": [object()]}),
        pd.DataFrame({"b": pd.period_range("2026", periods=1)}),
        {"b": [{"c": 1}]},
    ],
)
def test_other_types_are_left_to_whoever_needs_the_column(x):
    frame = from_frame(x, "X_new")
    with pytest.raises(DataError, match=r"^X_new: column 'b' holds .*, which is no feature"):
        infer(frame, Wishes({}, (), (), None, ()))


def test_columns_that_are_not_needed_may_hold_anything():
    x = {"a": [1, 2], "b": [1, "x"], "c": [object(), 2]}
    for given in (x, pd.DataFrame(x)):
        assert from_frame(given, needed=["a"]).columns.to_pylist() == [
            {"a": 1, "b": None, "c": None},
            {"a": 2, "b": None, "c": None},
        ]
        with pytest.raises(DataError, match=f"column 'b' {MIXED}"):
            from_frame(given, needed=["a", "b"])


def test_what_another_library_raises_is_a_refusal():
    class Broken:
        columns = ()

        def __arrow_c_stream__(self, requested_schema=None):
            raise RuntimeError("no stream today")

    with pytest.raises(DataError, match="X: the data frame cannot be read as a table: no stream"):
        from_frame(Broken())


WITHOUT_EITHER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
import pyarrow as pa
from jaxnet.data.data_frames import from_frame
print(from_frame({"a": [1]}).columns == from_frame(pa.table({"a": [1]})).columns)
"""


def test_neither_pandas_nor_polars_is_needed():
    command = [sys.executable, "-c", WITHOUT_EITHER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
