"""Numeric columns as waves: each number becomes a few learned functions of it.

    c_jf = cos(2 pi x_j w_jf + b_jf)                  F waves of column j
    e_j  = c_j V_j + v_j                              their mix, E numbers

A layer of sums and ReLUs is slow to learn a function that turns often; waves give it one to start
from. After PBLD of RealMLP (Holzmueller et al.: Better by default, 2024), which follows Gorishniy
et al.: On embeddings for numerical features in tabular deep learning, 2022.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.nn import meshes
from jaxnet.nn.mlp import Key

FREQUENCIES = 16
SPREAD = 0.1  # deviation of w: a scaled column of -3 to 3 sees about half a wave


class Periodic(NamedTuple):
    """Parameters of the waves of p columns.

    Attributes:
        w, b: frequency and phase of each wave, (p, F).
        V, v: how the waves of a column are mixed, (p, F, E) and (p, E).
    """

    w: Float[Array, "p F"]
    b: Float[Array, "p F"]
    V: Float[Array, "p F E"]
    v: Float[Array, "p E"]


def init(key: Key, columns: int, size: int, *, frequencies: int = FREQUENCIES) -> Periodic:
    """Draw the waves of p columns: w ~ N(0, 0.1^2), b ~ U(-pi, pi), V and v ~ U(-1/4, 1/4).

    Args:
        key: a JAX random key.
        columns: p, how many numbers a row starts with.
        size: E, numbers that each of them becomes.

    >>> init(jax.random.key(0), 5, 3).V.shape
    (5, 16, 3)
    """
    shapes = ((columns, frequencies), (columns, frequencies, size), (columns, size))
    counts = [math.prod(shape) for shape in shapes]
    # One draw of each kind: compiling a generator takes a good part of a second.
    uniform = jax.random.uniform(key, (sum(counts),), jnp.float32, -1, 1)
    b, V, v = (
        part.reshape(shape)
        for part, shape in zip(
            jnp.split(uniform, [counts[0], counts[0] + counts[1]]), shapes, strict=True
        )
    )
    w = SPREAD * jax.random.normal(jax.random.fold_in(key, 1), shapes[0], jnp.float32)
    return Periodic(w, jnp.pi * b, V / 4, v / 4)


def embed(waves: Periodic, x: Float[Array, "m p"]) -> Float[Array, "m pE"]:
    """e (m, p E) of the numbers x (m, p), column by column.

    >>> embed(init(jax.random.key(0), 5, 3), jnp.ones((2, 5))).shape
    (2, 15)
    """

    def mixed(waves: Periodic, x: Array) -> Array:
        c = jnp.cos(_phases(waves, x))
        return (jnp.einsum("mpf,pfe->mpe", c, waves.V) + waves.v[None]).reshape(x.shape[0], -1)

    return meshes.automatic(mixed, waves, x, out=meshes.spec(meshes.divided(x), None))


def gradients(waves: Periodic, x: Float[Array, "m p"], delta: Float[Array, "m pE"]) -> Periodic:
    """dJ/d(w, b, V, v) from delta = dJ/de (m, p E), by the chain rule written out.

        dv = sum_m delta        dV = sum_m c^T delta       dc = delta V^T
        db = -sum_m sin(.) dc   dw = -2 pi sum_m x sin(.) dc

    >>> waves, x = init(jax.random.key(0), 5, 3), jnp.ones((2, 5))
    >>> gradients(waves, x, jnp.ones((2, 15))).w.shape
    (5, 16)
    """

    def by_the_chain_rule(waves: Periodic, x: Array, delta: Array) -> Periodic:
        phases = _phases(waves, x)
        d = delta.reshape(*x.shape, -1)
        turned = -jnp.sin(phases) * jnp.einsum("mpe,pfe->mpf", d, waves.V)
        found = Periodic(
            w=2 * jnp.pi * jnp.einsum("mp,mpf->pf", x, turned),
            b=jnp.sum(turned, axis=0),
            V=jnp.einsum("mpf,mpe->pfe", jnp.cos(phases), d),
            v=jnp.sum(d, axis=0),
        )
        return meshes.summed_like(found, waves)

    return meshes.automatic(by_the_chain_rule, waves, x, delta, out=meshes.specs_of(waves))


def _phases(waves: Periodic, x: Any) -> Float[Array, "m p F"]:
    return 2 * jnp.pi * x[:, :, None] * waves.w[None] + waves.b[None]
