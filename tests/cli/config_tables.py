"""Small tables for `jaxnet config init`."""

import csv
import gzip
from pathlib import Path

import numpy as np

ROWS = 60


def write(path: Path, columns: dict[str, list[object]]) -> Path:
    """A CSV file of these columns."""
    text = gzip.open if path.suffix == ".gz" else open
    with text(path, "wt", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(columns)
        lines.writerows(zip(*columns.values(), strict=True))
    return path


def features() -> dict[str, list[object]]:
    """Columns without a label, a number and a category with missing cells among them."""
    draw = np.random.default_rng(0)
    jobs = draw.choice(["clerk", "judge", "?", "cook"], ROWS).tolist()
    return {"age": draw.integers(18, 90, ROWS).tolist(), "job": jobs}


def cells(*choices: object) -> list[object]:
    """These cells over and over."""
    return [choices[i % len(choices)] for i in range(ROWS)]
