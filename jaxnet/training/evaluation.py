"""What a run's evaluation.json holds: metrics, tables and curves of each part of the data.

Everything is plain Python: floats, never NaN (None instead), ints, strings, lists and dicts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxnet.training import curves
from jaxnet.training.calibration import Calibration
from jaxnet.training.curves import numbers
from jaxnet.training.metrics import counts as counting
from jaxnet.training.metrics import score
from jaxnet.training.metrics.check import checked, checked_logits
from jaxnet.training.metrics.cuts import cuts
from jaxnet.training.metrics.decisions import THRESHOLD, Thresholds
from jaxnet.training.metrics.facts import Facts, gather
from jaxnet.training.thresholds import Decision

Array = np.ndarray[Any, np.dtype[Any]]
Summary = dict[str, Any]

MATRIX = 100  # classes up to which there is a confusion matrix
DRAWN = 10  # classes whose curves are drawn


def summarise(
    task: str,
    probabilities: Any,
    targets: Any,
    *,
    logits: Any = None,
    thresholds: Thresholds = None,
    names: Sequence[str] | None = None,
    with_curves: bool = True,
) -> Summary:
    """Metrics of the rows, the reasons of those that are undefined, tables, and curves if wanted.

    probabilities, targets, logits, thresholds: as of `final_metrics`; names: of classes or labels.
    Every task: "rows", "metrics", "undefined", "reliability" (of p of the positive class; of the
    decided class; of all pairs); without rows, the first three alone.
    Binary: "confusion" [[tn, fp], [fn, tp]]; curves "roc", "precision_recall", "threshold_curve".
    Multiclass: "confusion", rows true and columns decided, up to 100 classes; "per_class"; curves
    "roc", "precision_recall" of the 10 largest classes by name.
    Multi-label: "per_label"; curves "roc", "precision_recall" of all pairs, "threshold_curve".
    A curve that would be 0/0 is left out.

    >>> found = summarise("binary", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> found["confusion"], found["metrics"]["accuracy"], found["roc"]["x"]
    ([[2, 0], [1, 1]], 0.75, [0.0, 0.0, 0.5, 0.5, 1.0])
    """
    p, y = checked(task, probabilities, targets)
    z = None if logits is None else checked_logits(task, logits, p)
    facts = gather(task, p, y, thresholds, z)
    found = score(facts, names)
    summary: Summary = {
        "rows": len(p),
        "metrics": {key: one.value for key, one in found.items()},
        "undefined": {key: one.remark for key, one in found.items() if one.remark},
    }
    if len(p) == 0:
        return summary
    number = p.shape[1] if p.ndim == 2 else 2
    shown = [str(name) for name in (range(number) if names is None else names)]
    table, drawn = _PARTS[task]
    summary |= table(facts, shown, thresholds)
    if with_curves:
        summary |= drawn(facts, shown)
    return {**summary, "reliability": curves.reliability(facts.bins)}


def record(
    parts: Mapping[str, Summary],
    *,
    calibration: Calibration | None = None,
    changed: Mapping[str, Mapping[str, Any]] | None = None,
    decision: Decision,
    importance: Mapping[str, Any],
    proof: Mapping[str, Any],
) -> Summary:
    """The whole of evaluation.json.

    parts: `summarise` by part of the data. calibration: of `fit_temperature`, None where it was not
    asked for; changed: `before_after` by part. decision: of `choose`. importance, proof: records.

    >>> found = record({}, decision=Decision("argmax"), importance={}, proof={"reason": "none"})
    >>> found["decision"], found["calibration"]
    ({'rule': 'argmax', 'tuned_for': None}, {'method': 'none', 'reason': 'not asked for'})
    """
    return plain(
        {
            "parts": parts,
            "calibration": _calibration(calibration, changed or {}),
            "decision": _decision(decision),
            "importance": importance,
            "proof": proof,
        }
    )


def plain(value: Any) -> Any:
    """The value in plain Python: NumPy's numbers and arrays unpacked, None for what is not finite.

    >>> plain({"a": np.float64("nan"), "b": (np.int32(2), np.array([0.5]))})
    {'a': None, 'b': [2, [0.5]]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value


def _calibration(found: Calibration | None, changed: Mapping[str, Any]) -> Summary:
    if found is None or not found.fitted:
        return {"method": "none", "reason": "not asked for" if found is None else found.reason}
    note = {"note": found.reason} if found.reason else {}
    parts = dict(changed)
    return {"method": "temperature", "temperature": found.temperature, **note, "parts": parts}


def _decision(found: Decision) -> Summary:
    shown: Summary = {"rule": found.rule, "tuned_for": found.tuned_for}
    if isinstance(found.thresholds, tuple):
        shown |= {"thresholds": found.thresholds, "global_threshold": found.global_threshold}
    elif found.thresholds is not None:
        shown["threshold"] = found.thresholds
    return shown | ({"reason": found.reason} if found.reason else {})


def _binary_table(facts: Facts, names: Sequence[str], thresholds: Thresholds) -> Summary:
    tp, fp, fn, tn = (int(part[0]) for part in facts.counts)
    return {"confusion": [[tn, fp], [fn, tp]]}


def _class_table(facts: Facts, names: Sequence[str], thresholds: Thresholds) -> Summary:
    number, counts = facts.p.shape[1], facts.counts
    rows = (counts.tp + counts.fn).astype(int).tolist()
    table = {"per_class": _records({"name": names, "rows": rows, **_scores(facts)})}
    if number > MATRIX:
        return table
    cells = np.bincount(facts.y * number + facts.decided, minlength=number**2)
    return {"confusion": cells.reshape(number, number).tolist(), **table}


def _label_table(facts: Facts, names: Sequence[str], thresholds: Thresholds) -> Summary:
    counts, number = facts.counts, facts.p.shape[1]
    t = np.asarray(THRESHOLD if thresholds is None else thresholds, np.float64)
    columns = {
        "name": names,
        "positives": (counts.tp + counts.fn).astype(int).tolist(),
        "threshold": np.broadcast_to(t, (number,)).tolist(),
    }
    return {"per_label": _records({**columns, **_scores(facts)})}


def _scores(facts: Facts) -> dict[str, list[float | None]]:
    """Of each class or label."""
    return {
        "precision": numbers(counting.precision(facts.counts)),
        "recall": numbers(counting.recall(facts.counts)),
        "f1": numbers(counting.f1(facts.counts)),
        "roc_auc": numbers(facts.roc_auc),
        "pr_auc": numbers(facts.pr_auc),
    }


def _records(columns: Mapping[str, Sequence[Any]]) -> list[Summary]:
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _binary_curves(facts: Facts, names: Sequence[str]) -> Summary:
    assert facts.pooled is not None
    found = {
        "roc": curves.roc(facts.pooled),
        "precision_recall": curves.precision_recall(facts.pooled),
    }
    drawn = {key: curve for key, curve in found.items() if curve is not None}
    return {**drawn, "threshold_curve": curves.threshold_curve(facts.p, facts.y)}


def _class_curves(facts: Facts, names: Sequence[str]) -> Summary:
    rows = facts.counts.tp + facts.counts.fn
    largest = np.argsort(-rows, kind="stable")[:DRAWN]
    columns = {names[k]: cuts(facts.columns[:, k], facts.y == k) for k in sorted(largest.tolist())}
    draw = {"roc": curves.roc, "precision_recall": curves.precision_recall}
    return {key: _drawn({name: of(one) for name, one in columns.items()})
            for key, of in draw.items()}  # fmt: skip


def _label_curves(facts: Facts, names: Sequence[str]) -> Summary:
    assert facts.pooled is not None
    return {
        "roc": _drawn({"all pairs": curves.roc(facts.pooled)}),
        "precision_recall": _drawn({"all pairs": curves.precision_recall(facts.pooled)}),
        "threshold_curve": curves.threshold_curve(facts.p, facts.y),
    }


def _drawn(found: Mapping[str, Any]) -> Summary:
    return {name: curve for name, curve in found.items() if curve is not None}


_Table = Callable[[Facts, Sequence[str], Thresholds], Summary]
_Curves = Callable[[Facts, Sequence[str]], Summary]
_PARTS: dict[str, tuple[_Table, _Curves]] = {
    "binary": (_binary_table, _binary_curves),
    "multiclass": (_class_table, _class_curves),
    "multilabel": (_label_table, _label_curves),
}
