"""Where a run stands between two stretches of steps, as arrays by name and back.

What comes back is compared with what the network of this run looks like, array by array: tree,
shape, type. An array of shape (1,) where a scalar was is no error to any product, and changes bits.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.errors import CheckpointError
from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.training.state import State, predicting

Metrics = dict[str, float]
Arrays = dict[str, np.ndarray]

_COUNTS = ("epoch", "step")  # of a record; everything else in it is a float


class Best(NamedTuple):
    """The best epoch so far.

    Attributes:
        value: of the stopping metric, turned so that less is better.
        epoch: from 1.
        params: after it.
    """

    value: float
    epoch: int
    params: Network


class Snapshot(NamedTuple):
    """All that training goes on from.

    Attributes:
        state: of training; its step is the position in the data.
        best: None before the first epoch that was measured, and without early stopping.
        records: one an epoch; the list grows with the run.
        skipped: steps that were left out because they were not finite.
        seconds: spent compiling, training and evaluating, those of earlier processes included.
    """

    state: State
    best: Best | None
    records: list[Metrics]
    skipped: int
    seconds: dict[str, float]

    @property
    def productive(self) -> float:
        """Seconds of training and evaluating that the run stands on."""
        return self.seconds["train"] + self.seconds["evaluate"]


def beginning(state: State) -> Snapshot:
    """The snapshot before the first update."""
    return Snapshot(state, None, [], 0, {"compile": 0.0, "train": 0.0, "evaluate": 0.0})


def pack(snapshot: Snapshot) -> tuple[Arrays, dict[str, Any]]:
    """(arrays by name, facts as JSON can hold them).

    On CPU the arrays are the snapshot's own memory, not copies. Let go of them before the next
    step: a state that somebody looks at is copied by the step that should have written into it.
    """
    arrays = _named("state", snapshot.state)
    best = snapshot.best
    if best is not None:
        arrays |= _named("best", best.params)
        arrays["best.value"] = np.asarray(best.value, np.float64)
    columns = list(snapshot.records[0]) if snapshot.records else []
    table = [[record[name] for name in columns] for record in snapshot.records]
    arrays["records"] = np.asarray(table, np.float64).reshape(len(table), len(columns))
    facts = {
        "step": int(snapshot.state.step),
        "epochs": len(table),
        "columns": columns,
        "best_epoch": None if best is None else best.epoch,
        "skipped": snapshot.skipped,
        "seconds": snapshot.productive,
        "times": dict(snapshot.seconds),
    }
    return arrays, facts


def pack_best(best: Best) -> tuple[Arrays, dict[str, Any]]:
    """The best parameters alone, under the names of the finished model; copied as by `pack`."""
    return embedding.named(best.params), {"epoch": best.epoch}


def unpack(arrays: Arrays, facts: Mapping[str, Any], like: State) -> Snapshot:
    """The snapshot that was packed.

    Args:
        arrays, facts: as `pack` gives them. Each array is taken out of the mapping as it comes to
            the device: the state is never held twice.
        like: a state of this run, such as its first, or the shapes of one. Its rates and its
            length, which are arrays in any case, are those that hold from here on.

    Raises:
        CheckpointError: an array is missing, or has another shape or type than in `like`; or there
            is one too many.
    """
    of_best = predicting(like)  # as the best are kept: averages may have another type
    wanted = {"state": like} | ({} if facts["best_epoch"] is None else {"best": of_best})
    names = {name for part, tree in wanted.items() for name in _names(part, tree)}
    names |= {"records"} | ({"best.value"} if "best" in wanted else set())
    for name in sorted(names ^ arrays.keys()):
        raise CheckpointError(f"{name} is {'missing' if name in names else 'not known here'}")
    state = _restored("state", like, arrays)._replace(hyper=like.hyper)
    if int(state.step) != facts["step"]:
        raise CheckpointError(f"its state is at step {int(state.step)}, not at {facts['step']}")
    best = None
    if "best" in wanted:
        params = _restored("best", of_best, arrays)
        best = Best(float(arrays["best.value"]), facts["best_epoch"], params)
    records = [
        {
            name: int(value) if name in _COUNTS else float(value)
            for name, value in zip(facts["columns"], row, strict=True)
        }
        for row in arrays["records"]
    ]
    return Snapshot(state, best, records, facts["skipped"], dict(facts["times"]))


def _names(part: str, tree: Any) -> list[str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [
        f"{part}.{jax.tree_util.keystr(path, simple=True, separator='.')}" for path, _ in leaves
    ]


def _named(part: str, tree: Any) -> Arrays:
    return dict(zip(_names(part, tree), map(np.asarray, jax.tree.leaves(tree)), strict=True))


def _restored(part: str, like: Any, arrays: Arrays) -> Any:
    """The tree of arrays on the device, each exactly of the kind that `like` has."""
    leaves, tree = jax.tree.flatten(like)
    found = []
    for name, leaf in zip(_names(part, like), leaves, strict=True):
        array = arrays.pop(name)
        mine = (array.shape, array.dtype)
        if mine != (leaf.shape, leaf.dtype):
            raise CheckpointError(
                f"{name} is {mine[1]} of shape {mine[0]}, and this network has {leaf.dtype} of "
                f"shape {leaf.shape}"
            )
        # A copy, for training writes into its state: `device_put` keeps to the host's memory where
        # that is aligned, whatever its `may_alias`.
        restored = jnp.array(array, copy=True)
        if restored.weak_type != leaf.weak_type:
            raise CheckpointError(f"{name} came back with another promotion of types")
        found.append(restored)
    return jax.tree.unflatten(tree, found)
