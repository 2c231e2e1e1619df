"""What every loss of the registry must do under the transformations of JAX. One row a loss.

All that a row needs is computed in two compiled programs, one in float32 and one in float64; the
tests look at their results.
"""

from functools import cache, partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import losses
from tests.nn.rows import BARE, ROWS, SOFT, UNOPTIMISED, Row, close, each, same

pytestmark = pytest.mark.both

every_row = each(ROWS)
every_loss = each([row for row in BARE if not row.soft])
# Second derivatives and the like: soft targets of the bare losses would add nothing to hard ones.
most_rows = each([row for row in ROWS if row.options or not row.soft])
with_numbers = each([row for row in ROWS if row.numbers])

FORMS = ("closed", "twin", "plain")


def forms(row: Row) -> dict[str, Any]:
    """The three forms of a loss, called with (z, y, options)."""
    loss = row.loss
    return {
        name: lambda z, y, o, f=f: f(z, y, **o, **row.words)
        for name, f in zip(FORMS, (loss, loss.forward_mode, loss.plain), strict=True)
    }


@cache
def float32(row: Row) -> dict[str, Any]:
    """Values and gradients of every form, with a cotangent for each row."""
    z, y = row.draw()
    g = row.cotangents()

    @jax.jit
    def program(z, y, o):
        found: dict[str, Any] = {"delta": row.loss.delta(z, y, **o, **row.words)}
        for name, f in forms(row).items():
            inputs = (z, o, y) if row.soft else (z, o)
            value, pull = jax.vjp(lambda z, o, y=y, f=f: f(z, y, o), *inputs)
            found[name] = {"value": value, "gradient": pull(g)}
        return found

    return jax.tree.map(np.asarray, program(z, y, row.numbers))


@cache
def float64(row: Row) -> dict[str, Any]:
    """All other transformations, and gradients and second derivatives asked for in every way."""
    with jax.enable_x64(True):
        (z, y), other = (row.draw(seed, m=2, dtype=np.float64) for seed in (0, 1))
        stacks = tuple(map(jnp.stack, zip((z, y), other, strict=True)))
        o = {k: jnp.asarray(v, np.float64) for k, v in row.numbers.items()}
        g = jnp.asarray([-1.75, 0.3])
        closed, twin, plain = forms(row).values()
        fixed = z

        def total(f):
            return lambda z: jnp.vdot(g, f(z, y, o))

        def forward_over_reverse(f, z):
            return jax.jvp(jax.grad(total(f)), (z,), (jnp.sin(z),))[1]

        @partial(jax.jit, compiler_options=UNOPTIMISED)
        def program(z, o):
            along = jax.tree.map(jnp.ones_like, o)
            slopes = jax.vmap(jax.grad(lambda z, y: jnp.vdot(g, closed(z, y, o))))
            return {
                "gradients": [jax.grad(total(f))(z) for f in (closed, twin, plain)],
                "jvp": jax.jvp(lambda z: twin(z, y, o), (z,), (jnp.cos(z),))[1],
                "jvp of plain": jax.jvp(lambda z: plain(z, y, o), (z,), (jnp.cos(z),))[1],
                "linear": jax.linearize(lambda z: twin(z, y, o), z)[1](jnp.cos(z)),
                "in options": jax.jvp(lambda o: twin(z, y, o), (o,), (along,))[1],
                "in options of plain": jax.jvp(lambda o: plain(z, y, o), (o,), (along,))[1],
                "second": forward_over_reverse(plain, z),
                # Of the custom_vjp too: its forward rule calls the plain value.
                "seconds": [
                    forward_over_reverse(closed, z),
                    forward_over_reverse(twin, z),
                    jax.grad(lambda z: jnp.vdot(jax.grad(total(closed))(z), jnp.sin(fixed)))(z),
                ],
                "vmap": (jax.vmap(lambda z, y: closed(z, y, o))(*stacks), slopes(*stacks)),
                "loop": [
                    (closed(z, y, o), columns(g, z) * row.loss.delta(z, y, **o, **row.words))
                    for z, y in ((z, y), other)
                ],
            }

        return jax.tree.map(np.asarray, program(z, o))


def columns(g, z):
    """Row factors in the shape that multiplies z."""
    return g.reshape((-1,) + (1,) * (z.ndim - 1))


@pytest.mark.optimised
@every_row
def test_value_alone_and_with_gradients_are_the_same_bits(row: Row):
    z, y = row.draw()
    alone = jax.jit(forms(row)["closed"])(z, y, row.numbers)
    assert alone.shape == (len(z),)
    assert alone.dtype == jnp.float32
    assert np.isfinite(alone).all()
    for form in FORMS:
        same(float32(row)[form]["value"], alone)


@pytest.mark.optimised
@every_loss
def test_value_and_gradient_op_by_op_are_the_same_bits(row: Row):
    z, y = row.draw()
    g = row.cotangents()
    value, pull = jax.vjp(lambda z: row.loss(z, y), z)
    same(value, row.loss(z, y))
    same(value, row.loss.plain(z, y))
    same(value, row.loss.forward_mode(z, y))
    same(pull(g)[0], row.loss.delta(z, y) * columns(g, z))


@pytest.mark.optimised
@every_row
def test_gradients_are_delta_times_the_cotangent(row: Row):
    z, _ = row.draw()
    found = float32(row)
    for form in ("closed", "twin"):
        close(found[form]["gradient"][0], found["delta"] * columns(row.cotangents(), z), 1e-6)


@most_rows
def test_gradients_are_those_of_the_plain_loss_in_float64(row: Row):
    closed, twin, plain = float64(row)["gradients"]
    assert closed.dtype == np.float64
    close(closed, plain, 1e-12)
    close(twin, plain, 1e-12)


@every_row
def test_the_loss_refuses_forward_mode(row: Row):
    z, y = row.draw()
    closed = partial(row.loss, targets=y, **row.options)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jit(lambda z: jax.jvp(closed, (z,), (z,))).lower(z)


@most_rows
def test_its_twin_serves_forward_mode(row: Row):
    found = float64(row)
    close(found["jvp"], found["jvp of plain"], 1e-12)
    close(found["linear"], found["jvp"], 1e-12)
    if row.numbers:
        close(found["in options"], found["in options of plain"], 1e-12)


@most_rows
def test_products_with_the_hessian_agree_every_way(row: Row):
    found = float64(row)
    assert np.isfinite(found["second"]).all()
    for way in found["seconds"]:
        close(way, found["second"], 1e-9)


@most_rows
def test_vmap_is_a_loop(row: Row):
    values, slopes = float64(row)["vmap"]
    for index, (value, slope) in enumerate(float64(row)["loop"]):
        close(values[index], value, 1e-12)
        close(slopes[index], slope, 1e-12)


@pytest.mark.optimised
@with_numbers
def test_gradients_in_options_are_those_of_autodiff(row: Row):
    closed, twin, plain = (float32(row)[form]["gradient"][1] for form in FORMS)
    for name, expected in plain.items():
        assert np.isfinite(expected).all()
        close(closed[name], expected, 1e-6)
        close(twin[name], expected, 1e-6)


@pytest.mark.optimised
@each(SOFT)
def test_gradients_in_soft_targets_are_those_of_autodiff(row: Row):
    closed, twin, plain = (float32(row)[form]["gradient"][2] for form in FORMS)
    assert np.abs(plain).max() > 0.1
    close(closed, plain, 1e-6)
    close(twin, plain, 1e-6)


@every_loss
def test_narrow_logits_give_float32_losses_and_narrow_gradients(row: Row):
    z, y = row.draw()

    @jax.jit
    def both(z):
        return row.loss(z, y), jax.grad(lambda z: losses.sum(row.loss(z, y)))(z)

    for dtype in (jnp.bfloat16, jnp.float16):
        narrow = z.astype(dtype)
        value, dz = both(narrow)
        assert value.dtype == jnp.float32
        assert dz.dtype == dtype
        assert jax.eval_shape(row.loss.delta, narrow, y).dtype == dtype
        wide, slope = both(narrow.astype(jnp.float32))
        close(value, wide, 1e-6)
        close(dz.astype(jnp.float32), slope, 4e-3)


@every_row
def test_only_logits_targets_and_options_are_kept_for_the_backward_pass(row: Row):
    z, y = row.draw()
    pull = jax.eval_shape(
        lambda z, y, o: jax.vjp(lambda z: forms(row)["closed"](z, y, o), z)[1], z, y, row.numbers
    )
    kept = sorted(x.shape for x in jax.tree.leaves(pull))
    assert kept == sorted([z.shape, y.shape, *map(np.shape, row.numbers.values())])


def primitives(jaxpr) -> list[str]:
    """Names of all operations, those of inner programs included."""
    names = []
    for equation in jaxpr.eqns:
        inner = [v for v in equation.params.values() if hasattr(v, "jaxpr")]
        names += [name for v in inner for name in primitives(v.jaxpr)] or [str(equation.primitive)]
    return sorted(names)


@pytest.mark.optimised
@every_row
def test_the_value_does_not_pay_for_the_gradient(row: Row):
    z, y = row.draw()
    closed, twin, plain = (
        primitives(jax.make_jaxpr(f)(z, y, row.numbers).jaxpr) for f in forms(row).values()
    )
    assert closed == plain
    assert twin == plain
    # And for the counter of operations: the gradient would show in it.
    alone, with_gradient = (
        jax.jit(f).lower(z, y).cost_analysis()["flops"]
        for f in (
            partial(row.loss, **row.options),
            jax.grad(lambda z, y: losses.sum(row.loss(z, y, **row.options))),
        )
    )
    plain_cost = jax.jit(partial(row.loss.plain, **row.options)).lower(z, y).cost_analysis()
    assert alone == plain_cost["flops"]
    assert alone != with_gradient


@with_numbers
def test_new_numbers_in_options_do_not_retrace(row: Row):
    z, y = row.draw()
    chex.clear_trace_counter()

    @partial(jax.jit, compiler_options=UNOPTIMISED)
    @chex.assert_max_traces(n=1)
    def step(z, o):
        return jax.grad(lambda z: losses.mean(forms(row)["closed"](z, y, o)))(z)

    first = step(z, row.numbers)
    second = step(z, {k: 0.5 * v + 0.1 for k, v in row.numbers.items()})
    assert np.isfinite(first).all()
    assert not np.array_equal(first, second)
