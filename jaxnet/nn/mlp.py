"""Feedforward network: z_l = a_{l-1} W_l^T + b_l, a_l = f(z_l), logits z_L.

Rows are examples (batch-first), so every formula of the lectures appears transposed; W is
(n_out, n_in) as in the second lecture. The last layer returns logits: its activation belongs to
the loss.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, UInt32

from jaxnet.errors import UserError
from jaxnet.nn import activations, bags, meshes
from jaxnet.nn.bags import BagLayer, Bags
from jaxnet.nn.precision import wide_type

Key: TypeAlias = PRNGKeyArray | UInt32[Array, "2"]


class Layer(NamedTuple):
    """Parameters of one layer: W (n_out, n_in) and b (n_out,).

    >>> W, b = init(jax.random.key(0), [4, 3])[0]
    >>> W.shape, b.shape
    ((3, 4), (3,))
    """

    W: Float[Array, "n_out n_in"]
    b: Float[Array, " n_out"]


Params: TypeAlias = tuple[Layer | BagLayer, ...]  # the first one may be of bags
Rows: TypeAlias = Float[ArrayLike, "..."] | Bags
Masks: TypeAlias = tuple[Float[Array, "m _"], ...]


class Cache(NamedTuple):
    """What the backward pass needs of the forward pass.

    Attributes:
        a: the input of each layer, a[0] = x (an array or bags); (m, n_in) each.
        z: the pre-activation of each layer, z[-1] = logits; (m, n_out) each.
        masks: dropout factors of the hidden layers, or () without dropout.

    >>> _, cache = forward_with_cache(init(jax.random.key(0), [4, 8, 3]), jnp.ones((2, 4)))
    >>> len(cache.a), len(cache.z), cache.masks
    (2, 2, ())
    """

    a: tuple[Any, ...]
    z: tuple[Float[Array, "m _"], ...]
    masks: Masks


# Variance of the initial weights of a layer by the numbers of its inputs and outputs.
INITS: Mapping[str, Callable[[int, int], float]] = MappingProxyType(
    {
        "he": lambda n_in, n_out: 2 / n_in,
        "glorot": lambda n_in, n_out: 2 / (n_in + n_out),
        "lecun": lambda n_in, n_out: 1 / n_in,
        "ntk": lambda n_in, n_out: 1.0,
        "zeros": lambda n_in, n_out: 0.0,
    }
)

# How each z_l is scaled before its bias: 1, or 1/sqrt(n_in) in the NTK parametrisation, whose
# weights have variance 1 (Jacot et al. 2018).
SCALES: Mapping[str, Callable[[int], float]] = MappingProxyType(
    {"standard": lambda n_in: 1.0, "ntk": lambda n_in: n_in**-0.5}
)


def init(
    key: Key, sizes: Sequence[int], *, scheme: str = "he", last_layer: str | None = None
) -> Params:
    """Draw the parameters of a network with layers of the given sizes; biases are 0.

    W ~ N(0, v) with v = 2/n_in (he), 2/(n_in + n_out) (glorot), 1/n_in (lecun), 1 (ntk, for
    `parametrisation="ntk"`) or 0 (zeros). `last_layer` names the scheme of the last layer where it
    differs: with "zeros" the first logits are 0 and the first loss is exactly log K.

    Args:
        key: a JAX random key.
        sizes: (n_0, ..., n_L): inputs, hidden layers, outputs.

    Returns:
        A tuple of L `Layer(W, b)`, float32.

    Raises:
        UserError: fewer than two sizes, a size below 1, or an unknown scheme.

    >>> params = init(jax.random.key(0), [4, 8, 3], last_layer="zeros")
    >>> [layer.W.shape for layer in params]
    [(8, 4), (3, 8)]
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise UserError(f"sizes must name at least inputs and outputs, all >= 1; got {sizes!r}")
    schemes = [scheme] * (len(sizes) - 2) + [last_layer or scheme]
    for name in schemes:
        if name not in INITS:
            raise UserError(f"no init is called {name!r}; choose from {', '.join(INITS)}")
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    # One draw for all layers: compiling a generator for each would take seconds. A last layer of
    # zeros, which may have a million rows, takes no part in it.
    counts = [
        0 if name == "zeros" else math.prod(shape)
        for name, shape in zip(schemes, shapes, strict=True)
    ]
    parts = jnp.split(jax.random.normal(key, (sum(counts),), jnp.float32), np.cumsum(counts)[:-1])
    layers = []
    for name, (n_out, n_in), part in zip(schemes, shapes, parts, strict=True):
        W = jnp.zeros((n_out, n_in), jnp.float32)
        if part.size:
            W = part.reshape(n_out, n_in) * INITS[name](n_in, n_out) ** 0.5
        layers.append(Layer(W, jnp.zeros(n_out, jnp.float32)))
    return tuple(layers)


def linear(
    a: Any,
    layer: Layer | BagLayer,
    *,
    scale: float = 1.0,
    compute_dtype: Any = None,
) -> Float[Array, "m n_out"]:
    """z = scale * a W^T + b, multiplied in `compute_dtype`, summed in float32 or wider.

    Args:
        a: (m, n_in), or `Bags` for a layer of bags, which has no scale: its table is drawn to fit.

    >>> layer = Layer(jnp.array([[1.0, 2.0]]), jnp.array([0.5]))
    >>> linear(jnp.array([[1.0, 1.0]]), layer).tolist()
    [[3.5]]
    """
    if isinstance(layer, BagLayer):
        z = bags.embed(layer.E, a, compute_dtype=compute_dtype)
        out = meshes.specs_of(z)
        return meshes.automatic(lambda z, b: z + b[None, :], z, layer.b, out=out)
    dtype = jnp.dtype(compute_dtype or layer.W.dtype)
    wide = wide_type(dtype)

    def product_and_bias(a: Array, W: Array, b: Array) -> Array:
        if dtype == wide:
            product = contract(a.astype(dtype), W.astype(dtype), 1, 1)
        else:
            product = _narrow_product(dtype, *meshes.vary((a, W), meshes.axes_of(a, W)))
        return (product if scale == 1.0 else product * scale) + b.astype(wide)[None, :]

    out = meshes.spec(meshes.divided(a), meshes.divided(layer.W))
    return meshes.automatic(product_and_bias, a, *layer, out=out)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _narrow_product(dtype: Any, a: Array, W: Array) -> Array:
    """a W^T from operands rounded to a narrow type, whose gradients are summed in float32 too.

    Left to autodiff, the products of the backward pass would return the narrow type.
    """
    return contract(a.astype(dtype), W.astype(dtype), 1, 1)


# forward :: (a, W) -> (z, residuals)
def _narrow_forward(dtype: Any, a: Array, W: Array) -> tuple[Array, Any]:
    narrow, W_narrow = a.astype(dtype), W.astype(dtype)
    types = jnp.zeros((), a.dtype), jnp.zeros((), W.dtype)
    return contract(narrow, W_narrow, 1, 1), (narrow, W_narrow, types)


# backward :: (residuals, dz) -> (da, dW)
def _narrow_backward(dtype: Any, residuals: Any, dz: Array) -> tuple[Array, Array]:
    a, W, (like_a, like_W) = residuals
    delta = dz.astype(dtype)
    da, dW = contract(delta, W, 1, 0), weight_gradient(delta, a)
    return da.astype(like_a.dtype), dW.astype(like_W.dtype)


_narrow_product.defvjp(_narrow_forward, _narrow_backward)


def contract(left: Array, right: Array, left_axis: int, right_axis: int) -> Array:
    """Matrix product over one axis of each, summed in float32 or wider."""
    axes = (((left_axis,), (right_axis,)), ((), ()))
    return lax.dot_general(left, right, axes, preferred_element_type=wide_type(left.dtype))


def weight_gradient(
    delta: Float[Array, "m n_out"], a: Float[Array, "m n_in"]
) -> Float[Array, "n_out n_in"]:
    """dW = delta^T a, summed in float32 or wider."""
    if delta.dtype == wide_type(delta.dtype):
        return contract(delta, a, 0, 0)
    return contract(_transposed(delta), a, 1, 0)


def _transposed(x: Float[Array, "m n"]) -> Float[Array, "n m"]:
    """x^T; on CPU as bytes in memory, from where narrow products run three times as fast.

    A bare transpose is folded into the product that reads it; the branch of a conditional is not.
    """

    def stored(x: Array) -> Array:
        always = lax.optimization_barrier(jnp.bool_(True))  # which the compiler cannot know
        return lax.cond(always, lambda: x.T, lambda: meshes.zeros(x.shape[::-1], x.dtype, x))

    return lax.platform_dependent(x, cpu=stored, default=lambda x: x.T)


def dropout_masks(params: Params, rows: int, *, key: Key, rate: Any) -> Masks:
    """Factors 0 or 1 / (1 - rate) for each hidden activation, one mask (rows, n_l) a layer.

    >>> params = init(jax.random.key(0), [4, 8, 3])
    >>> masks = dropout_masks(params, 2, key=jax.random.key(1), rate=0.5)
    >>> [mask.shape for mask in masks]
    [(2, 8)]
    """
    keep = 1 - jnp.asarray(rate, jnp.float32)
    widths = [layer.b.shape[0] for layer in params[:-1]]
    # One draw for all layers, 16 bits a unit: the rate is met to 1 / 65,536.
    drawn = jax.random.bits(key, (rows, sum(widths)), jnp.uint16)
    factors = jnp.where(drawn.astype(jnp.float32) < jnp.round(keep * 65536), 1 / keep, 0)
    ends = [sum(widths[: index + 1]) for index in range(len(widths))]
    return tuple(factors[:, end - n : end] for n, end in zip(widths, ends, strict=True))


def hidden_with_cache(
    params: Params,
    x: Rows,
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    masks: Masks = (),
    compute_dtype: Any = None,
) -> tuple[Any, Cache]:
    """What the last layer reads, a_{L-1}, of the hidden layers alone; x where there are none.

    z_l = a_{l-1} W_l^T + b_l;  a_l = f(z_l) * mask_l;  a_0 = x.

    >>> a, cache = hidden_with_cache(init(jax.random.key(0), [4, 8, 3])[:-1], jnp.ones((2, 4)))
    >>> a.shape, [z.shape for z in cache.z]
    ((2, 8), [(2, 8)])
    """
    a: Any = x if isinstance(x, Bags) else jnp.asarray(x)
    f, scale_of = activations.find(activation).f, find_scale(parametrisation)
    inputs, pre_activations = [], []
    for index, layer in enumerate(params):
        z = linear(a, layer, scale=_scale(scale_of, layer), compute_dtype=compute_dtype)
        inputs.append(a)
        pre_activations.append(z)
        a = f(z) * masks[index] if masks else f(z)
    return a, Cache(tuple(inputs), tuple(pre_activations), masks)


def _scale(scale_of: Callable[[int], float], layer: Layer | BagLayer) -> float:
    return 1.0 if isinstance(layer, BagLayer) else scale_of(layer.W.shape[1])


def forward_with_cache(
    params: Params,
    x: Rows,
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    masks: Masks = (),
    compute_dtype: Any = None,
) -> tuple[Float[Array, "m n_L"], Cache]:
    """Logits, and the activations and pre-activations that the backward pass reads.

    z_L = a_{L-1} W_L^T + b_L, behind the hidden layers of `hidden_with_cache`.

    >>> logits, cache = forward_with_cache(init(jax.random.key(0), [4, 8, 3]), jnp.ones((2, 4)))
    >>> logits.shape, [a.shape for a in cache.a], [z.shape for z in cache.z]
    ((2, 3), [(2, 4), (2, 8)], [(2, 8), (2, 3)])
    """
    check(params, x)
    a, cache = hidden_with_cache(
        params[:-1],
        x,
        activation=activation,
        parametrisation=parametrisation,
        masks=masks,
        compute_dtype=compute_dtype,
    )
    scale = _scale(find_scale(parametrisation), params[-1])
    z = linear(a, params[-1], scale=scale, compute_dtype=compute_dtype)
    return z, Cache((*cache.a, a), (*cache.z, z), masks)


def forward(
    params: Params,
    x: Rows,
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    dropout: Any = None,
    key: Key | None = None,
    masks: Masks = (),
    compute_dtype: Any = None,
) -> Float[Array, "m n_L"]:
    """Logits z_L (m, n_L) of the rows of x (m, n_0), or of `Bags` for a first layer of bags.

    Args:
        activation: of the hidden layers, a name of `jaxnet.activations.ACTIVATIONS`.
        parametrisation: "standard" or "ntk" (z scaled by 1/sqrt(n_in)).
        dropout: rate in [0, 1) for the hidden activations; needs `key`. Leave it out to predict.
        masks: dropout factors drawn beforehand by `dropout_masks`, instead of `dropout`.
        compute_dtype: type of the products, such as jnp.bfloat16; sums stay float32.

    Raises:
        UserError: x does not fit the first layer, an unknown name, or dropout without a key.

    >>> forward(init(jax.random.key(0), [4, 8, 3]), jnp.ones((2, 4))).shape
    (2, 3)
    """
    if dropout is not None:
        if key is None:
            raise UserError("dropout needs a random key: forward(..., dropout=0.1, key=key)")
        masks = dropout_masks(params, np.shape(x)[0], key=key, rate=dropout)
    return forward_with_cache(
        params,
        x,
        activation=activation,
        parametrisation=parametrisation,
        masks=masks,
        compute_dtype=compute_dtype,
    )[0]


def find_scale(parametrisation: str) -> Callable[[int], float]:
    """n_in -> factor of the product, for a name of `SCALES`."""
    if parametrisation not in SCALES:
        raise UserError(
            f"no parametrisation is called {parametrisation!r}; choose from {', '.join(SCALES)}"
        )
    return SCALES[parametrisation]


def check(params: Params, x: Rows) -> None:
    """Refuse x that the first layer does not fit."""
    first = params[0]
    if isinstance(first, BagLayer) or isinstance(x, Bags):
        if isinstance(first, BagLayer) != isinstance(x, Bags):
            raise UserError(
                "a first layer of bags takes rows as bags.Bags, and any other an array; got "
                f"{type(first).__name__} and {type(x).__name__}"
            )
        return
    n_in = first.W.shape[1]
    if np.ndim(x) != 2 or np.shape(x)[1] != n_in:
        raise UserError(f"the network takes rows of {n_in} numbers, (m, {n_in}); got {np.shape(x)}")
