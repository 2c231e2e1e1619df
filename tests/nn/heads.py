"""The rows of the tests of linear heads: each head with kinds of targets and options."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet.nn import linear_heads
from jaxnet.nn.linear_heads import Head, Positives
from jaxnet.nn.precision import wide_type

H = 5


class Case(NamedTuple):
    """A head, how its targets are given, and options that depend on the number of labels."""

    name: str
    head: Head
    kind: str = "labels"
    smoothed: bool = False
    weighted: bool = False
    words: tuple[tuple[str, str], ...] = ()

    def options(self, K: int) -> dict[str, Any]:
        """Options for K labels."""
        found: dict[str, Any] = dict(self.words)
        if self.smoothed:
            found["label_smoothing"] = 0.1
        if self.weighted:
            found["class_weight"] = jnp.linspace(0.5, 2, K, dtype=jnp.float32)
            if self.head is linear_heads.multilabel:
                found["pos_weight"] = jnp.linspace(3, 0.5, K, dtype=jnp.float32)
        return found


class Drawn(NamedTuple):
    """Arguments of a head: (x, W, b, weights), cotangents, targets, and the dense targets."""

    at: tuple[Any, ...]
    g: Any
    targets: Any
    dense: Any


CASES = (
    Case("multilabel-sparse", linear_heads.multilabel, "sparse"),
    Case("multilabel-dense", linear_heads.multilabel, "dense", words=(("labels", "mean"),)),
    Case("multilabel-soft-options", linear_heads.multilabel, "soft", True, True),
    Case("multilabel-many-options", linear_heads.multilabel, "many", True, True),
    Case("categorical", linear_heads.categorical),
    Case("categorical-weighted", linear_heads.categorical, weighted=True),
    Case("categorical-options", linear_heads.categorical, smoothed=True, weighted=True),
)
NARROW = (CASES[0], CASES[2], CASES[4], CASES[6])  # both heads, with options and without
BARE = tuple(case for case in CASES if not case.smoothed and not case.weighted)


def spread(indices: np.ndarray, K: int) -> np.ndarray:
    """Dense targets of sparse positives, one at a time."""
    dense = np.zeros((len(indices), K), np.int32)
    for row, labels in enumerate(indices):
        for label in labels[labels >= 0]:
            dense[row, label] = 1
    return dense


def draw_targets(case: Case, m: int, K: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """(targets as the head takes them, as its dense loss takes them)."""
    if case.kind == "labels":
        labels = jnp.asarray(rng.integers(0, K, m), jnp.int32)
        return labels, labels
    if case.kind == "dense":
        dense = jnp.asarray(rng.integers(0, 2, (m, K)), jnp.int32)
        return dense, dense
    if case.kind == "soft":
        soft = jnp.asarray(rng.uniform(size=(m, K)), jnp.float32)
        return soft, soft
    # With duplicates and with places left empty; many of them are scattered, few are compared.
    indices = rng.integers(-1, K, (m, 4 if case.kind == "sparse" else 40)).astype(np.int32)
    return Positives(jnp.asarray(indices)), jnp.asarray(spread(indices, K))


def draw(case: Case, m: int, K: int, scale: float = 1.0, dtype: Any = np.float32) -> Drawn:
    """Arguments; logits have a deviation of about `scale`."""
    rng = np.random.default_rng(m * 1000 + K)
    x, W = rng.normal(size=(m, H)), rng.normal(size=(K, H)) * scale / H**0.5
    at = (x, W, rng.normal(size=K) * scale / 2)
    arrays = tuple(jnp.asarray(array, dtype) for array in at)
    weights = jnp.asarray(rng.uniform(0.5, 2, m), wide_type(dtype))
    g = jnp.asarray(rng.normal(size=m) * 2 + 0.1, wide_type(dtype))
    return Drawn((*arrays, weights), g, *draw_targets(case, m, K, rng))


def name_of(case: Case) -> str:
    """For `ids=` of pytest."""
    return case.name
