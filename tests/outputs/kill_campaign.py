"""Kill a process before, after and in the middle of every call by which a save changes files.

    python -m tests.outputs.kill_campaign FOLDER [MUTANT SAVE]

Prints how many were killed and what was found wrong, a line each. It forks, so it is a process of
its own: one without threads.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxnet.outputs import checkpoints
from tests.forking import fork
from tests.outputs.system_calls import hooked, save, verdict, write_in_place

BEFORE = {  # what is there -> what is written then, and what may be found after
    "the first of all": ([], ("last", 30)),
    "with an old one to remove": ([("last", 10), ("last", 20), ("best", 20)], ("last", 30)),
    "the best": ([("last", 10), ("last", 20), ("best", 20)], ("best", 30)),
    "the same step again": ([("last", 20), ("last", 30), ("best", 20)], ("last", 30)),
}


def remove_first(path: Path, content: Any, **options: Any) -> None:
    """What `write_atomic` must not do either: make room first."""
    for old in path.parent.glob(f"{path.name[:4]}-*"):
        os.unlink(old)
    write_atomic(path, content, **options)


write_atomic = checkpoints.write_atomic
MUTANTS = {"in place": write_in_place, "remove first": remove_first}


def calls_of(work: Callable[[], object]) -> list[str]:
    """The names of the calls that are made."""
    names = []

    def hook(name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        names.append(name)
        return real(*args)

    with hooked(hook):
        work()
    return names


def killed(work: Callable[[], object], number: int, how: str) -> bool:
    """Do the work in a process that ends at one of its calls. Was it that call that ended it?"""
    child = fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    seen = iter(range(sys.maxsize))

    def hook(name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if next(seen) != number:
            return real(*args)
        if how == "half":
            real(args[0], args[1][: len(args[1]) // 2])
        elif how == "after":
            with contextlib.suppress(OSError):  # of a directory that is there
                real(*args)
        os._exit(9)

    with hooked(hook):
        work()
    os._exit(0)


def problems(folder: Path, titles: Sequence[str]) -> Iterator[str | None]:
    """For each kill None, or what was wrong after it."""
    for title in titles:
        there, (kind, step) = BEFORE[title]
        base = folder / "base"
        for one in there:
            save(base, *one)
        allowed = {each: {None} for each in checkpoints.KINDS}
        for each, old in there:
            allowed[each] = {old}
        dry = folder / "dry"
        if there:
            shutil.copytree(base, dry)
        names = calls_of(lambda dry=dry, kind=kind, step=step: save(dry, kind, step))
        for number, name in enumerate(names):
            for how in ("before", "after", *(("half",) if name == "write" else ())):
                run = folder / "run"
                if there:
                    shutil.copytree(base, run)
                at = f"{title}: {how} call {number}, {name}"
                if not killed(lambda run=run, k=kind, s=step: save(run, k, s), number, how):
                    yield f"{at}: not reached"
                found = verdict(run, allowed | {kind: {*allowed[kind], step}})
                yield f"{at}: {found}" if found else _afterwards(run, at)
                shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(dry)


def _afterwards(run: Path, at: str) -> str | None:
    """The next save works, and cleans up."""
    other = {name for name in os.listdir(run) if name.startswith("best")} if run.exists() else set()
    save(run, "last", 40)
    save(run, "last", 50)
    expected = {checkpoints.name_of("last", 40), checkpoints.name_of("last", 50), *other}
    left = set(os.listdir(run))
    return None if left == expected else f"{at}: next saves leave {sorted(left)}"


def main(folder: str, mutant: str = "", title: str = "") -> None:
    if mutant:
        checkpoints.write_atomic = MUTANTS[mutant]
    found = list(problems(Path(folder), [title] if title else list(BEFORE)))
    print(len(found), *filter(None, found), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
