"""What keys mean together: checks of a whole config whose single values are sound.

A check names the keys that it reads, so that a key with a problem of its own is not blamed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from jaxnet.config import check_data, check_options, check_pair, check_sparse
from jaxnet.config.problems import KeyPath
from jaxnet.config.schema import Config

Found = Iterator[tuple[KeyPath, str]]


class Check(NamedTuple):
    """A check and the keys that must be sound for it."""

    find: Callable[[Config], Found]
    reads: tuple[str, ...]


CHECKS = (
    Check(check_data.one_place, ("data.source", "data.train")),
    Check(check_data.fits_task, ("task", "data.source")),
    Check(check_data.file_keys, ("data.source",)),
    Check(check_data.file_kinds, ()),
    Check(check_data.table_keys, ("data.source", "data.train", "data.target")),
    Check(check_data.target_fits, ("task", "data.train", "data.target", "data.drop")),
    Check(check_sparse.rows, ("task", "data.source", "data.train", "data.train_labels")),
    Check(check_sparse.labels, ("data.train", "data.validation", "data.test", "data.train_labels")),
    Check(check_sparse.names_of_labels, ("data.label_names",)),
    Check(check_sparse.head, ("task", "model.head", "loss.name")),
    Check(check_data.split_fits, ("data.split", "data.validation", "data.test")),
    Check(check_pair.loss_and_task, ("task", "loss.name")),
    Check(check_pair.activation, ("task", "loss.name")),
    Check(check_pair.stalled, ("loss.name", "model.last_layer")),
    Check(check_options.loss, ("loss.name",)),
    Check(check_options.labels, ("task",)),
    Check(check_options.optimizer, ("optimizer.name",)),
    Check(check_options.schedule, ("optimizer.schedule.name",)),
    Check(check_options.metric, ("task",)),
    Check(check_options.skips, ("training.on_nan",)),
    Check(check_options.weights, ("task", "loss.name")),
    Check(check_options.decision, ("task", "decision.threshold")),
)


def check(config: Config, bad: Iterable[KeyPath], *, check_files: bool) -> Found:
    """Every problem between keys: the key to blame and what is wrong.

    Args:
        config: sound in its single values.
        bad: keys that stand at their default because what was given is wrong.
        check_files: whether files must exist.
    """
    blamed = set(bad)
    checks = [*CHECKS, Check(check_data.files_exist, ())] if check_files else CHECKS
    for find, reads in checks:
        paths = [tuple(read.split(".")) for read in reads]
        if not any(path[:n] in blamed for path in paths for n in range(1, len(path) + 1)):
            yield from find(config)
