"""`jaxnet gradcheck`: are the gradients the gradients, and how many digits do they have?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jaxnet.cli.output import emit

if TYPE_CHECKING:
    from jaxnet.nn.gradcheck import Case, Report

_HEADINGS = (
    *("loss", "behind", "type", "what", "closed form", "twin", "autodiff", "fin. diff."),
    *("limit", "verdict"),
)
_LEGEND = """\
Worst relative errors over |z| <= 80: 1e-07 is exact to the last bit of float32, 1 is nothing left.
closed form: jaxnet's gradient; twin: loss.forward_mode, in a network backprop.gradients;
autodiff: of the form that is usual elsewhere. Each is compared with the closed form in float64,
and that with finite differences (fin. diff.)."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "gradcheck",
        help="hold the gradient of every loss against autodiff and float64",
        description="Hold the closed-form gradient of every loss, and of whole networks, against "
        "autodiff, finite differences and float64. Exit code 1 when one fails.",
    )
    parser.add_argument("--json", action="store_true", help="print every case as JSON")
    parser.add_argument("--loss", metavar="NAME", help="check one loss only")
    parser.add_argument("--all", action="store_true", help="a line for every kind of targets")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Check, print, and return 0 where every gradient is right or 1 where one is not."""
    from jaxnet.nn import gradcheck
    from jaxnet.training.compilation_cache import enable_compilation_cache

    enable_compilation_cache()
    if sys.stderr is not None and sys.stderr.isatty():
        print("compiling and comparing: about half a minute, less the next time", file=sys.stderr)
    report = gradcheck.run(args.loss)
    if args.json:
        emit(report.to_json())
    else:
        rows = [_row(cases) for cases in (each if args.all else by_pair)(report.cases)]
        _show(rows, report)
    return 0 if report.ok else 1


def each(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Every case by itself."""
    return ([case] for case in cases)


def by_pair(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """The cases of a loss, activation and type together; those of networks apart."""

    def key(case: Case) -> tuple[str, ...]:
        return case.loss, case.activation, case.dtype, case.hidden or ""

    order = {name: position for position, name in enumerate(dict.fromkeys(map(key, cases)))}
    return (list(found) for _, found in groupby(sorted(cases, key=lambda c: order[key(c)]), key))


def _row(cases: Sequence[Case]) -> tuple[str, ...]:
    """One line of the table: the worst of the cases it stands for."""
    first = cases[0]
    if first.hidden:
        what = f"{first.hidden} network"
    elif len(cases) > 1:
        what = "all targets"
    else:
        what = first.targets if first.scope == "logits" else f"in {first.scope.replace('_', ' ')}"
    twin = "backprop" if first.hidden else "forward_mode"
    columns = ("closed_form", twin, "autodiff", "finite_differences")
    return (
        *(first.loss, first.activation, first.dtype, what),
        *(_worst([getattr(case, column) for case in cases]) for column in columns),
        f"{first.limit:.0e}",
        "ok" if all(case.ok for case in cases) else "FAILED",
    )


def _worst(errors: Sequence[float | None]) -> str:
    known = [error for error in errors if error is not None]
    return f"{max(known):.1e}" if known else ""


def _show(rows: Sequence[Sequence[str]], report: Report) -> None:
    from jaxnet.nn.gradcheck import explain

    if sys.stdout is not None and sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        _show_in_terminal(rows)
    else:
        emit(as_text([_HEADINGS, *rows]))
    failed = report.failures
    number = len(report.cases)
    verdict = f"{len(failed)} of {number} cases failed" if failed else f"all {number} cases ok"
    emit("\n".join(["", _LEGEND, verdict, *(f"  {explain(case)}" for case in failed)]))


def _show_in_terminal(rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in _HEADINGS[:4] else "right")
    for row in rows:
        *cells, verdict = row
        colour = "green" if verdict == "ok" else "bold red"
        table.add_row(*cells, f"[{colour}]{verdict}[/]")
    Console().print(table)


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words as columns of equal width, numbers to the right.

    >>> print(as_text([("loss", "error"), ("focal", "1e-06"), ("mine", "2e-10")]))
    loss   error
    focal  1e-06
    mine   2e-10
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.ljust(width) if position < 4 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
