"""How well the probabilities rank and what they mean: ROC, precision-recall, reliability,
thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxnet.outputs.report import baseline, charts, words
from jaxnet.outputs.report.charts import Line
from jaxnet.outputs.report.layout import Column, figure, grid, note, section, table
from jaxnet.outputs.report.markup import Html, figure_of, is_number, shorten
from jaxnet.outputs.report.reading import Record, Records, mapping

_POOLED = "all pairs"


def section_ranking(records: Records) -> Html | None:
    """ROC and precision-recall curves."""
    summary = records.summary(records.part)
    roc, precision = _ranked(summary, "roc"), _ranked(summary, "precision_recall")
    if not roc and not precision:
        return None
    of = {"multiclass": ", one class against the rest", "multilabel": ", over all labels"}
    lead = (
        f"How well the probabilities put positive rows above negative ones, on the "
        f"{words.part(records.part)} rows{of.get(records.task, '')}, whatever the threshold."
    )
    return section(
        "ranking", "Ranking", lead, grid(_roc(roc, summary), _precision(precision, records))
    )


def _ranked(summary: Record, key: str) -> list[Line]:
    """One curve, or one for each class; ten at most."""
    found = mapping(summary.get(key))
    named = {"": found} if "x" in found else found
    curves = [
        (shorten(label, 40), _list(one, "x"), _list(one, "y"))
        for label, one in named.items()
        if _list(mapping(one), "x")
    ]
    return charts.strokes(curves)


def _roc(lines: Sequence[Line], summary: Record) -> Html | None:
    if not lines:
        return None
    known = mapping(summary.get("metrics")).get("roc_auc")
    area = figure_of(_area(lines[0]) if lines[0].label == _POOLED else known)
    picture = charts.in_square(
        lines,
        key="roc",
        label=f"ROC curve; the area under it is {area}.",
        x="false positive rate",
        y="true positive rate",
        guide=((0, 0), (1, 1)),
    )
    return figure(
        f"ROC, {'mean area' if len(lines) > 1 else 'area'} {area}",
        picture,
        "Each point is a threshold: the share of positives found (up) against the share of "
        "negatives taken for positives (right). The nearer to the upper left corner the better; "
        "the dashed diagonal is guessing.",
        _keys(lines),
    )


def _area(line: Line) -> float:
    """Under a curve, by trapezia."""
    steps = zip(line.x, line.x[1:], line.y, line.y[1:], strict=False)
    return sum((right - left) * (low + high) / 2 for left, right, low, high in steps)


def _precision(lines: Sequence[Line], records: Records) -> Html | None:
    if not lines:
        return None
    summary = records.summary(records.part)
    pooled = "micro_pr_auc" if lines[0].label == _POOLED else "pr_auc"
    area = figure_of(mapping(summary.get("metrics")).get(pooled))
    share = _positive_share(records)
    picture = charts.in_square(
        lines,
        key="precision",
        label=f"Precision-recall curve; average precision {area}.",
        x="recall",
        y="precision",
        guide=() if share is None else ((0, share), (1, share)),
    )
    reading = (
        "Of the rows called positive, the share that are (precision, up), against the share of all "
        "positives found (recall, right). The nearer to the upper right corner the better"
    )
    reading += "." if share is None else "; the dashed line is guessing."
    return figure(f"Precision and recall, average {area}", picture, reading, _keys(lines))


def _positive_share(records: Records) -> float | None:
    if records.task != "binary":
        return None
    rows = baseline.counts(records, records.part)
    return rows[1] / sum(rows) if len(rows) == 2 and sum(rows) > 0 else None


def section_calibration(records: Records) -> Html | None:
    """Whether 80 % means 80 %: reliability before and after, and what calibration did."""
    part = records.part
    calibration = mapping(records.evaluation.get("calibration"))
    both = mapping(mapping(calibration.get("parts")).get(part))
    before, after = mapping(both.get("before")), mapping(both.get("after"))
    shown = mapping(after.get("reliability")) or mapping(records.summary(part).get("reliability"))
    earlier = mapping(before.get("reliability"))
    if not _list(shown, "p"):
        return None
    lines = [Line("the model's probabilities", _list(shown, "p"), _list(shown, "share"), "s1")]
    if _list(earlier, "p"):
        uncalibrated = Line("before", _list(earlier, "p"), _list(earlier, "share"), "s2", "5 3")
        lines = [uncalibrated, lines[0]._replace(label="after calibration")]
    sizes = [_list(one, "rows") for one in (earlier, shown)[-len(lines) :]]
    bins = list(zip(*(_list(shown, key) for key in ("low", "high", "rows")), strict=False))
    ece = figure_of(after.get("ece", records.scores(part).get("ece")))
    off = (
        "below it the model is too sure, above it too modest"
        if records.task == "multiclass"
        else "below it positives are rarer than was said, above it more common"
    )
    picture = charts.reliability(
        lines,
        sizes,
        bins,
        key="reliability",
        label=f"Reliability diagram; calibration error {ece}.",
    )
    drawn = figure(
        f"Reliability, {words.part(part)} rows",
        picture,
        "Rows are gathered by the probability they were told. On the dashed diagonal, 80 % comes "
        f"true in 80 % of cases; {off}. Large points and tall bars stand for many rows; a small "
        "point may be off by chance.",
        _keys(lines) if len(lines) > 1 else (),
    )
    return section(
        "calibration", "Calibration", _method(calibration), grid(drawn, _gain(calibration))
    )


def _method(calibration: Record) -> str:
    lead = "Whether a stated 80 % comes true in 80 % of cases."
    if calibration.get("method") == "temperature":
        found = calibration.get("temperature")
        lead += f" All logits were divided by {figure_of(found)}, fitted on the validation rows;"
        if is_number(found) and 0.95 < found < 1.05:
            lead += " that changes little."
        elif is_number(found):
            lead += f" the network had been too {'modest' if found < 1 else 'sure'}."
        return lead + (f" ({shorten(calibration['note'], 200)})" if calibration.get("note") else "")
    if not calibration:
        return lead
    why = calibration.get("reason")
    return (
        lead
        + " The probabilities are as the network states them"
        + (f": {shorten(why, 200)}." if why else ".")
    )


def _gain(calibration: Record) -> Html | None:
    """Calibration error and losses before and after."""
    rows = []
    for part, both in mapping(calibration.get("parts")).items():
        before, after = mapping(mapping(both).get("before")), mapping(mapping(both).get("after"))
        rows += [
            (
                f"{words.metric(key).title}, {words.part(part)}",
                figure_of(before.get(key)),
                figure_of(after.get(key)),
            )
            for key in ("ece", "log_loss", "brier")
            if key in before or key in after
        ]
    if not rows:
        return None
    columns = (Column("Lower is better"), Column("Before", True), Column("After", True))
    return table("What calibration changed", columns, rows)


def section_threshold(records: Records) -> Html | None:
    """Scores by threshold, and how the threshold was chosen."""
    part = next(
        (p for p in ("validation", "test") if records.summary(p).get("threshold_curve")), ""
    )
    curve = mapping(records.summary(part).get("threshold_curve"))
    x = _list(curve, "threshold")
    if not x:
        return None
    curves = [
        (words.metric(key).title, x, _list(curve, key)) for key in curve if key != "threshold"
    ]
    decision = mapping(records.evaluation.get("decision"))
    chosen = decision.get("threshold", decision.get("global_threshold"))
    chosen = chosen if is_number(chosen) else None
    lines = charts.strokes(curves)
    if not lines:
        return None
    said = f"the chosen one is {chosen:.3g}" if chosen is not None else "none is marked"
    picture = charts.by_threshold(
        lines, chosen, key="threshold", label=f"Scores by threshold; {said}."
    )
    drawn = figure(
        f"Scores by threshold, {words.part(part)} rows",
        picture,
        "A row is called positive from the threshold up. A flat top means that the exact threshold "
        "matters little; to find more positives go left, to raise fewer false alarms go right.",
        _keys(lines),
    )
    return section("threshold", "Threshold", _chosen(decision), grid(drawn, _each(decision)))


def _chosen(decision: Record) -> str:
    goal = decision.get("tuned_for")
    chosen = decision.get("threshold", decision.get("global_threshold"))
    where = f" {chosen:.3g}" if is_number(chosen) else ""
    if goal:
        title = "cost" if goal == "cost" else words.metric(shorten(goal)).title
        best = "least" if goal == "cost" else "best"
        text = f"The threshold{where} gives the {best} {title} on the validation rows."
    else:
        text = f"The threshold{where} was set, not tuned." if where else ""
    if decision.get("reason"):
        text += f" ({shorten(decision['reason'], 200)})"
    if isinstance(decision.get("thresholds"), Sequence):
        text += (
            " Each label has a threshold of its own, listed in the table of labels; the curve "
            "is of one threshold for all of them."
        )
    return text.strip()


def _each(decision: Record) -> Html | None:
    found = decision.get("thresholds")
    numbers = [n for n in found if is_number(n)] if isinstance(found, Sequence) else []
    if not numbers:
        return None
    return note(
        f"Thresholds of the {len(numbers)} labels lie between {min(numbers):.3g} and "
        f"{max(numbers):.3g}."
    )


def _keys(lines: Sequence[Line]) -> list[Any]:
    return [line.key for line in lines if line.label]


def _list(record: Record, key: str) -> list[Any]:
    value = mapping(record).get(key)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
