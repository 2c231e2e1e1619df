"""Probabilities and targets that metrics refuse, and the rounding that they let pass."""

import numpy as np
import pytest

from jaxnet.errors import DataError
from jaxnet.training.metrics import final_metrics


@pytest.mark.parametrize(
    ("task", "p", "y", "text"),
    [
        ("ranking", [0.1], [0], "task 'ranking': known are binary, multiclass, multilabel"),
        ("binary", [[0.1, 0.9]], [1], "task binary: expected probabilities and targets of shapes "
         "(n,) and (n,), given (1, 2) and (1,)"),
        ("binary", [0.1, 0.9], [1], "given (2,) and (1,)"),
        ("multiclass", [[0.1, 0.9]], [[0, 1]], "(n, K) and (n,), given (1, 2) and (1, 2)"),
        ("multilabel", [[0.1, 0.9]], [[0]], "(n, K) and (n, K), given (1, 2) and (1, 1)"),
        ("binary", [0.1, np.nan], [0, 1], "must lie in [0, 1]; row 1 (counted from 0): nan"),
        ("binary", [0.1, 1.1], [0, 1], "must lie in [0, 1]; row 1 (counted from 0): 1.1"),
        ("multilabel", [[0.1, -1]], [[0, 1]], "row 0 (counted from 0): [ 0.1 -1. ]"),
        ("multiclass", [[0.5, 0.5], [0.1, 0.8]], [0, 1], "row 1 add up to 0.9, not to 1"),
        ("multiclass", [[0.5, 0.5]], [2], "targets must be whole numbers below 2; row 0: 2"),
        ("multiclass", [[0.5, 0.5]], [-1], "below 2; row 0: -1"),
        ("binary", [0.5, 0.5], [0, 0.5], "below 2; row 1: 0.5"),
        ("binary", [0.5, 0.5], [0, np.nan], "below 2; row 1: nan"),
    ],
)  # fmt: skip
def test_calls_that_make_no_sense(task, p, y, text):
    with pytest.raises(DataError) as caught:
        final_metrics(task, p, np.array(y))
    assert text in str(caught.value)


def test_rounding_of_float32_is_no_error():
    found = final_metrics("binary", np.float32([1.0000001, -1e-9]), [1, 0])
    assert (found["log_loss"], found["brier"]) == (0, 0)
