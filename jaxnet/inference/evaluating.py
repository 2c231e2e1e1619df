"""Metrics of a finished run on a file of labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet import sparse_job
from jaxnet.data import arrays, dataset, readers, sparse_sets
from jaxnet.data.frame import Frame
from jaxnet.data.labels import Labels
from jaxnet.data.new_rows import Ready
from jaxnet.data.places import nearest, values
from jaxnet.errors import DataError
from jaxnet.inference import best, pieces, sets
from jaxnet.inference.findings import Findings, Rows, summed_up
from jaxnet.inference.model import Model
from jaxnet.inference.pieces import Piece
from jaxnet.polling import at_once
from jaxnet.training.evaluation import summarise

_TABLES = ("confusion", "per_class", "per_label")


class Evaluated(NamedTuple):
    """How good a model is on a file.

    Attributes:
        rows: what was read.
        metrics: name -> number, or None where it is undefined.
        undefined: name -> why a metric is None, or what its mean leaves out.
        tables: "confusion", "per_class", "per_label", as far as the task has them.
    """

    rows: Rows
    metrics: dict[str, float | None]
    undefined: dict[str, str]
    tables: dict[str, Any]


def evaluate_file(
    model: Model,
    source: str | Path,
    *,
    labels: str | Path | None = None,
    progress: Callable[[int, float], None] = lambda done, share: None,
    poll: Callable[[], None] = lambda: None,
) -> Evaluated:
    """The metrics of the task, by the run's own temperature and thresholds.

    Args:
        source: a .csv, .csv.gz or .parquet file with the columns of training, labels included, or
            an .npz file with X and y (its test part, where it has one). Of a model of sparse rows:
            XC text, or a sparse .npz file.
        labels: a sparse .npz file with the labels of sparse .npz rows.
        progress: told after every piece the rows done and the share of the file.
        poll: called often; what it raises ends the work.

    Raises:
        DataError: rows or labels cannot be used; names the line.
    """
    path = Path(source)
    known, told = model.encoder, Told(progress, poll)
    pieces.refuse_other_kind(known, path)
    if isinstance(known, sparse_sets.Ready):
        return _sparse(model, known, path, None if labels is None else Path(labels), told)
    if labels is not None:
        raise DataError(f"{labels}: labels in a file of their own belong to sparse .npz rows")
    rows, own = _arrays(model, path) if pieces.is_npz(path) else _table(model, known, path)
    measured = _whole if model.keeps_no_logits else _by_piece
    return measured(model, rows, own, told)


class Told(NamedTuple):
    """Whom the work tells how far it is, and asks whether to go on."""

    progress: Callable[[int, float], None]
    poll: Callable[[], None]


def _sparse(
    model: Model, known: sparse_sets.Ready, path: Path, labels: Path | None, told: Told
) -> Evaluated:
    """Sparse rows are read as a whole, as training does."""
    table, findings = sets.read(known, path, labels), Findings()
    encoded = sparse_sets.encode(known, table.x, str(path))
    findings.add(encoded)
    findings.warnings.update(dict.fromkeys(table.notes))
    assert table.labels is not None  # else it would have been refused
    found = sets.measure(model, encoded.x, table.labels, **told._asdict())
    return _evaluated(model, findings, found)


def _whole(model: Model, rows: Iterator[Piece], own: Callable[[], Labels], told: Told) -> Evaluated:
    """Of a head without logits inputs and labels are looked at together."""
    findings = Findings()
    x: list[Any] = []
    with pieces.ahead(rows, poll=told.poll) as each:
        for piece in each:
            x.append(piece.encoded.x)
            findings.add(piece.encoded)
    with at_once(told.poll):
        true = own()
    findings.warnings.update(dict.fromkeys(true.warnings))
    y = sparse_job.as_sets(true.targets)
    return _evaluated(model, findings, sets.measure(model, np.concatenate(x), y, **told._asdict()))


def _by_piece(
    model: Model, rows: Iterator[Piece], own: Callable[[], Labels], told: Told
) -> Evaluated:
    findings, z = Findings(), []
    with pieces.ahead(rows, poll=told.poll) as each:
        for piece in each:
            z.append(best.logits(model, piece.encoded.x, told.poll))
            findings.add(piece.encoded)
            told.progress(findings.rows, piece.share)
    with at_once(told.poll):
        true = own()
        findings.warnings.update(dict.fromkeys(true.warnings))
        said = best.outputs(model, np.concatenate(z))
        found = summarise(
            model.task,
            said.p,
            true.targets,
            logits=said.logits,
            thresholds=model.thresholds,
            names=model.schema["class_names"],
            with_curves=False,
        )
    return _evaluated(model, findings, found)


def _evaluated(model: Model, findings: Findings, found: Mapping[str, Any]) -> Evaluated:
    return Evaluated(
        summed_up(model.encoder, findings),
        found["metrics"],
        found["undefined"],
        {name: found[name] for name in _TABLES if name in found},
    )


def _arrays(model: Model, path: Path) -> tuple[Iterator[Piece], Callable[[], Labels]]:
    """The pieces of an .npz file, and its labels."""
    target = model.schema["target"]["columns"]
    key = target[0] if len(target) == 1 and not model.schema["named"] else "y"
    whole, test = arrays.read_npz(path, target=key)
    table = whole if test is None else test
    at_once = pieces.rows_at_once(table.x.shape[1], len(model.schema["classes"]))
    rows = pieces.of_array(table.x, f"{path}: X", model.encoder, at_once)
    return rows, lambda: dataset.labels_of(model.schema, table)


def _table(model: Model, known: Ready, path: Path) -> tuple[Iterator[Piece], Callable[[], Labels]]:
    """The pieces of a table, and its labels once all have been read."""
    target = model.schema["target"]["columns"]
    names = readers.names(path)
    _refuse_unlabelled(path, target, names)
    kept: list[Frame] = []

    def rows() -> Iterator[Piece]:
        wide = max(known.width, len(model.schema["classes"]))
        at_once = pieces.rows_at_once(len(names), wide)
        for piece in pieces.of_table(path, known, at_once):
            assert isinstance(piece.x, Frame)
            kept.append(piece.x._replace(columns=piece.x.columns.select(target)))
            yield piece

    def labels() -> Labels:
        import pyarrow as pa

        # The first frame counts the rows of the file; its names of places hold for all.
        together = pa.concat_tables([frame.columns for frame in kept])
        return dataset.labels_of(model.schema, kept[0]._replace(columns=together))

    return rows(), labels


def _refuse_unlabelled(path: Path, target: list[str], names: tuple[str, ...]) -> None:
    missing = [name for name in target if name not in names]
    if not target:
        raise DataError(
            f"{path}: the model was trained on arrays, so no column is its target; give an .npz "
            f"file with X and y"
        )
    if missing:
        near = nearest(missing[0], names) or f"; it has {values(names)}"
        word = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"{path}: no {word} {values(missing)}, which held the labels in training{near}. "
            f"Rows without labels: jaxnet predict"
        )
