"""Temperature: one number that all logits are divided by, so that probabilities mean what they say.

Guo et al., "On calibration of modern neural networks", 2017. Order and decisions at 0.5 or by the
most likely class stay as they are. On the host, in float64; knows no jax.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxnet.errors import DataError
from jaxnet.training.curves import reliability
from jaxnet.training.metrics.check import checked
from jaxnet.training.metrics.probability import binned, brier, calibration_error, claims, log_loss

Array = np.ndarray[Any, np.dtype[Any]]

ACTIVATIONS = {"binary": "sigmoid", "multiclass": "softmax", "multilabel": "sigmoid"}
LOWEST, HIGHEST = 0.05, 20.0  # temperatures
# Of ln T before any row is seen: within a factor of 1.8 of 1, nineteen times of twenty.
SPREAD = 0.3

_PAIRS = 1 << 16  # of row and class in one block: they stay in the cache
_STEPS = 100
_EXACT = 1e-10  # change of ln T


class Calibration(NamedTuple):
    """A temperature, and why it is not one that was fitted, or stands at a bound.

    Attributes:
        temperature: what logits are divided by; 1 where none was fitted.
        reason: empty for a fitted temperature that is the minimum.
        fitted: whether it was fitted.
    """

    temperature: float
    reason: str = ""
    fitted: bool = True


def fit_temperature(
    z: Any, y: Any, task: str, *, activation: str, weights: Any = None
) -> Calibration:
    """The temperature T that makes the rows likeliest: softmax(z / T), or sigmoid(z / T).

    With b = 1/T and d_k = z_k - z_y, y the class of the row, the log loss of a row is
        f(b)   = ln sum_k exp(b d_k), which is convex,
        f'(b)  = sum_k p_k d_k, p = softmax(b d),
        f''(b) = sum_k p_k d_k^2 - f'(b)^2.
    For a label, the classes are 0 and z. T has the least
        sum over rows of f(1/T)  +  (ln T)^2 / (2 0.3^2),
    found by Newton's steps in ln T, halving the bracket where they leave it, to 1e-10. T is the
    same for all labels, and kept within [0.05, 20].

    The second term says that a network is seldom off by more than a factor of two. From some
    hundred rows on it is not felt; of fifty rows that are all decided rightly, which alone would
    send T to 0, it makes a T that does no harm elsewhere (scripts/bench_defaults.py).

    z: logits, binary (n,) or (n, 1), else (n, K). y: as of `final_metrics`. weights: of rows, (n,);
    their ratios count. activation: of the outputs; behind another than the task's own they are no
    logits of probabilities.

    Not fitted, with a reason, where the rows are all of one class. A class without rows does no
    harm, T being shared. Raises DataError for z that is not finite.

    >>> z, y = np.array([4.0, 4.0, 4.0, -4.0] * 2000), np.array([1, 1, 0, 0] * 2000)
    >>> found = fit_temperature(z, y, "binary", activation="sigmoid")  # 3 of 4 are right
    >>> round(found.temperature, 1), round(float(4 / np.log(3)), 1)
    (3.6, 3.6)
    """
    z, y = _checked(task, z, y)
    reason = _unfit(task, y, activation)
    if reason:
        return Calibration(1.0, reason, fitted=False)
    margins = _margins(task, z, y)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    w = w * (len(w) / w.sum())  # so that their ratios alone count
    if task == "multilabel":
        w = np.repeat(w, z.shape[1])

    def slope(u: float) -> tuple[float, float]:
        """Derivatives of what is minimised, in u = ln b."""
        first, second = _slope(margins, w, np.exp(u))
        first, second = np.exp(u) * first, np.exp(2 * u) * second
        return first + u / SPREAD**2, first + second + 1 / SPREAD**2

    low, high = -np.log(HIGHEST), -np.log(LOWEST)
    found = _root(slope, low, high)
    ends = {low: (HIGHEST, "a higher"), high: (LOWEST, "a lower")}
    if found in ends:
        bound, other = ends[found]
        return Calibration(bound, f"at its bound; {other} one has less log loss")
    return Calibration(float(np.exp(-found)))


def soften(z: Any, task: str, temperature: float = 1.0) -> Array:
    """softmax(z / T), or sigmoid(z / T) for binary and multi-label, in float64.

    >>> soften([[2.0], [-2.0]], "binary", 2.0)
    array([[0.73105858], [0.26894142]])
    """
    u = np.asarray(z, np.float64) / temperature
    if ACTIVATIONS[task] == "softmax":
        e = np.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-u))


def before_after(task: str, z: Any, y: Any, temperature: float) -> dict[str, dict[str, Any]]:
    """What `quality` says of the probabilities before and after; z, y as of `fit_temperature`."""
    z, y = _checked(task, z, y)
    if task == "binary":
        z = z[:, 0]
    return {
        "before": quality(task, soften(z, task), y, z),
        "after": quality(task, soften(z, task, temperature), y, z / temperature),
    }


def quality(task: str, probabilities: Any, targets: Any, logits: Any = None) -> dict[str, Any]:
    """log_loss, brier and ece of probabilities, None without rows, and their reliability diagram.

    logits: as of `final_metrics`.

    >>> quality("binary", [0.25, 0.25], [0, 1])["ece"]
    0.25
    """
    p, y = checked(task, probabilities, targets)
    bins = binned(*claims(task, p, y))
    numbers: dict[str, Any] = dict.fromkeys(("log_loss", "brier", "ece"))
    if len(y):
        error, loss = calibration_error(bins), log_loss(task, p, y, logits)
        numbers = {"log_loss": loss, "brier": brier(task, p, y), "ece": error}
    return {**numbers, "reliability": reliability(bins)}


def _checked(task: str, z: Any, y: Any) -> tuple[Array, Array]:
    """Finite logits (n, outputs) in float64, and targets."""
    z = np.asarray(z, np.float64)
    z = z[:, None] if z.ndim == 1 else z
    if not np.isfinite(z).all():
        row = int(np.argwhere(~np.isfinite(z))[0][0])
        raise DataError(f"logits must be finite; row {row} (counted from 0): {z[row]}")
    _, y = checked(task, soften(z[:, 0] if task == "binary" else z, task), y)
    return z, y


def _unfit(task: str, y: Array, activation: str) -> str:
    """Why no temperature can be fitted to such rows or outputs."""
    if activation != ACTIVATIONS[task]:
        return f"the outputs are behind {activation}, not {ACTIVATIONS[task]}: they are no logits"
    if not len(y):
        return "no rows were held out"
    if np.all(y == y.flat[0]):
        return "all rows are of one class" if task != "multilabel" else "all labels are alike"
    return ""


def _margins(task: str, z: Array, y: Array) -> Array:
    """d: multiclass (n, K); else (n,) or (n K,), of the class that is not true."""
    if task == "multiclass":
        return z - np.take_along_axis(z, y[:, None], axis=1)
    return np.where(y.reshape(z.shape) == 1, -z, z).ravel()


def _slope(d: Array, w: Array, b: float) -> tuple[float, float]:
    """Weighted sums of f' and f'' over the rows, block by block."""
    step = _PAIRS if d.ndim == 1 else max(1, _PAIRS // d.shape[1])
    of_block = _of_labels if d.ndim == 1 else _of_classes
    first = second = 0.0
    for start in range(0, len(d), step):
        slope, bend = of_block(d[start : start + step], b)
        first += float(w[start : start + step] @ slope)
        second += float(w[start : start + step] @ bend)
    return first, second


def _of_labels(d: Array, b: float) -> tuple[Array, Array]:
    with np.errstate(over="ignore"):
        p = 1.0 / (1.0 + np.exp(-b * d))
    return p * d, p * (1.0 - p) * d * d


def _of_classes(d: Array, b: float) -> tuple[Array, Array]:
    u = d - d.max(axis=1, keepdims=True)
    p = np.exp(b * u)
    total = p.sum(axis=1)
    slope = np.einsum("nk,nk->n", p, d) / total
    # About the greatest d and not about 0: less is lost where the two are far apart.
    mean = np.einsum("nk,nk->n", p, u) / total
    return slope, np.einsum("nk,nk,nk->n", p, u, u) / total - mean**2


def _root(slope: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """Where a function that is below 0 first and above 0 last is 0, or the bound it stops at."""
    if slope(low)[0] >= 0:
        return low
    if slope(high)[0] <= 0:
        return high
    low_end, high_end, at = low, high, 0.0
    for _ in range(_STEPS):
        value, bend = slope(at)
        low_end, high_end = (at, high_end) if value < 0 else (low_end, at)
        new = at - value / bend if bend > 0 else low_end
        if not low_end < new < high_end:
            new = (low_end + high_end) / 2
        if abs(new - at) <= _EXACT:
            return new
        at = new
    return at
