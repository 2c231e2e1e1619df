"""The compiled training program: a stretch of steps within one epoch.

One program serves every stretch: the number of steps is an argument. The order of the rows is a
function of (seed, epoch) and the place in it of `state.step`, so a run that stops anywhere goes on
exactly where it was, and the host has nothing to do between steps.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxnet.nn import mlp
from jaxnet.nn.embedding import Network
from jaxnet.nn.losses import LOSSES
from jaxnet.training import optimizer as optimizers
from jaxnet.training.engines import ENGINES
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.state import DROPOUT, State


class Program(NamedTuple):
    """Everything that is fixed when the training program is compiled.

    Attributes:
        loss: name in `jaxnet.losses.LOSSES`.
        options: of the loss, but label_smoothing: pairs of name and value.
        activation: of the hidden layers.
        parametrisation: "standard" or "ntk".
        engine: a name of `ENGINES`.
        optimizer: with its schedule, clipping and averaging.
        batch_size: rows of one update.
        precision: type of the products, "float32" or "bfloat16".
    """

    loss: str
    options: tuple[tuple[str, Any], ...] = ()
    activation: str = "relu"
    parametrisation: str = "standard"
    engine: str = "closed_form"
    optimizer: Optimizer = Optimizer()
    batch_size: int = 128
    precision: str = "float32"

    @property
    def network(self) -> dict[str, Any]:
        """How `embedding.forward` is called."""
        return network_options(self.activation, self.parametrisation, self.precision)


def network_options(activation: str, parametrisation: str, precision: str) -> dict[str, Any]:
    """Keywords of `embedding.forward`: names of the parts and the type of the products."""
    compute_dtype = None if precision == "float32" else jnp.dtype(precision)
    return {
        "activation": activation,
        "parametrisation": parametrisation,
        "compute_dtype": compute_dtype,
    }


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """ceil(rows / batch_size): the last batch is padded with rows of weight 0."""
    return -(-rows // batch_size)


def order_of_rows(seed: int, epoch: int, rows: int, batch_size: int) -> np.ndarray:
    """Indices (steps, batch_size) of the rows of each step of an epoch, from (seed, epoch) alone.

    Beyond the last row stands row 0, as padding. Drawn on the host, once an epoch: a sort would
    take a second to compile.

    >>> sorted(order_of_rows(0, 0, 5, 2).reshape(-1)[:5].tolist())
    [0, 1, 2, 3, 4]
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    steps = steps_per_epoch(rows, batch_size)
    order = np.zeros(steps * batch_size, np.int32)
    order[:rows] = generator.permutation(rows)
    return order.reshape(steps, batch_size)


def next_rows(program: Program, state: State, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows of the next update, and 1 for each of them or 0 where it is padding."""
    size = program.batch_size
    epoch, i = divmod(int(state.step), steps_per_epoch(rows, size))
    order = order_of_rows(int(state.seed), epoch, rows, size)
    return order[i], (i * size + np.arange(size) < rows).astype(np.float32)


def stretch(program: Program) -> Callable[..., tuple[State, Bool[Array, ""]]]:
    """(state, x, y, order, number of steps, weights of rows) -> (state, finite), uncompiled.

    It ends before its number of steps at the end of the epoch and at a step whose loss or gradient
    is not finite; that step is not applied, and `finite` is False. Without weights every row counts
    1, and the program knows of none.
    """

    def run(
        state: State, x: Array, y: Array, order: Array, count: Any, row_weights: Any = None
    ) -> tuple[State, Bool[Array, ""]]:
        rows, (per_epoch, size) = x.shape[0], order.shape
        first = state.step % per_epoch
        end = first + jnp.minimum(count, per_epoch - first)
        goes_on = (first > 0) | (first == end)  # a stretch of no steps leaves the sums as they are
        state = state._replace(
            loss=jnp.where(goes_on, state.loss, 0), weight=jnp.where(goes_on, state.weight, 0)
        )

        def body(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
            i, state, _ = carry
            chosen = lax.dynamic_index_in_dim(order, i, keepdims=False)
            weights = (i * size + jnp.arange(size) < rows).astype(jnp.float32)
            if row_weights is not None:
                weights = weights * pick(row_weights, chosen)
            return i + 1, *step(program, state, pick(x, chosen), pick(y, chosen), weights)

        carry = (first, state, jnp.bool_(True))
        _, state, finite = lax.while_loop(lambda c: (c[0] < end) & c[2], body, carry)
        return state, finite

    return run


@lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., tuple[State, Bool[Array, ""]]]:
    """`stretch`, compiled once for each shape of data and donating the state."""
    return jax.jit(stretch(program), donate_argnums=0)


def step(
    program: Program, state: State, x: Array, y: Array, weights: Array
) -> tuple[State, Bool[Array, ""]]:
    """One update: (state, whether loss and gradient were finite, else it is not applied)."""
    value, gradients = value_and_gradients(program, state, x, y, weights)
    finite = jnp.isfinite(value) & all_finite(gradients)
    if program.optimizer.clip_norm is not None:
        gradients, norm = optimizers.clip(gradients, program.optimizer.clip_norm)
        finite &= jnp.isfinite(norm)
    total = state.hyper.total_steps.astype(jnp.float32)
    t = state.step.astype(jnp.float32) / total
    factor = optimizers.factor(program.optimizer.schedule, t, step=1 / total)
    rate = state.hyper.learning_rate * factor
    rates = optimizers.Rates(rate, state.hyper.weight_decay)
    params, moments = optimizers.apply(
        program.optimizer, rates, gradients, state.moments, state.params, finite
    )
    count = state.step + finite.astype(jnp.int32)
    average = optimizers.follow(program.optimizer, state.average, params, count, finite)
    weight = jnp.sum(weights)
    state = state._replace(
        params=params,
        moments=moments,
        average=average,
        step=count,
        loss=state.loss + jnp.where(finite, value * weight, 0),
        weight=state.weight + jnp.where(finite, weight, 0),
    )
    return state, finite


def value_and_gradients(
    program: Program, state: State, x: Array, y: Array, weights: Array
) -> tuple[Float[Array, ""], Network]:
    """Mean loss and gradients of a batch; dropout is drawn only where its rate is above 0."""

    def given(masks: mlp.Masks) -> tuple[Array, Network]:
        return given_masks(program, state, x, y, weights, masks)

    if len(state.params.layers) == 1:
        return given(())
    rate = state.hyper.dropout
    return lax.cond(rate > 0, lambda: given(masks_of(state, x.shape[0])), lambda: given(()))


def masks_of(state: State, rows: int) -> mlp.Masks:
    """The dropout of the next update, a function of (seed, step)."""
    # Threefry is keyed by two words: seed and step make a key without another hash.
    words = jnp.stack([state.seed ^ np.uint32(DROPOUT), state.step.astype(jnp.uint32)])
    key = jax.random.wrap_key_data(words, impl="threefry2x32")
    return mlp.dropout_masks(state.params.layers, rows, key=key, rate=state.hyper.dropout)


def given_masks(
    program: Program, state: State, x: Array, y: Array, weights: Array, masks: mlp.Masks
) -> tuple[Float[Array, ""], Network]:
    """Mean loss and gradients of a batch whose dropout has been drawn; () for none."""
    loss, options = LOSSES[program.loss], dict(program.options)
    if "label_smoothing" in loss.options:
        options["label_smoothing"] = state.hyper.label_smoothing
    engine = ENGINES[program.engine]
    return engine(state.params, x, y, weights, masks, loss, options, program.network)


def pick(array: Array, rows: Array) -> Array:
    """The rows of the array at indices that are known to be inside it."""
    return array.at[rows].get(mode="promise_in_bounds")


# Times a gradient of 3.4e18 it overflows, before the square of the gradient does in Adam's second
# moment, where an infinity would freeze the parameter for ever and nobody would see it.
LARGE = 1e20


def all_finite(gradients: Network) -> Bool[Array, ""]:
    """Whether every number is finite and its square too, by a sum which one that is not spoils.

    The rows of a matrix are added up by a product with a constant vector: on CPU a reduction to one
    number is a scalar loop, eighteen times as dear. A sum that overflows counts as not finite: such
    a gradient is of no use either.
    """
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(gradients):
        sums = leaf @ jnp.full(leaf.shape[-1], LARGE, leaf.dtype)
        total += jnp.sum(sums)
    return jnp.isfinite(total)
