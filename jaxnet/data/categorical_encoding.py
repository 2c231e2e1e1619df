"""From categories to inputs of a network: one-hot up to a limit, codes of an embedding beyond it.

two:       exactly two categories and nothing missing: one input, -1 and +1
one_hot:   one input a category, 1 for its own and 0 elsewhere
embedding: one input that holds a whole number, the slot of the category in a learned table; slot 0
           is that of categories the training rows do not show. Categories of a single training
           row share it, so that it is trained too
none:      one category in all training rows: no input

Missing cells are a category of their own where the training rows have some. Any other category
that training did not see, and a missing cell where there was none, is 0 in every input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data.categories import Categories, in_order
from jaxnet.data.table import Array
from jaxnet.errors import DataError

_HOWS = ("two", "one_hot", "embedding", "none")
_MOST = 1_000_000  # categories of a column that are told apart
_MOST_COMMON = 5


class Coding(NamedTuple):
    """How a column is encoded. texts: its categories, a pyarrow array; missing: one of its own."""

    name: str
    how: str
    texts: Any
    missing: bool

    @property
    def size(self) -> int:
        """Categories, the missing one included."""
        return len(self.texts) + self.missing

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return {"two": 1, "one_hot": self.size, "embedding": 1, "none": 0}[self.how]

    @property
    def inputs(self) -> list[str]:
        """A name for each input."""
        if self.how == "two":
            return [f"{self.name}={self.texts[1].as_py()}"]
        if self.how == "embedding":
            return [f"{self.name} (embedded)"]
        known = [f"{self.name}={text}" for text in self.texts.to_pylist()]
        own = [f"{self.name} is missing"] if self.missing else []
        return [*known, *own] if self.how == "one_hot" else []


def fit(
    name: str, cells: Categories, rows: Array, one_hot_limit: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The record of a column for the schema, fitted on `rows`, and notes.

    >>> import pyarrow as pa
    >>> cells = Categories(np.array([0, 1, 0, -1]), pa.array(["b", "a"]))
    >>> record, _ = fit("x", cells, np.arange(4), 8)
    >>> record["encoding"], record["categories"], record["missing"]
    ('one_hot', ['a', 'b'], True)
    """
    codes = cells.codes[rows]
    number = np.bincount(codes + 1, minlength=len(cells.texts) + 1)
    missing, number = int(number[0]), number[1:]
    seen = int(np.count_nonzero(number))
    how = _how(seen, missing > 0, one_hot_limit)
    notes: tuple[str, ...] = ()
    kept = number > 0
    if how == "embedding":
        kept = number > 1
        if (once := seen - int(np.count_nonzero(kept))) > 0:
            notes = (
                f"column {name!r}: categories of a single training row ({once} of {seen}) "
                f"share the slot of unseen ones",
            )
        if int(np.count_nonzero(kept)) > _MOST:
            kept[np.argsort(-number, kind="stable")[_MOST:]] = False
    order = np.argsort(-number, kind="stable")[: min(_MOST_COMMON, seen)]
    record = {
        "name": name,
        "kind": "categorical",
        "encoding": how,
        "categories": in_order(_texts(cells, np.flatnonzero(kept))),
        "missing": missing > 0,
        "summary": {
            "missing": missing,
            "categories": seen,
            "most_common": [
                [text, int(number[i])] for text, i in zip(_texts(cells, order), order, strict=True)
            ],
        },
    }
    return record, notes


def from_json(record: Mapping[str, Any]) -> Coding:
    """The coding of a record that `fit` wrote. Raises DataError if it is none."""
    import pyarrow as pa

    try:
        texts = record["categories"]
        coding = Coding(
            str(record["name"]),
            str(record["encoding"]),
            pa.array(texts, pa.large_string()),
            record["missing"] is True,
        )
    except (KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"schema: the encoding of a categorical column is damaged: {error}"
        ) from error
    wrong = coding.how not in _HOWS or len(set(texts)) != len(texts)
    if wrong or (coding.how == "two" and len(texts) != 2):
        raise DataError(f"schema: the encoding of column {coding.name!r} is damaged")
    return coding


def places(coding: Coding, cells: Categories) -> Array:
    """Place of each row's category in the coding, int64 (n,); the last is missing, -1 unseen."""
    import pyarrow.compute as pc

    found = pc.index_in(cells.texts, value_set=coding.texts)
    known = np.array(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)
    own = len(coding.texts) if coding.missing else -1
    return np.append(known, own)[cells.codes]  # the last for code -1


def write(coding: Coding, place: Array, out: Array) -> None:
    """The inputs of the rows with these places, into `out` (rows, width)."""
    if coding.how == "two":
        out[:, 0] = np.array([-1.0, 1.0, 0.0], np.float32)[place]
    elif coding.how == "embedding":
        out[:, 0] = place + 1
    elif coding.how == "one_hot":
        out[:] = 0
        known = np.flatnonzero(place >= 0)
        out[known, place[known]] = 1


def _how(seen: int, missing: bool, limit: int) -> str:
    size = seen + missing
    if size <= 1:
        return "none"
    if seen == 2 and not missing:
        return "two"
    return "one_hot" if size <= limit else "embedding"


def _texts(cells: Categories, indices: Array) -> list[str]:
    import pyarrow as pa

    found: list[str] = cells.texts.take(pa.array(indices, pa.int64())).to_pylist()
    return found
