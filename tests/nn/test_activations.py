"""Activations and their derivatives against exact arithmetic, over the range of float32."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from mpmath import mpf

from jaxnet.errors import UserError
from jaxnet.nn import activations
from jaxnet.nn.activations import ACTIVATIONS
from tests.nn.rows import close

ALPHA, SCALE = mpf(activations.SELU_ALPHA), mpf(activations.SELU_SCALE)
SLOPE = mpf(float(np.float32(activations.LEAKY_SLOPE)))


def sigmoid(z: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-z))


def sigmoid_slope(z: mpf) -> mpf:
    return sigmoid(z) * sigmoid(-z)


Exact = Callable[[mpf], mpf]
FORMULAS: dict[str, tuple[Exact, Exact]] = {
    "identity": (lambda z: z, lambda z: mpf(1)),
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "relu": (lambda z: max(z, mpf(0)), lambda z: mpf(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else SLOPE * z, lambda z: 1 if z > 0 else SLOPE),
    "elu": (
        lambda z: z if z > 0 else mpmath.expm1(z),
        lambda z: mpf(1) if z > 0 else mpmath.exp(z),
    ),
    "selu": (
        lambda z: SCALE * (z if z > 0 else ALPHA * mpmath.expm1(z)),
        lambda z: SCALE * (1 if z > 0 else ALPHA * mpmath.exp(z)),
    ),
    "gelu": (
        lambda z: z * mpmath.ncdf(z),
        lambda z: mpmath.ncdf(z) + z * mpmath.npdf(z),
    ),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid_slope(z),
    ),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), sigmoid),
}
# The error of gelu's and silu's derivatives is measured against the sum of their two terms.
TERMS: dict[str, Exact] = {
    "gelu": lambda z: mpmath.ncdf(z) + abs(z) * mpmath.npdf(z),
    "silu": lambda z: sigmoid(z) + abs(z) * sigmoid_slope(z),
}
# exp(-z^2 / 2) of gelu's tail at |z| = 11 has an exponent of 66, whose rounding is 4e-6.
TOLERANCES = {"gelu": 6e-6}
GRID = np.concatenate([np.linspace(-80, 80, 161), np.linspace(-4, 4, 101)]).astype(np.float32)


@cache
def computed() -> dict[str, dict[str, Any]]:
    """Values and derivatives of every activation on the grid, in one program."""

    @jax.jit
    def program(z):
        return {
            name: {
                "f": f(z),
                "derivative": derivative(z),
                "grad": jax.grad(lambda z, f=f: jnp.sum(f(z)))(z),
                "jvp": jax.jvp(f, (z,), (jnp.ones_like(z),)),
            }
            for name, (f, derivative) in ACTIVATIONS.items()
        }

    return jax.tree.map(np.asarray, program(jnp.asarray(GRID)))


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


def worst(got: np.ndarray, exact: list[mpf], scale: list[mpf]) -> float:
    """Largest relative error where the scale is above 1e-30."""
    return max(
        float(abs(mpf(float(found)) - right) / size)
        for found, right, size in zip(got, exact, scale, strict=True)
        if size > 1e-30
    )


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives_keep_their_digits_everywhere(name: str):
    f, slope = FORMULAS[name]
    with mpmath.workdps(120):
        points = [mpf(float(z)) for z in GRID]
        values, slopes = [f(z) for z in points], [mpf(slope(z)) for z in points]
        terms = [TERMS.get(name, lambda z: abs(mpf(slope(z))))(z) for z in points]
        limit = TOLERANCES.get(name, 1e-6)
        assert worst(computed()[name]["f"], values, [abs(v) for v in values]) < limit
        assert worst(computed()[name]["derivative"], slopes, terms) < limit


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_saturated_derivatives_are_not_zero(name: str):
    z = jnp.asarray([-40.0, -20.0, 20.0, 40.0])
    slopes = np.asarray(ACTIVATIONS[name].derivative(z))
    assert (slopes > 0).all()
    np.testing.assert_allclose(slopes, slopes[::-1], rtol=0)
    a = np.asarray(ACTIVATIONS[name].f(z))[2:]
    textbook = a * (1 - a) if name == "sigmoid" else 1 - a**2
    np.testing.assert_array_equal(textbook, 0)  # the form that the lectures print has lost it all


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jax_differentiates_through_the_closed_form(name: str):
    found = computed()[name]
    close(found["grad"], found["derivative"], 3e-7)
    close(found["jvp"][0], found["f"], 3e-7)
    close(found["jvp"][1], found["derivative"], 3e-7)


def test_second_derivatives_are_those_of_the_formulas():
    points = [-30.0, -3.5, -0.7, 0.9, 2.5, 30.0]

    @jax.jit
    def second(z):
        return {
            name: jax.vmap(jax.grad(jax.grad(found.f)))(z) for name, found in ACTIVATIONS.items()
        }

    with jax.enable_x64(True):
        by_name = second(jnp.asarray(points))
    with mpmath.workdps(60):
        for name, found in by_name.items():
            close(found, [float(mpmath.diff(FORMULAS[name][1], mpf(x))) for x in points], 1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_types_and_shapes_stay(name: str, dtype: str):
    with jax.enable_x64(dtype == "float64"):
        z = jnp.ones((2, 3), dtype)
        for function in ACTIVATIONS[name]:
            found = jax.eval_shape(function, z)
            assert found.dtype == z.dtype
            assert found.shape == z.shape


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_and_infinity_pass_as_they_should(name: str):
    f, derivative = ACTIVATIONS[name]
    assert np.isnan(f(jnp.float32(np.nan)))
    ends = jnp.asarray([1e30, -1e30, np.inf, -np.inf])
    assert not np.isnan(f(ends)).any()
    slopes = np.asarray(derivative(ends))
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[2:], slopes[:2])


def test_softmax_product_is_that_of_the_dense_jacobian():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        z = jnp.asarray(rng.normal(size=(20, 5)) * np.logspace(-2, 1.5, 20)[:, None])
        v = jnp.asarray(rng.normal(size=z.shape))

        @jax.jit
        def program(z, v):
            return (
                activations.softmax(z),
                activations.softmax_jacobian_product(z, v),
                jax.vjp(activations.softmax, z)[1](v)[0],
                jax.vmap(jax.jacfwd(activations.softmax))(z),
                jax.vmap(jax.jacrev(activations.softmax))(z),
            )

        a, product, by_jax, *jacobians = map(np.asarray, program(z, v))
    dense = np.einsum("mj,jk->mjk", a, np.eye(5)) - np.einsum("mj,mk->mjk", a, a)
    expected = np.einsum("mjk,mk->mj", dense, v)
    close(product, expected, 1e-13)
    close(by_jax, expected, 1e-13)
    for jacobian in jacobians:
        close(jacobian, dense, 1e-13)


def test_softmax_keeps_its_digits_and_its_complement():
    z = np.float32([[80, 0, 79.5], [0, 0, 0], [-40, 40, 39], [25, -25, -54.5], [1e-3, 0, -1e-3]])
    parts = activations.softmax_parts(jnp.asarray(z))
    with mpmath.workdps(120):
        e = [[mpmath.exp(mpf(float(x))) for x in row] for row in z]
        a = [[x / mpmath.fsum(row) for x in row] for row in e]
        flat = [x for row in a for x in row]
        rest = [mpmath.fsum(row) - x for row in a for x in row]
        assert worst(np.asarray(parts.a).ravel(), flat, flat) < 5e-6
        assert worst(np.asarray(parts.complement).ravel(), rest, rest) < 5e-6
    np.testing.assert_allclose(np.asarray(parts.a).sum(axis=1), 1, rtol=1e-6)


def test_softmax_of_ties_and_of_masked_classes():
    z = jnp.asarray([[1.0, 1.0, -jnp.inf], [-jnp.inf, 3.0, -jnp.inf]])
    np.testing.assert_array_equal(activations.softmax(z), [[0.5, 0.5, 0], [0, 1, 0]])
    np.testing.assert_array_equal(activations.softmax_parts(z).complement[1], [1, 0, 1])
    slopes = jax.jit(jax.vmap(jax.jacrev(activations.softmax)))(z)
    np.testing.assert_allclose(slopes[0, :2, :2], [[0.25, -0.25], [-0.25, 0.25]])


def test_an_unknown_activation_is_named_with_those_there_are():
    with pytest.raises(UserError, match="no activation is called 'swish'; choose from identity"):
        activations.find("swish")
    with pytest.raises(UserError, match="'softmax'"):
        activations.find("softmax")
