"""Reading .npz files: what is accepted, and the text of every refusal."""

import re
import zipfile

import numpy as np
import pytest

from jaxnet.data import arrays
from jaxnet.errors import DataError

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


@pytest.fixture
def save(tmp_path):
    """save(**arrays) -> the path of an .npz file."""

    def _save(**content):
        np.savez(tmp_path / "data.npz", **content)
        return tmp_path / "data.npz"

    return _save


def refusal(path, *args):
    """The text of the error, without the folder of the test."""
    with pytest.raises(DataError) as caught:
        arrays.read_npz(path, *args)
    return str(caught.value).replace(str(path), "data.npz").replace(str(path.parent), "FOLDER")


def test_x_and_y(save):
    table, test = arrays.read_npz(save(X=X, y=Y))
    np.testing.assert_array_equal(table.x, X)
    np.testing.assert_array_equal(table.y, Y)
    assert (table.feature_names, table.names, table.notes, test) == (
        ("x0", "x1", "x2"),
        None,
        (),
        None,
    )


@pytest.mark.parametrize("suffix", ["", "_train"])
def test_a_test_table_beside(save, suffix):
    path = save(**{f"X{suffix}": X, f"y{suffix}": Y, "X_test": X[:2] + 1, "y_test": Y[:2]})
    table, test = arrays.read_npz(path)
    assert table.x.shape == (4, 3)
    np.testing.assert_array_equal(test.x, X[:2] + 1)


def test_own_keys_and_names(save):
    path = save(
        pixels=X, digit=Y, class_names=np.array(["no", "yes"]), feature_names=np.array([*"abc"])
    )
    table, _ = arrays.read_npz(path, "pixels", "digit")
    assert table.feature_names == ("a", "b", "c")
    assert table.names == ("no", "yes")


def test_names_of_labels_may_be_bytes(save):
    table, _ = arrays.read_npz(save(X=X, y=np.eye(4)[:, :2], label_names=np.array([b"a", b"b"])))
    assert table.names == ("a", "b")


def test_images_are_flattened_and_said(save):
    images = np.arange(48, dtype=np.uint8).reshape(4, 2, 6)
    table, _ = arrays.read_npz(save(X=images, y=Y))
    np.testing.assert_array_equal(table.x, images.reshape(4, 12))
    assert table.x.dtype == np.uint8
    assert table.feature_names[:7] == tuple(
        f"pixel_{row}_{column}" for row, column in [(0, i) for i in range(6)] + [(1, 0)]
    )
    assert len(table.notes) == 1
    assert table.notes[0].endswith("'X': images of shape (4, 2, 6) are flattened to (4, 12)")


def test_byte_order_of_another_machine_is_turned(save):
    table, _ = arrays.read_npz(save(X=X.astype(">f8"), y=Y))
    assert table.x.dtype.isnative
    np.testing.assert_array_equal(table.x, X)


def test_large_integers_are_noted_once(save):
    x = np.array([[1, 2**24, 5], [2, 2**24 + 1, -(2**40)], [3, 0, 0], [4, 0, 0]])
    (note,) = arrays.read_npz(save(X=x, y=Y))[0].notes
    assert "'X': integers over 2^24 in 'x1', 'x2'" in note
    assert arrays.read_npz(save(X=x[:, :1], y=Y))[0].notes == ()


def test_missing_file(tmp_path):
    (tmp_path / "digits.npz").touch()
    with pytest.raises(DataError, match=r"digit\.npz: no such file; did you mean 'digits\.npz'\?$"):
        arrays.read_npz(tmp_path / "digit.npz")
    with pytest.raises(DataError, match=r"a\.npz: no such file: the folder '.*gone' does not ex"):
        arrays.read_npz(tmp_path / "gone" / "a.npz")
    with pytest.raises(DataError, match=r"a folder, not a file$"):
        arrays.read_npz(tmp_path)


def test_not_an_npz_file(tmp_path):
    path = tmp_path / "data.npz"
    for content in (b"", b"a,b\n1,2\n", b"\x80\x04\x95 pickle"):
        path.write_bytes(content)
        assert refusal(path) == (
            "data.npz: not an .npz file; make one with np.savez('data.npz', X=X, y=y)"
        )
    with path.open("wb") as file:
        np.save(file, X)
    assert refusal(path) == (
        "data.npz: one array (.npy); X and y are needed: np.savez('data.npz', X=X, y=y)"
    )


def test_a_damaged_file(save):
    path = save(X=np.arange(1000.0), y=np.arange(1000))
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    assert refusal(path) == "data.npz: the file is damaged or cut short; copy or save it again"
    changed = bytearray(whole)
    changed[4000] ^= 1
    path.write_bytes(bytes(changed))
    assert "damaged or cut short at key 'X'" in refusal(path)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_every_single_damaged_byte_is_read_or_refused(write, tmp_path):
    path = tmp_path / "data.npz"
    write(path, X=X, y=Y)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 4):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(bytes(changed))
        try:
            arrays.read_npz(path)
        except DataError:
            refused += 1
    assert refused > 50


def test_a_zip_of_something_else(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert refusal(path) == (
        "data.npz: 'readme.txt': not arrays. Save with np.savez('data.npz', X=X, y=y)"
    )


def test_missing_key_lists_the_keys_there_are(save):
    assert refusal(save(X=X, labels=Y)) == (
        "data.npz: no key 'y'. The file holds 'X' (4, 3), 'labels' (4,). "
        "Name another with data.features, data.target"
    )
    assert "no key 'digit'; did you mean 'digits'? The file" in refusal(
        save(X=X, digits=Y), "X", "digit"
    )
    assert "no key 'y_train'" in refusal(save(X_train=X, z=Y))
    assert "no key 'y_test'" in refusal(save(X=X, y=Y, X_test=X))


def test_objects_are_never_unpickled(save):
    path = save(X=X, y=np.array(["a", None, "b", "a"], dtype=object))
    assert refusal(path) == (
        "data.npz: key 'y' holds Python objects, which are pickled and never read. "
        "Save text as y.astype(str), numbers as X.astype(float)"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"X": X, "y": Y[:3]}, "'X' has 4 rows and 'y' has shape (3,): one label"),
        ({"X": X, "y": np.array(1)}, "'X' has 4 rows and 'y' has shape (): one label"),
        ({"X": X[0], "y": Y}, "'X' has shape (3,): expected rows and columns (n, d), or images"),
        ({"X": X[0], "y": Y}, "One column: X.reshape(-1, 1); one row: X.reshape(1, -1)"),
        ({"X": np.zeros((4, 1, 1, 1, 1)), "y": Y}, "'X' has shape (4, 1, 1, 1, 1): expected"),
        ({"X": X + 1j, "y": Y}, "'X' (dtype complex128) holds complex numbers; give real"),
        ({"X": X.astype(str), "y": Y}, "'X' (dtype <U32) holds text; make every column a number"),
        ({"X": X.astype("M8[D]"), "y": Y}, "'X' (dtype datetime64[D]) holds dates"),
        ({"X": np.zeros((4, 3), "f4,f4"), "y": Y}, "neither numbers nor booleans"),
        ({"X": X[:0], "y": Y[:0]}, "'X' has shape (0, 3): no rows"),
        ({"X": X[:, :0], "y": Y}, "'X' has shape (4, 0): no columns"),
        (
            {"X": X, "y": Y, "X_test": X[:, :2], "y_test": Y},
            "'X' has 3 columns and 'X_test' 2: both must have the same",
        ),
        ({"X": X, "y": Y, "feature_names": [*"ab"]}, "2 names in 'feature_names' for 3 columns"),
        ({"X": X, "y": Y, "feature_names": [*"aab"]}, "'feature_names' holds 'a' more than once"),
        ({"X": X, "y": Y, "class_names": [[0.5]]}, "'class_names' has shape (1, 1) and dtype floa"),
    ],
)
def test_arrays_that_do_not_fit(save, content, text):
    assert text in refusal(save(**content))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32"])
def test_real_numbers_of_every_kind(save, dtype):
    table, _ = arrays.read_npz(save(X=np.ones((4, 3), dtype), y=Y))
    assert table.x.dtype == dtype


def test_ragged_rows():
    with pytest.raises(DataError, match=re.escape("X: rows of different lengths do not make a ta")):
        arrays.as_matrix([[1, 2], [3]])


@pytest.mark.parametrize(
    "header",
    [
        "{'descr':'<f8','fortran_order':False,'shape':(99999999999999999999,2),}",
        "{'descr':'<f8','fortran_order':False,'shape':(True,),}",
        "{'descr':'<f8','fortran_order':False,'shape':(-1,2),}",
        "(" * 900,
        "{" + " " * 20000 + "}",  # numpy's words for it speak of pickles
    ],
)
def test_a_header_that_no_one_would_write(tmp_path, header):
    text = header.encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(DataError, match="the file is damaged or cut short at key 'X'"):
        arrays.read_arrays(tmp_path / "a.npz")
