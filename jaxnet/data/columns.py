"""What each column of a table is: numeric, categorical, or an identifier that is no feature.

`infer` decides for a table to train on, and says so; `read` takes new rows as training decided.
Text is numeric if every cell that is not missing is a plain number (`numbers`); digits that a
number would not give back (007, whole numbers over 2^53) are text. Numbers, booleans, dates and
times that have a type are numeric; text that has one (Parquet, data frames) is categorical.
Text of true and false alone is what booleans become in a file, and so numeric too, as 1 and 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxnet.data import categories, numbers
from jaxnet.data.categories import Categories
from jaxnet.data.frame import Frame
from jaxnet.data.numbers import Numbers
from jaxnet.data.places import nearest, values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

KINDS = ("numeric", "categorical", "id")

_FEW = 20  # rows below which distinct values say nothing
_NEARLY_ALL = 0.95  # distinct texts among the cells of an identifier
_MOSTLY = 0.9  # numbers among the cells of a column in which words are likely mistakes
_SHOWN = 3
_FREE_TEXT = "Free text is not read: make columns of numbers of it, such as counts of words"


class Typed(NamedTuple):
    """The feature columns of a table, by kind.

    names: of the features, in the order of the table. numbers: name -> float64 (n,), NaN is
    missing. categories: name -> its categories. identifiers: columns that are no features.
    booleans: those of `numbers` that hold truth values.
    """

    names: tuple[str, ...]
    numbers: dict[str, Array]
    categories: dict[str, Categories]
    identifiers: tuple[str, ...]
    where: Callable[[int], str]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    booleans: frozenset[str] = frozenset()


class Wishes(NamedTuple):
    """What the user says about columns.

    kinds: name -> numeric, categorical or id. drop: names to leave out. reserved: columns of the
    target. group: the column that keeps rows together; no feature unless `kinds` names it.
    missing: the tokens of missing cells.
    """

    kinds: Mapping[str, str]
    drop: Sequence[str]
    reserved: Sequence[str]
    group: str | None
    missing: tuple[str, ...]


class _Found(NamedTuple):
    """One column: cells of either kind or None for an identifier, and what there is to say."""

    cells: Numbers | Categories | None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    boolean: bool = False


def infer(frame: Frame, wishes: Wishes) -> Typed:
    """The kind of every column of a table to train on, and its cells.

    Raises DataError: unknown names in the wishes, a word or an infinity in a numeric column, with
    its line; numbers with decimal commas; types that are no features; no feature left.
    """
    names = list(map(str, frame.columns.column_names))
    _refuse_unknown(frame, names, wishes)
    found: dict[str, _Found] = {}
    dropped = set(wishes.drop)
    for name in names:
        if name in wishes.reserved:
            continue
        kind = wishes.kinds.get(name)
        if name in dropped or kind == "id" or (name == wishes.group and kind is None):
            found[name] = _Found(None)
        elif kind == "numeric":
            found[name] = _booleans(frame, name, wishes.missing) or _Found(
                read_numbers(frame, name, wishes.missing)
            )
        elif kind == "categorical":
            found[name] = _Found(read_categories(frame, name, wishes.missing))
        else:
            found[name] = _guess(frame, name, wishes.missing)
    typed = Typed(
        tuple(name for name, each in found.items() if each.cells is not None),
        {n: each.cells.values for n, each in found.items() if isinstance(each.cells, Numbers)},
        {n: each.cells for n, each in found.items() if isinstance(each.cells, Categories)},
        tuple(name for name, each in found.items() if each.cells is None),
        frame.where,
        tuple(text for each in found.values() for text in each.warnings),
    )
    if not typed.names:
        reasons = "".join(f"; {text}" for text in typed.warnings)
        texts = f". {_FREE_TEXT}" if typed.warnings else ""
        raise DataError(f"{frame.name}: no column is left to learn from{reasons}{texts}")
    booleans = [name for name, each in found.items() if each.boolean]
    truths = (f"true and false are taken as 1 and 0: {values(booleans)}",) if booleans else ()
    notes = (_listed(typed), *truths, *(text for each in found.values() for text in each.notes))
    return typed._replace(notes=notes, booleans=frozenset(booleans))


def read_numbers(frame: Frame, name: str, missing: tuple[str, ...]) -> Numbers:
    """A column that must be numeric. Raises DataError, with the line, for a cell that is none."""
    fix = "mend it, leave the cell empty, or train with data.missing: [...], if it means missing"
    found = _read(frame, name, missing, numbers.of, "no number", fix)
    _refuse_infinite(frame, name, found)
    return found


def read_booleans(frame: Frame, name: str, missing: tuple[str, ...]) -> Numbers:
    """A column that held truth values in training: 0 and 1. Raises DataError as `read_numbers`."""
    fix = "mend it, or leave the cell empty to make it missing"
    return _read(frame, name, missing, numbers.booleans, "neither true nor false", fix)


def _read(
    frame: Frame,
    name: str,
    missing: tuple[str, ...],
    read: Callable[..., Numbers | None],
    odd: str,
    fix: str,
) -> Numbers:
    """The cells of a column; odd: what a cell is that `read` cannot take, and what to do."""
    found = read(frame.columns.column(name), missing)
    if found is None:
        raise _no_feature(frame, name)
    if found.odd.size:
        raise _refusal(frame, name, found.odd, odd, fix)
    return found


def read_categories(frame: Frame, name: str, missing: tuple[str, ...]) -> Categories:
    """A column taken as text, cell by cell as it is written."""
    if not categories.is_cell(frame.columns.column(name).type):
        raise _no_feature(frame, name)
    return categories.of(frame.columns.column(name), missing)


def cell(frame: Frame, name: str, row: int) -> str:
    """A cell as it is shown in messages, cut to 40 characters."""
    value = frame.columns.column(name)[row].as_py()
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"


def _guess(frame: Frame, name: str, missing: tuple[str, ...]) -> _Found:
    column = frame.columns.column(name)
    if frame.text:
        return _guess_text(frame, name, missing)
    kind = column.type
    found = numbers.of(column, missing)
    if found is None:
        raise _no_feature(frame, name)
    present = int(np.count_nonzero(~np.isnan(found.values)))
    if categories.is_text(getattr(kind, "value_type", kind)):
        text = _as_text(frame, name, missing)
        if present == 0 or found.odd.size or found.codes.size:
            return text
        said = f"column {name!r} holds numbers as text and is not taken as numeric; to do so: "
        return text._replace(warnings=(f"{said}data.columns: {{{name}: numeric}}", *text.warnings))
    if found.codes.size or (present == 0 and not found.infinite.size):
        return _as_text(frame, name, missing)
    _refuse_infinite(frame, name, found)
    boolean = _booleans(frame, name, missing)
    if boolean is not None:
        return boolean
    notes: tuple[str, ...] = ()
    if numbers.is_temporal(kind):
        said = f"column {name!r} ({kind}) is taken as a number, in seconds"
        notes = (f"{said}; leave it out with data.drop: [{name}]",)
    return _numeric(name, found)._replace(notes=notes)


def _guess_text(frame: Frame, name: str, missing: tuple[str, ...]) -> _Found:
    found = numbers.of(frame.columns.column(name), missing)
    assert found is not None  # text always has an answer
    present = int(np.count_nonzero(~np.isnan(found.values)))
    if not found.odd.size and not found.codes.size and (present or found.infinite.size):
        _refuse_infinite(frame, name, found)
        return _numeric(name, found)
    boolean = None if present else _booleans(frame, name, missing)
    if boolean is not None:
        return boolean
    text = _as_text(frame, name, missing)
    if not found.odd.size:
        return text
    odd = len(found.odd) + len(found.infinite)
    _refuse_commas(frame, name, missing, mostly=len(found.odd) > present)
    if present < _FEW:
        return text
    if present < _MOSTLY * (present + odd) and not _of_few_words(frame, name, found):
        return text
    return text._replace(warnings=(_mixed(frame, name, found), *text.warnings))


def _booleans(frame: Frame, name: str, missing: tuple[str, ...]) -> _Found | None:
    """A column of that type, or of text that is true or false and not digits alone; else None."""
    import pyarrow.types as types

    column = frame.columns.column(name)
    if not (types.is_boolean(column.type) or categories.is_text(column.type)):
        return None
    found = numbers.booleans(column, missing)
    assert found is not None  # both have an answer
    if found.odd.size or np.isnan(found.values).all():
        return None
    if categories.is_text(column.type):
        plain = numbers.of(column, missing)
        if plain is None or not plain.odd.size:
            return None
    return _Found(found, boolean=True)


def _numeric(name: str, found: Numbers) -> _Found:
    """A numeric column, with a warning if it looks like a row number."""
    cells = found.values
    warnings: tuple[str, ...] = ()
    whole = np.all((cells == np.floor(cells)) & (np.abs(cells) < numbers.FLOAT64_WHOLE))
    if len(cells) >= _FEW and whole and counts_up(cells):
        warnings = (
            f"column {name!r} holds another whole number in every row, like a row number; if it is "
            f"one: data.drop: [{name}]",
        )
    return _Found(found, warnings)


def counts_up(cells: Array) -> bool:
    """Rising from row to row, or the whole numbers of a range in any order."""
    if np.all(np.diff(cells) > 0):
        return True
    return bool(cells.max() - cells.min() == len(cells) - 1) and len(np.unique(cells)) == len(cells)


def _as_text(frame: Frame, name: str, missing: tuple[str, ...]) -> _Found:
    """A categorical column, or an identifier if nearly every cell is another one."""
    found = read_categories(frame, name, missing)
    present, distinct = int(np.count_nonzero(found.codes >= 0)), len(found.texts)
    if present >= _FEW and distinct >= _NEARLY_ALL * present:
        example = values(found.texts[:2].to_pylist())
        return _Found(
            None,
            (
                f"column {name!r} is left out: {distinct} different texts in {present} rows, such "
                f"as {example}, are identifiers or free text; to keep it: "
                f"data.columns: {{{name}: categorical}}",
            ),
        )
    return _Found(found)


def _of_few_words(frame: Frame, name: str, found: Numbers) -> bool:
    """Whether half the cells or more are numbers of all sizes and the rest says few things: NULL.

    Words that stand for missing are as likely as words that are categories.
    """
    import pyarrow as pa

    present = found.values[~np.isnan(found.values)]
    if len(found.odd) > len(present) or len(np.unique(present)) <= _FEW:
        return False
    return len(frame.columns.column(name).take(pa.array(found.odd)).unique()) <= _SHOWN


def _mixed(frame: Frame, name: str, found: Numbers) -> str:
    """A warning for words among numbers."""
    rows = np.sort(np.concatenate([found.odd, found.infinite]))
    shown = ", ".join(f"{cell(frame, name, int(i))} ({frame.where(int(i))})" for i in rows[:_SHOWN])
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return (
        f"column {name!r} is taken as categorical: all its cells are numbers but {shown}{more}. "
        f"If these mean missing: data.missing: [{frame.columns.column(name)[int(rows[0])]}, ...]; "
        f"to refuse them by line: data.columns: {{{name}: numeric}}"
    )


def _refuse_commas(frame: Frame, name: str, missing: tuple[str, ...], *, mostly: bool) -> None:
    """An error if every cell is a number, with a comma in some; mostly: in more than half.

    Commas in a few cells alone could be those of a list, 1,2, unless they stand before thousands.
    """
    found = read_categories(frame, name, missing)
    grouped = numbers.thousands(found.texts)
    if not grouped and not (mostly and numbers.decimal_commas(found.texts)):
        return
    # The first text that holds one, and the first row that holds that text.
    comma = next(i for i, text in enumerate(found.texts.to_pylist()) if "," in text)
    row = int(np.flatnonzero(found.codes == comma)[0])
    what, how = "a decimal comma", "write a point (3.14)"
    if grouped:
        what, how = "commas between thousands", "leave these out (1234567)"
        if numbers.decimal_commas(found.texts):
            what = "a comma, between thousands or as a decimal point"
            how = "leave it out (1234) or write a point (1.234), as it is meant"
    raise DataError(
        f"{frame.where(row)}: column {name!r} holds {cell(frame, name, row)}: numbers are written "
        f"with {what}; {how}, or take them as text: data.columns: {{{name}: categorical}}"
    )


def _refuse_infinite(frame: Frame, name: str, found: Numbers) -> None:
    if found.infinite.size:
        raise _refusal(
            frame, name, found.infinite, "infinite, or too large for float64",
            "mend it, or leave the cell empty to make it missing",
        )  # fmt: skip


def _refusal(frame: Frame, name: str, rows: Array, what: str, fix: str) -> DataError:
    """The error for the first of the cells that a numeric column cannot hold."""
    row = int(rows[0])
    more = f" ({len(rows)} such cells)" if len(rows) > 1 else ""
    shown = cell(frame, name, row)
    return DataError(
        f"{frame.where(row)}: column {name!r} is numeric and holds {shown}, {what}{more}; {fix}"
    )


def _no_feature(frame: Frame, name: str) -> DataError:
    kind = frame.columns.column(name).type
    return DataError(
        f"{frame.name}: column {name!r} holds {kind}, which is no feature; leave it out with "
        f"data.drop: [{name}]"
    )


def _refuse_unknown(frame: Frame, names: Sequence[str], wishes: Wishes) -> None:
    """Every name that the user types must be a column, and be given one role."""
    group = () if wishes.group is None else (wishes.group,)
    for key, given in (("columns", wishes.kinds), ("drop", wishes.drop), ("split.group", group)):
        for name in given:
            if name not in names:
                raise DataError(
                    f"data.{key}: {frame.name} has no column {name!r}"
                    f"{nearest(name, names) or f'; it has {values(names)}'}"
                )
            if name in wishes.reserved:
                raise DataError(f"data.{key}: column {name!r} is the target already")
    for name, kind in wishes.kinds.items():
        if kind not in KINDS:
            raise DataError(f"data.columns.{name}: {kind!r} is no kind; known are {values(KINDS)}")
        if name in wishes.drop:
            raise DataError(f"data.drop: column {name!r} is given a kind in data.columns too")


def _listed(typed: Typed) -> str:
    """The columns by kind, in one sentence."""
    groups = {
        "numeric": list(typed.numbers),
        "categorical": list(typed.categories),
        "no features": list(typed.identifiers),
    }
    first = True
    said = []
    for kind, names in groups.items():
        if names:
            word = f"{kind} column{'s' if len(names) > 1 else ''}" if first else kind
            said.append(f"{len(names)} {word}: {values(names)}")
            first = False
    return "; ".join(said)
