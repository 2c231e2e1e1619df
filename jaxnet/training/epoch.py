"""The compiled training program: a stretch of steps within one epoch.

One program serves every stretch: the number of steps is an argument. The order of the rows is a
function of (seed, epoch) and the place in it of `state.step`, so a run that stops anywhere goes on
exactly where it was, and the host has nothing to do between steps.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxnet.nn import mlp
from jaxnet.nn.bags import Bags, Drop
from jaxnet.nn.embedding import Network
from jaxnet.nn.losses import LOSSES
from jaxnet.nn.precision import as_words, from_words
from jaxnet.training import head_step, rows, settings
from jaxnet.training import optimizer as optimizers
from jaxnet.training.engines import ENGINES
from jaxnet.training.finite import all_finite
from jaxnet.training.head_step import Done
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.state import DROPOUT, INPUT_DROPOUT, State


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
        head: "dense", or "linear_blocks": the last layer changes block by block (`head_step`).
        block: labels of a block; None: chosen.
        input_dropout: chance that a feature of a sparse row is left out of an update.
    """

    loss: str
    options: tuple[tuple[str, Any], ...] = ()
    activation: str = "relu"
    parametrisation: str = "standard"
    engine: str = "closed_form"
    optimizer: Optimizer = Optimizer()
    batch_size: int = 128
    precision: str = "float32"
    head: str = "dense"
    block: int | None = None
    input_dropout: float = 0.0

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


def steps_per_epoch(number: int, batch_size: int) -> int:
    """ceil(rows / batch_size): the last batch is padded with rows of weight 0."""
    return -(-number // batch_size)


def order_of_rows(seed: int, epoch: int, number: int, batch_size: int) -> np.ndarray:
    """Indices (steps, batch_size) of the rows of each step of an epoch, from (seed, epoch) alone.

    Beyond the last row stands row 0, as padding. Drawn on the host, once an epoch: a sort would
    take a second to compile.

    >>> sorted(order_of_rows(0, 0, 5, 2).reshape(-1)[:5].tolist())
    [0, 1, 2, 3, 4]
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    steps = steps_per_epoch(number, batch_size)
    order = np.zeros(steps * batch_size, np.int32)
    order[:number] = generator.permutation(number)
    return order.reshape(steps, batch_size)


def next_rows(program: Program, state: State, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows of the next update, and 1 for each of them or 0 where it is padding."""
    size = program.batch_size
    epoch, i = divmod(int(state.step), steps_per_epoch(number, size))
    order = order_of_rows(int(state.seed), epoch, number, size)
    return order[i], (i * size + np.arange(size) < number).astype(np.float32)


def stretch(program: Program) -> Callable[..., tuple[State, Bool[Array, ""]]]:
    """(state, x, y, order, number of steps, weights of rows) -> (state, finite), uncompiled.

    It ends before its number of steps at the end of the epoch and at a step whose loss or gradient
    is not finite; that step is not applied, and `finite` is False. Without weights every row counts
    1, and the program knows of none.
    """

    def run(
        state: State, x: Any, y: Any, order: Array, count: Any, row_weights: Any = None
    ) -> tuple[State, Bool[Array, ""]]:
        number, (per_epoch, size) = x.shape[0], order.shape
        first = state.step % per_epoch
        end = first + jnp.minimum(count, per_epoch - first)
        goes_on = (first > 0) | (first == end)  # a stretch of no steps leaves the sums as they are
        state = state._replace(
            loss=jnp.where(goes_on, state.loss, 0), weight=jnp.where(goes_on, state.weight, 0)
        )

        def body(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
            i, held, _ = carry
            now = from_words(held, state)
            chosen = lax.dynamic_index_in_dim(order, i, keepdims=False)
            weights = (i * size + jnp.arange(size) < number).astype(jnp.float32)
            if row_weights is not None:
                weights = weights * rows.pick(row_weights, chosen)
            picked = rows.pick(x, chosen), rows.pick(y, chosen)
            after, finite = step(program, now, *picked, weights)
            return i + 1, as_words(after), finite

        carry = (first, as_words(state), jnp.bool_(True))
        _, held, finite = lax.while_loop(lambda c: (c[0] < end) & c[2], body, carry)
        return from_words(held, state), finite

    return run


def compiled(program: Program) -> Callable[..., tuple[State, Bool[Array, ""]]]:
    """`stretch`, compiled once for each shape of data and donating the state."""
    return _compiled(program, _compiler_options(settings.device().platform))


@lru_cache(maxsize=64)
def _compiled(
    program: Program, compiler_options: tuple[tuple[str, Any], ...]
) -> Callable[..., tuple[State, Bool[Array, ""]]]:
    options = dict(compiler_options) or None
    return jax.jit(stretch(program), donate_argnums=0, compiler_options=options)


_LEVEL = "xla_backend_optimization_level"


def _compiler_options(platform: str) -> tuple[tuple[str, Any], ...]:
    """On a CPU LLVM's level 2, not 3: the same bits (see scripts/bench_compiler_level.py).

    A level that the user's XLA_FLAGS ask for comes first; without optimizations there is none.
    """
    asked = _LEVEL in os.environ.get("XLA_FLAGS", "")
    if platform != "cpu" or asked or jax.config.values["jax_disable_most_optimizations"]:
        return ()
    return ((_LEVEL, 2),) if _is_known(_LEVEL, 2) else ()


@lru_cache(maxsize=4)
def _is_known(option: str, value: Any) -> bool:
    """Whether XLA takes a compiler option; those of the two releases that are tested do."""
    if version("jaxlib").startswith(("0.10.", "0.12.")):
        return True
    try:
        jax.jit(lambda: 0, compiler_options={option: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def step(
    program: Program, state: State, x: Any, y: Any, weights: Array
) -> tuple[State, Bool[Array, ""]]:
    """One update: (state, whether loss and gradient were finite, else it is not applied)."""
    find = _by_blocks if program.head == "linear_blocks" else _at_once
    done = find(program, state, thinned(program, state, x), y, weights)
    weight = jnp.sum(weights)
    state = state._replace(
        params=done.params,
        moments=done.moments,
        average=done.average,
        step=state.step + done.finite.astype(jnp.int32),
        loss=state.loss + jnp.where(done.finite, done.loss * weight, 0),
        weight=state.weight + jnp.where(done.finite, weight, 0),
    )
    return state, done.finite


def _rates(program: Program, state: State) -> optimizers.Rates:
    """Learning rate, with its schedule, and weight decay of the next update."""
    total = state.hyper.total_steps.astype(jnp.float32)
    t = state.step.astype(jnp.float32) / total
    factor = optimizers.factor(program.optimizer.schedule, t, step=1 / total)
    return optimizers.Rates(state.hyper.learning_rate * factor, state.hyper.weight_decay)


def _at_once(program: Program, state: State, x: Any, y: Any, weights: Array) -> Done:
    """An update by the gradient as a whole."""
    value, gradients = value_and_gradients(program, state, x, y, weights)
    finite = jnp.isfinite(value) & all_finite(gradients)
    if program.optimizer.clip_norm is not None:
        gradients, norm = optimizers.clip(gradients, program.optimizer.clip_norm)
        finite &= jnp.isfinite(norm)
    params, moments = optimizers.apply(
        program.optimizer, _rates(program, state), gradients, state.moments, state.params, finite
    )
    count = state.step + finite.astype(jnp.int32)
    average = optimizers.follow(program.optimizer, state.average, params, count, finite)
    return Done(value, params, moments, average, finite)


def _by_blocks(program: Program, state: State, x: Any, y: Any, weights: Array) -> Done:
    """An update whose last layer changes block by block."""
    total = jnp.sum(weights)
    shares = weights / jnp.where(total == 0, 1, total)
    call = head_step.call_of(program.loss, program.network, _options(program, state), program.block)

    rate, number = state.hyper.dropout, weights.shape[0]
    # Not two branches with an update each: of what both change, the compiler would keep a copy.
    masks = lax.cond(
        rate > 0, lambda: masks_of(state, number), lambda: _nothing_dropped(state, number)
    )
    return head_step.update(
        call,
        program.optimizer,
        _rates(program, state),
        state.params,
        state.moments,
        state.average,
        head_step.Batch(x, y, shares),
        masks,
        step=state.step,
        seed=state.seed,
    )


def _nothing_dropped(state: State, number: int) -> mlp.Masks:
    return tuple(jnp.ones((number, layer.b.shape[0])) for layer in state.params.layers[:-1])


def value_and_gradients(
    program: Program, state: State, x: Any, y: Any, weights: Array
) -> tuple[Float[Array, ""], Network]:
    """Mean loss and gradients of a batch; dropout is drawn only where its rate is above 0."""

    def given(masks: mlp.Masks) -> tuple[Array, Network]:
        return given_masks(program, state, x, y, weights, masks)

    if len(state.params.layers) == 1:
        return given(())
    rate = state.hyper.dropout
    return lax.cond(rate > 0, lambda: given(masks_of(state, weights.shape[0])), lambda: given(()))


def thinned(program: Program, state: State, x: Any) -> Any:
    """The rows of the next update without the features that are left out of it."""
    if not program.input_dropout or not isinstance(x, Bags):
        return x
    return x._replace(drop=Drop(_words(state, INPUT_DROPOUT), program.input_dropout))


def _words(state: State, purpose: int) -> Array:
    """A key of threefry, which takes two words: seed and step make one without another hash."""
    return jnp.stack([state.seed ^ np.uint32(purpose), state.step.astype(jnp.uint32)])


def masks_of(state: State, number: int) -> mlp.Masks:
    """The dropout of the next update, a function of (seed, step)."""
    key = jax.random.wrap_key_data(_words(state, DROPOUT), impl="threefry2x32")
    return mlp.dropout_masks(state.params.layers, number, key=key, rate=state.hyper.dropout)


def given_masks(
    program: Program, state: State, x: Any, y: Any, weights: Array, masks: mlp.Masks
) -> tuple[Float[Array, ""], Network]:
    """Mean loss and gradients of a batch whose dropout has been drawn; () for none."""
    engine, y = ENGINES[program.engine], rows.as_dense(y, state.params.layers[-1].b.shape[0])
    options = _options(program, state)
    return engine(
        state.params, x, y, weights, masks, LOSSES[program.loss], options, program.network
    )


def _options(program: Program, state: State) -> dict[str, Any]:
    """Of the loss, smoothing among them, which is an array of the state."""
    options = dict(program.options)
    if "label_smoothing" in LOSSES[program.loss].options:
        options["label_smoothing"] = state.hyper.label_smoothing
    return options
