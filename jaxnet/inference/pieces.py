"""Rows of a file in pieces, the next one read while the last is used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from jaxnet.data import arrays, dataset, readers, sparse, sparse_npz, sparse_sets, xc_reader
from jaxnet.data.frame import Frame
from jaxnet.data.new_rows import Encoded, Ready
from jaxnet.data.sparse import SparseRows
from jaxnet.data.sparse_entries import LARGEST
from jaxnet.data.table import Array
from jaxnet.errors import DataError

_ROWS = 65_536  # of a piece, at most
_CELLS = 1 << 22  # of a piece, at most: wide tables come in fewer rows at once
_FEWEST = 64

T = TypeVar("T")


class Piece(NamedTuple):
    """Some rows. x: a frame, an array, or sparse rows; encoded: inputs of the network; share: of
    the file that is read by now."""

    x: Frame | Array | SparseRows
    encoded: Encoded | sparse_sets.Encoded
    share: float


def is_npz(path: str | Path) -> bool:
    """Whether a file holds arrays, by its name."""
    return Path(path).name.lower().endswith(".npz")


def refuse_other_kind(known: Ready | sparse_sets.Ready, path: Path) -> None:
    """Sparse rows are for runs on sparse rows, tables for runs on tables. Raises DataError."""
    given = sparse_sets.is_sparse(path)
    if not isinstance(known, sparse_sets.Ready):
        if given:
            raise DataError(
                f"{path}: sparse rows, and the model was trained on a table or an array; give it "
                "rows of that kind"
            )
    elif not given and not is_npz(path):
        raise DataError(
            f"{path}: the model was trained on sparse rows; give it XC text (.txt, .txt.gz) or a "
            "sparse .npz file"
        )


def rows_at_once(columns: int, outputs: int) -> int:
    """How many rows make a piece.

    >>> rows_at_once(20, 2), rows_at_once(784, 10)
    (65536, 5349)
    """
    return max(_FEWEST, min(_ROWS, _CELLS // max(columns, outputs, 1)))


def of_table(path: Path, known: Ready | sparse_sets.Ready, rows: int) -> Iterator[Piece]:
    """The rows of a .csv, .csv.gz or .parquet file. Raises DataError with the line."""
    total = max(readers.count_hint(path).total, 1)
    done = [0]

    def told(amount: int) -> None:
        done[0] = amount

    for frame in readers.stream(path, rows, progress=told):
        yield Piece(frame, dataset.encode_frame(known, frame), min(done[0] / total, 1.0))


def of_array(x: Array, name: str, known: Ready | sparse_sets.Ready, rows: int) -> Iterator[Piece]:
    """The rows of an array. Raises DataError that names the slice, and the row within it."""
    for start in range(0, max(len(x), 1), rows):
        part = x[start : start + rows]
        what = name if len(part) == len(x) else f"{name}[{start}:{start + len(part)}]"
        encoded = dataset.encode_frame(known, part, what=what)
        yield Piece(part, encoded, (start + len(part)) / max(len(x), 1))


def of_sparse(path: Path, known: sparse_sets.Ready, rows: int) -> Iterator[Piece]:
    """The rows of XC text, whose labels are passed over and whose first line may be missing, or of
    a sparse .npz file. Raises DataError with the line."""
    if not xc_reader.is_xc(path):
        x = sparse_npz.read_features(path)
        for start in range(0, len(x), rows):
            part = sparse.part(x, start, start + rows)
            encoded = sparse_sets.encode(known, part, str(path))
            yield Piece(part, encoded, (start + len(part)) / len(x))
        return
    total, done = max(path.stat().st_size, 1), [0]

    def told(amount: int) -> None:
        done[0] = amount

    without = xc_reader.assumed(known.width, LARGEST)
    for table in xc_reader.stream(path, rows, progress=told, without=without):
        encoded = sparse_sets.encode(known, table.x, str(path))
        yield Piece(table.x, encoded, min(done[0] / total, 1.0))


def features_of(path: Path) -> tuple[Array, str]:
    """The array X of an .npz file, with or without labels, and what to call it in errors."""
    found = arrays.read_features(path)
    return np.asarray(found.x), f"{path}: 'X'"


@contextmanager
def ahead(pieces: Iterator[T], *, poll: Callable[[], None]) -> Iterator[Iterator[T]]:
    """The same pieces, the next one made in a thread of its own while the last is used.

    Args:
        poll: called before each; what it raises ends the iteration.
    """
    pool = ThreadPoolExecutor(1)

    def each() -> Iterator[T]:
        following = pool.submit(next, pieces, None)
        while True:
            poll()
            piece = following.result()
            if piece is None:
                return
            following = pool.submit(next, pieces, None)
            yield piece

    try:
        yield each()
    finally:
        pool.shutdown()  # a piece that is being made is finished first
        if isinstance(pieces, Generator):
            pieces.close()  # and with it the file
