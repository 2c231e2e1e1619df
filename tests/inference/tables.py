"""Rows as the tests of this folder read them."""

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pandas

from jaxnet.errors import DataWarning
from jaxnet.inference import Model

P = ["p(<=50K)", "p(>50K)"]


def frame_of(path: Path) -> pandas.DataFrame:
    return pandas.read_csv(path, dtype={"key": str})


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def quiet(model: Model, x: object) -> np.ndarray:
    """Probabilities, whatever is odd about the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return model.predict_proba(x)
