"""Run by test_sharded_losses.py on eight devices: what holds is printed, the rest fails.

With the word `all`: of every loss and option; without it, of some.
"""

import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxnet.nn import losses
from tests.nn.rows import UNOPTIMISED, close

M, K = 8, 40  # K is a multiple of the devices, and wide enough for the softmax of wide rows
WEIGHT = np.linspace(0.5, 2, K).astype(np.float32)


def cases() -> list[tuple[str, Any, dict[str, Any]]]:
    """(loss, targets, options) of logits (M, K)."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, K, M).astype(np.int32)
    many = (rng.random((M, K)) < 0.3).astype(np.float32)
    soft = rng.dirichlet(np.ones(K), M).astype(np.float32)
    softmax = "categorical_cross_entropy"
    return [
        (softmax, labels, {}),
        (softmax, labels, {"label_smoothing": np.float32(0.1)}),
        (softmax, labels, {"class_weight": WEIGHT}),
        (softmax, labels, {"class_weight": WEIGHT, "label_smoothing": np.float32(0.1)}),
        (softmax, soft, {}),
        ("multilabel_cross_entropy", many, {"pos_weight": WEIGHT}),
        ("focal", many, {"gamma": np.float32(1.5)}),
        ("asymmetric", many, {}),
        ("squared_error", many, {"activation": "gelu"}),
        ("squared_error", labels, {"activation": "softmax", "class_weight": WEIGHT}),
    ]


def mean_and_gradients(name: str, options: dict[str, Any], z: Any, y: Any) -> Any:
    loss = losses.LOSSES[name]
    words = {k: v for k, v in options.items() if isinstance(v, str)}
    arrays = {k: v for k, v in options.items() if not isinstance(v, str)}
    inputs = (0,) if y.dtype == np.int32 else (0, 1)

    def mean(z: Any, y: Any) -> Any:
        return losses.mean(loss(z, y, **arrays, **words))

    return jax.value_and_grad(mean, argnums=inputs)(z, y)


def put(mesh: jax.sharding.Mesh, spec: P, array: np.ndarray) -> jax.Array:
    return jax.device_put(array, NamedSharding(mesh, P(*spec[: array.ndim])))


def on_meshes(kind: AxisType, chosen: list[Any]) -> None:
    """Whole arrays spread by rows and by classes."""
    mesh = jax.make_mesh((2, 4), ("rows", "classes"), axis_types=(kind,) * 2)
    for name, y, options in chosen:
        run = jax.jit(partial(mean_and_gradients, name, options), compiler_options=UNOPTIMISED)
        expected = run(Z, y)
        for spec in (P("rows", None), P(None, "classes")):
            with jax.set_mesh(mesh):
                found = run(put(mesh, spec, Z), put(mesh, spec, y))
            jax.tree.map(lambda a, b: close(a, b, 2e-6), found, expected)


def divided_in_part() -> None:
    """Only the logits, or only the targets, divided over Explicit axes."""
    mesh = jax.make_mesh((2, 4), ("rows", "classes"))
    for name, y, options in cases()[::5]:
        run = jax.jit(partial(mean_and_gradients, name, options), compiler_options=UNOPTIMISED)
        expected = run(Z, y)
        for of_z, of_y in (
            (P("rows", None), P()),
            (P(), P("rows", None)),
            (P("rows"), P("classes")),
        ):
            with jax.set_mesh(mesh):
                found = run(put(mesh, of_z, Z), put(mesh, of_y, y))
            jax.tree.map(lambda a, b: close(a, b, 2e-6), found, expected)


def in_shard_map(check: bool, chosen: list[Any]) -> None:
    """Rows of the logits divided; the options, and once the targets, whole on every device."""
    mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,))
    for name, y, options in chosen:
        for whole_targets in (False, True):
            z, targets = (np.repeat(Z[:1], 8, axis=0), y[:1]) if whole_targets else (Z, y)

            def step(z: Any, y: Any, name: str = name, options: Any = options) -> Any:
                value, (slope, *_) = mean_and_gradients(name, options, z, y)
                return jax.lax.pmean(value, "rows"), slope / 8

            def whole(z: Any, y: Any, name: str = name, options: Any = options) -> Any:
                y = jnp.broadcast_to(y, (M, *y.shape[1:]))
                value, (slope, *_) = mean_and_gradients(name, options, z, y)
                return value, slope

            divided = jax.shard_map(
                step,
                mesh=mesh,
                in_specs=(P("rows"), P() if whole_targets else P("rows")),
                out_specs=(P(), P("rows")),
                check_vma=check,
            )
            found = jax.jit(divided, compiler_options=UNOPTIMISED)(z, targets)
            expected = jax.jit(whole, compiler_options=UNOPTIMISED)(z, targets)
            jax.tree.map(lambda a, b: close(a, b, 2e-6), found, expected)


if __name__ == "__main__":
    Z = np.random.default_rng(1).normal(size=(M, K)).astype(np.float32) * 3
    jax.config.update("jax_disable_most_optimizations", True)
    everything = cases() if "all" in sys.argv else cases()[::3]
    few = everything[1::4]
    on_meshes(AxisType.Auto, few)
    print("auto")
    on_meshes(AxisType.Explicit, everything)
    print("explicit")
    divided_in_part()
    print("in-part")
    in_shard_map(True, everything)
    print("checked")
    in_shard_map(False, few)
    print("unchecked")
