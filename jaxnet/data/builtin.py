"""Built-in data sets: real data that scikit-learn carries along, read without any network.

`import sklearn.datasets` takes about a second (it loads SciPy's statistics, and pandas where that
is installed). So the two files are read where scikit-learn keeps them, which takes a few
hundredths of a second, and scikit-learn's own loader is called if they are not found there.
"""

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.data.places import nearest, values
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError
from jaxnet.files import MOST_TEXT, read_file

# Each attribute as the digits that have it. It belongs to the digit, not to the single image:
# printed, a 4 has a closed loop; as most people write it, it has none, so it is left out.
DIGIT_ATTRIBUTES: dict[str, tuple[int, ...]] = {
    "even": (0, 2, 4, 6, 8),
    "prime": (2, 3, 5, 7),
    "at_least_five": (5, 6, 7, 8, 9),
    "closed_loop": (0, 6, 8, 9),
    "square_number": (0, 1, 4, 9),
    "multiple_of_three": (0, 3, 6, 9),
    "power_of_two": (1, 2, 4, 8),
    "straight_strokes": (1, 4, 7),
}

_CELL_MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
)
_DIGIT_PIXELS = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))


class _Raw(NamedTuple):
    """Features (n, d) and integer target (n,)."""

    x: Array
    y: Array


def load(name: str) -> Table:
    """The built-in data set `name`, labels as scikit-learn codes them.

    - `breast_cancer`: 569 rows, 30 measures of cell nuclei; 0 = malignant, 1 = benign (the positive
      class).
    - `digits`: 1,797 handwritten digits as images of 8 x 8 pixels of 0 to 16; classes 0 to 9.
    - `digit_attributes`: the images of `digits` with eight labels that follow from the digit
      (`DIGIT_ATTRIBUTES`): even, prime, at least five, written with a closed loop, a square number,
      a multiple of three, a power of two, written in straight strokes. It is made from a multiclass
      set, so its labels depend on one another: a set to test multi-label training with, not a
      benchmark of it.

    Raises DataError for an unknown name.

    >>> table = load("digit_attributes")
    >>> table.x.shape, table.y.shape
    ((1797, 64), (1797, 8))
    >>> table.names[:3], table.y[3, :3]  # the fourth image shows a 3: odd, prime, less than five
    (('even', 'prime', 'at_least_five'), array([0, 1, 0], dtype=uint8))
    """
    if name not in _LOADERS:
        raise DataError(
            f"data.source: no built-in data set {name!r}{nearest(name, BUILTIN_SOURCES) or '.'} "
            f"Built-in: {values(BUILTIN_SOURCES)}. Own arrays: data: {{train: file.npz}}"
        )
    return _LOADERS[name]()


def _breast_cancer() -> Table:
    names = tuple(
        f"{kind} {measure}" if kind != "error" else f"{measure} error"
        for kind in ("mean", "error", "worst")
        for measure in _CELL_MEASURES
    )
    raw = _breast_cancer_file(_bundled("breast_cancer.csv"))
    if raw is None:
        from sklearn.datasets import load_breast_cancer

        raw = _Raw(*load_breast_cancer(return_X_y=True))
    return Table(raw.x, raw.y.astype(np.int64), names, ("malignant", "benign"))


def _digits() -> Table:
    raw = _digits_file(_bundled("digits.csv.gz"))
    if raw is None:
        from sklearn.datasets import load_digits

        raw = _Raw(*load_digits(return_X_y=True))
    names = tuple(str(digit) for digit in range(10))
    return Table(raw.x.astype(np.uint8), raw.y.astype(np.int64), _DIGIT_PIXELS, names)


def _digit_attributes() -> Table:
    digits = _digits()
    columns = [np.isin(digits.y, members) for members in DIGIT_ATTRIBUTES.values()]
    labels = np.stack(columns, axis=1).astype(np.uint8)
    return digits._replace(y=labels, names=tuple(DIGIT_ATTRIBUTES))


_LOADERS: dict[str, Callable[[], Table]] = {
    "breast_cancer": _breast_cancer,
    "digits": _digits,
    "digit_attributes": _digit_attributes,
}
BUILTIN_SOURCES: tuple[str, ...] = tuple(_LOADERS)


def _bundled(file: str) -> bytes | None:
    """The file that scikit-learn carries, found without importing it; None if it is elsewhere."""
    package = find_spec("sklearn")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        path = Path(folder) / "datasets" / "data" / file
        if path.is_file():
            return read_file(path, most=MOST_TEXT)
    return None


def _breast_cancer_file(content: bytes | None) -> _Raw | None:
    """First line: rows, columns, the two class names; then 30 measures and the class a line."""
    if content is None or not content.startswith(b"569,30,malignant,benign\n"):
        return None
    lines = content.decode("ascii").splitlines()[1:]
    cells = np.loadtxt(lines, delimiter=",", dtype=np.float64)
    return _Raw(cells[:, :-1], cells[:, -1]) if cells.shape == (569, 31) else None


def _digits_file(content: bytes | None) -> _Raw | None:
    """64 pixels and the digit a line, without a header."""
    if content is None:
        return None
    lines = gzip.decompress(content).decode("ascii").splitlines()
    cells = np.loadtxt(lines, delimiter=",", dtype=np.float64)
    return _Raw(cells[:, :-1], cells[:, -1]) if cells.shape == (1797, 65) else None
