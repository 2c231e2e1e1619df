"""Data frames of pandas, polars or Arrow, and dicts of columns, to one kind of table.

Neither pandas nor polars is imported: a data frame says by itself what it is.
"""

from collections.abc import Collection, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnet.data import places
from jaxnet.data.arrow_columns import check_names, plain_columns
from jaxnet.data.frame import Frame
from jaxnet.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_HOW_TO_MEND = "make it one kind: df[{0!r}] = df[{0!r}].astype(str), or .astype(float)"


def is_frame(x: Any) -> bool:
    """Whether `from_frame` takes this: something with named columns, or a dict of them.

    A single column (a Series, say) or an array is none.

    >>> is_frame({"age": [31, 40]}), is_frame([[31], [40]])
    (True, False)
    """
    if isinstance(x, Mapping) or hasattr(type(x), "__dataframe__"):
        return True
    # A column offers its stream of cells in the same way; only a table has names.
    return hasattr(type(x), "__arrow_c_stream__") and (
        hasattr(x, "schema") or hasattr(x, "column_names") or hasattr(x, "columns")
    )


def from_frame(x: Any, name: str = "X", *, needed: Collection[str] | None = None) -> Frame:
    """A frame of typed columns from a data frame or a dict of columns of equal length.

    The index of a pandas data frame is ignored; names of columns become text.

    Args:
        x: a data frame of pandas or polars, an Arrow table, anything else that offers
            `__arrow_c_stream__` or `__dataframe__`, or a dict of columns.
        name: of the argument, for errors.
        needed: columns whose cells will be used (None: all); others may hold anything, and are
            empty here if no table can hold it.

    Raises:
        DataError: a column of mixed kinds, names twice, columns of different lengths, or something
            that is no data frame.

    >>> frame = from_frame({"age": [31, None], "job": ["clerk", "cook"]})
    >>> frame.columns.to_pylist()[1], frame.where(1)
    ({'age': None, 'job': 'cook'}, 'X: row 1 (counted from 0)')
    """
    if not is_frame(x):
        raise DataError(
            f"{name}: {type(x).__name__} is no table with named columns; give a data frame, or "
            f"a dict of columns: {{'age': [31, 40], 'job': ['clerk', 'cook']}}"
        )
    if isinstance(x, Mapping):
        table = _of_columns([*x], [*x.values()], name, needed)
    elif _is_pandas(x):
        # Column by column, so that an error can name its column.
        cells = [x.iloc[:, i] for i in range(x.shape[1])]
        table = _of_columns([*x.columns], cells, name, needed)
    else:
        table = _of_stream(x, name)
    check_names(table.column_names, name)
    return Frame(plain_columns(table), False, name, partial(_place, name))


def _is_pandas(x: Any) -> bool:
    kind = next((k for k in type(x).__mro__ if k.__module__.split(".")[0] == "pandas"), None)
    return kind is not None and hasattr(x, "iloc")


def _of_columns(
    labels: Sequence[Any], columns: Sequence[Any], name: str, needed: Collection[str] | None
) -> "pa.Table":
    """A table of columns that are each converted on their own."""
    import pyarrow as pa

    names = [str(label) for label in labels]
    check_names(names, name)  # before the columns: their errors go by these names
    arrays = []
    for cells, column in zip(columns, names, strict=True):
        try:
            arrays.append(_column(cells, column, name))
        except DataError:
            if needed is None or column in needed or not hasattr(cells, "__len__"):
                raise
            arrays.append(pa.nulls(len(cells)))
    lengths = {n: len(array) for n, array in zip(names, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.get), max(lengths, key=lengths.get)  # type: ignore[arg-type]
        raise DataError(
            f"{name}: columns of different lengths: {shortest!r} has {lengths[shortest]} cells, "
            f"{longest!r} has {lengths[longest]}"
        )
    return pa.table(arrays, names=names)


def _column(cells: Any, column: str, name: str) -> "pa.Array | pa.ChunkedArray":
    """One column as an Arrow array."""
    import pyarrow as pa

    if isinstance(cells, str | bytes | Mapping | Set) or not hasattr(cells, "__len__"):
        raise DataError(f"{name}: column {column!r} is {type(cells).__name__}: not a list of cells")
    if getattr(cells, "ndim", 1) != 1:
        raise DataError(f"{name}: column {column!r} has shape {cells.shape}: one axis is needed")
    kind = getattr(cells, "dtype", None)
    if type(kind).__name__ == "SparseDtype":
        cells = np.asarray(cells)
    elif isinstance(kind, np.dtype) and not kind.isnative:
        cells = np.asarray(cells, kind.newbyteorder("="))
    try:
        return pa.array(cells)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        text = str(error).splitlines()[0]
        raise DataError(
            f"{name}: column {column!r} holds mixed kinds of values, or none that a table can "
            f"hold ({text}); {_HOW_TO_MEND.format(column)}"
        ) from error


def _of_stream(x: Any, name: str) -> "pa.Table":
    """A table from what offers one, its columns untouched."""
    import pyarrow as pa

    try:
        if hasattr(type(x), "__arrow_c_stream__"):
            return pa.table(x)
        from pyarrow.interchange import from_dataframe

        return from_dataframe(x)
    except Exception as error:  # whatever another library raises while it converts
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name}: the data frame cannot be read as a table: {text}") from error


def _place(name: str, row: int) -> str:
    return f"{name}: {places.rows([row])}"
