"""The page: its head, its sections in order, and writing it beside the records."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from pathlib import Path

from jaxnet.files import MOST_TEXT, open_file, read_file
from jaxnet.outputs.records import write_text
from jaxnet.outputs.report.curves import section_calibration, section_ranking, section_threshold
from jaxnet.outputs.report.data import section_data
from jaxnet.outputs.report.decisions import section_decisions
from jaxnet.outputs.report.head import header
from jaxnet.outputs.report.importance import section_importance
from jaxnet.outputs.report.layout import note, section
from jaxnet.outputs.report.learning import section_learning
from jaxnet.outputs.report.markup import Html, element, join, shorten
from jaxnet.outputs.report.proof import section_proof
from jaxnet.outputs.report.reading import Records, read
from jaxnet.outputs.report.repeating import section_repeating, section_timings
from jaxnet.outputs.report.scores import section_scores
from jaxnet.outputs.run_directory import RunDirectory

FILE = "report.html"

# Nothing is fetched, nothing is run: a name from the data that broke out could do neither.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
_STYLE = Path(__file__).with_name("style.css")
_SECTIONS: tuple[tuple[str, str, Callable[[Records], Html | None]], ...] = (
    ("data", "Data", section_data),
    ("learning", "Learning", section_learning),
    ("metrics", "Metrics", section_scores),
    ("decisions", "Right and wrong", section_decisions),
    ("ranking", "Ranking", section_ranking),
    ("calibration", "Calibration", section_calibration),
    ("threshold", "Threshold", section_threshold),
    ("importance", "Columns", section_importance),
    ("proof", "Gradient proof", section_proof),
    ("timings", "Time", section_timings),
    ("repeating", "Running it again", section_repeating),
)


def write(directory: RunDirectory, *, poll: Callable[[], None] = lambda: None) -> Path:
    """Draw report.html from the files of a run directory, and say where it is.

    What is missing there, or damaged, is missing in the report too, with a line that says so.

    Args:
        directory: of a run, finished or not.
        poll: called before each section; what it raises ends the drawing.

    Raises:
        RunFailed: the file cannot be written.
    """
    path = directory.path / FILE
    write_text(path, render(read(directory), poll=poll))
    return path


_END = "</html>\n"


def is_whole(path: Path) -> bool:
    """Whether there is a report and it has its end."""
    try:
        with open_file(path) as stream:
            stream.seek(-len(_END), os.SEEK_END)
            return stream.read() == _END.encode()
    except OSError:  # shorter than its end, too
        return False


def render(records: Records, *, poll: Callable[[], None] = lambda: None) -> str:
    """The page as text: the same records give the same text.

    Args:
        records: what `read` found.
        poll: called before each section.
    """
    found = []
    for key, title, make in _SECTIONS:
        poll()
        found.append((key, title, _attempt(key, title, make, records)))
    there = [(key, title, part) for key, title, part in found if part is not None]
    links = [element("li", element("a", title, href=f"#{key}")) for key, title, _ in there]
    top = _attempt("top", "The top of this page", header, records)
    body = element(
        "body",
        element(
            "main",
            top,
            element("nav", element("ul", *links), aria_label="Sections") if links else None,
            *(part for _, _, part in there),
        ),
        element("footer", "Drawn by jaxnet from the files beside this page."),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(records), body, lang='en')}\n"


def _attempt(
    key: str, title: str, make: Callable[[Records], Html | None], records: Records
) -> Html | None:
    """A section, or a line that says why there is none: records of another version may hold
    anything, and a report is no reason for a run to fail.
    """
    try:
        return make(records)
    except Exception as error:
        why = f"{type(error).__name__}: {shorten(error, 200)}"
        return section(key, title, "", note(f"This could not be drawn ({why}).", kind="warning"))


def _head(records: Records) -> Html:
    style = read_file(_STYLE, most=MOST_TEXT).decode()
    return element(
        "head",
        element("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{shorten(records.name, 80)} \N{MIDDLE DOT} jaxnet"),
        join([Html(f"<style>\n{style}</style>")]),
    )
