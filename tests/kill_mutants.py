"""The `jaxnet` command with a fault planted in it, which kills itself after STEP updates.

    python -m tests.kill_mutants FAULT STEP train ...

A fault spoils only what goes on after a kill, so a run that nothing disturbs is as it should be.
STEP 0: it does not kill itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as the command does, before jax is imported

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import keeping, resume
from jaxnet.__main__ import main
from jaxnet.outputs import checkpoints, records
from jaxnet.training import epoch
from jaxnet.training.snapshot import Arrays, Snapshot
from jaxnet.training.state import State


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: int) -> None:
    """After the first stretch that reaches that step, before it could be saved."""
    healthy = keeping.Keeper.between

    def between(keeper: keeping.Keeper, now: Snapshot) -> None:
        if step <= int(now.state.step):
            die()
        healthy(keeper, now)

    keeping.Keeper.between = between


def restored(change: Callable[[Snapshot, State], Snapshot]) -> None:
    """What comes back is changed; `change` gets the first state of the run too."""
    healthy = resume.unpack

    def unpack(arrays: Arrays, facts: Any, like: State) -> Snapshot:
        return change(healthy(arrays, facts, like), jax.tree.map(_of_a_beginning, like))

    resume.unpack = unpack


def _of_a_beginning(leaf: Any) -> Any:
    """A copy; of a shape, zeros."""
    return jnp.array(leaf) if isinstance(leaf, jax.Array) else jnp.zeros(leaf.shape, leaf.dtype)


def none() -> None:
    """No fault."""


def moments_forgotten() -> None:
    restored(lambda s, first: s._replace(state=s.state._replace(moments=first.moments)))


def average_forgotten() -> None:
    """It begins again at the parameters."""

    def change(found: Snapshot, _first: State) -> Snapshot:
        average = jax.tree.map(jnp.copy, found.state.params)
        return found._replace(state=found.state._replace(average=average))

    restored(change)


def loss_forgotten() -> None:
    """Of the epoch under way; what follows is as it should be."""
    restored(lambda s, first: s._replace(state=s.state._replace(loss=first.loss)))


def best_forgotten() -> None:
    restored(lambda s, _: s._replace(best=None))


def position_off_by_one() -> None:
    restored(lambda s, _: s._replace(state=s.state._replace(step=s.state.step + 1)))


def order_of_epoch_0() -> None:
    """The epoch that a process begins with gets the order of the first one."""
    healthy, begun = epoch.order_of_rows, []

    def order_of_rows(seed: int, number: int, rows: int, batch_size: int) -> np.ndarray:
        begun.append(number)
        return healthy(seed, number - begun[0], rows, batch_size)

    epoch.order_of_rows = order_of_rows


def scalars_get_a_shape() -> None:
    """As `np.ascontiguousarray` does it."""
    healthy = resume.unpack

    def unpack(arrays: Arrays, facts: Any, like: State) -> Snapshot:
        return healthy({n: np.ascontiguousarray(a) for n, a in arrays.items()}, facts, like)

    resume.unpack = unpack


def lines_stay() -> None:
    """metrics.jsonl is not cut back to the epochs of the checkpoint."""
    healthy = records.rewrite_epochs
    records.rewrite_epochs = lambda run, found: None if found else healthy(run, found)


def written_in_place(step: int) -> None:
    """It dies half-way through the first checkpoint from that step on."""

    def write(
        path: Path, parts: Iterable[bytes | memoryview], *, verify: Callable[[Path], object]
    ) -> None:
        content = b"".join(parts)
        dies = step <= int(path.stem.rpartition("-")[2])
        path.write_bytes(content[: len(content) // 2] if dies else content)
        if dies:
            die()
        verify(path)

    checkpoints.write_atomic = write


FAULTS = {
    fault.__name__: fault
    for fault in (
        none,
        moments_forgotten,
        average_forgotten,
        loss_forgotten,
        best_forgotten,
        position_off_by_one,
        order_of_epoch_0,
        scalars_get_a_shape,
        lines_stay,
    )
}

if __name__ == "__main__":
    name, at_step = sys.argv[1], int(sys.argv[2]) or sys.maxsize
    del sys.argv[1:3]
    if name == written_in_place.__name__:
        written_in_place(at_step)
    else:
        FAULTS[name]()
        die_at(at_step)
    sys.exit(main())
