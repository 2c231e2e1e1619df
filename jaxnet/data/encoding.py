"""From numeric columns of any scale to float32 inputs of a network: fitted on training rows only.

robust:   u = (x - median) / (q75 - q25), or (max - min) / 2 where the quartiles coincide;
          then u / sqrt(1 + (u / 3)^2), a smooth clip to (-3, 3). After RealMLP (Holzmueller et
          al.: Better by default, 2024).
standard: u = (x - mean) / (standard deviation over the n rows)
quantile: u = Phi^-1(rank of x among the training rows), see `quantile`
none:     x as it is

A missing value (NaN) is taken as the median of the training rows. A column that has missing values
in the training rows gets an indicator beside it: 1 where the value is missing, 0 elsewhere. A
column that is constant in the training rows is encoded as 0 (but for `none`). All arithmetic is
float64, rounded to float32 once at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import quantile
from jaxnet.data.places import values
from jaxnet.data.spreads import Spread, mean_and_deviation, spread
from jaxnet.data.table import Array
from jaxnet.errors import DataError

HOWS = ("robust", "standard", "quantile", "none")

Columns = Array | tuple[Array, ...]
"""Numeric columns: an array (n, d) of any real dtype, or d arrays (n,)."""

_CLIP = 3.0
_HUGE = 1e100  # beyond this the smooth clip has long reached its limit, and squares still fit
_CELLS_AT_A_TIME = 2**18  # 2 MiB of float64, which stay in the cache
_FIT_CELLS_AT_A_TIME = 2**21
_FIT_COLUMNS_AT_A_TIME = 1024


class Encoding(NamedTuple):
    """How each of the d columns is encoded.

    center, scale: float64 (d,); scale 0 marks a column that was constant: it becomes 0.
    fill: float64 (d,), what stands in for a missing value. indicator: bool (d,).
    how: robust, standard, quantile or none. quantiles: of each column, for quantile alone.
    """

    center: Array
    scale: Array
    fill: Array
    indicator: Array
    how: str
    quantiles: tuple[Array, ...] = ()

    @property
    def width(self) -> int:
        """Inputs of the network: one a column, and the indicators."""
        return len(self.center) + int(np.count_nonzero(self.indicator))


class Fitted(NamedTuple):
    """An encoding, and what the columns looked like in the rows it was fitted on."""

    encoding: Encoding
    spread: Spread


class _Source(NamedTuple):
    """The rows that are looked at (None: all), and what errors call columns and rows."""

    x: Columns
    rows: Array | None
    names: Sequence[str] | None
    what: str
    where: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return _length(self.x) if self.rows is None else len(self.rows)


def fit(
    x: Columns,
    how: str = "robust",
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
    where: Callable[[int], str] | None = None,
) -> Fitted:
    """The encoding of the columns of x, fitted on `rows` (row numbers; None: all).

    `names` of the columns, `what`, the name of the array, and `where`, the place of a row in
    words, serve the errors. Raises DataError: unknown `how`, no rows, infinite values, a column
    too wide for float64.

    >>> encoding, _ = fit(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), "robust")
    >>> encoding.center, encoding.scale
    (array([3.]), array([2.]))
    """
    source = _Source(x, rows, names, what, where)
    if how not in HOWS:
        raise DataError(f"data.scale: {how!r} is unknown; known are {values(HOWS)}")
    if len(source) == 0:
        raise DataError(f"{what}: no rows to fit the scale on")
    check(x, rows=rows, names=names, what=what, where=where)
    d = _width(x)
    step = min(max(1, _FIT_CELLS_AT_A_TIME // len(source)), _FIT_COLUMNS_AT_A_TIME)
    pieces = []
    for start in range(0, d, step):
        block = _block(x, rows, slice(start, start + step))
        with np.errstate(over="ignore", invalid="ignore"):
            pieces.append(_fit_block(block, how))
        _refuse_wide(source, start, pieces[-1])
    return _joined(pieces, how)


def apply(
    encoding: Encoding,
    x: Columns,
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
    where: Callable[[int], str] | None = None,
    out: Array | None = None,
) -> Array:
    """The `rows` of x encoded (None: all): float32 (rows, d + indicators), indicators last.

    Works through a few rows at a time, so beside the result (or `out`, which is filled where it is
    given) it needs no memory to speak of. Raises DataError, with row and column: a value that is
    infinite, or, once encoded, too large for float32 (which `robust` and `quantile` never are);
    another number of columns.

    >>> x = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> apply(fit(x).encoding, np.array([[3.0], [7.0], [1e30], [np.nan]])).ravel()
    array([0.  , 1.664, 3.  , 0.  ], dtype=float32)
    """
    d = len(encoding.center)
    if _width(x) != d or (isinstance(x, np.ndarray) and x.ndim != 2):
        given = f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else f"{len(x)}"
        raise DataError(f"{what}: expected {d} columns, given {given}")
    source = _Source(x, rows, names, what, where)
    if out is None:
        out = np.empty((len(source), encoding.width), np.float32)
    bounded = encoding.how in ("robust", "quantile")
    for part, chunk in _chunks(source):
        _refuse_infinite(source, part.start, chunk)
        gaps = np.isnan(chunk) if chunk.dtype.kind == "f" else None
        with np.errstate(over="ignore", invalid="ignore"):
            out[part, :d] = _scaled(encoding, chunk, gaps)
        if not bounded:
            _refuse_overflow(source, part.start, chunk, out[part, :d])
        out[part, d:] = 0 if gaps is None else gaps[:, encoding.indicator]
    return out


def check(
    x: Columns,
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
    where: Callable[[int], str] | None = None,
) -> None:
    """A DataError that names row and column if x holds an infinity.

    >>> check(np.array([[1.0, np.nan]]))
    """
    source = _Source(x, rows, names, what, where)
    if isinstance(x, np.ndarray) and x.dtype.kind != "f":
        return
    for part, chunk in _chunks(source):
        _refuse_infinite(source, part.start, chunk)


def newly_missing(encoding: Encoding, x: Columns) -> Array:
    """Missing values of each column that had none in the training rows: int64 (d,).

    >>> newly_missing(fit(np.array([[1.0], [2.0]])).encoding, np.array([[np.nan], [1.0]]))
    array([1])
    """
    count = np.zeros(len(encoding.center), np.int64)
    if isinstance(x, np.ndarray) and x.dtype.kind != "f":
        return count
    for column in np.flatnonzero(~encoding.indicator):
        cells = x[:, column] if isinstance(x, np.ndarray) else x[column]
        count[column] = np.count_nonzero(np.isnan(cells))
    return count


def to_json(encoding: Encoding) -> list[dict[str, Any]]:
    """A record a column, of numbers and lists only; `from_json` gives back the very same values.

    >>> to_json(fit(np.array([[1.0], [2.0], [3.0]])).encoding)
    [{'center': 2.0, 'scale': 1.0, 'fill': 2.0, 'indicator': False}]
    """
    fields = (encoding.center, encoding.scale, encoding.fill, encoding.indicator)
    keys = ("center", "scale", "fill", "indicator")
    records = [
        dict(zip(keys, row, strict=True))
        for row in zip(*(field.tolist() for field in fields), strict=True)
    ]
    for record, found in zip(records, encoding.quantiles, strict=False):
        record["quantiles"] = found.tolist()
    return records


def from_json(records: Sequence[Mapping[str, Any]], how: str) -> Encoding:
    """The encoding that `to_json` wrote. Raises DataError if the records are none.

    >>> from_json([{"center": 0.0, "scale": 1.0, "fill": 0.0, "indicator": False}], "none").scale
    array([1.])
    """
    damaged = "schema: the encoding of the numeric columns is damaged"
    try:
        center, scale, fill = (
            np.array([float(record[key]) for record in records], np.float64)
            for key in ("center", "scale", "fill")
        )
        indicator = np.array([record["indicator"] is True for record in records], bool)
        found: tuple[Array, ...] = ()
        if how == "quantile":
            found = tuple(np.array(record["quantiles"], np.float64) for record in records)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{damaged}: {error!r}") from error
    numbers = (center, scale, fill, *found)
    if how not in HOWS or not all(np.isfinite(array).all() for array in numbers):
        raise DataError(f"{damaged}: its numbers must be finite, its scale one of {values(HOWS)}")
    rising = all(each.ndim == 1 and each.size > 1 and np.all(np.diff(each) >= 0) for each in found)
    if (scale < 0).any() or not rising:
        raise DataError(f"{damaged}: a scale is negative, or quantiles do not rise")
    return Encoding(center, scale, fill, indicator, how, found)


def _fit_block(block: Array, how: str) -> Fitted:
    """The encoding of some columns."""
    found = spread(block)
    number = len(found.low)
    center, scale = np.zeros(number), np.ones(number)
    quantiles: tuple[Array, ...] = ()
    if how == "robust":
        distance = found.q75 - found.q25
        center = found.median
        scale = np.where(distance == 0, (found.high - found.low) / 2, distance)
    elif how == "standard":
        center, scale = mean_and_deviation(block)
    elif how == "quantile":
        quantiles = tuple(_quantiles(block[:, column]) for column in range(number))
    if how != "none":
        constant = found.low == found.high
        center = np.where(constant, found.low, center)
        scale = np.where(constant, 0.0, scale)
    indicator = (found.missing > 0) & (found.missing < len(block))
    return Fitted(Encoding(center, scale, found.median, indicator, how, quantiles), found)


def _quantiles(column: Array) -> Array:
    cells = column.astype(np.float64)
    cells = cells[~np.isnan(cells)]
    return quantile.fit(cells if cells.size else np.zeros(1))


def _joined(pieces: Sequence[Fitted], how: str) -> Fitted:
    """The encodings of consecutive columns as one."""

    def together(arrays: list[Array]) -> Array:
        return np.concatenate(arrays) if arrays else np.empty(0)

    codes = [piece.encoding for piece in pieces]
    center, scale, fill, indicator = (
        together([code[field] for code in codes])  # type: ignore[misc]
        for field in range(4)
    )
    quantiles = tuple(found for code in codes for found in code.quantiles)
    encoding = Encoding(center, scale, fill, indicator.astype(bool), how, quantiles)
    spreads = [piece.spread for piece in pieces]
    return Fitted(encoding, Spread(*(together([s[i] for s in spreads]) for i in range(6))))


def _scaled(encoding: Encoding, chunk: Array, gaps: Array | None) -> Array:
    """u of each cell, float64."""
    u = chunk.astype(np.float64)
    if gaps is not None and gaps.any():
        u = np.where(gaps, encoding.fill, u)
    if encoding.how == "quantile":
        for column, found in enumerate(encoding.quantiles):
            u[:, column] = quantile.apply(found, u[:, column])
    elif encoding.how != "none":
        u -= encoding.center
        u /= np.where(encoding.scale == 0, 1.0, encoding.scale)
    if encoding.how == "robust":
        _smooth_clip(u, _CLIP)
    u[:, encoding.scale == 0] = 0.0
    return u


def _smooth_clip(u: Array, bound: float) -> None:
    """u / sqrt(1 + (u / bound)^2), in place. An overflow met before ends at the bound."""
    np.clip(u, -_HUGE, _HUGE, out=u)
    root = u / bound
    root *= root
    root += 1.0
    np.sqrt(root, out=root)
    u /= root


def _length(x: Columns) -> int:
    return len(x) if isinstance(x, np.ndarray) else len(x[0]) if x else 0


def _width(x: Columns) -> int:
    return x.shape[-1] if isinstance(x, np.ndarray) else len(x)


def _block(x: Columns, rows: Array | slice | None, columns: slice) -> Array:
    """Some rows of some columns, as an array."""
    if isinstance(x, np.ndarray):
        return x[:, columns] if rows is None else x[:, columns][rows]
    return np.stack([each if rows is None else each[rows] for each in x[columns]], axis=1)


def _chunks(source: _Source) -> Iterator[tuple[slice, Array]]:
    """Some rows at a time, and where they stand among the rows looked at."""
    x, rows = source.x, source.rows
    if _width(x) == 0:
        return
    step = max(1, _CELLS_AT_A_TIME // _width(x))
    for start in range(0, len(source), step):
        part = slice(start, min(start + step, len(source)))
        yield part, _block(x, part if rows is None else rows[part], slice(None))


def _refuse_infinite(source: _Source, start: int, chunk: Array) -> None:
    """An error for the first infinity of the chunk, which begins at `start`."""
    if chunk.dtype.kind != "f" or not np.isinf(chunk).any():
        return
    row, column = (int(i) for i in np.argwhere(np.isinf(chunk))[0])
    raise DataError(
        f"{_place(source, start + row, column)} is {float(chunk[row, column])}: features must be "
        f"finite or missing (NaN); mend it, or make it missing: X[np.isinf(X)] = np.nan"
    )


def _refuse_overflow(source: _Source, start: int, chunk: Array, encoded: Array) -> None:
    """An error for the first value that float32 cannot hold once it is encoded."""
    if np.isfinite(encoded).all():
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(encoded))[0])
    raise DataError(
        f"{_place(source, start + row, column)} is {float(chunk[row, column])!r}: too large for "
        f"float32 once it is encoded; data.scale: robust bounds every value"
    )


def _refuse_wide(source: _Source, start: int, piece: Fitted) -> None:
    """An error for the first column whose spread overflows float64."""
    code = piece.encoding
    sound = np.isfinite(code.center) & np.isfinite(code.scale) & np.isfinite(code.fill)
    for column, found in enumerate(code.quantiles):
        sound[column] &= bool(np.isfinite(found).all())
    wide = np.flatnonzero(~sound)
    if wide.size:
        raise DataError(
            f"{source.what}: {_column(source, start + int(wide[0]))} spans more than float64 can "
            f"hold; divide it by a constant or leave it out"
        )


def _place(source: _Source, row: int, column: int) -> str:
    number = row if source.rows is None else int(source.rows[row])
    if source.where is not None:
        return f"{source.where(number)}, {_column(source, column)}"
    return f"{source.what}: row {number} (counted from 0), {_column(source, column)}"


def _column(source: _Source, column: int) -> str:
    names = source.names
    return f"column {column}" if names is None else f"column {names[column]!r} ({column})"
