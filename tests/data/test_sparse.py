"""Sparse rows and sets of labels: every function against the same thing done densely."""

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.data import sparse, sparse_entries
from jaxnet.data.sparse import SparseRows
from jaxnet.errors import DataError


@st.composite
def matrices(draw):
    """A dense matrix of mostly zeros, float32, as small as (0, 1)."""
    n, d = draw(st.integers(0, 7)), draw(st.integers(1, 9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = generator.standard_normal((n, d)).astype(np.float32)
    return values * (generator.random((n, d)) < draw(st.sampled_from([0.0, 0.3, 1.0])))


def of(dense):
    return sparse_entries.from_scipy(scipy.sparse.csr_array(dense))


def back(rows):
    return sparse.to_scipy(rows).toarray()


@given(matrices(), st.sampled_from(["csr", "csc", "coo", "lil"]))
def test_to_scipy_and_back(dense, kind):
    rows = sparse_entries.from_scipy(scipy.sparse.csr_array(dense).asformat(kind))
    np.testing.assert_array_equal(back(rows), dense)
    assert sparse.equal(sparse_entries.from_scipy(sparse.to_scipy(rows)), rows)
    assert (len(rows), rows.columns) == dense.shape
    arrays = (rows.indptr, *rows.entries.values())
    assert [array.dtype for array in arrays] == [np.int64, np.int32, np.float32]


@given(matrices(), st.lists(st.integers(0, 6), max_size=9), st.integers(-9, 9), st.integers(-9, 9))
def test_rows_chosen_and_put_together(dense, chosen, start, stop):
    rows, marked = of(dense), sparse_entries.as_labels(of((dense != 0).astype(np.float32)))
    chosen = [row for row in chosen if row < len(dense)]
    for one, held in ((rows, dense), (marked, (dense != 0).astype(np.float32))):
        np.testing.assert_array_equal(back(sparse.take(one, chosen)), held[chosen])
        np.testing.assert_array_equal(back(sparse.part(one, start, stop)), held[start:stop])
        twice = sparse.concatenate([one, sparse.take(one, chosen)])
        np.testing.assert_array_equal(back(twice), np.concatenate([held, held[chosen]]))
        assert sparse.equal(sparse.take(one, range(len(one))), one)


@given(matrices())
def test_lengths_and_counts(dense):
    rows = of(dense)
    np.testing.assert_allclose(sparse.norms(rows), np.linalg.norm(dense, axis=1), rtol=1e-6)
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    unit = dense / np.where(lengths == 0, 1, lengths)
    np.testing.assert_allclose(back(sparse.of_length_one(rows)), unit, rtol=1e-6)
    marked = sparse_entries.as_labels(of((dense != 0).astype(np.float32)))
    np.testing.assert_array_equal(sparse.label_counts(marked), (dense != 0).sum(0))
    assert sparse.stats(rows).nnz == (dense != 0).sum()


def test_lengths_do_not_overflow():
    rows = SparseRows(np.array([0, 2, 2]), np.int32([0, 1]), np.float32([3e30, 4e30]), 2)
    np.testing.assert_allclose(sparse.norms(rows), np.float32([5e30, 0]))
    assert sparse.norms(rows).dtype == np.float32


def test_a_row_of_zeros_stays():
    rows = SparseRows(np.array([0, 1, 2]), np.int32([0, 1]), np.float32([0, 4]), 2)
    assert sparse.of_length_one(rows).values.tolist() == [0, 1]


def test_what_does_not_fit_is_refused():
    rows = of(np.float32([[1, 2], [0, 3]]))
    with pytest.raises(ValueError, match="columns differ: 2, 3"):
        sparse.concatenate([rows, replace(rows, columns=3)])
    for chosen in ([2], [-1]):
        with pytest.raises(IndexError, match="of 2"):
            sparse.take(rows, chosen)


def test_a_digest_tells_all_that_differs():
    rows = of(np.float32([[1, 0, 2], [0, 3, 0]]))
    labels = sparse_entries.labels_of([[0, 2], [1]], 3)
    others = [
        replace(rows, columns=4),
        replace(rows, values=rows.values + np.float32(1e-7)),
        replace(rows, indptr=np.array([0, 1, 3])),
        replace(rows, indices=np.int32([0, 1, 1])),
        sparse.part(rows, 0, 1),
        labels,
        replace(labels, labels=4),
    ]
    digests = [sparse.digest(one) for one in (rows, *others)]
    digests += [sparse.digest(rows, labels), sparse.digest(labels, rows), sparse.digest()]
    assert len(set(digests)) == len(digests)
    assert not any(sparse.equal(rows, other) for other in others)
    assert sparse.digest(rows) == sparse.digest(sparse.take(rows, [0, 1]))
    assert sparse.digest(sparse.part(rows, 1, 2)) == sparse.digest(sparse.take(rows, [1]))


def test_the_digest_stays_what_it_was():
    """Checkpoints hold it: another one would mean that no run can be taken up again."""
    rows = of(np.float32([[1, 0, 2], [0, 3, 0]]))
    content = b"SparseRows" + struct.pack("<3Q", 2, 3, 3)
    content += struct.pack("<3q", 0, 2, 3) + struct.pack("<3i", 0, 2, 1)
    content += struct.pack("<3f", 1, 2, 3)
    assert sparse.digest(rows) == hashlib.sha256(content).hexdigest()


def test_entries_of_one_place_are_added_up_and_labels_count_once():
    row, index = np.array([1, 0, 1, 1]), np.array([2, 0, 2, 1])
    rows = sparse_entries.from_entries(row, index, np.array([1, 2, 3, 4]), (2, 3))
    np.testing.assert_array_equal(back(rows), [[2, 0, 0], [0, 4, 4]])
    labels = sparse_entries.distinct_labels(row, index, (2, 3))
    np.testing.assert_array_equal(back(labels), [[1, 0, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("row", "index", "value", "shape", "said"),
    [
        ([2], [0], [1.0], (2, 3), "X: a row is 2, and there are 2: 0 to 1"),
        ([0], [-1], [1.0], (2, 3), "X: an index is -1, and there are 3: 0 to 2"),
        ([0], [0.5], [1.0], (2, 3), "X: an index is no whole number: float64 of shape (1,)"),
        ([0], [0], ["a"], (2, 3), "X: values of dtype <U1: real numbers are needed"),
        ([0], [0], [1, 2], (2, 3), "X: 1 rows, 1 indices and 2 values"),
        ([], [], [], (2, 0), "X: no columns"),
        ([], [], [], (2, 2**31), "X: an index: one of 2147483648; at most 2147483647 can be used"),
    ],
)
def test_entries_that_cannot_be(row, index, value, shape, said):
    with pytest.raises(DataError) as caught:
        sparse_entries.from_entries(np.array(row), np.array(index), np.array(value), shape)
    assert str(caught.value) == said


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_values_that_are_not_finite(value):
    with pytest.raises(DataError, match=r"X: row 1 \(counted from 0\): values that are not finite"):
        of(np.array([[1.0], [value]]))


def test_matrices_that_are_no_labels():
    with pytest.raises(DataError, match=r"Y: row 1 \(counted from 0\): values 0.5; a label is 1"):
        sparse_entries.as_labels(of(np.float32([[1], [0.5]])))
    with pytest.raises(DataError, match="Y: a label is 4, and there are 4: 0 to 3"):
        sparse_entries.labels_of([[1], [4]], 4)
    with pytest.raises(DataError, match="X: expected a sparse matrix of rows and columns"):
        sparse_entries.from_scipy([[1, 2]])
