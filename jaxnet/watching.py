"""What the terminal and the records of a run hear while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jaxnet.config import Config
from jaxnet.data.dataset import Dataset
from jaxnet.job import file_rows, shown_rows
from jaxnet.keeping import Keeper
from jaxnet.outputs import records
from jaxnet.outputs.progress import Progress
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training.fit import Watch
from jaxnet.training.snapshot import Snapshot


@contextmanager
def watching(
    config: Config,
    data: Dataset,
    run: RunDirectory,
    keeper: Keeper,
    start: Snapshot,
    *,
    notes: Sequence[str],
    show: bool,
) -> Iterator[Watch]:
    """Each epoch goes to metrics.jsonl, what happens to events.jsonl, and progress to the terminal.

    Args:
        start: where training begins.
        notes: lines to show first.
        show: whether there is somebody to see it.
    """
    heard = Watch(
        ended=lambda record: records.append_epoch(run, record),
        between=keeper.between,
        failed=keeper.save_if_finite,
    )
    if not show:
        yield heard._replace(skipped=_skipped(data, run, lambda text: None))
        return
    with Progress(config.training.epochs, len(data.x_train)) as progress:
        for note in notes:
            progress.message(note)
        _continue(progress, data, start)
        yield heard._replace(
            compiling=progress.compile_started,
            compiled=progress.compile_finished,
            advanced=progress.update,
            finished=lambda f: progress.message(f"kept epoch {f.epoch} of {f.epochs}: {f.reason}"),
            skipped=_skipped(data, run, progress.message),
        )


def first_notes(data: Dataset, run: RunDirectory, warnings: Sequence[str]) -> list[str]:
    """What a run says of itself before it trains."""
    rows = data.schema["rows"]
    return [
        f"{rows['train']} training, {rows['validation']} validation, {rows['test']} test rows, "
        f"{data.x_train.shape[1]} inputs; run directory {run.path}",
        *(f"note: {note}" for note in data.notes),
        *(f"warning: {warning}" for warning in warnings),
    ]


def _continue(progress: Progress, data: Dataset, start: Snapshot) -> None:
    """Rows of an earlier process are done, and were not done in no time."""
    epochs = len(start.records)
    if int(start.state.step):
        progress.update(epochs + 1, 0.0, epochs * len(data.x_train), {})


def _skipped(
    data: Dataset, run: RunDirectory, say: Callable[[str], None]
) -> Callable[[int, Sequence[int], int], None]:
    def skipped(step: int, rows: Sequence[int], count: int) -> None:
        found = file_rows(data, rows)
        details: Mapping[str, Any] = {"step": step, "rows": found, "count": count}
        records.append_event(run, "skipped", **details)
        say(
            f"warning: step {step} was not finite and is left out ({count} so far); its rows "
            f"(counted from 0): {shown_rows(found)}"
        )

    return skipped
