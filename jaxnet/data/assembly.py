"""The order of things: kinds of columns, labels, split, features of training rows, schema."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import columns, features, labels, new_rows, sources, split_file, splits
from jaxnet.data import targets as targets_
from jaxnet.data.columns import Wishes
from jaxnet.data.features import Cells, Options
from jaxnet.data.frame import Frame
from jaxnet.data.labels import Class, Labels
from jaxnet.data.places import values
from jaxnet.data.sources import Given, Part
from jaxnet.data.splits import Split
from jaxnet.data.table import Array, Table
from jaxnet.errors import DataError


class Dataset(NamedTuple):
    """Encoded features, targets of the task (`labels.Labels`), and how they came about.

    Of sparse sets (`sparse_sets`) x are SparseRows and y SparseLabels. Else:
    x: float32 (rows, d); its last columns are whole numbers, one for each of
        `schema["embeddings"]`. y: binary float32 (rows,), multiclass int32 (rows,), multi-label
        float32 (rows, K). A validation or test part that was not asked for has 0 rows.
    rows: row numbers of the three parts in the training table; a table of its own has none.
    schema: JSON-able; the record of columns, classes and split that the model keeps.
    warnings: what is allowed but likely a mistake; notes: what was done on the way.
    """

    x_train: Any
    y_train: Any
    x_val: Any
    y_val: Any
    x_test: Any
    y_test: Any
    rows: Split
    schema: dict[str, Any]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


class Shares(NamedTuple):
    """Shares of all rows that are split off, and the seed of the split.

    group: a column whose equal cells stay in one part; it is no feature unless it is given a kind.
    file: a CSV file that names the part of each row instead (see `split_file`).
    """

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    group: str | None = None
    file: str | None = None


class Settings(NamedTuple):
    """What the user wishes. kinds: of columns; rows: of the parts, where they are given."""

    task: str
    positive: Class | None
    kinds: Mapping[str, str]
    drop: tuple[str, ...]
    missing: tuple[str, ...]
    options: Options
    shares: Shares
    rows: Split | None = None


class _Typed(NamedTuple):
    """Columns of the training table, read; identifiers: columns that are no features."""

    cells: Cells
    identifiers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Encoded(NamedTuple):
    x: Array
    y: Array
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def build(given: Given, settings: Settings) -> Dataset:
    """The data set of these parts. What has no part of its own is split off the training part."""
    shares = settings.shares
    if given.validation is not None:
        shares = shares._replace(validation=0.0)
    if given.test is not None:
        shares = shares._replace(test=0.0)
    settings = settings._replace(shares=shares)
    _refuse_other_columns(given)
    typed = _typed(given, settings)
    found = given.train.labels(None)
    shown = labels.name_classes(
        found.classes, None if settings.task == "multilabel" else given.train.names
    )
    turned = labels.with_positive(found, settings.positive, given.train.what)
    if turned.classes != found.classes:
        found, shown = turned, shown[::-1]
    rows = _split(given, found, shown, settings)
    _refuse_untaught(found, rows, shown)
    fitted = features.fit(typed.cells, rows.train, settings.options)
    schema = {
        "format": new_rows.FORMAT,
        "task": settings.task,
        "named": isinstance(given.train.x, Frame),
        "features": list(typed.cells.names),
        **fitted.schema,
        "identifiers": list(typed.identifiers),
        "missing": list(settings.missing),
        "target": {"columns": list(given.target.columns), "separator": given.target.separator},
        "classes": list(found.classes),
        "class_names": list(shown),
    }
    known = new_rows.ready(schema)
    places = features.look_up(known.encoder, typed.cells)
    parts = [
        _Encoded(
            features.encode(known.encoder, typed.cells, part, places=places), found.targets[part]
        )
        for part in rows
    ]
    for place, own in ((1, given.validation), (2, given.test)):
        if own is not None:
            parts[place] = _own_part(known, own)
    return _dataset(given, settings, typed, found, rows, schema, parts, fitted.notes)


def _dataset(
    given: Given,
    settings: Settings,
    typed: _Typed,
    found: Labels,
    rows: Split,
    schema: dict[str, Any],
    parts: Sequence[_Encoded],
    notes: Sequence[str],
) -> Dataset:
    """The schema finished, and all remarks in order."""
    shown = schema["class_names"]
    train, validation, test = parts
    schema["rows"] = {part: len(e.y) for part, e in zip(splits.PARTS, parts, strict=True)}
    schema["train_counts"] = labels.counts(train.y, len(shown)).tolist()
    schema["split"] = {
        **settings.shares._asdict(),
        "validation_given": given.validation is not None,
        "test_given": given.test is not None,
        "sha256": digest_of_split(rows),
    }
    named = {"training": train.y, "validation": validation.y, "test": test.y}
    held = [part for part in (given.validation, given.test) if part is not None]
    warnings = (*typed.warnings, *found.warnings, *(w for part in parts for w in part.warnings))
    bare = targets_.rows_without_labels(found)
    said = (f"{bare} of {len(found.targets)} rows have no label",) if bare else ()
    return Dataset(
        *(train.x, train.y, validation.x, validation.y, test.x, test.y),
        rows=rows,
        schema=schema,
        warnings=(*warnings, *_absent(shown, named)),
        notes=(
            *(note for part in (given.train, *held) for note in part.notes),
            *typed.notes,
            *said,
            *notes,
            *(note for part in parts for note in part.notes),
        ),
    )


def _typed(given: Given, settings: Settings) -> _Typed:
    """The columns by kind. Arrays are numbers as they stand, unless the user says otherwise."""
    part, x = given.train, given.train.x
    group = settings.shares.group
    if isinstance(x, Table) and not (settings.kinds or settings.drop or group is not None):
        names = x.feature_names
        return _Typed(Cells(names, names, x.x, {}, part.what))
    frame = _frame(part)
    found = columns.infer(
        frame,
        Wishes(settings.kinds, settings.drop, given.target.columns, group, settings.missing),
    )
    cells = Cells(
        found.names,
        tuple(found.numbers),
        tuple(found.numbers.values()),
        found.categories,
        frame.name,
        frame.where,
        found.booleans,
    )
    return _Typed(cells, found.identifiers, found.warnings, found.notes)


def _frame(part: Part) -> Frame:
    if isinstance(part.x, Frame):
        return part.x
    return sources.as_frame(part.x.x, part.x.feature_names, part.what)


def _split(given: Given, found: Labels, shown: Sequence[str], settings: Settings) -> Split:
    """Rows of the parts: as given, from a file, by group or by share."""
    shares, n = settings.shares, len(given.train)
    if settings.rows is not None:
        return settings.rows
    if shares.file is not None:
        rows = split_file.read(shares.file, n)
        for part, own in (("validation", given.validation), ("test", given.test)):
            if own is not None and len(getattr(rows, part)):
                raise DataError(
                    f"{shares.file}: rows have the part {part!r}, and data.{part} is a file of its "
                    f"own; leave one of them out"
                )
        return rows
    groups = None if shares.group is None else _groups(given.train, shares.group, settings)
    options = {"classes": shown, "groups": groups}
    return splits.split(found.targets, settings.task, *shares[:3], **options)  # type: ignore[arg-type]


def _groups(part: Part, name: str, settings: Settings) -> Array:
    """The group of each row, as codes."""
    frame = _frame(part)
    codes = columns.read_categories(frame, name, settings.missing).codes
    gaps = np.flatnonzero(codes < 0)
    if gaps.size:
        raise DataError(
            f"{frame.where(int(gaps[0]))}: column {name!r} is empty ({gaps.size} such rows), and "
            f"data.split.group needs the group of every row"
        )
    return codes.astype(np.int64)


def _own_part(known: new_rows.Ready, part: Part) -> _Encoded:
    """A part that came as it is, encoded as new rows are."""
    found = part.labels(known.schema["classes"])
    encoded = new_rows.encode(known, part.x, part.what)
    unseen = new_rows.describe(known, encoded.unseen, len(part))
    notes = tuple(f"{part.what}: {text}" for text in unseen)
    return _Encoded(encoded.x, found.targets, (*encoded.warnings, *found.warnings), notes)


def _refuse_untaught(found: Labels, rows: Split, shown: Sequence[str]) -> None:
    """Every class needs a training row; a label without one is warned of elsewhere."""
    if found.targets.ndim == 2:
        return
    number = labels.counts(found.targets[rows.train], len(shown))
    absent = np.flatnonzero(number == 0)
    if absent.size:
        raise DataError(
            f"the training part ({len(rows.train)} rows) has no row of class "
            f"{values(shown[int(i)] for i in absent)}: {labels.counted(shown, number)}; give more "
            f"rows of it, another split, or leave the class out"
        )


def _refuse_other_columns(given: Given) -> None:
    """Arrays of the parts must have the same columns in the same order, and the same names."""
    table = given.train.x
    for part in (given.validation, given.test):
        if part is None or not isinstance(part.x, Table) or not isinstance(table, Table):
            continue
        own, other = table.feature_names, part.x.feature_names
        if given.train.names and part.names and given.train.names != part.names:
            raise DataError(
                f"{part.what.replace('X', 'y', 1)}: its names are {values(part.names)}, those of "
                f"training {values(given.train.names)}; name them alike and in the same order"
            )
        if len(own) != len(other):
            raise DataError(
                f"{part.what}: expected {len(own)} columns as in training, given {len(other)}"
            )
        if own != other:
            place = next(i for i, name in enumerate(own) if name != other[i])
            raise DataError(
                f"{part.what}: column {place} is {other[place]!r}, in training {own[place]!r}: "
                f"columns must stand in the same order"
            )


def _absent(names: Sequence[str], parts: Mapping[str, Array]) -> list[str]:
    """A warning for each part that holds no row of some class, or no positive row of some label.

    Of single-label tasks the training part always holds every class.
    """
    said = []
    for part, targets in parts.items():
        absent = np.flatnonzero(labels.counts(targets, len(names)) == 0)
        if len(targets) and absent.size:
            what = "positive row of label" if targets.ndim == 2 else "row of class"
            found = values(names[int(i)] for i in absent)
            said.append(f"the {part} part ({len(targets)} rows) has no {what} {found}")
    return said


def digest_of_split(rows: Split) -> str:
    """SHA-256 of the row numbers of the three parts: two runs with the same one split alike."""
    digest = hashlib.sha256()
    for part in rows:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()
