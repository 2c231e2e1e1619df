"""`jaxnet report`: draw the report of a run anew."""

from __future__ import annotations

import argparse
from typing import Any

from jaxnet.cli.output import emit
from jaxnet.cli.parser import add_words, take_words

_EPILOG = """\
The report is drawn from the files of the run directory alone, without data or network; a run makes
one by itself when it ends. It is one file, report.html, for any browser.

example:
  jaxnet report runs/adult
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "report",
        help="draw the report of a run anew",
        description="Draw report.html of a run anew, and print its path.",
        usage="jaxnet report RUN",
        epilog=_EPILOG,
    )
    add_words(parser, "RUN", "the directory of a run")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Draw the report and print where it is."""
    (directory,) = take_words(args, "RUN")

    from jaxnet.outputs import run_directory

    found = run_directory.open_existing(directory)
    from jaxnet.outputs import report

    args.poll()  # from here on a signal is acted on where nothing is half done
    emit(str(report.write(found, poll=args.poll)))
    return 0
