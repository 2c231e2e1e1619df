"""Using a finished run: load it and predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.data import dataset
from jaxnet.errors import RunDirectoryError
from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.outputs import model_file, records, run_directory
from jaxnet.training import evaluate
from jaxnet.training.epoch import network_options
from jaxnet.training.metrics import decide


class Model(NamedTuple):
    """A trained model: parameters, what they mean, and how rows are encoded.

    Attributes:
        params: of the network.
        description: task, sizes, activations, as in model/model.json.
        schema: features, encoding and classes, as in schema.json.
    """

    params: Network
    description: dict[str, Any]
    schema: dict[str, Any]

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.description["sizes"]))
        return f"Model({self.description['task']}, {sizes}, classes {self.schema['class_names']})"

    @property
    def classes(self) -> np.ndarray:
        """The classes in the order of `predict_proba`'s columns, as they were in the data."""
        return np.asarray(self.schema["classes"])

    def predict_proba(self, x: Any) -> Float[np.ndarray, "n k"]:
        """Probabilities of each row of x (n, d), columns in the order of training.

        Binary: (n, 2), the positive class second. Multiclass: (n, K), rows sum to 1.
        Multi-label: (n, K), one probability a label.

        Raises:
            DataError: x has other columns, or values that are missing or infinite.
        """
        p = self._outputs(x)
        if self.description["task"] == "binary":
            return np.concatenate([1 - p, p], axis=1)
        return p

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row as it was written in the data; multi-label: (n, K) of 0 and 1."""
        p = self._outputs(x)
        task = self.description["task"]
        codes = decide(task, p[:, 0] if task == "binary" else p)
        return codes if task == "multilabel" else self.classes[codes]

    def _outputs(self, x: Any) -> Float[np.ndarray, "n outputs"]:
        encoded = dataset.encode(self.schema, x)
        return evaluate.predict(
            self.params,
            encoded,
            network=network_options(
                self.description["activation"],
                self.description["parametrisation"],
                self.description["precision"],
            ),
            task_name=self.description["task"],
            activation=self.description["output_activation"],
        )


def load(directory: str | Path) -> Model:
    """The model of a finished run.

    Args:
        directory: a run directory, as `jaxnet.train` and `jaxnet train` leave it.

    Raises:
        RunDirectoryError: it is no run, the run did not finish, or a file is damaged.
    """
    run = run_directory.open_existing(directory)
    if not (run.model / model_file.DESCRIPTION).is_file():
        state = records.read_json(run.status).get("state")
        raise RunDirectoryError(f"{run.path}: holds no model, its run is {state!r}; train again")
    saved = model_file.load(run.model)
    params = embedding.from_named(saved.arrays)
    return Model(params, saved.description, records.read_json(run.schema))
