"""What the model looks at: how much worse it gets when a column is shuffled."""

from __future__ import annotations

from collections.abc import Sequence

from jaxnet.outputs.report import words
from jaxnet.outputs.report.layout import Column, note, section, table
from jaxnet.outputs.report.markup import Html, element, figure_of, is_number, name, shorten
from jaxnet.outputs.report.reading import Record, Records, mapping


def section_importance(records: Records) -> Html | None:
    """Columns by falling importance, with the spread over repeats."""
    found = mapping(records.evaluation.get("importance"))
    listed = found.get("columns")
    if not isinstance(listed, Sequence) or not listed:
        if not found.get("reason"):
            return None
        why = note(f"Not measured: {shorten(found['reason'], 300)}.")
        return section("importance", "Columns that matter", "", why)
    items = [mapping(one) for one in listed]
    widest = max([abs(_of(one, "mean")) + _of(one, "std") for one in items]) or 1.0
    title = words.metric(str(found.get("metric", "log_loss"))).title
    rows = [(name(one.get("name", "")), _bar(one, widest), _written(one)) for one in items]
    lead = (
        f"How much worse the {title.lower()} of the {words.part(str(found.get('part', 'test')))} "
        "rows gets when one column is shuffled among them. Near zero: the model would not miss it, "
        "or finds the same in another column."
    )
    columns = (Column("Column"), Column(f"Worse {title.lower()}"), Column("Mean ± std", True))
    caption = "Permutation importance of the columns"
    repeats, n = found.get("repeats"), found.get("rows")
    if is_number(repeats) and is_number(n):
        caption += f": {repeats:g} shuffles of {n:,} rows; the thin line is the spread over them"
    return section("importance", "Columns that matter", lead, table(caption, columns, rows))


def _of(item: Record, key: str) -> float:
    value = item.get(key)
    return float(value) if is_number(value) else 0.0


def _written(item: Record) -> str:
    return f"{figure_of(item.get('mean'))} ± {figure_of(item.get('std'))}"


def _bar(item: Record, widest: float) -> Html:
    """The mean as a bar, one standard deviation to both sides as a line; below zero in orange."""
    mean, std = _of(item, "mean"), _of(item, "std")
    role = "s1" if mean >= 0 else "s2"
    size = abs(mean) / widest
    low, high = max(size - std / widest, 0.0), min(size + std / widest, 1.0)
    length = element("i", style=f"width: {100 * size:.1f}%; background: var(--{role})")
    spread = element("b", style=f"left: {100 * low:.1f}%; width: {100 * (high - low):.1f}%")
    return element("span", length, spread, class_="bar wide", aria_hidden="true")
