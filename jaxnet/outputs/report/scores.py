"""The table of metrics, with the reason of each that is undefined."""

from __future__ import annotations

from jaxnet.outputs.report import words
from jaxnet.outputs.report.layout import Column, heading, section, table
from jaxnet.outputs.report.markup import Html, element, figure_of, join, shorten
from jaxnet.outputs.report.reading import Records, mapping


def section_scores(records: Records) -> Html | None:
    """A row a metric, a column a part of the data; what no part has is in the list below."""
    parts = [part for part in words.PARTS if records.scores(part)]
    if not parts:
        return None
    aliases = words.ALIASES.get(records.task, set())
    every = dict.fromkeys(key for part in parts for key in records.scores(part))
    keys = [key for key in every if key not in aliases and not _is_explained(records, parts, key)]
    rows = [
        (
            join([words.metric(key).title, _meaning(key)]),
            *(figure_of(records.scores(part).get(key)) for part in parts),
        )
        for key in keys
    ]
    columns = (
        Column("Metric"),
        *(Column(words.part(part).capitalize(), numeric=True) for part in parts),
    )
    return section(
        "metrics",
        "Metrics",
        "Higher is better, but where it says otherwise. The test column is the one to quote; a "
        "training column far ahead of it is a sign of overfitting.",
        table("Metrics of each part of the data", columns, rows),
        _remarks(records, parts),
    )


def _is_explained(records: Records, parts: list[str], key: str) -> bool:
    """Whether no part has the metric, and the list below the table says why."""
    return all(
        records.scores(part).get(key) is None
        and key in mapping(records.summary(part).get("undefined"))
        for part in parts
    )


def _meaning(key: str) -> Html | None:
    metric = words.metric(key)
    if not metric.meaning:
        return None
    return element("small", metric.meaning + ("" if metric.rises else "; lower is better"))


def _remarks(records: Records, parts: list[str]) -> Html | None:
    """Why a metric is undefined, or what its mean leaves out; what is said of several parts or
    metrics alike is said once.
    """
    by_part: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        for key, reason in mapping(records.summary(part).get("undefined")).items():
            if key not in words.ALIASES.get(records.task, set()):
                by_part.setdefault((part, str(reason)), []).append(words.metric(key).title)
    found: dict[tuple[str, str], list[str]] = {}
    for (part, reason), titles in by_part.items():
        found.setdefault((", ".join(titles), reason), []).append(words.part(part))
    if not found:
        return None
    items = [
        element("li", f"{titles} ({', '.join(where)}): {shorten(reason, 400)}")
        for (titles, reason), where in found.items()
    ]
    title = heading("Undefined, or not over everything")
    return join([title, element("ul", *items, class_="remarks")])
