"""Names of labels from a text file: how they are made distinct, and the text of every refusal."""

import gzip

import pytest

from jaxnet.data import label_names
from jaxnet.errors import DataError


@pytest.fixture
def save(tmp_path):
    """save(content, name) -> the path of a file."""

    def _save(content, name="labels.txt"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return _save


@pytest.mark.parametrize(
    "text",
    [
        "red\nblue sky\n\u00e9t\u00e9\n",
        "red\nblue sky\n\u00e9t\u00e9",
        "\ufeffred\r\n blue sky \r\n\u00e9t\u00e9\r\n",
    ],
)
@pytest.mark.parametrize("name", ["labels.txt", "LABELS.TXT.GZ"])
def test_one_name_a_line_in_any_layout(text, name, save):
    data = text.encode()
    path = save(gzip.compress(data) if name.endswith("GZ") else data, name)
    assert label_names.read(path, 3) == ["red", "blue sky", "\u00e9t\u00e9"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("red\nred\nred\n", ["red", "red (1)", "red (2)"]),
        ("a\n \n\nb\n", ["a", "1", "2", "b"]),
        ("1\n\n", ["1", "1 (1)"]),
        ("a (2)\na\na\n", ["a (2)", "a", "a (2) (2)"]),
        ("\n", ["0"]),
        ("x" * 1500 + "\n", ["x" * 1000]),
    ],
)
def test_every_label_has_a_name_of_its_own(text, names, save):
    found = label_names.read(save(text), len(names))
    assert found == names
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a\nb\n", "labels.txt", r"labels.txt: 2 names for 3 labels; one line each is needed$"),
        ("a\nb\nc\nd", "labels.txt", r"labels.txt: 4 names for 3 labels"),
        ("", "labels.txt", r"labels.txt: 0 names for 3 labels"),
        (b"a\n\xff\nb\n", "labels.txt", r"labels.txt: not UTF-8 text$"),
        (b"a\nb\nc\n", "labels.txt.gz", r"labels.txt.gz: cannot be read \(Not a gzipped file"),
        (
            gzip.compress(b"a\nb\nc\n" * 99, mtime=0)[:-12],
            "labels.txt.gz",
            r"labels.txt.gz: cannot be read",
        ),
    ],
)
def test_what_is_refused(content, name, message, save):
    with pytest.raises(DataError, match=message):
        label_names.read(save(content, name), 3)


def test_a_file_that_is_not_there(save, tmp_path):
    save("a\n")
    with pytest.raises(DataError, match=r"label.txt: no such file.*labels.txt"):
        label_names.read(tmp_path / "label.txt", 1)
    with pytest.raises(DataError, match=r"labels.txt: no such file: the folder"):
        label_names.read(tmp_path / "none" / "labels.txt", 1)
    with pytest.raises(DataError, match=r"a folder, not a file"):
        label_names.read(tmp_path, 1)
