"""Where the decisions are right and wrong: confusion matrix, classes and labels one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxnet.outputs.report import baseline, words
from jaxnet.outputs.report.layout import SHOWN, Column, Key, figure, scroll, section, table, title
from jaxnet.outputs.report.markup import (
    Html,
    counted,
    element,
    figure_of,
    is_number,
    join,
    name,
    percent,
    plain_number,
    shorten,
)
from jaxnet.outputs.report.reading import Record, Records, mapping

_CELLS = 12  # classes up to which a matrix is written out
_MISTAKES = 15
_SHADES = 8

Matrix = list[list[float]]


def section_decisions(records: Records) -> Html | None:
    """The matrix where there is one, and the table of classes or labels."""
    summary = records.summary(records.part)
    matrix, names = _matrix(summary.get("confusion")), baseline.names(records)
    parts: list[str | None] = []
    if matrix:
        names = names if len(names) == len(matrix) else [str(k) for k in range(len(matrix))]
        parts.append(_written(matrix, names) if len(matrix) <= _CELLS else _map(matrix))
        if len(matrix) > 2:
            parts.append(_mistakes(matrix, names))
    parts.append(_one_by_one(summary.get("per_class"), "class", "rows"))
    parts.append(_one_by_one(summary.get("per_label"), "label", "positives"))
    if not any(parts):
        return _without_tables(records)
    lead = f"Decisions on the {words.part(records.part)} rows. {_rule(records)}"
    if not matrix and summary.get("per_class"):
        lead += " With so many classes there is no confusion matrix."
    return section("decisions", "Right and wrong", lead, *parts)


def _without_tables(records: Records) -> Html | None:
    """The rule alone, of a model whose labels are too many to be shown one by one."""
    chosen = mapping(records.evaluation.get("decision"))
    if records.task != "multilabel" or not is_number(chosen.get("threshold")):
        return None
    lead = f"A label is decided from a probability of {chosen['threshold']:.3g} up"
    if chosen.get("tuned_for") == "f1":
        lead += ", which has the best F1 over the pairs of the validation rows"
    lead += ". There is no table of the labels: only the likeliest of each row are looked at."
    return section("decisions", "Right and wrong", lead)


def _rule(records: Records) -> str:
    if records.task == "multiclass":
        return "The class with the highest probability is decided."
    chosen = mapping(records.evaluation.get("decision")).get("threshold")
    if records.task == "binary" and is_number(chosen):
        return f"Positive is decided from a probability of {chosen:.3g} up."
    return "A label is decided from its threshold up." if records.task == "multilabel" else ""


def _matrix(value: Any) -> Matrix:
    """A square of counts, or nothing."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    rows = [[n if is_number(n) else 0 for n in row] for row in value]
    return rows if all(len(row) == len(rows) for row in rows) else []


def _written(matrix: Matrix, names: Sequence[str]) -> Html:
    """The matrix as a table: counts, and shares of the row behind them."""
    heads = [element("th", name(one, 24), scope="col") for one in names]
    body = []
    for k, row in enumerate(matrix):
        total = sum(row)
        cells = [_cell(n, total, right=k == j) for j, n in enumerate(row)]
        body.append(element("tr", element("th", name(names[k], 24), scope="row"), *cells))
    corner = element("th", "true \N{DOWNWARDS ARROW} decided \N{RIGHTWARDS ARROW}", scope="col")
    caption = "Confusion matrix: counts, and shares of the row"
    whole = element(
        "table",
        title(caption),
        element("thead", element("tr", corner, *heads)),
        element("tbody", *body),
        class_="matrix",
    )
    reading = (
        "A row holds the rows of one true class, a column those decided as one class. Blue is "
        "right, orange wrong; the stronger the colour, the larger the share of its row."
    )
    return join([scroll(caption, whole), element("p", reading, class_="how")])


def _cell(n: float, total: float, *, right: bool) -> Html:
    share = n / total if total > 0 else 0.0
    role = "s1" if right else "s2"
    strength = 14 + 28 * share if n > 0 else 0  # a single mistake is seen too
    shade = f"background: color-mix(in srgb, var(--{role}) {strength:.0f}%, transparent)"
    if n == 0 and not right:
        return element("td", "0", class_="zero")
    said = percent(share) if total > 0 else "\N{EM DASH}"
    return element("td", element("b", plain_number(n)), element("small", said), style=shade)


def _map(matrix: Matrix) -> Html:
    """The matrix as a picture: one path for each shade of right and of wrong. Its classes stand in
    the order of the table of classes.
    """
    size = len(matrix)
    if size > SHOWN:
        order = sorted(range(size), key=lambda k: -sum(matrix[k]))
        matrix = [[matrix[k][j] for j in order] for k in order]
    paths: dict[tuple[str, int], list[str]] = {}
    for k, row in enumerate(matrix):
        total = sum(row)
        for j, n in enumerate(row):
            if n > 0:
                shade = max(1, round(_SHADES * n / total))
                role = "s1" if k == j else "s2"
                paths.setdefault((role, shade), []).append(f"M{j} {k}h1v1h-1z")
    drawn = [
        element("path", d="".join(cells), style=f"fill: var(--{role}); opacity: {_opacity(shade)}")
        for (role, shade), cells in sorted(paths.items())
    ]
    right = sum(matrix[k][k] for k in range(size))
    label = f"Confusion matrix of {size} classes: {plain_number(right)} rows on the diagonal."
    picture = element(
        "svg", *drawn, viewBox=f"0 0 {size} {size}", class_="map", role="img",
        aria_label=label,
    )  # fmt: skip
    return figure(
        "Confusion matrix",
        picture,
        "From top to bottom the true classes, from left to right the decided ones, in the order of "
        "the table below. A perfect model is a blue diagonal; each orange square is a confusion, "
        "stronger where it takes a larger share of its class.",
        [Key("right", "s1"), Key("wrong", "s2")],
    )


def _opacity(shade: int) -> str:
    return f"{0.3 + 0.7 * shade / _SHADES:.2f}"


def _mistakes(matrix: Matrix, names: Sequence[str]) -> Html | None:
    """The most frequent confusions."""
    found = [
        (n, k, j) for k, row in enumerate(matrix) for j, n in enumerate(row) if k != j and n > 0
    ]
    worst = sorted(found, key=lambda one: (-one[0], one[1], one[2]))[:_MISTAKES]
    if not worst:
        return None
    rows = [
        (name(names[k]), name(names[j]), plain_number(n), percent(n / sum(matrix[k])))
        for n, k, j in worst
    ]
    columns = (
        Column("True class"),
        Column("Decided as"),
        Column("Rows", True),
        Column("Share of the class", True),
    )
    return table("Most frequent confusions", columns, rows)


def _one_by_one(listed: Any, what: str, size: str) -> Html | None:
    """Classes or labels with their metrics, the largest first where there are many."""
    if not isinstance(listed, Sequence) or not listed:
        return None
    items = [mapping(one) for one in listed]
    if len(items) > SHOWN:
        items = sorted(items, key=lambda one: -_or_zero(one.get(size)))
    keys = [key for key in dict.fromkeys(key for one in items for key in one) if key != "name"]
    columns = (Column(what.capitalize()), *(Column(_title(key), numeric=True) for key in keys))
    rows = [(name(one.get("name", "")), *(_value(key, one) for key in keys)) for one in items]
    many = "classes" if what == "class" else "labels"
    return table(f"{counted(len(items), what, many)}, one by one", columns, rows)


def _title(key: str) -> str:
    known = {"rows": "Rows", "positives": "Rows that have it"}
    return known.get(key) or words.metric(shorten(key)).title


def _value(key: str, item: Record) -> str:
    value = item.get(key)
    return plain_number(value) if key in ("rows", "positives") else figure_of(value)


def _or_zero(value: Any) -> float:
    return float(value) if is_number(value) else 0.0
