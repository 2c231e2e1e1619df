"""What do the defaults buy? Test log loss of each table with all defaults, and with one changed.

.venv/bin/python scripts/bench_defaults.py
    Small sets that scikit-learn carries, five splits each: the size of a batch, and what keeps the
    temperature of few rows near 1.

.venv/bin/python scripts/bench_defaults.py --data DIR [--sets adult,letter]
    Tables in DIR, one split each, as in bench_accuracy.py.

One line a change, one column a set; lower is better.
"""

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_accuracy import SETS, own
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from jaxnet import JaxnetClassifier
from jaxnet.training import calibration

TABLES = ("adult", "higgs_11k", "spambase", "credit_g", "pendigits", "letter")
CHANGES: dict[str, dict[str, Any]] = {
    "all defaults": {},
    "data.scale: standard": {"data.scale": "standard"},
    "data.scale: quantile": {"data.scale": "quantile"},
    "model.dropout: 0": {"model.dropout": 0.0},
    "model.numeric_embedding: none": {"model.numeric_embedding": "none"},
    "optimizer.weight_decay: 2e-2": {"optimizer.weight_decay": 2e-2},
    "optimizer.ema: 0.995": {"optimizer.ema": 0.995},
}
SMALL: dict[str, Callable[..., Any]] = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
}
FREE = 1e9  # a deviation of ln T that holds nothing back


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the tables")
    parser.add_argument("--sets", default=",".join(TABLES), help="names, separated by commas")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.data is None:
        small()
    else:
        tables(args.data, args.sets.split(","))


def tables(folder: Path, names: Sequence[str]) -> None:
    """Every change on every table."""
    head(names)
    for change, keys in CHANGES.items():
        line(change, [of_table(folder, name, keys) for name in names])


def of_table(folder: Path, name: str, keys: Mapping[str, Any]) -> float:
    """Test log loss of one table with these keys changed."""
    with tempfile.TemporaryDirectory() as place:
        found = own(SETS[name]._replace(changes=keys), folder, 0, f"{place}/run")
    return found.metrics["log_loss"]


def small() -> None:
    """The size of a batch and the temperature, on few rows."""
    head(list(SMALL))
    spread = calibration.SPREAD
    line("all defaults", [of_small(name) for name in SMALL])
    line("batch_size=128", [of_small(name, batch_size=128) for name in SMALL])
    line('calibration="none"', [of_small(name, calibration="none") for name in SMALL])
    calibration.SPREAD = FREE
    line("the temperature that fits best", [of_small(name) for name in SMALL])
    calibration.SPREAD = spread


def of_small(name: str, **parameters: Any) -> float:
    """Mean test log loss of five splits, a third of the rows each."""
    x, y = SMALL[name](return_X_y=True)
    found = []
    for seed in range(5):
        train, test, y_train, y_test = train_test_split(
            x, y, test_size=1 / 3, stratify=y, random_state=seed
        )
        model = JaxnetClassifier(random_state=seed, **parameters).fit(train, y_train)
        found.append(log_loss(y_test, model.predict_proba(test)))
    return statistics.mean(found)


def head(names: Sequence[str]) -> None:
    """The first lines of a table."""
    print(f"| | {' | '.join(names)} |\n|---|{'---:|' * len(names)}", flush=True)


def line(what: str, losses: Sequence[float]) -> None:
    """One line of it."""
    print(f"| {what} | {' | '.join(f'{loss:.4f}' for loss in losses)} |", flush=True)


if __name__ == "__main__":
    main()
