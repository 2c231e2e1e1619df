"""The kinds of curves in a report; each takes numbers and gives a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxnet.outputs.report import drawing
from jaxnet.outputs.report.drawing import colour, name_axes
from jaxnet.outputs.report.layout import Key
from jaxnet.outputs.report.markup import Html, is_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that the colour-blind tell apart, then the same ones dashed.
STROKES = [(f"s{n}", dash) for dash in ("", "5 3") for n in range(1, 6)]
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Line(NamedTuple):
    """A curve: its label, its points, and the colour's role and dashes that it is drawn with."""

    label: str
    x: Sequence[Any]
    y: Sequence[Any]
    role: str
    dash: str = ""

    @property
    def key(self) -> Key:
        """Its line in the legend."""
        return Key(self.label, self.role, self.dash)


def strokes(curves: Sequence[tuple[str, Sequence[Any], Sequence[Any]]]) -> list[Line]:
    """Curves of (label, x, y), each with a stroke of its own; those without a point left out."""
    there = [curve for curve in curves if any(is_number(y) for y in curve[2])]
    return [
        Line(label, x, y, *stroke) for (label, x, y), stroke in zip(there, STROKES, strict=False)
    ]


def by_epoch(
    lines: Sequence[Line], kept: float | None, *, key: str, label: str, y: str, unit: bool
) -> Html:
    """Curves by epoch, the kept one marked; a log scale where the values span decades.

    Args:
        lines: the curves.
        kept: the epoch whose parameters were kept.
        key: as `drawing.draw`.
        label: as `drawing.draw`.
        y: name of the vertical axis.
        unit: the values lie between 0 and 1, 1 being the best.
    """

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for line in lines:
            _plot(axes, line)
        values = [v for line in lines for v in line.y if is_number(v)]
        if not unit and min(values) > 0 and max(values) > 10 * min(values):
            axes.set_yscale("log")
            _powers(axes)
        if unit:
            low = min(0.9, *values)
            axes.set_ylim(low - 0.05 * (1 - low), 1 + 0.05 * (1 - low))
        epochs = [v for line in lines for v in line.x if is_number(v)]
        first, last = min(epochs), max(epochs)
        room = 0.03 * (last - first) or 0.5
        axes.set_xlim(first - room, last + room)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
        if kept is not None:
            _mark(axes, kept, f"kept: {kept:g}")
        name_axes(axes, "epoch", y)

    return drawing.draw(paint, key=key, label=label)


def in_square(
    lines: Sequence[Line],
    *,
    key: str,
    label: str,
    x: str,
    y: str,
    guide: Sequence[tuple[float, float]] = (),
) -> Html:
    """Curves of shares against shares, with a dashed guide that a useless model would follow."""

    def paint(axes: Axes) -> None:
        if guide:
            axes.plot(*zip(*guide, strict=True), color=colour("muted"), lw=1.2, dashes=(3, 3))
        for line in lines:
            _plot(axes, line)
        _square(axes)
        name_axes(axes, x, y)

    return drawing.draw(paint, key=key, label=label, height=300)


def by_threshold(lines: Sequence[Line], chosen: float | None, *, key: str, label: str) -> Html:
    """Scores by threshold, the chosen one marked."""

    def paint(axes: Axes) -> None:
        for line in lines:
            _plot(axes, line)
        _square(axes)
        if chosen is not None:
            _mark(axes, chosen, f"chosen: {chosen:.3g}")
        name_axes(axes, "threshold", "score")

    return drawing.draw(paint, key=key, label=label, height=300)


def reliability(
    lines: Sequence[Line],
    sizes: Sequence[Sequence[Any]],
    bins: Sequence[tuple[Any, ...]],
    *,
    key: str,
    label: str,
) -> Html:
    """Observed share by stated probability, above bars of how many rows were told so.

    Args:
        lines: points (mean probability, share) by bin.
        sizes: the rows behind each point of each line.
        bins: (low, high, rows) of the bins of the last of the lines.
        key: as `drawing.draw`.
        label: as `drawing.draw`.
    """

    def compose(figure: Figure) -> None:
        below, above = drawing.panel(figure, 44, 278), drawing.panel(figure, 92, 32)
        above.plot([0, 1], [0, 1], color=colour("muted"), lw=1.2, dashes=(3, 3))
        for line, rows in zip(lines, sizes, strict=True):
            _bubbles(above, line, rows)
        _square(above)
        above.set_xticklabels([])
        known = [(low, high, n) for low, high, n in bins if all(map(is_number, (low, high, n)))]
        width = [max(high - low - 0.008, 0.004) for low, high, _ in known]
        centre = [(low + high) / 2 for low, high, _ in known]
        below.bar(centre, [n for *_, n in known], width=width, color=colour("s1"))
        _square(below)
        below.set_ylim(0, 1.05 * max([1, *(n for *_, n in known)]))
        below.set_yticks([])
        below.text(-0.03, 0.3, "rows", transform=below.transAxes, ha="right", color=colour("muted"))
        name_axes(above, "", "observed share")
        below.set_xlabel("probability stated", loc="right", color=colour("ink"), labelpad=5)

    return drawing.draw_figure(compose, key=key, label=label, height=350)


def scatter(
    clouds: Sequence[Line], limit: float | None, *, floor: float, key: str, label: str
) -> Html:
    """Relative errors by logit on a log scale; what is below `floor` is drawn on it."""

    def paint(axes: Axes) -> None:
        axes.set_yscale("log")
        for cloud in clouds:
            pairs = zip(cloud.x, cloud.y, strict=False)
            shown = [(x, max(y, floor)) for x, y in pairs if is_number(x) and is_number(y)]
            _dots(axes, shown, colour(cloud.role))
        if limit is not None:
            axes.axhline(limit, color=colour("ink"), lw=1.2, dashes=(4, 3))
            axes.annotate(
                "limit",
                (1, limit),
                xycoords=("axes fraction", "data"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="right",
                color=colour("ink"),
            )
        axes.autoscale_view()
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, floor / 2), max(high, 10 * (limit or floor)))
        _powers(axes)
        name_axes(axes, "logit", "relative error")

    return drawing.draw(paint, key=key, label=label, height=300)


def _plot(axes: Axes, line: Line, *, width: float = 2) -> None:
    y = [value if is_number(value) else math.nan for value in line.y]
    x = [value if is_number(value) else math.nan for value in line.x]
    size = min(len(x), len(y))
    alone = sum(map(is_number, y)) == 1  # a line of one point would not be seen
    (drawn,) = axes.plot(
        x[:size],
        y[:size],
        color=colour(line.role),
        linewidth=width,
        marker="o" if alone else "",
        markersize=6,
        markeredgewidth=0,
        solid_capstyle="round",
        solid_joinstyle="round",
    )
    if line.dash:
        drawn.set_dashes([float(length) / 2 for length in line.dash.split()])


def _bubbles(axes: Axes, line: Line, rows: Sequence[Any]) -> None:
    """Points whose areas grow with the rows they stand for, on a thin line."""
    known = [float(n) if is_number(n) and n > 0 else 0.0 for n in rows]
    most = max([1.0, *known])
    _plot(axes, line, width=1.2)
    for x, y, n in zip(line.x, line.y, known, strict=False):
        if is_number(x) and is_number(y):
            size = 4 + 6 * math.sqrt(n / most)
            point: dict[str, Any] = {
                "marker": "o",
                "markersize": size,
                "markeredgewidth": 0,
                "clip_on": False,
            }
            axes.plot([x], [y], color=colour(line.role), **point)


def _dots(axes: Axes, points: Sequence[tuple[float, float]], paint: str) -> None:
    """Many points as one path of round ends: a tenth of the size of as many markers."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if not points:
        return
    vertices = [point for point in points for _ in range(2)]
    path = Path(vertices, [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    dots = PathPatch(path, fill=False, edgecolor=paint, linewidth=4, capstyle="round")
    axes.add_patch(dots)


def _mark(axes: Axes, x: float, text: str) -> None:
    """A vertical line with a word above its end, towards the side that has room."""
    axes.axvline(x, color=colour("ink"), lw=1.2, dashes=(4, 3))
    low, high = axes.get_xlim()
    beyond = x > (low + high) / 2
    axes.annotate(
        text,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right" if beyond else "left",
        color=colour("ink"),
    )


def _square(axes: Axes) -> None:
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def _powers(axes: Axes) -> None:
    """Ticks of a log scale as 10⁻³, or as plain numbers where few decades are in sight."""
    from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

    low, high = axes.get_ylim()
    decades = math.log10(high) - math.log10(low)
    parts = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    ticks = LogLocator(subs=parts, numticks=99).tick_values(low, high)
    seen = [float(tick) for tick in ticks if low <= tick <= high]
    seen = seen[:: max(1, math.ceil(len(seen) / 8))]
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(FixedLocator(seen))
    axes.set_yticklabels([power(tick) for tick in seen])


def power(value: float) -> str:
    """A number that may be tiny, with two digits and its power of ten.

    >>> power(0.001), power(0.25), power(1e-7), power(1.44e-7), power(0)
    ('0.001', '0.25', '10⁻⁷', '1.4·10⁻⁷', '0')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    digit, exponent = f"{value:.1e}".split("e")
    digit = digit.removesuffix(".0")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if digit == "1" else f"{digit}·{power}"
