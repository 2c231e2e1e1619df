"""What the data are: rows, columns, classes, what was left out, and what was noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxnet.outputs.report import baseline, words
from jaxnet.outputs.report.layout import SHOWN, Column, bar, fold, heading, note, section, table
from jaxnet.outputs.report.markup import (
    Html,
    counted,
    element,
    is_number,
    join,
    name,
    percent,
    plain_number,
    shorten,
)
from jaxnet.outputs.report.reading import Record, Records, mapping

_NAMES_SHOWN = 30


def section_data(records: Records) -> Html | None:
    """Rows, warnings, classes, columns."""
    warnings = [note("Warning: ", text, kind="warning") for text in records.said("warning")]
    notes = [note(text) for text in records.said("note")]
    if not records.schema and not warnings and not notes:
        return None
    return section(
        "data",
        "The data",
        "Summaries are of the training rows; nothing was learned from the others.",
        *warnings,
        *notes,
        _parts(records.schema),
        _classes(records),
        _columns(records.schema),
        _left_out(records.schema),
    )


def _parts(schema: Record) -> Html | None:
    rows = mapping(schema.get("rows"))
    total = sum(n for n in rows.values() if is_number(n))
    if not total:
        return None
    uses = {
        "train": "the model learns from these",
        "validation": "choose the epoch, the calibration and thresholds",
        "test": "seen by nothing before the final metrics",
    }
    listed = [
        (
            join([words.part(part).capitalize(), element("small", uses.get(part, ""))]),
            plain_number(n),
            percent(n / total) if is_number(n) else "",
        )
        for part, n in rows.items()
    ]
    columns = (Column("Part"), Column("Rows", True), Column("Share", True))
    return table("Rows of each part", columns, listed)


def _classes(records: Records) -> Html | None:
    found, train = baseline.names(records), records.schema.get("train_counts")
    if not found or not isinstance(train, Sequence) or len(train) != len(found):
        return None
    multilabel = records.task == "multilabel"
    rows = mapping(records.schema.get("rows")).get("train") if multilabel else None
    known = [n if is_number(n) else 0 for n in train]
    total = rows if is_number(rows) and rows else sum(known) or 1
    order: Sequence[int] = range(len(found))
    if len(found) > SHOWN:
        order = sorted(order, key=lambda k: -known[k])
    most = max(known) or 1
    listed = [
        (name(found[k]), plain_number(train[k]), percent(known[k] / total), bar(known[k] / most))
        for k in order
    ]
    what = "Label" if multilabel else "Class"
    caption = f"{counted(len(found), what.lower(), None if multilabel else 'classes')}: " + (
        "training rows that have each" if multilabel else "training rows of each"
    )
    if records.task == "binary":
        caption += "; the second is the positive one"
    columns = (Column(what), Column("Rows", True), Column("Share", True), Column(""))
    return table(caption, columns, listed)


def _columns(schema: Record) -> Html | None:
    listed = schema.get("columns")
    if not isinstance(listed, Sequence) or not all(isinstance(c, Mapping) for c in listed):
        features = schema.get("features")
        if not isinstance(features, Sequence) or isinstance(features, str):
            return None
        return fold(f"{counted(len(features), 'column')} used", _name_list(features))
    if not listed:
        return None
    rows = mapping(schema.get("rows")).get("train")
    heads = (
        Column("Column"),
        Column("Kind"),
        Column("Missing", True),
        Column("Range, or most common values"),
    )
    body = [_column(column, rows) for column in listed]
    inputs = schema.get("inputs")
    caption = f"{counted(len(listed), 'column')} used"
    if isinstance(inputs, Sequence):
        caption += f", which become {counted(len(inputs), 'input')} of the network"
    return table(caption, heads, body, shown=12)


def _column(column: Record, rows: Any) -> tuple[str, ...]:
    summary = mapping(column.get("summary"))
    missing = summary.get("missing")
    share = ""
    if is_number(missing) and is_number(rows) and rows and missing:
        share = f" ({percent(missing / rows)})"
    return (
        name(column.get("name", "")),
        shorten(column.get("kind", ""), 20),
        ("none" if missing == 0 else plain_number(missing)) + share,
        _values(summary),
    )


def _values(summary: Record) -> Html:
    common = summary.get("most_common")
    if not isinstance(common, Sequence):
        low, middle, high = (plain_number(summary.get(key)) for key in ("min", "median", "max"))
        return join([f"{low} to {high}, half below {middle}"])
    shown: list[str] = []
    for pair in common[:5]:
        if isinstance(pair, Sequence) and len(pair) == 2:
            shown += [", ", name(pair[0], 24), f" ({plain_number(pair[1])})"]
    number = summary.get("categories")
    more = number - len(common) if is_number(number) else 0
    tail = f" and {counted(more, 'other', 'others')}" if more > 0 else ""
    return join([*shown[1:], tail])


def _left_out(schema: Record) -> Html | None:
    """Columns that are no features, with the reason where one was written down."""
    listed = schema.get("identifiers")
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        return None
    return join(
        [
            heading("Columns left out"),
            element(
                "p",
                "Not used for learning; predictions carry them along: ",
                _name_list(listed),
                ".",
            ),
        ]
    )


def _name_list(names: Sequence[Any]) -> Html:
    parts: list[str] = []
    for one in names[:_NAMES_SHOWN]:
        known = mapping(one)
        parts += [", ", name(known.get("name", one))]
        why = known.get("why") or known.get("reason") or known.get("kind")
        if why:
            parts.append(f" ({shorten(why, 80)})")
    left = len(names) - _NAMES_SHOWN
    return join([*parts[1:], f" and {left} more" if left > 0 else None])
