"""Checks of the data section: one source of rows, files of a known kind, that exist."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jaxnet.config.names import BUILTIN_SOURCES, SOURCE_TASKS
from jaxnet.config.problems import KeyPath, shown
from jaxnet.config.schema import Config, DataConfig

Found = Iterator[tuple[KeyPath, str]]
_TABLES = (".csv", ".csv.gz", ".parquet")


def one_place(config: Config) -> Found:
    """A built-in set or a file, and not both."""
    source, train = config.data.source, config.data.train
    if source is None and train is None:
        sets = ", ".join(BUILTIN_SOURCES)
        yield ("data",), f"needs source (one of {sets}) or train (an .npz file)"
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
    for key in ("test", "features", "target"):
        if getattr(config.data, key) != DataConfig.model_fields[key].default:
            text = f"belongs to data.train; the built-in set {config.data.source} does not use it"
            yield ("data", key), text


def file_kinds(config: Config) -> Found:
    """Rows come from .npz files for now."""
    for key in ("train", "test"):
        path = getattr(config.data, key)
        if path is None or path.lower().endswith(".npz"):
            continue
        if path.lower().endswith(_TABLES):
            text = "tables are not read yet; save the arrays X and y with numpy.savez as .npz"
        else:
            text = "expected an .npz file (numpy.savez with the arrays X and y)"
        yield ("data", key), text


def fractions(config: Config) -> Found:
    """Some rows must be left for training."""
    split = config.data.split
    if config.data.test is None and split.validation + split.test >= 1:
        text = f"validation and test take all rows ({split.validation} + {split.test}); lower one"
        yield ("data", "split"), text


def files_exist(config: Config) -> Found:
    """Files must be there before a run starts."""
    if config.data.source is not None:
        return  # the other checks ask for the file's key to go
    for key, path in (("train", config.train_path), ("test", config.test_path)):
        if path is None or not path.name.lower().endswith(".npz"):
            continue
        if not os.path.isfile(path):  # False, too, for a name that no file can have
            what = "a directory, not a file" if os.path.isdir(path) else "no such file"
            start = "relative paths start at the config's directory"
            yield ("data", key), f"{what}: {shown(str(path), 1000)!r} ({start})"
