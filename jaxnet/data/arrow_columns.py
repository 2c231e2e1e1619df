"""Typed Arrow tables as a frame needs them: decoded columns, each with a name of its own."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxnet.data.places import values
from jaxnet.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")  # how pandas stores an index without a name


def check_names(names: Sequence[str], what: str) -> None:
    """Refuse a table without columns, and columns without a name or with another's.

    >>> check_names(["a", "b", "a"], "rows.parquet")
    Traceback (most recent call last):
    ...
    jaxnet.errors.DataError: rows.parquet: two columns or more are named 'a'; rename one
    """
    if not names:
        raise DataError(f"{what}: no columns, so nothing to learn from")
    empty = [i for i, name in enumerate(names, 1) if not name.strip()]
    if empty:
        raise DataError(f"{what}: column {empty[0]} of {len(names)} has no name; give it one")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{what}: two columns or more are named {values(twice)}; rename one")


def without_index(names: Sequence[str]) -> list[str]:
    """The names without those under which pandas stores an index that has none.

    A named index stays: its name says that somebody meant it, and `data.drop` can leave it out.

    >>> without_index(["age", "__index_level_0__"])
    ['age']
    """
    return [name for name in names if not _UNNAMED_INDEX.fullmatch(name)]


def plain_columns(table: "pa.Table") -> "pa.Table":
    """The table with dictionaries decoded.

    Columns of lists, records or bytes stay as they are: whoever needs values in them refuses them,
    and nobody else is disturbed (see `is_plain`).

    >>> import pyarrow as pa
    >>> job = pa.array(["clerk", None, "clerk"]).dictionary_encode()
    >>> plain_columns(pa.table({"job": job})).schema.field("job").type
    DataType(string)
    """
    import pyarrow as pa

    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        target = _decoded_type(field.type)
        columns.append(column if target == field.type else _decoded(column, target))
    return pa.table(columns, names=table.column_names)


def is_plain(kind: "pa.DataType") -> bool:
    """Whether cells of this type are one value each: numbers, booleans, text, dates and times.

    >>> import pyarrow as pa
    >>> is_plain(pa.int8()), is_plain(pa.list_(pa.int8())), is_plain(pa.binary())
    (True, False, False)
    """
    import pyarrow as pa

    types = pa.types
    usual = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_temporal,
        types.is_null,
    )
    # Of an extension type only the storage is known to everybody: nothing of its own is run.
    plain = not isinstance(kind, pa.BaseExtensionType) and any(test(kind) for test in usual)
    return plain and not types.is_interval(kind)


def _decoded_type(kind: "pa.DataType") -> "pa.DataType":
    """The type of the cells themselves; one that is not plain stays as it is."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        inner = _decoded_type(kind.value_type)
        return inner if is_plain(inner) else kind
    return pa.large_string() if types.is_string_view(kind) else kind


def _decoded(column: "pa.ChunkedArray", target: "pa.DataType") -> "pa.ChunkedArray":
    """The cells themselves, not their numbers in a dictionary."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column.cast(target)
    # The dictionary is cast first: not every type that one may have can be decoded.
    chunks = [
        pa.DictionaryArray.from_arrays(c.indices, c.dictionary.cast(target)).dictionary_decode()
        for c in column.chunks
    ]
    return pa.chunked_array(chunks, target)
