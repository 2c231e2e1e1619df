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
    reach = _reach(items)
    title = words.metric(str(found.get("metric", "log_loss"))).title
    rows = [(name(one.get("name", "")), _bar(one, *reach), _written(one)) for one in items]
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
    return section(
        "importance", "Columns that matter", lead, table(caption, columns, rows, shown=15)
    )


def _of(item: Record, key: str) -> float:
    value = item.get(key)
    return float(value) if is_number(value) else 0.0


def _written(item: Record) -> str:
    """Both with the decimals of the mean."""
    mean, std = item.get("mean"), item.get("std")
    if is_number(mean) and is_number(std) and abs(mean) >= 0.0005 and std < 0.0005:
        return f"{figure_of(mean)} ± {std:.4f}"
    return f"{figure_of(mean)} ± {figure_of(std)}"


def _reach(items: Sequence[Record]) -> tuple[float, float]:
    """What the bars must span: zero, every mean, and the spread of each."""
    low = min([0.0, *(_of(one, "mean") - _of(one, "std") for one in items)])
    high = max([0.0, *(_of(one, "mean") + _of(one, "std") for one in items)])
    return (low, high) if high > low else (0.0, 1.0)


def _bar(item: Record, low: float, high: float) -> Html:
    """The mean as a bar from zero, one standard deviation to both sides as a thin line."""
    mean, std = _of(item, "mean"), _of(item, "std")
    role = "s1" if mean >= 0 else "s2"
    length = element("i", style=f"{_place(0, mean, low, high)}; background: var(--{role})")
    spread = element("b", style=_place(mean - std, mean + std, low, high))
    return element("span", length, spread, class_="bar wide", aria_hidden="true")


def _place(begin: float, end: float, low: float, high: float) -> str:
    """Where a piece lies in the cell, in percent of its width."""
    left, right = (100 * (x - low) / (high - low) for x in sorted((begin, end)))
    return f"left: {left:.1f}%; width: {right - left:.1f}%"
