"""Checks of the data section: one source of rows, files of a known kind, that exist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jaxnet import files
from jaxnet.config.data_schema import SPARSE
from jaxnet.config.names import BUILTIN_SOURCES, SOURCE_TASKS
from jaxnet.config.problems import KeyPath, shown
from jaxnet.config.schema import Config, DataConfig

Found = Iterator[tuple[KeyPath, str]]
TABLES = (".csv", ".csv.gz", ".parquet")
ARRAYS = (".npz",)
_FILES = ("train", "validation", "test")
_ONLY_FILES = (
    *("validation", "test", "features", "target", "positive", "columns", "drop", "missing"),
    *("train_labels", "validation_labels", "test_labels", "label_names"),
)


def one_place(config: Config) -> Found:
    """A built-in set or a file, and not both."""
    source, train = config.data.source, config.data.train
    if source is None and train is None:
        sets = ", ".join(BUILTIN_SOURCES)
        yield ("data",), f"needs train (a .csv, .parquet or .npz file) or source (one of {sets})"
    if source is not None and train is not None:
        text = f"given together with data.source: {source}; remove one of the two"
        yield ("data", "train"), text


def fits_task(config: Config) -> Found:
    """A built-in set has labels of one kind."""
    source = config.data.source
    if source is not None and config.task not in SOURCE_TASKS[source]:
        tasks = " or ".join(SOURCE_TASKS[source])
        fitting = ", ".join(name for name, tasks in SOURCE_TASKS.items() if config.task in tasks)
        text = f"{source} is a set for task: {tasks}; for task: {config.task} there is {fitting}"
        yield ("data", "source"), text


def file_keys(config: Config) -> Found:
    """Keys that only files use."""
    if config.data.source is None or config.data.train is not None:
        return
    for key in _ONLY_FILES:
        field = DataConfig.model_fields[key]
        if getattr(config.data, key) != field.get_default(call_default_factory=True):
            text = f"belongs to data.train; the built-in set {config.data.source} does not use it"
            yield ("data", key), text
    for key in ("group", "file"):
        if getattr(config.data.split, key) is not None:
            text = f"belongs to data.train; the built-in set {config.data.source} does not use it"
            yield ("data", "split", key), text


def file_kinds(config: Config) -> Found:
    """Rows come from tables, from arrays, or from sparse rows; never from several of them."""
    for key in _FILES:
        path = getattr(config.data, key)
        if path is not None and not path.lower().endswith(TABLES + ARRAYS + SPARSE):
            yield ("data", key), "expected a .csv, .csv.gz, .parquet, .npz or XC .txt file"
    kinds = {_is_table(path) for path in (config.data.train, config.data.test) if path is not None}
    if len(kinds) > 1:
        yield ("data", "test"), "must be of the same kind as data.train: both tables, or both .npz"


def table_keys(config: Config) -> Found:
    """Keys that only tables use, and the target that every table needs."""
    data = config.data
    if data.train is None or data.source is not None or config.is_sparse:
        return
    if _is_table(data.train):
        if data.target is None:
            text = "needs target, the column to predict: data: {train: rows.csv, target: label}"
            yield ("data",), text
        return
    if data.target is not None and not isinstance(data.target, str):
        yield ("data", "target"), "of an .npz file is the name of one array, such as y"
    for key in ("columns", "drop", "missing"):
        if getattr(data, key):
            yield ("data", key), "belongs to tables; the columns of an .npz file are all numeric"
    if data.split.group is not None:
        yield ("data", "split", "group"), "belongs to tables; an .npz file has no named columns"


def target_fits(config: Config) -> Found:
    """Several target columns are several labels; a positive class is one of two."""
    data, task = config.data, config.task
    if isinstance(data.target, tuple | dict) and task != "multilabel":
        text = f"several labels a row are for task: multilabel; task: {task} has one column"
        yield ("data", "target"), text
    if isinstance(data.target, str) and task == "multilabel" and _is_table(data.train or ""):
        text = f"of task: multilabel is a list of 0/1 columns, or {{column: {data.target}, "
        yield ("data", "target"), text + 'separator: "|"}'
    if data.positive is not None and task != "binary":
        yield ("data", "positive"), f"is for task: binary; task: {task} has no positive class"
    columns = [data.target] if isinstance(data.target, str) else data.target or ()
    if isinstance(columns, dict):
        columns = [columns["column"]]
    for column in columns:
        if column in data.drop:
            yield ("data", "drop"), f"holds {column!r}, the target; remove it"


def split_fits(config: Config) -> Found:
    """A recorded split says it all; fractions must leave rows for training."""
    split, data = config.data.split, config.data
    if split.file is not None:
        if split.group is not None:
            yield ("data", "split", "group"), "given together with data.split.file; remove one"
        for key in ("validation", "test"):
            if getattr(data, key) is not None:
                yield ("data", key), "given together with data.split.file; remove one of the two"
        return
    shares = [0 if data.validation else split.validation, 0 if data.test else split.test]
    if sum(shares) >= 1:
        text = f"validation and test take all rows ({shares[0]} + {shares[1]}); lower one"
        yield ("data", "split"), text


def files_exist(config: Config) -> Found:
    """Files must be there before a run starts."""
    if config.data.source is not None:
        return  # the other checks ask for the file's key to go
    named: dict[KeyPath, Path | None] = {
        ("data", "train"): config.train_path,
        ("data", "validation"): config.validation_path,
        ("data", "test"): config.test_path,
        ("data", "split", "file"): config.split_path,
        ("data", "label_names"): config.label_names_path,
        **{("data", f"{part}_labels"): path for part, path in config.label_paths.items()},
    }
    for key, path in named.items():
        if path is None or not _is_known(path.name, str(key[1])):
            continue
        if not os.path.isfile(path):  # False, too, for a name that no file can have
            other = files.kind(path)
            what = _absent(path) if other is None else f"{other}, not a file"
            start = "relative paths start at the config's directory"
            yield key, f"{what}: {shown(str(path), 1000)!r} ({start})"


def _absent(path: Path) -> str:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # LC_ALL=C with PYTHONUTF8=0
        return "Python cannot name this file in the locale of this terminal; set PYTHONUTF8=1"
    return "no such file"


def _is_known(name: str, key: str) -> bool:
    """Whether another check has nothing to say about the kind of the file."""
    return key == "split" or name.lower().endswith(TABLES + ARRAYS + SPARSE)


def _is_table(path: str) -> bool:
    return path.lower().endswith(TABLES)
