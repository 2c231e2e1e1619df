"""How do fit time and test log loss of JaxnetClassifier compare with MLPClassifier's?

.venv/bin/python scripts/bench_estimator.py [FILE.csv[.gz]:TARGET ...] [--seeds 0,1,2]

On breast_cancer and digits, which scikit-learn carries, and on CSV files, whose labels are in the
column TARGET. A third of the rows, stratified, is the test. Both have their defaults, but for the
network of both, (256, 256), and early_stopping=True; MLPClassifier gets columns that are
standardised, one-hot and filled in, JaxnetClassifier the table as it is read.

One line a set and seed: seconds of `fit` (the first one of a shape compiles; `again` does not), log
loss and accuracy on the test rows; then, over the seeds, ratios jaxnet / MLPClassifier.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jaxnet import JaxnetClassifier

HIDDEN = (256, 256)


class Table(NamedTuple):
    """A set to learn: its name, its columns, and the class of each row."""

    name: str
    x: pd.DataFrame
    y: np.ndarray


class Result(NamedTuple):
    """What one fit took, and how good it was on the test rows."""

    seconds: float
    again: float
    log_loss: float
    accuracy: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="FILE:TARGET")
    parser.add_argument("--seeds", default="0,1,2", help="of the test rows and of both networks")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    warnings.simplefilter("ignore", ConvergenceWarning)
    for table in tables(given.tables):
        compare(table, seeds)


def tables(given: list[str]) -> Iterator[Table]:
    """The bundled sets, then the files."""
    for name, load in (("breast_cancer", load_breast_cancer), ("digits", load_digits)):
        found = load(as_frame=True)
        yield Table(name, found.data, found.target.to_numpy())
    for text in given:
        path, _, target = text.rpartition(":")
        frame = pd.read_csv(path, na_values=["?"])
        yield Table(path, frame.drop(columns=target), frame[target].to_numpy())


def compare(table: Table, seeds: list[int]) -> None:
    """Both classifiers on the same rows, seed by seed, and their ratios."""
    pairs = []
    for seed in seeds:
        parts = train_test_split(
            table.x, table.y, test_size=1 / 3, stratify=table.y, random_state=seed
        )
        ours = JaxnetClassifier(HIDDEN, early_stopping=True, random_state=seed)
        theirs = MLPClassifier(HIDDEN, early_stopping=True, random_state=seed)
        pair = (measure(ours, parts), measure(make_pipeline(prepared(), theirs), parts))
        pairs.append(pair)
        for name, found in zip(("jaxnet", "MLPClassifier"), pair, strict=True):
            print(
                f"{table.name}  seed {seed}  {name:13}  fit {found.seconds:6.2f} s  "
                f"again {found.again:6.2f} s  log loss {found.log_loss:.4f}  "
                f"accuracy {found.accuracy:.4f}"
            )
    for field in Result._fields:
        ours, theirs = (
            statistics.mean(getattr(one, field) for one in side)
            for side in zip(*pairs, strict=True)
        )
        print(f"{table.name}  mean {field}: {ours:.4f} / {theirs:.4f} = {ours / theirs:.3f}")


def measure(model: Any, parts: list[Any]) -> Result:
    """Fit twice, for the second needs no compilation, and look at the test rows."""
    x, x_test, y, y_test = parts
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        model.fit(x, y)
        seconds.append(time.perf_counter() - begun)
    p = model.predict_proba(x_test)
    decided = model.predict(x_test)
    return Result(
        *seconds, log_loss(y_test, p, labels=model.classes_), accuracy_score(y_test, decided)
    )


def prepared() -> Any:
    """What MLPClassifier needs before it."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include=["number", "bool"])),
        (words, make_column_selector(dtype_exclude=["number", "bool"])),
        sparse_threshold=0,
    )


if __name__ == "__main__":
    main()
