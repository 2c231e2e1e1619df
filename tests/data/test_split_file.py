"""Splits row by row, to a file and back."""

import numpy as np
import pytest

from jaxnet.data import split_file
from jaxnet.data.splits import Split, split
from jaxnet.errors import DataError
from jaxnet.files import MOST_TEXT


def test_to_a_file_and_back(tmp_path):
    parts = split(np.tile([0, 1, 2], 40), "multiclass", 0.1, 0.2)
    path = tmp_path / "split.csv"
    path.write_text(split_file.as_csv(parts, 120))
    for one, other in zip(split_file.read(path, 120), parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_ways_to_write_it(tmp_path):
    path = tmp_path / "split.csv"
    path.write_bytes(b'\xef\xbb\xbf"part","row"\r\n"test",1\r\n\r\n train , 0\r\nvalidation,2\r\n')
    found = split_file.read(path, 3)
    assert [part.tolist() for part in found] == [[0], [2], [1]]
    assert isinstance(found, Split)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: expected the header row,part, found 'nothing'"),
        ("a,b\n", "line 1: expected the header row,part, found 'a,b'"),
        ("row,part\n0,trian\n", "line 2: no part 'trian'; did you mean 'train'?"),
        ("row,part\n0,x\n", "line 2: no part 'x'; parts are 'train', 'validation', 'test'"),
        ("row,part\n-1,train\n", "line 2: '-1' is no row number (from 0)"),
        ("row,part\n0,train\n3,test\n", "line 3: row 3: the training file has 3 rows, 0 to 2"),
        ("row,part\n0,train\n\n0,test\n", "line 4: row 0 stands in the file twice"),
        ("row,part\n0,train,1\n", "line 2: expected two cells, row,part: '0,train,1'"),
        (
            "row,part\n2,train\n",
            "2 of 3 rows have no part, the first is row 0 (counted from 0); every row of the "
            "training file must be named once",
        ),
        ("row,part\n0,test\n1,test\n2,test\n", "no row has the part 'train'"),
    ],
)
def test_files_that_do_not_fit(content, said, tmp_path):
    path = tmp_path / "split.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        split_file.read(path, 3)
    assert str(caught.value) == f"{path}: {said}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"^data\.split\.file: .*none\.csv: No such file"):
        split_file.read(tmp_path / "none.csv", 3)
    (tmp_path / "a.csv").write_bytes(b"row,part\n\xff\n")
    with pytest.raises(DataError, match="not UTF-8 text; expected a CSV file with 'row,part'"):
        split_file.read(tmp_path / "a.csv", 3)


def test_a_file_of_far_more_than_the_rows_take_is_refused(tmp_path):
    path = tmp_path / "split.csv"
    path.write_bytes(b"row,part\n0,train\n" + bytes(MOST_TEXT + 64))
    with pytest.raises(DataError, match=r"data\.split\.file: .*larger than 16 MiB"):
        split_file.read(path, 1)
