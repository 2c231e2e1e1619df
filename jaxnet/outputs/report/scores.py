"""The table of metrics, with the reason of each that is undefined."""

from __future__ import annotations

from jaxnet.outputs.report import words
from jaxnet.outputs.report.layout import Column, heading, section, table
from jaxnet.outputs.report.markup import Html, element, figure_of, join, shorten
from jaxnet.outputs.report.reading import Records, mapping

_PARTS = ("train", "validation", "test")


def section_scores(records: Records) -> Html | None:
    """A row a metric, a column a part of the data."""
    parts = [part for part in _PARTS if records.scores(part)]
    if not parts:
        return None
    aliases = words.ALIASES.get(records.task, set())
    every = dict.fromkeys(key for part in parts for key in records.scores(part))
    keys = [key for key in every if key not in aliases]
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


def _meaning(key: str) -> Html | None:
    metric = words.metric(key)
    if not metric.meaning:
        return None
    return element("small", metric.meaning + ("" if metric.rises else "; lower is better"))


def _remarks(records: Records, parts: list[str]) -> Html | None:
    """Why a metric is undefined, or what its mean leaves out; equal reasons said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        for key, reason in mapping(records.summary(part).get("undefined")).items():
            if key not in words.ALIASES.get(records.task, set()):
                found.setdefault((part, str(reason)), []).append(words.metric(key).title)
    if not found:
        return None
    items = [
        element(
            "li",
            element("b", f"{', '.join(titles)}, {words.part(part)}: "),
            shorten(reason, 400),
        )
        for (part, reason), titles in found.items()
    ]
    return join([heading("Undefined, or not over everything"), element("ul", *items)])
