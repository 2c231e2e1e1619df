"""From the feature columns of a table to inputs of the network, and the record of how.

`fit` looks at training rows only and gives one record a column for the schema. `prepare` turns a
schema into an Encoder, and `encode` uses it: on the parts of the data set and on new rows alike.

Inputs stand in this order: numeric columns; an indicator for each that has missing values in the
training rows; one-hot columns; codes of columns with an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import categorical_encoding as coding
from jaxnet.data import encoding
from jaxnet.data.categorical_encoding import Coding
from jaxnet.data.categories import Categories
from jaxnet.data.encoding import Columns, Encoding
from jaxnet.data.places import values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

Places = dict[str, Array]
"""Categorical column -> `categorical_encoding.places` of its rows."""

_ROWS_AT_A_TIME = 65_536


class Cells(NamedTuple):
    """Feature columns, read and not yet encoded.

    names: of all, in the order of the table. numeric: names of `numbers`, NaN is missing.
    categories: the others. what, where: name of the table and place of a row, for errors.
    booleans: numeric columns that hold truth values.
    """

    names: tuple[str, ...]
    numeric: tuple[str, ...]
    numbers: Columns
    categories: dict[str, Categories]
    what: str
    where: Callable[[int], str] | None = None
    booleans: frozenset[str] = frozenset()

    def __len__(self) -> int:
        if self.categories:
            return len(next(iter(self.categories.values())))
        if isinstance(self.numbers, np.ndarray):
            return len(self.numbers)
        return len(self.numbers[0]) if self.numbers else 0


class Options(NamedTuple):
    """scale: of numeric columns. one_hot_limit: most categories before an embedding."""

    scale: str = "robust"
    one_hot_limit: int = 8
    embedding_size: int = 8


class Features(NamedTuple):
    """What `fit` found: the keys of the schema that it writes, and notes."""

    schema: dict[str, Any]
    notes: tuple[str, ...]


class Encoder(NamedTuple):
    """A schema made ready to encode: numeric columns, and the codings with their first inputs.

    booleans: numeric columns that held truth values in training.
    """

    names: tuple[str, ...]
    numeric: tuple[str, ...]
    encoding: Encoding
    codings: tuple[tuple[Coding, int], ...]
    width: int
    booleans: frozenset[str] = frozenset()


def fit(cells: Cells, rows: Array, options: Options) -> Features:
    """Records of all columns, fitted on `rows`, as keys of the schema: columns, inputs, groups,
    embeddings, scale.

    >>> cells = Cells(("a",), ("a",), np.array([[1.0], [2.0], [np.nan]]), {}, "X")
    >>> fit(cells, np.arange(3), Options()).schema["inputs"]
    ['a', 'a is missing']
    """
    where = {"rows": rows, "names": cells.numeric, "what": cells.what, "where": cells.where}
    fitted = encoding.fit(cells.numbers, options.scale, **where)  # type: ignore[arg-type]
    records = _numeric_records(cells, fitted, len(rows))
    notes: list[str] = _constant(cells, fitted)
    for name, column in cells.categories.items():
        records[name], said = coding.fit(name, column, rows, options.one_hot_limit)
        notes += said
    in_order = [records[name] for name in cells.names]
    dead = [r["name"] for r in in_order if r.get("encoding") == "none"]
    if dead:
        notes.append(
            f"categorical columns of one value in all training rows, left out of the inputs: "
            f"{values(dead)}"
        )
    schema = {"columns": in_order, "scale": options.scale}
    return Features({**schema, **_layout(schema, options.embedding_size)}, tuple(notes))


def prepare(schema: Mapping[str, Any]) -> Encoder:
    """A schema made ready. Raises DataError if its records are damaged."""
    try:
        records = list(schema["columns"])
        numeric = [r for r in records if r["kind"] == "numeric"]
        names = tuple(str(r["name"]) for r in records)
        code = encoding.from_json(numeric, str(schema["scale"]))
        booleans = frozenset(str(r["name"]) for r in numeric if r.get("boolean") is True)
        others = [coding.from_json(r) for r in records if r["kind"] == "categorical"]
    except (KeyError, TypeError) as error:
        raise DataError(f"schema: the record of the columns is damaged: {error!r}") from error
    place, placed = code.width, []
    for each in sorted(others, key=lambda each: each.how == "embedding"):
        placed.append((each, place))
        place += each.width
    numbers = tuple(str(r["name"]) for r in numeric)
    return Encoder(names, numbers, code, tuple(placed), place, booleans)


def encode(
    encoder: Encoder, cells: Cells, rows: Array | None = None, *, places: Places | None = None
) -> Array:
    """The `rows` of the cells (None: all) as inputs: float32 (rows, width).

    Raises DataError, with the place, for a value that is infinite or overflows float32.
    """
    number = len(cells) if rows is None else len(rows)
    out = np.empty((number, encoder.width), np.float32)
    encoding.apply(
        encoder.encoding, cells.numbers, rows=rows, names=cells.numeric,
        what=cells.what, where=cells.where, out=out[:, : encoder.encoding.width],
    )  # fmt: skip
    known = look_up(encoder, cells) if places is None else places
    for each, start in encoder.codings:
        place = known[each.name]
        block = out[:, start : start + each.width]
        for first in range(0, number, _ROWS_AT_A_TIME):
            part = slice(first, min(first + _ROWS_AT_A_TIME, number))
            coding.write(each, place[part] if rows is None else place[rows[part]], block[part])
    return out


def look_up(encoder: Encoder, cells: Cells) -> Places:
    """The place of each row's category in the coding of its column."""
    return {
        each.name: coding.places(each, cells.categories[each.name]) for each, _ in encoder.codings
    }


def unseen(encoder: Encoder, cells: Cells, places: Places) -> dict[str, int]:
    """Cells of each column that training has not seen the like of, columns without any left out.

    Categories that have no slot of their own, and missing cells where training had none.
    """
    number = encoding.newly_missing(encoder.encoding, cells.numbers)
    found = dict(zip(encoder.numeric, number.tolist(), strict=True))
    for each, _ in encoder.codings:
        found[each.name] = int(np.count_nonzero(places[each.name] < 0))
    return {name: found[name] for name in encoder.names if found[name]}


def _numeric_records(cells: Cells, fitted: encoding.Fitted, rows: int) -> dict[str, dict[str, Any]]:
    """The record of each numeric column."""
    spread = fitted.spread
    records = {}
    columns = zip(
        cells.numeric, encoding.to_json(fitted.encoding), *(s.tolist() for s in spread), strict=True
    )
    for name, code, low, _, median, _, high, missing in columns:
        none = missing == rows
        summary = {
            "missing": int(missing),
            "min": None if none else low,
            "median": None if none else median,
            "max": None if none else high,
        }
        boolean = {"boolean": True} if name in cells.booleans else {}
        records[name] = {"name": name, "kind": "numeric", **boolean, **code, "summary": summary}
    return records


def _layout(schema: Mapping[str, Any], embedding_size: int) -> dict[str, Any]:
    """Names of the inputs, the places of each column among them, and sizes of the embeddings."""
    encoder = prepare(schema)
    indicators = np.flatnonzero(encoder.encoding.indicator).tolist()
    inputs = [*encoder.numeric, *(f"{encoder.numeric[i]} is missing" for i in indicators)]
    groups = {name: [place] for place, name in enumerate(encoder.numeric)}
    for place, i in enumerate(indicators, start=len(encoder.numeric)):
        groups[encoder.numeric[i]].append(place)
    for each, start in encoder.codings:
        inputs += each.inputs
        groups[each.name] = list(range(start, start + each.width))
    if not inputs:
        raise DataError("no input is left: every column holds one value in all training rows")
    embedded = [each for each, _ in encoder.codings if each.how == "embedding"]
    return {
        "inputs": inputs,
        "groups": {name: groups[name] for name in encoder.names},
        "embeddings": [[each.size + 1, embedding_size] for each in embedded],
    }


def _constant(cells: Cells, fitted: encoding.Fitted) -> list[str]:
    """A note for numeric columns that carry nothing."""
    spread = fitted.spread
    constant = np.flatnonzero((spread.low == spread.high) & ~fitted.encoding.indicator)
    if not constant.size or fitted.encoding.how == "none":
        return []
    found = values(cells.numeric[int(i)] for i in constant)
    return [
        f"{constant.size} of {len(cells.numeric)} columns are constant in the training rows and "
        f"encoded as 0: {found}"
    ]
