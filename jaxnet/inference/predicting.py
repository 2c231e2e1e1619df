"""From a file of rows to a file of predictions, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jaxnet.data import readers
from jaxnet.data.frame import Frame
from jaxnet.inference import pieces
from jaxnet.inference.findings import Findings, Rows, summed_up
from jaxnet.inference.model import Model, outputs, two_columns
from jaxnet.outputs.predictions import nine_digits, open_writer
from jaxnet.training.metrics import decide

PREDICTION = "prediction"


class Predicted(NamedTuple):
    """What became of a file.

    Attributes:
        rows: what was read.
        columns: of the output, in order.
    """

    rows: Rows
    columns: tuple[str, ...]


class Layout(NamedTuple):
    """The columns of the output.

    Attributes:
        identifiers: copied from the rows.
        decisions: one, or one a label.
        probabilities: one a class or label.
    """

    identifiers: tuple[str, ...]
    decisions: tuple[str, ...]
    probabilities: tuple[str, ...]


def predict_file(
    model: Model,
    source: str | Path,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    stream: IO[str] | None = None,
    rows: int | None = None,
    progress: Callable[[int, float], None] = lambda done, share: None,
    poll: Callable[[], None] = lambda: None,
) -> Predicted:
    """Predict every row of a file; memory does not grow with their number.

    The columns of the output are the identifiers of the rows (columns that training was told to
    leave out, or left out by itself, as far as the file has them), the decision in `prediction`,
    and the probability of each class in `p(CLASS)`. Multi-label: `prediction` holds the names of
    the labels as the training data wrote them, with their separator; where the training data had a
    column of 0 and 1 a label, so has the output: `prediction(LABEL)`.

    Args:
        source: a .csv, .csv.gz or .parquet file with the columns of training in any order, or an
            .npz file with X.
        output: a .csv, .csv.gz or .parquet file that is not there yet; None writes CSV to `stream`.
        overwrite: replace the output where it exists. It appears, whole, when all went well.
        stream: standard output if left out.
        rows: at once; the result does not depend on it.
        progress: told after every piece the rows done and the share of the file.
        poll: called often; what it raises ends the work and leaves nothing behind.

    Raises:
        DataError: the rows cannot be used; names the line.
        UserError: the output cannot be what it should be.
        RunFailed: the output cannot be written.
    """
    path = Path(source)
    source_rows, names = _open(model, path, rows)
    layout = lay_out(model, names)
    findings = Findings()
    columns = (*layout.identifiers, *layout.decisions, *layout.probabilities)
    with (
        open_writer(output, columns, overwrite=overwrite, stream=stream) as writer,
        pieces.ahead(source_rows, poll=poll) as found,
    ):
        for piece in found:
            p = outputs(model, piece.encoded.x, poll=poll)
            writer.write(_columns(model, layout, piece, p))
            findings.add(piece.encoded)
            progress(findings.rows, piece.share)
    return Predicted(summed_up(model.encoder, findings), columns)


def lay_out(model: Model, names: Sequence[str]) -> Layout:
    """The columns of the output for rows that have these columns.

    A name that an identifier has already gets an underscore behind it.
    """
    identifiers = tuple(name for name in model.schema["identifiers"] if name in names)
    classes = [str(label) for label in model.schema["classes"]]
    decisions = [PREDICTION]
    if _is_indicated(model):
        decisions = [f"{PREDICTION}({label})" for label in classes]
    taken = set(identifiers)
    own = []
    for name in (*decisions, *(f"p({label})" for label in classes)):
        while name in taken:
            name += "_"
        taken.add(name)
        own.append(name)
    return Layout(identifiers, tuple(own[: len(decisions)]), tuple(own[len(decisions) :]))


def _is_indicated(model: Model) -> bool:
    """Whether the training data had a column of 0 and 1 for each label."""
    return model.task == "multilabel" and model.schema["target"]["separator"] is None


def _open(model: Model, path: Path, rows: int | None) -> tuple[Any, tuple[str, ...]]:
    """The pieces of the file, and the names of its columns."""
    width = model.encoder.encoder.width
    wide = max(width, len(model.schema["classes"]))
    if pieces.is_npz(path):
        x, what = pieces.features_of(path)
        at_once = rows or pieces.rows_at_once(x.shape[1], wide)
        return pieces.of_array(x, what, model.encoder, at_once), ()
    names = readers.names(path)
    at_once = rows or pieces.rows_at_once(len(names), wide)
    return pieces.of_table(path, model.encoder, at_once), names


def _columns(model: Model, layout: Layout, piece: pieces.Piece, p: np.ndarray) -> dict[str, Any]:
    """The piece of the output."""
    cells: dict[str, Any] = {}
    if isinstance(piece.x, Frame):
        cells = {name: piece.x.columns.column(name) for name in layout.identifiers}
    codes = decide(model.task, p, model.thresholds)
    if _is_indicated(model):
        cells |= dict(zip(layout.decisions, codes.T, strict=True))
    else:
        cells[layout.decisions[0]] = _written(model, codes)
    shown = nine_digits(two_columns(model.task, p))
    return cells | dict(zip(layout.probabilities, shown.T, strict=True))


def _written(model: Model, codes: np.ndarray) -> Any:
    """The decisions as the training data wrote them, as a pyarrow array."""
    import pyarrow as pa

    classes = model.schema["classes"]
    if model.task != "multilabel":
        return pa.array(classes).take(pa.array(codes))
    separator = model.schema["target"]["separator"]
    return pa.array(
        [separator.join(str(classes[i]) for i in np.flatnonzero(row)) for row in codes],
        pa.string(),
    )
