"""Run by test_meshes.py on eight devices: what holds is printed, the rest fails.

Its words are the programs to try; without them all are tried.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxnet.nn import backprop, bags, embedding, linear_heads, losses, mlp
from jaxnet.nn.bags import Bags
from tests.nn.rows import UNOPTIMISED, close

M, H, K = 8, 6, 4
ROWS = P("rows")
rng = np.random.default_rng(0)
squared = losses.make(
    "squared",
    layout=losses.ELEMENTWISE,
    value=lambda z, y: jnp.sum((z - y) ** 2, axis=-1) / 2,
    delta=lambda z, y: z - y,
)


class Program(NamedTuple):
    """A function of parameters, and of arrays of which each row is an example.

    Attributes:
        run: (parameters, rows) -> (means over the rows, gradients of parameters, a number a row).
        limit: of the difference, relative to the largest entry.
    """

    run: Callable[[Any, Any], tuple[Any, Any, Any]]
    parameters: Any
    rows: Any
    limit: float = 3e-6


def numbers(*shape: int) -> Any:
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def differentiated(forward: Any, loss: Any, dtype: Any, p: Any, rows: Any) -> Any:
    """By JAX: closed form or autodiff."""
    x, y = rows

    def mean(p: Any) -> Any:
        z = forward(p, x, activation="tanh", compute_dtype=dtype)
        return losses.mean(loss(z, y)), z

    (value, z), slopes = jax.value_and_grad(mean, has_aux=True)(p)
    return value, slopes, z


def written_out(gradients: Any, dtype: Any, p: Any, rows: Any) -> Any:
    """By the equations of the lecture."""
    value, slopes = gradients(p, *rows, squared, activation="tanh", compute_dtype=dtype)
    return value, slopes, ()


def by_head(head: Any, summed: bool, p: Any, rows: Any) -> Any:
    """Losses and gradients of a linear head, or of its sum."""
    x, y = rows

    def mean(p: Any) -> Any:
        found = head(x, *p, y, block=3, label_smoothing=0.1)
        return jnp.sum(found) / len(x), () if summed else found

    (value, each), slopes = jax.value_and_grad(mean, has_aux=True)(p)
    return value, slopes, each


def ranked(p: Any, rows: Any) -> Any:
    x, y = rows
    best = linear_heads.top_k(x, *p, 3, block=4)
    return (), (), (best, linear_heads.ranks(x, *p, y[:, None], block=4))


def as_bags(table: Any, rows: Any) -> Any:
    """Each row picks the entries of a set that all devices have."""
    ends = jnp.arange(9, dtype=jnp.int32) * 3
    x = Bags(ends, jnp.arange(24) % 5, jnp.cos(jnp.arange(24.0)), rows)

    def mean(table: Any) -> Any:
        z = bags.embed(table, x)
        return jnp.mean(jnp.sum(jnp.tanh(z), axis=1)), z

    (value, z), slope = jax.value_and_grad(mean, has_aux=True)(table)
    return value, slope, z


def programs() -> dict[str, Program]:
    params = mlp.init(jax.random.key(0), [H, 16, K])
    columns = embedding.init(
        jax.random.key(1), [H, 16, K], embeddings=[(8, 4)], numeric=(2, 3), last_layer="he"
    )
    x, y = numbers(M, H), numbers(M, K)
    coded = x.at[:, -1].set(jnp.arange(M) % 5)
    head = (numbers(2 * K, H), numbers(2 * K))
    labels = jnp.arange(M, dtype=jnp.int32)
    bare = partial(squared.plain)
    return {
        "mlp": Program(partial(differentiated, mlp.forward, bare, None), params, (x, y)),
        "mlp-bfloat16": Program(
            partial(differentiated, mlp.forward, bare, jnp.bfloat16), params, (x, y), 2e-2
        ),
        "backprop": Program(partial(written_out, backprop.gradients, None), params, (x, y)),
        "backprop-bfloat16": Program(
            partial(written_out, backprop.gradients, jnp.bfloat16), params, (x, y), 2e-2
        ),
        "embedding": Program(
            partial(differentiated, embedding.forward, bare, None), columns, (coded, y)
        ),
        "embedding-backprop": Program(
            partial(written_out, embedding.gradients, None), columns, (coded, y)
        ),
        "bags": Program(as_bags, numbers(8, K), labels),
        "categorical": Program(
            partial(by_head, linear_heads.categorical, False), head, (x, labels)
        ),
        "multilabel-sum": Program(
            partial(by_head, linear_heads.multilabel.sum, True), head, (x, labels[:, None])
        ),
        "forward-mode": Program(
            partial(by_head, linear_heads.categorical.forward_mode, False), head, (x, labels)
        ),
        "ranking": Program(ranked, head, (x, labels)),
    }


def agree(name: str, got: Any, wanted: Any, limit: float) -> None:
    """The numbers of one device."""
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert one.shape == other.shape, name
        try:
            close(one, other, limit)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def compiled(function: Any, *at: Any) -> Any:
    return jax.jit(function, compiler_options=UNOPTIMISED)(*at)


def on_mesh(program: Program, kind: AxisType) -> Any:
    """Rows over four devices, the outputs of each layer over two."""
    mesh = jax.make_mesh((4, 2), ("rows", "units"), axis_types=(kind, kind))

    def put(array: Any, axis: str) -> Any:
        divided = array.shape[0] % mesh.shape[axis] == 0
        return jax.device_put(array, NamedSharding(mesh, P(axis) if divided else P()))

    parameters = jax.tree.map(lambda a: put(a, "units"), program.parameters)
    rows = jax.tree.map(lambda a: put(a, "rows"), program.rows)
    with jax.set_mesh(mesh):
        found = compiled(program.run, parameters, rows)
    if kind == AxisType.Explicit and jax.tree.leaves(found[1]):
        types = [[jax.typeof(a) for a in jax.tree.leaves(tree)] for tree in (found[1], parameters)]
        assert types[0] == types[1]
    return found


def in_shards(program: Program, check: bool) -> Any:
    """A quarter of the rows on each of four devices, the parameters on all of them."""
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Auto,))

    def device(parameters: Any, rows: Any) -> Any:
        value, slopes, each = program.run(parameters, rows)
        # With its checks JAX has summed the gradients of what all devices share.
        size = lax.axis_size("rows")
        mean = lax.pmean(value, "rows")
        slopes = jax.tree.map(lambda g: g / size if check else lax.pmean(g, "rows"), slopes)
        return mean, slopes, each

    spread = jax.shard_map(
        device, mesh=mesh, in_specs=(P(), ROWS), out_specs=(P(), P(), ROWS), check_vma=check
    )
    return compiled(spread, program.parameters, program.rows)


def mapped(program: Program) -> Any:
    """By vmap over two of all parameters, of which the first are these."""
    both = jax.tree.map(lambda a: jnp.stack([a, -a]), program.parameters)
    found = compiled(jax.vmap(program.run, (0, None)), both, program.rows)
    return jax.tree.map(lambda a: a[0], found)


def initialised() -> Any:
    """Parameters drawn while a mesh of Explicit axes is set."""
    with jax.set_mesh(jax.make_mesh((4, 2), ("rows", "units"))):
        return compiled(lambda key: mlp.init(key, [H, 16, K]), jax.random.key(0))


def updated(at: Any, W: Any, b: Any, x: Any, y: Any) -> Any:
    """An update of a head whose classes are divided over Explicit axes."""
    mesh = jax.make_mesh((4, 2), ("rows", "units"))
    given = [(W, P("units")), (b, P("units")), (x, ROWS), (y, ROWS)]
    if at:
        given = [(jax.device_put(array, NamedSharding(mesh, of)), of) for array, of in given]

    def step(W: Any, b: Any, x: Any, y: Any) -> Any:
        def descend(_first: Any, parts: Any, gradients: Any) -> Any:
            return jax.tree.map(lambda p, g: p - 0.1 * g, parts, gradients)

        return tuple(linear_heads.multilabel.update(x, (W, b), y, descend, block=3))

    return compiled(step, *(array for array, _ in given))


def main() -> None:
    """All of it."""
    assert jax.device_count() == 8
    for name, program in programs().items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        wanted = compiled(program.run, program.parameters, program.rows)
        agree(f"{name} Explicit", on_mesh(program, AxisType.Explicit), wanted, program.limit)
        for check in (True, False):
            found = in_shards(program, check)
            agree(f"{name} check_vma={check}", found, wanted, program.limit)
        if name in ("embedding-backprop", "bags", "categorical"):  # each compiles for a second
            agree(f"{name} Auto", on_mesh(program, AxisType.Auto), wanted, program.limit)
            agree(f"{name} vmap", mapped(program), wanted, program.limit)
        print(name)
    agree("init", initialised(), programs()["mlp"].parameters, 3e-7)
    given = (*programs()["categorical"].parameters, numbers(M, H), jnp.arange(M)[:, None])
    agree("update", updated(True, *given), updated(False, *given), 3e-6)
    print("update")


if __name__ == "__main__":
    main()
