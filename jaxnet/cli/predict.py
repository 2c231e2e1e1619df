"""`jaxnet predict`: a finished run on a file of new rows."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from jaxnet.cli.output import note
from jaxnet.cli.parser import add_words, take_words
from jaxnet.errors import UserError

_EPILOG = """\
the columns of the output:
  identifiers     columns of DATA that the run was told to leave out, or left out by itself as
                  identifiers: copied as they are
  prediction      the class, as the training data wrote it, by the run's own threshold. Several
                  labels: their names with the separator of the training data; where each label
                  had a column of 0 and 1, prediction(LABEL) holds 0 or 1
  p(CLASS)        the calibrated probability of each class or label, in nine digits
with --top-k K, in place of the last:
  label_1, p_1    the likeliest class or label and its probability, then the next, up to label_K
                  and p_K. Several labels are one column 'prediction', always
Runs that keep no logits (model.head: linear_blocks) always have these, 5 where K is not given, and
are decided among the 100 likeliest labels of a row.
An identifier with such a name keeps it, and ours gets an underscore behind it. In CSV, text that a
spreadsheet would run as a formula is written with ' before it.

DATA needs the columns of training, in any order. Categories that training did not see, cells that
are missing where none was in training, and columns that are not used are counted on standard error.
Of a run on sparse rows DATA is XC text, whose first line may be missing and whose labels are passed
over, or a sparse .npz file. Labels are written by name where training had data.label_names, else by
number; several with a comma between them.

examples:
  jaxnet predict runs/adult new.csv --output predictions.csv
  jaxnet predict runs/adult new.parquet --output predictions.parquet --overwrite
  jaxnet predict runs/adult new.csv.gz | head
  jaxnet predict runs/letters new.csv --top-k 3 --output predictions.csv
  jaxnet predict runs/wiki new.txt.gz --top-k 10 --output predictions.parquet
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "predict",
        help="predict the rows of a file with a finished run",
        description="Predict every row of a file, whatever its size, with a finished run.",
        usage="jaxnet predict RUN DATA [--top-k K] [--output FILE] [--overwrite] [--quiet]",
        epilog=_EPILOG,
    )
    add_words(
        parser,
        "RUN DATA",
        "the directory of a run, and a .csv, .csv.gz, .parquet or .npz (X) file; of a run on "
        "sparse rows a .txt, .txt.gz (XC text) or sparse .npz file",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=int,
        help="the K likeliest classes or labels of each row instead of all: 1 to their number, at "
        "most 100 (default of runs that keep no logits: 5)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="a .csv, .csv.gz or .parquet file, written whole or not at all (default: CSV on "
        "standard output)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no summary")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Predict the file and say what was odd about it."""
    directory, data = take_words(args, "RUN", "DATA")
    _refuse_existing(args.output, data, args.overwrite)

    from jaxnet.cli.rows import prepared, shown

    model = prepared(directory, data)
    from jaxnet.inference import predict_file

    # Rows on a terminal are progress enough; both together would be neither.
    mixed = _is_standard(args.output) and sys.stdout is not None and sys.stdout.isatty()
    args.poll()  # from here on a signal is acted on where nothing is half done
    with shown(args.quiet or mixed) as progress:
        done = predict_file(
            model,
            data,
            args.output,
            top_k=args.top_k,
            overwrite=args.overwrite,
            progress=progress,
            poll=args.poll,
        )
    for warning in done.rows.warnings:
        note(f"warning: {warning}")
    if not args.quiet:
        target = "" if _is_standard(args.output) else f" to {args.output}"
        note(f"{done.rows.number:,} rows predicted{target}")
    return 0


def _is_standard(output: str | None) -> bool:
    return output in (None, "-")


def _refuse_existing(output: str | None, data: str, overwrite: bool) -> None:
    """Refuse at once what would be refused, or regretted, later."""
    if output is None or _is_standard(output) or not os.path.lexists(output):
        return
    if os.path.exists(data) and os.path.exists(output) and os.path.samefile(data, output):
        raise UserError(f"{output}: the rows themselves are in this file; name another one")
    if not overwrite:
        raise UserError(f"{output}: exists already; to replace it: --overwrite")
