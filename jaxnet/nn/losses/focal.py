"""Focal and asymmetric loss: cross-entropy behind sigmoids that looks away from easy examples.

(1 - p)^g = exp(-g softplus(z)) is computed in two factors: softplus(z) is cut into sixteenths,
whose product with a g of few digits is exact, and what is left, so that nothing is lost at
|z| = 80. At an infinite logit the limit is taken.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.nn.activations import FAR, sigmoid, softplus
from jaxnet.nn.losses.core import register
from jaxnet.nn.losses.layout import ELEMENTWISE
from jaxnet.nn.losses.sigmoid import Pair, Sides, behind_sigmoid


@jax.custom_jvp
def _power(z: Float[Array, "m K"], g: Any) -> Float[Array, "m K"]:
    """sigmoid(z)^g."""
    below = jnp.minimum(jnp.maximum(-z, 0), FAR)
    high = jnp.round(16 * below) / 16
    rest = (below - high) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    # Left alone, XLA would make exp(A) exp(B) exp(A + B), and round away what B holds.
    return jnp.exp(-g * high) * jnp.where(jnp.isnan(z), z, jnp.exp(-g * rest))


# tangent :: (dz, dg) -> d power: the kinks of max and |.| at 0 cancel, which autodiff cannot know.
_power.defjvps(
    lambda dz, power, z, g: dz * g * power * sigmoid(-z),
    lambda dg, power, z, g: -dg * power * softplus(-jnp.maximum(z, -FAR)),
)


def _entropy(z: Array) -> Array:
    """-p log p, p = sigmoid(z)."""
    return sigmoid(z) * softplus(-jnp.maximum(z, -FAR))


def _positive(z: Array, g: Any) -> Array:
    """(1 - p)^g (-log p), p = sigmoid(z)."""
    return _power(-z, g) * softplus(-z)


def _positive_slope(z: Array, g: Any) -> Array:
    """(1 - p)^g (g p log p + p - 1): two terms of one sign."""
    return -_power(-z, g) * (g * _entropy(z) + sigmoid(-z))


def _positive_seed(a: Array, g: Any) -> Array:
    """d/da of -(1 - a)^g log a = g (1 - a)^(g - 1) log a - (1 - a)^g / a."""
    return (1 - a) ** g * (g * jnp.log(a) / (1 - a) - 1 / a)


def _usual_positive(z: Array, g: Any) -> Array:
    """As other libraries write it: the power of 1 - p_t times the stable cross-entropy."""
    p = 1 / (1 + jnp.exp(-z))
    return (1 - p) ** g * (jnp.maximum(z, 0) - z + jnp.log1p(jnp.exp(-jnp.abs(z))))


def _both(side: Any) -> Any:
    return lambda z, gamma: (side(z, gamma), side(-z, gamma))


focal = register(
    behind_sigmoid(
        "focal",
        ELEMENTWISE,
        Sides(
            value=_both(_positive),
            slope=lambda z, gamma: (_positive_slope(z, gamma), -_positive_slope(-z, gamma)),
            seed=lambda a, gamma: (_positive_seed(a, gamma), -_positive_seed(1 - a, gamma)),
            usual=_both(_usual_positive),
        ),
        {"gamma": 2.0},
        """Sigmoid focal loss (Lin et al. 2017).

    L = -y (1 - a)^g log a - (1 - y) a^g log(1 - a),  a = sigmoid(z)
    dL/dz = (2y - 1) (1 - p)^g (g p log p + p - 1),  p = sigmoid((2y - 1) z), for y in {0, 1}

    g = gamma (2 by default) >= 0; gamma 0 is cross-entropy. The paper's alpha is pos_weight.
    Shapes: logits and targets (m,) or [..., K], equal. Options: gamma, label_smoothing,
    pos_weight, class_weight ((2,) for one column, else (K,)), labels.

    >>> float(focal(jnp.array([0.0]), jnp.array([1]), gamma=2.0)[0])  # log 2 / 4
    0.1732867956161499
    """,
    )
)


def _shifted(z: Array, clip: Any) -> tuple[Array, Array, Array]:
    """(p - clip or a harmless number, 1 - that, p > clip); p = sigmoid(z)."""
    active = sigmoid(z) > clip
    safe = jnp.where(active, sigmoid(z) - clip, 0.5)
    return safe, jnp.where(active, sigmoid(-z) + clip, 0.5), active


def _shifted_power(z: Array, pm: Array, g: Any, clip: Any) -> Array:
    return jnp.where(clip == 0, _power(z, g), pm**g)


def _log1m(pm: Array, rest: Array) -> Array:
    """-log(1 - pm) from pm and rest = 1 - pm, whichever is exact."""
    near_one = pm > 0.5
    tiny = jnp.finfo(rest.dtype).tiny
    large = -jnp.log(jnp.maximum(jnp.where(near_one, rest, 0.5), tiny))
    return jnp.where(near_one, large, -jnp.log1p(-jnp.where(near_one, 0.5, pm)))


def _negative(z: Array, g: Any, clip: Any) -> Array:
    """pm^g (-log(1 - pm)), pm = max(p - clip, 0)."""
    pm, rest, active = _shifted(z, clip)
    cross_entropy = jnp.where(clip == 0, softplus(z), _log1m(pm, rest))
    return jnp.where(active, _shifted_power(z, pm, g, clip) * cross_entropy, 0)


def _negative_slope(z: Array, g: Any, clip: Any, shift: Any = 0.0) -> Array:
    """pm^g [g (-log(1 - pm)) / pm + 1 / (1 - pm)] p (1 - p); 0 inside the shift."""
    pm, rest, active = _shifted(z, clip)
    pm = pm + shift
    entropy = jnp.where(clip == 0, _entropy(-z), _log1m(pm, rest) * sigmoid(-z))
    p_over_pm = jnp.where(clip == 0, 1, sigmoid(z) / pm)
    q_over_rest = jnp.where(clip == 0, 1, sigmoid(-z) / jnp.where(rest == 0, 1, rest))
    slope = g * entropy * p_over_pm + sigmoid(z) * q_over_rest
    return jnp.where(active, _shifted_power(z, pm, g, clip) * slope, 0)


def _negative_seed(a: Array, g: Any, clip: Any) -> Array:
    pm = jnp.where(a > clip, a - clip, 0.5)
    seed = pm**g * (-g * jnp.log1p(-pm) / pm + 1 / (1 - pm))
    return jnp.where(a > clip, seed, 0)


def _usual_negative(z: Array, g: Any, clip: Any) -> Array:
    rest = jnp.minimum(1 - 1 / (1 + jnp.exp(-z)) + clip, 1)
    return jnp.maximum(1 - rest, 1e-8) ** g * -jnp.log(jnp.maximum(rest, 1e-8))


def _usual_asymmetric(z: Array, gamma_pos: Any, gamma_neg: Any, clip: Any) -> Pair:
    p = 1 / (1 + jnp.exp(-z))
    positive = jnp.maximum(1 - p, 1e-8) ** gamma_pos * -jnp.log(jnp.maximum(p, 1e-8))
    return positive, _usual_negative(z, gamma_neg, clip)


asymmetric = register(
    behind_sigmoid(
        "asymmetric",
        ELEMENTWISE,
        Sides(
            value=lambda z, gamma_pos, gamma_neg, clip: (
                _positive(z, gamma_pos),
                _negative(z, gamma_neg, clip),
            ),
            slope=lambda z, gamma_pos, gamma_neg, clip: (
                _positive_slope(z, gamma_pos),
                _negative_slope(z, gamma_neg, clip),
            ),
            seed=lambda a, gamma_pos, gamma_neg, clip: (
                _positive_seed(a, gamma_pos),
                _negative_seed(a, gamma_neg, clip),
            ),
            # p - clip cancels just above the shift: measure against p + clip there.
            bound=lambda z, gamma_pos, gamma_neg, clip: (
                _positive_slope(z, gamma_pos),
                _negative_slope(z, gamma_neg, clip, shift=2 * clip),
            ),
            usual=_usual_asymmetric,
        ),
        {"gamma_pos": 0.0, "gamma_neg": 4.0, "clip": 0.05},
        """Asymmetric loss for labels that are mostly absent (Ridnik et al. 2021).

    L = -y (1 - a)^g+ log a - (1 - y) am^g- log(1 - am),  a = sigmoid(z), am = max(a - clip, 0)

    Easy negatives (a <= clip) cost nothing and pull at nothing: the slope is 0 there.
    Shapes: logits and targets (m,) or [..., K], equal. Options: gamma_pos (0), gamma_neg
    (4), clip (0.05), label_smoothing, pos_weight, class_weight, labels.

    >>> float(asymmetric(jnp.array([-4.0]), jnp.array([0]))[0])
    0.0
    """,
    )
)
