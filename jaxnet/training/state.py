"""What training carries from step to step, and how it begins."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxnet.nn import mlp
from jaxnet.nn.mlp import Params
from jaxnet.training import optimizer as optimizers
from jaxnet.training.optimizer import Optimizer


class Hyper(NamedTuple):
    """Hyperparameters that are arrays: another value runs the same compiled program."""

    learning_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    dropout: Float[Array, ""]
    label_smoothing: Float[Array, ""]
    total_steps: Int[Array, ""]


class State(NamedTuple):
    """The training state; `step` = updates applied, and the position in the data, nothing else.

    Attributes:
        params: of the network.
        moments: state of the optax transformation.
        average: exponential moving average of params, or () without one.
        step: updates applied.
        seed: from which the order of rows and dropout follow, with the step.
        hyper: rates and the length of the run.
    """

    params: Params
    moments: Any
    average: Params | tuple[()]
    step: Int[Array, ""]
    seed: Int[Array, ""]
    hyper: Hyper


def hyper(
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    total_steps: int,
) -> Hyper:
    """Hyperparameters as arrays of fixed types."""
    return Hyper(
        learning_rate=jnp.float32(learning_rate),
        weight_decay=jnp.float32(weight_decay),
        dropout=jnp.float32(dropout),
        label_smoothing=jnp.float32(label_smoothing),
        total_steps=jnp.int32(total_steps),
    )


# Parts the random numbers of dropout from those of the initial weights.
DROPOUT = 0x9E3779B9


def begin(
    sizes: tuple[int, ...],
    optimizer: Optimizer,
    rates: Hyper,
    *,
    seed: int,
    scheme: str = "he",
    last_layer: str | None = None,
) -> State:
    """The state before the first update.

    >>> rates = hyper(learning_rate=0.1, total_steps=10)
    >>> int(begin((4, 8, 3), Optimizer("sgd"), rates, seed=0).step)
    0
    """
    draw = _compiled_begin(sizes, optimizer, scheme, last_layer)
    return draw(jnp.uint32(seed), rates)


@lru_cache(maxsize=64)
def _compiled_begin(
    sizes: tuple[int, ...], optimizer: Optimizer, scheme: str, last_layer: str | None
) -> Any:
    """(seed, hyper) -> State in one program: operation by operation, each would be compiled."""

    def draw(seed: Any, rates: Hyper) -> State:
        params = mlp.init(jax.random.key(seed), sizes, scheme=scheme, last_layer=last_layer)
        average = jax.tree.map(jnp.copy, params) if optimizer.ema is not None else ()
        moments = optimizers.init(optimizer, params)
        return State(params, moments, average, jnp.int32(0), seed, rates)

    return jax.jit(draw)


def predicting(state: State) -> Params:
    """The parameters to evaluate and keep: the average where there is one."""
    return state.average or state.params
