"""The calls by which files change, one at a time, and what a directory then holds."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.outputs import checkpoints
from jaxnet.outputs.checkpoints import KINDS, Keep

CALLS = ("mkdir", "open", "write", "fsync", "close", "replace", "rename", "unlink", "link")

Hook = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]


@contextlib.contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Calls of functions of `os` go to `hook(name, real function, arguments)`, while this lasts."""
    real = {name: getattr(os, name) for name in CALLS}

    def through(name: str) -> Callable[..., Any]:
        return lambda *args, **options: hook(name, lambda *a: real[name](*a, **options), args)

    for name in CALLS:
        setattr(os, name, through(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def save(directory: Path, kind: str, step: int) -> Path:
    """A small checkpoint; two `last` ones are kept."""
    arrays = {"W": np.full((4, 3), step, np.float32), "count": np.array(step, np.int32)}
    facts = {"step": step, "seconds": step / 10, "note": "x" * 40}
    return checkpoints.save(directory, kind, arrays, facts, Keep(count=2))


def verdict(directory: Path, allowed: Mapping[str, Collection[int | None]]) -> str | None:
    """What is wrong with a directory, if anything: newest step of each kind, and damage."""
    for kind in KINDS:
        found = checkpoints.survey(directory, kind)
        if found.damaged:
            return f"damaged: {found.reasons}"
        step = found.newest.facts["step"] if found.newest else None
        if step not in allowed[kind]:
            return f"{kind}: {step} is none of {sorted(allowed[kind], key=str)}"
        if found.newest and found.newest.arrays["count"] != step:
            return f"{kind}: step {step} holds other arrays"
    return None


def write_in_place(
    path: Path, content: Iterable[bytes | memoryview], *, verify: Callable[[Path], object]
) -> None:
    """What `write_atomic` must not be."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for part in content:
        os.write(descriptor, part)
    os.fsync(descriptor)
    os.close(descriptor)
    verify(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
