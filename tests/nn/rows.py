"""The rows of the conformance suite: every registered loss, plain and with each of its options.

A new loss is one registration: its bare row is here without a word. Options of its own take a line
in `VARIANTS`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn.losses import LOSSES, Loss
from tests.tiers import usual

M, K = 6, 3
UNOPTIMISED = {"xla_backend_optimization_level": 0}  # of programs that run once
same = np.testing.assert_array_equal


def close(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal, relative to the largest entry."""
    expected = np.asarray(expected)
    size = max(np.abs(expected).max(initial=0), 1e-3)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=tolerance * size)


class Row(NamedTuple):
    """A loss with options, and how to draw arguments for it."""

    name: str
    loss: Loss
    options: dict[str, Any]
    soft: bool

    @property
    def words(self) -> dict[str, str]:
        """Options that are text."""
        return {k: v for k, v in self.options.items() if isinstance(v, str)}

    @property
    def numbers(self) -> dict[str, Any]:
        """Options that are numbers, as float32 arrays."""
        return {
            k: jnp.asarray(v, np.float32) for k, v in self.options.items() if not isinstance(v, str)
        }

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def draw(self, seed: int = 0, m: int = M, dtype: Any = np.float32) -> tuple[Any, Any]:
        """(logits, targets) of m rows."""
        rng = np.random.default_rng(seed)
        layout = self.loss.layout.name
        coupled = layout == "multiclass" or self.options.get("activation") == "softmax"
        z = rng.normal(size=(m,) if layout == "binary" else (m, K)) * 3
        if coupled:
            y = rng.dirichlet(np.ones(K), m) if self.soft else rng.integers(0, K, m)
        else:
            y = rng.uniform(size=z.shape) if self.soft else rng.integers(0, 2, z.shape)
        return jnp.asarray(z, dtype), jnp.asarray(y, dtype if self.soft else np.int32)

    def cotangents(self, m: int = M) -> Any:
        """One factor a row, none of them 1."""
        return jnp.asarray(np.random.default_rng(9).normal(size=m) * 2 + 0.1, np.float32)


CLASS_WEIGHT = (0.5, 2.0, 1.5)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "binary_cross_entropy": [
        {"label_smoothing": 0.1, "pos_weight": 2.5},
        {"class_weight": CLASS_WEIGHT[:2]},
    ],
    "multilabel_cross_entropy": [
        {"label_smoothing": 0.1, "pos_weight": (2.5, 0.5, 1.5)},
        {"class_weight": CLASS_WEIGHT, "labels": "mean"},
    ],
    "categorical_cross_entropy": [{"label_smoothing": 0.1}, {"class_weight": CLASS_WEIGHT}],
    "focal": [{"gamma": 0.5, "label_smoothing": 0.1, "pos_weight": 2.5}, {"gamma": 0.0}],
    "asymmetric": [
        {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.2, "class_weight": CLASS_WEIGHT},
        {"clip": 0.0, "label_smoothing": 0.1},
    ],
    "squared_error": [
        {"activation": "sigmoid", "label_smoothing": 0.1},
        {"activation": "tanh", "class_weight": CLASS_WEIGHT},
        {"activation": "softmax", "class_weight": CLASS_WEIGHT},
        {"activation": "gelu"},
    ],
}


def _row(name: str, options: dict[str, Any], soft: bool) -> Row:
    words = ",".join(f"{k}={v}" for k, v in options.items()).replace(" ", "")
    arrays = {
        k: np.asarray(v, np.float32) if isinstance(v, tuple) else v for k, v in options.items()
    }
    kind = "soft" if soft else "hard"
    return Row(f"{name}-{words or 'bare'}-{kind}", LOSSES[name], arrays, soft)


def _rows() -> list[Row]:
    bare = [_row(name, {}, soft) for name in LOSSES for soft in (False, True)]
    # Options with hard and soft targets in turn.
    varied = [
        _row(name, options, soft=bool(index % 2))
        for name in LOSSES
        for index, options in enumerate(VARIANTS.get(name, []))
    ]
    return bare + varied


ROWS = _rows()
BARE = [row for row in ROWS if not row.options]
SOFT = [row for row in ROWS if row.soft]
# What the usual run of the tests has: each loss bare, and with options behind hard or soft targets.
USUAL = [
    row
    for row in ROWS
    if not (row.options or row.soft)
    or row.name
    in (
        "categorical_cross_entropy-bare-soft",
        "multilabel_cross_entropy-label_smoothing=0.1,pos_weight=(2.5,0.5,1.5)-hard",
        "categorical_cross_entropy-label_smoothing=0.1-hard",
        "asymmetric-clip=0.0,label_smoothing=0.1-soft",
        "squared_error-activation=tanh,class_weight=(0.5,2.0,1.5)-soft",
        "squared_error-activation=softmax,class_weight=(0.5,2.0,1.5)-hard",
    )
]


def each(rows: list[Row]) -> pytest.MarkDecorator:
    """A test of each of the rows; those that are not among `USUAL` in the thorough run only."""
    return pytest.mark.parametrize("row", usual(rows, *USUAL), ids=name_of)


def name_of(row: Row) -> str:
    """For `ids=` of pytest."""
    return row.name
