"""`jaxnet config init DATA`: a commented config for a file that it has looked at."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxnet.cli.config_text import WIDTH, as_yaml, comment, path_from, shell, shown, stem_of
from jaxnet.cli.output import emit, note
from jaxnet.cli.parser import add_words, take_words
from jaxnet.errors import UserError
from jaxnet.files import put_new, write_atomic

if TYPE_CHECKING:
    from jaxnet.data.look import Column, Look

_EPILOG = """\
What is guessed is marked as guessed, with the reason: read those lines. The labels are counted in
all rows; the columns of a table are described by its first 65,536. For XC text the settings of
configs/extreme.yaml are written.

examples:
  jaxnet config init rows.csv
  jaxnet config init rows.csv --target income --output income.yaml
  jaxnet config init films.csv --target genres --task multilabel
  jaxnet config init scenes.csv --target beach --target urban
  jaxnet config init train.txt.gz --output wiki.yaml
"""
_COMMENTS = 34  # where comments begin that stand behind a key
_COLUMNS = 150  # described, at most
_CLASSES = 20
_UNEVEN = 3  # times the rows of the smallest class
_RARE = 0.1  # share of rows that have a label
_FEW_HELD = 50  # validation rows


def add_parser(parts: Any) -> None:
    """Add the command to those of `jaxnet config`."""
    parser = parts.add_parser(
        "init",
        help="look at a file of labelled rows and write a config for it",
        description="Look at a file of labelled rows and write a commented config for it.",
        usage="jaxnet config init DATA [--target COLUMN ...] [--task TASK] [--output FILE]",
        epilog=_EPILOG,
    )
    add_words(
        parser,
        "DATA",
        "a .csv, .csv.gz, .parquet or .npz file, or XC text (.txt, .txt.gz)",
    )
    parser.add_argument(
        "--target",
        metavar="COLUMN",
        action="append",
        default=[],
        help="the column to predict; several labels a row: once for each 0/1 column",
    )
    parser.add_argument(
        "--task", choices=("binary", "multiclass", "multilabel"), help="where the guess is wrong"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="a new .yaml file (default: standard output)"
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Look at the file and write the config."""
    (data,) = take_words(args, "DATA")
    output = None if args.output is None else Path(args.output)
    if output is not None:
        _refuse_output(output)

    from jaxnet.data import sparse_sets

    if sparse_sets.is_sparse(data):
        from jaxnet.cli import config_init_sparse

        lines = config_init_sparse.lines(Path(data), args.target, args.task, output)
        _tell(output, "".join(f"{line}\n" for line in lines), "multilabel")
        return 0

    from jaxnet.data.look import look

    found = look(data, target=args.target, task=args.task)
    text = "".join(f"{line}\n" for line in _lines(found, output))
    _tell(output, text, found.task.name)
    for what, why in (("target", found.choice.why), ("task", found.task.why)):
        if why is not None:
            note(f"guessed: {what} {_said(found, what)}: {why}")
    return 0


def _tell(output: Path | None, text: str, task: str) -> None:
    """Print the config, or write it and say what is next."""
    if output is None:
        emit(text)
        return
    _write(output, text)
    emit(f"{output}: task {task}; next: jaxnet config check {shell(output)}")


def _refuse_output(output: Path) -> None:
    """Refuse a name before any work is done for it."""
    if output.suffix not in (".yaml", ".yml"):
        raise UserError(f"{output}: a config is a .yaml file; give the name this ending")
    if os.path.lexists(output):
        raise UserError(f"{output}: exists already and is left as it is; name another file")
    if not output.parent.is_dir():
        raise UserError(f"{output}: the folder {str(output.parent)!r} does not exist; make it")


def _write(output: Path, text: str) -> None:
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            "the name of the file holds bytes that are no text, which a config cannot name: "
            "rename it first, or set PYTHONUTF8=1"
        ) from None
    try:
        write_atomic(output, content, put=put_new)
    except FileExistsError:
        raise UserError(
            f"{output}: exists already and is left as it is; name another file"
        ) from None
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None


def _said(found: Look, what: str) -> str:
    if what == "task":
        return found.task.name
    columns = found.choice.target.columns
    return ", ".join(map(shown, columns[:5])) + (", ..." if len(columns) > 5 else "")


def _lines(found: Look, output: Path | None) -> Iterator[str]:
    """The config, line by line."""
    yield from _head(found, output)
    yield ""
    yield from _guessed(f"task: {found.task.name}", found.task.why)
    yield "data:"
    yield f"  train: {as_yaml(path_from(found.path, output))}"
    yield from _target(found)
    ids = [column for column in found.columns if column.kind == "id"]
    if ids:
        yield from comment(
            "guessed: no features, see their lines below. Predictions keep them. A column that "
            "means something: take it out here.",
            "  ",
        )
        yield from _list("drop", [column.name for column in ids])
    yield from _suggestions(found)
    yield "#"
    yield from _balance(found)
    yield "#"
    yield from _described(found)


def _head(found: Look, output: Path | None) -> Iterator[str]:
    """What to type next, and how to read the rest."""
    stem = stem_of(found.path)
    config = f"{stem}.yaml" if output is None else str(output)
    run = shell(f"runs/{stem}")
    number = len(found.columns) + (len(found.choice.target.columns) if _is_table(found) else 0)
    ending = found.path.name[len(stem) :].lower()
    first = "Then" if output is not None else f"Save this as {shown(config)}, then"
    yield f"# {shown(found.path.name)}: {found.rows:,} rows, {number:,} columns."
    yield f"# {first} type:"
    yield "#"
    yield f"#   jaxnet config check {shell(config)}"
    yield f"#   jaxnet train {shell(config)} --run-dir {run}"
    yield f"#   jaxnet evaluate {run} LABELLED{ending}"
    yield f"#   jaxnet predict {run} NEW{ending} --output predictions.csv"
    yield "#"
    yield from comment(
        "Training leaves report.html in the run directory. Lines marked 'guessed' are guesses: "
        "read them. Every other key has a default, and 'jaxnet config show' lists them."
    )


def _target(found: Look) -> Iterator[str]:
    columns, separator = found.choice.target
    if not _is_table(found):
        if columns != ("y",):
            yield f"  target: {as_yaml(columns[0])}"
    elif separator is not None:
        pair = f"{{column: {as_yaml(columns[0])}, separator: {as_yaml(separator)}}}"
        yield from _guessed(f"  target: {pair}", found.choice.why)
    elif len(columns) > 1:
        if found.choice.why:
            yield f"  # guessed: {found.choice.why}"
        yield from _list("target", columns)
    else:
        yield from _guessed(f"  target: {as_yaml(columns[0])}", found.choice.why)
    if found.task.name == "binary":
        why = "the second in sorted order; F1 is about this class"
        yield from _guessed(f"  positive: {as_yaml(str(list(found.counts)[1]))}", why)


def _suggestions(found: Look) -> Iterator[str]:
    """Keys that this file may need."""
    for warning in found.warnings:
        yield from comment(f"note: {shown(warning, quoted=False)}", "  ")
    if found.together:
        name = found.together[0]
        yield from comment(
            f"Several rows have the same {shown(name)}. If new rows will come from others, keep "
            f"them together:",
            "  ",
        )
        yield f"  # split: {{group: {as_yaml(name)}}}"
    held = int(0.15 * found.rows)
    if held < _FEW_HELD:
        yield from comment(
            f"Few rows: about {held} for validation and as many for the test, so metrics and "
            f"thresholds will be rough.",
            "  ",
        )


def _balance(found: Look) -> Iterator[str]:
    """How many rows each class or label has, and what to do where they are few."""
    several = found.task.name == "multilabel"
    sizes = sorted(found.counts.items(), key=lambda pair: -pair[1])
    parts = [f"{shown(str(k))}: {n:,} ({n / found.rows:.1%})" for k, n in sizes[:_CLASSES]]
    more = f", and {len(sizes) - _CLASSES} more" if len(sizes) > _CLASSES else ""
    yield from comment(f"{'Labels' if several else 'Classes'}: {', '.join(parts)}{more}.")
    least = sizes[-1][1]
    if several and least < _RARE * found.rows:
        yield from comment(
            "Some labels are rare. Their thresholds are tuned as they are. To find more of them, "
            "at the price of probabilities that are too high:"
        )
        yield "# loss: {pos_weight: balanced}"
    elif not several and sizes[0][1] >= _UNEVEN * least:
        yield from comment(
            f"The classes are uneven: the largest has {sizes[0][1] / least:.0f} times the rows of "
            f"the smallest. To weigh them alike, at the price of probabilities that follow equal "
            f"shares:"
        )
        yield "# loss: {class_weight: balanced}"
        if found.task.name == "binary":
            yield "# Or keep the probabilities and move the threshold alone:"
            yield "# decision: {threshold: f1}"


def _described(found: Look) -> Iterator[str]:
    """The columns in a table of comments."""
    seen = "" if found.seen == found.rows else f", by the first {found.seen:,} rows"
    how = " Where a kind is wrong: data: columns: {NAME: numeric, or categorical, or id}."
    yield from comment(f"The columns{seen}.{how if _is_table(found) else ''}")
    columns = found.columns[:_COLUMNS]
    width = max(len(shown(name)) for name in ("column", *(column.name for column in columns)))
    yield f"#   {'column':<{width}}  {'kind':<11}  {'missing':>7}  values"
    for column in columns:
        yield f"#   {shown(column.name):<{width}}  {column.kind:<11}  {_cells(column)}"
    if len(found.columns) > _COLUMNS:
        yield f"#   and {len(found.columns) - _COLUMNS:,} more"


def _cells(column: Column) -> str:
    why = f" ({column.why})" if column.why else ""
    return f"{column.missing:>7,}  {column.shown}{why}"


def _guessed(text: str, why: str | None) -> Iterator[str]:
    """A key with the reason behind it, or above it where that is long."""
    if why is None:
        yield text
        return
    said = f"guessed: {shown(why, quoted=False)}"
    line = f"{text:<{_COMMENTS - 1}} # {said}"
    if len(text) < _COMMENTS and len(line) <= WIDTH:
        yield line
        return
    yield from comment(said, text[: len(text) - len(text.lstrip())])
    yield text


def _list(key: str, names: Any) -> Iterator[str]:
    """A list of names; a long one takes several lines."""
    short = f"  {key}: [{', '.join(map(as_yaml, names))}]"
    if len(short) <= WIDTH:
        yield short
        return
    yield f"  {key}:"
    yield from (f"    - {as_yaml(name)}" for name in names)


def _is_table(found: Look) -> bool:
    return not found.path.name.lower().endswith(".npz")
