"""Accuracy on sets of labels: recipes beside nearest neighbours.

    .venv/bin/python scripts/bench_labels.py TRAIN TEST [--recipes NAME ...] [--neighbours 50]

TRAIN and TEST are XC text files. Each recipe is a `jaxnet train` with the overrides that are
printed; its settings were chosen by the validation rows, whose P@1 stands beside the test figures.
Neighbours: the labels of the rows with the greatest cosine, each weighed by it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import jaxnet
from jaxnet.data import sparse, xc_reader
from jaxnet.training.metrics import best

BASE = {
    "model.activation": "tanh",
    "model.init": "ntk",
    "optimizer.learning_rate": 0.06,
    "optimizer.schedule.name": "cosine",
    "training.early_stopping": None,
    "report": False,
}
HIDDEN = {"model.hidden": [512], "model.dropout": 0.5, "model.input_dropout": 0.3}
RECIPES: dict[str, dict[str, Any]] = {
    "defaults": {"training.epochs": 10, "report": False},
    "512": {**BASE, **HIDDEN, "training.batch_size": 512, "training.epochs": 6},
    "512, he": {
        **BASE, **HIDDEN, "model.init": "he", "optimizer.learning_rate": 2e-3,
        "training.batch_size": 512, "training.epochs": 6,
    },
    "1024": {
        **BASE, "model.hidden": [1024], "model.dropout": 0.6, "model.input_dropout": 0.15,
        "training.batch_size": 512, "training.epochs": 6,
    },
    "512, batches of 128": {**BASE, **HIDDEN, "training.batch_size": 128, "training.epochs": 10},
    "512, less dropout": {
        **BASE, "model.hidden": [512], "model.dropout": 0.3, "model.input_dropout": 0.2,
        "training.batch_size": 256, "training.epochs": 10,
    },
}  # fmt: skip
NEIGHBOURS_AT_ONCE = 500  # rows


def trained(train: Path, test: Path, recipe: dict[str, Any], validation: float) -> list[float]:
    """Validation P@1; test P@1, P@3, P@5."""
    config = {
        "task": "multilabel",
        "data": {
            "train": str(train.resolve()),
            "test": str(test.resolve()),
            "split": {"validation": validation},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        run = jaxnet.train(config, run_dir=f"{folder}/run", progress=False, **recipe)
    own = run.metrics["test"]
    figures = [run.metrics["validation"]["precision_at_1"]]
    figures += [own[f"precision_at_{k}"] for k in (1, 3, 5)]
    return [float(figure or "nan") for figure in figures]


def neighbours(train: Path, test: Path, number: int) -> list[float]:
    """Test P@1, P@3, P@5 of the nearest training rows; no validation rows are needed."""
    known, new = xc_reader.read(train), xc_reader.read(test)
    assert known.labels is not None
    assert new.labels is not None
    x, z = (sparse.to_scipy(sparse.of_length_one(table.x)) for table in (known, new))
    y, found = sparse.to_scipy(known.labels), []
    for start in range(0, z.shape[0], NEIGHBOURS_AT_ONCE):
        near = (z[start : start + NEIGHBOURS_AT_ONCE] @ x.T).toarray()
        least = np.partition(near, -number, axis=1)[:, -number, None]
        scores = np.where(near >= least, near, 0) @ y
        found.append(np.argsort(-scores, axis=1, kind="stable")[:, :5])
    labels = np.concatenate(found)
    own = new.labels
    ranked = best.ranked(labels, np.zeros(labels.shape), own.indptr, own.indices, own.labels)
    scores = best.rankings(ranked)
    return [float("nan"), *(float(scores[f"precision_at_{k}"].value or 0) for k in (1, 3, 5))]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--neighbours", type=int, metavar="N", help="as many nearest rows")
    parser.add_argument("--validation", type=float, default=0.1, help="share of rows (0.1)")
    args = parser.parse_args()
    for name in args.recipes:
        settings = (f"{key}={json.dumps(value)}" for key, value in RECIPES[name].items())
        print(f"{name}: {' '.join(settings)}")
    print(f"\n| {args.test.name} | validation P@1 | test P@1 | P@3 | P@5 | seconds |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in args.recipes:
        begun = time.perf_counter()
        figures = trained(args.train, args.test, RECIPES[name], args.validation)
        _row(name, figures, begun)
    if args.neighbours:
        begun = time.perf_counter()
        figures = neighbours(args.train, args.test, args.neighbours)
        _row(f"{args.neighbours} nearest neighbours", figures, begun)


def _row(name: str, figures: list[float], begun: float) -> None:
    cells = ["" if np.isnan(figure) else f"{100 * figure:.1f}" for figure in figures]
    print(f"| {name} | {' | '.join(cells)} | {time.perf_counter() - begun:.0f} |", flush=True)


if __name__ == "__main__":
    main()
