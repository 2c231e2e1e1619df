"""Heads that change block by block: weights of bfloat16, and what is never made."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Sets
from jaxnet.training import epoch, head_step, state
from jaxnet.training.epoch import Program
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.state import Head
from tests.training.test_head_step import (
    LOSS,
    RATES,
    H,
    K,
    N,
    begun,
    close,
    drawn,
    program_of,
    same,
    train,
)

pytestmark = pytest.mark.sampled(3)


def constant_gradient(
    steps: int, rate: float, weights: str = "bfloat16", *, seed: int = 3, first: int = 0
) -> np.ndarray:
    """W, from 1 on, of SGD whose gradient is the same for all: hidden units of 1, and no labels."""
    optimizer, data = Optimizer("sgd"), drawn("dense")
    nothing = jnp.zeros(0, jnp.int32)
    data = data._replace(sets=Sets(jnp.zeros(N + 1, jnp.int32), nothing, nothing))
    now = begun("linear_blocks", optimizer, kind="dense", weights=weights, weight_decay=0.0,
                learning_rate=rate)  # fmt: skip
    layer, head = now.params.layers
    layer = layer._replace(W=layer.W * 0, b=jnp.ones_like(layer.b))
    head = head._replace(W=jnp.ones(head.W.shape, head.W.dtype))
    now = now._replace(
        params=now.params._replace(layers=(layer, head)),
        seed=jnp.uint32(seed),
        step=jnp.int32(first),
    )
    after, finite = train(program_of("linear_blocks", optimizer), now, data, steps)
    assert finite
    return np.asarray(head_step.split(after.params)[1].W, np.float64)


def test_narrow_weights_keep_their_types():
    optimizer, data = Optimizer("adamw", ema=0.9), drawn("bags")
    start = begun("linear_blocks", optimizer, weights="bfloat16")
    after, _ = train(program_of("linear_blocks", optimizer), start, data, 3)
    for now in (start, after):
        _, head = head_step.split(now.params)
        assert head.W.dtype == jnp.bfloat16
        rest = (now.params.layers[0], head.b, now.moments.head.mu, now.moments.head.nu, now.average)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(rest)} == {"float32"}
    exact, _ = train(
        program_of("linear_blocks", optimizer), begun("linear_blocks", optimizer), data, 3
    )
    W = np.asarray(head_step.split(after.params)[1].W, np.float32)
    close(W, np.asarray(head_step.split(exact.params)[1].W), 2e-2)


def test_many_tiny_updates_arrive_in_the_mean():
    """Each moves a weight of 1 by less than a hundredth of what bfloat16 tells apart."""
    moved, wanted = (constant_gradient(60, 3e-5, kind) - 1 for kind in ("bfloat16", "float32"))
    assert 1e-3 < abs(wanted.mean()) < 2.0**-9  # to the nearest, all of it would be lost
    # Each of 222 weights is off by half of 2^-8 in the end: three deviations of their mean.
    assert abs(moved.mean() - wanted.mean()) < 3 * 2.0**-9 / np.sqrt(K * H)


def test_what_is_drawn_depends_on_seed_step_and_block():
    """From 1 to about half-way down to the next number: each weight moves or stays, by chance."""
    W = constant_gradient(1, 0.002)
    assert 0.3 < (W == 1).mean() < 0.7
    same(W, constant_gradient(1, 0.002))
    for other in (constant_gradient(1, 0.002, seed=4), constant_gradient(1, 0.002, first=1)):
        assert ((W == 1) != (other == 1)).mean() > 0.3
    assert ((W[:8] == 1) != (W[8:16] == 1)).mean() > 0.2


def temporary(labels: int, optimizer: Optimizer, weights: str = "float32") -> int:
    """Bytes beyond the arguments of a stretch with 64 rows a batch and 64 hidden units."""
    m = width = 64
    begin = lambda: state.begin((500, width, labels), optimizer, state.hyper(**RATES), seed=0,  # noqa: E731
                                bag_spread=1.0, head=Head("linear_blocks", weights))  # fmt: skip
    shape = jax.ShapeDtypeStruct
    x = Bags(shape((257,), jnp.int32), shape((2560,), jnp.int32), shape((2560,), jnp.float32))
    y = Sets(shape((257,), jnp.int32), shape((768,), jnp.int32), shape((5,), jnp.int32))
    program = Program(LOSS, optimizer=optimizer, batch_size=m, head="linear_blocks", block=2048)
    order = shape((4, m), jnp.int32)
    lowered = epoch.compiled(program).lower(jax.eval_shape(begin), x, y, order, 2)
    return lowered.compile().memory_analysis().temp_size_in_bytes


@pytest.mark.optimised
@pytest.mark.parametrize(
    "optimizer",
    [Optimizer("adamw", ema=0.99), Optimizer("sgd"), Optimizer("lion")],
    ids=lambda o: o.name,
)
def test_neither_a_gradient_of_the_head_nor_its_logits_nor_a_copy(optimizer: Optimizer):
    """W takes 16 MiB at 65,536 labels, and logits of a batch as much."""
    one, two = (temporary(labels, optimizer) for labels in (65_536, 131_072))
    assert one < 6 * 2**20
    assert two - one < 2**20  # a vector of labels


@pytest.mark.optimised
def test_narrow_weights_have_one_narrow_copy():
    """XLA on CPU goes through words of 16 bits; widened, W would take 32 MiB, and at each block."""
    assert temporary(131_072, Optimizer("adamw"), "bfloat16") < (16 + 6) * 2**20
