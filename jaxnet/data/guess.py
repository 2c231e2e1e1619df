"""What a table is probably meant to predict: a guess that says why, for a person to confirm.

The columns of the labels are found by their names, as a block of 0/1 columns at the end, or as the
last column; the task follows from the labels. What jaxnet cannot predict is refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import categories, targets
from jaxnet.data.categories import coded
from jaxnet.data.frame import Frame
from jaxnet.data.numbers import is_temporal
from jaxnet.data.places import nearest, values
from jaxnet.data.table import Array
from jaxnet.data.targets import Target
from jaxnet.errors import DataError

SEPARATORS = ("|", ";", ",")

_NAMES = ("target", "label", "labels", "class", "y", "outcome", "tags")
_OF_LABELS = re.compile(r"(label|class|tag|target|y)[\s_.-]?[\w-]*", re.IGNORECASE)
_BLOCK = 3  # so many 0/1 columns at the end are labels, whatever their names
_MANY_WHOLE = 50  # different whole numbers beyond which they are rather amounts than classes
_MANY = 20  # the same for numbers with a fraction
_SHOWN = 8


class Choice(NamedTuple):
    """The columns of the labels; why: what speaks for them, None where the user named them."""

    target: Target
    why: str | None


class Task(NamedTuple):
    """A task; why: what speaks for it, None where the user named it."""

    name: str
    why: str | None


def choose(frame: Frame, named: Sequence[str], task: str | None) -> Choice:
    """The columns of the labels among those of a table.

    named: the columns that the user named; one, several, or none. task: named by the user, or None.
    Raises DataError: unknown names, no column beside the labels, none that suits the task.

    >>> import pyarrow as pa
    >>> frame = Frame(pa.table({"age": ["1", "2"], "job": ["a", "b"]}), True, "rows.csv", str)
    >>> choose(frame, [], None)
    Choice(target=Target(columns=('job',), separator=None), why='the last column')
    """
    names = [str(name) for name in frame.columns.column_names]
    if len(names) == 1:
        raise DataError(
            f"{frame.name}: one column only, {names[0]!r}: a label and something to predict it "
            f"from are needed"
        )
    if named:
        _refuse_names(frame.name, names, named)
        return _of_named(frame, named, task)
    own_name = next((name for name in reversed(names) if name.casefold() in _NAMES), None)
    block = () if task in ("binary", "multiclass") else _block(frame, names)
    if block and (own_name is None or task == "multilabel"):
        return Choice(Target(block), f"the {len(block)} columns of 0 and 1 at the end")
    if task == "multilabel":
        return _any_separated(frame, names)
    name = own_name or names[-1]
    separator = None if task else separator_of(frame, name)
    why = "a column of this name" if own_name else "the last column"
    return Choice(Target((name,), separator), why)


def decide(file: str, choice: Choice, counts: Mapping[Any, int], task: str | None) -> Task:
    """The task of these labels. counts: of all rows, those of each class or label.

    Raises DataError: numbers to be predicted, identifiers, one class, a task that does not fit.

    >>> decide("rows.csv", Choice(Target(("job",)), None), {"a": 2, "b": 3}, None)
    Task(name='binary', why="column 'job' has 2 classes")
    """
    columns, separator = choice.target
    if len(columns) > 1 or separator is not None:
        if task not in (None, "multilabel"):
            raise DataError(
                f"{file}: task {task} has one class a row, in one column, and "
                f"{values(columns)} are several; task: multilabel"
            )
        shown = f"label names with {separator!r} between them" if separator else "0 or 1 for each"
        return Task("multilabel", None if task else f"several labels a row, {shown}")
    name, number = columns[0], len(counts)
    if number == 1:
        raise DataError(
            f"{file}: column {name!r} holds one class only, {next(iter(counts))!r} in all "
            f"{sum(counts.values())} rows: there is nothing to tell apart"
        )
    _refuse_numbers(f"{file}: column {name!r}", counts, task)
    if task == "binary" and number > 2:
        raise DataError(
            f"{file}: column {name!r}: task binary needs two classes and there are {number}: "
            f"{values(counts)}. Several classes: task multiclass"
        )
    if task is not None:
        return Task(task, None)
    return Task("binary" if number == 2 else "multiclass", f"column {name!r} has {number} classes")


def with_other_columns(error: DataError, frame: Frame, choice: Choice) -> DataError:
    """The error for a column that was guessed, with columns that could be meant instead."""
    if choice.why is None:
        return error
    others = [
        repr(str(name))
        for name in frame.columns.column_names
        if name not in choice.target.columns and 2 <= _distinct(frame, name) <= _MANY
    ]
    known = f"; few different values are in {', '.join(others[-_SHOWN:])}" if others else ""
    return DataError(
        f"{error}. It is {choice.why}, so it was tried; name the one to predict{known}"
    )


def tally(frame: Frame, target: Target, counts: Counter[Any]) -> None:
    """Add the rows of each class or label in a piece of a table to `counts`.

    Raises DataError, with the line: a row without a label (of one class), a cell that is none.
    """
    if len(target.columns) > 1:
        found = targets.read(frame, target, "multilabel", target.columns)
        rows_of = found.targets.sum(axis=0, dtype=np.int64).tolist()
        counts.update(dict(zip(target.columns, rows_of, strict=True)))
        return
    name = target.columns[0]
    kind = frame.columns.column(name).type
    if not categories.is_cell(kind) or is_temporal(kind):
        raise DataError(
            f"{frame.name}: column {name!r} holds {kind}: labels are integers, booleans or text"
        )
    codes, cells = coded(frame.columns.column(name))
    size = np.bincount(codes[codes >= 0], minlength=len(cells)).tolist()
    labels = [_label(cell) for cell in cells.to_pylist()]
    if target.separator is not None:
        for text, rows in zip(labels, size, strict=True):
            counts.update(dict.fromkeys(_pieces(text, target.separator), rows))
        return
    empty = [i for i, found in enumerate(labels) if not str(found).strip() or found != found]
    missing = np.flatnonzero((codes < 0) | np.isin(codes, empty))
    if missing.size:
        raise DataError(
            f"{frame.where(int(missing[0]))}: no label in column {name!r}; leave such rows out"
        )
    counts.update(dict(zip(labels, size, strict=True)))


def separator_of(frame: Frame, name: str) -> str | None:
    """The sign between label names in the cells of a column, or None where there is none.

    The names must come again in other company: fewer names than cells, each twice on average.
    """
    column = frame.columns.column(name)
    if not categories.is_text(column.type):
        return None
    codes, cells = coded(column)
    size = np.bincount(codes[codes >= 0], minlength=len(cells)).tolist()
    texts = cells.to_pylist()
    for separator in SEPARATORS:
        if sum(separator in text for text in texts) < 2:
            continue
        rows_of = Counter[str]()
        for text, rows in zip(texts, size, strict=True):
            rows_of.update(dict.fromkeys(_pieces(text, separator), rows))
        if len(rows_of) < len(texts) and 2 * len(rows_of) <= rows_of.total():
            return separator
    return None


def _pieces(text: str, separator: str) -> set[str]:
    return {piece for piece in map(str.strip, text.split(separator)) if piece}


def _refuse_names(file: str, names: Sequence[str], named: Sequence[str]) -> None:
    for name in named:
        if name not in names:
            near = nearest(name, names) or f"; its columns: {values(names)}"
            raise DataError(f"target: {file} has no column {name!r}{near}")
    if len(set(named)) < len(named):
        raise DataError(f"target: {values(named)}: name each column once")
    if len(named) == len(names):
        raise DataError(f"target: every column of {file} is named, none is left to predict from")


def _of_named(frame: Frame, named: Sequence[str], task: str | None) -> Choice:
    if len(named) > 1:
        return Choice(Target(tuple(named)), None)
    separator = separator_of(frame, named[0]) if task in (None, "multilabel") else None
    if task == "multilabel" and separator is None:
        raise DataError(
            f"{frame.name}: column {named[0]!r} holds no label names with one of "
            f"{values(SEPARATORS)} between them; for task multilabel name such a column, or "
            f"several columns of 0 and 1"
        )
    return Choice(Target((named[0],), separator), None)


def _any_separated(frame: Frame, names: Sequence[str]) -> Choice:
    """The last column of label names with a separator."""
    for name in reversed(names):
        separator = separator_of(frame, name)
        if separator is not None:
            return Choice(Target((name,), separator), f"label names with {separator!r} in between")
    raise DataError(
        f"{frame.name}: no columns of 0 and 1 at the end, and no column of label names with one of "
        f"{values(SEPARATORS)} between them; name the columns to predict"
    )


def _block(frame: Frame, names: Sequence[str]) -> tuple[str, ...]:
    """Columns of 0 and 1 at the end that look like labels: by their names, or three or more after
    as many other columns. One class a row, spread over columns, is no such block.
    """
    found: list[str] = []
    marks: list[Array] = []
    for name in reversed(names):
        ones = _ones(frame, name)
        if ones is None:
            break
        found.insert(0, name)
        marks.insert(0, ones)
    alike = len(found)
    while alike and not all(_OF_LABELS.fullmatch(name) for name in found[-alike:]):
        alike -= 1
    if 2 <= alike < len(names):
        found, marks = found[-alike:], marks[-alike:]
    elif len(found) < _BLOCK or 2 * len(found) > len(names):
        return ()
    one_hot = bool(np.all(np.sum(marks, axis=0) == 1))
    return () if one_hot else tuple(found)


def _ones(frame: Frame, name: str) -> Array | None:
    """Where a column of 0 and 1 holds 1; None where it holds something else."""
    column = frame.columns.column(name)
    if not categories.is_cell(column.type):
        return None
    codes, cells = coded(column)
    found = cells.to_pylist() if len(cells) <= 2 else [None]
    allowed = ("0", "1") if frame.text else (0, 1)
    if (codes < 0).any() or any(cell not in allowed for cell in found):
        return None
    return np.array([cell == allowed[1] for cell in found], bool)[codes]


def _refuse_numbers(what: str, counts: Mapping[Any, int], task: str | None) -> None:
    """Numbers to be predicted, and columns with another value in nearly every row."""
    number, rows = len(counts), sum(counts.values())
    first = values(list(counts)[:3])
    found = [_number(label) for label in counts]
    if all(value is not None for value in found):
        whole = all(value.is_integer() for value in found if value is not None)
        floats = any(isinstance(label, float) for label in counts)
        if floats or number > (_MANY_WHOLE if whole else _MANY):
            if task == "multiclass" and whole:
                return
            more = "; where each number is a class: task multiclass" if whole else ""
            raise DataError(
                f"{what} holds {number:,} different numbers, such as {first}: it looks like a "
                f"number to be predicted (regression), which jaxnet does not do{more}"
            )
    if number > max(2, rows / 2):
        raise DataError(
            f"{what} holds {number:,} different values in {rows:,} rows, such as {first}: it looks "
            f"like an identifier or free text, not like classes"
        )


def _number(label: Any) -> float | None:
    """A label as a number; None for a boolean, and for a text that is none."""
    if isinstance(label, bool):
        return None
    try:
        value = float(label)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _label(cell: Any) -> Any:
    """A cell as a class: as it is written; a whole float as an integer."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _distinct(frame: Frame, name: str) -> int:
    column = frame.columns.column(name)
    return len(coded(column)[1]) if categories.is_cell(column.type) else 0
