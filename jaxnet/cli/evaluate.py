"""`jaxnet evaluate`: how good a finished run is, on its own rows or on those of a file."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxnet.cli.output import emit, note
from jaxnet.cli.parser import add_words, take_words
from jaxnet.cli.train import results_as_text
from jaxnet.errors import RunDirectoryError

if TYPE_CHECKING:
    from jaxnet.inference import Evaluated

_EPILOG = """\
DATA holds labels as the training file did, in the same columns. Probabilities are calibrated and
decisions made as the run does it. An undefined metric is n/a (null in JSON), and the reason is
given. Without DATA, the metrics that the run left in metrics.json are shown.

Of a run on sparse rows DATA is XC text, or a sparse .npz file with its labels in another one,
--labels FILE. Features and labels must be as many as in training.

examples:
  jaxnet evaluate runs/adult
  jaxnet evaluate runs/adult adult_test.csv
  jaxnet evaluate runs/adult adult_test.csv --json
  jaxnet evaluate runs/wiki X_test.npz --labels Y_test.npz
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a finished run on the labelled rows of a file",
        description="Measure a finished run on the labelled rows of a file.",
        usage="jaxnet evaluate RUN [DATA [--labels FILE]] [--json] [--quiet]",
        epilog=_EPILOG,
    )
    add_words(
        parser,
        "RUN [DATA]",
        "the directory of a run, and a .csv, .csv.gz, .parquet or .npz (X, y) file; of a run on "
        "sparse rows a .txt, .txt.gz (XC text) or sparse .npz file",
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="a sparse .npz file with the labels of sparse .npz rows"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print the metrics."""
    directory, *data = take_words(args, "RUN", more=1)
    if not data:
        if args.labels is not None:
            args.parser.error("--labels are those of a file of rows; name it before them: RUN DATA")
        metrics = metrics_left(directory)
        emit(_left_as_json(directory, metrics) if args.json else _left_as_text(directory, metrics))
        return 0

    from jaxnet.cli.rows import prepared, shown

    model = prepared(directory, data[0])
    from jaxnet.inference import evaluate_file

    args.poll()  # from here on a signal is acted on where nothing is half done
    with shown(args.quiet) as progress:
        found = evaluate_file(model, data[0], labels=args.labels, progress=progress, poll=args.poll)
    for warning in found.rows.warnings:
        note(f"warning: {warning}")
    show = found_as_json if args.json else found_as_text
    emit(show(directory, data[0], found))
    return 0


def metrics_left(directory: str) -> dict[str, dict[str, Any]]:
    """What metrics.json of a run says.

    Raises:
        RunDirectoryError: no run, one that did not finish, or a damaged file.
    """
    from jaxnet.outputs import records, run_directory

    path = run_directory.open_existing(directory).metrics
    if not path.exists():
        run = run_directory.open_existing(directory)
        raise RunDirectoryError(f"{path}: missing; {records.what_next(run)}")
    metrics = records.read_json(path)
    sound = isinstance(metrics, dict) and all(isinstance(part, dict) for part in metrics.values())
    if not sound:
        raise RunDirectoryError(f"{path}: damaged, a mapping for each part is expected")
    return metrics


def _left_as_json(directory: str, metrics: Mapping[str, Any]) -> str:
    return json.dumps({"run_directory": directory, **metrics})


def _left_as_text(directory: str, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """The parts as columns; why a number is missing, below."""
    parts = {part: one for part, one in metrics.items() if part != "details"}
    lines = results_as_text(directory, {part: _numbers(one) for part, one in parts.items()})
    alike: dict[str, list[str]] = {}
    for part, details in metrics.get("details", {}).items():
        undefined = details.get("undefined", {}) if isinstance(details, dict) else {}
        for said in _reasons(undefined):
            alike.setdefault(said, []).append(part)
    return _before_last(lines, [f"{', '.join(of)} {said}" for said, of in alike.items()])


def _reasons(undefined: Mapping[str, Any]) -> list[str]:
    """Why metrics are undefined, those of one reason on one line.

    >>> _reasons({"mcc": "no rows", "f1": "no positives", "ece": "no rows"})
    ['mcc, ece: no rows', 'f1: no positives']
    """
    alike: dict[str, list[str]] = {}
    for name, reason in undefined.items():
        alike.setdefault(str(reason), []).append(name)
    return [f"{', '.join(names)}: {reason}" for reason, names in alike.items()]


def _before_last(text: str, lines: Sequence[str]) -> str:
    """The text with more lines before its last, which names the run."""
    *first, last = text.splitlines()
    return "\n".join([*first, *lines, last])


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: value for name, value in metrics.items() if value is None or _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def found_as_json(directory: str, data: str, found: Evaluated) -> str:
    """The metrics of a file as one JSON object."""
    return json.dumps(
        {
            "run_directory": directory,
            "data": data,
            "rows": found.rows.number,
            "metrics": found.metrics,
            "undefined": found.undefined,
            **found.tables,
            "unseen": found.rows.unseen,
            "warnings": list(found.rows.warnings),
        },
        allow_nan=False,
    )


def found_as_text(directory: str, data: str, found: Evaluated) -> str:
    """The metrics of a file as a table, remarks on them below."""
    text = results_as_text(directory, {"data": found.metrics})
    return _before_last(text, [*_reasons(found.undefined), f"{found.rows.number:,} rows of {data}"])
