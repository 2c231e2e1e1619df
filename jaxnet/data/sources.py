"""From the `data` section of a config to tables with labels: built-in sets, .npz files, tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import arrays, builtin, labels, targets
from jaxnet.data.frame import Frame
from jaxnet.data.labels import Class, Labels
from jaxnet.data.places import rows as in_words
from jaxnet.data.table import Array, Table
from jaxnet.data.targets import Target
from jaxnet.errors import DataError

Known = Sequence[Class] | None


class Part(NamedTuple):
    """Rows that belong together, read from one file or table.

    x: columns, those of the target among them if they are a Frame. labels: known classes (None: to
    be found) -> Labels. names: of the classes, where a file gives them apart from the labels.
    """

    x: Frame | Table
    labels: Callable[[Known], Labels]
    what: str
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x.columns) if isinstance(self.x, Frame) else len(self.x.x)


class Given(NamedTuple):
    """The parts that came as they are; target: the columns (or the key) that hold the labels."""

    train: Part
    validation: Part | None = None
    test: Part | None = None
    target: Target = Target(())


class Files(NamedTuple):
    """The files of the three parts; all but the first may be None."""

    train: Path
    validation: Path | None
    test: Path | None


def built_in(name: str, task: str) -> Given:
    """A set that scikit-learn carries."""
    return Given(of_table(builtin.load(name), task))


def from_files(files: Files, task: str, *, features: str, target: Any) -> Given:
    """The parts that .npz files or tables hold. Raises DataError for all that can be wrong."""
    endings = {path.name.lower().endswith(".npz") for path in files if path is not None}
    if len(endings) > 1:
        raise DataError(
            "data: train, validation and test are of different kinds; give .npz files or tables "
            "(.csv, .csv.gz, .parquet), not both"
        )
    if endings == {True}:
        return _npz(files, task, features, target)
    return _tables(files, task, target)


def of_table(table: Table, task: str, place: str = "") -> Part:
    """Arrays with their labels. place: what the part is called in errors, "test set"."""
    end = f" of the {place}" if place else ""
    read = partial(_array_labels, table, task, f"y{end}")
    return Part(table, read, f"X{end}", table.names, table.notes)


def of_frame(frame: Frame, target: Target, task: str) -> Part:
    """A table with its labels in some of its columns."""
    return Part(frame, partial(_frame_labels, frame, target, task), frame.name)


def of_pair(x: Frame | Table, y: Any, task: str, place: str = "") -> Part:
    """Features and labels that came apart."""
    end = f" of the {place}" if place else ""
    number = len(x.columns) if isinstance(x, Frame) else len(x.x)
    if len(y) != number:
        raise DataError(f"y{end} has {len(y)} labels for the {number} rows of X{end}")

    def read(classes: Known) -> Labels:
        return labels.validate(y, task, classes, what=f"y{end}")

    return Part(x, read, f"X{end}")


def as_frame(x: Array, names: Sequence[str], what: str) -> Frame:
    """An array (n, d) as a table: typed columns, by place. Raises DataError for mixed kinds."""
    import pyarrow as pa

    columns = []
    for place, name in enumerate(names):
        cells = x[:, place]
        try:
            objects = cells.dtype.kind in "OUST"
            columns.append(pa.array(cells.tolist() if objects else cells))
        except (pa.ArrowException, TypeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise DataError(
                f"{what}: column {name!r} holds cells of several kinds: {said}"
            ) from error
    table = pa.table(columns, names=list(names))
    return Frame(table, False, what, lambda row: f"{what}: {in_words([row])}")


def _array_labels(table: Table, task: str, what: str, classes: Known) -> Labels:
    return labels.validate(table.y, task, classes, names=table.names, what=what)


def _frame_labels(frame: Frame, target: Target, task: str, classes: Known) -> Labels:
    return targets.read(frame, target, task, classes)


def _npz(files: Files, task: str, features: str, target: Any) -> Given:
    key = "y" if target is None else target
    if not isinstance(key, str):
        raise DataError("data.target: of .npz files it is the name of one array, say y")
    table, within = arrays.read_npz(files.train, features, key)
    held: dict[str, Table | None] = {"validation": None, "test": within}
    for part, path in (("validation", files.validation), ("test", files.test)):
        if path is not None:
            own, test = arrays.read_npz(path, features, key)
            held[part] = test if part == "test" and test is not None else own
    parts = {
        part: None if found is None else of_table(found, task, f"{part} set")
        for part, found in held.items()
    }
    return Given(of_table(table, task), **parts, target=Target((key,)))


def _tables(files: Files, task: str, target: Any) -> Given:
    from jaxnet.data import readers

    first = targets.resolve(target, task, readers.names(files.train), str(files.train))
    parts = [None if path is None else of_frame(readers.read(path), first, task) for path in files]
    assert parts[0] is not None  # there always is a training file
    return Given(parts[0], parts[1], parts[2], first)


def as_features(x: Any, what: str = "X") -> Frame | Table:
    """Features alone: a data frame by name, anything else as an array of numbers by place."""
    from jaxnet.data import data_frames

    if isinstance(x, Frame | Table):
        return x
    if data_frames.is_frame(x):
        return data_frames.from_frame(x, what)
    matrix = arrays.as_matrix(x, what)
    return Table(matrix.x, np.empty(0), matrix.names, None, matrix.notes)
