"""The contestants of bench_training.py: each trains the same network on the same rows.

A contestant is a function (Problem) -> run, and run(steps) trains that many steps, waits for the
result and returns how many steps it took. Each runs in a process of its own:

    training_peers.py NAME SIZE

reads a number of steps a line from standard input and answers with seconds per step.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

RATE = 1e-3
Run = Callable[[int], int]


class Problem(NamedTuple):
    """A network, a batch size and random rows; relu, mean softmax cross-entropy, Adam."""

    sizes: tuple[int, ...]
    batch: int
    x: np.ndarray
    y: np.ndarray


SHAPES = {
    "64-128-128-10": ((64, 128, 128, 10), 32, 16_000),
    "784-512-256-10": ((784, 512, 256, 10), 128, 30_000),
    "784-1024-1024-10": ((784, 1024, 1024, 10), 512, 30_000),
}


def problem(size: str) -> Problem:
    """Rows of the size's problem, the same for every contestant."""
    sizes, batch, rows = SHAPES[size]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, sizes[0]), dtype=np.float32)
    return Problem(sizes, batch, x, rng.integers(0, sizes[-1], rows).astype(np.int32))


def jaxnet(given: Problem, precision: str = "float32", engine: str = "closed_form") -> Run:
    """The training program of jaxnet, with as many threads as `jaxnet train` gives it."""
    import jax

    from jaxnet.training import epoch as epochs
    from jaxnet.training import state as states
    from jaxnet.training import threads
    from jaxnet.training.optimizer import Optimizer

    threads.pin(threads.choose(given.sizes, given.batch))
    program = epochs.Program(
        "categorical_cross_entropy",
        engine=engine,
        optimizer=Optimizer("adamw"),  # at weight decay 0, which is Adam
        batch_size=given.batch,
        precision=precision,
    )
    rates = states.hyper(learning_rate=RATE, total_steps=2**30)
    state = states.begin(given.sizes, program.optimizer, rates, seed=0)
    x, y = jax.device_put(given.x), jax.device_put(given.y)
    advance = epochs.compiled(program)
    per_epoch = epochs.steps_per_epoch(len(given.x), given.batch)

    def run(steps: int) -> int:
        nonlocal state
        done = 0
        while done < steps:
            epoch, first = divmod(int(state.step), per_epoch)
            order = epochs.order_of_rows(0, epoch, len(given.x), given.batch)
            count = min(steps - done, per_epoch - first)
            state, _ = advance(state, x, y, order, count)
            done += count
        jax.block_until_ready(state)
        return steps

    return run


def plain_jax(given: Problem, one_thread: bool = False) -> Run:
    """A loop as anyone would write it: one jitted, donated step a call, optax's Adam."""
    _limit_threads(one_thread)
    import jax
    import jax.numpy as jnp
    import optax

    rng = np.random.default_rng(0)
    params = [
        (rng.standard_normal((n_in, n_out), dtype=np.float32) * (2 / n_in) ** 0.5, np.zeros(n_out))
        for n_in, n_out in zip(given.sizes[:-1], given.sizes[1:], strict=True)
    ]
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)
    optimizer = optax.adam(RATE)
    moments = optimizer.init(params)
    x, y = jnp.asarray(given.x), jnp.asarray(given.y)

    def loss(params: Any, x: Any, y: Any) -> Any:
        for W, b in params[:-1]:
            x = jax.nn.relu(x @ W + b)
        W, b = params[-1]
        return optax.softmax_cross_entropy_with_integer_labels(x @ W + b, y).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, moments: Any, rows: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(params, x[rows], y[rows])
        updates, moments = optimizer.update(gradients, moments)
        return optax.apply_updates(params, updates), moments, value

    batches = _batches(given)

    def run(steps: int) -> int:
        nonlocal params, moments
        for _ in range(steps):
            params, moments, _ = step(params, moments, next(batches))
        jax.block_until_ready(params)
        return steps

    return run


def _batches(given: Problem) -> Any:
    """Indices of whole batches, in an order of its own each epoch, forever."""
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(given.x)).astype(np.int32)
        for start in range(0, len(order) - given.batch + 1, given.batch):
            yield order[start : start + given.batch]


def torch(given: Problem, threads: int, autocast: bool = False, fused: bool = True) -> Run:
    """PyTorch, eager, with the fused or the foreach Adam."""
    import torch

    torch.set_num_threads(threads)
    layers: list[Any] = []
    for n_in, n_out in zip(given.sizes[:-1], given.sizes[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    kind = {"fused": True} if fused else {"foreach": True}
    optimizer = torch.optim.Adam(network.parameters(), RATE, **kind)
    loss = torch.nn.CrossEntropyLoss()
    x, y = torch.from_numpy(given.x), torch.from_numpy(given.y).long()
    batches = _batches(given)

    def run(steps: int) -> int:
        for _ in range(steps):
            rows = torch.from_numpy(next(batches))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                value = loss(network(x[rows]), y[rows])
            value.backward()
            optimizer.step()
        return steps

    return run


def _limit_threads(one_thread: bool) -> None:
    """jaxnet takes one thread for small networks: its peers on JAX get the same chance."""
    if one_thread:
        os.environ["NPROC"] = "1"


def keras(given: Problem, steps_per_execution: int, one_thread: bool = False) -> Run:
    """Keras 3 on JAX, through `fit`."""
    _limit_threads(one_thread)
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    dense = [keras.layers.Dense(n, activation="relu") for n in given.sizes[1:-1]]
    network = keras.Sequential(
        [keras.Input((given.sizes[0],)), *dense, keras.layers.Dense(given.sizes[-1])]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=steps_per_execution,
    )
    per_epoch = len(given.x) // given.batch // steps_per_execution * steps_per_execution

    def run(steps: int) -> int:
        whole = max(1, steps // steps_per_execution) * steps_per_execution
        epochs, size = (max(1, whole // per_epoch), min(whole, per_epoch))
        rows = size * given.batch
        network.fit(
            *(given.x[:rows], given.y[:rows]), batch_size=given.batch, epochs=epochs, verbose=0
        )
        return epochs * size

    return run


def sklearn(given: Problem) -> Run:
    """scikit-learn's MLPClassifier, through `partial_fit`, one epoch at the least."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        given.sizes[1:-1], batch_size=given.batch, learning_rate_init=RATE, alpha=0.0
    )
    classes = np.arange(given.sizes[-1])

    def run(steps: int) -> int:
        rows = min(steps * given.batch, len(given.x))
        network.partial_fit(given.x[:rows], given.y[:rows], classes=classes)
        return -(-rows // given.batch)

    return run


# name -> (peer it stands for, contestant). Of each peer the best variant counts.
CONTESTANTS: dict[str, tuple[str, Callable[[Problem], Run]]] = {
    "jaxnet": ("jaxnet", jaxnet),
    "plain JAX loop": ("plain JAX loop", plain_jax),
    "plain JAX loop, 1 thread": ("plain JAX loop", partial(plain_jax, one_thread=True)),
    "PyTorch, 1 thread": ("PyTorch", partial(torch, threads=1)),
    "PyTorch, 2 threads": ("PyTorch", partial(torch, threads=2)),
    "PyTorch, 1 thread, foreach": ("PyTorch", partial(torch, threads=1, fused=False)),
    "PyTorch, 2 threads, foreach": ("PyTorch", partial(torch, threads=2, fused=False)),
    "Keras on JAX, 1 step a call": ("Keras", partial(keras, steps_per_execution=1)),
    "Keras on JAX, 50 steps a call": ("Keras", partial(keras, steps_per_execution=50)),
    "Keras on JAX, 50 steps a call, 1 thread": (
        "Keras",
        partial(keras, steps_per_execution=50, one_thread=True),
    ),
    "scikit-learn": ("scikit-learn", sklearn),
    "jaxnet, bfloat16": ("jaxnet, bfloat16", partial(jaxnet, precision="bfloat16")),
    "jaxnet, backprop": ("jaxnet, backprop", partial(jaxnet, engine="backprop")),
    "jaxnet, autodiff": ("jaxnet, autodiff", partial(jaxnet, engine="autodiff")),
    "PyTorch autocast, 2 threads": ("PyTorch, bfloat16", partial(torch, threads=2, autocast=True)),
}


def main() -> None:
    """Serve one contestant: a number of steps in, seconds per step out."""
    name, size = sys.argv[1:]
    given = problem(size)
    run = CONTESTANTS[name][1](given)
    run(2)  # compiles
    print("ready", flush=True)
    for line in sys.stdin:
        begun = time.perf_counter()
        done = run(int(line))
        print((time.perf_counter() - begun) / done, flush=True)


if __name__ == "__main__":
    main()
