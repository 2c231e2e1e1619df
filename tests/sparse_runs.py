"""Small runs on sparse rows, and files of such rows; made here, trained for a moment."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

import jaxnet
from jaxnet.data import sparse, xc_reader

FEATURES, LABELS = 30, 12
HEADS = ("dense", "linear_blocks")
_FOLDER = tempfile.TemporaryDirectory(prefix="jaxnet-sparse-runs-")  # goes with the process


class Made(NamedTuple):
    """A finished run, the file that it was tested on, and the names of its labels."""

    run: Path
    test: Path
    names: list[str]


def write_xc(path: Path, rows: int, *, seed: int = 0, header: bool = True) -> Path:
    """XC text: labels follow from features. Row 3 has neither, row 5 has no labels."""
    rng = np.random.default_rng(seed)
    lines = [f"{rows} {FEATURES} {LABELS}"] if header else []
    for row in range(rows):
        features = np.sort(rng.choice(FEATURES, int(rng.integers(2, 7)), replace=False))
        labels = np.unique(features[:3] % LABELS)
        pairs = " ".join(f"{j}:{rng.uniform(0.2, 1):.3f}" for j in features)
        lines.append(
            " " if row == 3 else f"{'' if row == 5 else ','.join(map(str, labels))} {pairs}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def write_npz(folder: Path, xc: Path) -> tuple[Path, Path]:
    """The rows of XC text and their labels as two sparse .npz files."""
    table = xc_reader.read(xc)
    assert table.labels is not None
    paths = folder / "X.npz", folder / "Y.npz"
    for path, part in zip(paths, (table.x, table.labels), strict=True):
        scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(sparse.to_scipy(part)))
    return paths


@cache
def finished(head: str) -> Made:
    """One run for all tests of a process: who changes it takes a copy."""
    return make(Path(_FOLDER.name) / head, head)


def make(folder: Path, head: str, *, named: bool = True, **changes: Any) -> Made:
    """Train on 200 rows and test on 150."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"label {label}, {label}" if label == 1 else f"l{label}" for label in range(LABELS)]
    (folder / "names.txt").write_text("\n".join(names) + "\n")
    config = {
        "task": "multilabel",
        "data": {
            "train": str(write_xc(folder / "train.txt", 200)),
            "test": str(write_xc(folder / "test.txt", 150, seed=1)),
            **({"label_names": str(folder / "names.txt")} if named else {}),
        },
        "model": {"head": head, "hidden": [16]},
        "training": {"epochs": 2, "early_stopping": None},
        "optimizer": {"learning_rate": 0.03},
        "report": False,
    }
    done = jaxnet.train(config, run_dir=folder / "run", progress=False, **changes)
    return Made(done.directory, folder / "test.txt", names)
