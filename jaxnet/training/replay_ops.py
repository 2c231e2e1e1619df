"""A traced function run operation by operation: which one makes the first value that spoils it.

Not every infinity is a fault: -inf may stand for a masked class and leave no trace. So an operation
is the cause only if what it makes reaches the result. That is tried out: the function runs again
with the values that all other operations spoil repaired, and its result must still be spoiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import ne
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

# The number of an equation, within that of the call it belongs to, and so on; -1 - k: argument k.
Key: TypeAlias = tuple[int, ...]

# Where a repaired value stands: finite, and under log, sqrt, atanh, 1/a and 1/(1 - a) as well.
REPAIRED = 0.5

# Calls whose body is looked into; their operands are those of the body. Loops are one operation.
_JITS = frozenset(("jit", "pjit"))
_CALLS = _JITS | {"closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}
_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr")


class Value(NamedTuple):
    """An array and the operation or argument that made it; None: a constant."""

    array: Any
    made_by: Key | None


class Evidence(NamedTuple):
    """What an operation that spoils took and gave.

    Attributes:
        operands: the arrays it took.
        outputs: the arrays it gave.
        spoiled: for each output, which of its numbers are not finite and not to be blamed on the
            operands.
    """

    operands: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    spoiled: tuple[np.ndarray, ...]


class Op(NamedTuple):
    """One operation, or argument, of a run.

    Attributes:
        key: its place.
        name: of the primitive, such as "exp"; empty for an argument.
        source: where it was written, for `jax.extend.source_info_util`.
        reads: what made its operands.
        evidence: if it makes a NaN or an infinity, else None.
        blamed: whether it makes one from operands that are finite.
    """

    key: Key
    name: str
    source: Any
    reads: tuple[Key | None, ...]
    evidence: Evidence | None
    blamed: bool


class Run(NamedTuple):
    """The values that a function gave, and its operations in their order."""

    outputs: tuple[Value, ...]
    ops: dict[Key, Op]


def find_cause(traced: core.ClosedJaxpr, arguments: Sequence[Any], first: Run) -> Op | None:
    """The first operation that spoils the result: a number not finite, or a flag that is False.

    Args:
        first: `run(traced, arguments)`.

    Returns:
        None where the result is sound.

    >>> traced = jax.make_jaxpr(lambda x: jnp.sum(jnp.log(x)))(jnp.ones(2))
    >>> for second in (0.0, 2.0):
    ...     found = [jnp.array([1.0, second])]
    ...     op = find_cause(traced, found, run(traced, found))
    ...     print(op and op.name)
    log
    None
    """
    if not _is_spoiled(first):
        return None
    reaching = behind(first, [value for value in first.outputs if _wrong(value.array)])
    blamed = [op for key, op in first.ops.items() if op.blamed and key in reaching]
    if not _is_spoiled(run(traced, arguments, repair=lambda key: True)):
        for op in blamed:
            if _is_spoiled(run(traced, arguments, repair=partial(ne, op.key))):
                return op
        if blamed:
            return blamed[0]
    return _of_constants(first, reaching)


def _of_constants(found: Run, reaching: set[Key]) -> Op:
    """Where constants spoil the result: the operation that made a NaN of them, or took them in."""
    spoiling = [op for key, op in found.ops.items() if op.evidence is not None and key in reaching]
    nan = (op for op in spoiling if _makes_nan(op.evidence))
    mixing = (op for op in spoiling if _depends_on_arguments(found, op))
    return next(nan, next(mixing, spoiling[0]))


def _depends_on_arguments(found: Run, op: Op) -> bool:
    return any(key[0] < 0 for key in behind(found, [Value(None, op.key)]))


def _makes_nan(evidence: Evidence | None) -> bool:
    def holds(arrays: Sequence[np.ndarray]) -> bool:
        return any(_is_inexact(a) and bool(np.isnan(a).any()) for a in arrays)

    return evidence is not None and holds(evidence.outputs) and not holds(evidence.operands)


def behind(found: Run, values: Sequence[Value]) -> set[Key]:
    """The operations and arguments that some values were computed from."""
    seen: set[Key] = set()
    waiting = [value.made_by for value in values]
    while waiting:
        key = waiting.pop()
        if key is not None and key not in seen:
            seen.add(key)
            waiting += found.ops[key].reads
    return seen


def _is_spoiled(found: Run) -> bool:
    return any(_wrong(value.array) for value in found.outputs)


def _wrong(array: Any) -> bool:
    if _is_inexact(array):
        return not np.isfinite(np.asarray(array)).all()
    return array.dtype == np.bool_ and not np.asarray(array).all()


def _never(key: Key) -> bool:
    return False


def run(
    traced: core.ClosedJaxpr,
    arguments: Sequence[Any],
    *,
    repair: Callable[[Key], bool] = _never,
) -> Run:
    """Every operation in its order, one at a time.

    Args:
        repair: of which operations and arguments the numbers that they spoil are made `REPAIRED`.
    """
    ops: dict[Key, Op] = {}
    values = []
    for number, array in enumerate(map(_as_array, arguments)):
        key = (-1 - number,)
        (given,) = _noted(Op(key, "", None, (), None, False), [], [array], None, ops, repair)
        values.append(given)
    outputs = _body(traced.jaxpr, traced.consts, values, (), None, ops, repair)
    return Run(tuple(outputs), ops)


def _as_array(argument: Any) -> Any:
    return argument if hasattr(argument, "dtype") else jnp.asarray(argument)


def _body(
    body: Any,
    constants: Sequence[Any],
    arguments: Sequence[Value],
    place: Key,
    source: Any,
    ops: dict[Key, Op],
    repair: Callable[[Key], bool],
) -> list[Value]:
    """The equations of a body; source: of the call within which all of them count as written."""
    known = dict(zip(body.constvars, (Value(each, None) for each in constants), strict=True))
    known |= dict(zip(body.invars, arguments, strict=True))

    def look_up(variable: Any) -> Value:
        if isinstance(variable, core.Literal):
            kind: Any = variable.aval
            return Value(np.asarray(variable.val, kind.dtype), None)
        return known[variable]

    for number, equation in enumerate(body.eqns):
        operands = [look_up(variable) for variable in equation.invars]
        found = _called(equation, operands)
        if found is None:
            op = Op(
                (*place, number),
                equation.primitive.name,
                source or equation.source_info,
                tuple(operand.made_by for operand in operands),
                None,
                False,
            )
            arrays = [operand.array for operand in operands]
            made = _noted(op, arrays, _bind(equation, arrays), equation, ops, repair)
        else:
            inner, within, operands = found
            # What a compiled function of JAX's holds may have been traced for another caller.
            at = source or (equation.source_info if equation.primitive.name in _JITS else None)
            made = _body(*_parts(inner), operands, (*place, number, *within), at, ops, repair)
        known |= dict(zip(equation.outvars, made, strict=True))
    return [look_up(variable) for variable in body.outvars]


def _called(equation: Any, operands: list[Value]) -> tuple[Any, Key, list[Value]] | None:
    """(body, its number among branches, its operands) of an equation that is a call, else None."""
    if equation.primitive.name == "cond":
        branches = equation.params["branches"]
        chosen = min(max(int(operands[0].array), 0), len(branches) - 1)
        return branches[chosen], (chosen,), operands[1:]
    if equation.primitive.name not in _CALLS:
        return None
    return next(equation.params[key] for key in _BODIES if key in equation.params), (), operands


def _parts(body: Any) -> tuple[Any, Sequence[Any]]:
    return (body.jaxpr, body.consts) if isinstance(body, core.ClosedJaxpr) else (body, ())


def _bind(equation: Any, arrays: Sequence[Any]) -> list[Any]:
    options = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        made = equation.primitive.bind(*arrays, **options)
    return list(made) if equation.primitive.multiple_results else [made]


def _noted(
    op: Op,
    arrays: Sequence[Any],
    made: Sequence[Any],
    equation: Any,
    ops: dict[Key, Op],
    repair: Callable[[Key], bool],
) -> list[Value]:
    """What an operation made, repaired where asked for; the operation is added to the record."""
    bad = [_not_finite(array) for array in made]
    if any(each.any() for each in bad):
        taken = [_not_finite(array) for array in arrays]
        own = bad
        if any(each.any() for each in taken):
            sound = [_mended(array, at) for array, at in zip(arrays, taken, strict=True)]
            own = [_not_finite(array) for array in _bind(equation, sound)]
        blamed = any(each.any() for each in own)
        evidence = Evidence(
            tuple(np.asarray(array) for array in arrays if _is_plain(array)),
            tuple(np.asarray(array) for array in made if _is_plain(array)),
            tuple(
                at
                for at, array in zip(own if blamed else bad, made, strict=True)
                if _is_plain(array)
            ),
        )
        op = op._replace(evidence=evidence, blamed=blamed)
        if blamed and repair(op.key):
            made = [_mended(array, at) for array, at in zip(made, own, strict=True)]
    ops[op.key] = op
    return [Value(array, op.key) for array in made]


def _is_plain(array: Any) -> bool:
    """Whether numpy can hold it: random keys of JAX are arrays of another kind."""
    return not jnp.issubdtype(array.dtype, jax.dtypes.extended)


def _is_inexact(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.inexact))


def _not_finite(array: Any) -> np.ndarray:
    if not _is_inexact(array):
        return np.zeros((), bool)
    return np.asarray(~np.isfinite(np.asarray(array)))


def _mended(array: Any, at: np.ndarray) -> Any:
    if not at.any():
        return array
    plain = np.asarray(array)
    return jnp.asarray(np.where(at, np.asarray(REPAIRED, plain.dtype), plain))


def equation_at(traced: core.ClosedJaxpr, key: Key) -> Any:
    """The equation of an operation in a trace of the same function for other shapes, or None."""
    body, rest = traced.jaxpr, key
    while True:
        number, *after = rest
        if not 0 <= number < len(body.eqns):
            return None
        equation = body.eqns[number]
        if not after:
            return equation
        if equation.primitive.name == "cond":
            inner, after = equation.params["branches"][after[0]], after[1:]
        else:
            inner = next((equation.params[k] for k in _BODIES if k in equation.params), None)
        if inner is None:
            return None
        body, rest = _parts(inner)[0], tuple(after)
