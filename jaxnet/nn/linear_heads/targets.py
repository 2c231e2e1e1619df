"""Targets of linear heads, of which only what a tile needs is ever spread out."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike

from jaxnet.nn.linear_heads.tiles import Span
from jaxnet.nn.losses.layout import ShapeError, as_targets, is_integer

COMPARED = 16  # positives a row, up to which comparing beats scattering (bench_heads.py)


class Positives(NamedTuple):
    """Sparse targets: the labels that are present, in any order; -1 fills a row up.

    A label named twice counts once. Needed by name only where the number of columns is K, since
    integers (m, K) are read as zeros and ones otherwise.

    Attributes:
        indices: (m, P) integers.

    >>> Positives(np.array([[3, -1], [0, 2]])).indices.shape
    (2, 2)
    """

    indices: ArrayLike


class Sets(NamedTuple):
    """The positives of n rows, one after the other, of which `chosen` takes some.

    Attributes:
        indptr: (n + 1,), rising from 0: row i has those from indptr[i] to indptr[i + 1].
        indices: labels, each once in a row.
        places: (P,), 0 to P - 1, P being the most that a row has.
    """

    indptr: Any
    indices: Any
    places: Any

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (self.indptr.shape[0] - 1,)


def chosen(sets: Sets, rows: Array) -> Positives:
    """The positives of the rows at these places, which must be inside.

    >>> sets = Sets(jnp.array([0, 2, 3]), jnp.array([4, 7, 1]), jnp.arange(2))
    >>> chosen(sets, jnp.array([1, 0])).indices.tolist()
    [[1, -1], [4, 7]]
    """
    start, end = sets.indptr[rows][:, None], sets.indptr[rows + 1][:, None]
    place = start + sets.places[None, :].astype(start.dtype)
    if not sets.indices.shape[0]:
        return Positives(jnp.full(place.shape, -1, jnp.int32))
    there = place < end
    return Positives(jnp.where(there, sets.indices[jnp.where(there, place, 0)], -1))


def indicators(positives: Positives, K: int, dtype: Any = jnp.float32) -> Array:
    """Zeros and ones (m, K) of positives (m, P); one that names no label is passed over.

    >>> indicators(Positives(jnp.array([[2, -1], [0, 2]])), 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    indices = jnp.asarray(positives.indices)
    return answers(Positives(indices), Span(0, indices.shape[0]), Span(0, K), dtype)


class Targets(NamedTuple):
    """Targets as heads use them.

    Attributes:
        values: labels (m,), dense targets (m, K) or `Positives`, counted from the first class here.
        known: (m,), 1 or, where a label names no class, NaN; it multiplies the row.
    """

    values: Any
    known: Array | None


class Classes(NamedTuple):
    """K classes in all, of which those from `first` on are here."""

    K: int
    first: Any = 0


def all_classes(K_here: int, class_axis: str | None) -> Classes:
    """The classes of every shard along the mesh axis, if there is one."""
    if class_axis is None:
        return Classes(K_here)
    return Classes(
        K_here * lax.axis_size(class_axis), lax.axis_index(class_axis).astype(jnp.int32) * K_here
    )


def _known(inside: Array, dtype: Any) -> Array:
    return jnp.where(inside, jnp.asarray(1, dtype), jnp.asarray(np.nan, dtype))


def read_labels(targets: ArrayLike, m: int, K_here: int, axis: str | None, dtype: Any) -> Targets:
    """Integer labels (m,).

    Raises:
        ShapeError: anything else.
    """
    y = as_targets(targets)
    if y.shape != (m,) or not is_integer(y):
        raise ShapeError(
            f"linear_heads.categorical takes integer labels ({m},), one for each row of x; got "
            f"{y.dtype} {y.shape}. For soft targets use losses.categorical_cross_entropy"
        )
    classes = all_classes(K_here, axis)
    inside = (y >= 0) & (y < classes.K)
    here = jnp.where(inside, y, -1)
    return Targets(jnp.where(inside, here - classes.first, -1), _known(inside, dtype))


def read_answers(targets: Any, m: int, K_here: int, axis: str | None, dtype: Any) -> Targets:
    """Dense targets (m, K) of the classes here, or sparse positives (m, P) among all classes.

    Raises:
        ShapeError: anything else.
    """
    named = isinstance(targets, Positives)
    y = as_targets(targets.indices if named else targets)
    if not named and y.shape == (m, K_here):
        _refuse_labels(targets, K_here)
        return Targets(y, None)
    if y.ndim != 2 or y.shape[0] != m or not is_integer(y):
        raise ShapeError(
            f"linear_heads.multilabel takes targets ({m}, {K_here}), or sparse positives: integers "
            f"({m}, P) filled up with -1; got {y.dtype} {y.shape}"
        )
    classes = all_classes(K_here, axis)
    inside = (y >= 0) & (y < classes.K)
    fine = jnp.all(inside | (y == -1), axis=1)
    here = jnp.where(inside, y, -1)
    return Targets(Positives(jnp.where(inside, here - classes.first, -1)), _known(fine, dtype))


def _refuse_labels(targets: Any, K: int) -> None:
    """Integers (m, K) are zeros and ones; others, where they can be looked at, are told apart."""
    if isinstance(targets, jax.core.Tracer) or not getattr(targets, "is_fully_addressable", True):
        return
    y = np.asarray(targets)
    if y.dtype.kind in "iu" and not ((y == 0) | (y == 1)).all():
        raise ShapeError(
            f"targets of as many columns as there are labels, {K}, are zeros and ones; for sparse "
            "positives write linear_heads.Positives(indices)"
        )


def answers(values: Any, rows: Span, labels: Span, dtype: Any) -> Array:
    """Targets of a tile as numbers; integers other than 0 and 1 become NaN."""
    if isinstance(values, Positives):
        return _indicators(rows.of(jnp.asarray(values.indices)), labels).astype(dtype)
    y = rows.of(labels.of(values, axis=1))
    if not is_integer(y):
        return y.astype(dtype)
    return jnp.where((y == 0) | (y == 1), y.astype(dtype), jnp.asarray(np.nan, dtype))


def _indicators(indices: Array, labels: Span) -> Array:
    """(rows, labels): whether the label is among the indices. A set: duplicates change nothing."""
    m, P = indices.shape
    if P <= COMPARED:  # fused into what uses it
        found = jnp.zeros((m, labels.length), bool)
        for p in range(P):
            found |= labels.holds(indices[:, p])
        return found
    place = indices - labels.start
    place = jnp.where((place >= 0) & (place < labels.length), place, labels.length)
    # All updates write the same value: the result does not depend on their order.
    row = lax.broadcasted_iota(jnp.int32, place.shape, 0)
    return jnp.zeros((m, labels.length), bool).at[row, place].set(True, mode="drop")
