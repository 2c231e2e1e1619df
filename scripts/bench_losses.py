"""Losses beside optax's: time of value and gradient, and the error of the gradient.

    .venv/bin/python scripts/bench_losses.py [--rows 2048] [--classes 1000] [--rounds 9]

Each pair is compiled with `jax.jit` and called in turn; the ratio is that of the lower quartiles of
process CPU time (and of wall time), in one process. `smoothing as an array` is how training calls
the loss. Run it with `taskset -c 0` for one thread.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet import losses

Function = Callable[..., Any]


def value_and_gradient(per_example: Function) -> Function:
    """Of the mean over rows, compiled."""
    return jax.jit(jax.value_and_grad(lambda z, *rest: jnp.mean(per_example(z, *rest))))


def smoothed(z: Any, y: Any, smoothing: Any) -> Any:
    rows = optax.smooth_labels(jax.nn.one_hot(y, z.shape[1]), smoothing)
    return optax.softmax_cross_entropy(z, rows)


def pairs(m: int, K: int) -> dict[str, tuple[Function, Function, tuple[Any, ...]]]:
    """Name -> (ours, optax's, arguments)."""
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(m, K)) * 3, jnp.float32)
    y = jnp.asarray(rng.integers(0, K, m), jnp.int32)
    many = jnp.asarray(rng.random((m, K)) < 0.1, jnp.float32)
    e = jnp.float32(0.1)
    softmax = losses.categorical_cross_entropy
    return {
        "softmax, labels": (
            softmax,
            optax.softmax_cross_entropy_with_integer_labels,
            (z, y),
        ),
        "softmax, smoothing as an array": (
            lambda z, y, e: softmax(z, y, label_smoothing=e),
            optax.softmax_cross_entropy_with_integer_labels,
            (z, y, e),
        ),
        "the same, optax smoothing too": (
            lambda z, y, e: softmax(z, y, label_smoothing=e),
            smoothed,
            (z, y, e),
        ),
        "softmax, rows of targets": (
            softmax,
            optax.softmax_cross_entropy,
            (z, jax.nn.one_hot(y, K)),
        ),
        "sigmoid": (
            losses.multilabel_cross_entropy,
            lambda z, y: jnp.sum(optax.sigmoid_binary_cross_entropy(z, y), axis=1),
            (z, many),
        ),
        "focal": (
            losses.focal,
            lambda z, y: jnp.sum(optax.sigmoid_focal_loss(z, y), axis=1),
            (z, many),
        ),
    }


def errors() -> dict[str, dict[str, float]]:
    """Largest relative error of delta of the true class, over leads of up to 80, in float32."""
    lead = np.linspace(0, 80, 2001).astype(np.float32)
    exact = lead.astype(np.float64)
    one, zero = jnp.ones_like(lead), np.zeros(len(lead), np.int32)
    nine = np.zeros((len(lead), 9), np.float32)
    rows = np.concatenate([lead[:, None], nine], axis=1)
    others = 9 * np.exp(-exact)

    def error(loss: Function, z: Any, y: Any, expected: Any) -> float:
        slope = np.asarray(jax.jit(jax.grad(lambda z: jnp.sum(loss(z, y))))(z), np.float64)
        slope = slope[:, 0] if slope.ndim == 2 else slope
        there = np.abs(expected) > 1e-30
        return float(np.abs(slope / expected - 1)[there].max())

    def stable(z: Any, y: Any) -> Any:
        return jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))

    at = (lead, one, -1 / (1 + np.exp(exact)))
    behind = (rows, zero, -others / (1 + others))
    return {
        "sigmoid": {
            "jaxnet": error(losses.binary_cross_entropy, *at),
            "optax, log sigmoid": error(optax.sigmoid_binary_cross_entropy, *at),
            "max(z, 0) - z y + log1p(exp(-|z|))": error(stable, *at),
        },
        "softmax": {
            "jaxnet": error(losses.categorical_cross_entropy, *behind),
            "optax, log sum exp": error(optax.softmax_cross_entropy_with_integer_labels, *behind),
        },
    }


def seconds(function: Function, arguments: tuple[Any, ...], calls: int) -> tuple[float, float]:
    """(processor, wall) seconds of so many calls."""
    begun = time.process_time(), time.perf_counter()
    for _ in range(calls):
        found = function(*arguments)
    jax.block_until_ready(found)
    return time.process_time() - begun[0], time.perf_counter() - begun[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=5)
    args = parser.parse_args()
    print(f"{jax.default_backend()}, jax {jax.__version__}, {args.rows} x {args.classes}")
    print(f"{'jaxnet / optax':32s} {'CPU time':>9s} {'wall':>6s}")
    for name, (ours, theirs, arguments) in pairs(args.rows, args.classes).items():
        theirs_takes = arguments[:2] if theirs is not smoothed else arguments
        both = [(value_and_gradient(ours), arguments), (value_and_gradient(theirs), theirs_takes)]
        for function, given in both:
            jax.block_until_ready(function(*given))
        measured = np.array(
            [
                [seconds(function, given, args.calls) for function, given in both]
                for _ in range(args.rounds)
            ]
        )
        ours_s, theirs_s = np.quantile(measured, 0.25, axis=0)
        cpu, wall = ours_s / theirs_s
        print(f"{name:32s} {cpu:9.2f} {wall:6.2f}")
    print("largest relative error of the true class's gradient, leads of 0 to 80, float32")
    for name, found in errors().items():
        for form, error in found.items():
            print(f"{name}: {form:40s} {error:.1e}")


if __name__ == "__main__":
    main()
