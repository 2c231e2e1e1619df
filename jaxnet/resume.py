"""What a run directory holds to go on from, and whether a config and its data fit to it.

Resume rules
1. A finished run is finished, unless more epochs are asked for or something it left is lost
   (`jaxnet.finished`).
2. Every kept checkpoint is verified; the newest good one counts, and damaged ones are named.
3. Without a good checkpoint the run starts from its beginning, and says so: it ends with the same
   bits.
4. The config may differ in the keys that `jaxnet.config.changes` calls free, in no other.
5. The data, encoded, must be the same, bit for bit.
6. Where the machine differs in what bits depend on, that is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet import __version__
from jaxnet.config import Config, load_config
from jaxnet.config.changes import plain_values, refuse_changes
from jaxnet.data import sparse
from jaxnet.data.dataset import Dataset
from jaxnet.data.sparse import SparseLabels, SparseRows
from jaxnet.errors import CheckpointError, JaxnetError, RunDirectoryError
from jaxnet.job import registered_losses
from jaxnet.outputs import checkpoints, records, run_directory
from jaxnet.outputs.checkpoint_file import Checkpoint
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training.snapshot import Snapshot, unpack
from jaxnet.training.state import State

MOST_NAMES = 1000  # that a checkpoint spells out
NO_CHECKPOINT = "holds no checkpoint; the run starts from its beginning"


class Earlier(NamedTuple):
    """A good checkpoint of the run."""

    name: str
    checkpoint: Checkpoint

    @property
    def facts(self) -> dict[str, Any]:
        """What was said about it."""
        return self.checkpoint.facts


def identity(config: Config, data: Dataset) -> dict[str, Any]:
    """What every checkpoint of a run records of its config and its data."""
    values = plain_values(config)
    return {
        "jaxnet": __version__,
        "config": values,
        "classes": _classes(data.schema["class_names"]),
        "hashes": {
            "config": records.digest(values),
            "schema": records.digest(data.schema),
            "data": _hash_of_arrays(data),
        },
    }


def _classes(names: Sequence[Any]) -> list[str]:
    """The names of classes or labels as a checkpoint has them; of very many their digest."""
    if len(names) <= MOST_NAMES:
        return [str(name) for name in names]
    digest = records.digest([str(name) for name in names])
    return [f"{len(names)} names with the digest {digest}"]


def _hash_of_arrays(data: Dataset) -> str:
    digest = hashlib.sha256()
    parts = (data.x_train, data.y_train, data.x_val, data.y_val, data.x_test, data.y_test)
    for array in (*parts, *data.rows):
        if isinstance(array, SparseRows | SparseLabels):
            digest.update(f"{sparse.digest(array)}\n".encode())
            continue
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load_recorded(run: RunDirectory, *, check_files: bool = True) -> Config:
    """The config that a run began with.

    Args:
        check_files: whether its data must be where it was.
    """
    recorded = run_directory.recorded_config(run)
    return load_config(recorded, extra_losses=registered_losses(), check_files=check_files)


def find(
    run: RunDirectory, warn: Callable[[str], None], *, poll: Callable[[], None] = lambda: None
) -> Earlier | None:
    """The newest good checkpoint; damaged ones are told.

    Args:
        poll: called before each file.

    Raises:
        CheckpointError: they were written by a version whose checkpoints this one does not read.
    """
    survey = checkpoints.survey(run.checkpoints, poll=poll)
    for name in survey.foreign:  # its steps are not lost, so they are not to be made again
        raise CheckpointError(
            f"{run.checkpoints / name}: {survey.reasons[name]}, or start a new run with "
            "--run-dir DIR"
        )
    for name in survey.damaged:
        if (run.checkpoints / name).is_dir():  # a checkpoint of that step could not be written
            raise CheckpointError(
                f"{run.checkpoints / name}: a directory, where a checkpoint belongs; remove it"
            )
    tell_damaged(survey.reasons, warn)
    if survey.newest is None or survey.name is None:
        return None
    if survey.damaged:
        warn(f"going on from {survey.name}")
    return Earlier(survey.name, survey.newest)


def starts_over(run: RunDirectory) -> str | None:
    """What to say of a run that was begun and has no good checkpoint; None of a new one."""
    if checkpoints.any_in(run.checkpoints):
        return f"{run.path}: no good checkpoint is left; the run starts from its beginning"
    return f"{run.path} {NO_CHECKPOINT}" if run.resolved_config.is_file() else None


def tell_damaged(reasons: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Name each damaged checkpoint, with what is wrong with it."""
    for name, reason in reasons.items():
        warn(f"checkpoint {name} is damaged ({reason})")


def check(run: RunDirectory, config: Config, data: Dataset, earlier: Earlier | None) -> None:
    """Stop where the config or the data are not those of the run.

    Raises:
        ConfigError: a key has changed that must not; names it, the old and the new value.
        CheckpointError: the data, its columns or its classes have changed.
    """
    where = str(run.path)
    if earlier is None:
        if run.resolved_config.is_file():
            _check_recorded(run, config, data)
        return
    facts = earlier.facts
    refuse_changes(facts["config"], config, where=where)
    now = identity(config, data)
    if _classes(facts["classes"]) != now["classes"]:
        raise _other_data(
            where, f"its classes were {_some(facts['classes'])}, are {_some(now['classes'])}"
        )
    for kind in ("schema", "data"):
        if facts["hashes"][kind] != now["hashes"][kind]:
            raise _other_data(where, _difference(run, data))


def told(earlier: Earlier | None, config: Config) -> Iterator[str]:
    """What to say of a run that goes on."""
    if earlier is None:
        return
    facts = earlier.facts
    yield f"going on from {earlier.name}: {facts['epochs']} epochs are done"
    then, now = facts["config"]["training"]["epochs"], config.training.epochs
    if then != now:
        yield (
            f"training.epochs was {then}, is {now}: from here on the learning rate follows the "
            f"schedule of {now} epochs"
        )


def _check_recorded(run: RunDirectory, config: Config, data: Dataset) -> None:
    """Without a checkpoint nothing is lost; still, a run is not turned into another one."""
    try:
        began = plain_values(load_recorded(run, check_files=False))
    except JaxnetError:
        return  # killed before its config was whole
    refuse_changes(began, config, where=str(run.path))
    try:
        then = records.read_json(run.schema)
    except RunDirectoryError:
        return
    if records.digest(then) != records.digest(data.schema):
        raise _other_data(str(run.path), _difference(run, data))


def _other_data(where: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: the data is not what the run began with: {what}; bring the old data back, or "
        "start a new run with --run-dir DIR"
    )


def _difference(run: RunDirectory, data: Dataset) -> str:
    """What of the data has changed, as far as the recorded schema tells."""
    try:
        then = records.read_json(run.schema)
        old = {part: int(count) for part, count in then["rows"].items()}
        names = [column["name"] for column in then["columns"]]
    except (RunDirectoryError, KeyError, TypeError, ValueError, AttributeError):
        return "other values"
    now = data.schema
    if names != (mine := [column["name"] for column in now["columns"]]):
        gone, new = set(names) - set(mine), set(mine) - set(names)
        return f"columns gone: {_some(sorted(gone))}, new: {_some(sorted(new))}"
    if old != now["rows"]:
        return f"rows were {_counts(old)}, are {_counts(now['rows'])}"
    return "the same rows and columns by number and name, with other values"


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {part}" for part, count in rows.items())


def _some(names: list[str], most: int = 10) -> str:
    shown = ", ".join(map(repr, names[:most])) or "none"
    return shown + (", ..." if len(names) > most else "")


def snapshot_of(earlier: Earlier, like: State) -> Snapshot:
    """The snapshot of a checkpoint, whose arrays are let go: it is asked for once.

    Args:
        like: the first state of the run.

    Raises:
        CheckpointError: an array is not what this network has.
    """
    try:
        found = unpack(earlier.checkpoint.arrays, earlier.facts, like)
    except CheckpointError as error:
        raise CheckpointError(
            f"checkpoint {earlier.name}: {error}; it was written by jaxnet "
            f"{earlier.facts.get('jaxnet')}, and this is {__version__}"
        ) from None
    earlier.checkpoint.arrays.clear()  # they would be held beside the state until the run ends
    return found
