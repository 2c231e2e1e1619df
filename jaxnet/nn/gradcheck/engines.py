"""The gradients to be compared, in the type of the logits."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxnet.nn.gradcheck.points import KINDS, Batch, Pair, Points, arguments, uniform
from jaxnet.nn.losses import mean, sum

Losses = Callable[..., Array]

# Most programs here run once: not worth the compiler's time. The closed form in float32 is compiled
# as a training step is: fused multiply-adds change its last bits, which bfloat16 does not see.
UNOPTIMISED = {"xla_backend_optimization_level": 0}


class Gradients(NamedTuple):
    """One gradient by several engines; None where an engine is not asked."""

    closed_form: Any
    forward_mode: Any
    autodiff: Any


def usual_losses(pair: Pair, z: Array, y: Array, **options: Any) -> Array:
    """The form that other libraries differentiate, in the type of the logits, as they would."""
    loss = pair.loss
    if loss.usual is None:
        return loss.plain(z, y, **options)
    rows = z[:, None] if z.ndim == 1 else z
    narrow = {k: v if isinstance(v, str) else jnp.asarray(v, z.dtype) for k, v in options.items()}
    return loss.usual(rows, loss.layout.read(rows, y), **narrow)


def _objective(pair: Pair, kind: str, losses: Losses, batch: Batch) -> Array:
    """sum_i g_i L_i; for weighted targets sum_i w_i L_i / sum_i w_i."""
    values = losses(batch.z, batch.y, **arguments(pair, batch))
    reduce = mean if kind == "weighted" else sum
    return reduce(values.astype(batch.g.dtype), batch.g)


def _gradient(pair: Pair, kind: str, losses: Losses, batch: Batch, of: str) -> Array:
    """d objective / d of, where `of` is a field of the batch: z, y or g."""

    def moved(x: Array) -> Array:
        return _objective(pair, kind, losses, batch._replace(**{of: cast(Any, x)}))

    return jax.grad(moved)(getattr(batch, of))


Work = tuple[str, str, Batch, str]


def work(points: Points) -> Iterator[Work]:
    """(scope, kind, batch, field of the batch) of every gradient that is measured."""
    for kind in KINDS:  # not the order of the dictionary: inside `jax.jit` that is another
        yield "logits", kind, points.kinds[kind], "z"
    yield "targets", "soft", points.one_label, "y"
    if points.few_rows is not None:
        yield "sample_weights", "weighted", points.few_rows, "g"


def _ours(pair: Pair, kind: str, batch: Batch, of: str) -> tuple[Array, Array | None]:
    """By closed form and, in the logits, by its twin."""
    twin = pair.loss.forward_mode
    return (
        _gradient(pair, kind, pair.loss, batch, of),
        _gradient(pair, kind, twin, batch, of) if of == "z" else None,
    )


@partial(jax.jit, static_argnums=0)
def _ours_as_called(pair: Pair, points: Points) -> list[tuple[Array, Array | None]]:
    """By us, from labels and options as they are given."""
    return [_ours(pair, kind, batch, of) for _, kind, batch, of in work(points)]


@partial(jax.jit, static_argnums=(0, 1, 3, 4), compiler_options=UNOPTIMISED)
def _alike(pair: Pair, kind: str, batch: Batch, of: str, with_ours: bool) -> Gradients:
    """By autodiff of the usual form and, if asked, by us."""
    theirs = _gradient(pair, kind, partial(usual_losses, pair), batch, of)
    closed, twin = _ours(pair, kind, batch, of) if with_ours else (None, None)
    return Gradients(closed, twin, theirs)


def _shared(pair: Pair, scope: str, kind: str, batch: Batch) -> tuple[str, Batch]:
    """Arguments of a form that most kinds share, so that one program serves them."""
    if scope != "logits":
        return kind, batch
    share = batch.g / batch.g.sum() if kind == "weighted" else batch.g
    return "any", uniform(pair, batch)._replace(g=share)


def measure(pair: Pair, points: Points) -> list[Gradients]:
    """The gradients that `work` lists, by each engine."""
    is_float32 = points.one_label.z.dtype == np.float32
    as_called = iter(_ours_as_called(pair, points) if is_float32 else ())
    found = []
    for scope, kind, batch, of in work(points):
        kind, batch = _shared(pair, scope, kind, batch)
        gradients = _alike(pair, kind, batch, of, not is_float32)
        if is_float32:
            closed, twin = next(as_called)
            gradients = gradients._replace(closed_form=closed, forward_mode=twin)
        found.append(gradients)
    return found
