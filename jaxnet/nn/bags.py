"""A first layer for rows that are mostly zeros: what is there picks rows of a table.

    z_1 = x E + b,  row i: sum over its entries j of v_ij E[j],  E = W_1^T
    dE[j] = sum over the entries of feature j of v_ij delta_1i;  db = sum_i delta_1i

the lecture's first layer with its weights stored by feature, (d, n_1): a feature is a row, read and
written in one piece. Neither x nor anything else of n x d numbers is ever made. Entries are taken
`ENTRIES` at a time, as many turns as a batch has: rows of very different lengths cost what they
hold (scripts/bench_bags.py).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn import meshes
from jaxnet.nn.precision import wide_type

ENTRIES = 1024  # of one turn


class Drop(NamedTuple):
    """Dropout of entries: each goes with a chance of `rate`, those that stay grow by 1/(1 - rate).

    Attributes:
        words: (2,) uint32, from which what goes follows, with the place of the entry.
        rate: in [0, 1).
    """

    words: Any
    rate: Any


class Bags(NamedTuple):
    """m of n rows. Row i has the entries indptr[i] to indptr[i + 1], in any order.

    Attributes:
        indptr: (n + 1,), rising from 0.
        indices: (nnz,), features from 0 on; one that stands twice in a row is added twice.
        values: (nnz,).
        rows: (m,), which of the n rows are meant, in their order here.
        drop: what of their entries is left out; None: nothing.

    >>> x = Bags(jnp.array([0, 2, 3]), jnp.array([1, 4, 0]), jnp.array([0.5, 2.0, 1.0]))
    >>> take(x, jnp.array([1, 1, 0])).shape
    (3,)
    """

    indptr: Any
    indices: Any
    values: Any
    rows: Any = None
    drop: Drop | None = None

    @property
    def shape(self) -> tuple[int]:
        """(m,): there are so many rows. How many features there are the table says."""
        return (self.indptr.shape[0] - 1,) if self.rows is None else (self.rows.shape[0],)


class BagLayer(NamedTuple):
    """Parameters of the first layer for bags: E (d, n_1), a row a feature, and b (n_1,)."""

    E: Float[Array, "d n_1"]
    b: Float[Array, " n_1"]


def init(key: Any, d: int, n_1: int, *, spread: float) -> BagLayer:
    """Draw a first layer: E ~ N(0, spread^2), b = 0.

    Rows of length l give z_1 a variance of (l spread)^2: sqrt(2) / l is what `he` is elsewhere.

    >>> init(jax.random.key(0), 5, 3, spread=1.4).E.shape
    (5, 3)
    """
    E = spread * jax.random.normal(key, (d, n_1), jnp.float32)
    return BagLayer(E, jnp.zeros(n_1, jnp.float32))


def take(bags: Bags, rows: Int[Array, " m"]) -> Bags:
    """The rows at these places, which must be inside; nothing is copied."""
    return bags._replace(rows=rows if bags.rows is None else bags.rows[rows])


def embed(
    E: Float[Array, "d n_1"], bags: Bags, *, compute_dtype: Any = None
) -> Float[Array, "m n_1"]:
    """x E (m, n_1): for each row the sum of value times row of E over its entries.

    Args:
        compute_dtype: type that E and the values are rounded to; sums stay float32.

    Raises:
        UserError: the gradient in the values, which are data, is asked for.

    >>> E = jnp.arange(10.0).reshape(5, 2)
    >>> x = Bags(jnp.array([0, 2, 2]), jnp.array([1, 4]), jnp.array([1.0, 0.5]))
    >>> embed(E, x).tolist()
    [[6.0, 7.5], [0.0, 0.0]]
    """
    dtype = jnp.dtype(compute_dtype or E.dtype)

    def rows_of_table(E: Array, bags: Bags) -> Array:
        rows = jnp.arange(bags.shape[0]) if bags.rows is None else bags.rows
        bags = bags._replace(values=_constant(jnp.asarray(bags.values)), rows=rows)
        return _embed(dtype, *meshes.vary((E, bags), meshes.axes_of(E, bags)))

    out = meshes.spec(meshes.first_divided(bags.rows), meshes.divided(E, 1))
    return meshes.automatic(rows_of_table, E, bags, out=out)


@jax.custom_jvp
def _constant(values: Array) -> Array:
    return values


# tangent :: (values, d values) -> error
@_constant.defjvp
def _no_tangent(_primals: Any, _tangents: Any) -> Any:
    raise UserError("the values of bags are data and have no gradient; stop it with stop_gradient")


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _embed(dtype: Any, E: Array, bags: Bags) -> Array:
    def turn(sums: Array, row: Array, feature: Array, value: Array) -> Array:
        part = E[feature].astype(dtype).astype(sums.dtype)
        weights = value.astype(dtype).astype(sums.dtype)
        return sums.at[row].add(part * weights[:, None], mode="promise_in_bounds")

    start = meshes.zeros((bags.shape[0], E.shape[1]), wide_type(dtype), E, bags.rows)
    return over_entries(bags, turn, start)


# forward :: (E, bags) -> (z, residuals)
def _embed_forward(dtype: Any, E: Array, bags: Bags) -> tuple[Array, Any]:
    return _embed(dtype, E, bags), (bags, jnp.zeros((E.shape[0], 0), E.dtype))


# backward :: (residuals, delta) -> (dE, no d bags)
def _embed_backward(dtype: Any, residuals: Any, delta: Array) -> tuple[Array, None]:
    bags, like = residuals
    return table_gradient(like.shape[0], bags, delta.astype(dtype)).astype(like.dtype), None


_embed.defvjp(_embed_forward, _embed_backward)


def table_gradient(d: int, bags: Bags, delta: Float[Array, "m n_1"]) -> Float[Array, "d n_1"]:
    """dE = x^T delta: each entry adds value times the delta of its row to the row of its feature.

    Args:
        d: features, rows of the table.
        delta: dJ/dz_1; the values are rounded to its type, and sums are float32 or wider.

    >>> x = Bags(jnp.array([0, 2, 3]), jnp.array([1, 2, 1]), jnp.array([1.0, 0.5, 2.0]))
    >>> table_gradient(3, x, jnp.array([[1.0], [10.0]])).tolist()
    [[0.0], [21.0], [0.5]]
    """
    wide = wide_type(delta.dtype)

    def turn(delta: Array, sums: Array, row: Array, feature: Array, value: Array) -> Array:
        part = delta[row].astype(wide) * value.astype(delta.dtype).astype(wide)[:, None]
        return sums.at[feature].add(part, mode="promise_in_bounds")

    def table(bags: Bags, delta: Array) -> Array:
        rows = jnp.arange(bags.shape[0]) if bags.rows is None else bags.rows
        bags, delta = meshes.vary((bags._replace(rows=rows), delta), meshes.axes_of(bags, delta))
        start = meshes.zeros((d, delta.shape[1]), wide, delta)
        return over_entries(bags, partial(turn, delta), start)

    out = meshes.spec(None, meshes.divided(delta, 1))
    return meshes.automatic(table, bags, delta, out=out)


def over_entries(bags: Bags, turn: Callable[..., Any], carry: Any) -> Any:
    """carry = turn(carry, row, feature, value) for `ENTRIES` entries after the other, (ENTRIES,).

    Rows count from 0 here; what fills the last turn up has the value 0.
    """
    if not bags.indices.shape[0] or not bags.shape[0]:
        return carry
    start = bags.indptr[bags.rows]
    ends = jnp.cumsum(bags.indptr[bags.rows + 1] - start)
    first = jnp.concatenate([jnp.zeros(1, ends.dtype), ends[:-1]])

    def one(i: Array, carry: Any) -> Any:
        place = i * ENTRIES + jnp.arange(ENTRIES, dtype=ends.dtype)
        there = place < ends[-1]
        row = jnp.searchsorted(ends, jnp.where(there, place, 0), side="right")
        entry = start[row] + jnp.where(there, place - first[row], 0)
        # A row without entries may end the set: what fills up must not read beyond.
        entry = jnp.where(there, entry, 0)
        value = jnp.where(there, bags.values[entry], 0)
        if bags.drop is not None:
            value = value * _kept(bags.drop, i)
        return turn(carry, row, bags.indices[entry], value)

    return lax.fori_loop(0, (ends[-1] + ENTRIES - 1) // ENTRIES, one, carry)


def _kept(drop: Drop, turn: Array) -> Array:
    """Factors of the entries of a turn: 0, or 1 / (1 - rate)."""
    key = jax.random.fold_in(jax.random.wrap_key_data(drop.words, impl="threefry2x32"), turn)
    stays = jax.random.bernoulli(key, 1 - drop.rate, (ENTRIES,))
    return jnp.where(stays, 1 / (1 - jnp.float32(drop.rate)), 0)
