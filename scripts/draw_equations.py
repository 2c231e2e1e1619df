#!/usr/bin/env python
"""Draw the figures of docs/equations.md from jaxnet's own functions.

    .venv/bin/python scripts/draw_equations.py [DIRECTORY]     (default: docs/figures)

A second run writes the same bytes. On another machine, or with another jax, the last digits of a
float32 may differ, and with them the rounding errors that two of the figures show.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from jaxnet.nn import losses
from scripts import equation_curves as computed
from scripts.equation_curves import SIGMOID, Curves

Offset = tuple[int, int]
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"

# Okabe and Ito's colours, told apart by the colour-blind.
BLUE, RED, GREEN, ORANGE, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#666666"
STYLE = {
    "svg.hashsalt": "jaxnet",  # element ids that do not change from run to run
    "svg.fonttype": "path",  # letters as outlines: the same on every screen
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.facecolor": "white",  # opaque: pages may be dark
    "savefig.facecolor": "white",
}
# (colour, line, width) of the textbook's form, autodiff and jaxnet; the first two often coincide.
THREE = [(RED, "-", 3.2), (ORANGE, "--", 1.6), (BLUE, "-", 1.8)]
SQUARED = ("squared error", losses.squared_error, SIGMOID, RED)
ENTROPY = ("cross-entropy", losses.binary_cross_entropy, {}, BLUE)


def panels(height: float = 3.3) -> tuple[Figure, Axes, Axes]:
    """A figure 8 inches wide with two panels side by side."""
    figure = Figure(figsize=(8, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    return figure, left, right


def shade(axis: Axes, x: np.ndarray, where: np.ndarray) -> None:
    """Bands over the whole height of the panel, where the second derivative is negative."""
    whole = axis.get_xaxis_transform()
    name = "second derivative < 0" if where.any() else None
    axis.fill_between(
        x, 0, 1, where=where, transform=whole, color=RED, alpha=0.12, lw=0, label=name
    )


def ends(axis: Axes, x: np.ndarray, y: np.ndarray, start: Offset, end: Offset) -> None:
    """The first point of a path as a circle, the last as a dot; offsets of their words."""
    axis.plot(x[0], y[0], "o", color="white", markeredgecolor="black", zorder=4)
    axis.plot(x[-1], y[-1], "o", color="black", zorder=4)
    words = {"textcoords": "offset points", "fontsize": 9}
    axis.annotate("start", (x[0], y[0]), start, **words)
    axis.annotate("end", (x[-1], y[-1]), end, **words)


def worst_of(values: np.ndarray, window: int = 50) -> np.ndarray:
    """The largest value of each half unit of z: a clean line where rounding errors flicker."""
    return values[: len(values) // window * window].reshape(-1, window).max(axis=1)


def draw_errors(axis: Axes, z: np.ndarray, curves: Curves) -> None:
    """Relative errors on a logarithmic scale, with the rounding of float32 as a floor."""
    styles = THREE if len(curves) == 3 else [*THREE[:2], (GREEN, "-", 1.2), THREE[2]]
    for (name, error), (colour, line, width) in zip(curves.items(), styles, strict=True):
        worst = np.maximum(worst_of(error), 1e-9)
        axis.semilogy(worst_of(z) - 0.25, worst, color=colour, ls=line, lw=width, label=name)
    axis.axhline(2**-24, color=GREY, lw=0.8, ls=":")
    axis.text(80, 4e-8, "half a unit of float32", color=GREY, fontsize=8, ha="right", va="top")
    axis.set(ylim=(5e-9, 3e3), xlim=(-20, 80), yticks=[1e-8, 1e-6, 1e-4, 1e-2, 1])
    axis.legend(loc="upper left")


def draw_delta_accuracy() -> Figure:
    figure, left, right = panels(height=3.6)
    draw_errors(left, *computed.delta_errors())
    draw_errors(right, *computed.slope_errors())
    left.set(title=r"$\delta$ of binary cross-entropy, $y=1$", xlabel="$z$")
    left.set(ylabel="relative error in float32")
    right.set(title=r"$\sigma\,'(z)$, for squared error", xlabel="$z$")
    return figure


def draw_softmax_accuracy() -> Figure:
    figure, left, right = panels(height=3.6)
    draw_errors(left, *computed.softmax_errors())
    left.set(title=r"$\delta_y$ of softmax cross-entropy", ylabel="relative error in float32")
    left.set(xlabel="$z_y$ minus the other nine logits")
    scales = np.arange(1.0, 41.0)
    lost = computed.lost_rows(scales)
    for (name, share), (colour, line, width) in zip(lost.items(), THREE, strict=True):
        right.plot(scales, 100 * share, color=colour, ls=line, lw=width, label=name)
    right.set(title=r"right answers whose $\delta_y$ is exactly 0", ylabel="% of rows")
    right.set(xlabel="scale of ten random logits", xlim=(1, 40))
    right.legend(loc="upper left")
    return figure


def draw_squared_error() -> Figure:
    figure, left, right = panels()
    z = np.linspace(-10, 6, 401, dtype=np.float32)
    for name, loss, options, colour in (SQUARED, ENTROPY):
        curve = computed.behind_sigmoid(loss, z, **options)
        for axis, height in ((left, curve.value), (right, np.abs(curve.delta))):
            axis.plot(z, height, color=colour, label=name)
            shade(axis, z, curve.second < 0)
    left.set(title="cost of one example, $y=1$", xlabel="$z$", xlim=(-10, 6), ylim=(0, 5))
    right.set(title=r"size of its gradient, $|\delta|$", xlabel="$z$", xlim=(-10, 6))
    right.set(yscale="log", ylim=(1e-5, 30))
    left.legend(loc="upper right")
    return figure


def draw_valley() -> Figure:
    figure, left, right = panels()
    b = np.linspace(-14, 14, 401, dtype=np.float32)
    for axis, (name, loss, options, colour) in ((left, SQUARED), (right, ENTROPY)):
        curve = computed.valley(loss, b, **options)
        axis.plot(b, curve.value, color=colour)
        shade(axis, b, curve.second < 0)
        path = computed.roll_down(loss, -8.0, **options)
        ends(axis, path, np.interp(path, b, curve.value), (7, 4), (-9, -16))
        axis.set(title=f"{name} of four examples", xlabel="$b$", xlim=(-14, 14))
    left.set(ylabel="cost", ylim=(0.05, 0.45))
    left.legend(loc="upper right")
    right.set(ylim=(0, 11))
    return figure


def draw_surface() -> Figure:
    figure, left, right = panels(height=3.9)
    grid = np.linspace(-10, 10, 161, dtype=np.float32)
    for axis, row, words in ((left, SQUARED, (-12, 8)), (right, ENTROPY, (8, 4))):
        name, loss, options, colour = row
        cost = computed.surface(loss, grid, **options)
        axis.contour(grid, grid, cost, 14, colors=GREY, linewidths=0.7)
        path = computed.descent(loss, (-6.0, -6.0), **options).T
        axis.plot(*path, color=colour, lw=2)
        ends(axis, *path, (5, -14), words)
        axis.set(title=f"{name} of nine examples", xlabel="$w$")
    left.set(ylabel="$b$")
    return figure


def draw_race() -> Figure:
    figure, left, right = panels()
    runs = [(*ENTROPY, 8.0, "-"), (*SQUARED[:3], ORANGE, 0.0, "--"), (*SQUARED, 8.0, "-")]
    for name, loss, options, colour, bias, line in runs:
        run = computed.race(loss, bias, **options)
        step = np.unique(np.geomspace(1, len(run.miss), 400).astype(int))
        for axis, record in ((left, run.miss), (right, run.gradient)):
            text = f"{name} from $b={bias:g}$"
            axis.plot(step, record[step - 1], color=colour, ls=line, label=text)
    left.set(title="mean $|a-y|$", xlabel="updates", xscale="log", ylim=(0, 0.8))
    right.set(title="length of the gradient", xlabel="updates", xscale="log", yscale="log")
    left.legend(loc="upper right")
    return figure


def draw_other_losses() -> Figure:
    figure, left, right = panels()
    z = np.linspace(-6, 6, 601, dtype=np.float32)
    styles = ((BLUE, 3.2), (GREEN, 1.6), (ORANGE, 1.6), (RED, 1.6))
    for axis, target in ((left, 1.0), (right, 0.0)):
        deltas = computed.other_deltas(z, target)
        for (name, delta), (colour, width) in zip(deltas.items(), styles, strict=True):
            axis.plot(z, delta, color=colour, lw=width, label=name)
        axis.axhline(0, color=GREY, lw=0.8)
        axis.set(title=rf"$\delta$ where $y={target:g}$", xlabel="$z$", xlim=(-6, 6))
    right.legend(loc="upper left")
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "delta_accuracy.svg": draw_delta_accuracy,
    "softmax_accuracy.svg": draw_softmax_accuracy,
    "squared_error.svg": draw_squared_error,
    "valley.svg": draw_valley,
    "surface.svg": draw_surface,
    "race.svg": draw_race,
    "other_losses.svg": draw_other_losses,
}


def write(draw: Callable[[], Figure], path: Path) -> None:
    """Draw one figure into an SVG file that holds no date and no name of a program."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasSVG(draw()).print_svg(path, metadata={"Date": None, "Creator": None})


def main(arguments: list[str]) -> None:
    """Draw every figure into the folder given."""
    jax.config.update("jax_platforms", "cpu")  # the numbers of the page are a CPU's
    folder = Path(arguments[0]) if arguments else FOLDER
    for name, draw in FIGURES.items():
        write(draw, folder / name)
        print(folder / name)


if __name__ == "__main__":
    main(sys.argv[1:])
