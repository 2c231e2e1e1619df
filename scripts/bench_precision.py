"""What does bfloat16 gain, and what does it cost in accuracy? Both trained to the end on real data.

    .venv/bin/python scripts/bench_precision.py path/to/fashion_mnist.npz [--seeds N] [--epochs N]

The file holds X_train, y_train, X_test and y_test. The network is 1024-1024 behind the columns of
the file, batch 512. Precisions take turns, seed by seed; seconds are those of training alone.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from bench_training import machine

import jaxnet


def train(path: Path, precision: str, seed: int, epochs: int) -> tuple[float, float]:
    """(test accuracy, training seconds) of one run."""
    config = {
        "task": "multiclass",
        "data": {"train": str(path.resolve())},
        "model": {"hidden": [1024, 1024]},
        "training": {
            "batch_size": 512,
            "epochs": epochs,
            "seed": seed,
            "precision": precision,
            "early_stopping": None,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        run = jaxnet.train(config, run_dir=f"{folder}/run", progress=False)
        lines = (run.directory / "events.jsonl").read_text().splitlines()
    accuracy = run.metrics["test"]["accuracy"]
    assert accuracy is not None
    return accuracy, json.loads(lines[-1])["seconds"]["train"]


def main() -> None:
    """Train with both precisions and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    print(f"{machine()}\n\n| seed | float32 accuracy | s | bfloat16 accuracy | s | faster by |")
    print("|---|---:|---:|---:|---:|---:|")
    differences, ratios = [], []
    for seed in range(args.seeds):
        exact, slow = train(args.path, "float32", seed, args.epochs)
        rounded, fast = train(args.path, "bfloat16", seed, args.epochs)
        differences.append(100 * (rounded - exact))
        ratios.append(slow / fast)
        row = f"| {seed} | {exact:.4f} | {slow:.1f} | {rounded:.4f} | {fast:.1f} |"
        print(f"{row} {ratios[-1]:.2f} |", flush=True)
    print(f"\nmean difference of accuracy {statistics.mean(differences):+.2f} points, ", end="")
    print(f"median speed {statistics.median(ratios):.2f} times float32")


if __name__ == "__main__":
    main()
