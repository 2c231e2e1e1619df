"""The checkpoints of a run: `last` to go on from, `best` for use, some of them kept.

A file is named by its kind and its step. It gets that name once all of it is on the disk and was
read back; older ones go after that. So whatever happens, the one before it or it itself is there.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.files import remove_leftovers, sync_directory, write_atomic
from jaxnet.outputs import checkpoint_file
from jaxnet.outputs.checkpoint_file import Checkpoint, Damaged, OtherFormat
from jaxnet.outputs.run_directory import writing

if TYPE_CHECKING:
    import numpy as np

KINDS = ("last", "best")

_NAME = re.compile(rf"({'|'.join(KINDS)})-([0-9]{{9,}})\.safetensors")


@dataclass(frozen=True)
class Keep:
    """Which `last` files stay: the newest, and some of the older ones for good.

    Args:
        count: so many of the newest; two at least.
        every_steps: those whose step is a multiple of it stay too.
        every_seconds: and the first one of each span of so many productive seconds.
    """

    count: int = 3
    every_steps: int | None = None
    every_seconds: float | None = None


@dataclass(frozen=True)
class Owner:
    """Which files a run may remove or write anew; nobody knows who put the others there.

    Args:
        names: of the files that its records say it wrote.
        is_same: whether the facts of a file are of this very run.
        removes: whether a file goes by its facts alone; in a folder that is a link to another
            place, several runs may have the same facts.
        recorded: of the files that its records name wherever they lie: a damaged one of such a
            name is written anew.
    """

    names: Container[str]
    is_same: Callable[[Mapping[str, Any]], bool]
    removes: bool = True
    recorded: Container[str] = ()

    def may_remove(self, path: Path) -> bool:
        """An older file of the run."""
        return path.name in self.names or (self.removes and self.may_replace(path))

    def may_replace(self, path: Path) -> bool:
        """A file that the run writes again, or none."""
        if path.name in self.names or not os.path.lexists(path):
            return True
        try:
            return self.is_same(checkpoint_file.read_facts(path))
        except Damaged:
            return path.name in self.recorded


class Survey(NamedTuple):
    """What a look at all files found.

    Args:
        newest: the newest good one of the kind that was asked for.
        name: its file's name.
        reasons: name of a damaged file of any kind -> what is wrong with it.
        foreign: those among them that are whole, in the format of another version.
    """

    newest: Checkpoint | None
    name: str | None
    reasons: dict[str, str]
    foreign: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[str, ...]:
        """The names of the damaged files."""
        return tuple(self.reasons)


def name_of(kind: str, step: int) -> str:
    """The name of a checkpoint's file.

    Args:
        kind: "last" or "best".
        step: updates done.

    >>> name_of("last", 1200)
    'last-000001200.safetensors'
    """
    return f"{kind}-{step:09d}.safetensors"


def save(
    directory: Path,
    kind: str,
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    keep: Keep | None = None,
    owner: Owner | None = None,
) -> Path:
    """Write a checkpoint, verify it, and then remove the older ones that need not stay.

    Of `best` only the newest stays. Call it from one process at a time.

    Args:
        directory: of the checkpoints alone; made where it does not exist.
        kind: "last" or "best"; becomes the fact `kind`.
        arrays: name -> array on the host, of one of numpy's own number types, bfloat16 or bool;
            written from its own memory.
        facts: JSON, every number finite; `step` and `seconds` among them.
        keep: which `last` files stay.
        owner: which files are the run's; None: all whose names are those of checkpoints.

    Returns:
        The file.

    Raises:
        TypeError, ValueError: arrays or facts that a file cannot hold.
        RunFailed: it cannot be written, or reads back otherwise, or a file that is not the run's
            has its name; all older ones are still there.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of checkpoint; the kinds are {KINDS}")
    step = facts["step"]
    path = directory / name_of(kind, step)
    content = checkpoint_file.parts(arrays, _check_name({**facts, "kind": kind}, kind, step))
    with writing(path):
        if not directory.is_dir():
            os.mkdir(directory)  # without its parents: a run whose directory was removed has ended
        if owner is None or owner.removes:
            remove_leftovers(directory)
        if owner is not None and not owner.may_replace(path):
            raise RunFailed(
                f"{path}: this run did not write that file, and has a checkpoint to write of that "
                "name; move it to another place and go on with --resume"
            )
        try:
            write_atomic(path, content, verify=lambda written: _verify(written, kind, step))
        except Damaged as error:
            raise RunFailed(
                f"{path}: what was written does not read back as it was ({error}); the disk or "
                "its driver is failing: train into another directory on another disk: --run-dir DIR"
            ) from None
        sync_directory(directory.parent)  # it may be new, its own name not yet on the disk
        older = {
            one: name
            for one, name in _steps(directory, kind).items()
            if one < step and (owner is None or owner.may_remove(directory / name))
        }
        stay = _staying(directory, older, keep or Keep()) if kind == "last" else set()
    for one in older.keys() - stay:
        with contextlib.suppress(OSError):  # it costs space only, and the next call tries again
            os.unlink(directory / older[one])
    return path


def survey(
    directory: Path, kind: str = "last", *, poll: Callable[[], None] = lambda: None
) -> Survey:
    """Verify every checkpoint, of every kind, and read the newest good one of a kind.

    Args:
        directory: given to `save`; where there is none, nothing is found.
        kind: "last" or "best".
        poll: called before each file and every few MiB; what it raises ends the survey.

    Raises:
        RunDirectoryError: the directory is there and cannot be listed.
    """
    try:
        found = {each: _steps(directory, each) for each in KINDS}
    except (FileNotFoundError, NotADirectoryError):
        found = {}
    except OSError as error:
        raise RunDirectoryError(f"{directory}: cannot be read ({error.strerror})") from None
    newest, its_name, reasons, foreign = None, None, {}, []
    for each, names in found.items():
        for step, name in sorted(names.items(), reverse=True):
            poll()
            try:
                if each == kind and newest is None:
                    checkpoint = checkpoint_file.read(directory / name, poll=poll)
                    _check_name(checkpoint.facts, each, step)
                    newest, its_name = checkpoint, name
                else:
                    _verify(directory / name, each, step, poll)
            except Damaged as error:
                if os.path.lexists(directory / name):  # a run may just have removed an old one
                    reasons[name] = str(error)
                    foreign += [name] if isinstance(error, OtherFormat) else []
    return Survey(newest, its_name, reasons, tuple(foreign))


def any_in(directory: Path) -> bool:
    """Whether there is a `last` file, good or not.

    Args:
        directory: given to `save`; it may be none.
    """
    return directory.is_dir() and bool(_steps(directory, "last"))


def nearest(directory: Path, step: int) -> tuple[str, Checkpoint] | None:
    """Name and content of the newest good `last` file that is not after a step.

    Args:
        directory: given to `save`.
        step: updates done.
    """
    found = _steps(directory, "last") if directory.is_dir() else {}
    for one in sorted((one for one in found if one <= step), reverse=True):
        with contextlib.suppress(Damaged):
            checkpoint = checkpoint_file.read(directory / found[one])
            _check_name(checkpoint.facts, "last", one)
            return found[one], checkpoint
    return None


def _steps(directory: Path, kind: str) -> dict[int, str]:
    """Step -> name of every file that is named as ours are."""
    matches = (_NAME.fullmatch(name) for name in os.listdir(directory))
    ours = (match for match in matches if match and match[1] == kind)
    # Not one with more zeros than ours have: that is somebody's copy.
    return {int(m[2]): m[0] for m in ours if m[0] == name_of(kind, int(m[2]))}


def _verify(
    path: Path, kind: str, step: int, poll: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The facts of a file that is good through and through."""
    return _check_name(checkpoint_file.verify(path, poll=poll), kind, step)


def _check_name(facts: dict[str, Any], kind: str, step: int) -> dict[str, Any]:
    """The facts, of a file that is what its name says."""
    said = (facts.get("kind"), facts.get("step"))
    if said != (kind, step):
        raise Damaged(f"it holds the kind and step {said}, which is not what its name says")
    if not isinstance(facts.get("seconds"), int | float):
        raise Damaged("it does not say how many seconds it took")
    return facts


def _staying(directory: Path, older: Mapping[int, str], keep: Keep) -> set[int]:
    """The steps, of those older than the one just written, whose files stay.

    The first that counts is verified as a whole: with the new one there are two good ones. Of the
    others the header must do, for reading all of them at every save would cost more than the save.
    A damaged one does not count, so a good one stays in its place; it goes when it is old.
    """
    good: dict[int, dict[str, Any]] = {}
    for step in sorted(older, reverse=True):
        path = directory / older[step]
        with contextlib.suppress(Damaged):
            if good:
                facts = checkpoint_file.read_facts(path)
                good[step] = _check_name(facts, "last", step)
            else:
                good[step] = _verify(path, "last", step)
    newest = list(good)[: max(keep.count, 2) - 1]
    if len(newest) < max(keep.count, 2) - 1:
        return set(older)
    recent = {step for step in older if step >= newest[-1]}
    return recent | set(_kept_for_good(good, keep))


def _kept_for_good(good: Mapping[int, Mapping[str, Any]], keep: Keep) -> Iterable[int]:
    spans = set()
    for step in sorted(good):
        if keep.every_steps and step % keep.every_steps == 0:
            yield step
        if keep.every_seconds:
            span = good[step]["seconds"] // keep.every_seconds
            if span not in spans:
                spans.add(span)
                yield step
