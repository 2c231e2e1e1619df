"""A trained model in memory: rows to probabilities and decisions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.data import dataset, sparse, sparse_sets
from jaxnet.data.new_rows import Ready, describe
from jaxnet.data.places import values
from jaxnet.data.sparse import SparseLabels
from jaxnet.errors import DataWarning, UserError
from jaxnet.inference import best
from jaxnet.nn.embedding import Network
from jaxnet.training.evaluate import SMALL_BLOCK, Outputs
from jaxnet.training.metrics import decide

_MOST = 1 << 28  # probabilities at once, of a head that keeps no logits


class Top(NamedTuple):
    """The k likeliest labels or classes of n rows, the likeliest first.

    Attributes:
        labels: (n, k), as `Model.classes` has them: as they were in the data.
        probabilities: (n, k), calibrated, falling.
    """

    labels: np.ndarray
    probabilities: Float[np.ndarray, "n k"]


class Model(NamedTuple):
    """A trained model: parameters, what they mean, and how rows are encoded.

    Rows are a data frame (pandas, polars, an Arrow table, a dict of columns) or an array (n, d).
    Columns with names are looked up by them: their order is free, a missing one is an error, one
    that training did not have is a warning. An array has its columns in the order of training.
    A model of sparse rows (XC text, sparse .npz files) takes SciPy sparse matrices and arrays, (n,
    d) with the columns of training; its labels are numbers, as in those files.

    A model of very many labels keeps no logits (`model.head: linear_blocks`): `top_k` has the
    labels that matter. `predict_proba` is for few rows at once there.

    Attributes:
        params: of the network.
        description: task, sizes, activations, temperature, thresholds, as in model/model.json.
        schema: features, encoding and classes, as in schema.json.
        encoder: the schema made ready.
    """

    params: Network
    description: dict[str, Any]
    schema: dict[str, Any]
    encoder: Ready | sparse_sets.Ready

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.description["sizes"]))
        return f"Model({self.task}, {sizes}, classes {values(self.schema['class_names'])})"

    @property
    def task(self) -> str:
        """binary, multiclass or multilabel."""
        return str(self.description["task"])

    @property
    def classes(self) -> np.ndarray:
        """The classes in the order of `predict_proba`'s columns, as they were in the data."""
        return np.asarray(self.schema["classes"])

    @property
    def thresholds(self) -> Any:
        """From which probability on a class or label is predicted; None for the most likely one."""
        return self.description.get("thresholds")

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities; 1 without calibration."""
        return float(self.description.get("temperature", 1.0))

    @property
    def keeps_no_logits(self) -> bool:
        """Whether the last layer is only ever seen in blocks (`model.head: linear_blocks`)."""
        return self.description.get("head") == "linear_blocks"

    @property
    def has_sets(self) -> bool:
        """Whether labels come as sets and not as columns: sparse rows, or very many labels."""
        return self.keeps_no_logits or isinstance(self.encoder, sparse_sets.Ready)

    def predict_proba(self, x: Any) -> Float[np.ndarray, "n k"]:
        """Calibrated probabilities of each row of x, columns in the order of `classes`.

        Binary: (n, 2), the positive class second. Multiclass: (n, K), rows sum to 1.
        Multi-label: (n, K), one probability a label. A row's result depends on that row alone.

        Raises:
            DataError: a column is missing or holds words where training had numbers; an array of
                another width; values that are infinite.
            UserError: the model keeps no logits, and there are too many rows for all of them.
        """
        encoded = self._encoded(x)
        return _in_parts(self, encoded, lambda z: two_columns(self.task, best.outputs(self, z).p))

    def logits(self, x: Any) -> Float[np.ndarray, "n k"]:
        """Calibrated logits of each row of x, (n, outputs) float64; binary: one column.

        They are z_L over the temperature: `predict_proba` is their sigmoid, multiclass their
        softmax. They rank rows, and tell their log loss, where probabilities round to 0 or 1.
        Behind another output activation (squared error) they are z_L.

        Raises:
            DataError, UserError: as `predict_proba`.
        """
        return _in_parts(self, self._encoded(x), lambda z: z.astype(np.float64) / self.temperature)

    def top_k(self, x: Any, k: int) -> Top:
        """The k likeliest labels or classes of each row of x, with their probabilities.

        Args:
            x: rows, as of `predict_proba`.
            k: from 1 to the number of labels or classes, at most 100.

        Raises:
            DataError: as `predict_proba`.
            UserError: k is out of range, or the model is binary.
        """
        best.check(self, k)
        found = best.best(self, self._encoded(x), k)
        return Top(self.classes[found.codes], found.p)

    def predict(self, x: Any) -> Any:
        """The class of each row as it was written in the data; multi-label: (n, K) of 0 and 1.

        Decided by the run's own thresholds; raises as `predict_proba`. Where training had sparse
        rows, or where the model keeps no logits, the zeros and ones are a `scipy.sparse.csr_array`;
        a model that keeps no logits decides among the 100 likeliest labels of a row.
        """
        encoded = self._encoded(x)
        if self.has_sets:
            decided = best.best(self, encoded, 1).decided
            assert isinstance(decided, SparseLabels)
            return sparse.to_scipy(decided).astype(np.int32)
        codes = decide(self.task, outputs(self, encoded).p, self.thresholds)
        return codes if self.task == "multilabel" else self.classes[codes]

    def _encoded(self, x: Any) -> Any:
        """Inputs of the network; what is odd about the rows is one Python warning a call."""
        found = dataset.encode_frame(self.encoder, x)
        said = found.warnings
        if isinstance(self.encoder, Ready):
            said = (*said, *describe(self.encoder, found.unseen, len(found.x)))
        if said:
            warnings.warn("; ".join(said), DataWarning, stacklevel=3)
        return found.x


def outputs(model: Model, x: Any, *, poll: Callable[[], None] = lambda: None) -> Outputs:
    """What the model says of encoded rows, as the metrics take it.

    Args:
        x: inputs of the network: (n, d), or `SparseRows`.
        poll: called before each block of rows; what it raises ends the prediction.
    """
    return best.outputs(model, best.logits(model, x, poll))


def _in_parts(model: Model, x: Any, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `of` makes of the logits of encoded rows; few rows at a time where the head keeps none.

    Args:
        of: (m, K) float32 -> (m, K).
    """
    if not model.keeps_no_logits:
        return of(best.logits(model, x))
    n, K = len(x), len(model.schema["classes"])
    if n * K > _MOST:
        raise UserError(
            f"{n:,} rows have {n * K:,} probabilities of {K:,} labels; top_k(x, k) gives the "
            f"likeliest labels alone, and predict_proba takes up to {_MOST // K:,} rows at once"
        )
    found = np.empty((n, K))
    for start in range(0, n, SMALL_BLOCK):
        part = best.part(x, start, start + SMALL_BLOCK)
        found[start : start + SMALL_BLOCK] = of(best.logits(model, part))
    return found


def two_columns(task: str, p: np.ndarray) -> np.ndarray:
    """One column a class: binary probabilities (n,) of the positive class become (n, 2).

    >>> two_columns("binary", np.array([0.25])).tolist()
    [[0.75, 0.25]]
    """
    return np.stack([1 - p, p], axis=1) if task == "binary" else p
