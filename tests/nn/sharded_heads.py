"""Run by test_linear_heads_sharded.py on eight devices: what holds is printed, the rest fails."""

from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from jaxnet.errors import UserError
from jaxnet.nn.linear_heads import inputs
from tests.nn.heads import NARROW, Case, Drawn, draw
from tests.nn.rows import UNOPTIMISED, close

M, K = 12, 36
ARRAYS = (P("rows"), P("classes"), P("classes"), P("rows"))


def mesh() -> jax.sharding.Mesh:
    return jax.make_mesh((2, 4), ("rows", "classes"), axis_types=(AxisType.Auto,) * 2)


def parts(case: Case) -> tuple[Any, ...]:
    """How the targets and the options that are arrays are divided."""
    dense = case.kind in ("dense", "soft")
    numbers = {k: v for k, v in case.options(K).items() if isinstance(v, jax.Array)}
    return P("rows", "classes") if dense else P("rows"), numbers


def weighted(case: Case, at: Any, y: Any, numbers: Any, **more: Any) -> Any:
    """Losses of a shard, or of everything."""
    x, W, b, w = at
    words = {k: v for k, v in case.options(K).items() if k not in numbers}
    return case.head(x, W, b, y, weights=w, block=4, **numbers, **words, **more)


def whole(case: Case, drawn: Drawn) -> Any:
    """(losses, gradients) on one device."""
    _, numbers = parts(case)

    def total(at: Any) -> Any:
        found = weighted(case, at, drawn.targets, numbers)
        return jnp.sum(drawn.g * found), found

    run = jax.jit(jax.value_and_grad(total, has_aux=True), compiler_options=UNOPTIMISED)
    (_, losses), gradients = run(drawn.at)
    return losses, gradients


def outside(case: Case, drawn: Drawn, check_vma: bool = True) -> Any:
    """The same with the losses from eight devices, differentiated as a whole."""
    divided, numbers = parts(case)
    spread = jax.shard_map(
        lambda at, y, numbers: weighted(case, at, y, numbers, class_axis="classes"),
        mesh=mesh(),
        in_specs=(ARRAYS, divided, P("classes")),
        out_specs=P("rows"),
        check_vma=check_vma,
    )

    def total(at: Any) -> Any:
        found = spread(at, drawn.targets, numbers)
        return jnp.sum(drawn.g * found), found

    run = jax.jit(jax.value_and_grad(total, has_aux=True), compiler_options=UNOPTIMISED)
    (_, losses), gradients = run(drawn.at)
    return losses, gradients


def inside(case: Case, drawn: Drawn) -> Any:
    """The same, differentiated on each device: dX and dW come summed over the other axis."""
    divided, numbers = parts(case)

    def device(at: Any, g: Any, y: Any, numbers: Any) -> Any:
        def total(at: Any) -> Any:
            found = weighted(case, at, y, numbers, class_axis="classes")
            return jnp.sum(g * found), found

        (_, losses), gradients = jax.value_and_grad(total, has_aux=True)(at)
        return losses, gradients

    spread = jax.shard_map(
        device,
        mesh=mesh(),
        in_specs=(ARRAYS, P("rows"), divided, P("classes")),
        out_specs=(P("rows"), ARRAYS),
        check_vma=True,
    )
    run = jax.jit(spread, compiler_options=UNOPTIMISED)
    return run(drawn.at, drawn.g, drawn.targets, numbers)


def descended(_first: Any, parts: Any, gradients: Any) -> Any:
    return jax.tree.map(lambda p, g: p - 0.1 * g, parts, gradients)


def updated(case: Case, drawn: Drawn, **more: Any) -> Any:
    """(losses, dX, parts) of an update, on one device or in `shard_map` with its class axis."""

    def device(at: Any, y: Any, numbers: Any) -> Any:
        x, W, b, w = at
        words = {k: v for k, v in case.options(K).items() if k not in numbers}
        options = {**numbers, **words, **more}
        done = case.head.update(x, (W, b), y, descended, weights=w, block=4, **options)
        return done.losses, done.dx, done.parts

    divided, numbers = parts(case)
    if more:
        device = jax.shard_map(
            device,
            mesh=mesh(),
            in_specs=(ARRAYS, divided, P("classes")),
            out_specs=(P("rows"), P("rows"), (P("classes"), P("classes"))),
            check_vma=True,
        )
    return jax.jit(device, compiler_options=UNOPTIMISED)(drawn.at, drawn.targets, numbers)


def agree(got: Any, wanted: Any) -> None:
    """2e-6 of the largest entry."""
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert one.shape == other.shape
        close(one, other, 2e-6)


def main() -> None:
    """All of it."""
    assert jax.device_count() == 8
    cases = NARROW
    drawn = {case: draw(case, M, K) for case in cases}
    wanted = {case: whole(case, drawn[case]) for case in cases}
    for case in cases:
        agree(outside(case, drawn[case]), wanted[case])
    print("gradients-of-the-whole")
    for case in (cases[0], cases[-1]):
        agree(inside(case, drawn[case]), wanted[case])
    print("gradients-inside")
    for case in cases:
        agree(updated(case, drawn[case], class_axis="classes"), updated(case, drawn[case]))
    print("updates")
    for case in (cases[0], cases[-1]):
        # Nothing made to vary, hence nothing summed over the other devices: an error, not a number.
        with mock.patch.object(inputs, "vary", lambda tree, axes: tree):
            try:
                inside(case, drawn[case])
            except (TypeError, ValueError):
                continue
            raise AssertionError(f"{case.name}: an omitted sum went unseen")
    print("omission-caught")
    try:
        outside(cases[0], drawn[cases[0]], check_vma=False)
    except UserError as error:
        print("unchecked-refused" if "check_vma=True" in str(error) else error)


if __name__ == "__main__":
    main()
