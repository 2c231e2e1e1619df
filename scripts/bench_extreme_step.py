"""How long does a step of training with a million labels take, and how much memory at most?

    .venv/bin/python scripts/bench_extreme_step.py [--rounds N] [--steps N] [--only NAME ...]
    .venv/bin/python scripts/bench_extreme_step.py --gpu     # H 768, batch 1024, on a GPU only

The program is the one that `jaxnet train` runs: bags of features, one hidden layer of H units and
a head of K labels with sigmoid cross-entropy, which changes block by block. Each contestant is a
process of its own, which begins a state, warms up with one step and is timed over the next ones;
contestants take turns, round after round. Seconds of the processor are those of all threads, which
others on the machine change less than the seconds that pass. The peak is that of the whole process
(ru_maxrss), with Python, JAX, compiling and the first state; on a GPU it is what the device says.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np


class Contestant(NamedTuple):
    """An optimizer, the type of the head's weights and of the products, and how it is changed."""

    optimizer: str
    weights: str = "float32"
    precision: str = "float32"
    head: str = "linear_blocks"


class Sizes(NamedTuple):
    """Labels, width of the hidden layer, rows of a batch; and of the set, which matters little."""

    labels: int
    width: int
    batch: int
    rows: int = 4096
    features: int = 100_000
    positives: int = 5
    entries: int = 20


CONTESTANTS: Mapping[str, Contestant] = MappingProxyType(
    {
        "adam, float32": Contestant("adam"),
        "adam, bfloat16 weights": Contestant("adam", "bfloat16"),
        "adam, bfloat16 weights and products": Contestant("adam", "bfloat16", "bfloat16"),
        "momentum, float32": Contestant("momentum"),
        "momentum, bfloat16 weights": Contestant("momentum", "bfloat16"),
        "sgd, float32": Contestant("sgd"),
        "sgd, bfloat16 weights": Contestant("sgd", "bfloat16"),
        "sgd, bfloat16 weights and products": Contestant("sgd", "bfloat16", "bfloat16"),
        "adam, float32, dense head": Contestant("adam", head="dense"),
    }
)
ON_GPU = ("adam, bfloat16 weights and products", "sgd, bfloat16 weights and products")
LIMIT = 12e9 / 2**30  # GiB that the peak is to keep to


def draw(sizes: Sizes) -> tuple[Any, Any]:
    """Bags of features and sets of labels, on the device."""
    from jaxnet.nn.bags import Bags
    from jaxnet.nn.linear_heads import Sets
    from jaxnet.training import rows

    rng = np.random.default_rng(0)
    lengths = rng.geometric(1 / sizes.entries, sizes.rows)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    indices = rng.integers(0, sizes.features, ends[-1]).astype(np.int32)
    values = (1 / np.sqrt(np.repeat(lengths, lengths))).astype(np.float32)
    each = rng.integers(1, 2 * sizes.positives, sizes.rows)
    labels = np.concatenate([rng.choice(sizes.labels, n, replace=False) for n in each])
    y = Sets(
        np.concatenate([[0], np.cumsum(each)]),
        labels.astype(np.int32),
        np.arange(each.max(), dtype=np.int32),
    )
    return rows.on_device(Bags(ends, indices, values)), rows.on_device(y)


def program_of(found: Contestant, sizes: Sizes) -> Any:
    """What is compiled."""
    from jaxnet.training.epoch import Program
    from jaxnet.training.optimizer import Optimizer

    return Program(
        loss="multilabel_cross_entropy",
        optimizer=Optimizer(found.optimizer),
        batch_size=sizes.batch,
        precision=found.precision,
        head=found.head,
    )


def measure(found: Contestant, sizes: Sizes, steps: int) -> dict[str, Any]:
    """Seconds a step, GiB at most and of the state, MiB that the program takes besides."""
    import jax
    import jax.numpy as jnp

    from jaxnet.training import epoch, state

    program = program_of(found, sizes)
    x, y = draw(sizes)
    order = jnp.asarray(epoch.order_of_rows(0, 0, sizes.rows, sizes.batch))
    run = epoch.compiled(program)
    rates = state.hyper(learning_rate=1e-3, total_steps=1000)
    now = state.begin(
        (sizes.features, sizes.width, sizes.labels),
        program.optimizer,
        rates,
        seed=0,
        bag_spread=1.0,
        head=state.Head(found.head, found.weights),
    )
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(now))
    plan = run.lower(now, x, y, order, 1).compile().memory_analysis()
    now, _ = jax.block_until_ready(run(now, x, y, order, 1))
    passed, worked = time.perf_counter(), time.process_time()
    now, finite = jax.block_until_ready(run(now, x, y, order, steps))
    passed, worked = time.perf_counter() - passed, time.process_time() - worked
    assert finite
    assert int(now.step) == 1 + steps
    return {
        "seconds": passed / steps,
        "processor": worked / steps,
        "peak": _peak(),
        "state": held / 2**30,
        "temporary": plan.temp_size_in_bytes / 2**20,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def _peak() -> float:
    """GiB: of the device where it says so, else of this process."""
    import jax

    known = jax.devices()[0].memory_stats()
    if known and "peak_bytes_in_use" in known:
        return float(known["peak_bytes_in_use"] / 2**30)
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def in_process(name: str, sizes: Sizes, steps: int) -> dict[str, Any] | str:
    """`measure` in a process of its own; the last line that it said where it failed."""
    words = [sys.executable, str(Path(__file__)), "--child", name, json.dumps(sizes), str(steps)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(found: Mapping[str, list[Any]], sizes: Sizes) -> str:
    """One row a contestant, as Markdown."""
    title = f"K = {sizes.labels:,}, H = {sizes.width}, batch {sizes.batch}"
    lines = [
        f"| {title} | s a step | processor s | rows/s | peak GiB | state GiB | temporary MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, all_of_it in found.items():
        good = [each for each in all_of_it if not isinstance(each, str)]
        if not good:
            lines.append(f"| {name} | {all_of_it[-1]} | | | | | |")
            continue
        seconds = [each["seconds"] for each in good]
        middle, peak = statistics.median(seconds), max(each["peak"] for each in good)
        worked = statistics.median(each["processor"] for each in good)
        lines.append(
            f"| {name} | {middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) "
            f"| {worked:.2f} | {sizes.batch / middle:,.0f} | {peak:.2f} "
            f"| {good[0]['state']:.2f} | {good[0]['temporary']:,.0f} |"
        )
    return "\n".join(lines)


def on_a_gpu() -> bool:
    """Whether there is one, asked in another process: this one must not hold its memory."""
    code = "import jax; print(jax.default_backend())"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "gpu"


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=None, help="256; 768 with --gpu")
    parser.add_argument("--batch", type=int, default=None, help="256; 1024 with --gpu")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="timed, after the first one")
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS))
    parser.add_argument("--gpu", action="store_true", help="do nothing where there is no GPU")
    return parser.parse_args()


def main() -> int:
    """Race and print the table; 1 where something failed or a peak is above the limit."""
    if sys.argv[1:2] == ["--child"]:
        name, sizes, steps = sys.argv[2:]
        print(json.dumps(measure(CONTESTANTS[name], Sizes(*json.loads(sizes)), int(steps))))
        return 0
    args = arguments()
    if args.gpu and not on_a_gpu():
        print("no GPU here: nothing was measured")
        return 0
    width, batch = (768, 1024) if args.gpu else (256, 256)
    sizes = Sizes(args.labels, args.width or width, args.batch or batch)
    found: dict[str, list[Any]] = {
        name: [] for name in args.only or (ON_GPU if args.gpu else CONTESTANTS)
    }
    for number in range(args.rounds):
        for name, results in found.items():
            results.append(in_process(name, sizes, args.steps))
            print(f"round {number + 1}, {name}: {results[-1]}", file=sys.stderr, flush=True)
    good = {
        name: [each for each in results if not isinstance(each, str)]
        for name, results in found.items()
    }
    device = next((f"{e['device']}, jax {e['jax']}, " for each in good.values() for e in each), "")
    print(f"{device}Python {platform.python_version()}\n\n{table(found, sizes)}")
    peaks = [e["peak"] for name, each in good.items() if "dense" not in name for e in each]
    if not args.gpu:
        most = max(peaks, default=0)
        print(f"\nhighest peak by blocks: {most:.2f} GiB; limit {LIMIT:.1f} GiB (12 GB)")
    return int(not all(good.values()) or (not args.gpu and max(peaks, default=0) > LIMIT))


if __name__ == "__main__":
    sys.exit(main())
