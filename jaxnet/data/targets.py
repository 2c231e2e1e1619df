"""Labels from the columns of a table.

binary, multiclass: one column. Of text, every cell is a class as it is written, `NA` too; an empty
cell is an error. Of typed cells, integers, booleans and text are classes.
multilabel: several columns of 0 and 1 (of text nothing else, so that no spelling is guessed), or
one column of label names with a separator between them; an empty cell there is a row without
labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import categories, labels, numbers
from jaxnet.data.categories import coded, in_order, is_text
from jaxnet.data.frame import Frame
from jaxnet.data.labels import Class, Labels
from jaxnet.data.places import nearest, values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

_FEW_CLASSES = 50


class Target(NamedTuple):
    """The columns that hold the labels; separator: between names in one column, or None."""

    columns: tuple[str, ...]
    separator: str | None = None


def resolve(target: Any, task: str, names: Sequence[str], file: str) -> Target:
    """What `data.target` says, checked against the columns of a file.

    target: a name; for multilabel a list of names, or {column: name, separator: "|"}.

    >>> resolve({"column": "tags", "separator": "|"}, "multilabel", ["a", "tags"], "a.csv")
    Target(columns=('tags',), separator='|')
    >>> resolve("incme", "binary", ["age", "income"], "a.csv")
    Traceback (most recent call last):
    jaxnet.errors.DataError: data.target: a.csv has no column 'incme'; did you mean 'income'?
    """
    if target is None:
        raise DataError(
            f"data.target: name the column of {file} that holds the labels. Its columns: "
            f"{values(names)}. Type data.target: {names[-1] if names else 'NAME'}"
        )
    found = _target(target)
    for name in found.columns:
        if name not in names:
            near = nearest(name, names) or f". Its columns: {values(names)}"
            raise DataError(f"data.target: {file} has no column {name!r}{near}")
    if len(set(found.columns)) < len(found.columns) or not found.columns:
        raise DataError(f"data.target: {values(found.columns)}: expected columns, each once")
    if task == "multilabel" and isinstance(target, str):
        raise DataError(
            f"data.target: task multilabel needs a list of 0/1 columns, [{target}, ...], or one "
            f'column of names: {{column: {target}, separator: "|"}}'
        )
    if task != "multilabel" and (len(found.columns) > 1 or found.separator is not None):
        raise DataError(
            f"data.target: task {task} has one class a row, in one column; several labels a row: "
            f"task: multilabel"
        )
    return found


def read(frame: Frame, target: Target, task: str, classes: Sequence[Class] | None = None) -> Labels:
    """The labels of a table as targets; with `classes`, those of training, looked up among them.

    Raises DataError, with the line: a missing label, a class that training does not know, a cell
    of a 0/1 column that is neither; one class only; classes that look like numbers to predict.
    """
    missing = [name for name in target.columns if name not in frame.columns.column_names]
    if missing:
        names = frame.columns.column_names
        raise DataError(
            f"{frame.name}: no column {values(missing)}, which holds the labels"
            f"{nearest(missing[0], names) or f'; it has {values(names)}'}"
        )
    if len(frame.columns) == 0:
        raise DataError(f"{frame.name}: no rows, so no labels")
    if task != "multilabel":
        return _single(frame, target.columns[0], task, classes)
    if target.separator is None:
        return _indicators(frame, target, classes)
    return _separated(frame, target, classes)


def _target(target: Any) -> Target:
    if isinstance(target, str):
        return Target((target,))
    if isinstance(target, Mapping) and set(target) == {"column", "separator"}:
        if not isinstance(target["separator"], str) or not target["separator"]:
            raise DataError('data.target.separator: expected a text, such as "|"')
        return Target((str(target["column"]),), target["separator"])
    if isinstance(target, list | tuple) and all(isinstance(name, str) for name in target):
        return Target(tuple(target))
    raise DataError(
        'data.target: expected a column, a list of columns, or {column: tags, separator: "|"}'
    )


def _single(frame: Frame, name: str, task: str, classes: Sequence[Class] | None) -> Labels:
    kind = frame.columns.column(name).type
    if not categories.is_cell(kind) or numbers.is_temporal(kind):
        raise DataError(
            f"{frame.name}: column {name!r} holds {kind}: labels are integers, booleans or text"
        )
    codes, cells = coded(frame.columns.column(name))
    texts = [_as_class(cell) for cell in cells.to_pylist()]
    _refuse_fractions(frame, name, codes, texts)
    empty = np.array([text is None or not str(text).strip() for text in texts] + [True])[codes]
    if empty.any():
        rows = np.flatnonzero(empty)
        more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
        raise DataError(
            f"{frame.where(int(rows[0]))}: no label in column {name!r}{more}; leave such rows out"
        )
    known = list(classes) if classes is not None else _sorted_classes(texts)
    if classes is None:
        _refuse_too_many(frame, name, known, len(codes), task)
    place = {str(known_class): i for i, known_class in enumerate(known)}
    number = np.array([place.get(str(text), -1) for text in texts], np.int64)
    if (number < 0).any():
        raise _unknown(frame, name, codes, texts, number, list(place))
    found = number[codes]
    if classes is None and len(known) == 1:
        raise DataError(
            f"{frame.name}: column {name!r} holds one class only, {known[0]!r} in all "
            f"{len(codes)} rows: there is nothing to tell apart"
        )
    if task == "binary" and len(known) > 2:
        counts = labels.counts(found, len(known))
        raise DataError(
            f"{frame.name}: column {name!r}: task binary needs two classes and there are "
            f"{len(known)}: {labels.counted(known, counts)}. Several classes: task: multiclass"
        )
    warnings = _alike(name, known) if classes is None else ()
    dtype = np.float32 if task == "binary" else np.int32
    return Labels(found.astype(dtype), tuple(known), warnings)


def _as_class(cell: Any) -> Class | float | None:
    """A distinct cell as a class; None where it is missing, a float where it is no class."""
    if isinstance(cell, float):
        if cell != cell:
            return None
        return int(cell) if cell.is_integer() else cell
    return cell if cell is None or isinstance(cell, bool | int | str) else str(cell)


def _refuse_fractions(frame: Frame, name: str, codes: Array, texts: Sequence[Any]) -> None:
    """A typed number that is not whole is a number to be predicted."""
    odd = [i for i, text in enumerate(texts) if isinstance(text, float)]
    if odd:
        row = int(np.flatnonzero(np.isin(codes, odd))[0])
        raise DataError(
            f"{frame.where(row)}: column {name!r} holds {texts[codes[row]]!r}: a label is a class, "
            f"a whole number or a text; jaxnet does not fit numbers (regression)"
        )


def _sorted_classes(texts: Sequence[Any]) -> list[Class]:
    found = [text for text in texts if text is not None]
    if all(isinstance(text, str) for text in found):
        return list(in_order(map(str, found)))
    return sorted(found)


def _refuse_too_many(frame: Frame, name: str, known: Sequence[Class], rows: int, task: str) -> None:
    """Nearly a class a row: a number to be predicted, or a name for each row."""
    if len(known) > max(2, rows / 2):
        raise DataError(
            f"{frame.name}: column {name!r} holds {len(known)} different values in {rows} rows, "
            f"such as {values(known[:3])}: it looks like a number to be predicted (regression, "
            f"which jaxnet does not do) or an identifier; name another column with data.target"
        )


def _unknown(
    frame: Frame, name: str, codes: Array, texts: Sequence[Any], number: Array, known: list[str]
) -> DataError:
    rows = np.flatnonzero((number < 0)[codes])
    label = str(texts[codes[rows[0]]])
    more = f" ({len(rows)} rows with classes unknown in training)" if len(rows) > 1 else ""
    return DataError(
        f"{frame.where(int(rows[0]))}: column {name!r} holds {label!r}, a class that the training "
        f"rows do not have{more}{nearest(label, known) or '.'} Known classes: {values(known)}"
    )


def _alike(name: str, known: Sequence[Class]) -> tuple[str, ...]:
    """A warning for classes that differ by blanks or case alone."""
    first: dict[str, Class] = {}
    for label in known:
        other = first.setdefault(" ".join(str(label).split()).casefold(), label)
        if other is not label:
            return (
                f"column {name!r}: classes {other!r} and {label!r} differ only by blanks or by "
                f"upper and lower case; they are kept apart",
            )
    if len(known) > _FEW_CLASSES and all(_is_number(label) for label in known):
        return (
            f"column {name!r} holds {len(known)} different numbers, each taken as a class; jaxnet "
            f"does not fit numbers (regression)",
        )
    return ()


def _is_number(label: Class) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _indicators(frame: Frame, target: Target, classes: Sequence[Class] | None) -> Labels:
    columns = [_zero_or_one(frame, name) for name in target.columns]
    y = np.stack(columns, axis=1)
    what = f"{frame.name}: the target"
    return labels.validate(y, "multilabel", classes, names=target.columns, what=what)


def _zero_or_one(frame: Frame, name: str) -> Array:
    """A column of 0 and 1: bool (n,)."""
    kind = frame.columns.column(name).type
    if not categories.is_cell(kind):
        raise DataError(f"{frame.name}: column {name!r} holds {kind}, not 0 and 1")
    codes, cells = coded(frame.columns.column(name))
    known: dict[Any, int] = {"0": 0, "1": 1} if is_text(cells.type) else {0: 0, 1: 1}
    keys = [c.strip() if isinstance(c, str) else c for c in cells.to_pylist()]
    number = np.array([*(known.get(key, -1) for key in keys), -1])[codes]  # the last for a null
    wrong = np.flatnonzero(number < 0)
    if wrong.size:
        row = int(wrong[0])
        cell = frame.columns.column(name)[row].as_py()
        word = "no label" if cell is None or cell == "" else repr(cell)
        raise DataError(
            f"{frame.where(row)}: column {name!r} holds {word}: a label column of task multilabel "
            f"holds 0 and 1"
        )
    return np.asarray(number, bool)


def _separated(frame: Frame, target: Target, classes: Sequence[Class] | None) -> Labels:
    """Names split at the separator, blanks around them cut, a name in a cell counted once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name, n = target.columns[0], len(frame.columns)
    column = frame.columns.column(name)
    inner = getattr(column.type, "value_type", column.type)
    if not (categories.is_cell(column.type) and is_text(inner)):
        raise DataError(f"{frame.name}: column {name!r} holds {column.type}, not names of labels")
    cells = pa.chunked_array(pc.cast(column, pa.large_string())).combine_chunks()
    pieces = pc.split_pattern(pc.fill_null(cells, ""), target.separator)
    rows = pc.list_parent_indices(pieces).to_numpy(zero_copy_only=False)
    codes, texts = coded(pc.utf8_trim_whitespace(pc.list_flatten(pieces)))
    found = texts.to_pylist()
    known = [str(c) for c in classes] if classes is not None else in_order(filter(None, found))
    if not known:
        raise DataError(f"{frame.name}: column {name!r} holds no label in any row")
    place = {label: i for i, label in enumerate(known)}
    number = np.array([place.get(text, -1) for text in found], np.int64)[codes]
    y = np.zeros((n, len(known)), np.float32)
    y[rows[number >= 0], number[number >= 0]] = 1
    strangers = np.bincount(codes, minlength=len(found))
    unknown = {t: int(k) for t, k in zip(found, strangers, strict=True) if t and t not in place}
    said: list[str] = []
    if unknown:
        said.append(
            f"{frame.name}: {sum(unknown.values())} labels are unknown in training and cannot be "
            f"predicted: {values(unknown)}"
        )
    if classes is None:
        said += labels.validate(y, "multilabel", names=known, what=frame.name).warnings
    return Labels(y, tuple(known), tuple(said))


def rows_without_labels(found: Labels) -> int:
    """Rows of a multilabel target that have none."""
    return int(np.count_nonzero(~found.targets.any(axis=1))) if found.targets.ndim == 2 else 0
