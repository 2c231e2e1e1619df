"""Rows of a file in pieces, the next one read while the last is used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from jaxnet.data import arrays, dataset, readers
from jaxnet.data.frame import Frame
from jaxnet.data.new_rows import Encoded, Ready
from jaxnet.data.table import Array

_ROWS = 65_536  # of a piece, at most
_CELLS = 1 << 22  # of a piece, at most: wide tables come in fewer rows at once
_FEWEST = 64

T = TypeVar("T")


class Piece(NamedTuple):
    """Some rows. x: a frame, or an array; encoded: inputs of the network; share: of the file that
    is read by now."""

    x: Frame | Array
    encoded: Encoded
    share: float


def is_npz(path: str | Path) -> bool:
    """Whether a file holds arrays, by its name."""
    return Path(path).name.lower().endswith(".npz")


def rows_at_once(columns: int, outputs: int) -> int:
    """How many rows make a piece.

    >>> rows_at_once(20, 2), rows_at_once(784, 10)
    (65536, 5349)
    """
    return max(_FEWEST, min(_ROWS, _CELLS // max(columns, outputs, 1)))


def of_table(path: Path, known: Ready, rows: int) -> Iterator[Piece]:
    """The rows of a .csv, .csv.gz or .parquet file. Raises DataError with the line."""
    total = max(readers.count_hint(path).total, 1)
    done = [0]

    def told(amount: int) -> None:
        done[0] = amount

    for frame in readers.stream(path, rows, progress=told):
        yield Piece(frame, dataset.encode_frame(known, frame), min(done[0] / total, 1.0))


def of_array(x: Array, name: str, known: Ready, rows: int) -> Iterator[Piece]:
    """The rows of an array. Raises DataError that names the slice, and the row within it."""
    for start in range(0, max(len(x), 1), rows):
        part = x[start : start + rows]
        what = name if len(part) == len(x) else f"{name}[{start}:{start + len(part)}]"
        encoded = dataset.encode_frame(known, part, what=what)
        yield Piece(part, encoded, (start + len(part)) / max(len(x), 1))


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
