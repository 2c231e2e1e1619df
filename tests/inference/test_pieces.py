"""Pieces of a file are read ahead, and not more than one of them."""

import os
import threading
import weakref
from pathlib import Path

import numpy as np

from jaxnet.inference import Model, pieces
from tests.run_maker import write_table


def test_memory_does_not_grow_with_the_rows(model: Model, tmp_path: Path) -> None:
    """At most two pieces are alive: the one in use, and the one that is read ahead."""
    path = write_table(tmp_path / "long.csv", 400, seed=5)
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0
    with pieces.ahead(pieces.of_table(path, model.encoder, 20), poll=lambda: None) as found:
        for piece in found:
            alive.append(weakref.ref(piece.encoded.x))
            del piece
            most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 20
    assert most <= 2


def test_reading_ahead_ends_with_the_work(model: Model, rows: Path) -> None:
    before = threading.active_count()
    open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    found = pieces.of_table(rows, model.encoder, 5)
    with pieces.ahead(found, poll=lambda: None) as each:
        next(each)
    assert threading.active_count() == before
    if open_files:
        assert len(os.listdir("/proc/self/fd")) == open_files
