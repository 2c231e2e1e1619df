"""Rows on the device: arrays, bags and sets are picked and dealt out alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import bags
from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Positives, Sets, chosen, indicators
from jaxnet.training import rows

pytestmark = pytest.mark.sampled(3)

X = np.array([[0, 2, 0], [0, 0, 0], [1, 0, 3], [0, 0, 4], [5, 0, 0]], np.float32)
Y = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]], np.float32)


def ends(dense):
    return np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))])


def make(kind):
    """Rows on the host: indptr as the host has it, int64."""
    if kind == "array":
        return X
    if kind == "bags":
        return Bags(ends(X), np.nonzero(X)[1].astype(np.int32), X[np.nonzero(X)])
    return Sets(ends(Y), np.nonzero(Y)[1].astype(np.int32), np.arange(3, dtype=np.int32))


def dense_of(picked):
    if isinstance(picked, Bags):
        return np.asarray(bags.embed(jnp.eye(3), picked))
    return np.asarray(rows.as_dense(picked, 4))


KINDS = {"array": X, "bags": X, "sets": Y}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_picked(kind):
    held = rows.on_device(make(kind))
    assert rows.count(held) == rows.count(make(kind)) == 5
    at = jnp.array([4, 1, 1, 0], jnp.int32)
    for pick in (rows.pick, jax.jit(rows.pick)):
        np.testing.assert_array_equal(dense_of(pick(held, at)), KINDS[kind][np.asarray(at)])
    if kind != "array":
        assert held.indptr.dtype == jnp.int32


@pytest.mark.parametrize("block", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_hold_every_row_once(kind, block):
    found = rows.in_blocks(make(kind), block)
    number = -(-5 // block)
    assert found.shape[:2] == (number, block)
    parts = [dense_of(rows.block_of(found, jnp.int32(i))) for i in range(number)]
    np.testing.assert_array_equal(np.concatenate(parts)[:5], KINDS[kind])
    assert {part.shape for part in parts} == {(block, KINDS[kind].shape[1])}


def test_more_entries_than_an_int32_counts_are_refused():
    class Long:
        shape = (2**31,)

    with pytest.raises(UserError, match=r"2,147,483,648 entries of sparse rows; at most 2\^31 - 1"):
        rows.on_device(Bags(np.zeros(2), Long(), Long()))


# Sets of labels
# --------------


def test_the_positives_of_chosen_rows():
    sets = rows.on_device(make("sets"))
    assert sets.shape == (5,)
    found = chosen(sets, jnp.array([2, 1, 0], jnp.int32))
    assert found.indices.tolist() == [[1, -1, -1], [-1, -1, -1], [0, 2, 3]]
    last = chosen(sets, jnp.array([4], jnp.int32))  # whose places would go on beyond the set
    assert last.indices.tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("places", [0, 3])
def test_rows_that_all_have_no_labels(places):
    empty = Sets(jnp.zeros(4, jnp.int32), jnp.zeros(0, jnp.int32), jnp.arange(places))
    found = chosen(empty, jnp.array([0, 2], jnp.int32))
    assert found.indices.shape == (2, places)
    np.testing.assert_array_equal(indicators(found, 4), np.zeros((2, 4)))


@pytest.mark.parametrize("most", [3, 20])  # compared, and scattered
def test_indicators_of_positives(most):
    indices = np.full((4, most), -1)
    indices[:, :3] = [[0, 2, 2], [5, -1, 3], [-1, -1, -1], [6, 100, -7]]
    found = indicators(Positives(jnp.asarray(indices)), 6)
    wanted = np.zeros((4, 6), np.float32)
    wanted[0, [0, 2]] = wanted[1, [3, 5]] = 1
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == jnp.float32
    assert indicators(Positives(jnp.asarray(indices)), 6, jnp.bfloat16).dtype == jnp.bfloat16


def test_what_is_no_set_is_dense_already():
    assert rows.as_dense(X, 3) is X
