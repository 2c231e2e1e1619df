"""Stochastic rounding: to a neighbour, right in the mean, by chances of seed, step and block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.training.rounding import rounded


def draw(x, *, seed=0, step=0, block=0):
    x = jnp.asarray(x, jnp.float32)
    return rounded(x, jnp.bfloat16, jnp.uint32(seed), jnp.int32(step), block)


def neighbours(x):
    """The numbers of bfloat16 at or nearer to 0 than x, and the next beyond."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    below = (bits & 0xFFFF0000).view(np.float32)
    above = ((bits & 0xFFFF0000) + 0x10000).astype(np.uint32).view(np.float32)
    return below, np.where(below == x, below, above)


def wide(x):
    return np.asarray(x, np.float32)


def test_to_one_of_two_neighbours():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=4000) * 10.0 ** rng.integers(-40, 30, 4000)).astype(np.float32)
    below, above = neighbours(x)
    found = wide(draw(x))
    assert ((found == below) | (found == above)).all()
    assert 0.4 < (found == below)[below != above].mean() < 0.6


@pytest.mark.parametrize("x", [1.001, -1.001, 1.0070, 3e-30, -2.5e20])
def test_the_mean_is_kept(x):
    number = 100_000
    below, above = (float(each) for each in neighbours(np.float32(x)))
    share = (np.float64(np.float32(x)) - below) / (above - below)
    found = (wide(draw(np.full(number, x))) == np.float32(above)).mean()
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / number)


def test_what_bfloat16_holds_stays_and_so_does_what_is_not_finite():
    x = jnp.asarray([0.0, -0.0, 1.0, -1.5, 2.0**-133, 3.3895314e38], jnp.float32)
    held = x.astype(jnp.bfloat16)
    for step in range(50):
        np.testing.assert_array_equal(wide(draw(x, step=step)), wide(held))
    odd = draw([jnp.inf, -jnp.inf, jnp.nan], step=1)
    np.testing.assert_array_equal(wide(odd), np.float32([np.inf, -np.inf, np.nan]))


def test_the_same_bits_from_the_same_seed_step_and_block():
    x = np.linspace(1, 2, 500)
    first = wide(draw(x, seed=1, step=2, block=3))
    np.testing.assert_array_equal(first, wide(draw(x, seed=1, step=2, block=jnp.int32(3))))
    for other in ({"seed": 2, "step": 2, "block": 3}, {"seed": 1, "step": 3, "block": 3},
                  {"seed": 1, "step": 2, "block": 4}):  # fmt: skip
        assert (wide(draw(x, **other)) != first).mean() > 0.2
    # Seeds, steps and blocks do not stand in for one another.
    swapped = wide(draw(x, seed=2, step=1, block=3)), wide(draw(x, seed=1, step=3, block=2))
    assert all((each != first).mean() > 0.2 for each in swapped)


def test_numbers_of_one_call_are_drawn_apart():
    found = wide(draw(np.full((64, 64), 1.0039))) == 1.0
    assert 0.4 < found.mean() < 0.6
    for axis in (0, 1):
        assert found.any(axis=axis).all()
        assert not found.all(axis=axis).any()


def test_other_types_are_refused():
    seed, step = jnp.uint32(0), jnp.int32(0)
    for x, kind in ((jnp.ones(2, jnp.bfloat16), jnp.bfloat16), (jnp.ones(2), jnp.float16)):
        with pytest.raises(UserError, match="stochastic rounding takes float32 to bfloat16, not"):
            rounded(x, kind, seed, step, 0)


def test_it_is_the_same_when_compiled():
    x = jnp.linspace(1, 2, 100, dtype=jnp.float32)
    run = jax.jit(lambda x, block: rounded(x, jnp.bfloat16, jnp.uint32(5), jnp.int32(7), block))
    np.testing.assert_array_equal(wide(run(x, 8)), wide(draw(x, seed=5, step=7, block=8)))
