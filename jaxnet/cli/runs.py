"""`jaxnet runs`: what became of the runs in a directory."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jaxnet.cli.output import emit
from jaxnet.cli.parser import add_words, take_words
from jaxnet.printable import one_line

if TYPE_CHECKING:
    from jaxnet.outputs.run_list import Listed

_EPILOG = """\
The newest run comes first. Its metrics are of the test rows once it has finished, and of the
validation rows of its last epoch before. The times are productive over total: the training and
evaluating that the run stands on, over what has passed from its first event to its last: with
reading, compiling and reporting, with what was lost when it was stopped or killed, and with the
time until it went on.

examples:
  jaxnet runs
  jaxnet runs experiments --json
  jaxnet runs runs/adult
"""
_HEAD = ("run", "status", "task", "reached", "metrics", "productive / total")


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "runs",
        help="list runs: what became of each, how far it got, how to go on",
        description="List the runs in a directory.",
        usage="jaxnet runs [DIR] [--json]",
        epilog=_EPILOG,
    )
    add_words(parser, "[DIR]", "the directory that holds the runs, or one run (default: runs)")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """List the runs."""
    directory = next(iter(take_words(args, more=1)), "runs")

    from jaxnet.outputs import run_list

    found = run_list.find(directory, poll=args.poll)
    emit(as_json(found) if args.json else as_text(directory, found))
    return 0


def as_json(found: Sequence[Listed]) -> str:
    """The runs as one JSON object; what is not known is null.

    >>> as_json([])
    '{"runs": []}'
    """
    runs = [{**one._asdict(), "path": os.fspath(one.path)} for one in found]
    return json.dumps({"runs": runs})


def as_text(directory: str, found: Sequence[Listed]) -> str:
    """The runs as a table; below a run what to type, at the end what cannot be read.

    >>> as_text("runs", [])
    'runs: no runs yet'
    """
    if not found:
        return one_line(f"{directory}: no runs yet")
    lines = _table([one for one in found if one.problem is None])
    return "\n".join([*lines, *(one_line(one.problem) for one in found if one.problem)])


def _table(found: Sequence[Listed]) -> list[str]:
    if not found:
        return []
    rows = [_HEAD, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    table = [head]
    for line, one in zip(lines, found, strict=True):
        table.append(line)
        if one.debug is not None:
            table.append(one_line(f"    to see why: {one.debug}"))
        if one.resume is not None:
            table.append(one_line(f"    go on with: {one.resume}"))
    return table


def _cells(one: Listed) -> tuple[str, ...]:
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in one.metrics.items())
    cells = (
        one.path.name or str(one.path),
        one.state or "-",
        one.task or "-",
        _reached(one),
        f"{one.part}: {metrics}" if metrics else "-",
        times(one.productive, one.total),
    )
    return tuple(map(one_line, cells))


def _reached(one: Listed) -> str:
    parts = (("epoch", one.epoch), ("step", one.step))
    return ", ".join(f"{name} {number}" for name, number in parts if number is not None) or "-"


def times(productive: float | None, total: float | None) -> str:
    """Productive over total time, with the share.

    >>> times(41, 63)
    '41 s / 63 s (65 %)'
    >>> times(None, 4000)
    '? / 67 min'
    """
    if total is None:
        return "-"
    if productive is None:
        return f"? / {_duration(total)}"
    share = f" ({100 * productive / total:.0f} %)" if total > 0 else ""
    return f"{_duration(productive)} / {_duration(total)}{share}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
