"""`jaxnet train`: train a config."""

from __future__ import annotations

import argparse
import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxnet.cli.output import emit, note
from jaxnet.cli.parser import UsageError, add_items, split_items

_EXAMPLES = """\
examples:
  jaxnet train configs/binary.yaml
  jaxnet train configs/binary.yaml optimizer.learning_rate=1e-2 training.epochs=20
  jaxnet train configs/multiclass.yaml training.early_stopping=null --run-dir runs/all-epochs
  jaxnet train configs/multiclass.yaml --run-dir runs/mine --resume
  jaxnet train --run-dir runs/mine --resume training.epochs=100

Relative paths in a config start at the config's directory; of an override, a file is looked for
from here first. 'jaxnet config show' prints every key with its default.

With --resume a run goes on from its newest good checkpoint and ends with the bits of a run that
nothing disturbed; where there is none it starts. The same command may be given again and again. Of
the config only training.epochs (upward), training.on_nan, training.skip_limit, checkpoints, report
and the paths of the data may differ.
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "train",
        help="train a config",
        description="Train a config. Results go to standard output, progress to standard error.",
        usage="jaxnet train CONFIG [key.path=value ...] [--run-dir DIR] [--resume]\n"
        "                    [--deterministic] [--json] [--quiet]\n"
        "       jaxnet train --run-dir DIR --resume [key.path=value ...]",
        epilog=_EXAMPLES,
    )
    add_items(parser, needed=True)
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="new directory for everything the run leaves (default: runs/<config>-<time>)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in DIR; without one, start it"
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="equal bits at every run on an accelerator too, where it is slower (a CPU's are)",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Check the config, train it and print the metrics."""
    path, overrides = split_items(args.items)
    if args.run_dir == "":
        raise UsageError("--run-dir is empty; name a directory, . for the one you are in")
    if args.resume and args.run_dir is None:
        path, args.run_dir = None, _run_directory(path)
    if path is None and not args.resume:
        raise UsageError(
            "train needs a CONFIG, such as configs/binary.yaml; see 'jaxnet train --help'"
        )
    from jaxnet.config import load_config
    from jaxnet.outputs import run_directory

    if args.run_dir is not None:
        run_directory.check_name(args.run_dir)
    given = path if path is not None else _recorded(args.run_dir)
    # A finished run to resume has nothing left to read.
    files, here = not args.resume, Path() if path is None else None
    config = load_config(given, overrides, check_files=files, directory=here)

    # Imports jax, so only for a config that is sound.
    from jaxnet.run import Calling, train

    calling = Calling(
        progress=not args.quiet,
        fit_threads=True,
        deterministic=args.deterministic,
        command=shlex.join(["jaxnet", *args.words]),
        poll=args.poll,
        warn=lambda text: note(f"jaxnet: warning: {text}"),
    )
    done = train(config, run_dir=args.run_dir, resume=args.resume, calling=calling)
    if done.had_finished:
        note(f"{done.directory}: this run has finished; for more epochs: training.epochs=N")
    show = results_as_json if args.json else results_as_text
    emit(show(str(done.directory), done.metrics))
    drawn = done.directory / "report.html"
    if config.report and not args.json and drawn.is_file():
        emit(f"report: {drawn}")
    return 0


def _run_directory(path: str | None) -> str:
    """The run directory that stands where a config usually does."""
    if path is None or not Path(path).is_dir():
        raise UsageError(
            "--resume needs the directory of the run: --run-dir DIR; see 'jaxnet train --help'"
        )
    return path


def _recorded(directory: str) -> Path:
    from jaxnet.outputs.run_directory import RunDirectory, recorded_config

    return recorded_config(RunDirectory(Path(directory)))


def results_as_json(directory: str, metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """The results as one JSON object; a metric that is undefined is null.

    >>> results_as_json("runs/a", {"test": {"accuracy": 0.5, "roc_auc": None}})
    '{"run_directory": "runs/a", "test": {"accuracy": 0.5, "roc_auc": null}}'
    """
    parts = {part: {k: _finite(v) for k, v in one.items()} for part, one in metrics.items()}
    return json.dumps({"run_directory": directory, **parts}, allow_nan=False)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def results_as_text(directory: str, metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """The results as a table, one metric a line.

    >>> print(results_as_text("runs/a", {"validation": {"f1": 0.5}, "test": {"f1": None}}))
    metric            validation        test
    f1                    0.5000         n/a
    run directory: runs/a
    """
    parts = list(metrics)
    keys = list(dict.fromkeys(key for part in parts for key in metrics[part]))
    lines = [f"{'metric':<18}" + "".join(f"{part:>12}" for part in parts).removeprefix("  ")]
    for key in keys:
        cells = "".join(f"{_number(metrics[part].get(key)):>12}" for part in parts)
        lines.append(f"{key:<18}{cells.removeprefix('  ')}")
    return "\n".join([*lines, f"run directory: {directory}"])


def _number(value: float | None) -> str:
    return "n/a" if _finite(value) is None else f"{value:.4f}"
