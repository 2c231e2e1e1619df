"""When a run saves where it stands: now and then, when a signal stops it, and at its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnet.config.changes import is_of_one_run
from jaxnet.config.schema import CheckpointsConfig
from jaxnet.errors import NonFiniteError, RunFailed, Stopped
from jaxnet.outputs import checkpoints, records
from jaxnet.outputs.checkpoints import Keep, Owner
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import snapshot as snapshots
from jaxnet.training.snapshot import Arrays, Snapshot

_WAIT = 19  # times what a save took, until the next by time: they take a twentieth of a run
_NUMBERS = 1 << 20  # looked at in one go


class Keeper:
    """Saves the snapshots of a run, and polls for signals between them.

    Args:
        run: the directory.
        settings: when to save, and what stays.
        facts: what every checkpoint says beside its own: config, hashes, machine.
        poll: raises once the run shall stop.
        start: where the run goes on, saved or not.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self,
        run: RunDirectory,
        settings: CheckpointsConfig,
        facts: Mapping[str, Any],
        *,
        poll: Callable[[], None],
        start: Snapshot,
        saved: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._settings, self._facts = run, settings, dict(facts)
        self._poll, self._clock = poll, clock
        self._keep = Keep(settings.keep, settings.keep_every_steps, settings.keep_every_seconds)
        self._time, self._took = clock(), 0.0  # when the last save ended, and how long it took
        self._saved = _place(start) if saved else None
        self._step = int(start.state.step)
        # Of a folder that lies elsewhere only what this process wrote is known to be the run's.
        linked = run.checkpoints.is_symlink()
        recorded = records.checkpoint_names(run)
        self._names = set() if linked else set(recorded)
        same = self._is_the_same if linked else self._is_of_this_run
        self._owner = Owner(self._names, same, removes=not linked, recorded=recorded)
        self._best_name = ""
        self._best: int | None = None  # written anew when a run goes on: it may be damaged

    def between(self, now: Snapshot) -> None:
        """Stop if that is asked for, with a checkpoint; else save if it is time.

        Raises:
            Stopped: a signal has come; `saved` says whether there is a checkpoint to go on from.
            NonFiniteError: the parameters are not finite any more.
            RunFailed: the checkpoint cannot be written.
        """
        try:
            self._poll()
        except BaseException as stop:
            self._save_before(stop, now)
            raise
        if self._is_due(now):
            self.save(now)

    def save(self, now: Snapshot) -> None:
        """Write a checkpoint, unless the last one is the same.

        Raises:
            NonFiniteError: parameters or moments are not finite: such a state is never saved.
            RunFailed: it cannot be written; the ones before stay as they were.
        """
        if self._saved == _place(now):
            return
        began = self._clock()
        # On CPU these are the state's own memory: held any longer, the next step would copy it.
        arrays, facts = snapshots.pack(now)
        _refuse_not_finite(arrays, facts["step"])
        if now.best is not None and now.best.epoch != self._best:
            self._best_name = self._write("best", *snapshots.pack_best(now.best), now)
            self._best = now.best.epoch
        name = self._write("last", arrays, facts, now)
        self._saved, self._step, self._time = _place(now), facts["step"], self._clock()
        self._took = self._time - began
        said = {"step": facts["step"], "seconds": now.productive, "name": name}
        if self._best is not None:
            said["best"] = self._best_name
        records.append_event(self._run, "checkpoint", **said)

    def save_if_finite(self, now: Snapshot) -> None:
        """`save`, before a run fails for another reason: its own problems are not said."""
        try:
            self.save(now)
        except (NonFiniteError, RunFailed):
            return

    def _write(self, kind: str, arrays: Arrays, facts: Mapping[str, Any], now: Snapshot) -> str:
        step = int(now.state.step)
        if kind == "best" and now.best is not None:
            step = int(now.records[now.best.epoch - 1]["step"])
        said = {**self._facts, **facts, "step": step, "seconds": now.productive}
        folder, name = self._run.checkpoints, checkpoints.name_of(kind, step)
        new = not os.path.lexists(folder / name)
        checkpoints.save(folder, kind, arrays, said, self._keep, self._owner)
        if new or self._owner.removes:  # elsewhere it may be another run's, with the same bits
            self._names.add(name)
        return name

    def _is_the_same(self, facts: Mapping[str, Any]) -> bool:
        return all(facts.get(name) == self._facts.get(name) for name in ("config", "hashes"))

    def _is_of_this_run(self, facts: Mapping[str, Any]) -> bool:
        then, now = facts.get("hashes", {}), self._facts.get("hashes", {})
        if any(then.get(kind) != now.get(kind) for kind in ("schema", "data")):
            return False
        return is_of_one_run(facts.get("config", {}), self._facts.get("config", {}))

    def _save_before(self, stop: BaseException, now: Snapshot) -> None:
        try:
            self.save(now)
        except (NonFiniteError, RunFailed) as error:
            stop.add_note(f"no checkpoint could be written: {error}")
        else:
            if isinstance(stop, Stopped):
                stop.saved = str(self._run.path)

    def _is_due(self, now: Snapshot) -> bool:
        step, seconds = int(now.state.step), self._settings.every_seconds
        if any(step // each > self._step // each for each in self._settings.multiples):
            return True
        if seconds is None:
            return False
        wait = max(seconds, _WAIT * self._took)
        return self._clock() - self._time >= wait


def _place(now: Snapshot) -> tuple[int, int]:
    """Steps done and epochs measured: two snapshots of a run at the same place are the same."""
    return int(now.state.step), len(now.records)


def _refuse_not_finite(arrays: Arrays, step: int) -> None:
    for name, array in arrays.items():
        kept = name not in ("records", "best.value")  # an undefined metric is no damage
        if kept and jnp.issubdtype(array.dtype, jnp.floating) and not _is_finite(array):
            raise NonFiniteError(
                f"{name.removeprefix('state.')} is not finite after step {step}; "
                "lower optimizer.learning_rate",
                step=step,
            )


def _is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are, by pieces: an answer for each of them at once is no small array."""
    flat = array.reshape(-1)
    starts = range(0, flat.size, _NUMBERS)
    return all(np.isfinite(flat[start : start + _NUMBERS]).all() for start in starts)
