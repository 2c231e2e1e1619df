"""One door for every kind of table file: whole, in frames, names alone, and how much there is."""

import contextlib
import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxnet.data import readers
from jaxnet.data.columns import Wishes, infer
from jaxnet.errors import DataError

ROWS = 1_000


@pytest.fixture(params=["rows.csv", "rows.csv.gz", "ROWS.CSV", "rows.parquet"])
def file(request, tmp_path):
    """A table of a thousand rows with quoted line ends, in every kind of file."""
    path = tmp_path / request.param
    if request.param.endswith("parquet"):
        table = pa.table({"i": [str(i) for i in range(ROWS)], "t": ["two\nlines"] * ROWS})
        pq.write_table(table, path, row_group_size=300)
        return path
    text = b"i,t\n" + b"".join(b'%d,"two\nlines"\n' % i for i in range(ROWS))
    path.write_bytes(gzip.compress(text) if request.param.endswith("gz") else text)
    return path


def place(path, row):
    """What `where` must say of a row of `file`."""
    if path.suffix == ".parquet":
        return f"{path}: row {row} (counted from 0)"
    return f"{path}: line {2 + 2 * row}"


def refusal(call, path, *args):
    """The text of the error without the folder of the test."""
    with pytest.raises(DataError) as caught:
        call(path, *args)
    return str(caught.value).replace(f"{path.parent}/", "").replace(str(path.parent), "FOLDER")


def test_the_whole_file(file):
    frame = readers.read(str(file))
    assert frame.columns.column("i").to_pylist() == [str(i) for i in range(ROWS)]
    assert set(frame.columns.column("t").to_pylist()) == {"two\nlines"}
    assert frame.text is (file.suffix != ".parquet")
    assert frame.name == str(file)
    assert [frame.where(row) for row in (0, 700, np.int64(999))] == [
        place(file, row) for row in (0, 700, 999)
    ]


@pytest.mark.parametrize("rows", [1, 77, 300, 1_000, 5_000])
def test_frames_of_equal_length(file, rows):
    frames = list(readers.stream(file, rows))
    lengths = [frame.columns.num_rows for frame in frames]
    assert lengths[:-1] == [rows] * (len(frames) - 1)
    assert 0 < lengths[-1] <= rows
    whole = pa.concat_tables(frame.columns for frame in frames)
    assert whole.combine_chunks() == readers.read(file).columns.combine_chunks()
    assert frames[-1].where(0) == place(file, ROWS - lengths[-1])
    assert frames[0].where(0) == place(file, 0)


def test_progress_ends_at_the_count(file):
    total, unit = readers.count_hint(file)
    assert (total, unit) == (
        (ROWS, "rows") if file.suffix == ".parquet" else (file.stat().st_size, "bytes")
    )
    for call in (readers.read, readers.stream):
        told = []
        list(call(file, progress=told.append))
        assert told == sorted(told)
        assert told[-1] == total


def test_names(file):
    assert readers.names(file) == ("i", "t")


def test_a_stream_of_csv_holds_little(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n" + b"12345678,87654321\n" * 4_000_000)
    before = pa.total_allocated_bytes()
    most = 0
    for _ in readers.stream(path):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < path.stat().st_size


def test_errors_of_a_stream_name_the_true_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n"x\ny",2\n' + b"%080d,2\n" % 1 * 400_000 + b"3\n" + b"1,2\n" * 9)
    frames = readers.stream(path)
    assert next(frames).columns.num_rows == 65_536
    with pytest.raises(DataError, match=r"line 400004: 1 field, and the header names 2 columns"):
        list(frames)


def test_a_stream_opens_nothing_of_a_file_that_is_not_there(tmp_path):
    assert "no such file" in refusal(readers.stream, tmp_path / "rows.csv")
    with pytest.raises(ValueError, match="rows is 0"):
        readers.stream(tmp_path / "rows.csv", 0)


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    assert refusal(readers.read, tmp_path / "trian.csv") == (
        "trian.csv: no such file; did you mean 'train.csv'?"
    )
    assert refusal(readers.read, tmp_path / "train.xlsx") == (
        "train.xlsx: unknown kind of file; known: .csv, .csv.gz, .parquet, .npz"
    )
    assert refusal(readers.read, tmp_path / "folder.csv") == "folder.csv: a folder, not a file"
    assert refusal(readers.read, tmp_path / "none" / "a.csv").endswith(
        "no such file: the folder 'FOLDER' does not exist"
    )


def test_types_of_parquet_stay_and_dictionaries_are_decoded(tmp_path):
    path = tmp_path / "rows.parquet"
    job = pa.array(["clerk", None, "clerk"]).dictionary_encode()
    pq.write_table(pa.table({"n": [1, None, 3], "x": [0.5, 1.0, None], "job": job}), path)
    table = readers.read(path).columns
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string()]
    assert table.to_pydict() == {
        "n": [1, None, 3],
        "x": [0.5, 1.0, None],
        "job": ["clerk", None, "clerk"],
    }


@pytest.mark.parametrize("kind", [pl.Categorical, pl.String, pl.Enum(["clerk", "cook"])])
def test_text_columns_of_polars(tmp_path, kind):
    pl.DataFrame({"job": pl.Series(["clerk", None, "cook"], dtype=kind)}).write_parquet(
        tmp_path / "rows.parquet"
    )
    column = readers.read(tmp_path / "rows.parquet").columns.column("job")
    assert column.to_pylist() == ["clerk", None, "cook"]
    assert column.type in (pa.string(), pa.large_string())


def test_the_index_of_pandas_is_no_feature_unless_it_has_a_name(tmp_path):
    frame = pd.DataFrame({"age": [31, 40], "job": pd.Categorical(["clerk", "cook"])}, index=[5, 7])
    frame.to_parquet(tmp_path / "unnamed.parquet")
    frame.rename_axis("patient").to_parquet(tmp_path / "named.parquet")
    assert readers.names(tmp_path / "unnamed.parquet") == ("age", "job")
    assert readers.read(tmp_path / "unnamed.parquet").columns.column_names == ["age", "job"]
    assert readers.names(tmp_path / "named.parquet") == ("age", "job", "patient")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            pa.table([[1], [2], [3]], names=["a", "b", "a"]),
            "two columns or more are named 'a'; rename one",
        ),
        (pa.table({"": [1], "b": [2]}), "column 1 of 2 has no name; give it one"),
        (pa.table({"a": pa.array([], pa.int64())}), "no rows, only the names of 1 columns"),
        (pa.table({}), "no columns, so nothing to learn from"),
    ],
)
def test_parquet_that_is_no_plain_table(tmp_path, table, complaint):
    pq.write_table(table, tmp_path / "rows.parquet")
    for call in (readers.read, lambda path: list(readers.stream(path))):
        assert refusal(call, tmp_path / "rows.parquet") == f"rows.parquet: {complaint}"


def test_columns_of_other_types_disturb_nobody(tmp_path):
    table = pa.table({"a": [1, 2], "list": [[1, 2], None], "bytes": [b"x", b"y"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    found = readers.read(tmp_path / "rows.parquet").columns
    assert found.to_pylist() == table.to_pylist()
    (piece,) = readers.stream(tmp_path / "rows.parquet")
    assert piece.columns == found


def test_extension_types_are_no_features(tmp_path):
    """Nothing is known of them but how they are stored."""
    frame = pd.DataFrame({"a": [1, 2], "month": pd.period_range("2020-01", periods=2, freq="M")})
    frame.to_parquet(tmp_path / "rows.parquet")
    found = readers.read(tmp_path / "rows.parquet")
    wishes = Wishes({}, (), (), None, ())
    with pytest.raises(DataError, match=r"holds extension.* data\.drop: \[month\]"):
        infer(found, wishes)
    assert infer(found, wishes._replace(drop=("month",))).names == ("a",)


def test_every_damage_to_parquet_is_noticed(tmp_path):
    """A byte flipped anywhere in the pages or in the description, or an end cut off."""
    path = tmp_path / "rows.parquet"
    table = pa.table({"a": np.arange(2_000), "b": np.random.default_rng(0).normal(size=2_000)})
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for place in rng.integers(4, len(sound) - 2_500, 60):
        broken = bytearray(sound)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        text = refusal(readers.read, path)
        noticed += "not a Parquet file, or damaged or cut short" in text
    assert noticed == 60
    for keep in (1, 7, 100, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:keep])
        assert "not a Parquet file, or damaged or cut short" in refusal(readers.read, path)
    path.write_bytes(b"")
    assert refusal(readers.read, path) == "rows.parquet: the file is empty"
    path.write_text("a,b\n1,2\n")
    assert "not a Parquet file" in refusal(readers.names, path)


def test_nothing_heavy_is_imported_before_a_file_is_read():
    code = (
        "import sys, jaxnet.data.readers, jaxnet.data.data_frames; "
        "print([m for m in ('pyarrow', 'pandas', 'polars', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_parquet_text_that_is_none_is_refused_with_its_column(tmp_path):
    ends = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    column = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"\xffa")])
    pq.write_table(pa.table({"good": ["x", "y"], "odd": column}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: column 'odd': damaged, or bytes that are no"):
        readers.read(tmp_path / "a.parquet")


def test_damaged_parquet_is_read_or_refused(tmp_path):
    path = tmp_path / "a.parquet"
    codes = pa.array(["p", "q"] * 20).dictionary_encode()
    pq.write_table(
        pa.table({"a": ["x", "y"] * 20, "b": codes, "n": range(40)}), path, row_group_size=10
    )
    good, random = path.read_bytes(), np.random.default_rng(0)
    for number in range(300):
        damaged = bytearray(good)
        for place in random.integers(0, len(good), 1 + number % 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged if number % 10 else damaged[: random.integers(len(good))])
        with contextlib.suppress(DataError):
            readers.read(path)
