"""Reading XC text: the layouts it takes, pieces, and the text of every refusal."""

import gzip

import numpy as np
import pytest

from jaxnet.data import sparse, xc_line, xc_parse, xc_reader
from jaxnet.errors import DataError

TEXT = "4 10 6\n3,1 2:0.5 7:1\n 0:2\n5\n \n"


@pytest.fixture
def save(tmp_path):
    """save(content, name) -> the path of a file."""

    def _save(content, name="rows.txt"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return _save


def rows_of(table):
    """Each row as its labels and its features."""
    x, y = table.x, table.labels
    return [
        (
            y.indices[y.indptr[i] : y.indptr[i + 1]].tolist(),
            x.indices[x.indptr[i] : x.indptr[i + 1]].tolist(),
            x.values[x.indptr[i] : x.indptr[i + 1]].tolist(),
        )
        for i in range(len(x))
    ]


PLAIN = [([1, 3], [2, 7], [0.5, 1]), ([], [0], [2]), ([5], [], []), ([], [], [])]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("\n"),
        TEXT + "\n\r\n\n",
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.replace("2:0.5 7:1", "7:+1  2:5e-1  "),
        TEXT.replace("4 10 6", " 4  10 6 "),
        TEXT.replace("3,1", "0000000000003,1"),
    ],
)
def test_the_same_rows_in_other_layouts(text, save):
    found = xc_reader.read(save(text))
    assert rows_of(found) == PLAIN
    assert (found.x.columns, found.labels.labels, found.notes) == (10, 6, ())
    assert found.x.indptr.dtype == found.labels.indptr.dtype == np.int64
    assert found.x.indices.dtype == found.labels.indices.dtype == np.int32
    assert found.x.values.dtype == np.float32


def test_packed_and_told_how_far(save):
    path = save(gzip.compress(TEXT.encode()), "ROWS.TXT.GZ")
    told = []
    assert rows_of(xc_reader.read(path, progress=told.append)) == PLAIN
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size
    assert xc_reader.is_xc(path)
    assert not xc_reader.is_xc("rows.csv")


def test_two_numbers_begin_a_file_without_labels(save):
    found = xc_reader.read(save("3 10\n2:0.5 7:1\n 0:2\n \n"))
    assert found.labels is None
    assert found.x.indices.tolist() == [2, 7, 0]
    assert found.x.indptr.tolist() == [0, 2, 3, 3]
    assert xc_reader.header(save("3 10\n")) == (3, 10, None)


def test_rows_to_predict_may_say_that_there_are_labels_and_have_none(save):
    found = xc_reader.read(save("2 10 6\n 2:0.5\n 7:1\n"))
    assert sparse.counts(found.labels).tolist() == [0, 0]
    assert xc_reader.read(save("1 10 0\n 2:0.5\n")).labels.labels == 0


def test_a_label_twice_counts_once_and_is_noted(save):
    path = save("3 9 6\n1 2:1\n3,1,3\n4,4,4 1:1\n")
    found = xc_reader.read(path)
    assert [labels for labels, _, _ in rows_of(found)] == [[1], [1, 3], [4]]
    assert found.notes == (
        f"{path}: line 3: a label stands twice in the row, and 2 more such labels: kept once",
    )
    notes = [piece.notes for piece in xc_reader.stream(path, 1)]
    assert [len(note) for note in notes] == [0, 1, 1]
    assert notes[2][0].startswith(f"{path}: line 4: a label stands twice in the row, and 1 more")


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 17, 1 << 22])
def test_pieces_are_the_whole(rows, size, save):
    path = save(TEXT)
    pieces = list(xc_reader.stream(path, rows, size=size))
    assert [len(piece.x) for piece in pieces] == [rows] * (4 // rows) + [4 % rows] * (4 % rows > 0)
    whole = xc_reader.read(path)
    assert sparse.equal(sparse.concatenate([piece.x for piece in pieces]), whole.x)
    assert sparse.equal(sparse.concatenate([piece.labels for piece in pieces]), whole.labels)
    assert pieces[-1].where(0) == f"{path}: line {(4 - 1) // rows * rows + 2}"


def test_pieces_come_before_the_rest_is_read(save):
    pieces = xc_reader.stream(save("3 9 6\n1 2:1\n2 3:1\n3 4:x\n"), 1, size=16)
    assert next(pieces).labels.indices.tolist() == [1]
    with pytest.raises(DataError, match="line 4: '4:x': 'x' is no number"):
        list(pieces)
    with pytest.raises(ValueError, match="rows is 0"):
        xc_reader.stream("rows.txt", 0)
    with pytest.raises(DataError, match="no such file"):
        xc_reader.stream("rows.txt")


def test_a_plain_file_is_not_read_line_by_line(save, monkeypatch):
    def unexpected(*args):
        raise AssertionError("the slow way")

    monkeypatch.setattr(xc_line, "parse", unexpected)
    text = "3 99 6\n3,1 7:0.5 2:-1e-3 \n  98:2.\n1,1,0\n"
    assert len(xc_reader.read(save(text)).x) == 3
    assert xc_reader.read(save("2 99\n7:0.5 9:1\n 3:4\n")).x.indices.tolist() == [7, 9, 3]


def test_both_ways_round_alike(save, monkeypatch):
    draw = np.random.default_rng(0)
    numbers = draw.standard_normal(3000) * 10.0 ** draw.integers(-45, 38, 3000)
    words = [repr(float(v)) for v in numbers] + [f"{v:.7g}" for v in numbers]
    text = f"1 {len(words)} 1\n" + "".join(f" {i}:{word}" for i, word in enumerate(words)) + "\n"
    quick = xc_reader.read(save(text))
    assert quick.x.values.tolist() == [float(np.float32(float(word))) for word in words]

    def refused(*args):
        raise xc_parse._Unusual

    monkeypatch.setattr(xc_parse, "_quickly", refused)
    assert sparse.equal(xc_reader.read(save(text)).x, quick.x)


H = "2 9 6\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty; the first line must give three numbers: rows features labels"),
        ("\n\n", "the file is empty; the first line must give three numbers: rows features labels"),
        ("2 nine 6\n", "line 1: the first line must give three numbers: rows features labels; "
         "found '2 nine 6'"),
        ("1,2 3:4\n 1:1\n", "line 1: the first line must give three numbers: rows features labels; "
         "found '1,2 3:4'. To put them in: sed '1i ROWS FEATURES LABELS' < rows.txt > new.txt"),
        ("2 9 6 1\n", "line 1: the first line must give three numbers: rows features labels; "
         "found '2 9 6 1'"),
        ("0 9 6\n", "line 1: '0 9 6': no rows"),
        ("2 0 6\n", "line 1: '2 0 6': no features"),
        ("2 9999999999 6\n", "line 1: '2 9999999999 6': at most 2147483647 features can be used"),
        ("1 9 6\r 1:1\r", "line 1: a carriage return without a line feed after it; mend it: "
         r"tr '\r' '\n' < rows.txt > new.txt"),
        (TEXT.encode("utf-16"), "line 1: no UTF-8 text. If it is UTF-16: "
         "iconv -f utf-16 -t utf-8 < rows.txt > new.txt"),
        (gzip.compress(b"1 9 6\n", mtime=0), "line 1: compressed with gzip; name it .txt.gz"),
        (H + "1 2:1\n", "line 2: the file ends after 1 row, and the first line says 2 rows; is it "
         "cut short? If not: sed '1s/2/1/' < rows.txt > new.txt"),
        (H + "1\n2\n3\n", "line 4: row 3, and the first line says 2 rows; mend one of the two"),
        (H + "1\n2\n3 x\n", "line 4: row 3, and the first line says 2 rows; mend one of the two"),
        (H + "1\n\n2\n", "line 3: an empty line; a row without labels and features is one space"),
        (H + "1 9:1\n2\n", "line 2: feature 9 is out of range: the first line says 9 features, "
         "0 to 8; do they count from 1? take 1 from each"),
        (H + f"1 {2**64 + 1}:1\n2\n", "line 2: feature 18446744073709551617 is out of range: the "
         "first line says 9 features, 0 to 8"),
        (H + "1\n7\n", "line 3: label 7 is out of range: the first line says 6 labels, 0 to 5"),
        ("1 9 0\n7\n", "line 2: label 7 is out of range: the first line says 0 labels, so none"),
        (H + "1 -2:1\n", "line 2: feature '-2' is negative; they count from 0"),
        (H + "-1 2:1\n", "line 2: label '-1' is negative; they count from 0"),
        (H + "1.0 2:1\n", "line 2: label '1.0' is no whole number"),
        (H + "1 2.5:1\n", "line 2: feature '2.5' is no whole number"),
        (H + "1,,2 2:1\n", "line 2: no label beside a comma; write its number there or take the "
         "sign out"),
        (H + "1, 2:1\n", "line 2: no label beside a comma; write its number there or take the "
         "sign out"),
        (H + "1 :1\n", "line 2: no feature before a colon; write its number there or take the "
         "sign out"),
        (H + "1 2\n", "line 2: '2' has no colon; a feature is index:value, as 7:0.5"),
        (H + "2:1 3:1\n", "line 2: begins with the feature '2:1'; a row without labels begins with "
         r"a space: sed -E 's/^([0-9]+:)/ \1/'"),
        ("1 9\n1,2 3:1\n", "line 2: '1,2' has no colon; a feature is index:value, as 7:0.5"),
        (H + "1 2:\n", "line 2: '2:': '' is no number"),
        (H + "1 2:abc\n", "line 2: '2:abc': 'abc' is no number"),
        (H + "1 2:nan\n", "line 2: '2:nan': the value is not finite; write a number or leave it "
         "out"),
        (H + "1 2:-inf\n", "line 2: '2:-inf': the value is not finite; write a number or leave it "
         "out"),
        (H + "1 2:1e39\n", "line 2: '2:1e39': too large for float32; scale the features down"),
        (H + "1 4:1 2:1 4:1\n", "line 2: feature 4 stands twice in the row; keep one, or write "
         "their sum"),
        (H + "1\t2:1\n", r"line 2: a tab; spaces separate the features: tr '\t' ' '"),
        (H + "1 2:1\r 3:1\n", "line 2: a carriage return without a line feed after it; mend it: "
         r"tr -d '\r'"),
        (H + "1 2:1\0\n", "line 2: a NUL byte: the file is damaged or no text"),
        (H.encode() + b"1 2:1\n1 3:\xff\n", "line 3: not UTF-8 (byte 0xff): the file is damaged"),
        (H + "1 2:١\n", "line 2: '2:١': '١' is no number"),
        (H + "1 2:" + "x" * 99 + "\n", "line 2: '2:" + "x" * 38 + "…': '" + "x" * 40 + "…' is no "
         "number"),
    ],
)  # fmt: skip
def test_what_is_refused(text, said, save):
    path = save(text)
    with pytest.raises(DataError) as caught:
        xc_reader.read(path)
    assert str(caught.value) == f"{path}: {said}"


def test_packed_files_that_are_not(save):
    packed = gzip.compress((H + "1 2:1\n" * 2).encode())
    damaged = "the gzip data is damaged or cut short; copy or compress it again"
    for content, said in ((packed[:-9], damaged), (packed[:-5] + b"xxxxx", damaged)):
        path = save(content, "rows.txt.gz")
        with pytest.raises(DataError) as caught:
            xc_reader.read(path)
        assert str(caught.value) == f"{path}: {said}"
    with pytest.raises(DataError, match=r"not compressed with gzip; name it \.txt if it is plain"):
        xc_reader.read(save(TEXT, "rows.txt.gz"))
    with pytest.raises(DataError, match=r"gzip -dc rows.txt.gz \| sed '1s/3/1/' \| gzip > new.txt"):
        xc_reader.read(save(gzip.compress(b"3 9 6\n1\n"), "rows.txt.gz"))


def test_files_that_are_not_there(tmp_path, save):
    save(TEXT, "train.txt")
    for name, said in (
        ("trian.txt", "no such file; did you mean 'train.txt'?"),
        ("none/train.txt", f"no such file: the folder '{tmp_path / 'none'}' does not exist"),
        ("train.dat", "unknown kind of file; XC text is .txt or .txt.gz"),
    ):
        with pytest.raises(DataError) as caught:
            xc_reader.header(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {said}"
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(DataError, match="a folder, not a file"):
        xc_reader.read(tmp_path / "folder.txt")


WITHOUT = xc_reader.assumed(10, 6)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_file_that_begins_with_its_first_row(size, save):
    path = save(TEXT.partition("\n")[2])
    assert rows_of(xc_reader.read(path, without=WITHOUT, size=size)) == PLAIN
    parts = list(xc_reader.stream(path, 3, without=WITHOUT, size=size))
    assert [len(part.x) for part in parts] == [3, 1]
    assert [parts[0].where(2), parts[1].where(0)] == [f"{path}: line 3", f"{path}: line 4"]
    bare = xc_reader.read(save("2:0.5 7:1\n0:2\n"), without=WITHOUT, size=size)
    assert (bare.labels, bare.x.indices.tolist()) == (None, [2, 7, 0])
    with pytest.raises(DataError, match="line 1: the first line must give three numbers"):
        xc_reader.read(path)


def test_a_first_line_counts_where_one_is_not_needed(save):
    found = xc_reader.read(save(TEXT), without=xc_reader.assumed(20, 30))
    assert (rows_of(found), found.x.columns, found.labels.labels) == (PLAIN, 10, 6)
    with pytest.raises(DataError, match="the file ends after 4 rows"):
        xc_reader.read(save(TEXT.replace("4 10", "5 10")), without=WITHOUT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "1 2:1\n1 10:1\n",
            "line 2: feature 10 is out of range: there are 10 features, 0 to 9; do",
        ),
        ("1,6 2:1\n", "line 1: label 6 is out of range: there are 6 labels, 0 to 5; do they count"),
        ("2:1\n1 2:1\n", "line 2: '1' has no colon"),
        (" 2:1\n2:1\n", "line 2: begins with the feature '2:1'"),
    ],
)
def test_what_a_file_without_a_first_line_may_not_hold(text, expected, save):
    with pytest.raises(DataError, match=expected):
        xc_reader.read(save(text), without=WITHOUT)


def test_a_label_that_stands_twice_is_noted_with_its_line(save):
    found = xc_reader.read(save("1 2:1\n3,3 2:1\n"), without=WITHOUT)
    assert found.notes[0].endswith("line 2: a label stands twice in the row: kept once")
