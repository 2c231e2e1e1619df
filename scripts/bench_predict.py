"""How fast, and in how much memory, are the rows of a CSV file predicted into another one?

    .venv/bin/python scripts/bench_predict.py [--rows N] [--rounds N] [--hidden N N]

`jaxnet predict` and a scikit-learn pipeline with the same network (scaling or one-hot columns, then
MLPClassifier) take turns, each as a whole process: start, import, load the model, read, predict,
write. The pipeline reads with pandas in pieces of as many rows. The tables are made here, of 20
columns: all numeric, or four of them categorical. Both networks are trained on the first rows.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_training import machine

JAXNET = str(Path(sys.executable).parent / "jaxnet")
COLUMNS = 20
TRAINED_ON = 20_000
PIECE = 65_536  # rows, as jaxnet takes them
KINDS = {"20 numeric": 0, "16 numeric, 4 categorical": 4}


def write_table(path: Path, rows: int, categorical: int, *, seed: int) -> None:
    """A table of rows with a label, written in pieces."""
    import pandas

    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0)
    slopes = truth.normal(size=COLUMNS - categorical)
    shifts = truth.normal(size=(categorical, 12))
    for start in range(0, rows, PIECE):
        number = min(PIECE, rows - start)
        x = rng.normal(size=(number, COLUMNS - categorical))
        codes = rng.integers(12, size=(number, categorical))
        score = x @ slopes + sum(shifts[i][codes[:, i]] for i in range(categorical))
        frame = pandas.DataFrame({f"x{i}": x[:, i].round(4) for i in range(x.shape[1])})
        for i in range(categorical):
            frame[f"c{i}"] = np.array([f"value {c}" for c in range(12)])[codes[:, i]]
        frame["label"] = np.where(score + rng.normal(size=number) > 0, "yes", "no")
        frame.to_csv(path, mode="a", header=start == 0, index=False)


def train_jaxnet(folder: Path, hidden: list[int]) -> Path:
    """The run of a network without embeddings, as the other one is."""
    run = folder / "run"
    config = (
        "task: binary\n"
        "data: {train: train.csv, target: label, one_hot_limit: 20, scale: standard}\n"
        f"model: {{hidden: {hidden}, numeric_embedding: none}}\n"
        "training: {epochs: 3}\n"
    )
    (folder / "config.yaml").write_text(config)
    words = [JAXNET, "train", str(folder / "config.yaml"), "--run-dir", str(run), "--quiet"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return run


def train_pipeline(folder: Path, hidden: list[int]) -> Path:
    """The peer: the same sizes, trained as briefly, in a file that is read back as its users do."""
    import joblib
    import pandas
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pandas.read_csv(folder / "train.csv")
    encode = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    network = MLPClassifier(tuple(hidden), batch_size=256, early_stopping=True, max_iter=3)
    pipeline = make_pipeline(encode, network)
    pipeline.fit(frame.drop(columns="label"), frame["label"])
    joblib.dump(pipeline, folder / "pipeline.joblib")
    return folder / "pipeline.joblib"


def predict_with_pipeline(model: str, source: str, output: str) -> None:
    """What the peer's process does."""
    import joblib
    import pandas

    pipeline = joblib.load(model)
    classes = pipeline.classes_
    for number, frame in enumerate(pandas.read_csv(source, chunksize=PIECE)):
        p = pipeline.predict_proba(frame)
        found = pandas.DataFrame({"prediction": classes[p.argmax(axis=1)]})
        for i, label in enumerate(classes):
            found[f"p({label})"] = p[:, i]
        found.to_csv(output, mode="w" if number == 0 else "a", header=number == 0, index=False)


def measure(words: list[str]) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a whole process."""
    begun = time.perf_counter()
    process = subprocess.Popen(words)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit / 1e6


def compare(kind: str, args: argparse.Namespace) -> None:
    """Let both take turns on one kind of table, and print its lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "train.csv", TRAINED_ON, KINDS[kind], seed=1)
        write_table(folder / "rows.csv", args.rows, KINDS[kind], seed=2)
        run, pipeline = train_jaxnet(folder, args.hidden), train_pipeline(folder, args.hidden)
        source, ours, theirs = (str(folder / n) for n in ("rows.csv", "ours.csv", "theirs.csv"))
        calls = {
            "jaxnet": [JAXNET, "predict", str(run), source, "--output", ours, "--overwrite"],
            "scikit-learn": [sys.executable, __file__, "--peer", str(pipeline), source, theirs],
        }
        calls["jaxnet"].append("--quiet")
        found: dict[str, list[tuple[float, float]]] = {contestant: [] for contestant in calls}
        for number in range(args.rounds):
            for contestant, words in calls.items():
                found[contestant].append(measure(words))
            print(f"{kind}: round {number + 1} of {args.rounds}", file=sys.stderr)
        _same_rows(ours, theirs, args.rows)
    _show(kind, found, args.rows)


def _same_rows(ours: str, theirs: str, rows: int) -> None:
    for path in (ours, theirs):
        with open(path, "rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        if lines != rows + 1:
            raise SystemExit(f"{path} holds {lines} lines")


def _show(kind: str, found: dict[str, list[tuple[float, float]]], rows: int) -> None:
    ratios = [
        theirs[0] / ours[0]
        for ours, theirs in zip(found["jaxnet"], found["scikit-learn"], strict=True)
    ]
    for contestant, measured in found.items():
        seconds = [each[0] for each in measured]
        faster = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(
            f"| {kind} | {contestant} | {statistics.median(seconds):.1f} | "
            f"{min(seconds):.1f} to {max(seconds):.1f} | "
            f"{rows / statistics.median(seconds):,.0f} | {max(each[1] for each in measured):,.0f} "
            f"| {faster if contestant == 'jaxnet' else ''} |",
            flush=True,
        )


def main() -> None:
    """Compare on each kind of table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        predict_with_pipeline(*args.peer)
        return
    sizes = "-".join(map(str, args.hidden))
    print(f"{machine()}\n\n{args.rows:,} rows, hidden layers {sizes}, CSV to CSV\n")
    print(
        "| columns | contestant | median s | min to max | rows/s | peak MB | jaxnet is faster by |"
    )
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for kind in KINDS:
        compare(kind, args)


if __name__ == "__main__":
    main()
