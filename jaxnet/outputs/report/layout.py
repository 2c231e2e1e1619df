"""The pieces that sections are made of: the section itself, tables, figures, legends, notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxnet.outputs.report.markup import Html, counted, element, join

SHOWN, MOST = 50, 1000  # rows of a table that stand open, and that are written at all
DOTS = "dots"  # in place of dashes: points without a line


class Column(NamedTuple):
    """Head of a column of a table; numbers are set to the right."""

    title: str
    numeric: bool = False


class Key(NamedTuple):
    """One line of a legend: its label, the colour's role and the dashes of the line."""

    label: str
    role: str
    dash: str = ""


def section(place: str, title: str, lead: str, *body: str | None) -> Html:
    """A section with an anchor: its title and what it is about beside its content."""
    head = element("div", element("h2", title), element("p", lead), class_="head")
    return element("section", head, element("div", *body, class_="body"), id=place)


def note(*text: str, kind: str = "note") -> Html:
    """A remark set apart; `kind` is note or warning."""
    return element("p", *text, class_=kind)


def heading(text: str) -> Html:
    """A title within a section."""
    return element("h3", text)


def table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, shown: int = SHOWN
) -> Html:
    """A table whose first column names the rows. Long ones are folded after `shown` rows.

    It scrolls sideways in a box of its own where the page is too narrow.
    """
    first = _table(caption, columns, rows[:shown])
    if len(rows) <= shown:
        return first
    rest = rows[shown:MOST]
    more = element(
        "details",
        element("summary", f"{counted(len(rest), 'more row')}"),
        _table(f"{caption}, continued", columns, rest),
    )
    left = len(rows) - MOST
    cut = note(f"{counted(left, 'more row')} not shown; the files beside this page hold them.")
    return join([first, more, cut if left > 0 else None])


def _table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Html:
    classes = ["n" if column.numeric else None for column in columns]
    heads = [
        element("th", column.title, scope="col", class_=kind)
        for column, kind in zip(columns, classes, strict=True)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=c) for cell, c in zip(row[1:], classes[1:], strict=True)),
        )
        for row in rows
    ]
    whole = element(
        "table",
        title(caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
    )
    return scroll(caption, whole)


def scroll(label: str, content: Html) -> Html:
    """A box that scrolls sideways by itself, by keyboard too."""
    return element("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def title(caption: str) -> Html:
    """The caption of a table; it stays in sight when the table is scrolled sideways."""
    return element("caption", element("span", caption))


def fold(summary: str, *content: str | None) -> Html:
    """Content behind a line to click on."""
    return element("details", element("summary", summary), *content)


def figure(title: str, picture: Html, reading: str, keys: Sequence[Key] = ()) -> Html:
    """A picture with its title, its legend, and a sentence that says how to read it."""
    legend = element("ul", *(_key(key) for key in keys), class_="legend") if keys else None
    return element(
        "figure",
        element("h3", title),
        picture,
        legend,
        element("figcaption", reading),
        class_="card",
    )


def _key(key: Key) -> Html:
    dots = key.dash == DOTS
    dash = "0 7; stroke-width: 4.5; stroke-linecap: round" if dots else key.dash
    style = f"stroke: var(--{key.role})" + (f"; stroke-dasharray: {dash}" if dash else "")
    line = element("path", d="M5 5h15" if dots else "M1 5h22", style=style)
    swatch = element("svg", line, viewBox="0 0 24 10", class_="swatch", aria_hidden="true")
    return element("li", swatch, element("span", key.label))


def grid(*cards: str | None) -> Html:
    """Figures side by side where there is room."""
    return element("div", *cards, class_="grid")


def bar(share: float, *, role: str = "s1") -> Html:
    """A bar whose length is a share of the cell; decoration beside a number."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    inner = element("i", style=f"width: {width}; background: var(--{role})")
    return element("span", inner, class_="bar", aria_hidden="true")
