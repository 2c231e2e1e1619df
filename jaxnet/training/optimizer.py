"""Optimizers, schedules, clipping and averaging: optax, with the rates as arrays.

An optimizer is built inside the compiled step from numbers that the state carries, so that
another learning rate or weight decay runs the same program.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxnet.errors import UserError


class Schedule(NamedTuple):
    """How the learning rate changes; see `factor`."""

    name: str = "constant"
    warmup: float = 0.05
    final: float = 0.0
    decay: float = 0.1


class Optimizer(NamedTuple):
    """What is fixed when the step is compiled; the rates are in `state.Hyper`.

    Attributes:
        name: a name of `SCALINGS`.
        momentum, b1, b2, eps, decay: numbers of the optimizers that have them.
        schedule: of the learning rate.
        clip_norm: largest norm of the whole gradient, or None.
        ema: decay of the averaged parameters, or None.
    """

    name: str = "adamw"
    momentum: float = 0.9
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    decay: float = 0.9
    schedule: Schedule = Schedule()
    clip_norm: float | None = None
    ema: float | None = None


SCALINGS: Mapping[str, Callable[[Optimizer], optax.GradientTransformation]] = MappingProxyType(
    {
        "sgd": lambda o: optax.identity(),
        "momentum": lambda o: optax.trace(decay=o.momentum),
        "adam": lambda o: optax.scale_by_adam(b1=o.b1, b2=o.b2, eps=o.eps),
        "adamw": lambda o: optax.scale_by_adam(b1=o.b1, b2=o.b2, eps=o.eps),
        "lion": lambda o: optax.scale_by_lion(b1=o.b1, b2=o.b2),
        "rmsprop": lambda o: optax.scale_by_rms(decay=o.decay, eps=o.eps),
        "adagrad": lambda o: optax.scale_by_rss(initial_accumulator_value=0.1, eps=o.eps),
    }
)
# Their weight decay acts on the parameters directly; that of the others joins the gradient.
DECOUPLED = frozenset(("adamw", "lion"))

# t in [0, 1] is the part of the run that is done; optax counts it as steps of a run of length 1.
SCHEDULES: Mapping[str, Callable[[Schedule], optax.Schedule]] = MappingProxyType(
    {
        "constant": lambda s: optax.constant_schedule(1.0),
        "cosine": lambda s: optax.cosine_decay_schedule(1.0, decay_steps=1, alpha=s.final),
        "warmup_cosine": lambda s: (
            optax.join_schedules(
                [
                    optax.linear_schedule(0.0, 1.0, transition_steps=s.warmup),
                    optax.cosine_decay_schedule(1.0, decay_steps=1 - s.warmup, alpha=s.final),
                ],
                [s.warmup],
            )
            if s.warmup > 0
            else SCHEDULES["cosine"](s)
        ),
        "exponential": lambda s: optax.exponential_decay(
            1.0, transition_steps=1, decay_rate=s.decay
        ),
    }
)


def factor(schedule: Schedule, t: Float[Array, ""]) -> Float[Array, ""]:
    """Factor of the learning rate at the part t of the run, t in [0, 1).

    >>> [round(float(factor(Schedule("cosine"), jnp.float32(t))), 3) for t in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """
    if schedule.name not in SCHEDULES:
        raise UserError(
            f"no schedule is called {schedule.name!r}; choose from {', '.join(SCHEDULES)}"
        )
    return jnp.asarray(SCHEDULES[schedule.name](schedule)(t), jnp.float32)


def build(
    optimizer: Optimizer, learning_rate: Any, weight_decay: Any
) -> optax.GradientTransformation:
    """The optax transformation of an optimizer at a learning rate and weight decay (arrays).

    Weight decay acts on weights, never on biases.

    >>> sgd, ones = build(Optimizer("sgd"), 0.5, 0.0), {"w": jnp.ones(2)}
    >>> updates, _ = sgd.update(ones, sgd.init(ones), ones)
    >>> updates["w"].tolist()
    [-0.5, -0.5]
    """
    if optimizer.name not in SCALINGS:
        raise UserError(
            f"no optimizer is called {optimizer.name!r}; choose from {', '.join(SCALINGS)}"
        )
    clip = [] if optimizer.clip_norm is None else [optax.clip_by_global_norm(optimizer.clip_norm)]
    scaling = SCALINGS[optimizer.name](optimizer)
    decay = optax.add_decayed_weights(weight_decay, mask=_is_weight)
    ordered = [scaling, decay] if optimizer.name in DECOUPLED else [decay, scaling]
    return optax.chain(*clip, *ordered, optax.scale_by_learning_rate(learning_rate))


def apply(
    transformation: optax.GradientTransformation, gradients: Any, moments: Any, params: Any
) -> tuple[Any, Any]:
    """(params, moments) after one update. optax itself needs standard promotion of types."""
    with jax.numpy_dtype_promotion("standard"):
        updates, moments = transformation.update(gradients, moments, params)
        return optax.apply_updates(params, updates), moments


def _is_weight(params: Any) -> Any:
    return jax.tree.map(lambda p: p.ndim > 1, params)
