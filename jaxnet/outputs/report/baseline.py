"""What a model that looks at no column would reach: the bar that a trained one must clear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxnet.outputs.report.markup import is_number
from jaxnet.outputs.report.reading import Records, mapping


class Baseline(NamedTuple):
    """Scores of the model that knows only how common each class or label is in training.

    Attributes:
        accuracy: of always deciding the most common class; None where it cannot be known.
        always: the class that it decides.
        log_loss: of stating the shares of the training rows.
    """

    accuracy: float | None
    always: str
    log_loss: float | None


def of_part(records: Records, part: str) -> Baseline:
    """The baseline on a part of the data; for labels, of each label by itself."""
    train = [count for count in records.schema.get("train_counts") or () if is_number(count)]
    rows = counts(records, part)
    if not train or len(train) != len(rows):
        return Baseline(None, "", None)
    if records.task == "multilabel":
        return Baseline(None, "", _labels(records, part, train, rows))
    total, seen = sum(rows), sum(train)
    most = max(range(len(train)), key=train.__getitem__)
    if total <= 0 or seen <= 0:
        return Baseline(None, "", None)
    return Baseline(
        accuracy=rows[most] / total,
        always=names(records)[most],
        log_loss=_cross_entropy(rows, train, total, seen),
    )


def names(records: Records) -> list[str]:
    """Names of the classes or labels."""
    shown = records.schema.get("class_names") or records.schema.get("classes") or ()
    return [str(one) for one in shown]


def counts(records: Records, part: str) -> list[float]:
    """Rows of each class in a part, or positive rows of each label; empty where not recorded."""
    summary = records.summary(part)
    confusion = summary.get("confusion")
    if isinstance(confusion, Sequence):
        return [sum(cell for cell in row if is_number(cell)) for row in confusion]
    listed, key = summary.get("per_class"), "rows"
    if not isinstance(listed, Sequence):
        listed, key = summary.get("per_label") or (), "positives"
    found = [mapping(one).get(key) for one in listed]
    return [value for value in found if is_number(value)]


def _cross_entropy(
    rows: Sequence[float], train: Sequence[float], total: float, seen: float
) -> float | None:
    """- sum_k (share of k in the part) ln (share of k in training); None if that is infinite."""
    if any(n > 0 and known <= 0 for n, known in zip(rows, train, strict=True)):
        return None
    pairs = zip(rows, train, strict=True)
    return -sum(n / total * math.log(known / seen) for n, known in pairs if n > 0)


def _labels(
    records: Records, part: str, train: Sequence[float], positives: Sequence[float]
) -> float | None:
    """Mean over labels of the binary cross-entropy of each label's share of the training rows."""
    seen = _number(mapping(records.schema.get("rows")).get("train"))
    total = _number(records.summary(part).get("rows"))
    if not seen or not total:
        return None
    each = [
        _cross_entropy((p, total - p), (known, seen - known), total, seen)
        for p, known in zip(positives, train, strict=True)
    ]
    known_ones = [value for value in each if value is not None]
    return sum(known_ones) / len(each) if len(known_ones) == len(each) else None


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
