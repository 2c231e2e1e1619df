"""How accurate are the defaults? On the shipped configs, and on tables beside scikit-learn.

.venv/bin/python scripts/bench_accuracy.py
    The shipped configs, each with data.split.seed 0 to 4.

.venv/bin/python scripts/bench_accuracy.py --data DIR [--sets adult,letter] [--seeds 0,1,2]
    Tables in DIR beside scikit-learn, each with a config of task, file and target alone (but for
    fashion_mnist, images in an .npz file: IMAGES below). A set
    without an official test file is split by jaxnet (15 % validation, 20 % test, the seed given);
    the peers get the same test rows, and training and validation rows together to train on:

    mlp   MLPClassifier((256, 256), early_stopping=True), standardised, one-hot
    hgb   HistGradientBoostingClassifier(), categorical columns as such
    ovr   OneVsRestClassifier(LogisticRegression()), standardised (several labels a row)

    Only sets whose files are in DIR are run; the others are named.
"""

import argparse
import csv
import statistics
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import jaxnet

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SHIPPED = {"binary": "roc_auc", "multiclass": "accuracy", "multilabel": "micro_f1"}
SHOWN = {
    "binary": ("accuracy", "log_loss", "roc_auc"),
    "multiclass": ("accuracy", "log_loss"),
    "multilabel": ("micro_f1", "macro_f1", "hamming_loss"),
}


class Set(NamedTuple):
    """A table: its files in the folder, what to predict, how."""

    task: str
    target: Any  # a column, or a file that lists the columns, one a line
    train: str
    test: str | None = None
    changes: Mapping[str, Any] = {}


# Images have more to learn from than a table of a few columns: a wider network, more dropout.
IMAGES = {
    "model.hidden": [512, 256],
    "model.dropout": 0.3,
    "training.batch_size": 256,
    "training.epochs": 25,
    "training.early_stopping": None,
}
SETS = {
    "adult": Set("binary", "income", "adult/adult_train.csv.gz", "adult/adult_test.csv.gz"),
    "bank_marketing": Set("binary", "y", "bank_marketing/bank_full.csv.gz"),
    "spambase": Set("binary", "class", "spambase/spambase.csv.gz"),
    "credit_g": Set("binary", "class", "credit_g/credit_g.csv.gz"),
    "higgs_11k": Set("binary", "label", "higgs_11k/higgs_11k.parquet"),
    "covertype": Set("multiclass", "Cover_Type", "covertype/covertype_sample.parquet"),
    "letter": Set("multiclass", "class", "letter/letter_train.csv.gz", "letter/letter_test.csv.gz"),
    "pendigits": Set(
        "multiclass", "class", "pendigits/pendigits_train.csv.gz", "pendigits/pendigits_test.csv.gz"
    ),
    "dry_bean": Set("multiclass", "Class", "dry_bean/dry_bean.csv.gz"),
    "fashion_mnist": Set("multiclass", None, "fashion_mnist/fashion_mnist.npz", changes=IMAGES),
    "yeast": Set(
        *("multilabel", "ml_yeast/labels.txt"),
        *("ml_yeast/yeast_train.csv.gz", "ml_yeast/yeast_test.csv.gz"),
    ),
    "emotions": Set(
        *("multilabel", "ml_emotions/labels.txt"),
        *("ml_emotions/emotions_train.csv.gz", "ml_emotions/emotions_test.csv.gz"),
    ),
    "scene": Set(
        *("multilabel", "ml_scene/labels.txt"),
        *("ml_scene/scene_train.csv.gz", "ml_scene/scene_test.csv.gz"),
    ),
}


class Result(NamedTuple):
    """Test metrics of one model, and the seconds its training took."""

    metrics: dict[str, float]
    seconds: float


def main() -> None:
    """Print a line for each set, or for each shipped config."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the tables")
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas")
    parser.add_argument("--seeds", default="0", help="seeds of split and training")
    parser.add_argument("--no-peers", action="store_true", help="run jaxnet alone")
    args = parser.parse_args()
    if args.data is None:
        shipped()
        return
    warnings.simplefilter("ignore")
    for name in args.sets.split(","):
        chosen = SETS[name]
        if not (args.data / chosen.train).is_file():
            print(f"{name}: {args.data / chosen.train} is not there; left out", flush=True)
            continue
        for seed in map(int, args.seeds.split(",")):
            compare(name, chosen, args.data, seed, peers=not args.no_peers)


def shipped() -> None:
    """Train every shipped config five times and print the test metric of each split."""
    print("| config | metric | mean | seeds 0 to 4 |\n|---|---|---:|---|")
    for name, metric in SHIPPED.items():
        found = []
        for seed in range(5):
            with tempfile.TemporaryDirectory() as folder:
                changes = {"data.split.seed": seed, "report": False}
                run = jaxnet.train(
                    CONFIGS / f"{name}.yaml", run_dir=f"{folder}/run", progress=False, **changes
                )
            value = run.metrics["test"][metric]
            assert value is not None
            found.append(value)
        each = ", ".join(f"{value:.4f}" for value in found)
        print(f"| {name}.yaml | {metric} | {statistics.mean(found):.4f} | {each} |", flush=True)


def compare(name: str, chosen: Set, folder: Path, seed: int, *, peers: bool) -> None:
    """Train jaxnet and its peers on one set and print their test metrics."""
    with tempfile.TemporaryDirectory() as place:
        run = f"{place}/run"
        results = {"jaxnet": own(chosen, folder, seed, run)}
        if peers and chosen.target is not None:
            x, y, held_out = rows(chosen, folder, Path(run) / "split.csv")
            for peer in PEERS[chosen.task]:
                results[peer] = scored(peer, chosen.task, x, y, held_out, seed)
    for model, result in results.items():
        shown = "  ".join(f"{key} {result.metrics[key]:.4f}" for key in SHOWN[chosen.task])
        print(f"{name:<15}{model:<8}{shown}  {result.seconds:.1f} s", flush=True)


def own(chosen: Set, folder: Path, seed: int, run_dir: str) -> Result:
    """jaxnet with the defaults: task, files and target are all that the config says."""
    data: dict[str, Any] = {"train": str(folder / chosen.train), "split": {"seed": seed}}
    if chosen.test is not None:
        data["test"] = str(folder / chosen.test)
    else:
        data["split"]["test"] = 0.2
    if chosen.target is not None:
        data["target"] = target(chosen, folder)
    config = {"task": chosen.task, "data": data, "training": {"seed": seed}, "report": False}
    begun = time.perf_counter()
    done = jaxnet.train(config, run_dir=run_dir, progress=False, **chosen.changes)
    return Result(
        {key: value for key, value in done.metrics["test"].items() if value is not None},
        time.perf_counter() - begun,
    )


def target(chosen: Set, folder: Path) -> str | list[str]:
    """The column to predict, or the columns."""
    if chosen.task != "multilabel":
        return str(chosen.target)
    return (folder / chosen.target).read_text(encoding="utf-8").split()


def rows(chosen: Set, folder: Path, split: Path) -> tuple[pd.DataFrame, Any, np.ndarray]:
    """Features, labels, and which rows are the test, all rows in one table."""
    table = frame(folder / chosen.train)
    if chosen.test is not None:
        test = frame(folder / chosen.test)
        held_out = np.arange(len(table) + len(test)) >= len(table)
        table = pd.concat([table, test], ignore_index=True)
    else:
        with split.open(encoding="utf-8", newline="") as stream:
            parts = {int(line["row"]): line["part"] for line in csv.DictReader(stream)}
        held_out = np.array([parts[row] == "test" for row in range(len(table))])
    wanted = target(chosen, folder)
    y = table[wanted] if isinstance(wanted, list) else table[wanted].astype(str)
    return table.drop(columns=wanted), y.to_numpy(), held_out


def frame(path: Path) -> pd.DataFrame:
    """A table as scikit-learn's users read it."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, na_values=["?"])


def scored(peer: str, task: str, x: pd.DataFrame, y: Any, held_out: Any, seed: int) -> Result:
    """The peer's test metrics by the same code as jaxnet's."""
    from jaxnet.training.metrics import final_metrics

    text = [column for column in x if not pd.api.types.is_numeric_dtype(x[column])]
    x = x.assign(**{c: x[c].fillna("missing").astype("category") for c in text})
    model = PEERS[task][peer](text, [column for column in x if column not in text], seed)
    begun = time.perf_counter()
    model.fit(x[~held_out], y[~held_out])
    seconds = time.perf_counter() - begun
    p = model.predict_proba(x[held_out])
    if task == "multilabel":
        return Result(final_metrics(task, p, y[held_out]), seconds)
    codes = np.searchsorted(model.classes_, y[held_out])
    return Result(final_metrics(task, p[:, 1] if task == "binary" else p, codes), seconds)


def mlp(text: list[str], numbers: list[str], seed: int) -> Any:
    """The peer that jaxnet replaces."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    network = MLPClassifier((256, 256), early_stopping=True, random_state=seed)
    return make_pipeline(inputs(text, numbers), network)


def hgb(text: list[str], numbers: list[str], seed: int) -> Any:
    """Boosted trees as they come."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)


def ovr(text: list[str], numbers: list[str], seed: int) -> Any:
    """A linear model for each label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    linear = OneVsRestClassifier(LogisticRegression(max_iter=1000))
    return make_pipeline(inputs(text, numbers), linear)


def inputs(text: list[str], numbers: list[str]) -> Any:
    """Standardised numbers and one-hot categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), text),
        sparse_threshold=0,
    )


PEERS = {
    "binary": {"mlp": mlp, "hgb": hgb},
    "multiclass": {"mlp": mlp, "hgb": hgb},
    "multilabel": {"ovr": ovr},
}

if __name__ == "__main__":
    main()
