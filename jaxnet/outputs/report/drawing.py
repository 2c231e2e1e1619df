"""Curves as SVG within the page: drawn by matplotlib, coloured by the page's own variables.

matplotlib is imported here alone, when a report is made. It gets numbers only: names from the data
stand in the page beside a figure, so neither a `$` nor a letter without a glyph can upset it.
"""

from __future__ import annotations

import contextlib
import html
import io
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from jaxnet.outputs.report.markup import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 400, 270  # in units of the viewBox; letters are 13 units high
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 32, 44

# Stand-ins that matplotlib draws with; each becomes a variable of the page, light or dark.
ROLES = ("ink", "muted", "line", "card", "s1", "s2", "s3", "s4", "s5")
_STAND_IN = {role: f"#0102{place:02x}" for place, role in enumerate(ROLES, start=16)}
_VARIABLE = {stand_in: f"var(--{role})" for role, stand_in in _STAND_IN.items()}
_SETTINGS = {
    "svg.fonttype": "none",  # letters as text: small, sharp, and found by a search in the page
    "svg.hashsalt": "jaxnet",  # the same ids each time
    "font.size": 13,
    "axes.unicode_minus": True,
}
_LOCK = threading.Lock()  # matplotlib's settings are the process's


def colour(role: str) -> str:
    """What to give matplotlib for a colour of the page.

    Args:
        role: one of `ROLES`.
    """
    return _STAND_IN[role]


def draw(paint: Callable[[Axes], None], *, key: str, label: str, height: int = HEIGHT) -> Html:
    """A figure of one panel.

    Args:
        paint: draws on the axes it is given.
        key: unique in the page; the ids in the figure begin with it.
        label: what is to be seen, for who cannot see it.
        height: in units; the width is 400.
    """

    def compose(figure: Figure) -> None:
        paint(panel(figure, _BOTTOM, _TOP))

    return draw_figure(compose, key=key, label=label, height=height)


def draw_figure(
    compose: Callable[[Figure], None], *, key: str, label: str, height: int = HEIGHT
) -> Html:
    """A figure whose panels `compose` makes by `panel`; otherwise as `draw`."""
    with _LOCK, _matplotlib():
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        compose(figure)
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing)
    return _for_page(stream.getvalue(), key, label)


def panel(figure: Figure, bottom: int, top: int) -> Axes:
    """Axes between so many units from the lower and from the upper edge, in the page's style."""
    height = figure.get_figheight() * 72
    axes = figure.add_axes(
        (
            _LEFT / WIDTH,
            bottom / height,
            (WIDTH - _LEFT - _RIGHT) / WIDTH,
            (height - bottom - top) / height,
        )
    )
    axes.patch.set_visible(False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("muted"))
        spine.set_linewidth(1)
    axes.tick_params(
        which="both", left=False, bottom=False, pad=5, colors=colour("muted"), labelsize=13
    )
    axes.grid(visible=True, axis="y", color=colour("line"), linewidth=1)
    axes.set_axisbelow(True)
    return axes


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes: across below its end, and level above its top."""
    axes.set_xlabel(x, loc="right", color=colour("ink"), labelpad=5)
    axes.text(
        -(_LEFT - 6) / (WIDTH - _LEFT - _RIGHT),
        1.05,
        y,
        transform=axes.transAxes,
        color=colour("ink"),
    )


@contextlib.contextmanager
def _matplotlib() -> Iterator[None]:
    """matplotlib with its own defaults and ours, whatever the process or a file has set.

    A home that cannot be written makes it warn on its first import; that is not the run's matter.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        import matplotlib
        import matplotlib.font_manager

        keep = ("backend", "interactive", "toolbar", "timezone", "webagg")
        settings: Any = {
            name: value
            for name, value in matplotlib.rcParamsDefault.items()
            if not name.startswith(keep)
        }
        settings.update(_SETTINGS)
        with matplotlib.rc_context(settings):
            yield
    finally:
        log.setLevel(level)


def _for_page(svg: str, key: str, label: str) -> Html:
    """The SVG of matplotlib as an element of the page: coloured by variables, ids of its own."""
    root = ElementTree.fromstring(svg)
    used = set(re.findall(r"(?:url\(|href=\")#([\w.-]+)", svg))
    inside = "".join(_write(child, key, used) for child in root)
    return Html(
        f'<svg class="plot" viewBox="{root.get("viewBox")}" role="img" '
        f'aria-label="{html.escape(label)}">{inside}</svg>'
    )


def _write(node: ElementTree.Element, key: str, used: set[str]) -> str:
    tag = node.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return ""
    inside = "".join(_write(child, key, used) for child in node)
    attributes = _attributes(node, key, used)
    text = html.escape((node.text or "").strip())
    if tag in ("g", "defs") and not inside:
        return ""
    if tag == "g" and not attributes:
        return inside
    written = "".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{text}{inside}</{tag}>"


def _attributes(node: ElementTree.Element, key: str, used: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for long_name, value in node.attrib.items():
        name = long_name.rpartition("}")[2]
        if name == "id":
            if value in used:
                found[name] = f"{key}-{value}"
        elif name == "href":
            found[name] = f"#{key}-{value.removeprefix('#')}"
        elif name == "clip-path":
            found[name] = value.replace("url(#", f"url(#{key}-")
        elif name == "style":
            found[name] = _style(value)
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        else:
            found[name] = _rounded(value)
    return found


def _style(value: str) -> str:
    """Colours by the page's variables, letters by its font."""
    for stand_in, variable in _VARIABLE.items():
        value = value.replace(stand_in, variable)
    rules = [rule.strip() for rule in value.split(";")]
    return "; ".join(rule for rule in rules if rule and not rule.startswith("font"))


def _rounded(value: str) -> str:
    """Numbers to a tenth of a unit: smaller, and the same on machines that differ in a last bit."""
    short = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}", value)
    whole = re.sub(r"\.0(?!\d)", "", short)
    return re.sub(r" ?([MLQCzZ]) ?", r"\1", " ".join(whole.split()))
