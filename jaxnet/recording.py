"""What a run leaves in its directory: how it began and ended, its model and what that is worth."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from jaxnet import __version__
from jaxnet.config import Config, dump_yaml
from jaxnet.data import split_file
from jaxnet.data.dataset import Dataset
from jaxnet.errors import NonFiniteError, Stopped
from jaxnet.judge import Judged
from jaxnet.nn import embedding
from jaxnet.outputs import model_file, records, run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.resume import Earlier
from jaxnet.training import threads
from jaxnet.training.fit import Fitted
from jaxnet.watching import Remark

Metrics = dict[str, dict[str, float | None]]


@contextmanager
def recorded(directory: RunDirectory, command: str, earlier: Earlier | None) -> Iterator[None]:
    """Keep status.json true: running, then failed or stopped where it does not finish."""
    records.write_status(directory, "running")
    went_on = {} if earlier is None else {"checkpoint": earlier.name, "step": earlier.facts["step"]}
    records.append_event(
        directory,
        "started" if earlier is None else "resumed",
        jaxnet=__version__,
        command=command,
        versions=_versions(),
        device=_device(),
        threads=threads.count(),
        **went_on,
    )
    try:
        yield
    except Stopped as stop:
        records.record_end(
            directory, "stopped", f"signal {stop.signal}", resumable=stop.saved is not None
        )
        raise
    except BaseException as error:
        failed = isinstance(error, Exception)
        said = str(error) if failed else "interrupted"
        place = (
            {"step": error.step, "rows": error.rows} if isinstance(error, NonFiniteError) else {}
        )
        records.record_end(directory, "failed" if failed else "stopped", said, **place)
        raise


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _device() -> str:
    import jax

    device = jax.devices()[0]
    return f"{device.platform} ({device.device_kind})"


def write_beginning(
    directory: RunDirectory,
    config: Config,
    data: Dataset,
    remarks: Sequence[Remark],
) -> None:
    """What a run is asked to do and on which rows; a run that goes on may have another length."""
    if not directory.config.is_file():  # as it was given when the run began
        records.write_text(directory.config, config.text)
    records.write_text(directory.resolved_config, dump_yaml(config))
    # Of a run that goes on these are the same, and may have been lost.
    records.write_json(directory.schema, data.schema)
    records.write_text(directory.split, split_file.as_csv(data.rows, sum(map(len, data.rows))))
    for remark in remarks:
        records.append_event(directory, remark.kind, text=remark.text)


def write_end(directory: RunDirectory, judged: Judged, schema: Mapping[str, Any]) -> Metrics:
    """Save the model and what it is worth; a report of what was there before goes."""
    with run_directory.writing(directory.report):
        directory.report.unlink(missing_ok=True)
    arrays = embedding.named(judged.params)
    model_file.save(directory.model, arrays, judged.description, schema=schema)
    records.write_json(directory.evaluation, judged.evaluation, indent=None)
    metrics = {part: one["metrics"] for part, one in judged.evaluation["parts"].items()}
    records.write_metrics(directory, {**metrics, "details": _details(judged.evaluation)})
    return metrics


def tell_end(directory: RunDirectory, fitted: Fitted, seconds: Mapping[str, float]) -> None:
    """Status and event of the end: seconds, and those of training that the whole run stands on."""
    if fitted.last.skipped:
        text = f"steps that were not finite and were left out: {fitted.last.skipped}"
        records.append_event(directory, "warning", text=f"{text} (see jaxnet debug)")
    records.append_event(
        directory,
        "finished",
        reason=fitted.reason,
        epoch=fitted.epoch,
        seconds=seconds,
        productive=seconds["train"] + seconds["evaluate"],
    )
    records.write_finished(directory)


# What metrics.json says of a part beside its numbers.
_DETAILS = ("undefined", "confusion", "per_class", "per_label")


def _details(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        part: {key: one[key] for key in _DETAILS if one.get(key)}
        for part, one in evaluation["parts"].items()
    }
