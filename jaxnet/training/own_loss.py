"""Whether the delta of a loss of the user's own is the derivative of its value.

Asked once, before the first update. It is no proof: `jaxnet.gradcheck.check` measures digits, and
here only what is plainly wrong is found: a factor, a sign, a derivative that was left out.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnet.errors import UserError
from jaxnet.nn.gradcheck.engines import UNOPTIMISED
from jaxnet.nn.gradcheck.points import Batch, Pair, arguments, widen
from jaxnet.nn.gradcheck.reference import differences
from jaxnet.nn.losses import Loss

ROWS, DIRECTIONS = 16, 6
ENTRIES = 2**14  # logits that are looked at: fewer rows where there are many outputs
LIMIT = 1e-3  # relative; a delta that only loses digits is far below it
SPREAD = 2.0  # of the logits: at those of a new network, often all 0, many a mistake is not seen
_RESOLVED = 1e-4  # relative doubt up to which finite differences are a witness
_SMALL = 1e-6  # of the largest slope: a mistake shows in the others


def rows_wanted(outputs: int) -> int:
    """How many of the first rows are looked at."""
    return max(2, min(ROWS, ENTRIES // outputs))


def check_delta(loss: Loss, options: Mapping[str, Any], y: np.ndarray, outputs: int) -> None:
    """Hold delta against finite differences in float64 and autodiff of the value.

    Logits are drawn about 0, of which training has none before it begins. Slopes are taken along
    one output at a time, or along directions of all of them where there are many. A slope is wrong
    where it is more than 1e-3 off what both witnesses say, as far as they say anything.

    Args:
        options: of the loss, as training has them.
        y: targets of the first rows, as the loss takes them.
        outputs: columns of the logits.

    Raises:
        UserError: names the row, both numbers, and what to type.

    >>> from jaxnet.nn import losses
    >>> twice = losses.make("twice", layout=losses.ELEMENTWISE, delta=lambda z, y: 2 * (z - y),
    ...                     value=lambda z, y: jnp.sum((z - y) ** 2, axis=-1) / 2)
    >>> check_delta(twice, {}, np.ones((3, 1)), 1)
    Traceback (most recent call last):
    ...
    jaxnet.errors.UserError: loss twice: ...
    """
    words = tuple(sorted((k, v) for k, v in options.items() if isinstance(v, str)))
    numbers = {k: np.asarray(v, np.float32) for k, v in options.items() if not isinstance(v, str)}
    pair = Pair(loss, loss.output_activation(**options), words)
    rng = np.random.default_rng(0)
    z = np.asarray(SPREAD * rng.normal(size=(len(y), outputs)), np.float32)
    along = np.zeros((outputs, *z.shape))
    along[range(outputs), :, range(outputs)] = 1.0
    if outputs > DIRECTIONS:
        along = rng.choice([-1.0, 1.0], (DIRECTIONS, *z.shape))
    batch = Batch(z, np.asarray(y), np.ones(len(y), np.float32), numbers)
    _check_shapes(pair, batch)
    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, _slopes(pair, *widen((batch, along))))
    said, by_autodiff, by_differences, doubt, size = (part.astype(np.float64) for part in found)
    seen = np.isfinite(doubt) & (doubt < _RESOLVED * np.maximum(size, np.abs(by_differences)))
    by_differences = np.where(seen, by_differences, np.nan)
    size = np.fmax(np.fmax(size, np.abs(by_differences)), np.abs(said))
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.fmin(abs(said - by_differences) / size, abs(said - by_autodiff) / size)
        told = np.isfinite(by_differences) | np.isfinite(by_autodiff)
        counts = told & (size > _SMALL * np.nanmax(np.where(np.isfinite(size), size, 0.0)))
    errors = np.where(told & ~np.isfinite(said), np.inf, np.where(counts, errors, 0.0))
    if not errors.max(initial=0.0) > LIMIT:
        return
    place = np.unravel_index(int(np.argmax(errors)), errors.shape)
    direction, row = int(place[0]), int(place[1])
    of = f"output {direction}" if outputs <= DIRECTIONS else "a direction of all outputs"
    witness = "finite differences of its value give" if seen[place] else "autodiff of it gives"
    value = by_differences[place] if seen[place] else by_autodiff[place]
    at = np.array2string(z[row], precision=4, separator=", ", threshold=6, edgeitems=2)
    target = np.array2string(batch.y[row], precision=4, separator=", ", threshold=6, edgeitems=2)
    off = "it is not finite" if not np.isfinite(said[place]) else f"off by {errors[place]:.1e}"
    raise UserError(
        f"loss {loss.name}: delta is not the derivative of the value. Along {of} at z = {at}, with "
        f"the target {target} of training row {row} (counted from 0), delta gives "
        f"{said[place]:.7g} and {witness} {value:.7g}: {off} (relative; limit {LIMIT:.0e}). "
        f"Nothing was trained. Every gradient of it in numbers: jaxnet.gradcheck.check(loss); to "
        f"train by autodiff of the value: loss.gradient=autodiff"
    )


def _check_shapes(pair: Pair, batch: Batch) -> None:
    """Raises UserError: value or delta gives another shape, or raises an error itself."""
    loss, (rows, outputs) = pair.loss, batch.z.shape
    at = f"at logits of shape ({rows}, {outputs}) and targets of shape {batch.y.shape}"
    options = arguments(pair, batch)
    wanted = {"value": (loss.plain, (rows,)), "delta": (loss.delta, (rows, outputs))}
    for name, (function, shape) in wanted.items():
        try:
            found = jax.eval_shape(partial(function, **options), batch.z, batch.y)
        except Exception as error:
            raise UserError(
                f"loss {loss.name}: {name} raises {type(error).__name__} {at}: {error}"
            ) from error
        if np.shape(found) != shape:
            raise UserError(
                f"loss {loss.name}: {name} gives the shape {np.shape(found)} {at}; it must be "
                f"{shape}: " + ("a number a row" if name == "value" else "a number a logit")
            )


@partial(jax.jit, static_argnums=0, compiler_options=UNOPTIMISED)
def _slopes(pair: Pair, batch: Batch, along: Array) -> tuple[Array, ...]:
    """Of each direction and row: the slope by delta, by autodiff and by finite differences with
    their doubt, and the size of the terms that the first is the sum of.
    """
    options = arguments(pair, batch)

    def values(z: Array) -> Array:
        return pair.loss.plain(z, batch.y, **options)

    delta = pair.loss.delta(batch.z, batch.y, **options)
    exact = jax.grad(lambda z: jnp.sum(values(z)))(batch.z)
    slope, doubt = differences(lambda step: values(batch.z + step), along)
    # An output that is not finite spoils the slopes along itself alone.
    terms = [jnp.where(along == 0, 0, g[None] * along) for g in (delta, exact)]
    by_delta, by_autodiff = (jnp.sum(each, axis=2) for each in terms)
    size = jnp.fmax(*(jnp.sum(jnp.abs(each), axis=2) for each in terms))
    return by_delta, by_autodiff, slope, doubt, size
