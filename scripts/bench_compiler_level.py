"""What the compiler's level is worth on a CPU: process time of training with it and without.

    .venv/bin/python scripts/bench_compiler_level.py [blocks]

The two programs take turns on the same data, on one thread; the ratio is of lower quartiles, so it
says something on a busy machine too. Both must end with the same bits.
"""

import os
import sys
import time

os.environ.setdefault("NPROC", "1")

import jax
import numpy as np

from jaxnet.training import epoch as epochs
from jaxnet.training import state as states
from jaxnet.training.epoch import Program

SHAPES = {  # sizes and batch
    "A": ((64, 128, 128, 10), 32),
    "B": ((30, 64, 64, 2), 64),
    "C": ((30, 256, 256, 2), 256),
}
STEPS = 200  # of an epoch, of which a block has ten


def ratio(sizes: tuple[int, ...], batch: int, blocks: int) -> float:
    """Process time with the level over that without it."""
    program = Program("categorical_cross_entropy", batch_size=batch)
    rows = batch * STEPS
    rng = np.random.default_rng(0)
    x = jax.device_put(rng.normal(size=(rows, sizes[0])).astype(np.float32))
    y = jax.device_put(rng.integers(0, sizes[-1], rows).astype(np.int32))
    order = epochs.order_of_rows(0, 0, rows, batch)
    rates = states.hyper(learning_rate=1e-3, total_steps=1000 * STEPS)
    plain = jax.jit(epochs.stretch(program), donate_argnums=0)
    runs = (epochs.compiled(program), plain)
    held = [states.begin(sizes, program.optimizer, rates, seed=0) for _ in runs]
    taken: list[list[float]] = [[], []]
    for block in range(blocks + 1):
        for which, run in enumerate(runs):
            begun = time.process_time()
            for _ in range(10):
                held[which], _ = run(held[which], x, y, order, STEPS)
            jax.block_until_ready(held[which])
            if block:  # the first one compiles
                taken[which].append(time.process_time() - begun)
    for one, other in zip(*map(jax.tree.leaves, held), strict=True):
        assert np.array_equal(one, other), "the level changes bits"
    with_level, without = (float(np.quantile(times, 0.25)) for times in taken)
    return with_level / without


def main() -> None:
    """Print a line for each shape."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    for name, (sizes, batch) in SHAPES.items():
        count = max(blocks // (1, 1, 4)["ABC".index(name)], 3)
        shape = f"{name} {'-'.join(map(str, sizes))} batch {batch}"
        print(f"{shape}: {ratio(sizes, batch, count):.3f}", flush=True)


if __name__ == "__main__":
    main()
