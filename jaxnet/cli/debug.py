"""`jaxnet debug`: which operation made a step of a run NaN or infinite, and for which rows."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jaxnet.cli.output import emit, note
from jaxnet.cli.parser import add_words, take_words
from jaxnet.cli.signals import leaving

if TYPE_CHECKING:
    from jaxnet.debugging import Debugged
    from jaxnet.training.replay_finding import Finding, Largest, Range

_EPILOG = """\
The step is the one at which the run failed, or the last one that it left out, by
training.on_nan=skip. Its state is brought back from the newest good checkpoint before it, and the
step is run one operation at a time. The data must still be there. Nothing is written.

example:
  jaxnet debug runs/adult
"""
_MOST = 10  # rows that are named


def add_parser(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "debug",
        help="find the operation and the rows behind a step that is NaN or infinite",
        description="Replay the failing step of a run operation by operation, and name the first "
        "operation whose NaN or infinity reached the loss, the gradients or the update.",
        usage="jaxnet debug RUN [--json]",
        epilog=_EPILOG,
    )
    add_words(parser, "RUN", "the directory of a run")
    parser.add_argument("--json", action="store_true", help="print the finding as JSON")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Replay the step and print what was found."""
    (directory,) = take_words(args, "RUN")

    from jaxnet.outputs import run_directory

    run_directory.open_existing(directory)  # a mistake answers before jax is imported
    from jaxnet.debugging import debug

    with leaving():
        found = debug(
            directory, fit_threads=True, warn=lambda text: note(f"jaxnet: warning: {text}")
        )
    show = found_as_json if args.json else found_as_text
    emit(show(directory, found))
    return 0


def found_as_json(directory: str, found: Debugged) -> str:
    """The finding as one JSON object; a number that is not finite is null."""
    said = {"run_directory": directory, **_plain(found.finding)}
    rest = {"advice": list(found.advice), "checkpoint": found.start, "replayed": found.steps}
    return json.dumps({**said, **rest}, allow_nan=False)


def _plain(value: Any) -> Any:
    """Records as mappings, so that every number keeps its name."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def found_as_text(directory: str, found: Debugged) -> str:
    """The finding in words, the operation first and what to try last."""
    finding = found.finding
    lines = [f"step {finding.step} (epoch {finding.epoch}) of {directory}: {_outcome(finding)}"]
    for name, texts in _parts(found):
        for index, text in enumerate(texts):
            lines.append(f"{'' if index else name:<12}{text}")
    return "\n".join(lines)


def _outcome(finding: Finding) -> str:
    if finding.operation is None:
        return f"it replays without a NaN or an infinity, loss {finding.loss:.4g}"
    if not math.isfinite(finding.loss):
        return f"the loss is {finding.loss}"
    if finding.direction == "update":
        return f"the update is not finite, the loss is {finding.loss:.4g}"
    return f"a gradient is not finite, the loss is {finding.loss:.4g}"


_PASSES = {
    "forward": "in the forward pass",
    "backward": "in the backward pass",
    "update": "in what is made of the gradients",
}


def _parts(found: Debugged) -> Iterator[tuple[str, Sequence[str]]]:
    finding = found.finding
    if finding.operation is not None and finding.direction == "input":
        yield "cause", [f"{finding.operation} was not finite before the step"]
    elif finding.operation is not None:
        yield "operation", [f"{finding.operation}, {_PASSES[finding.direction]}"]
        yield "at", [finding.place, *([f"    {finding.code}"] if finding.code else [])]
    if finding.result is not None:
        yield "made" if finding.operands else "it is", [_range(finding.result)]
    yield "from", [_range(each) for each in finding.operands]
    if finding.rows:
        which = "" if finding.exact else "no row alone is to blame; the largest: "
        yield "rows", [f"{which}{_some(finding.rows)} (counted from 0)"]
        yield (
            "inputs",
            [
                f"row {each.row}: {each.name or each.column} = {each.value:.4g}"
                for each in finding.inputs
            ],
        )
    if finding.rows and finding.targets:
        yield "targets", [_some(finding.targets)]
    yield "parameters", [_largest(finding.parameter)]
    yield "gradients", [_largest(finding.gradient)]
    yield "try", found.advice


def _largest(largest: Largest) -> str:
    if not math.isfinite(largest.value):
        return f"not finite ({largest.name})"
    return f"at most {largest.value:.4g} ({largest.name})"


def _range(array: Range) -> str:
    """An array in words.

    >>> from jaxnet.training.replay_finding import Range
    >>> _range(Range((8, 3), "float32", -1.0, 2.5, 4))
    'float32 (8, 3), -1 to 2.5, 4 of 24 not finite'
    """
    words = [f"{array.dtype} {array.shape}"]
    if array.low is not None:
        words.append(f"{array.low:.4g} to {array.high:.4g}")
    if array.not_finite:
        words.append(f"{array.not_finite:,} of {math.prod(array.shape):,} not finite")
    return ", ".join(words)


def _some(values: Sequence[float]) -> str:
    return ", ".join(f"{v}" for v in values[:_MOST]) + (", ..." if len(values) > _MOST else "")
