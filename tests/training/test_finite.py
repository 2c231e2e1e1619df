"""Whether gradients and their squares are finite."""

import jax.numpy as jnp
import pytest

from jaxnet.training.finite import all_finite


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(
    ("number", "fine"),
    [(0.0, True), (1e15, True), (-1e17, True), (1e19, False), (-1e19, False),
     (float("nan"), False), (float("inf"), False), (-float("inf"), False)],
)  # fmt: skip
def test_one_number_decides(number, fine, at):
    leaves = [jnp.ones((3, 5)), jnp.ones(4)]
    leaves[at] = leaves[at].at[(2,) * leaves[at].ndim].set(number)
    assert bool(all_finite(leaves)) is fine


def test_infinities_do_not_cancel():
    both = jnp.array([jnp.inf, -jnp.inf])
    assert not all_finite([both])
    assert not all_finite([both[:1], both[1:]])
    assert all_finite([])
    assert all_finite([jnp.zeros((0, 3)), jnp.zeros((3, 0))])
