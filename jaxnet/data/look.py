"""What a file looks like to somebody who is about to train on it: columns, labels, what is odd.

The columns are described by the first rows of a table; the labels are counted in all of them, a
piece at a time, so that memory does not grow with the file.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import arrays, columns, guess, labels, readers, splits, targets
from jaxnet.data.arrow_columns import is_plain
from jaxnet.data.categories import Categories, in_order
from jaxnet.data.columns import Typed, Wishes
from jaxnet.data.frame import Frame
from jaxnet.data.guess import Choice, Task
from jaxnet.data.missing import TOKENS
from jaxnet.data.spreads import spread
from jaxnet.data.table import Array
from jaxnet.data.targets import Target
from jaxnet.errors import DataError

ROWS = 65_536  # of a table, by which its columns are described

_FEW = 20  # rows below which different values say nothing
_EXAMPLES = 3
_CELL = 24
_ENOUGH = 1000  # rows of a class; more of them change nothing in whether a split is possible
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NAME_OF_ID = re.compile(r"(?i:(?:.*[\s_.-])?(?:id|uuid|guid|key))|.*[a-z](?:Id|ID)")


class Column(NamedTuple):
    """A column beside the labels.

    kind: numeric, categorical or id. missing: number of cells. shown: what it holds, in words.
    why: of an id, what speaks for it.
    """

    name: str
    kind: str
    missing: int
    shown: str
    why: str = ""


class Look(NamedTuple):
    """A file that was looked at.

    rows: of the file. seen: the first ones, by which the columns are described. counts: rows of
    each class in the order of training, or of each label. together: columns whose cells name
    something that several rows belong to. warnings: of training, once the ids are dropped.
    """

    path: Path
    rows: int
    seen: int
    choice: Choice
    task: Task
    counts: dict[Any, int]
    columns: tuple[Column, ...]
    together: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def look(path: str | Path, *, target: Sequence[str] = (), task: str | None = None) -> Look:
    """Look at a .csv, .csv.gz, .parquet or .npz file.

    target: the columns of the labels (the key, in an .npz file), where the user names them.
    task: binary, multiclass or multilabel, where the user names it.
    Raises DataError: what training would refuse, with the line; numbers as labels (regression).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "rows.csv")
    >>> _ = file.write_text("age,job\\n" + "31,clerk\\n45,judge\\n" * 9)
    >>> look(file).task
    Task(name='binary', why="column 'job' has 2 classes")
    """
    path = Path(path)
    if path.name.lower().endswith(".npz"):
        return _at_arrays(path, target, task)
    frames = readers.stream(path, rows=ROWS)
    first = next(frames)
    choice = guess.choose(first, target, task)
    try:
        rows, counts = _counted(itertools.chain([first], frames), choice.target)
        found = guess.decide(str(path), choice, counts, task)
    except DataError as error:
        raise guess.with_other_columns(error, first, choice) from None
    said: tuple[str, ...] = ()
    if len(first.columns) == rows:
        said = targets.read(first, choice.target, found.name).warnings
    _refuse_unsplittable(found.name, counts, rows)
    described, together, warnings = _described(first, choice.target)
    seen = min(rows, ROWS)
    warnings = (*said, *_headless(path, choice.target, counts, described), *warnings)
    return Look(path, rows, seen, choice, found, counts, described, together, warnings)


def _headless(
    path: Path, target: Target, counts: Mapping[Any, int], described: Sequence[Column]
) -> tuple[str, ...]:
    """A warning if the names of the columns look like the first row of the table."""
    names = [column.name for column in described if column.kind == "numeric"]
    label = target.columns[0]
    if not names or not all(map(_NUMBER.fullmatch, names)):
        return ()
    is_class = len(target.columns) == 1 and not _NUMBER.fullmatch(label) and label in counts
    if not is_class and (np.diff(list(map(float, names))) > 0).all():  # 0, 1, 2, ...: or a spectrum
        return ()
    return (
        f"the columns are named {names[0]!r}, ..., {label!r}: {path.name} seems to begin with a "
        f"row instead of a header; write one above it",
    )


def _counted(frames: Iterator[Frame], target: Target) -> tuple[int, dict[Any, int]]:
    """The number of rows, and those of each class or label."""
    counts = Counter[Any]()
    rows = 0
    for frame in frames:
        guess.tally(frame, target, counts)
        rows += len(frame.columns)
    if len(target.columns) > 1:
        return rows, dict(counts)
    text = all(isinstance(found, str) for found in counts)
    return rows, {found: counts[found] for found in (in_order if text else sorted)(counts)}


def _refuse_unsplittable(task: str, counts: Mapping[Any, int], rows: int) -> None:
    """What training would say of too few rows, by the shares it uses where none are given."""
    y: Array = np.zeros((min(rows, _ENOUGH), 1), np.float32)
    if task != "multilabel":
        number = np.minimum(list(counts.values()), _ENOUGH)
        y = np.repeat(np.arange(len(number)), number)
    splits.split(y, task, classes=list(counts))


def _described(
    frame: Frame, target: Target
) -> tuple[tuple[Column, ...], tuple[str, ...], tuple[str, ...]]:
    """The columns beside the labels, those that keep rows together, and warnings."""
    cells_of = zip(map(str, frame.columns.column_names), frame.columns.columns, strict=True)
    odd = {name: column for name, column in cells_of if not is_plain(column.type)}
    typed = _inferred(frame, target, tuple(odd))
    ids = {name: _why_text(frame, name) for name in typed.identifiers if name not in odd}
    counted = {name: why for name in typed.numbers if (why := _why_number(name, typed))}
    if len(counted) < len(typed.names):  # something must be left to learn from
        ids |= counted
    warnings = _inferred(frame, target, (*ids, *odd)).warnings
    together = tuple(
        name for name in typed.names if name not in ids and _is_shared(name, frame, typed)
    )
    numbers = _numbers(typed.numbers)
    found = []
    for name in map(str, frame.columns.column_names):
        if name in odd:
            column = odd[name]
            found.append(Column(name, "id", column.null_count, str(column.type), "no feature"))
        elif name in ids:
            cells = columns.read_categories(frame, name, TOKENS)
            found.append(Column(name, "id", _missing(cells), _first(cells), ids[name]))
        elif name in numbers:
            found.append(Column(name, "numeric", *numbers[name]))
        elif name in typed.categories:
            cells = typed.categories[name]
            found.append(Column(name, "categorical", _missing(cells), _examples(cells)))
    return tuple(found), together, warnings


def _inferred(frame: Frame, target: Target, drop: tuple[str, ...]) -> Typed:
    return columns.infer(frame, Wishes({}, drop, target.columns, None, TOKENS))


def _why_text(frame: Frame, name: str) -> str:
    cells = columns.read_categories(frame, name, TOKENS)
    present = len(cells) - _missing(cells)
    return f"{len(cells.texts):,} different texts in {present:,} rows"


def _why_number(name: str, typed: Typed) -> str:
    """What speaks for identifiers in a numeric column; nothing if they are amounts."""
    cells = typed.numbers[name]
    if len(cells) < _FEW or not np.all(cells == np.floor(cells)):  # a missing cell is not whole
        return ""
    named = _NAME_OF_ID.fullmatch(name) and len(np.unique(cells)) == len(cells)
    return "another whole number in every row" if named or columns.counts_up(cells) else ""


def _is_shared(name: str, frame: Frame, typed: Typed) -> bool:
    """Whether a column is named like an identifier, and several rows have the same."""
    if not _NAME_OF_ID.fullmatch(name):
        return False
    number = len(columns.read_categories(frame, name, TOKENS).texts)
    return _FEW <= number < len(frame.columns)


def _numbers(found: Mapping[str, Array]) -> dict[str, tuple[int, str]]:
    """Missing cells of each numeric column, and where the others lie."""
    described = {}
    for name, cells in found.items():
        at = spread(cells[:, None])
        low, median, high, missing = (each[0] for each in (at.low, at.median, at.high, at.missing))
        shown = f"{low:.6g} to {high:.6g}, median {median:.6g}"
        described[name] = (int(missing), shown if missing < len(cells) else "no number in any row")
    return described


def _missing(cells: Categories) -> int:
    return int(np.count_nonzero(cells.codes < 0))


def _examples(cells: Categories) -> str:
    """How many categories there are, and the most common."""
    size = np.bincount(cells.codes[cells.codes >= 0], minlength=len(cells.texts))
    common = Categories(cells.codes, cells.texts.take(np.argsort(-size, kind="stable")))
    return f"{len(size):,} different: {_first(common)}" if len(size) else "nothing in any row"


def _first(cells: Categories) -> str:
    texts = cells.texts[:_EXAMPLES].to_pylist()
    cut = [text if len(text) <= _CELL else f"{text[: _CELL - 3]}..." for text in texts]
    return ", ".join(map(repr, cut)) + (", ..." if len(cells.texts) > _EXAMPLES else "")


def _at_arrays(path: Path, target: Sequence[str], task: str | None) -> Look:
    """Arrays are all numbers; their labels are one array."""
    if len(target) > 1:
        raise DataError(f"target: of {path} it is the name of one array, such as y")
    key = target[0] if target else "y"
    table, _ = arrays.read_npz(path, "X", key)
    choice = Choice(Target((key,)), None)
    several = table.y.ndim == 2 and table.y.shape[1] > 1
    if several and task is None:
        found = Task("multilabel", f"array {key!r} has {table.y.shape[1]} columns of 0 and 1")
    else:
        found = Task(task or "multiclass", None)
    read = labels.validate(table.y, found.name, names=table.names, what=f"{path}: {key!r}")
    number = labels.counts(read.targets, len(read.classes)).tolist()
    counts: dict[Any, int] = dict(zip(read.classes, number, strict=True))
    if found.name != "multilabel":
        found = guess.decide(str(path), choice, counts, task)
    _refuse_unsplittable(found.name, counts, len(table.y))
    seen = min(len(table.x), ROWS)
    cells = {
        name: table.x[:seen, i].astype(np.float64) for i, name in enumerate(table.feature_names)
    }
    numbers = _numbers(cells)
    described = tuple(Column(name, "numeric", *found) for name, found in numbers.items())
    return Look(path, len(table.y), seen, choice, found, counts, described, warnings=read.warnings)
