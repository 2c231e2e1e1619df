"""Gradient check: closed form, its forward-mode twin, autodiff and finite differences side by side.

`run()` checks every registered loss, `check(loss)` one of your own. Every gradient is compared with
the closed form in float64 at the same rounded inputs, which finite differences of the float64 loss
confirm, so that a delta that is not the derivative of its value is found however exact it is.

The error of an entry is |got - expected| / (sum of the absolute values of its terms), where that
sum is above 1e-30: where terms of unlike sign cancel (smoothed targets, say) no formula can keep
more digits; elsewhere it is the relative error. Limits: 2e-6 in float32, 5e-6 behind softmax and
gelu, 4e-3 in bfloat16, for |z| up to 80. Gradients of a whole network are compared tensor by
tensor.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnet.errors import UserError, did_you_mean
from jaxnet.nn.gradcheck.checks import DTYPES, Asked, cases
from jaxnet.nn.gradcheck.points import Pair, Range
from jaxnet.nn.gradcheck.report import Case, GradientError, Report, explain
from jaxnet.nn.losses import LOSSES, Loss

__all__ = ["Case", "GradientError", "Report", "check", "explain", "run"]

# Output activations of a loss that has a choice (squared error): those that classifiers use.
USUAL_OUTPUTS = ("identity", "sigmoid", "tanh", "softmax")
HIDDEN = ("relu", "gelu", "tanh", "silu", "elu", "softplus", "selu", "leaky_relu", "sigmoid")
WORKERS = 2  # compiling takes the time, and does not hold Python's lock


def run(names: Iterable[str] | str | None = None, *, networks: bool = True) -> Report:
    """Check registered losses: all of them, or those named.

    Each stands behind its output activations, in float32 and bfloat16, with hard, soft, smoothed
    and weighted targets: those that classifiers use, of a loss that has a choice (`check` takes
    the others). Then each behind a network, whose hidden activation changes from loss to loss; of
    a loss with a choice of output activations one is taken.

    Args:
        names: of `losses.LOSSES`; None: all.
        networks: whether to check whole networks too.

    Raises:
        UserError: a name that no registered loss has.

    >>> report = run("squared_error", networks=False)  # doctest: +SKIP
    >>> report.ok  # doctest: +SKIP
    True
    """
    chosen = list(LOSSES) if names is None else [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in LOSSES:
            raise UserError(f"no loss is called {name!r}{did_you_mean(name, LOSSES)}")
    asked = []
    for name, hidden in zip(chosen, cycle(HIDDEN), strict=False):
        *others, last = _pairs(LOSSES[name])
        asked += [Asked(pair, Range(), {}, (), DTYPES, None) for pair in others]
        asked.append(Asked(last, Range(), {}, (hidden,) if networks else (), DTYPES, None))
    return _report(asked)


def check(
    loss: Loss,
    *,
    activation: str | None = None,
    reach: float = 80.0,
    limit: float | None = None,
    hidden: Iterable[str] = ("relu", "gelu"),
    dtypes: Iterable[Any] = (jnp.float32, jnp.bfloat16),
    **options: Any,
) -> Report:
    """Check one loss, registered or not; return the report if all is well.

    Args:
        loss: as `losses.make` returns it.
        activation: output activation, of a loss that has a choice; None: the usual ones.
        reach: largest |z|; lower it for a loss that is not finite at 80.
        limit: of the relative error; None: 2e-6 (softmax and gelu 5e-6), in bfloat16 4e-3.
        hidden: activations of the hidden layers of the networks; () for none.
        dtypes: of the logits.
        options: of the loss, such as gamma=0.5.

    Raises:
        GradientError: a gradient is wrong, or less accurate than the limit; the message says
            which, where and by how much.

    >>> from jaxnet.nn import losses
    >>> half_square = losses.make(
    ...     "half_square", layout=losses.ELEMENTWISE,
    ...     value=lambda z, y: jnp.sum((z - y) ** 2, axis=-1) / 2,
    ...     delta=lambda z, y: z - y)
    >>> check(half_square, hidden=(), dtypes=[jnp.float32]).ok
    True
    """
    words = tuple(sorted((k, v) for k, v in options.items() if isinstance(v, str)))
    numbers = {k: np.asarray(v, np.float32) for k, v in options.items() if not isinstance(v, str)}
    pairs = [Pair(loss, activation, words)] if activation else _pairs(loss, words)
    types = tuple(np.dtype(dtype) for dtype in dtypes)
    extent = Range(reach=reach)
    for pair in pairs:
        loss.output_activation(activation=pair.activation)
    return _report(
        Asked(pair, extent, numbers, tuple(hidden), types, limit) for pair in pairs
    ).require()


def _pairs(loss: Loss, words: tuple[tuple[str, str], ...] = ()) -> list[Pair]:
    if isinstance(loss.activation, str):
        return [Pair(loss, loss.activation, words)]
    usual = [name for name in loss.activation if name in USUAL_OUTPUTS] or loss.activation
    return [Pair(loss, name, words) for name in usual]


def _report(asked: Iterable[Asked]) -> Report:
    with ThreadPoolExecutor(WORKERS) as pool:
        return Report(tuple(case for found in pool.map(cases, asked) for case in found))
