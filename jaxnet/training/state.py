"""What training carries from step to step, and how it begins."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.training import head_step
from jaxnet.training import optimizer as optimizers
from jaxnet.training.optimizer import Optimizer


class Hyper(NamedTuple):
    """Hyperparameters that are arrays: another value runs the same compiled program."""

    learning_rate: Float[Array, ""]
    weight_decay: Float[Array, ""]
    dropout: Float[Array, ""]
    label_smoothing: Float[Array, ""]
    total_steps: Int[Array, ""]


class Head(NamedTuple):
    """How the last layer is kept.

    Attributes:
        name: "dense" or "linear_blocks", which changes it block by block (see `head_step`).
        weights: type of its W; of linear_blocks it may be "bfloat16".
    """

    name: str = "dense"
    weights: str = "float32"


class State(NamedTuple):
    """The training state; `step` = updates applied, and the position in the data, nothing else.

    Attributes:
        params: of the network.
        moments: state of the optax transformation.
        average: exponential moving average of params, or () without one.
        step: updates applied.
        seed: from which the order of rows and dropout follow, with the step.
        hyper: rates and the length of the run.
        loss: sum of the weighted losses of the epoch under way: carried from step to step, it does
            not depend on where the run was cut into stretches.
        weight: sum of the weights of these rows.
    """

    params: Network
    moments: Any
    average: Network | tuple[()]
    step: Int[Array, ""]
    seed: Int[Array, ""]
    hyper: Hyper
    loss: Float[Array, ""]
    weight: Float[Array, ""]


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


# Part the random numbers of dropout from those of the initial weights, and from each other.
DROPOUT = 0x9E3779B9
INPUT_DROPOUT = 0xC2B2AE35


def begin(
    sizes: tuple[int, ...],
    optimizer: Optimizer,
    rates: Hyper,
    *,
    seed: int,
    scheme: str = "he",
    last_layer: str | None = None,
    embeddings: tuple[tuple[int, int], ...] = (),
    numeric: tuple[int, int] = (0, 0),
    output_bias: Float[ArrayLike, " n_L"] | None = None,
    bag_spread: float | None = None,
    head: Head | None = None,
) -> State:
    """The state before the first update.

    Args:
        sizes: of the layers, the first being the columns of x, codes included.
        embeddings: (slots, width) of each trailing column of codes, see `nn.embedding`.
        numeric: (columns, size) of the leading columns that get waves, see `nn.periodic`.
        output_bias: of the last layer, such as `weights.prior_bias` gives; None: 0.
        bag_spread: deviation of a first layer of bags, see `nn.bags`; None: x is an array.
        head: how the last layer is kept and changed; None: as `Head()` says.

    Raises:
        UserError: the bias has another number of outputs, or what `embedding.init` refuses.

    >>> rates = hyper(learning_rate=0.1, total_steps=10)
    >>> int(begin((4, 8, 3), Optimizer("sgd"), rates, seed=0).step)
    0
    """
    if output_bias is not None and np.shape(output_bias) != (sizes[-1],):
        raise UserError(
            f"output_bias takes one number an output, ({sizes[-1]},); got {np.shape(output_bias)}"
        )
    bias = None if output_bias is None else np.asarray(output_bias, np.float32)
    draw = _compiled_begin(
        sizes, optimizer, scheme, last_layer, embeddings, numeric, bag_spread, head or Head()
    )
    return draw(jnp.uint32(seed), rates, bias)


@lru_cache(maxsize=64)
def _compiled_begin(
    sizes: tuple[int, ...],
    optimizer: Optimizer,
    scheme: str,
    last_layer: str | None,
    embeddings: tuple[tuple[int, int], ...],
    numeric: tuple[int, int],
    bag_spread: float | None,
    head: Head,
) -> Any:
    """(seed, hyper, bias or None) -> State, one program: by operations, each would be compiled."""

    def draw(seed: Any, rates: Hyper, bias: Array | None) -> State:
        key = jax.random.key(seed, impl="threefry2x32")
        params = embedding.init(
            key,
            sizes,
            embeddings=embeddings,
            numeric=numeric,
            scheme=scheme,
            last_layer=last_layer,
            bag_spread=bag_spread,
        )
        if bias is not None:
            *hidden, last = params.layers
            params = params._replace(layers=(*hidden, last._replace(b=bias)))
        average = jax.tree.map(jnp.copy, params) if optimizer.ema is not None else ()
        begun = head_step.begin if head.name == "linear_blocks" else optimizers.init
        moments = begun(optimizer, params)
        if head.weights != "float32":
            body, last = head_step.split(params)
            params = head_step.join(body, last._replace(W=last.W.astype(head.weights)))
        none = jnp.zeros((), jnp.float32)
        return State(params, moments, average, jnp.int32(0), seed, rates, none, none)

    return jax.jit(draw)


def predicting(state: State) -> Network:
    """The parameters to evaluate and keep: the average where there is one."""
    return state.average or state.params
