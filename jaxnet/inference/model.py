"""A trained model in memory: rows to probabilities and decisions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.data import dataset
from jaxnet.data.new_rows import Encoded, Ready, describe
from jaxnet.errors import DataWarning
from jaxnet.nn.embedding import Network
from jaxnet.training import evaluate
from jaxnet.training.epoch import network_options
from jaxnet.training.metrics import decide


class Model(NamedTuple):
    """A trained model: parameters, what they mean, and how rows are encoded.

    Rows are a data frame (pandas, polars, an Arrow table, a dict of columns) or an array (n, d).
    Columns with names are looked up by them: their order is free, a missing one is an error, one
    that training did not have is a warning. An array has its columns in the order of training.

    Attributes:
        params: of the network.
        description: task, sizes, activations, temperature, thresholds, as in model/model.json.
        schema: features, encoding and classes, as in schema.json.
        encoder: the schema made ready.
    """

    params: Network
    description: dict[str, Any]
    schema: dict[str, Any]
    encoder: Ready

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.description["sizes"]))
        return f"Model({self.task}, {sizes}, classes {self.schema['class_names']})"

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

    def predict_proba(self, x: Any) -> Float[np.ndarray, "n k"]:
        """Calibrated probabilities of each row of x, columns in the order of `classes`.

        Binary: (n, 2), the positive class second. Multiclass: (n, K), rows sum to 1.
        Multi-label: (n, K), one probability a label. A row's result depends on that row alone.

        Raises:
            DataError: a column is missing or holds words where training had numbers; an array of
                another width; values that are infinite.
        """
        return two_columns(self.task, outputs(self, self._encoded(x)))

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row as it was written in the data; multi-label: (n, K) of 0 and 1.

        Decided by the run's own thresholds; raises as `predict_proba`.
        """
        codes = decide(self.task, outputs(self, self._encoded(x)), self.thresholds)
        return codes if self.task == "multilabel" else self.classes[codes]

    def _encoded(self, x: Any) -> np.ndarray:
        """Inputs of the network; what is odd about the rows is one Python warning a call."""
        found: Encoded = dataset.encode_frame(self.encoder, x)
        said = (*found.warnings, *describe(self.encoder, found.unseen, len(found.x)))
        if said:
            warnings.warn("; ".join(said), DataWarning, stacklevel=3)
        return found.x


def outputs(
    model: Model, x: Float[np.ndarray, "n d"], *, poll: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Probabilities of encoded rows as the metrics take them: binary (n,), else (n, K).

    Args:
        x: inputs of the network.
        poll: called before each block of rows; what it raises ends the prediction.
    """
    said = model.description
    network = network_options(said["activation"], said["parametrisation"], said["precision"])
    p = evaluate.predict(
        model.params,
        x,
        network=network,
        task_name=model.task,
        activation=said["output_activation"],
        temperature=float(said.get("temperature", 1.0)),
        poll=poll,
    )
    return p[:, 0] if model.task == "binary" else p


def two_columns(task: str, p: np.ndarray) -> np.ndarray:
    """One column a class: binary probabilities (n,) of the positive class become (n, 2).

    >>> two_columns("binary", np.array([0.25])).tolist()
    [[0.75, 0.25]]
    """
    return np.stack([1 - p, p], axis=1) if task == "binary" else p
