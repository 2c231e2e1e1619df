"""How the run learned: losses and validation metrics by epoch, the kept epoch marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxnet.outputs.report import charts, words
from jaxnet.outputs.report.layout import figure, grid, section
from jaxnet.outputs.report.markup import Html, counted, figure_of, is_number, shorten
from jaxnet.outputs.report.reading import Records

_LOSSES = ("train_loss", "validation_loss")
_PREFIX = "validation_"
_LINES = 5


def section_learning(records: Records) -> Html | None:
    """Both figures, as far as there are epochs."""
    if not records.epochs:
        return None
    finished = records.event("finished")
    kept = finished.get("epoch")
    kept = kept if is_number(kept) else None
    lead = f"{counted(len(records.epochs), 'epoch')}."
    if kept is not None:
        lead += f" The parameters of epoch {kept:g} were kept."
    if finished.get("reason"):
        lead += f" It ended because: {shorten(finished['reason'], 200)}."
    return section(
        "learning", "Learning", lead, grid(_losses(records, kept), _scores(records, kept))
    )


def _losses(records: Records, kept: float | None) -> Html | None:
    names = {"train_loss": "training rows", "validation_loss": "validation rows"}
    lines = charts.strokes([(names[key], *_curve(records, key)) for key in _LOSSES])
    if not lines:
        return None
    ends = ", ".join(f"{line.label} end at {figure_of(_last(line.y))}" for line in lines)
    picture = charts.by_epoch(
        lines, kept, key="loss", label=f"Loss by epoch: {ends}.", y="loss", unit=False
    )
    return figure(
        "Loss by epoch",
        picture,
        "Both should fall. Where validation rises while training still falls, the network begins "
        "to learn its rows by heart; the epoch kept is the best one before that.",
        [line.key for line in lines],
    )


def _scores(records: Records, kept: float | None) -> Html | None:
    """Validation metrics between 0 and 1 that are better the higher they are."""
    keys = dict.fromkeys(key for epoch in records.epochs for key in epoch)
    found = [
        (words.metric(key.removeprefix(_PREFIX)).title, *_curve(records, key))
        for key in keys
        if key.startswith(_PREFIX)
        and key not in _LOSSES
        and words.metric(key.removeprefix(_PREFIX)).rises
    ]
    within = [
        curve for curve in found if all(0 <= value <= 1 for value in curve[2] if is_number(value))
    ]
    lines = charts.strokes(within[:_LINES])
    if not lines:
        return None
    ends = ", ".join(f"{line.label} ends at {figure_of(_last(line.y))}" for line in lines)
    picture = charts.by_epoch(
        lines,
        kept,
        key="scores",
        label=f"Validation metrics by epoch: {ends}.",
        y="score",
        unit=True,
    )
    return figure(
        "Validation metrics by epoch",
        picture,
        "Higher is better. A curve that is still rising at the right edge asks for more epochs.",
        [line.key for line in lines],
    )


def _curve(records: Records, key: str) -> tuple[list[Any], list[Any]]:
    epochs = [epoch.get("epoch", place) for place, epoch in enumerate(records.epochs, start=1)]
    return epochs, [epoch.get(key) for epoch in records.epochs]


def _last(values: Sequence[Any]) -> float | None:
    known = [value for value in values if is_number(value)]
    return known[-1] if known else None
