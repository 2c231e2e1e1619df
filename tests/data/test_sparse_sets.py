"""Sets of sparse rows, made ready to train on: against the same matrices, and every refusal."""

import json

import numpy as np
import pytest
import scipy.sparse

from jaxnet.data import sparse, sparse_entries, sparse_sets, splits
from jaxnet.data.dataset import prepare
from jaxnet.data.sparse import SparseLabels, SparseRows
from jaxnet.errors import DataError

N, D, K = 40, 9, 6
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(N, D)) * (RNG.random((N, D)) < 0.3)).astype(np.float32).round(2)
Y = RNG.random((N, K)) < 0.3
Y[:, 4] = False  # a label without rows
X[5], Y[7] = 0, False


def as_text(x=X, y=Y):
    """XC text of a matrix and its labels."""
    lines = [f"{len(x)} {x.shape[1]} {y.shape[1]}"]
    for row, labels in zip(x, y, strict=True):
        said = " ".join(f"{j}:{row[j]:g}" for j in np.flatnonzero(row))
        lines.append(",".join(map(str, np.flatnonzero(labels))) + " " + said)
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    """The set as XC text and as .npz files, and its last rows as a test file."""
    (tmp_path / "train.txt").write_text(as_text())
    (tmp_path / "test.txt").write_text(as_text(X[-4:], Y[-4:]))
    scipy.sparse.save_npz(tmp_path / "X.npz", scipy.sparse.csr_array(X))
    scipy.sparse.save_npz(tmp_path / "Y.npz", scipy.sparse.csr_array(Y))
    np.savez(tmp_path / "dense.npz", X=X, y=Y)
    return tmp_path


def made(folder, **more):
    return prepare("multilabel", **{"train": "train.txt", "directory": folder, **more})


def back(rows):
    return sparse.to_scipy(rows).toarray()


def unit(x):
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths == 0, 1, lengths)


NPZ = {"train": "X.npz", "train_labels": "Y.npz"}


@pytest.mark.parametrize("files", [{}, NPZ], ids=["text", "npz"])
def test_parts_are_the_rows_that_the_split_names(files, folder):
    data = made(folder, **files, split={"validation": 0.2, "test": 0.1, "seed": 3})
    assert [len(part) for part in data.rows] == [28, 8, 4]
    assert sorted(np.concatenate(data.rows).tolist()) == list(range(N))
    for part, x, y in zip(data.rows, (data.x_train, data.x_val, data.x_test),
                          (data.y_train, data.y_val, data.y_test), strict=True):  # fmt: skip
        assert (type(x), type(y)) == (SparseRows, SparseLabels)
        np.testing.assert_allclose(back(x), unit(X[part]), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(back(y), Y[part])
    assert data.warnings == ()


def test_rows_are_scaled_only_if_they_shall(folder):
    data = made(folder, scale="none")
    np.testing.assert_allclose(back(data.x_train), X[data.rows.train], rtol=1e-6)
    assert data.schema["scale"] == "none"
    assert made(folder).schema["scale"] == "unit"


def test_what_the_schema_says(folder):
    split = {"validation": 0.2, "test": 0.1, "seed": 3}
    schema = made(folder, split=split).schema
    assert json.loads(json.dumps(schema)) == schema
    assert (schema["kind"], schema["task"], schema["width"]) == ("sparse", "multilabel", D)
    assert schema["classes"] == list(range(K))
    assert schema["class_names"] == ["0", "1", "2", "3", "4", "5"]
    assert schema["rows"] == {"train": 28, "validation": 8, "test": 4}
    rows = splits.by_chance(N, 0.2, 0.1, 3)
    assert schema["train_counts"] == Y[rows.train].sum(axis=0).tolist()
    counts, number = sparse_sets.counts_of(schema)
    assert (counts.tolist(), number) == (schema["train_counts"], 28)
    assert schema["split"]["validation_given"] is schema["split"]["test_given"] is False
    again, other = (made(folder, split={**split, "seed": seed}).schema for seed in (3, 4))
    assert again == schema
    assert other["split"]["sha256"] != schema["split"]["sha256"]


def test_what_a_reader_should_know(folder):
    notes = "\n".join(made(folder, split={"validation": 0.0, "test": 0.0}).notes)
    mean, labels = (X != 0).sum() / N, Y.sum() / N
    assert f"sparse rows: {mean:.1f} of 9 features and {labels:.1f} of 6 labels a row" in notes
    assert f"{(~Y.any(axis=1)).sum()} of 40 train rows have no label" in notes
    assert f"{(~X.any(axis=1)).sum()} of 40 train rows have no feature" in notes
    assert "1 of 6 labels have no training row" in notes


def test_parts_from_files_of_their_own(folder):
    data = made(folder, test="test.txt", split={"validation": 0.25, "test": 0.3})
    assert [len(part) for part in data.rows] == [30, 10, 0]
    np.testing.assert_allclose(back(data.x_test), unit(X[-4:]), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(back(data.y_test), Y[-4:])
    assert data.schema["rows"] == {"train": 30, "validation": 10, "test": 4}
    assert data.schema["split"]["test_given"] is True
    assert data.schema["split"]["validation_given"] is False
    labels = {"train_labels": "Y.npz", "validation_labels": "Y.npz"}
    data = made(folder, train="X.npz", validation="X.npz", test="test.txt", **labels)
    assert [len(part) for part in data.rows] == [N, 0, 0]
    np.testing.assert_array_equal(back(data.y_val), Y)


def test_parts_named_row_by_row(folder):
    parts = ["train"] * 30 + ["validation"] * 6 + ["test"] * 4
    lines = [f"{row},{part}" for row, part in enumerate(parts)]
    (folder / "split.csv").write_text("\n".join(["row,part", *lines]))
    data = made(folder, split={"file": "split.csv"})
    assert data.rows.validation.tolist() == list(range(30, 36))
    np.testing.assert_array_equal(back(data.y_test), Y[-4:])
    with pytest.raises(DataError, match=r"split.csv: rows have the part 'test', and data.test is"):
        made(folder, split={"file": "split.csv"}, test="test.txt")


def test_names_of_labels(folder):
    (folder / "names.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert made(folder, label_names="names.txt").schema["class_names"] == list("abcdef")
    (folder / "names.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"names.txt: 2 names for 6 labels"):
        made(folder, label_names="names.txt")


def test_new_rows_of_any_kind_are_encoded_alike(folder):
    known = sparse_sets.ready(made(folder).schema)
    rows = sparse_entries.from_scipy(scipy.sparse.csr_array(X))
    found = [
        sparse_sets.encode(known, x)
        for x in (rows, scipy.sparse.csr_array(X), scipy.sparse.coo_matrix(X), X, X.tolist())
    ]
    for each in found:
        assert sparse.equal(each.x, found[0].x)
    np.testing.assert_allclose(back(found[0].x), unit(X), rtol=1e-5, atol=1e-7)
    bare = int((~X.any(axis=1)).sum())
    assert found[0].warnings == (f"X: {bare} of 40 rows have no features",)
    assert sparse_sets.encode(known, X[:1] + 1).warnings == ()
    whole = sparse_sets.encode(known, (X > 0).astype(int))
    assert sparse.equal(sparse_sets.encode(known, X > 0).x, whole.x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:, :8], r"^table: expected 9 columns as in training, given 8$"),
        (scipy.sparse.csr_array((2, 10)), r"^table: expected 9 columns as in training, given 10$"),
        (X[0], r"^table: a sparse matrix or an array \(n, d\) of numbers is needed$"),
        (np.full((2, D), "a"), r"^table: a sparse matrix or an array \(n, d\) of numbers"),
        (np.full((2, D), np.nan), r"^table: rows 0, 1 .* not finite"),
        (scipy.sparse.csr_array(np.full((2, D), np.inf)), r"^table: rows 0, 1 .* not finite"),
    ],
)
def test_new_rows_that_do_not_fit(x, message, folder):
    known = sparse_sets.ready(made(folder).schema)
    with pytest.raises(DataError, match=message):
        sparse_sets.encode(known, x, "table")


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"width": "9"}, {"width": True}, {"scale": "robust"}]
)
def test_a_damaged_schema(change, folder):
    with pytest.raises(ValueError, match="make no sense"):
        sparse_sets.ready({**made(folder).schema, **change})
    with pytest.raises(KeyError):
        sparse_sets.ready({})


FILES = {
    "bare.txt": "3 9\n0:1\n1:1\n2:1\n",
    "empty.txt": "3 9 6\n 0:1\n 1:1\n 2:1\n",
    "wide.txt": as_text(np.hstack([X, X]), Y),
    "more.txt": as_text(X, np.hstack([Y, Y])),
    "few.txt": "2 9 6\n1 0:1\n2 1:1\n",
}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train": "bare.txt"}, r"bare.txt: the rows have no labels; XC text with labels begins w"),
        ({"train": "empty.txt"}, r"empty.txt: no row has a label$"),
        ({"train": "X.npz"}, r"X.npz: the rows have no labels; .*data.train_labels$"),
        ({"test": "bare.txt"}, r"bare.txt: the rows have no labels"),
        ({"test": "wide.txt"}, r"wide.txt: 18 columns, and .*train.txt has 9$"),
        ({"validation": "more.txt"}, r"more.txt: 12 labels, and .*train.txt has 6$"),
        ({"train": "few.txt"}, r"too few rows to split: 2 rows leave none for"),
        ({"test": "dense.npz"}, r"^data.test: dense.npz: not sparse rows, as data.train are$"),
        ({"test": "none.npz"}, r"^data.test: .*none.npz: no such file$"),
        ({"train": "none.txt"}, r"none.txt: no such file"),
        ({"train_labels": "Y.npz"}, r"train.txt: holds its labels itself; leave .*Y"),
        ({"split": {"validation": 0.6, "test": 0.4}}, r"data.split: .* leave nothing to train on"),
        ({"split": {"group": "a"}}, r"^data.split.group: a: sparse rows have no columns"),
        ({"split": {"file": "none.csv"}}, r"data.split.file: .*none.csv: No such file"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(more, message, folder):
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        made(folder, **more)


def test_sparse_rows_have_sets_of_labels(folder):
    with pytest.raises(DataError, match=r"^data.train: train.txt: sparse rows have sets of labels"):
        prepare("binary", train="train.txt", directory=folder)


def test_a_split_by_chance_depends_on_the_seed_alone():
    one, again, other = (splits.by_chance(1000, 0.2, 0.1, seed) for seed in (1, 1, 2))
    assert [len(part) for part in one] == [700, 200, 100]
    for part, twin, foreign in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(part, twin)
        assert (np.diff(part) > 0).all()
        assert not np.array_equal(part, foreign)
    assert sorted(np.concatenate(one).tolist()) == list(range(1000))
    # Rows of the training file in a sorted order must not all fall into one part.
    assert abs(one.test.mean() - 500) < 100
    assert [len(part) for part in splits.by_chance(5, 0.0, 0.0)] == [5, 0, 0]


def test_a_number_of_labels_that_cannot_be_meant_is_refused_at_once(tmp_path) -> None:
    file = tmp_path / "train.txt"
    file.write_text("2 3 2000000000\n1 0:1\n0 1:1\n")
    with pytest.raises(DataError, match=r"train.txt: says that there are 2,000,000,000 labels"):
        prepare("multilabel", train=file)
