"""Run directories as a finished run leaves them, made in a moment: the network is not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnet.data import dataset
from jaxnet.nn import embedding
from jaxnet.outputs import model_file, records, run_directory

TABLE = "train.csv"


def write_table(path: Path, rows: int = 120, *, seed: int = 0, label: str = "income") -> Path:
    """A table of an identifier, numbers with gaps, few categories, many categories and labels."""
    rng = np.random.default_rng(seed)
    lines = [f"key,age,height,job,zip,{label}"]
    for row in range(rows):
        age = "" if row % 17 == 3 else str(20 + int(rng.integers(50)))
        job = "abc"[rng.integers(3)]
        income = ">50K" if rng.random() < 0.4 else "<=50K"
        number = rng.normal()
        lines.append(f'0{row:05d},{age},{number:.3f},"{job}, x",z{rng.integers(20)},{income}')
    path.write_text("\n".join(lines) + "\n")
    return path


def make_run(
    folder: Path,
    *,
    task: str = "binary",
    description: dict[str, Any] | None = None,
    metrics: dict[str, dict[str, Any]] | None = None,
    **data: Any,
) -> Path:
    """A run directory in `folder`. data: as `dataset.prepare` takes it."""
    found = dataset.prepare(task, **data)
    embeddings = [tuple(pair) for pair in found.schema["embeddings"]]
    outputs = 1 if task == "binary" else len(found.schema["classes"])
    sizes = [found.x_train.shape[1], 8, outputs]
    network = embedding.init(jax.random.key(0), sizes, embeddings=embeddings)
    run = run_directory.claim(run_directory.make(folder / "run"))
    records.write_json(run.schema, found.schema)
    said = {
        "task": task,
        "model": "mlp",
        "sizes": sizes,
        "activation": "relu",
        "parametrisation": "standard",
        "output_activation": "softmax" if task == "multiclass" else "sigmoid",
        "precision": "float32",
        "embeddings": [list(pair) for pair in embeddings],
        **(description or {}),
    }
    model_file.save(run.model, embedding.named(network), said, schema=found.schema)
    records.write_metrics(run, metrics or {"validation": {"accuracy": 0.5, "roc_auc": None}})
    records.append_event(run, "started", jaxnet="0")
    records.write_status(run, "finished")
    return run.path
