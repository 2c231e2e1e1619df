"""Activations `a = f(z)` and their derivatives `f'(z)`.

Every activation is a pure function whose derivative JAX takes from the closed form written here, in
a form that keeps its relative accuracy where the function saturates. The textbook `a * (1 - a)`
is exactly 0 in float32 from z = 17; `sigmoid(z) * sigmoid(-z)` is right to the last bits as far as
the floating-point range goes.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxnet.errors import UserError

Elementwise = Callable[[Float[Array, "..."]], Float[Array, "..."]]

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
LEAKY_SLOPE = 0.01
FAR = 1e30  # in the place of an infinite z, where the limit of a product is 0


class Activation(NamedTuple):
    """An elementwise activation: `f(z)` and `derivative(z)` = f'(z), both of the shape of z.

    >>> float(ACTIVATIONS["sigmoid"].derivative(jnp.float32(0.0)))
    0.25
    """

    f: Elementwise
    derivative: Elementwise


def _with_derivative(f: Elementwise, derivative: Elementwise) -> Elementwise:
    """`f`, differentiated by JAX through `derivative` instead of through its own operations."""
    wrapped = jax.custom_jvp(f)
    # tangent :: (dz, a, z) -> da
    wrapped.defjvps(lambda dz, _a, z: dz * derivative(z))
    wrapped.__doc__ = f.__doc__
    return wrapped


def _sigmoid(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logistic function 1 / (1 + exp(-z)). Lecture: sigma(z)."""
    return lax.logistic(z)


def sigmoid_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """sigma'(z) = sigma(z) sigma(-z): a (1 - a) without the cancellation in 1 - a.

    >>> float(sigmoid_derivative(jnp.float32(40.0))) > 0
    True
    """
    return sigmoid(z) * sigmoid(-z)


def tanh_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """tanh'(z) = 4 sigma(2z) sigma(-2z), equal to 1 - tanh(z)^2.

    >>> float(tanh_derivative(jnp.float32(0.0)))
    1.0
    """
    return 4 * sigmoid(2 * z) * sigmoid(-2 * z)


def _relu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """max(z, 0); the derivative at 0 is taken as 0."""
    return jnp.maximum(z, 0)


def relu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 where z > 0, else 0.

    >>> relu_derivative(jnp.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    return (z > 0).astype(z.dtype)


def _leaky_relu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """z where z > 0, else 0.01 z."""
    return jnp.where(z > 0, z, LEAKY_SLOPE * z)


def leaky_relu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 where z > 0, else 0.01.

    >>> leaky_relu_derivative(jnp.array([-1.0, 2.0])).round(2).tolist()
    [0.01, 1.0]
    """
    return jnp.where(z > 0, jnp.ones_like(z), LEAKY_SLOPE)


def _elu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """z where z > 0, else exp(z) - 1 (Clevert et al. 2016)."""
    return jnp.where(z > 0, z, jnp.expm1(jnp.minimum(z, 0)))


def elu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 where z > 0, else exp(z).

    >>> elu_derivative(jnp.array([-1.0, 2.0])).round(3).tolist()
    [0.368, 1.0]
    """
    return jnp.exp(jnp.minimum(z, 0))


def _selu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Scaled exponential linear unit (Klambauer et al. 2017)."""
    return SELU_SCALE * jnp.where(z > 0, z, SELU_ALPHA * jnp.expm1(jnp.minimum(z, 0)))


def selu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """SELU's scale where z > 0, else scale * alpha * exp(z).

    >>> selu_derivative(jnp.array([-1.0, 2.0])).round(3).tolist()
    [0.647, 1.051]
    """
    return SELU_SCALE * jnp.where(z > 0, jnp.ones_like(z), SELU_ALPHA * jnp.exp(jnp.minimum(z, 0)))


def _normal_density(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """phi(z) = exp(-z^2 / 2) / sqrt(2 pi); z = high + low, and the square of high is exact."""
    z = jnp.clip(z, -40, 40)
    high = jnp.round(16 * z) / 16
    # Left alone, XLA would make exp(A) exp(B) exp(A + B), and round away what B holds.
    rest = jnp.where(jnp.isnan(z), z, jnp.exp(-(z - high) * (z + high) / 2))
    return jnp.exp(-high * high / 2) * rest * 0.3989422804014327


def _normal_cdf(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Phi(z) = erfc(-z / sqrt 2) / 2, which keeps the left tail."""
    return lax.erfc(-z * 0.7071067811865476) / 2


def _far(z: Float[Array, "..."]) -> float:
    """FAR, or the largest number of z's dtype where that is less."""
    return min(FAR, float(jnp.finfo(z.dtype).max))


def _gelu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """z Phi(z), the exact form (Hendrycks and Gimpel 2016), not its tanh approximation."""
    return jnp.maximum(z, -_far(z)) * _normal_cdf(z)


def gelu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Phi(z) + z phi(z); changes sign near z = -0.75.

    >>> gelu_derivative(jnp.array([0.0, 5.0])).round(3).tolist()
    [0.5, 1.0]
    """
    return _normal_cdf(z) + jnp.clip(z, -_far(z), _far(z)) * _normal_density(z)


def _gelu_derivative_terms(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return _normal_cdf(z) + jnp.abs(jnp.clip(z, -_far(z), _far(z))) * _normal_density(z)


def _silu(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """z sigma(z), also called swish."""
    return jnp.maximum(z, -_far(z)) * sigmoid(z)


def silu_derivative(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """sigma(z) (1 + z sigma(-z)); changes sign near z = -1.28.

    >>> float(silu_derivative(jnp.float32(0.0)))
    0.5
    """
    return sigmoid(z) * (1 + jnp.clip(z, -_far(z), _far(z)) * sigmoid(-z))


def _silu_derivative_terms(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return sigmoid(z) * (1 + jnp.abs(jnp.clip(z, -_far(z), _far(z))) * sigmoid(-z))


def _softplus(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 + exp(z)), as max(z, 0) + log1p(exp(-|z|))."""
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


def _identity(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """z itself: the output activation of plain regression."""
    return z


sigmoid = _with_derivative(_sigmoid, sigmoid_derivative)
tanh = _with_derivative(jnp.tanh, tanh_derivative)
relu = _with_derivative(_relu, relu_derivative)
leaky_relu = _with_derivative(_leaky_relu, leaky_relu_derivative)
elu = _with_derivative(_elu, elu_derivative)
selu = _with_derivative(_selu, selu_derivative)
gelu = _with_derivative(_gelu, gelu_derivative)
silu = _with_derivative(_silu, silu_derivative)
softplus = _with_derivative(_softplus, _sigmoid)
identity = _with_derivative(_identity, jnp.ones_like)

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "identity": Activation(identity, jnp.ones_like),
        "sigmoid": Activation(sigmoid, sigmoid_derivative),
        "tanh": Activation(tanh, tanh_derivative),
        "relu": Activation(relu, relu_derivative),
        "leaky_relu": Activation(leaky_relu, leaky_relu_derivative),
        "elu": Activation(elu, elu_derivative),
        "selu": Activation(selu, selu_derivative),
        "gelu": Activation(gelu, gelu_derivative),
        "silu": Activation(silu, silu_derivative),
        "softplus": Activation(softplus, sigmoid),
    }
)


def find(name: str) -> Activation:
    """The elementwise activation called `name`.

    >>> find("tanh").f is tanh
    True

    Raises:
        UserError: no elementwise activation has that name (softmax couples the outputs of a row
            and is an output activation only: `softmax`, `softmax_jacobian_product`).
    """
    if name not in ACTIVATIONS:
        raise UserError(f"no activation is called {name!r}; choose from {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


# Bounds of what an output activation returns, of those that have any.
IMAGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "sigmoid": (0.0, 1.0),
        "softmax": (0.0, 1.0),
        "tanh": (-1.0, 1.0),
        "relu": (0.0, math.inf),
        "softplus": (0.0, math.inf),
        "elu": (-1.0, math.inf),
        "selu": (-SELU_SCALE * SELU_ALPHA, math.inf),
        "gelu": (-0.17, math.inf),
        "silu": (-0.279, math.inf),
    }
)

# Sums of the absolute values of the terms of f', of those f' that change sign: there no formula
# can keep more digits than against this sum.
DERIVATIVE_TERMS: Mapping[str, Elementwise] = MappingProxyType(
    {"gelu": _gelu_derivative_terms, "silu": _silu_derivative_terms}
)


class Softmax(NamedTuple):
    """Softmax of the rows of z in parts that lose nothing: see `softmax_parts`.

    Attributes:
        a: probabilities; complement: 1 - a, exact also where a rounds to 1.
        is_largest: the place of the largest logit of each row, the first of several.
        gap: the largest logit minus each; log_normalizer: log of the sum of exp(-gap).

    >>> parts = softmax_parts(jnp.array([0.0, 0.0]))
    >>> parts.is_largest.tolist(), parts.gap.tolist(), parts.complement.tolist()
    ([True, False], [0.0, 0.0], [0.5, 0.5])
    """

    a: Float[Array, "*m K"]
    complement: Float[Array, "*m K"]
    is_largest: Bool[Array, "*m K"]
    gap: Float[Array, "*m K"]
    log_normalizer: Float[Array, "*m 1"]


def softmax_parts(z: Float[Array, "*m K"]) -> Softmax:
    """Probabilities, their complements, gaps to the largest logit and log(1 + s).

    With k = argmax z and s = sum_{j != k} exp(z_j - z_k):
    a_j = exp(z_j - z_k) / (1 + s), 1 - a_k = s / (1 + s), -log a_j = (z_k - z_j) + log1p(s).

    Shapes: z (..., K); `gap` = z_k - z_j >= 0 and `log_normalizer` = log1p(s), (..., 1).

    >>> parts = softmax_parts(jnp.array([0.0, 30.0]))
    >>> float(parts.a[1]), float(parts.complement[1]) > 0
    (1.0, True)
    """
    is_largest = lax.broadcasted_iota(jnp.int32, z.shape, z.ndim - 1) == jnp.expand_dims(
        jnp.argmax(z, axis=-1).astype(jnp.int32), -1
    )
    # Selected, not jnp.max: for a fixed k all below is smooth in z, ties included.
    largest = jnp.sum(jnp.where(is_largest, z, 0), axis=-1, keepdims=True)
    # Several logits of +inf share the row, as large ones that are equal do.
    gap = jnp.where(is_largest | (z == jnp.inf), 0, largest - z)
    e = jnp.exp(-gap)
    s = jnp.sum(jnp.where(is_largest, 0, e), axis=-1, keepdims=True)
    a = e / (1 + s)
    return Softmax(a, jnp.where(is_largest, s / (1 + s), 1 - a), is_largest, gap, jnp.log1p(s))


@jax.custom_jvp
def softmax(z: Float[Array, "*m K"]) -> Float[Array, "*m K"]:
    """Softmax over the last axis: a_j = exp(z_j) / sum_p exp(z_p). Lecture 2, multiclass.

    >>> [round(float(a), 3) for a in softmax(jnp.array([0.0, 0.0]))]
    [0.5, 0.5]
    """
    return softmax_parts(z).a


def softmax_jacobian_product(
    z: Float[Array, "*m K"], v: Float[Array, "*m K"]
) -> Float[Array, "*m K"]:
    """The product of softmax's Jacobian (symmetric) with v: a_j (v_j - sum_p v_p a_p).

    Written with k = argmax z as a_j [(v_j - v_k) - sum_{p != k} (v_p - v_k) a_p], which does not
    subtract numbers that are equal but for rounding when a_k is near 1.

    >>> softmax_jacobian_product(jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0])).tolist()
    [0.25, -0.25]
    """
    parts = softmax_parts(z)
    at_largest = jnp.sum(jnp.where(parts.is_largest, v, 0), axis=-1, keepdims=True)
    relative = v - at_largest
    return parts.a * (relative - jnp.sum(relative * parts.a, axis=-1, keepdims=True))


# tangent :: (dz, a, z) -> da
softmax.defjvps(lambda dz, _a, z: softmax_jacobian_product(z, dz))
