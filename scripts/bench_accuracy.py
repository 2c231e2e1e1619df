"""How accurate are the shipped configs? Each is trained with data.split.seed 0 to 4.

.venv/bin/python scripts/bench_accuracy.py
"""

import statistics
import tempfile
from pathlib import Path

import jaxnet

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
METRICS = {"binary": "roc_auc", "multiclass": "accuracy", "multilabel": "micro_f1"}


def main() -> None:
    """Train every config five times and print the test metric of each split and their mean."""
    print("| config | metric | mean | seeds 0 to 4 |\n|---|---|---:|---|")
    for name, metric in METRICS.items():
        found = []
        for seed in range(5):
            with tempfile.TemporaryDirectory() as folder:
                run = jaxnet.train(
                    CONFIGS / f"{name}.yaml",
                    run_dir=f"{folder}/run",
                    progress=False,
                    **{"data.split.seed": seed},
                )
            value = run.metrics["test"][metric]
            assert value is not None
            found.append(value)
        each = ", ".join(f"{value:.4f}" for value in found)
        print(f"| {name}.yaml | {metric} | {statistics.mean(found):.4f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
