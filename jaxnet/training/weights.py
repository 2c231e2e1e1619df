"""What classes, labels and rows count: class weights, positive weights, the bias of the priors.

All of them follow from the numbers of training rows, on the host. They are tuples, so that they can
stand among the options of a `Program`.
"""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from jaxnet.errors import UserError, did_you_mean

Weights: TypeAlias = tuple[float, ...]
Counts: TypeAlias = Sequence[float] | np.ndarray

# Beyond it a label with one positive row in a thousand would drown all others.
LARGEST_POS_WEIGHT = 100.0


def target_counts(
    task_name: str, y: np.ndarray, outputs: int, weights: np.ndarray | None = None
) -> Float[np.ndarray, " k"]:
    """Rows of each class, or positive rows of each label, by their weights; float64.

    Args:
        y: labels (n,) of classes, binary ones included, or (n, K) of 0 and 1.
        outputs: number of classes (binary: 2) or labels.
        weights: of the rows, (n,); None: 1 each.

    >>> target_counts("multiclass", np.array([0, 2, 2]), 3).tolist()
    [1.0, 0.0, 2.0]
    """
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if task_name == "multilabel":
        return w @ np.asarray(y, np.float64).reshape(len(y), outputs)
    return np.bincount(np.asarray(y).reshape(-1).astype(np.int64), w, minlength=outputs)


def class_weights(
    spec: str | Mapping[Any, float] | None, counts: Counts, names: Sequence[Any]
) -> Weights | None:
    """The option `class_weight` of a loss: "balanced", a number for some of the classes, or None.

    "balanced" is n / (K n_k), as in scikit-learn; a class without rows gets 1.

    Args:
        spec: what the config says; classes that a mapping leaves out get 1.
        counts: rows of each class, or positive rows of each label.
        names: of the classes or labels, in the same order.

    Raises:
        UserError: a name that is no class, or a number that is not finite and >= 0.

    >>> class_weights("balanced", [90, 10], ["no", "yes"])
    (0.5555555555555556, 5.0)
    >>> class_weights({"yes": 3}, [90, 10], ["no", "yes"])
    (1.0, 3.0)
    """
    if spec is None:
        return None
    if isinstance(spec, Mapping):
        return _by_name("class_weight", spec, names)
    _check_balanced("class_weight", spec)
    n = np.asarray(counts, np.float64)
    return tuple(np.where(n > 0, n.sum() / (len(n) * np.where(n > 0, n, 1)), 1.0).tolist())


def pos_weights(
    spec: str | float | Mapping[Any, float] | None,
    positives: Counts,
    rows: float,
    names: Sequence[Any],
) -> Weights | None:
    """The option `pos_weight` of a loss: "balanced", one number, a number for some labels, or None.

    "balanced" is negatives / positives of each label, at most 100 and at least 1 / 100; a label
    without positive rows, or without negative ones, gets 1.

    Args:
        spec: what the config says; labels that a mapping leaves out get 1.
        positives: positive rows of each label; binary: of the positive class, one number.
        rows: number of rows.
        names: of the labels; binary: of the positive class.

    Raises:
        UserError: a name that is no label, or a number that is not finite and >= 0.

    >>> pos_weights("balanced", [10, 50, 0], 100, ["a", "b", "c"])
    (9.0, 1.0, 1.0)
    """
    if spec is None:
        return None
    if isinstance(spec, Mapping):
        return _by_name("pos_weight", spec, names)
    if not isinstance(spec, str):
        return (_checked("pos_weight", spec),) * len(names)
    _check_balanced("pos_weight", spec)
    yes = np.asarray(positives, np.float64)
    no = rows - yes
    both = (yes > 0) & (no > 0)
    ratio = np.where(both, no, 1) / np.where(both, yes, 1)
    return tuple(np.clip(ratio, 1 / LARGEST_POS_WEIGHT, LARGEST_POS_WEIGHT).tolist())


def _by_name(option: str, spec: Mapping[Any, float], names: Sequence[Any]) -> Weights:
    """The numbers of a mapping in the order of `names`, 1 where it has none."""
    places = {str(name): place for place, name in enumerate(names)}
    found = [1.0] * len(names)
    for name, number in spec.items():
        if str(name) not in places:
            raise UserError(
                f"loss.{option}: no class or label is called {str(name)!r}"
                f"{did_you_mean(str(name), places)}"
            )
        found[places[str(name)]] = _checked(f"{option}.{name}", number)
    return tuple(found)


def _check_balanced(option: str, spec: str) -> None:
    if spec != "balanced":
        raise UserError(f"loss.{option}: {spec!r} is neither 'balanced' nor a mapping of names")


def _checked(option: str, number: Any) -> float:
    if not (isinstance(number, Real) and np.isfinite(float(number)) and float(number) >= 0):
        raise UserError(f"loss.{option} takes a number >= 0, not {number!r}")
    return float(number)


def prior_bias(
    activation: str,
    task_name: str,
    counts: Counts,
    rows: float,
    *,
    class_weight: Sequence[float] | None = None,
    pos_weight: Sequence[float] | None = None,
    average: float = 1.0,
) -> Float[np.ndarray, " n_L"] | None:
    """Bias of the last layer at which the outputs are the shares of the training rows.

    Softmax: b_k = log pi_k, pi_k = w_k n_k / sum_j w_j n_j.
    Sigmoid: b_k = log(p_k w1 n1_k) - log(w0 n0_k), the logit of the weighted share of positives.

    With last weights of 0 the first mean loss is then the entropy of the shares, and nothing is
    spent on learning them. A class without rows, or a label without positive or without negative
    ones, is taken for one of half a row: 0 has no logit.

    Args:
        activation: of the outputs; other than softmax and sigmoid has no such bias: None.
        counts: rows of each class (binary: two), or positive rows of each label; may be weighted.
        rows: their number, or the sum of their weights.
        class_weight, pos_weight: of the loss.
        average: what a row weighs on average.

    >>> prior_bias("softmax", "multiclass", [2, 1, 1], 4).round(4).tolist()
    [-0.6931, -1.3863, -1.3863]
    >>> prior_bias("sigmoid", "binary", [3, 1], 4).round(4).tolist()
    [-1.0986]
    """
    n, half = np.asarray(counts, np.float64), average / 2

    def present(weighted: np.ndarray) -> np.ndarray:
        # A difference of sums of weights is rarely 0 to the last bit.
        return np.where(weighted > 1e-9 * rows, weighted, half)

    if activation == "softmax":
        shares = present(n * _row(class_weight, len(n)))
        return np.log(shares / shares.sum()).astype(np.float32)
    if activation != "sigmoid":
        return None
    binary = task_name == "binary"
    w = _row(class_weight, 2) if binary else np.ones(2)  # of a label it weighs both answers alike
    yes = n[1:] if binary else n
    odds = present(w[1] * _row(pos_weight, len(yes)) * yes) / present(w[0] * (rows - yes))
    return np.log(odds).astype(np.float32)


def _row(weights: Sequence[float] | None, size: int) -> np.ndarray:
    return np.ones(size) if weights is None else np.asarray(weights, np.float64)
