"""What does a linear head without logits cost, in time and memory, against dense autodiff?

    .venv/bin/python -m pip install -e '.[bench]'     # PyTorch, once
    .venv/bin/python scripts/bench_heads.py [--labels K ...] [--rounds N] [--only NAME ...]

Loss and gradients in x, W and b of one batch. The contestants of one K take turns, round after
round, in one process, so that a change in the machine's speed meets them all; ratios are taken
round by round. Memory is what the compiler plans beyond arguments and results. What needs more than
the memory that is free is left out, with a word; so is PyTorch where it is missing.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import linear_heads

LABELS = [4096, 32_768, 131_072, 262_144, 1_048_576]
POSITIVES = 16
WITH_RESPECT_TO = (0, 1, 2)


class Contestant(NamedTuple):
    """A loss to differentiate: `run()` waits for its result; memory in bytes, None: not known."""

    run: Callable[[], Any]
    memory: int | None


def dense_multilabel(x: Any, W: Any, b: Any, y: Any) -> Any:
    """The usual stable form on whole logits."""
    z = (x @ W.T + b).astype(jnp.float32)
    return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def dense_categorical(x: Any, W: Any, b: Any, y: Any) -> Any:
    """The usual stable form on whole logits."""
    log_a = jax.nn.log_softmax((x @ W.T + b).astype(jnp.float32))
    return -jnp.sum(jnp.take_along_axis(log_a, y[:, None], axis=1))


def losses_added(head: Any, block: int | None, *at: Any) -> Any:
    """Per-example losses, whose cotangents are known only afterwards."""
    return jnp.sum(head(*at, block=block))


CATEGORICAL = ("softmax, dense autodiff", "softmax, dense PyTorch", "softmax, head")
MULTILABEL = (
    "sigmoid, dense autodiff",
    "sigmoid, dense PyTorch",
    "sigmoid, head",
    "sigmoid, head.sum",
    "sigmoid, head.sum, dense targets",
)


def functions(block: int | None) -> dict[str, tuple[Callable[..., Any], str]]:
    """Name -> (scalar loss, the kind of targets it takes)."""
    one, many = linear_heads.categorical, linear_heads.multilabel
    return {
        "softmax, dense autodiff": (dense_categorical, "labels"),
        "softmax, head": (partial(losses_added, one, block), "labels"),
        "sigmoid, dense autodiff": (dense_multilabel, "dense"),
        "sigmoid, head": (partial(losses_added, many, block), "positives"),
        "sigmoid, head.sum": (partial(many.sum, block=block), "positives"),
        "sigmoid, head.sum, dense targets": (partial(many.sum, block=block), "dense"),
    }


class Arguments(NamedTuple):
    """x, W, b and each kind of targets."""

    at: tuple[np.ndarray, np.ndarray, np.ndarray]
    labels: np.ndarray
    positives: np.ndarray

    def dense(self) -> np.ndarray:
        """Targets (m, K) of the positives."""
        y = np.zeros((len(self.positives), len(self.at[1])), np.float32)
        np.put_along_axis(y, self.positives, 1, axis=1)
        return y

    def targets(self, kind: str) -> np.ndarray:
        """Of the kind that a contestant takes."""
        return self.dense() if kind == "dense" else getattr(self, kind)


def draw(m: int, H: int, K: int) -> Arguments:
    """A batch and a layer of the usual sizes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((m, H), np.float32)
    W = rng.standard_normal((K, H), np.float32) / np.float32(H**0.5)
    positives = rng.integers(0, K, (m, POSITIVES))
    return Arguments((x, W, np.zeros(K, np.float32)), rng.integers(0, K, m), positives)


def in_jax(function: Callable[..., Any], arguments: Arguments, kind: str, room: int) -> Contestant:
    """Compiled for these arguments.

    Raises:
        MemoryError: the program, its arguments and its results need more than there is.
    """
    y = arguments.targets(kind)
    y = y if kind == "dense" else y.astype(np.int32)
    program = jax.jit(jax.value_and_grad(function, WITH_RESPECT_TO))
    shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (*arguments.at, y)]
    compiled = program.lower(*shapes).compile()
    plan = compiled.memory_analysis()
    needed = plan.temp_size_in_bytes + plan.output_size_in_bytes + plan.argument_size_in_bytes
    if needed > room:
        raise MemoryError(f"needs {needed / 2**30:.1f} GiB")
    at = [jnp.asarray(array) for array in (*arguments.at, y)]
    return Contestant(lambda: jax.block_until_ready(compiled(*at)), plan.temp_size_in_bytes)


def in_torch(name: str, arguments: Arguments, room: int) -> Contestant:
    """PyTorch's dense layer and loss with its own autodiff.

    Raises:
        ImportError: PyTorch is missing. MemoryError: three arrays of logits need too much.
    """
    import torch

    m, K = len(arguments.labels), len(arguments.at[1])
    if 4 * m * K * 3 > room:
        raise MemoryError(f"needs {12 * m * K / 2**30:.1f} GiB")
    softmax = name.startswith("softmax")
    y = torch.from_numpy(arguments.labels if softmax else arguments.dense())
    x, W, b = (torch.from_numpy(array).requires_grad_() for array in arguments.at)
    entropy = torch.nn.functional.cross_entropy
    if not softmax:
        entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def run() -> Any:
        loss = entropy(torch.nn.functional.linear(x, W, b), y, reduction="sum")
        return torch.autograd.grad(loss, (x, W, b))

    return Contestant(run, None)


def free_bytes() -> int:
    """Memory that is free: of the device where it says so, else of the machine."""
    known = jax.devices()[0].memory_stats()
    if known:
        return int(known["bytes_limit"] - known["bytes_in_use"])
    with open("/proc/meminfo") as lines:
        found = dict(line.split(":") for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024


def contestants(
    names: tuple[str, ...], arguments: Arguments, block: int | None
) -> dict[str, Contestant]:
    """Those that fit beside each other, warmed up."""
    found: dict[str, Contestant] = {}
    for name in names:
        room = free_bytes() * 9 // 10
        try:
            if name.endswith("PyTorch"):
                made = in_torch(name, arguments, room)
            else:
                function, kind = functions(block)[name]
                made = in_jax(function, arguments, kind, room)
            made.run()
        except (ImportError, MemoryError) as reason:
            print(f"{name}: left out ({reason})", file=sys.stderr)
            continue
        found[name] = made
    return found


def seconds(run: Callable[[], Any]) -> float:
    """Of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def race(found: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant, round by round."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, contestant in found.items():
            times[name].append(seconds(contestant.run))
    return times


def table(K: int, found: dict[str, Contestant], times: dict[str, list[float]]) -> str:
    """Median milliseconds, the ratio to dense autodiff round by round, and memory, as Markdown."""
    lines = [f"| K = {K:,} | ms | dense = 1 | temporary MiB |", "|---|---:|---:|---:|"]
    dense = next((times[name] for name in times if name.endswith("dense autodiff")), None)
    for name, contestant in found.items():
        ratio = ""
        if dense is not None:
            pairs = [own / other for own, other in zip(times[name], dense, strict=True)]
            ratio = f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"
        memory = "" if contestant.memory is None else f"{contestant.memory / 2**20:,.0f}"
        shown = statistics.median(times[name]) * 1e3
        lines.append(f"| {name} | {shown:,.0f} | {ratio} | {memory} |")
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on."""
    device = jax.devices()[0]
    return (
        f"backend {jax.default_backend()} ({device.device_kind}), {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, jax {jax.__version__}"
    )


def main() -> None:
    """Race at each number of labels and print the tables."""
    known = (*CATEGORICAL, *MULTILABEL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=LABELS)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--block", type=int, default=None, help="labels a tile; default: chosen")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=known, default=known)
    args = parser.parse_args()
    print(f"{machine()}; {args.rows} rows, {args.width} columns", flush=True)
    for K in args.labels:
        arguments = draw(args.rows, args.width, K)
        for group in (CATEGORICAL, MULTILABEL):
            names = tuple(name for name in group if name in args.only)
            found = contestants(names, arguments, args.block)
            print(f"\n{table(K, found, race(found, args.rounds))}", flush=True)


if __name__ == "__main__":
    main()
