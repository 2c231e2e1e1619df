"""Predictions on disk: whole or not at all, exact, and harmless in a spreadsheet."""

import csv
import errno
import gzip
import io
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.errors import RunFailed, UserError
from jaxnet.outputs import predictions, table_formats
from jaxnet.outputs.predictions import nine_digits, open_writer

ROWS = {"id": ["a", "b", None], "yes": np.array([0.25, 1e-7, 1.0]), "n": [1, None, 3]}
NAMES = ["p.csv", "p.csv.gz", "P.CSV", "p.parquet"]


def read_back(path):
    """Every row as a dict; of CSV, all cells are text."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def write(path, *blocks, then=lambda: None, **options):
    """Write blocks of rows, and do something before the file is complete."""
    with open_writer(path, list(blocks[0]), **options) as writer:
        for block in blocks:
            writer.write(block)
        then()


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_written_one_after_the_other(tmp_path, name):
    path = tmp_path / name
    write(path, ROWS, {"n": [4], "id": ["d"], "yes": [0.1]}, {"id": [], "yes": [], "n": []})
    values = [("a", 0.25, 1), ("b", 1e-7, None), (None, 1.0, 3), ("d", 0.1, 4)]
    expected = [dict(zip(ROWS, row, strict=True)) for row in values]
    if path.suffix != ".parquet":
        text = {None: "", 1.0: "1", 1e-7: "1e-7"}
        expected = [{k: text.get(v, str(v)) for k, v in row.items()} for row in expected]
    assert read_back(path) == expected
    assert os.listdir(tmp_path) == [name]


def test_the_text_of_a_csv_file(tmp_path):
    write(tmp_path / "p.csv", {"a,b": ['say "hi"'], "p": np.float32([1 / 3]), "ok": [True]})
    expected = b'"a,b","p","ok"\n"say ""hi""",0.33333334,"True"\n'
    assert (tmp_path / "p.csv").read_bytes() == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_leave_a_table_with_columns(tmp_path, name):
    with open_writer(tmp_path / name, ["id", "p"]):
        pass
    assert read_back(tmp_path / name) == []
    if name.endswith("parquet"):
        assert pq.read_schema(tmp_path / name).names == ["id", "p"]
    elif name != "p.csv.gz":
        assert (tmp_path / name).read_text() == '"id","p"\n'


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_give_equal_bytes(tmp_path, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, ROWS)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "-inf"]
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_formulas_are_guarded_in_csv_and_only_there(tmp_path, text, kind):
    rows = {text: pa.array([text, "plain", None], kind)}
    write(tmp_path / "p.csv", rows)
    write(tmp_path / "p.parquet", rows)
    assert [*read_back(tmp_path / "p.csv")[0]] == ["'" + text]
    assert [row["'" + text] for row in read_back(tmp_path / "p.csv")] == ["'" + text, "plain", ""]
    assert [row[text] for row in read_back(tmp_path / "p.parquet")] == [text, "plain", None]


@pytest.mark.parametrize("text", ["-5", "+5.25", "-.5e-3", "1=1", " =1", "a@b.c", "", "'", "007"])
def test_plain_numbers_and_other_text_stay(tmp_path, text):
    write(tmp_path / "p.csv", {"t": [text], "u": ["x"]})
    assert read_back(tmp_path / "p.csv")[0]["t"] == text


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_are_read_back_as_they_were(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("floats") / "p.csv"
    write(path, {"p": np.array(values), "q": ["x"] * len(values)})
    assert [float(row["p"]) for row in read_back(path)] == values


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_text_is_read_back_as_it_was(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("text") / "p.csv"
    safe = [f"x{text}" for text in texts]
    write(path, {"t": pa.array(safe, pa.string())})
    assert [row["t"] for row in read_back(path)] == safe


def test_one_column_of_nulls_is_not_made_of_blank_lines(tmp_path):
    write(tmp_path / "p.csv", {"a": [None, 1]})
    assert (tmp_path / "p.csv").read_text() == '"a"\n""\n"1"\n'


def test_types_that_csv_has_no_form_for_are_text(tmp_path):
    rows = {
        "half": np.float16([0.5]),
        "span": pa.array([1], pa.duration("s")),
        "job": pa.array(["clerk"]).dictionary_encode(),
        "list": pa.array([[1, 2]]),
        "bytes": pa.array([b"\xff\x01"]),
        "none": pa.array([None], pa.binary()),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))),
    }
    write(tmp_path / "p.csv", rows)
    assert read_back(tmp_path / "p.csv") == [
        {
            "half": "0.5",
            "span": "1",
            "job": "clerk",
            "list": "[1, 2]",
            "bytes": "ff01",
            "none": "",
            "uuid": "0" * 32,
        }
    ]


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e300, min_value=-1e300))
def test_nine_digits_are_those_of_a_format(x):
    assert float(nine_digits(x)) == pytest.approx(float(f"{x:.9g}"), rel=2e-16, abs=0)


def test_nine_digits_of_probabilities():
    p = np.random.default_rng(0).random(2_000) ** 4
    assert [repr(v) for v in nine_digits(p).tolist()] == [repr(float(f"{v:.9g}")) for v in p]
    small = p.astype(np.float32)
    np.testing.assert_array_equal(nine_digits(small).astype(np.float32), small)
    assert nine_digits([[0.0, math.inf], [-math.inf, 5e-324]]).tolist() == [
        [0.0, math.inf],
        [-math.inf, 5e-324],
    ]
    assert math.isnan(nine_digits(math.nan))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError])
def test_what_fails_leaves_nothing_and_touches_nothing(tmp_path, name, error):
    def fail():
        raise error

    (tmp_path / name).write_text("old")
    with pytest.raises(error):
        write(tmp_path / name, ROWS, then=fail, overwrite=True)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize("name", NAMES)
def test_an_existing_file_is_replaced_only_when_told(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(UserError, match=f"{name}: exists already and is left as it is"):
        write(path, ROWS)
    assert path.read_text() == "old"
    write(path, ROWS, overwrite=True)
    assert len(read_back(path)) == 3
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_left_alone(tmp_path, monkeypatch, links):
    path = tmp_path / "p.csv"
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    with pytest.raises(UserError, match="exists already"):
        write(path, ROWS, then=lambda: path.write_text("of another"))
    assert os.listdir(tmp_path) == ["p.csv"]
    assert path.read_text() == "of another"


def test_a_file_system_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", _no_links)
    write(tmp_path / "p.csv", ROWS)
    assert len(read_back(tmp_path / "p.csv")) == 3
    assert os.listdir(tmp_path) == ["p.csv"]


def _no_links(*_):
    raise PermissionError(errno.EPERM, "Operation not permitted")


class Full(io.BytesIO):
    """A disk with room for forty bytes."""

    def write(self, data):
        if self.tell() + len(data) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk(tmp_path, monkeypatch, name):
    def full(descriptor, mode):
        os.close(descriptor)
        return Full()

    monkeypatch.setattr(predictions.os, "fdopen", full)
    rows = {"t": [f"{i * i} {i}" for i in range(99)]}
    with pytest.raises(RunFailed, match=f"{name}: the disk is full; free some space"):
        write(tmp_path / name, rows)
    assert os.listdir(tmp_path) == []


def test_names_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, complaint in {
        "p.xlsx": "predictions are written to .csv, .csv.gz, .parquet",
        "none/p.csv": "does not exist; make it",
        "folder.csv": "a folder; name a file",
    }.items():
        with pytest.raises(UserError, match=complaint):
            write(tmp_path / name, ROWS)


def test_rows_must_fit_the_first_ones(tmp_path):
    path = tmp_path / "p.parquet"
    for rows, complaint in [
        ({"id": ["x"]}, "columns .* were given"),
        ({**ROWS, "n": ["x", "y", "z"]}, "rows of other types"),
        ({**ROWS, "n": [1]}, "length"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            write(path, ROWS, rows)
        assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="named twice"), open_writer(path, ["a", "a"]):
        pass


def test_a_column_without_values_at_first_becomes_text(tmp_path):
    write(tmp_path / "p.parquet", {"note": [None]}, {"note": ["late"]})
    assert read_back(tmp_path / "p.parquet") == [{"note": None}, {"note": "late"}]


@pytest.mark.parametrize("path", [None, "-"])
def test_rows_to_a_stream(path):
    stream = io.StringIO()
    with open_writer(path, ["id", "p"], stream=stream) as writer:
        writer.write({"id": ["é"], "p": [0.5]})
        assert stream.getvalue() == '"id","p"\n"é",0.5\n'
        writer.write({"id": ["=1"], "p": [1]})
    assert stream.getvalue() == '"id","p"\n"é",0.5\n"\'=1",1\n'


def test_standard_output_is_utf8_whatever_the_terminal_says():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=False)
    stream.write("before\n")
    with open_writer("-", ["t"], stream=stream) as writer:
        writer.write({"t": ["é"]})
    assert stream.buffer.getvalue().decode() == 'before\n"t"\n"é"\n'


def test_a_reader_that_has_left_and_a_full_standard_output(monkeypatch):
    class Broken(io.StringIO):
        problem = BrokenPipeError(errno.EPIPE, "Broken pipe")

        def write(self, text):
            raise self.problem

    with pytest.raises(BrokenPipeError), open_writer("-", ["t"], stream=Broken()) as writer:
        writer.write({"t": ["x"]})
    Broken.problem = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(RunFailed, match="standard output: the disk is full"),
        open_writer("-", ["t"], stream=Broken()) as writer,
    ):
        writer.write({"t": ["x"]})


def test_parquet_pages_carry_checksums(tmp_path):
    path = tmp_path / "p.parquet"
    write(path, {"p": np.random.default_rng(0).normal(size=1_000)})
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 1
    path.write_bytes(broken)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_a_sink_that_never_opened_is_let_go():
    table_formats.parquet(io.BytesIO()).abandon()
