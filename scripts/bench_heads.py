"""What does a linear head without logits cost, in time and memory, against the dense form?

    .venv/bin/python -m pip install 'torch==2.13.0' jax-cce     # the peers, once
    .venv/bin/python scripts/bench_heads.py [--labels K ...] [--rounds N] [--only NAME ...]

Loss and gradients in x, W and b of one batch, and its five best labels. The contestants of one K
take turns, round after round, in one process, so that a change in the machine's speed meets them
all; ratios are taken round by round: of seconds that passed, and of seconds of the processor (all
threads), which others on the machine change less. Memory is what the compiler plans beyond
arguments and results. Losses that do not agree are an error. What needs more than `--share` of the
memory that is free is left out, with a word; so is a peer that is not installed.

jax-cce is the softmax head of somebody else that runs on a CPU (Cut Your Losses in plain JAX,
without b). cut-cross-entropy and liger-kernel are Triton: without a GPU they import and then raise
"0 active drivers". Tokamax has a kernel for TPU, and elsewhere it is the dense form, as are the
losses of optax and the `torch_compile` way of cut-cross-entropy.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import linear_heads

LABELS = [4096, 16_384, 32_768, 131_072, 262_144, 1_000_000]
WITH_RESPECT_TO = (0, 1, 2)
BEST = 5
AGREEMENT = 1e-3  # of sums of up to 1e9 numbers in float32


class Contestant(NamedTuple):
    """A program to run.

    Attributes:
        run: finds the number and its arrays, waits for them and gives the number.
        memory: temporary bytes; None: not known.
    """

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


def others_softmax(x: Any, W: Any, b: Any, y: Any) -> Any:
    """jax-cce, a mean and without b."""
    from jax_cce import linear_cross_entropy

    return len(x) * linear_cross_entropy(x, W, y)


def dense_best(x: Any, W: Any, b: Any, _y: Any) -> Any:
    """The sum of the five largest logits of each row, and their labels."""
    largest, labels = jax.lax.top_k(x @ W.T + b, BEST)
    return jnp.sum(largest), labels


def tiled_best(block: int | None, x: Any, W: Any, b: Any, _y: Any) -> Any:
    """The same by tiles."""
    best = linear_heads.top_k(x, W, b, BEST, block=block)
    return jnp.sum(best.logits), best.labels


CATEGORICAL = (
    "softmax, dense autodiff",
    "softmax, dense PyTorch",
    "softmax, jax-cce",
    "softmax, head",
)
MULTILABEL = (
    "sigmoid, dense autodiff",
    "sigmoid, dense PyTorch",
    "sigmoid, head",
    "sigmoid, head.sum",
    "sigmoid, head.sum, dense targets",
)
DENSE = ("dense autodiff", "best five, dense")  # to which the others are compared
RANKING = ("best five, dense", "best five, by tiles")


def functions(block: int | None) -> dict[str, tuple[Callable[..., Any], str]]:
    """Name -> (program that gives (number, arrays), the kind of targets it takes)."""
    one, many = linear_heads.categorical, linear_heads.multilabel
    losses: dict[str, tuple[Callable[..., Any], str]] = {
        "softmax, dense autodiff": (dense_categorical, "labels"),
        "softmax, jax-cce": (others_softmax, "labels"),
        "softmax, head": (partial(losses_added, one, block), "labels"),
        "sigmoid, dense autodiff": (dense_multilabel, "dense"),
        "sigmoid, head": (partial(losses_added, many, block), "positives"),
        "sigmoid, head.sum": (partial(many.sum, block=block), "positives"),
        "sigmoid, head.sum, dense targets": (partial(many.sum, block=block), "dense"),
    }
    differentiated = {
        name: (jax.value_and_grad(loss, WITH_RESPECT_TO), kind)
        for name, (loss, kind) in losses.items()
    }
    return {
        **differentiated,
        "best five, dense": (dense_best, "labels"),
        "best five, by tiles": (partial(tiled_best, block), "labels"),
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


def draw(m: int, H: int, K: int, positives_a_row: int) -> Arguments:
    """A batch and a layer of the usual sizes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((m, H), np.float32)
    W = rng.standard_normal((K, H), np.float32) / np.float32(H**0.5)
    positives = rng.integers(0, K, (m, positives_a_row))
    return Arguments((x, W, np.zeros(K, np.float32)), rng.integers(0, K, m), positives)


def in_jax(function: Callable[..., Any], arguments: Arguments, kind: str, room: int) -> Contestant:
    """Compiled for these arguments.

    Raises:
        MemoryError: the program, its arguments and its results need more than there is.
    """
    y = arguments.targets(kind)
    y = y if kind == "dense" else y.astype(np.int32)
    shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (*arguments.at, y)]
    compiled = jax.jit(function).lower(*shapes).compile()
    plan = compiled.memory_analysis()
    needed = plan.temp_size_in_bytes + plan.output_size_in_bytes + plan.argument_size_in_bytes
    if needed > room:
        raise MemoryError(f"needs {needed / 2**30:.1f} GiB")
    at = [jnp.asarray(array) for array in (*arguments.at, y)]
    return Contestant(lambda: jax.block_until_ready(compiled(*at))[0], plan.temp_size_in_bytes)


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
        torch.autograd.grad(loss, (x, W, b))
        return loss.detach()

    return Contestant(run, None)


def free_bytes() -> int:
    """Memory that is free: of the device where it says so, else of the machine."""
    known = jax.devices()[0].memory_stats()
    if known:
        return int(known["bytes_limit"] - known["bytes_in_use"])
    with open("/proc/meminfo") as lines:
        found = dict(line.split(":") for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024


class Field(NamedTuple):
    """Who takes part, warmed up, and who does not, with the reason."""

    found: dict[str, Contestant]
    left_out: dict[str, str]


def gather(names: tuple[str, ...], arguments: Arguments, block: int | None, share: float) -> Field:
    """Those that fit beside each other.

    Raises:
        AssertionError: their losses differ.
    """
    field = Field({}, {})
    losses: dict[str, float] = {}
    for name in names:
        room = int(free_bytes() * share)
        try:
            if name.endswith("PyTorch"):
                made = in_torch(name, arguments, room)
            else:
                function, kind = functions(block)[name]
                made = in_jax(function, arguments, kind, room)
            losses[name] = float(made.run())
        except (ImportError, MemoryError) as reason:
            field.left_out[name] = str(reason)
            continue
        field.found[name] = made
    assert np.ptp([*losses.values()]) <= AGREEMENT * max(losses.values()), losses
    return field


class Time(NamedTuple):
    """Seconds of one run: that passed, and of the processor in all threads."""

    passed: float
    worked: float


def timed(run: Callable[[], Any]) -> Time:
    """One run."""
    passed, worked = time.perf_counter(), time.process_time()
    run()
    return Time(time.perf_counter() - passed, time.process_time() - worked)


def race(found: dict[str, Contestant], rounds: int, limit: float) -> dict[str, list[Time]]:
    """Of each contestant, round by round; after `limit` seconds no third round begins."""
    times: dict[str, list[Time]] = {name: [] for name in found}
    start = time.perf_counter()
    for number in range(rounds):
        if number > 1 and time.perf_counter() - start > limit:
            break
        for name, contestant in found.items():
            times[name].append(timed(contestant.run))
    return times


def ratio(own: list[float], other: list[float]) -> str:
    """Median, least and most of own / other, round by round."""
    pairs = [a / b for a, b in zip(own, other, strict=True)]
    return f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"


def table(K: int, field: Field, times: dict[str, list[Time]]) -> str:
    """Median milliseconds, the ratios to dense autodiff, and memory, as Markdown."""
    rounds = max(map(len, times.values()), default=0)
    lines = [
        f"| K = {K:,}, {rounds} rounds | ms | dense = 1 | processor, dense = 1 | temporary MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    dense = next((times[name] for name in times if name.endswith(DENSE)), None)
    for name, contestant in field.found.items():
        ratios = ["", ""]
        own = list(zip(*times[name], strict=True))
        if dense is not None:
            other = zip(*dense, strict=True)
            ratios = [ratio(list(a), list(b)) for a, b in zip(own, other, strict=True)]
        memory = "" if contestant.memory is None else f"{contestant.memory / 2**20:,.0f}"
        shown = statistics.median(own[0]) * 1e3
        lines.append(f"| {name} | {shown:,.0f} | {ratios[0]} | {ratios[1]} | {memory} |")
    lines += [f"| {name} | {reason} | | | |" for name, reason in field.left_out.items()]
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
    known = (*CATEGORICAL, *MULTILABEL, *RANKING)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=LABELS)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--block", type=int, default=None, help="labels a tile; default: chosen")
    parser.add_argument("--positives", type=int, default=16, help="of a row")
    parser.add_argument("--rounds", type=int, default=5, help="at most")
    parser.add_argument("--seconds", type=float, default=60, help="after which no round begins")
    parser.add_argument("--share", type=float, default=0.6, help="of the free memory to use")
    parser.add_argument("--only", nargs="+", choices=known, default=known)
    args = parser.parse_args()
    print(f"{machine()}; {args.rows} rows, {args.width} columns", flush=True)
    for K in args.labels:
        arguments = draw(args.rows, args.width, K, args.positives)
        for group in (CATEGORICAL, MULTILABEL, RANKING):
            names = tuple(name for name in group if name in args.only)
            if names:
                field = gather(names, arguments, args.block, args.share)
                times = race(field.found, args.rounds, args.seconds)
                print(f"\n{table(K, field, times)}", flush=True)


if __name__ == "__main__":
    main()
