"""From columns of any scale to float32 inputs of a network: fitted on training rows only.

robust:   u = (x - median) / (q75 - q25), or (max - min) / 2 where the quartiles coincide;
          then u / sqrt(1 + (u / 3)^2), a smooth clip to (-3, 3). After RealMLP (Holzmueller et
          al.: Better by default, 2024).
standard: u = (x - mean) / (standard deviation over the n rows)
none:     x as it is

A column that is constant in the training rows is encoded as 0 (robust, standard). All arithmetic
is float64, rounded to float32 once at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data.places import values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

HOWS = ("robust", "standard", "none")

_CLIP = 3.0
_HUGE = 1e100  # beyond this the smooth clip has long reached its limit, and squares still fit
_CELLS_AT_A_TIME = 2**18  # 2 MiB of float64, which stay in the cache
_FIT_CELLS_AT_A_TIME = 2**21
_FIT_COLUMNS_AT_A_TIME = 1024
_QUARTILES = (0.25, 0.5, 0.75)


class Encoding(NamedTuple):
    """How each of the d columns is encoded.

    center, scale: float64 (d,); scale 0 marks a column that was constant: it becomes 0.
    clip: the bound of the smooth clip, None for none. how: robust, standard or none.
    """

    center: Array
    scale: Array
    clip: float | None
    how: str


class _Spread(NamedTuple):
    """Center and scale of some columns, and their least and largest value; each (columns,)."""

    center: Array
    scale: Array
    low: Array
    high: Array


class _Source(NamedTuple):
    """The rows of x that are looked at (None: all), and what errors call its columns and itself."""

    x: Array
    rows: Array | None
    names: Sequence[str] | None
    what: str

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)


def fit(
    x: Array,
    how: str = "robust",
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
) -> Encoding:
    """The encoding of the columns of x (n, d), fitted on `rows` (row numbers; None: all).

    `names` of the columns and `what`, the name of the array, serve the errors. Raises DataError:
    unknown `how`, no rows, values that are infinite or missing, a column too wide for float64.

    >>> encoding = fit(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), "robust")
    >>> encoding.center, encoding.scale
    (array([3.]), array([2.]))
    """
    source = _Source(x, rows, names, what)
    if how not in HOWS:
        raise DataError(f"data.scale: {how!r} is unknown; known are {values(HOWS)}")
    if len(source) == 0:
        raise DataError(f"{what}: no rows to fit the scale on")
    check(x, rows=rows, names=names, what=what)
    d = x.shape[1]
    center, scale = np.zeros(d), np.ones(d)
    if how == "none":
        return Encoding(center, scale, None, how)
    step = min(max(1, _FIT_CELLS_AT_A_TIME // len(source)), _FIT_COLUMNS_AT_A_TIME)
    for start in range(0, d, step):
        columns = slice(start, start + step)
        block = x[:, columns] if rows is None else x[:, columns][rows]
        with np.errstate(over="ignore", invalid="ignore"):
            spread = _SPREADS[how](block)
        _refuse_wide(source, start, spread)
        constant = spread.low == spread.high
        center[columns] = np.where(constant, spread.low, spread.center)
        scale[columns] = np.where(constant, 0.0, spread.scale)
    return Encoding(center, scale, _CLIP if how == "robust" else None, how)


def apply(
    encoding: Encoding,
    x: Array,
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
) -> Array:
    """The `rows` of x (n, d) encoded (None: all): float32 (rows, d).

    Works through a few rows at a time, so beside the result it needs no memory to speak of.
    Raises DataError, with row and column: a value that is missing, infinite, or, once encoded,
    too large for float32 (which `robust` never is); another number of columns.

    >>> x = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    >>> apply(fit(x), np.array([[3.0], [7.0], [1e30]])).ravel()
    array([0.  , 1.664, 3.  ], dtype=float32)
    """
    if x.ndim != 2 or x.shape[1] != len(encoding.center):
        raise DataError(
            f"{what}: expected {len(encoding.center)} columns, given an array of shape {x.shape}"
        )
    source = _Source(x, rows, names, what)
    out = np.empty((len(source), x.shape[1]), np.float32)
    constant = np.flatnonzero(encoding.scale == 0)
    divisor = np.where(encoding.scale == 0, 1.0, encoding.scale)
    for part, chunk in _chunks(source):
        _refuse_not_finite(source, part.start, chunk)
        with np.errstate(over="ignore", invalid="ignore"):
            u = chunk.astype(np.float64)
            u -= encoding.center
            u /= divisor
            if encoding.clip is not None:
                _smooth_clip(u, encoding.clip)
            u[:, constant] = 0.0
            out[part] = u
        if encoding.clip is None:
            _refuse_overflow(source, part.start, chunk, out[part])
    return out


def check(
    x: Array,
    *,
    rows: Array | None = None,
    names: Sequence[str] | None = None,
    what: str = "X",
) -> None:
    """A DataError that names row and column if x (n, d) holds a NaN or an infinity.

    >>> check(np.array([[1.0, 2.0]]))
    """
    if x.dtype.kind == "f":
        source = _Source(x, rows, names, what)
        for part, chunk in _chunks(source):
            _refuse_not_finite(source, part.start, chunk)


def to_json(encoding: Encoding) -> dict[str, Any]:
    """Numbers, texts and lists only; `from_json` gives back the very same float64 values.

    >>> to_json(Encoding(np.array([0.5]), np.array([2.0]), 3.0, "robust"))
    {'how': 'robust', 'center': [0.5], 'scale': [2.0], 'clip': 3.0}
    """
    return {
        "how": encoding.how,
        "center": encoding.center.tolist(),
        "scale": encoding.scale.tolist(),
        "clip": encoding.clip,
    }


def from_json(record: Mapping[str, Any]) -> Encoding:
    """The encoding that `to_json` wrote. Raises DataError if the record is not one.

    >>> from_json({"how": "none", "center": [0.0], "scale": [1.0], "clip": None}).scale
    array([1.])
    """
    damaged = "schema: the encoding of the features is damaged"
    try:
        center = np.array(record["center"], dtype=np.float64)
        scale = np.array(record["scale"], dtype=np.float64)
        clip = None if record["clip"] is None else float(record["clip"])
        how = str(record["how"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{damaged}: {error!r}") from error
    sound = center.ndim == 1 and center.shape == scale.shape and how in HOWS
    if not (sound and np.isfinite(center).all() and np.isfinite(scale).all()):
        raise DataError(f"{damaged}: center and scale must be finite numbers, one for each column")
    if (scale < 0).any() or (clip is not None and not 0 < clip < _HUGE):
        raise DataError(f"{damaged}: scale or clip is negative")
    return Encoding(center, scale, clip, how)


def _smooth_clip(u: Array, bound: float) -> None:
    """u / sqrt(1 + (u / bound)^2), in place. An overflow met before ends at the bound."""
    np.clip(u, -_HUGE, _HUGE, out=u)
    root = u / bound
    root *= root
    root += 1.0
    np.sqrt(root, out=root)
    u /= root


def _robust(block: Array) -> _Spread:
    """Median, and the distance of the quartiles or half the range."""
    if block.dtype.itemsize == 1:
        low, q25, median, q75, high = _order_statistics(block)
    else:
        cells = block.astype(np.float64)
        low, high = cells.min(axis=0), cells.max(axis=0)
        q25, median, q75 = np.quantile(cells, _QUARTILES, axis=0)
    distance = q75 - q25
    return _Spread(median, np.where(distance == 0, (high - low) / 2, distance), low, high)


def _standard(block: Array) -> _Spread:
    """Mean and population standard deviation."""
    cells = block.astype(np.float64)
    return _Spread(cells.mean(axis=0), cells.std(axis=0), cells.min(axis=0), cells.max(axis=0))


_SPREADS: dict[str, Callable[[Array], _Spread]] = {"robust": _robust, "standard": _standard}


def _order_statistics(block: Array) -> tuple[Array, ...]:
    """Least value, quartiles and largest value of columns of 8 bits, by counting the values.

    Several times faster than sorting for images. Quantiles as NumPy's: linear between neighbours.
    """
    lowest = -128 if block.dtype.kind == "i" else 0
    columns = np.ascontiguousarray((block.astype(np.int16) - lowest).astype(np.uint8).T)
    number = np.stack([np.bincount(column, minlength=256) for column in columns])
    up_to = np.cumsum(number, axis=1)  # rows with a value up to this one

    def ordered(k: int) -> Array:
        """The k-th smallest value of each column, from 0."""
        return (up_to <= k).sum(axis=1).astype(np.float64) + lowest

    n = len(block)
    found = [ordered(0)]
    for quantile in _QUARTILES:
        place = quantile * (n - 1)
        below, above = ordered(int(place)), ordered(min(int(place) + 1, n - 1))
        found.append(below + (above - below) * (place - int(place)))
    return (*found, ordered(n - 1))


def _chunks(source: _Source) -> Iterator[tuple[slice, Array]]:
    """Some rows at a time, and where they stand among the rows looked at."""
    x, rows = source.x, source.rows
    step = max(1, _CELLS_AT_A_TIME // max(x.shape[1], 1))
    for start in range(0, len(source), step):
        part = slice(start, min(start + step, len(source)))
        yield part, x[part] if rows is None else x[rows[part]]


def _refuse_not_finite(source: _Source, start: int, chunk: Array) -> None:
    """An error for the first NaN or infinity of the chunk, which begins at `start`."""
    if chunk.dtype.kind != "f" or np.isfinite(chunk).all():
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(chunk))[0])
    value = float(chunk[row, column])
    place = _place(source, start + row, column)
    fix = "to leave such rows out: keep = np.isfinite(X).all(axis=1); X, y = X[keep], y[keep]"
    if value != value:
        raise DataError(f"{place} is NaN: missing values are not supported yet; {fix}")
    raise DataError(f"{place} is {value}: features must be finite; {fix}")


def _refuse_overflow(source: _Source, start: int, chunk: Array, encoded: Array) -> None:
    """An error for the first value that float32 cannot hold once it is encoded."""
    if np.isfinite(encoded).all():
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(encoded))[0])
    raise DataError(
        f"{_place(source, start + row, column)} is {float(chunk[row, column])!r}: too large for "
        f"float32 once it is encoded; data.scale: robust bounds every value"
    )


def _refuse_wide(source: _Source, start: int, spread: _Spread) -> None:
    """An error for the first column whose spread overflows float64."""
    wide = np.flatnonzero(~np.isfinite(spread.center) | ~np.isfinite(spread.scale))
    if wide.size:
        raise DataError(
            f"{source.what}: {_column(source, start + int(wide[0]))} spans more than float64 can "
            f"hold; divide it by a constant or leave it out"
        )


def _place(source: _Source, row: int, column: int) -> str:
    number = row if source.rows is None else int(source.rows[row])
    return f"{source.what}: row {number} (counted from 0), {_column(source, column)}"


def _column(source: _Source, column: int) -> str:
    names = source.names
    return f"column {column}" if names is None else f"column {names[column]!r} ({column})"
