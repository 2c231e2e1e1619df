"""What runs that are killed train, what they must leave, and what is wrong with what one left."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from jaxnet.data import builtin
from jaxnet.outputs import checkpoints
from jaxnet.outputs.records import read_lines

ROOT = Path(__file__).parents[1]
COMMAND = ("-m", "jaxnet")
SAME = ("model/model.safetensors", "model/model.json", "metrics.jsonl", "metrics.json")
PREDICTIONS = "predictions"  # named beside those files
# Rows in an order by chance, dropout, early stopping, and saves every few of the short steps.
CONFIGS = {
    "binary": """\
task: binary
data: {source: breast_cancer}
model: {hidden: [128, 64], dropout: 0.3}
training: {epochs: 20, batch_size: 64, early_stopping: {metric: log_loss, patience: 3}}
checkpoints: {every_steps: 3}
report: true
""",
    "multiclass": """\
task: multiclass
data: {source: digits}
model: {hidden: [128, 128], dropout: 0.2}
optimizer: {learning_rate: 1e-2, ema: 0.9}
training: {epochs: 20, batch_size: 128, early_stopping: {metric: log_loss, patience: 2}}
checkpoints: {every_steps: 4}
report: false
""",
    "multilabel": """\
task: multilabel
data: {source: digit_attributes}
model: {hidden: [128, 128], dropout: 0.2}
optimizer: {learning_rate: 2e-2}
training: {epochs: 20, batch_size: 128, early_stopping: {metric: log_loss, patience: 2}}
checkpoints: {every_steps: 4, every_seconds: 0.01, keep: 2}
report: false
""",
}


class Case(NamedTuple):
    """What is trained, and what a run that nothing disturbed leaves.

    Attributes:
        folder: holds the config, the rows to predict and the runs.
        hashes: name -> SHA-256 of what must be the same.
        seconds: that the undisturbed process took, its programs compiled before.
        saves: checkpoints that it wrote.
    """

    task: str
    folder: Path
    hashes: dict[str, str]
    seconds: float
    saves: int

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def rows(self) -> Path:
        return self.folder / "rows.csv"


def start(
    command: Sequence[str], words: Sequence[str], cache: Path, said: IO[str]
) -> subprocess.Popen[str]:
    """A `jaxnet` command in a session of its own.

    Args:
        command: what is in front of its words.
        cache: where its compilation cache is.
        said: gets its standard error; a pipe that nobody empties would stop it.
    """
    return subprocess.Popen(
        [sys.executable, *command, *words],
        cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=said,
        text=True,
        start_new_session=True,
    )


def train_words(case: Case, run: Path) -> tuple[str, ...]:
    """The command that is given again and again."""
    return ("train", str(case.config), "--run-dir", str(run), "--resume", "--quiet")


def prepare(task: str, folder: Path) -> Case:
    """Train undisturbed twice: with an empty compilation cache and, for the time, with a full one.

    Raises:
        AssertionError: a run failed, or the two differ; or nothing depends on the best parameters.
    """
    folder.mkdir(parents=True)
    case = Case(task, folder, {}, 0.0, 0)
    case.config.write_text(CONFIGS[task])
    _write_rows(case)
    found = []
    for name in ("cold", "warm"):
        begun = time.perf_counter()
        _undisturbed(train_words(case, folder / name), folder / "cache")
        seconds = time.perf_counter() - begun
        found.append(hashes(case, folder / name))
    assert found[0] == found[1], f"{task}: two undisturbed runs differ"
    kept = read_lines(folder / "warm" / "events.jsonl")[-1]["epoch"]
    assert kept < len(read_lines(folder / "warm" / "metrics.jsonl"))
    saves = events(folder / "warm").count("checkpoint")
    return case._replace(hashes=found[1], seconds=seconds, saves=saves)


def _undisturbed(words: Sequence[str], cache: Path) -> None:
    with tempfile.TemporaryFile("w+") as said:
        code = start(COMMAND, words, cache, said).wait()
        said.seek(0)
        text = said.read()
    assert (code, text) == (0, "")


def events(run: Path) -> list[str]:
    """Names of its events."""
    return [event["event"] for event in read_lines(run / "events.jsonl")]


def _write_rows(case: Case) -> None:
    source = next(line for line in CONFIGS[case.task].splitlines() if "source:" in line)
    table = builtin.load(source.partition("source: ")[2].strip("}"))
    lines = [",".join(map(str, row)) for row in (table.feature_names, *table.x[:200].tolist())]
    case.rows.write_text("\n".join(lines) + "\n")


def hashes(case: Case, run: Path) -> dict[str, str]:
    """SHA-256 of all that must be the same: files, and what `jaxnet predict` writes."""
    found = {name: (run / name).read_bytes() for name in SAME if (run / name).is_file()}
    predictions = run.with_name(f"{run.name}.csv")
    words = ("predict", str(run), str(case.rows), "--output", str(predictions), "--overwrite")
    with tempfile.TemporaryFile("w+") as said:
        if start(COMMAND, words, case.folder / "cache", said).wait() == 0:
            found[PREDICTIONS] = predictions.read_bytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def problems(case: Case, run: Path) -> Iterator[str]:
    """What is wrong with a run that has ended."""
    found = hashes(case, run)
    for name in (*SAME, PREDICTIONS):
        if found.get(name) != case.hashes[name]:
            yield f"{name} differs"
    epochs = [line["epoch"] for line in read_lines(run / "metrics.jsonl")]
    if epochs != list(range(1, len(epochs) + 1)):
        yield f"metrics.jsonl has the epochs {epochs}"
    yield from _lines(run / "events.jsonl")
    if left := half_written(run):
        yield f"temporary files stay: {sorted(path.name for path in left)}"
    if damaged := checkpoints.survey(run / "checkpoints").reasons:
        yield f"damaged checkpoints stay: {damaged}"
    if json.loads((run / "status.json").read_bytes())["state"] != "finished":
        yield "status.json does not say that it finished"
    if "report: true" in CONFIGS[case.task] and not (run / "report.html").is_file():
        yield "the report is missing"


def _lines(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        yield f"{path.name}: its last line is cut short"
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            json.loads(line)
        except ValueError:
            yield f"{path.name}:{number}: not JSON"


def half_written(run: Path) -> set[Path]:
    """Temporary files anywhere in a run directory."""
    return set(run.rglob(".tmp-*"))
