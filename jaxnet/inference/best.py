"""The best labels of encoded rows, and what the rows are decided to have, whatever the head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxnet.data import sparse, sparse_entries
from jaxnet.data.sparse import SparseLabels, SparseRows
from jaxnet.errors import UserError
from jaxnet.nn.bags import Bags
from jaxnet.training import best_labels, evaluate, head_step, settings
from jaxnet.training.best_labels import BEST
from jaxnet.training.calibration import soften
from jaxnet.training.epoch import network_options
from jaxnet.training.evaluate import BLOCK, SMALL_BLOCK
from jaxnet.training.metrics import decide
from jaxnet.training.metrics.decisions import THRESHOLD

if TYPE_CHECKING:
    from jaxnet.inference.model import Model

ROWS = 4 * BLOCK  # looked at together
_NUMBERS = 1 << 22  # outputs, at most, of rows that are looked at together
_ENTRIES = 1024  # of sparse rows, at least


class Best(NamedTuple):
    """The k best labels or classes of n rows, the best first.

    Attributes:
        codes: (n, k), their places among the classes. p: (n, k) float64, their probabilities.
        decided: codes of classes (n,), or the labels that each row is decided to have.
    """

    codes: np.ndarray
    p: np.ndarray
    decided: np.ndarray | SparseLabels


def best(model: Model, x: Any, k: int, poll: Callable[[], None] = lambda: None) -> Best:
    """The best labels of encoded rows. Of a head without logits rows are decided by the best 100.

    Raises:
        UserError: k is out of range, or the model decides between two classes.
    """
    check(model, k)
    of_part = _of_blocks if model.keeps_no_logits else _of_outputs
    outputs = BEST if model.keeps_no_logits else len(model.schema["classes"])
    rows = max(SMALL_BLOCK, min(ROWS, _NUMBERS // outputs))
    found = [of_part(model, some, k, poll) for some in parts(x, rows)]
    codes, p, decided = zip(*found, strict=True)
    several = isinstance(decided[0], SparseLabels)
    together = sparse.concatenate(decided) if several else np.concatenate(decided)
    return Best(np.concatenate(codes), np.concatenate(p), together)


def most(model: Model) -> int:
    """The largest k of `best`."""
    return min(BEST, len(model.schema["classes"]))


def check(model: Model, k: Any) -> None:
    """Refuse a number of labels that cannot be shown. Raises UserError."""
    if model.task == "binary":
        raise UserError("the model tells two classes apart: predict_proba has both of them")
    whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
    if not whole or not 1 <= k <= most(model):
        what = "labels" if model.task == "multilabel" else "classes"
        number = len(model.schema["classes"])
        raise UserError(
            f"top k: {k!r} is no number from 1 to {most(model)}; the model has {number:,} {what}, "
            f"and at most {BEST} of a row are looked at"
        )


def parts(x: Any, rows: int) -> Iterator[Any]:
    """Encoded rows in parts of so many; what is left is one more, or goes with the last one.

    So the rows of a part are computed in blocks of the size that all of them together would have.

    >>> [len(each) for each in parts(np.zeros((300, 1)), 100)]
    [100, 100, 100]
    >>> [len(each) for each in parts(np.zeros((310, 1)), 100)]
    [100, 100, 110]
    """
    ends = list(range(rows, len(x), rows))
    if ends and len(x) - ends[-1] <= SMALL_BLOCK:
        ends.pop()
    for start, stop in zip([0, *ends], [*ends, len(x)], strict=True):
        yield part(x, start, stop)


def part(x: Any, start: int, stop: int) -> Any:
    """Some of the encoded rows."""
    return sparse.part(x, start, stop) if isinstance(x, SparseRows) else x[start:stop]


def inputs(x: Any) -> Any:
    """Encoded rows as the network takes them; cut what comes of them to their number.

    Sparse rows become `Bags` filled up with rows and entries: of few shapes, each of which is
    compiled once.
    """
    if not isinstance(x, SparseRows):
        return x
    rows, entries = len(x), len(x.indices)
    filled = SMALL_BLOCK if rows <= SMALL_BLOCK else -(-rows // BLOCK) * BLOCK
    more = max(_ENTRIES, 1 << max(entries - 1, 0).bit_length()) - entries
    return Bags(
        np.pad(x.indptr, (0, filled - rows), mode="edge"),
        np.pad(x.indices, (0, more)),
        np.pad(x.values, (0, more)),
    )


def network_of(model: Model) -> dict[str, Any]:
    """Keywords of `embedding.forward`."""
    said = model.description
    return network_options(said["activation"], said["parametrisation"], said["precision"])


@settings.held()
def logits(model: Model, x: Any, poll: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits of all outputs of encoded rows as the network gives them, (n, outputs) float32."""
    params = model.params
    if model.keeps_no_logits:
        body, head = head_step.split(params)
        wide = head._replace(W=head.W.astype(np.float32))  # it may be kept in bfloat16
        params = head_step.join(body, wide)
    return evaluate.logits(params, inputs(x), network=network_of(model), poll=poll)[: len(x)]


@settings.held()
def outputs(model: Model, z: np.ndarray) -> evaluate.Outputs:
    """What `logits` say by the model's temperature: calibrated logits and probabilities."""
    activation = model.description["output_activation"]
    return evaluate.outputs_of(model.task, z, activation, model.temperature)


@settings.held()
def best_of_head(
    model: Model, x: Any, poll: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities (n, `most`) of a head without logits, the best first."""
    network = network_of(model)
    found = best_labels.best_labels(
        model.params, inputs(x), most(model), network=network, poll=poll
    )
    return found.labels[: len(x)], soften(found.logits[: len(x)], model.task)


def _of_blocks(model: Model, x: Any, k: int, poll: Callable[[], None]) -> Best:
    labels, p = best_of_head(model, x, poll)
    rows, places = np.nonzero(p >= _threshold(model))
    shape = len(x), len(model.schema["classes"])
    decided = sparse_entries.distinct_labels(rows, labels[rows, places], shape)
    return Best(labels[:, :k], p[:, :k], decided)


def _of_outputs(model: Model, x: Any, k: int, poll: Callable[[], None]) -> Best:
    found = outputs(model, logits(model, x, poll))
    p, codes = found.p, np.argsort(-found.ranking, axis=1, kind="stable")[:, :k]
    decided = decide(model.task, p, model.thresholds)
    of_codes = np.take_along_axis(p, codes, axis=1)
    if model.task != "multilabel":
        return Best(codes, of_codes, decided)
    rows, labels = np.nonzero(decided)
    return Best(codes, of_codes, sparse_entries.distinct_labels(rows, labels, p.shape))


def _threshold(model: Model) -> float:
    return THRESHOLD if model.thresholds is None else float(model.thresholds)
