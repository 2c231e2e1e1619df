"""Memory of linear heads, as the compiler plans it, against dense autodiff."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from jaxnet import linear_heads

pytestmark = [pytest.mark.optimised, pytest.mark.both]


def temp(function: Any, K: int, targets: Any, m: int = 2048, H: int = 128) -> float:
    """MiB of temporary memory of the compiled program."""
    at = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((m, H), (K, H), (K,))]
    compiled = jax.jit(function).lower(*at, targets).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def usual_multilabel(x: Any, W: Any, b: Any, y: Any) -> Any:
    """What others leave to autodiff."""
    z = x @ W.T + b[None, :]
    return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def usual_categorical(x: Any, W: Any, b: Any, y: Any) -> Any:
    """What others leave to autodiff."""
    a = jax.nn.log_softmax(x @ W.T + b[None, :])
    return -jnp.sum(jnp.take_along_axis(a, y[:, None], axis=1))


def test_memory_is_a_few_tiles_whatever_the_number_of_labels():
    m, K = 2048, 65_536
    several = jax.ShapeDtypeStruct((m, 8), jnp.int32)
    one = jax.ShapeDtypeStruct((m,), jnp.int32)
    everything = jax.ShapeDtypeStruct((m, K), jnp.float32)
    dense = {
        "multilabel": temp(jax.value_and_grad(usual_multilabel, (0, 1, 2)), K, everything),
        "categorical": temp(jax.value_and_grad(usual_categorical, (0, 1, 2)), K, one),
    }
    for head, y in ((linear_heads.multilabel, several), (linear_heads.categorical, one)):

        def losses_of(*at: Any, head: Any = head) -> Any:
            return jnp.sum(head(*at))

        for function in {losses_of, head.sum if head.rule.both else losses_of}:
            mine = temp(jax.value_and_grad(function, (0, 1, 2)), K, y)
            assert mine < dense[head.name] / 12
            assert mine < 16
        # dW is 32 MiB: dX alone must not pay for it
        assert temp(jax.grad(losses_of, 0), K, y) < 16
        assert temp(jax.value_and_grad(losses_of, (0, 1, 2)), 4 * K, y) < 16
