"""What does a first layer for sparse rows cost, against other ways to the same sums?

    .venv/bin/python -m pip install 'torch==2.13.0'     # for EmbeddingBag, once
    .venv/bin/python scripts/bench_bags.py [--rounds N] [--rows M] [--width N] ...

Forward is z = x E of one batch, backward dE = x^T delta, both of a table E (d, n). The rows have
entries drawn like those of citeulike: lengths are geometric, with one row of the most there is, and
features skewed, so that a few are in many rows. jaxnet takes its batch out of the whole set, as
training does, and "room for the longest" does the same the usual way: a compiled program has room
for the longest rows that may meet in a batch. Every other contestant gets the batch in the form
that it likes best, for nothing.
Contestants take turns, round after round; of the runs of a turn, `--turn` seconds, the shortest
counts, since others use the machine and these are milliseconds. All results must agree.
Memory is what the compiler plans beyond arguments and results.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from bench_heads import machine
from jax.experimental import sparse

from jaxnet.nn import bags
from jaxnet.nn.bags import Bags

OURS = "jaxnet"
LEAST_RUNS = 3


class Sizes(NamedTuple):
    """Rows of a batch and of the set, features, width of the layer, entries a row."""

    rows: int
    of: int
    features: int
    width: int
    entries: int
    most: int


class Batch(NamedTuple):
    """The same rows in every form: the set and which of it, entry by entry, padded, and whole."""

    bags: Bags
    csr: scipy.sparse.csr_matrix
    row: np.ndarray
    padded: tuple[np.ndarray, np.ndarray]


class Contestant(NamedTuple):
    """A way to z and one to dE; `run()` waits and gives the array. Bytes, or None: not known."""

    forward: Callable[[], Any]
    backward: Callable[[], Any]
    memory: tuple[int | None, int | None] = (None, None)


def draw(sizes: Sizes) -> Batch:
    """A set of sparse rows and a batch of it."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.geometric(1 / sizes.entries, sizes.of), sizes.most)
    chosen = rng.permutation(sizes.of)[: sizes.rows]
    lengths[chosen[0]] = sizes.most
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    indices = (sizes.features * rng.random(indptr[-1]) ** 2).astype(np.int32)
    values = rng.random(indptr[-1], np.float32)
    every = scipy.sparse.csr_matrix((values, indices, indptr), (sizes.of, sizes.features))
    csr = every[chosen]  # not sorted, duplicates stay
    counts = np.diff(csr.indptr)
    row = np.repeat(np.arange(sizes.rows, dtype=np.int32), counts)
    place = np.arange(len(row)) - csr.indptr[row]
    features = np.zeros((sizes.rows, sizes.most), np.int32)
    weights = np.zeros((sizes.rows, sizes.most), np.float32)
    features[row, place], weights[row, place] = csr.indices, csr.data
    rows = chosen.astype(np.int32)
    return Batch(Bags(indptr, indices, values, rows), csr, row, (features, weights))


def in_jax(
    forward: Callable[..., Any], backward: Callable[..., Any], x: Any, of: Any
) -> Contestant:
    """forward(x, E) and backward(x, delta), compiled for the arrays that x holds."""
    x, (E, delta) = jax.tree.map(jnp.asarray, x), of
    one = jax.jit(forward).lower(x, E).compile()
    two = jax.jit(backward).lower(x, delta).compile()
    sizes = tuple(each.memory_analysis().temp_size_in_bytes for each in (one, two))
    return Contestant(
        lambda: jax.block_until_ready(one(x, E)),
        lambda: jax.block_until_ready(two(x, delta)),
        sizes,
    )


def by_flat(batch: Batch, sizes: Sizes, of: Any) -> Contestant:
    """All entries of the batch at once."""
    x = (batch.row, batch.csr.indices, batch.csr.data)

    def forward(x: Any, E: Any) -> Any:
        row, feature, value = x
        return jax.ops.segment_sum(E[feature] * value[:, None], row, sizes.rows)

    def backward(x: Any, delta: Any) -> Any:
        row, feature, value = x
        return jax.ops.segment_sum(delta[row] * value[:, None], feature, sizes.features)

    return in_jax(forward, backward, x, of)


def by_room(batch: Batch, sizes: Sizes, of: Any) -> Contestant:
    """Out of the set, as jaxnet; room for as many entries as m rows may have at most."""
    lengths = np.sort(np.diff(batch.bags.indptr))
    room = int(lengths[-sizes.rows :].sum())

    def entries(x: Any) -> Any:
        start, lengths = x.indptr[x.rows], x.indptr[x.rows + 1] - x.indptr[x.rows]
        row = jnp.repeat(jnp.arange(sizes.rows), lengths, total_repeat_length=room)
        place = jnp.arange(room) - (jnp.cumsum(lengths) - lengths)[row]
        there = place < lengths[row]
        entry = jnp.where(there, start[row] + place, 0)
        return row, x.indices[entry], jnp.where(there, x.values[entry], 0)

    def forward(x: Any, E: Any) -> Any:
        row, feature, value = entries(x)
        return jax.ops.segment_sum(E[feature] * value[:, None], row, sizes.rows)

    def backward(x: Any, delta: Any) -> Any:
        row, feature, value = entries(x)
        return jax.ops.segment_sum(delta[row] * value[:, None], feature, sizes.features)

    return in_jax(forward, backward, batch.bags, of)


def by_padding(batch: Batch, sizes: Sizes, of: Any) -> Contestant:
    """As many places a row as the longest has."""

    def forward(x: Any, E: Any) -> Any:
        feature, value = x
        return jnp.einsum("mp,mpn->mn", value, E[feature])

    def backward(x: Any, delta: Any) -> Any:
        feature, value = x
        like = jnp.zeros((sizes.features, sizes.width))
        return like.at[feature].add(value[:, :, None] * delta[:, None, :])

    return in_jax(forward, backward, batch.padded, of)


def by_bcoo(batch: Batch, sizes: Sizes, of: Any) -> Contestant:
    """The sparse matrices of JAX."""
    places = jnp.stack([jnp.asarray(batch.row), jnp.asarray(batch.csr.indices)], axis=1)
    shape = (sizes.rows, sizes.features)
    x = sparse.BCOO((jnp.asarray(batch.csr.data), places), shape=shape)
    return in_jax(lambda x, E: x @ E, lambda x, delta: x.T @ delta, x, of)


def by_scipy(batch: Batch, of: Any) -> Contestant:
    """On the host, one thread."""
    E, delta = map(np.asarray, of)
    turned = batch.csr.T.tocsr()
    return Contestant(lambda: batch.csr @ E, lambda: turned @ delta)


def by_torch(batch: Batch, of: Any) -> Contestant:
    """EmbeddingBag with a weight an entry; backward with its own autodiff, forward aside."""
    import torch

    E, delta = (torch.from_numpy(np.array(array)) for array in of)
    E.requires_grad_()
    feature, offsets = (
        torch.from_numpy(a.astype(np.int64)) for a in (batch.csr.indices, batch.csr.indptr[:-1])
    )
    value = torch.from_numpy(batch.csr.data)

    def forward() -> Any:
        return torch.nn.functional.embedding_bag(
            feature, E, offsets, mode="sum", per_sample_weights=value
        )

    z = forward()
    return Contestant(
        lambda: forward().detach(),
        lambda: torch.autograd.grad(z, E, delta, retain_graph=True)[0],
    )


def contestants(batch: Batch, sizes: Sizes) -> dict[str, Contestant]:
    """All of them, warmed up.

    Raises:
        AssertionError: results differ.
    """
    rng = np.random.default_rng(1)
    shapes = (sizes.features, sizes.width), (sizes.rows, sizes.width)
    of = tuple(jnp.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes)
    d = sizes.features
    found = {
        OURS: in_jax(
            lambda x, E: bags.embed(E, x),
            lambda x, delta: bags.table_gradient(d, x, delta),
            batch.bags,
            of,
        ),
        "flat segment_sum": by_flat(batch, sizes, of),
        "flat segment_sum, room for the longest": by_room(batch, sizes, of),
        "padded gather": by_padding(batch, sizes, of),
        "BCOO": by_bcoo(batch, sizes, of),
        "dense product": in_jax(
            lambda x, E: x @ E, lambda x, delta: x.T @ delta, batch.csr.toarray(), of
        ),
        "SciPy CSR, host": by_scipy(batch, of),
    }
    try:
        found["PyTorch EmbeddingBag"] = by_torch(batch, of)
    except ImportError as reason:
        print(f"PyTorch: left out ({reason})", file=sys.stderr)
    for name, each in found.items():
        for got, wanted in (
            (each.forward(), batch.csr @ np.asarray(of[0])),
            (each.backward(), batch.csr.T @ np.asarray(of[1])),
        ):
            assert np.allclose(np.asarray(got), wanted, atol=1e-3), name
    return found


def seconds(run: Callable[[], Any], turn: float) -> float:
    """Of the shortest run of a turn."""
    start, found = time.perf_counter(), []
    while len(found) < LEAST_RUNS or time.perf_counter() - start < turn:
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)


def race(
    found: dict[str, Contestant], rounds: int, turn: float
) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each contestant forward and backward, round by round."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, each in found.items():
            times[name].append((seconds(each.forward, turn), seconds(each.backward, turn)))
    return times


def table(found: dict[str, Contestant], times: dict[str, list[tuple[float, float]]]) -> str:
    """Median milliseconds, how much faster jaxnet is round by round, and memory, as Markdown."""
    lines = []
    for index, title in enumerate(("forward", "backward")):
        lines += [
            "",
            f"| {title} | ms | jaxnet is faster by | temporary MiB |",
            "|---|---:|---:|---:|",
        ]
        for name, each in found.items():
            own = [pair[index] for pair in times[name]]
            ratios = [a / b[index] for a, b in zip(own, times[OURS], strict=True)]
            middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
            ratio = "" if name == OURS else f"{middle:.1f} ({least:.1f} to {most:.1f})"
            memory = "" if each.memory[index] is None else f"{each.memory[index] / 2**20:,.1f}"
            lines.append(f"| {name} | {statistics.median(own) * 1e3:,.2f} | {ratio} | {memory} |")
    return "\n".join(lines)


def main() -> None:
    """Race and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=256, help="of a batch")
    parser.add_argument("--of", type=int, default=20_000, help="rows of the set")
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--entries", type=int, default=20, help="of a row, on average")
    parser.add_argument("--most", type=int, default=379, help="entries of the longest row")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.1, help="seconds")
    args = vars(parser.parse_args())
    rounds, turn = args.pop("rounds"), args.pop("turn")
    sizes = Sizes(**args)
    batch = draw(sizes)
    print(
        f"{machine()}; {sizes.rows} rows with {len(batch.row):,} entries of {sizes.features:,} "
        f"features, {sizes.width} columns"
    )
    found = contestants(batch, sizes)
    print(table(found, race(found, rounds, turn)))


if __name__ == "__main__":
    main()
