"""Records of runs that never were: plausible ones of each task, made small."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.outputs.report import Records
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import evaluation

Json = dict[str, Any]

CONFIG = """\
task: binary
model: {name: mlp, hidden: [16, 8], activation: relu}
loss: {name: cross_entropy, gradient: closed_form}
optimizer: {name: adamw, learning_rate: 0.001}
training: {epochs: 20, seed: 7}
"""
FILES = {
    "config": "config.resolved.yaml",
    "schema": "schema.json",
    "epochs": "metrics.jsonl",
    "metrics": "metrics.json",
    "evaluation": "evaluation.json",
    "events": "events.jsonl",
    "status": "status.json",
}
ROWS = {"train": 210, "validation": 45, "test": 45}


def records(task: str, names: list[str], *, columns: list[str] | None = None) -> Records:
    """A finished run: a model that is fairly good, on random rows."""
    random = np.random.default_rng(0)
    names = list(names)
    drawn = {part: _outputs(task, len(names), rows, random) for part, rows in ROWS.items()}
    parts = {part: evaluation.summarise(task, p, y, names=names) for part, (p, y) in drawn.items()}
    y = drawn["train"][1]
    counts = y.sum(axis=0) if task == "multilabel" else np.bincount(y, minlength=len(names))
    return Records(
        name="a-run",
        config=CONFIG,
        schema=_schema(task, names, counts.tolist(), columns or ["age", "job"]),
        epochs=[_epoch(number) for number in range(1, 21)],
        metrics={part: summary["metrics"] for part, summary in parts.items()},
        evaluation={
            "parts": parts,
            "calibration": _calibration(parts),
            "decision": _decision(task, len(names)),
            "importance": _importance(columns or ["age", "job"]),
            "proof": _proof(),
        },
        events=_events(),
        status={"state": "finished"},
    )


def without_curves(found: Records) -> Records:
    """The same without anything that is drawn: quick to render."""
    drawn = ("roc", "precision_recall", "threshold_curve", "reliability")
    parts = {
        part: {key: value for key, value in summary.items() if key not in drawn}
        for part, summary in found.evaluation["parts"].items()
    }
    kept = {key: found.evaluation[key] for key in ("decision", "importance")}
    return found._replace(epochs=(), evaluation={"parts": parts, **kept})


def save(found: Records, directory: Path) -> RunDirectory:
    """Write the files of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    for field, file in FILES.items():
        value = getattr(found, field)
        if file.endswith(".jsonl"):
            text = "".join(json.dumps(line) + "\n" for line in value)
        else:
            text = value if file.endswith(".yaml") else json.dumps(value)
        (directory / file).write_text(text, encoding="utf-8")
    return RunDirectory(directory)


def _outputs(task: str, size: int, rows: int, random: np.random.Generator) -> tuple[Any, Any]:
    if task == "multilabel":
        y = (random.random((rows, size)) < 0.3).astype(int)
        return 1 / (1 + np.exp(-(3 * y - 1.5 + random.normal(size=y.shape)))), y
    y = random.integers(0, size, rows)
    z = random.normal(size=(rows, size)) + 2.0 * (np.arange(size) == y[:, None])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return (p[:, 1], y) if task == "binary" else (p, y)


def _schema(task: str, names: list[str], counts: list[int], columns: list[str]) -> Json:
    numeric = {"missing": 3, "min": -1.5, "median": 38.0, "max": 90}
    common = {"missing": 0, "categories": 9, "most_common": [["clerk", 90], ["cook", 40]]}
    described = [
        {"name": name, "kind": "categorical", "summary": common}
        if place % 2
        else {"name": name, "kind": "numeric", "summary": numeric}
        for place, name in enumerate(columns)
    ]
    return {
        "format": 2,
        "task": task,
        "features": columns,
        "columns": described,
        "inputs": [f"x{n}" for n in range(12)],
        "identifiers": ["row id"],
        "classes": names,
        "class_names": names,
        "rows": ROWS,
        "train_counts": counts,
        "split": {"validation": 0.15, "test": 0.15, "seed": 0},
    }


def _epoch(number: int) -> Json:
    return {
        "epoch": number,
        "step": 4 * number,
        "train_loss": 0.7 * 0.85**number,
        "validation_loss": 0.3 + 0.4 * 0.8**number + 0.004 * number,
        "validation_log_loss": 0.3,
        "validation_accuracy": 0.9 - 0.4 * 0.8**number,
        "validation_f1": None if number < 3 else 0.8,
    }


def _calibration(parts: Json) -> Json:
    after = {
        part: {
            **{key: summary["metrics"][key] for key in ("log_loss", "brier", "ece")},
            "reliability": summary["reliability"],
        }
        for part, summary in parts.items()
        if part != "train"
    }
    before = {part: {**one, "log_loss": one["log_loss"] + 0.05} for part, one in after.items()}
    both = {part: {"before": before[part], "after": after[part]} for part in after}
    return {"method": "temperature", "temperature": 1.3, "parts": both}


def _decision(task: str, size: int) -> Json:
    if task == "binary":
        return {"rule": "threshold", "tuned_for": None, "threshold": 0.5}
    if task == "multiclass":
        return {"rule": "argmax", "tuned_for": None}
    thresholds = np.linspace(0.2, 0.6, size).tolist()
    whole = {"thresholds": thresholds, "global_threshold": 0.4}
    return {"rule": "threshold", "tuned_for": "f1", **whole}


def _importance(columns: list[str]) -> Json:
    listed = [
        {"name": name, "mean": 0.1 / (1 + place) - 0.02, "std": 0.01}
        for place, name in enumerate(columns)
    ]
    head = {"metric": "log_loss", "part": "test", "rows": 45, "repeats": 5}
    return {**head, "columns": listed}


def _proof() -> Json:
    points = [
        {"logit": z, "closed_form": 5e-8, "autodiff": min(1.0, 6e-8 * np.exp(abs(z)))}
        for z in np.linspace(-30, 30, 61).tolist()
    ]
    worst = {"closed_form": 5e-8, "autodiff": 1.0, "limit": 1e-6, "ok": True}
    return {"loss": "binary_cross_entropy", "rows": 45, **worst, "points": points}


def _events() -> list[Json]:
    versions = {"python": "3.11.9", "jax": "0.10.1", "numpy": "2.3.5"}
    seconds = {"read": 0.3, "compile": 1.1, "train": 64.0, "evaluate": 0.4, "total": 66.0}
    time = "2026-11-22T00:51:24.190+00:00"
    return [
        {
            "time": time,
            "event": "started",
            "jaxnet": "0.2.0",
            "command": "jaxnet train a.yaml",
            "versions": versions,
            "device": "cpu (2 cores)",
        },
        {"time": time, "event": "warning", "text": "the test part has no row of class x"},
        {"time": time, "event": "note", "text": "the column 'row id' is not used"},
        {
            "time": time,
            "event": "finished",
            "reason": "no improvement in 10 epochs",
            "epoch": 10,
            "seconds": seconds,
        },
    ]
