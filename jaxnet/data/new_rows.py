"""New rows for a trained network: columns looked up by name, or by place where they have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import arrays, columns, features, sources
from jaxnet.data.features import Cells, Encoder
from jaxnet.data.frame import Frame
from jaxnet.data.places import nearest, values
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError

FORMAT = 2  # of the schema


class Encoded(NamedTuple):
    """x: float32 (n, d), inputs of the network. warnings: what is odd about the columns.

    unseen: column -> cells unlike any in the training rows: categories without a slot of their own
    (a category of a single training row has none), missing cells where training had none.
    """

    x: Array
    warnings: tuple[str, ...]
    unseen: dict[str, int]


class Ready(NamedTuple):
    """A schema made ready to encode many pieces of a table, one after another."""

    schema: Mapping[str, Any]
    encoder: Encoder

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return self.encoder.width


def ready(schema: Mapping[str, Any]) -> Ready:
    """The schema made ready. Raises DataError if it is damaged, or of an older version."""
    if schema.get("format") != FORMAT:
        raise DataError(
            f"schema: format {schema.get('format')!r}, expected {FORMAT}: the model was trained "
            f"with another version of jaxnet; train it again"
        )
    return Ready(schema, features.prepare(schema))


def encode(known: Ready, x: Any, what: str = "X") -> Encoded:
    """New rows as inputs. x: a Frame, a data frame, a Table, or an array (n, d).

    Every row is encoded by itself, so a table may come in pieces. Raises DataError: columns that
    are not there, all of them by name; a word or an infinity in a numeric column, with its line.
    """
    if isinstance(x, Table):
        x = x.x
    given = x if isinstance(x, Frame) else _read(known, x, what)
    cells, warnings = (
        _by_name(known, given) if isinstance(given, Frame) else (_by_place(known, given, what), ())
    )
    places = features.look_up(known.encoder, cells)
    found = features.encode(known.encoder, cells, places=places)
    return Encoded(found, warnings, features.unseen(known.encoder, cells, places))


def describe(known: Ready, unseen: Mapping[str, int], rows: int) -> tuple[str, ...]:
    """A sentence for each column with cells that training has not seen the like of."""
    said = []
    for name, number in unseen.items():
        what = (
            "are missing, and training had none missing: taken as the median"
            if name in known.encoder.numeric
            else "hold no category that training learned: taken as unknown"
        )
        if number:
            said.append(f"column {name!r}: {number:,} of {rows:,} cells {what}")
    return tuple(said)


def _read(known: Ready, x: Any, what: str) -> Frame | Array:
    """A data frame as a Frame, all else as an array of as many columns as training had."""
    from jaxnet.data import data_frames

    names = known.encoder.names
    if data_frames.is_frame(x):
        frame = data_frames.from_frame(x, what, needed=names if known.schema["named"] else None)
        given = list(map(str, frame.columns.column_names))
        if known.schema["named"] or set(given) & set(names) or len(given) != len(names):
            return frame
        return frame._replace(columns=frame.columns.rename_columns(list(names)))
    _refuse_other_shapes(x, names, what)
    array = np.asarray(x) if len(known.encoder.codings) else arrays.as_matrix(x, what).x
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(
            f"{what}: expected {len(names)} columns ({values(names)}), given "
            f"{array.shape[-1] if array.ndim else 0}: an array of shape {array.shape}"
        )
    return sources.as_frame(array, names, what) if len(known.encoder.codings) else array


def _refuse_other_shapes(x: Any, names: Sequence[str], what: str) -> None:
    """What is no table at all: a name of a file, a query, one row or one column."""
    if isinstance(x, str | PathLike):
        raise DataError(
            f"{what} is {x!r}: rows are needed, not the name of a file; read it, say with "
            f"pandas.read_csv, or give it to: jaxnet predict RUN FILE"
        )
    if not (hasattr(x, "__array__") or hasattr(x, "__len__")):
        hint = "; call its collect() first" if hasattr(x, "collect") else ""
        raise DataError(f"{what} is {type(x).__name__}: a data frame or an array is needed{hint}")
    if getattr(x, "ndim", 2) == 1:
        hint = ". One row of a data frame: df.iloc[[0]]; of an array, one row: X.reshape(1, -1)"
        raise DataError(
            f"{what} has shape {x.shape}: rows and columns are needed, (n, {len(names)}){hint}"
        )
    if isinstance(x, Sequence) and len(x) and isinstance(x[0], Mapping):
        raise DataError(f"{what}: rows given as mappings: make them a data frame, pandas.DataFrame")


def _by_place(known: Ready, array: Array, what: str) -> Cells:
    names = known.encoder.names
    return Cells(names, names, array, {}, what)


def _by_name(known: Ready, frame: Frame) -> tuple[Cells, tuple[str, ...]]:
    """The columns of training among those of the frame, in any order."""
    given = list(map(str, frame.columns.column_names))
    names = known.encoder.names
    missing = [name for name in names if name not in given]
    if missing:
        raise _no_column(frame.name, missing, given)
    tokens = tuple(known.schema["missing"])
    numeric = known.encoder.numeric
    readers = dict.fromkeys(known.encoder.booleans, columns.read_booleans)
    numbers = tuple(
        readers.get(name, columns.read_numbers)(frame, name, tokens).values for name in numeric
    )
    others = {
        each.name: columns.read_categories(frame, each.name, tokens)
        for each, _ in known.encoder.codings
    }
    expected = {*names, *known.schema["identifiers"], *known.schema["target"]["columns"]}
    extra = [name for name in given if name not in expected]
    warnings: tuple[str, ...] = ()
    if extra:
        said = f"{frame.name}: {len(extra)} columns that training did not have are not used"
        warnings = (f"{said}: {values(extra)}",)
    return Cells(names, numeric, numbers, others, frame.name, frame.where), warnings


def _no_column(what: str, missing: Sequence[str], given: Sequence[str]) -> DataError:
    word = "column" if len(missing) == 1 else "columns"
    others = [name for name in given if name not in missing]
    near = nearest(missing[0], others) or f"; it has {values(given)}"
    return DataError(f"{what}: no {word} {values(missing)}, which the model was trained with{near}")
