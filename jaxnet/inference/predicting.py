"""From a file of rows to a file of predictions, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jaxnet.data import readers, sparse_sets
from jaxnet.data.frame import Frame
from jaxnet.data.sparse import SparseLabels
from jaxnet.inference import best, pieces
from jaxnet.inference.findings import Findings, Rows, summed_up
from jaxnet.inference.model import Model, outputs, two_columns
from jaxnet.outputs.predictions import nine_digits, open_writer
from jaxnet.training.metrics import decide

PREDICTION = "prediction"
SHOWN = 5  # labels, of a model that keeps no logits, where nobody says how many
_SEPARATOR = ","  # where the training data had none


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
        probabilities: one a class or label; of the best k, a label and its probability in turn.
    """

    identifiers: tuple[str, ...]
    decisions: tuple[str, ...]
    probabilities: tuple[str, ...]


def predict_file(
    model: Model,
    source: str | Path,
    output: str | Path | None = None,
    *,
    top_k: int | None = None,
    overwrite: bool = False,
    stream: IO[str] | None = None,
    rows: int | None = None,
    progress: Callable[[int, float], None] = lambda done, share: None,
    poll: Callable[[], None] = lambda: None,
) -> Predicted:
    """Predict every row of a file; only a sparse .npz file is read as a whole.

    The columns of the output are the identifiers of the rows (columns that training was told to
    leave out, or left out by itself, as far as the file has them), the decision in `prediction`,
    and the probability of each class in `p(CLASS)`. Multi-label: `prediction` holds the names of
    the labels as the training data wrote them, with their separator; where that had a column of 0
    and 1 a label, so has the output: `prediction(LABEL)`.

    With `top_k`, and always where the model keeps no logits, `prediction` is followed by the k
    likeliest labels and their probabilities, `label_1`, `p_1`, ..., `label_k`, `p_k`.

    Args:
        source: a .csv, .csv.gz or .parquet file with the columns of training in any order, or an
            .npz file with X. Of a model of sparse rows: XC text, with or without its first line,
            whose labels are passed over, or a sparse .npz file.
        top_k: k, from 1 to the number of labels or classes, at most 100; None: all of them, or the
            best five where the model keeps no logits.
        output: a .csv, .csv.gz or .parquet file that is not there yet; None writes CSV to `stream`.
        overwrite: replace the output where it exists. It appears, whole, when all went well.
        stream: standard output if left out.
        rows: at once; the result does not depend on it.
        progress: told after every piece the rows done and the share of the file.
        poll: called often; what it raises ends the work and leaves nothing behind.

    Raises:
        DataError: the rows cannot be used; names the line.
        UserError: the output cannot be what it should be, or k is out of range.
        RunFailed: the output cannot be written.
    """
    path, k = Path(source), _shown(model, top_k)
    pieces.refuse_other_kind(model.encoder, path)
    source_rows, names = _open(model, path, rows)
    layout = lay_out(model, names, k)
    classes, findings = _classes(model), Findings()
    columns = (*layout.identifiers, *layout.decisions, *layout.probabilities)
    with (
        open_writer(output, columns, overwrite=overwrite, stream=stream) as writer,
        pieces.ahead(source_rows, poll=poll) as found,
    ):
        for piece in found:
            if k is None:
                cells = _all(model, layout, classes, outputs(model, piece.encoded.x, poll=poll).p)
            else:
                cells = _best(model, layout, classes, best.best(model, piece.encoded.x, k, poll))
            writer.write(_copied(layout, piece) | cells)
            findings.add(piece.encoded)
            progress(findings.rows, piece.share)
    return Predicted(summed_up(model.encoder, findings), columns)


def _shown(model: Model, k: int | None) -> int | None:
    """How many labels a row is shown with; None for all of them."""
    if k is not None:
        best.check(model, k)
    return min(SHOWN, best.most(model)) if k is None and model.keeps_no_logits else k


def lay_out(model: Model, names: Sequence[str], k: int | None = None) -> Layout:
    """The columns of the output for rows that have these columns.

    A name that an identifier has already gets an underscore behind it.
    """
    identifiers = tuple(name for name in model.schema["identifiers"] if name in names)
    decisions = [PREDICTION]
    if k is not None:
        shown = [name for place in range(1, k + 1) for name in (f"label_{place}", f"p_{place}")]
    else:
        classes = [str(label) for label in _labels(model)]
        shown = [f"p({label})" for label in classes]
        if _is_indicated(model):
            decisions = [f"{PREDICTION}({label})" for label in classes]
    taken = set(identifiers)
    own = []
    for name in (*decisions, *shown):
        while name in taken:
            name += "_"
        taken.add(name)
        own.append(name)
    return Layout(identifiers, tuple(own[: len(decisions)]), tuple(own[len(decisions) :]))


def _is_indicated(model: Model) -> bool:
    """Whether the training data had a column of 0 and 1 for each label."""
    return model.task == "multilabel" and model.schema["target"]["separator"] is None


def _labels(model: Model) -> list[Any]:
    """What results call the labels or classes."""
    if isinstance(model.encoder, sparse_sets.Ready):
        return sparse_sets.names_of(model.schema)
    return list(model.schema["classes"])


def _open(model: Model, path: Path, rows: int | None) -> tuple[Any, tuple[str, ...]]:
    """The pieces of the file, and the names of its columns."""
    known, classes = model.encoder, len(model.schema["classes"])
    outputs = best.BEST if model.keeps_no_logits else classes
    if isinstance(known, sparse_sets.Ready) and sparse_sets.is_sparse(path):
        at_once = rows or min(best.ROWS, pieces.rows_at_once(1, outputs))
        return pieces.of_sparse(path, known, at_once), ()
    wide = max(known.width, outputs)
    if pieces.is_npz(path):
        x, what = pieces.features_of(path)
        at_once = rows or pieces.rows_at_once(x.shape[1], wide)
        return pieces.of_array(x, what, known, at_once), ()
    names = readers.names(path)
    at_once = rows or pieces.rows_at_once(len(names), wide)
    return pieces.of_table(path, known, at_once), names


def _copied(layout: Layout, piece: pieces.Piece) -> dict[str, Any]:
    """The identifiers of a piece."""
    if not isinstance(piece.x, Frame):
        return {}
    return {name: piece.x.columns.column(name) for name in layout.identifiers}


def _classes(model: Model) -> Any:
    """The labels or classes as a pyarrow array."""
    import pyarrow as pa

    return pa.array(_labels(model))


def _all(model: Model, layout: Layout, classes: Any, p: np.ndarray) -> dict[str, Any]:
    """The decisions of a piece, and the probabilities of all classes."""
    codes = decide(model.task, p, model.thresholds)
    if _is_indicated(model):
        cells = dict(zip(layout.decisions, codes.T, strict=True))
    elif model.task == "multilabel":
        sets = [np.flatnonzero(row) for row in codes]
        cells = {layout.decisions[0]: _joined(model, classes, sets)}
    else:
        cells = {layout.decisions[0]: _taken(classes, codes)}
    shown = nine_digits(two_columns(model.task, p))
    return cells | dict(zip(layout.probabilities, shown.T, strict=True))


def _best(model: Model, layout: Layout, classes: Any, found: best.Best) -> dict[str, Any]:
    """The decisions of a piece, and the best labels with their probabilities."""
    decided = found.decided
    if isinstance(decided, SparseLabels):
        sets = np.split(decided.indices, decided.indptr[1:-1])[: len(decided)]
        cells = {layout.decisions[0]: _joined(model, classes, sets)}
    else:
        cells = {layout.decisions[0]: _taken(classes, decided)}
    shown = nine_digits(found.p)
    for place in range(found.p.shape[1]):
        label, p = layout.probabilities[2 * place : 2 * place + 2]
        cells |= {label: _taken(classes, found.codes[:, place]), p: shown[:, place]}
    return cells


def _taken(classes: Any, codes: np.ndarray) -> Any:
    """The classes of codes, as the training data wrote them."""
    import pyarrow as pa

    return classes.take(pa.array(codes))


def _joined(model: Model, classes: Any, sets: Sequence[np.ndarray]) -> Any:
    """The names of the labels of each row with the separator of the training data."""
    import pyarrow as pa

    separator = model.schema["target"]["separator"] or _SEPARATOR
    used = {
        code: str(classes[code].as_py())
        for code in np.unique(np.concatenate([np.zeros(0, np.int64), *sets])).tolist()
    }
    return pa.array([separator.join(used[i] for i in row.tolist()) for row in sets], pa.string())
