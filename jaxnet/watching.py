"""What the terminal and the records of a run hear while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jaxnet.config import Config
from jaxnet.data.dataset import Dataset
from jaxnet.job import file_rows, shown_rows
from jaxnet.keeping import Keeper
from jaxnet.outputs import records
from jaxnet.outputs.progress import Progress
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training.fit import Watch
from jaxnet.training.snapshot import Snapshot


class Remark(NamedTuple):
    """Something to say of a run: a "note", or a "warning" of what should be looked at."""

    kind: str
    text: str


@contextmanager
def watching(
    config: Config,
    data: Dataset,
    run: RunDirectory,
    keeper: Keeper,
    start: Snapshot,
    *,
    lines: Sequence[str],
    show: bool,
) -> Iterator[Watch]:
    """Each epoch goes to metrics.jsonl, what happens to events.jsonl, and progress to the terminal.

    Args:
        start: where training begins.
        lines: to show first.
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
        for line in lines:
            progress.message(line)
        progress.start_at(len(start.records) * len(data.x_train))
        yield heard._replace(
            compiling=progress.compile_started,
            compiled=progress.compile_finished,
            advanced=progress.update,
            finished=lambda f: progress.message(f"kept epoch {f.epoch} of {f.epochs}: {f.reason}"),
            skipped=_skipped(data, run, progress.message),
        )


def first_lines(data: Dataset, run: RunDirectory, remarks: Sequence[Remark]) -> list[str]:
    """What a run says of itself before it trains."""
    rows = data.schema["rows"]
    return [
        f"{rows['train']} training, {rows['validation']} validation, {rows['test']} test rows, "
        f"{data.x_train.shape[1]} inputs; run directory {run.path}",
        *(f"{remark.kind}: {remark.text}" for remark in remarks),
    ]


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
