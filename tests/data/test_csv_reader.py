"""CSV as it is written and as it is broken: every cell exact, every refusal with its line."""

import csv
import errno
import gzip
import io
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data import csv_blocks, csv_reader
from jaxnet.errors import DataError

SIZES = (1, 2, 3, 5, 64, 1 << 20)


@pytest.fixture
def save(tmp_path):
    """save(content, name) -> the path of a file with these bytes or this text."""

    def _save(content, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _save


def cells(path, size=1 << 20):
    """Header and rows, read with blocks of this size."""
    tables, _ = csv_reader.tables(path, size=size)
    table = pa.concat_tables(tables)
    assert set(table.schema.types) == {pa.string()}
    assert sum(column.null_count for column in table.columns) == 0
    return [table.column_names, *map(list, zip(*table.to_pydict().values(), strict=True))]


def refusal(path):
    """The text of the error without the folder of the test; the same for blocks of any size."""
    texts = set()
    for size in SIZES:
        with pytest.raises(DataError) as caught:
            cells(path, size)
        texts.add(str(caught.value).removeprefix(f"{path.parent}/"))
    assert len(texts) == 1
    return texts.pop()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [["1", "2"]]),
        ("a,b\n1,2", [["1", "2"]]),
        ("\ufeffa,b\r\n1,2\r\n", [["1", "2"]]),
        ("\n\r\na,b\n\n1,2\n\r\n\n", [["1", "2"]]),
        ('a,b\n"x, y","say ""hi"""\n', [["x, y", 'say "hi"']]),
        ('a,b\r\n"two\r\nlines","three\n\nlines"\r\n', [["two\r\nlines", "three\n\nlines"]]),
        ('a,b\n"",""""\n,\n', [["", '"'], ["", ""]]),
        ('a,b\n6" nail, "x"\n', [['6" nail', ' "x"']]),
        ("a,b\nNA,null\n007,1e400\n", [["NA", "null"], ["007", "1e400"]]),
        ("a,b\n \u2028,\x0b\x0c\x85\n", [[" \u2028", "\x0b\x0c\x85"]]),
        ("a,b\n1,2\n\ufeff3,4\n", [["1", "2"], ["\ufeff3", "4"]]),
        ('a,b\n"lone\rreturn",1\r', [["lone\rreturn", "1"]]),
        ("a,b\n#1,'2'\n", [["#1", "'2'"]]),
    ],
)
def test_cells_are_the_text_that_was_written(save, text, rows, size):
    assert cells(save(text), size) == [["a", "b"], *rows]


@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
    ),
    size=st.sampled_from(SIZES),
    packed=st.booleans(),
)
def test_what_pythons_csv_module_writes_is_read_back(tmp_path_factory, rows, size, packed):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["a", "b", "c"], *rows])
    path = tmp_path_factory.mktemp("csv") / ("rows.csv.gz" if packed else "rows.csv")
    content = out.getvalue().encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert cells(path, size) == [["a", "b", "c"], *rows]


def test_a_wide_file_and_a_long_field(save):
    names = [f"x{i}" for i in range(10_000)]
    long = "0123456789" * 500_000
    assert cells(save(",".join(names) + "\n" + ",".join("7" * 10_000) + "\n"))[1] == ["7"] * 10_000
    assert cells(save(f'a,b\n1,"{long}"\n2,{long}\n'), 1 << 16) == [
        ["a", "b"],
        ["1", long],
        ["2", long],
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "a,b\n1,2\n1,2,3\n",
            "line 3: 3 fields, and the header names 2 columns; a text that holds a comma is "
            'quoted: "a, b"',
        ),
        (
            'a,b\n"x\ny",2\n\n1\n',
            "line 5: 1 field, and the header names 2 columns; an empty cell still has its comma",
        ),
        (
            "a,b\n \n",
            "line 2: 1 field, and the header names 2 columns; the line holds nothing but blanks: "
            "delete it",
        ),
        (
            "a,b,a\n1,2,3\n",
            "line 1: two columns or more are named 'a'; give each a name of its own",
        ),
        (
            "1,1\n2,3\n",
            "line 1: two columns or more are named '1'; is the line with the names of the columns "
            "missing?",
        ),
        (
            "\n,b\n1,2\n",
            "line 2: column 1 of 2 has no name; pandas writes such a column for its index: "
            "df.to_csv(path, index=False)",
        ),
        ("a, \n1,2\n", "line 1: column 2 of 2 has no name"),
        (
            "a;b\n1,5;2\n",
            "line 1: the columns seem to be separated by ';', and ',' is needed: "
            "pandas.read_csv('rows.csv', sep=';').to_csv('new.csv', index=False), with "
            "decimal=',' where numbers are written 3,14",
        ),
        (
            '"a";"b"\n1,5;2\n',
            "line 1: the columns seem to be separated by ';', and ',' is needed: "
            "pandas.read_csv('rows.csv', sep=';').to_csv('new.csv', index=False), with "
            "decimal=',' where numbers are written 3,14",
        ),
        (
            '"a","b";"c"\n1,2\n',
            "line 1: text after the closing quote of a field; a quote within a quoted field is "
            'doubled: "a 6"" nail"',
        ),
        (
            "a\tb\n1\t2\n",
            "line 1: the columns seem to be separated by tabs, and ',' is needed: "
            r"pandas.read_csv('rows.csv', sep='\t').to_csv('new.csv', index=False), with "
            "decimal=',' where numbers are written 3,14",
        ),
        (
            'a,b\n1,2\n1,"x"y\n',
            "line 3: text after the closing quote of a field; a quote within a quoted field is "
            'doubled: "a 6"" nail"',
        ),
        (
            'a,b\n"one\ntwo","x\ny\n',
            "line 3: a quote opens a field here and is never closed; close it, or write a quote "
            'that is text as """"',
        ),
        (
            "a,b\n1,2\n3\0,4\n",
            "line 3: a NUL byte: the file is damaged or no text. To take them out: "
            r"tr -d '\000' < rows.csv > new.csv",
        ),
        (
            "a,b\n1,é\n".encode("latin-1"),
            "line 2: not UTF-8 (byte 0xe9). If the text is latin-1: "
            "iconv -f latin1 -t utf-8 < rows.csv > new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "line 1: the text is UTF-16, and UTF-8 is needed: "
            "iconv -f utf-16 -t utf-8 < rows.csv > new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-be"),
            "line 1: the text is UTF-16BE, and UTF-8 is needed: "
            "iconv -f utf-16be -t utf-8 < rows.csv > new.csv",
        ),
        (
            "a,b\r1,2\r",
            "line 1: a carriage return without a line feed after it; mend it: "
            r"tr '\r' '\n' < rows.csv > new.csv",
        ),
        (
            "a,b\r\r\n1,2\r\r\n",
            "line 1: a carriage return without a line feed after it; mend it: "
            r"tr -d '\r' < rows.csv > new.csv",
        ),
        (
            'a,b\n1,"2"\r3\n',
            "line 2: a carriage return without a line feed after it; mend it: "
            r"tr -d '\r' < rows.csv > new.csv",
        ),
        (
            "a\n1\n\n2\n",
            "line 3: a blank line in a file of one column: delete it, or write \"\" for an empty "
            "cell",
        ),
        ("a,b\n", "line 2: no rows below the header"),
        ("\n\n", "line 1: only blank lines; the first line must name the columns"),
        ("", "the file is empty; its first line must name the columns"),
        (
            b"PK\x03\x04 xl/workbook",
            "not a CSV file but a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
        ),
        (b"PAR1\x15\x04", "not a CSV file but a Parquet file; name it .parquet"),
        (
            b"\x93NUMPY\x01",
            "not a CSV file but a NumPy array; save it with np.savez('data.npz', X=X, y=y)",
        ),
        (
            gzip.compress(b"a\n1\n", mtime=0),
            "not a CSV file but compressed with gzip; name it .csv.gz",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_line_and_what_to_do(save, text, complaint):
    assert refusal(save(text)) == f"rows.csv: {complaint}"


def test_a_header_may_quote_another_separator(save):
    assert cells(save('"a;b"\n1\n')) == [["a;b"], ["1"]]


def test_one_column_tells_an_empty_cell_from_a_blank_line(save):
    assert cells(save('a\n""\n1\n')) == [["a"], [""], ["1"]]


@pytest.mark.parametrize("keep", [3, 12, 40, -1, -9])
def test_gzip_that_is_cut_short(save, keep):
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(99)))
    path = save(packed[:keep], "rows.csv.gz")
    assert refusal(path) == (
        "rows.csv.gz: the gzip data is damaged or cut short; copy or compress it again"
    )


def test_gzip_that_is_damaged_or_none(save):
    packed = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 99))
    packed[-6] ^= 1  # in the checksum
    assert "the gzip data is damaged" in refusal(save(bytes(packed), "rows.csv.gz"))
    assert refusal(save("a,b\n1,2\n", "rows.csv.gz")) == (
        "rows.csv.gz: not compressed with gzip; name it .csv if it is plain text"
    )
    assert "is empty" in refusal(save("", "rows.csv.gz"))


def test_hints_for_packed_files_can_be_typed(save):
    path = save(gzip.compress("a,b\n1,é\n".encode("latin-1")), "my rows.csv.gz")
    assert refusal(path).endswith(
        "gzip -dc 'my rows.csv.gz' | iconv -f latin1 -t utf-8 | gzip > new.csv.gz"
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_the_line_of_a_row(save, name, size):
    text = '\ufeff\n"a\nb",c\n1,2\n\r\n"x\n\ny",3\n\n4,é\r\n5,6'
    path = save(gzip.compress(text.encode()) if name.endswith("gz") else text, name)
    tables, place = csv_reader.tables(path, size=size)
    assert sum(table.num_rows for table in tables) == 4
    assert [place(row) for row in range(4)] == [f"{path}: line {n}" for n in (4, 6, 10, 11)]


def test_the_line_of_a_row_when_the_file_is_gone(save):
    path = save("a,b\n1,2\n3,4\n")
    tables, place = csv_reader.tables(path)
    list(tables)
    path.unlink()
    assert place(1) == f"{path}: row 1 (counted from 0)"


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(save, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_LONGEST", 10_000)
    path = save('a,b\n1,"2\n' + "3,4\n" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(DataError, match="line 2: a quote opens a field here and is not closed"):
        list(csv_reader.tables(path, size=1_000)[0])
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_disk_that_fails(save, monkeypatch, name):
    class Failing(io.BytesIO):
        def peek(self, size):
            raise OSError(errno.EIO, "Input/output error")

    path = save("a,b\n1,2\n", name)
    monkeypatch.setattr(csv_blocks, "open_file", lambda _: Failing())
    assert refusal(path) == f"{name}: cannot be read: Input/output error"


def test_names_alone(save):
    assert csv_reader.names(save('\ufeffa,"b\nc"\n')) == ("a", "b\nc")
    with pytest.raises(DataError, match="line 1: two columns or more are named 'a'"):
        csv_reader.names(save("a,a\n"))


def test_a_row_without_an_end_is_not_called_an_open_quote(save, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_LONGEST", 10_000)
    path = save("a,b\n1," + "x" * 30_000_000)
    with pytest.raises(DataError, match="line 2: a row of more than 0 MiB: this is no table of"):
        list(csv_reader.tables(path)[0])
