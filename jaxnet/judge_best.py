"""From trained parameters to decisions, where the head keeps no logits: by the best labels of rows.

The threshold is tuned on the validation rows; the test rows only measure it. Of many training rows
a part is measured: their metrics are there to be compared with those of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet import sparse_job
from jaxnet.config import Config
from jaxnet.data import sparse, sparse_sets
from jaxnet.data.dataset import Dataset
from jaxnet.data.sparse import SparseLabels, SparseRows
from jaxnet.data.splits import PARTS
from jaxnet.job import Job
from jaxnet.judged import Judged, description, refuse_not_finite
from jaxnet.polling import at_once
from jaxnet.training import best_labels, evaluation
from jaxnet.training.calibration import Calibration, soften
from jaxnet.training.fit import Fitted
from jaxnet.training.metrics import best
from jaxnet.training.metrics.best import Ranked
from jaxnet.training.metrics.decisions import THRESHOLD
from jaxnet.training.thresholds import Decision, tune_best

_WHY = "model.head: linear_blocks keeps no logits"


class _Measured(NamedTuple):
    ranked: Ranked
    log_loss: float | None


def judge(
    config: Config,
    job: Job,
    data: Dataset,
    fitted: Fitted,
    *,
    poll: Callable[[], None] = lambda: None,
) -> Judged:
    """Tune on the validation rows, then measure every part.

    Args:
        poll: called now and then; what it raises stops the work.

    Raises:
        NonFiniteError: parameters or outputs are not finite.
    """
    found = {}
    for part, (x, y) in _parts(data).items():
        found[part] = _measured(job, fitted, x, y, part, poll)
    with at_once(poll):
        decision = decide(config, found["validation"].ranked)
        inverse = inverse_propensities(data.schema)
        summaries: dict[str, Any] = {}
        for part, (ranked, log_loss) in found.items():
            summaries[part] = {"rows": len(ranked.own), "metrics": {}, "undefined": {}}
            if len(ranked.own):
                assert isinstance(decision.thresholds, float)
                scores = best.scores(
                    ranked, decision.thresholds, log_loss=log_loss, inverse=inverse
                )
                summaries[part] |= best.summary(scores)
    record = evaluation.record(
        summaries,
        calibration=Calibration(1.0, _WHY, fitted=False),
        decision=decision,
        importance={"reason": _WHY},
        proof={"reason": f"{_WHY}; docs/extreme.md names the proofs of its gradients"},
    )
    return Judged(fitted.params, description(config, job, fitted, 1.0, decision), record)


def add_propensities(
    summary: dict[str, Any], z: np.ndarray, y: np.ndarray, schema: Mapping[str, Any]
) -> None:
    """PSP@k to the metrics of a dense head, where the training rows were sets of labels.

    Args:
        z: logits, or what else ranks the labels of a row, (n, K).
    """
    inverse = inverse_propensities(schema)
    if inverse is None or not len(y):
        return
    k = min(best_labels.BEST, z.shape[1])
    labels = np.argsort(-z, axis=1, kind="stable")[:, :k]
    sets = sparse_job.as_sets(y)
    of_best = np.take_along_axis(z, labels, axis=1)
    ranked = best.ranked(labels, of_best, sets.indptr, sets.indices, z.shape[1])
    scores = {
        key: one for key, one in best.rankings(ranked, inverse).items() if key.startswith("psp")
    }
    added = best.summary(scores)
    summary["metrics"] |= added["metrics"]
    summary["undefined"] |= added["undefined"]


def inverse_propensities(schema: Mapping[str, Any]) -> np.ndarray | None:
    """1 / propensity of each label by its training rows; None where the rows are a table's."""
    if schema.get("kind") != sparse_sets.KIND:
        return None
    return best.inverse_propensities(*sparse_sets.counts_of(schema))


def decide(config: Config, ranked: Ranked) -> Decision:
    """One threshold for all labels: as given, or with the best micro F1 on the validation rows."""
    given = config.decision.threshold
    if isinstance(given, int | float):
        return Decision("threshold", None, float(given))
    if not len(ranked.own) or not ranked.hits.any():
        reason = "no rows were held out" if not len(ranked.own) else "no label was among the best"
        return Decision("threshold", None, THRESHOLD, reason=reason)
    return Decision("threshold", "f1", tune_best(ranked.p, ranked.hits, int(ranked.own.sum())))


def _parts(data: Dataset) -> dict[str, tuple[Any, Any]]:
    """x and y of each part, of the training rows some."""
    arrays = (data.x_train, data.y_train, data.x_val, data.y_val, data.x_test, data.y_test)
    parts = dict(zip(PARTS, zip(arrays[::2], arrays[1::2], strict=True), strict=True))
    x, y = parts["train"]
    if len(x) > best_labels.MOST_TRAIN:
        some = np.linspace(0, len(x) - 1, best_labels.MOST_TRAIN).astype(np.int64)
        parts["train"] = _some(x, some), _some(y, some)
    return parts


def _some(rows: Any, chosen: np.ndarray) -> Any:
    if isinstance(rows, SparseRows):
        return sparse.take(rows, chosen)
    return sparse.take(rows, chosen) if isinstance(rows, SparseLabels) else rows[chosen]


def _measured(
    job: Job, fitted: Fitted, x: Any, y: Any, part: str, poll: Callable[[], None]
) -> _Measured:
    """The best labels of the rows beside their own, and the mean log loss."""
    labels = job.sizes[-1]
    sets = sparse_job.as_sets(y)
    k = min(best_labels.BEST, labels)
    inputs, network = sparse_job.inputs(x), job.program.network
    found = best_labels.best_labels(fitted.params, inputs, k, network=network, poll=poll)
    targets = sparse_job.targets(job.task, sets, job.program.head)
    losses = best_labels.losses(job.program, fitted.params, inputs, targets, poll)
    refuse_not_finite(fitted, {part: np.column_stack([found.logits, losses])})
    p = soften(found.logits, job.task.name)
    ranked = best.ranked(found.labels, p, sets.indptr, sets.indices, labels)
    return _Measured(ranked, float(losses.mean(dtype=np.float64)) / labels if len(x) else None)
