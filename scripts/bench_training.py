"""How many rows a second does each framework train, on the same network, batch, optimizer and data?

    .venv/bin/python -m pip install -e '.[bench]'     # PyTorch and Keras, once
    .venv/bin/python scripts/bench_training.py [--sizes SIZE ...] [--rounds N] [--only NAME ...]

Every contestant runs in a process of its own. They take turns, round after round, so that a change
in the machine's speed meets them all; the others wait without work meanwhile. A contestant's figure
is the median of its rounds, and the ratios are taken round by round. Of each peer the best variant
counts. A contestant whose package is missing is left out, with a word.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from training_peers import CONTESTANTS, SHAPES

HERE = Path(__file__).resolve().parent


class Served(NamedTuple):
    """A contestant's process and how many steps its rounds take."""

    process: subprocess.Popen[str]
    steps: int


def ask(process: subprocess.Popen[str], steps: int) -> float:
    """Seconds per step over that many steps."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def start(name: str, size: str, seconds: float) -> Served | None:
    """Start a contestant, warm it up and fit the length of its rounds."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "training_peers.py"), name, size],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline().strip() != "ready":
        reason = (process.stderr.read().strip().splitlines() or ["no reason given"])[-1]
        print(f"{name}: left out ({reason})", file=sys.stderr)
        return None
    ask(process, 5)
    return Served(process, max(2, int(seconds / ask(process, 50))))


def race(size: str, names: list[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rows a second of each contestant, round by round."""
    served = {name: found for name in names if (found := start(name, size, seconds)) is not None}
    batch = SHAPES[size][1]
    rates: dict[str, list[float]] = {name: [] for name in served}
    for _ in range(rounds):
        for name, (process, steps) in served.items():
            rates[name].append(batch / ask(process, steps))
    for process, _ in served.values():
        process.communicate()
    return rates


def table(size: str, rates: dict[str, list[float]]) -> str:
    """Median rows a second, and how often jaxnet is faster, round by round, as Markdown."""
    lines = [
        f"| {size}, batch {SHAPES[size][1]} | rows/s | jaxnet is faster by |",
        "|---|---:|---:|",
    ]
    for name, found in rates.items():
        shown = f"| {name} | {statistics.median(found):,.0f} |"
        if "jaxnet" in rates and name != "jaxnet":
            pairs = [own / other for own, other in zip(rates["jaxnet"], found, strict=True)]
            shown += f" {statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f}) |"
        else:
            shown += " |"
        lines.append(shown)
    return "\n".join(lines)


def best_of_each_peer(rates: dict[str, list[float]]) -> str:
    """One line: jaxnet against the best variant of each peer."""
    found: dict[str, float] = {}
    for name, values in rates.items():
        pairs = [own / other for own, other in zip(rates["jaxnet"], values, strict=True)]
        peer = CONTESTANTS[name][0]
        found[peer] = min(found.get(peer, float("inf")), statistics.median(pairs))
    return ", ".join(f"{peer} {ratio:.2f}" for peer, ratio in found.items() if peer != "jaxnet")


def machine() -> str:
    """What the figures were measured on."""
    import jax

    device = jax.devices()[0]
    return (
        f"backend {jax.default_backend()} ({device.device_kind}), {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, jax {jax.__version__}"
    )


def main() -> None:
    """Race at each size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one round")
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    args = parser.parse_args()
    print(machine(), flush=True)
    for size in args.sizes:
        rates = race(size, args.only, args.rounds, args.seconds)
        print(f"\n{table(size, rates)}\n", flush=True)
        if "jaxnet" in rates:
            print(f"jaxnet over the best of each: {best_of_each_peer(rates)}", flush=True)


if __name__ == "__main__":
    main()
