"""Sparse matrices in .npz files: what SciPy writes, and the text of every refusal."""

import numpy as np
import pytest
import scipy.sparse

from jaxnet.data import sparse, sparse_entries, sparse_npz
from jaxnet.errors import DataError

X = scipy.sparse.random_array((6, 9), density=0.3, rng=np.random.default_rng(0), format="csr")
Y = scipy.sparse.csr_array(X.toarray()[:, :4] > 0)


@pytest.fixture
def save(tmp_path):
    """save(**arrays) -> the path of an .npz file, those of X in CSR unless others are given."""

    def _save(matrix=None, without=(), **changes):
        path = tmp_path / "X.npz"
        scipy.sparse.save_npz(path, X if matrix is None else matrix)
        with np.load(path) as file:
            content = {**file, **changes}
        np.savez(path, **{key: array for key, array in content.items() if key not in without})
        return path

    return _save


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("compressed", [True, False])
def test_what_scipy_writes(kind, make, compressed, tmp_path):
    for name, matrix in (("X", X), ("Y", Y)):
        scipy.sparse.save_npz(tmp_path / name, make(matrix).asformat(kind), compressed=compressed)
    found = sparse_npz.read(tmp_path / "X.npz", tmp_path / "Y.npz")
    assert sparse.equal(found.x, sparse_entries.from_scipy(X))
    np.testing.assert_array_equal(sparse.to_scipy(found.labels).toarray(), Y.toarray())
    assert found.where(3) == f"{tmp_path / 'X.npz'}: row 3 (counted from 0)"
    assert sparse_npz.read(tmp_path / "X.npz").labels is None
    assert sparse_npz.is_sparse(tmp_path / "X.npz")


def test_what_is_no_sparse_matrix(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((2, 2)), y=np.zeros(2))
    (tmp_path / "b.npz").write_text("no archive")
    for name in ("a.npz", "b.npz", "none.npz"):
        assert not sparse_npz.is_sparse(tmp_path / name)
    with pytest.raises(DataError, match=r"a.npz: no sparse matrix; make one with scipy.sparse.sa"):
        sparse_npz.read_features(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"b.npz: not an .npz file; make one with scipy.sparse.sa"):
        sparse_npz.read_features(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"none.npz: no such file"):
        sparse_npz.read_labels(tmp_path / "none.npz")


def test_labels_of_other_rows(tmp_path):
    scipy.sparse.save_npz(tmp_path / "X.npz", X)
    scipy.sparse.save_npz(tmp_path / "Y.npz", Y[:5])
    with pytest.raises(DataError, match=r"Y.npz: 5 rows of labels for the 6 rows of .*X.npz$"):
        sparse_npz.read(tmp_path / "X.npz", tmp_path / "Y.npz")


def test_zeros_that_are_written_are_no_labels(save):
    written = scipy.sparse.csr_array(([1, 0, 1], [2, 1, 0], [0, 2, 3]), shape=(2, 3))
    found = sparse_npz.read_labels(save(written))
    assert (found.indptr.tolist(), found.indices.tolist()) == ([0, 1, 2], [2, 0])


@pytest.mark.parametrize("value", [2, 0.5, -1, np.nan])
def test_values_that_are_no_labels(value, save):
    with pytest.raises(DataError, match=r"X.npz: values .*; a label is 1 or it is left out: scipy"):
        sparse_npz.read_labels(save(scipy.sparse.csr_array([[1.0, value]])))


NNZ = X.nnz
NOT_RISING = [
    X.indptr[::-1],
    X.indptr + 1,
    np.array([1, *X.indptr[1:]]),
    np.array([*X.indptr[:-1], NNZ - 1]),
    np.array([0, 5, 3, *X.indptr[3:]]),
]


@pytest.mark.parametrize(
    ("without", "changes", "said"),
    [
        ((), {"format": np.array(b"bsr")}, "a sparse matrix of format 'bsr'; known are 'csr', "
         "'csc', 'coo': scipy.sparse.save_npz('X.npz', X.tocsr())"),
        (("indptr",), {}, "no 'indptr' in a sparse matrix of format 'csr'"),
        (("data",), {}, "no 'data' in a sparse matrix of format 'csr'"),
        ((), {"shape": np.array([6])}, "'shape' holds [6]: rows and columns are needed"),
        ((), {"shape": np.array([6.0, 9])}, "'shape' holds [6.0, 9.0]: rows and columns are "
         "needed"),
        ((), {"shape": np.array([0, 9])}, "no rows"),
        ((), {"shape": np.array([7, 9])}, "'indptr' has shape (7,), and (8,) is needed"),
        ((), {"shape": np.array([2**62, 9])}, "'indptr' has shape (7,), and (4611686018427387905,) "
         "is needed"),
        ((), {"shape": np.array([6, 2**40])}, "an index: one of 1099511627776; at most 2147483647 "
         "can be used"),
        ((), {"shape": np.array([6, 2])}, "an index is 8, and there are 2: 0 to 1"),
        ((), {"indices": -X.indices}, "an index is -8, and there are 9: 0 to 8"),
        *[((), {"indptr": indptr}, f"'indptr' does not rise from 0 to {NNZ}; save the matrix again")
          for indptr in NOT_RISING],
        ((), {"data": X.data[:-1]}, f"{NNZ - 1} values at {NNZ} places; save it again"),
        ((), {"data": X.data[:, None]}, "'indptr', 'indices', 'data': each needs one axis; save it "
         "again"),
        ((), {"data": X.data.astype(complex)}, "values of dtype complex128: real numbers are "
         "needed"),
        ((), {"data": np.where(X.data > 0.8, np.nan, X.data)}, "rows "),
    ],
)  # fmt: skip
def test_what_is_refused(without, changes, said, save):
    path = save(without=without, **changes)
    with pytest.raises(DataError) as caught:
        sparse_npz.read_features(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_shape_beyond_the_memory(save, monkeypatch):
    def full(*args):
        raise MemoryError

    monkeypatch.setattr(sparse_entries, "from_entries", full)
    with pytest.raises(DataError, match=r"X\.npz: the matrix does not fit in memory"):
        sparse_npz.read_features(save())


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "X.npz", format=np.array(b"csr"), shape=[1, 1], data=np.array([{}]))
    with pytest.raises(DataError, match="'data' holds Python objects, which are pickled and never"):
        sparse_npz.read_features(tmp_path / "X.npz")


@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_damaged_files_are_refused_or_read_as_they_were(kind, tmp_path):
    path = tmp_path / "X.npz"
    scipy.sparse.save_npz(path, X.asformat(kind))
    stored, expected = path.read_bytes(), sparse_entries.from_scipy(X)
    draw, refused = np.random.default_rng(0), 0
    for _ in range(200):
        place = int(draw.integers(len(stored)))
        path.write_bytes(stored[:place] + bytes([draw.integers(256)]) + stored[place + 1 :])
        try:
            assert sparse.equal(sparse_npz.read_features(path), expected)
        except DataError:
            refused += 1
    assert refused > 100
