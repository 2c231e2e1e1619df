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
from jax import lax
from jaxtyping import Array, Float

from jaxnet.errors import UserError
from jaxnet.nn.embedding import Network


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
# The second argument is the part of the run that one step is: a warm-up starts with its first step,
# not at 0, where a step would change nothing.
SCHEDULES: Mapping[str, Callable[[Schedule, Any], optax.Schedule]] = MappingProxyType(
    {
        "constant": lambda s, step: optax.constant_schedule(1.0),
        "cosine": lambda s, step: optax.cosine_decay_schedule(1.0, decay_steps=1, alpha=s.final),
        "warmup_cosine": lambda s, step: (
            optax.join_schedules(
                [
                    lambda t: jnp.minimum((t + step) / s.warmup, 1.0),
                    optax.cosine_decay_schedule(1.0, decay_steps=1 - s.warmup, alpha=s.final),
                ],
                [s.warmup],
            )
            if s.warmup > 0
            else SCHEDULES["cosine"](s, step)
        ),
        "exponential": lambda s, step: optax.exponential_decay(
            1.0, transition_steps=1, decay_rate=s.decay
        ),
    }
)


def factor(schedule: Schedule, t: Float[Array, ""], *, step: Any = 0.0) -> Float[Array, ""]:
    """Factor of the learning rate at the part t of the run, t in [0, 1).

    Args:
        step: the part of the run that one step is, with which a warm-up starts.

    >>> [round(float(factor(Schedule("cosine"), jnp.float32(t))), 3) for t in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """
    if schedule.name not in SCHEDULES:
        raise UserError(
            f"no schedule is called {schedule.name!r}; choose from {', '.join(SCHEDULES)}"
        )
    return jnp.asarray(SCHEDULES[schedule.name](schedule, step)(t), jnp.float32)


class Rates(NamedTuple):
    """The rates of one update: learning rate, with its schedule, and weight decay."""

    learning_rate: Any
    weight_decay: Any


def build(optimizer: Optimizer, rates: Rates) -> optax.GradientTransformation:
    """The optax transformation of an optimizer, but for clipping; see `decays`.

    >>> sgd, ones = build(Optimizer("sgd"), Rates(0.5, 0.0)), {"w": jnp.ones(2)}
    >>> updates, _ = sgd.update(ones, sgd.init(ones), ones)
    >>> updates["w"].tolist()
    [-0.5, -0.5]
    """
    if optimizer.name not in SCALINGS:
        raise UserError(
            f"no optimizer is called {optimizer.name!r}; choose from {', '.join(SCALINGS)}"
        )
    scaling = SCALINGS[optimizer.name](optimizer)
    decay = optax.add_decayed_weights(rates.weight_decay, mask=decays)
    ordered = [scaling, decay] if optimizer.name in DECOUPLED else [decay, scaling]
    return optax.chain(*ordered, optax.scale_by_learning_rate(rates.learning_rate))


def init(optimizer: Optimizer, params: Any) -> Any:
    """The moments before the first update."""
    if optimizer.name in ADAMS:
        return SCALINGS[optimizer.name](optimizer).init(params)
    return build(optimizer, Rates(0.0, 0.0)).init(params)


def apply(
    optimizer: Optimizer, rates: Rates, gradients: Any, moments: Any, params: Any, finite: Any
) -> tuple[Any, Any]:
    """(params, moments) after one update, or as they were where `finite` is False."""
    # optax itself needs standard promotion of types.
    with jax.numpy_dtype_promotion("standard"):
        if optimizer.name in ADAMS:
            return _adam(optimizer, rates, gradients, moments, params, finite)
        transformation = build(optimizer, rates)
        updates, after = transformation.update(gradients, moments, params)
        params_after = optax.apply_updates(params, updates)
    return _where(finite, params_after, params), _where(finite, after, moments)


def clip(gradients: Any, largest: float) -> tuple[Any, Array]:
    """(gradients of a norm of at most `largest`, their norm before), as optax's clipping.

    Squares are summed column by column: a reduction to one number is a scalar loop on CPU. A norm
    that is not finite must stop the run: divided by it, every update would be 0.
    """
    leaves = jax.tree.leaves(gradients)
    columns = [jnp.sum(lax.optimization_barrier(jnp.sum(g * g, axis=0))) for g in leaves]
    norm = jnp.sqrt(jnp.sum(jnp.stack(columns)))
    factor = jnp.minimum(1, largest / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny))
    return jax.tree.map(lambda g: g * factor, gradients), norm


ADAMS = frozenset(("adam", "adamw"))


def _adam(
    o: Optimizer, rates: Rates, gradients: Any, moments: Any, params: Any, finite: Any
) -> tuple[Any, Any]:
    """optax's Adam and AdamW, in an order that updates every array in place.

    m' = b1 m + (1 - b1) g;  v' = b2 v + (1 - b2) g^2;  then p' from m' and v' alone. Written as one
    expression, the compiler fuses m' and v' into p', and must copy all of p, m and v at each step.
    """
    if o.name not in DECOUPLED:
        gradients = jax.tree.map(
            lambda g, p, shrinks: g + rates.weight_decay * p if shrinks else g,
            gradients,
            params,
            decays(params),
        )
    count = moments.count + finite.astype(moments.count.dtype)
    steps = jnp.maximum(count, 1).astype(jnp.float32)
    mu = optax.tree.update_moment(gradients, moments.mu, o.b1, 1)
    nu = optax.tree.update_moment(gradients, moments.nu, o.b2, 2)
    mu, nu = _where(finite, mu, moments.mu), _where(finite, nu, moments.nu)
    mu, nu, params = lax.optimization_barrier((mu, nu, params))
    step = rates.learning_rate / (1 - o.b1**steps)
    scale = 1 / (1 - o.b2**steps)

    def update(p: Array, m: Array, v: Array, shrinks: bool) -> Array:
        decayed = p
        if o.name in DECOUPLED and shrinks:
            decayed = p * (1 - rates.learning_rate * rates.weight_decay)
        return jnp.where(finite, decayed - step * m / (jnp.sqrt(v * scale) + o.eps), p)

    params = jax.tree.map(update, params, mu, nu, decays(params))
    return params, moments._replace(count=count, mu=mu, nu=nu)


def follow(optimizer: Optimizer, average: Any, params: Any, steps: Any, finite: Any) -> Any:
    """The moving average of the parameters after update number `steps`; () without one.

    Its decay grows as (1 + t) / (10 + t) up to the one that was asked for: a short run would
    otherwise stay with its initial parameters.
    """
    if optimizer.ema is None:
        return average
    t = steps.astype(jnp.float32)
    decay = jnp.minimum(optimizer.ema, (1 + t) / (10 + t))
    return _where(finite, optax.incremental_update(params, average, 1 - decay), average)


def _where(condition: Any, after: Any, before: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.where(condition, new, old), after, before)


def decays(params: Any) -> Any:
    """Which parameters weight decay shrinks: matrices of layers; neither biases nor embeddings.

    The same tree with True or False for each. (Tables as in TabM, Gorishniy et al. 2025: the row of
    a rare category would shrink at every step and be learned at few.)

    >>> decays({"W": jnp.ones((2, 2)), "b": jnp.ones(2)})
    {'W': True, 'b': False}
    """
    found = jax.tree.map(lambda p: p.ndim > 1, params)
    if isinstance(params, Network):
        none = jax.tree.map(lambda p: False, params)
        return none._replace(layers=found.layers)
    return found
