"""Arrays from an .npz file, or from the caller, to tables: everything that can be wrong is said.

No pickle is ever read: an array of Python objects is refused.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data.places import nearest, refuse_absent, values
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError
from jaxnet.files import NotReadable, open_file

_HOW_TO_SAVE = "np.savez('data.npz', X=X, y=y)"
_FLOAT32_WHOLE = 2**24  # float32 holds every whole number up to here


class Matrix(NamedTuple):
    """Features as rows and columns. names: of the columns; notes: what was done to get there."""

    x: Array
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_npz(
    path: str | Path, features: str = "X", target: str = "y"
) -> tuple[Table, Table | None]:
    """The training table of an .npz file and its test table, if it holds one.

    Keys: `X` and `y` (or the names given), or `X_train` and `y_train`, with `X_test` and `y_test`
    beside either; optional: `class_names` (in the order of the sorted classes) or `label_names`
    (multi-label), `feature_names`.

    Shapes: X (n, d), or images (n, h, w) or (n, h, w, c), which are flattened; y (n,) or (n, K).

    Raises DataError: no such file, not an .npz file, a missing key, arrays of objects, text or
    complex numbers, sizes that disagree, no rows, no columns.

    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/toy.npz"
    >>> np.savez(file, X=np.zeros((4, 3)), y=np.array([0, 1, 0, 1]))
    >>> train, test = read_npz(file)
    >>> train.x.shape, train.feature_names, test
    ((4, 3), ('x0', 'x1', 'x2'), None)
    """
    path = Path(path)
    arrays = read_arrays(path)
    keys = (features, target)
    if not all(key in arrays for key in keys):
        fallback = (f"{features}_train", f"{target}_train")
        if any(key in arrays for key in keys) or not any(key in arrays for key in fallback):
            fallback = keys
        keys = fallback
    train = _table(path, arrays, *keys)
    test_keys = (f"{features}_test", f"{target}_test")
    if not any(key in arrays for key in test_keys):
        return train, None
    test = _table(path, arrays, *test_keys)
    if test.x.shape[1] != train.x.shape[1]:
        raise DataError(
            f"{path}: {keys[0]!r} has {train.x.shape[1]} columns and {test_keys[0]!r} "
            f"{test.x.shape[1]}: both must have the same"
        )
    return train, test


def read_features(path: str | Path, features: str = "X") -> Matrix:
    """The features of an .npz file, whether or not labels lie beside them.

    The key is `X` (or the name given), or `X_test`, or that of the only array there is.

    Raises DataError: as `read_npz`, but for the labels.

    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/rows.npz"
    >>> np.savez(file, X=np.zeros((4, 3)))
    >>> read_features(file).x.shape
    (4, 3)
    """
    path = Path(path)
    arrays = read_arrays(path)
    keys = (features, f"{features}_test", *(arrays if len(arrays) == 1 else ()))
    key = next((key for key in keys if key in arrays), None)
    if key is None:
        raise DataError(
            f"{path}: no key {features!r}{nearest(features, list(arrays))}. "
            f"The file holds {_contents(arrays)}; save the rows to predict as {features}: "
            f"np.savez('rows.npz', {features}=rows)"
        )
    found = as_matrix(arrays[key], f"{path}: {key!r}")
    if len(found.x) == 0:
        raise DataError(f"{path}: {key!r} has shape {arrays[key].shape}: no rows")
    return found


def as_matrix(x: Any, what: str = "X") -> Matrix:
    """Features as a real array of shape (n, d); images are flattened row by row.

    `what` names the array in errors. n may be 0. Raises DataError for the wrong number of axes,
    no columns, or values that are not real numbers.

    >>> as_matrix(np.zeros((5, 28, 28), np.uint8)).x.shape
    (5, 784)
    """
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise DataError(f"{what}: rows of different lengths do not make a table") from error
    _refuse_kind(array, what)
    names = tuple(f"x{i}" for i in range(array.shape[-1] if array.ndim else 0))
    notes: list[str] = []
    if array.ndim in (3, 4):
        pixels = list(np.ndindex(array.shape[1:]))
        names = tuple("pixel_" + "_".join(map(str, place)) for place in pixels)
        shape, array = array.shape, array.reshape(array.shape[0], len(pixels))
        notes.append(f"{what}: images of shape {shape} are flattened to {array.shape}")
    if array.ndim != 2:
        raise DataError(
            f"{what} has shape {array.shape}: expected rows and columns (n, d), or images (n, h, w)"
            f"{_axes_hint(array, what)}"
        )
    if array.shape[1] == 0:
        raise DataError(f"{what} has shape {array.shape}: no columns, so nothing to learn from")
    notes += _large_integers(array, what, names)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Matrix(native, names, tuple(notes))


def read_arrays(path: Path, how_to_save: str = _HOW_TO_SAVE) -> dict[str, Array]:
    """Every array of the file by its key. Raises DataError for what is no sound .npz file."""
    _refuse_path(path, how_to_save)
    arrays: dict[str, Array] = {}
    key = ""
    try:
        # Opened here: on a damaged archive np.load forgets to close what it opens itself.
        with open_file(path) as file, np.load(file, allow_pickle=False) as archive:
            for key in archive.files:
                arrays[key] = archive[key]
    except MemoryError as error:
        raise DataError(f"{path}: key {key!r} does not fit in memory") from error
    except NotReadable as error:
        raise DataError(str(error)) from None
    except Exception as error:  # a damaged header makes NumPy raise whatever there is
        if "Object arrays" in str(error):  # other errors, too, speak of pickles
            raise DataError(
                f"{path}: key {key!r} holds Python objects, which are pickled and never read. "
                f"Save text as y.astype(str), numbers as X.astype(float)"
            ) from error
        raise _damaged(path, key) from error
    strangers = [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise DataError(f"{path}: {values(strangers)}: not arrays. Save with {how_to_save}")
    return arrays


def _damaged(path: Path, key: str) -> DataError:
    where = f" at key {key!r}" if key else ""
    return DataError(f"{path}: the file is damaged or cut short{where}; copy or save it again")


def _refuse_path(path: Path, how_to_save: str) -> None:
    """A file that is there, can be read and begins like a zip archive, which an .npz file is."""
    refuse_absent(path)
    try:
        with open_file(path) as file:
            start = file.read(6)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if start == b"\x93NUMPY":
        raise DataError(f"{path}: one array (.npy); X and y are needed: {how_to_save}")
    if not start.startswith(b"PK"):
        raise DataError(f"{path}: not an .npz file; make one with {how_to_save}")


def _table(path: Path, arrays: dict[str, Array], features: str, target: str) -> Table:
    """The table under these two keys."""
    for key in (features, target):
        if key not in arrays:
            raise DataError(
                f"{path}: no key {key!r}{nearest(key, list(arrays)) or '.'} "
                f"The file holds {_contents(arrays)}. Name another with data.features, data.target"
            )
    x, names, notes = as_matrix(arrays[features], f"{path}: {features!r}")
    y = arrays[target]
    if len(x) == 0:
        raise DataError(f"{path}: {features!r} has shape {arrays[features].shape}: no rows")
    if y.ndim == 0 or len(y) != len(x):
        raise DataError(
            f"{path}: {features!r} has {len(x)} rows and {target!r} has shape {y.shape}: "
            f"one label (or one row of labels) is needed for each row"
        )
    given = _names(path, arrays, "feature_names")
    if given is not None:
        _check_feature_names(path, given, x.shape[1])
        names = given
    label_names = _names(path, arrays, "class_names") or _names(path, arrays, "label_names")
    return Table(x, y, names, label_names, notes)


def _names(path: Path, arrays: dict[str, Array], key: str) -> tuple[str, ...] | None:
    """The optional array of names under this key."""
    if key not in arrays:
        return None
    array = arrays[key]
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(
            f"{path}: {key!r} has shape {array.shape} and dtype {array.dtype}: "
            f"expected one text for each, np.array(['a', 'b'])"
        )
    text = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    return tuple(str(name) for name in text)


def _check_feature_names(path: Path, names: tuple[str, ...], columns: int) -> None:
    if len(names) != columns:
        raise DataError(f"{path}: {len(names)} names in 'feature_names' for {columns} columns")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path}: 'feature_names' holds {values(twice)} more than once")


def _contents(arrays: dict[str, Array]) -> str:
    """The keys of a file with their shapes."""
    if not arrays:
        return "nothing"
    return ", ".join(f"{key!r} {array.shape}" for key, array in arrays.items())


def _refuse_kind(array: Array, what: str) -> None:
    """Only booleans, integers and real floats are features."""
    reasons = {
        "O": "Python objects; make every column a number: X.astype(float)",
        "c": "complex numbers; give real and imaginary part as two columns: "
        "np.hstack([X.real, X.imag])",
        "U": "text; make every column a number: X.astype(float)",
        "S": "text; make every column a number: X.astype(float)",
        "T": "text; make every column a number: X.astype(float)",
        "M": "dates; give numbers, say days since a date: (X - X.min()) / np.timedelta64(1, 'D')",
        "m": "durations; give numbers: X / np.timedelta64(1, 's')",
    }
    if array.dtype.kind in "biuf":
        return
    reason = reasons.get(array.dtype.kind, "neither numbers nor booleans; try X.astype(np.float32)")
    raise DataError(f"{what} (dtype {array.dtype}) holds {reason}")


def _axes_hint(array: Array, what: str) -> str:
    """What to type for a vector."""
    if array.ndim != 1:
        return ""
    return ". One column: X.reshape(-1, 1); one row: X.reshape(1, -1)"


def _large_integers(array: Array, what: str, names: tuple[str, ...]) -> list[str]:
    """A note for integers that float32 cannot tell apart: often a number that is really a name."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 4 or array.size == 0:
        return []
    high, low = array.max(axis=0), array.min(axis=0)
    large = np.flatnonzero((high > _FLOAT32_WHOLE) | (low < -_FLOAT32_WHOLE))
    if not large.size:
        return []
    return [
        f"{what}: integers over 2^24 in {values(names[i] for i in large)}: features are float32 "
        f"after scaling, so neighbours may coincide; a column of identifiers is better left out"
    ]
