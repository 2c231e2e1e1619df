"""One pair of loss and output activation, checked in every way: the cases of a report."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet.nn.gradcheck import engines, network, reference
from jaxnet.nn.gradcheck.measure import (
    DIFFERENCES_LIMIT,
    Reference,
    Worst,
    believed,
    contradiction,
    worst,
)
from jaxnet.nn.gradcheck.points import Batch, Pair, Points, Range, points
from jaxnet.nn.gradcheck.report import Case

# Limits of the relative error of a gradient. Behind softmax the gap of two logits is rounded: half
# a unit in the last place of 80 is 3.8e-6. Behind gelu it is the tail of erfc, 4e-6 off in float32.
# One rounding to bfloat16 costs up to 3.9e-3.
LIMIT, BFLOAT16_LIMIT = 2e-6, 4e-3
LIMITS = {"softmax": 5e-6, "gelu": 5e-6}
# A network in bfloat16 rounds both factors of every product of every layer.
BFLOAT16_NETWORK_LIMIT = 2e-2

FLOAT32, BFLOAT16 = np.dtype(np.float32), np.dtype(jnp.bfloat16)
DTYPES = (FLOAT32, BFLOAT16)


def limit_of(pair: Pair, dtype: np.dtype) -> float:
    """The relative error that a gradient may have."""
    if dtype == BFLOAT16:
        return BFLOAT16_LIMIT
    return LIMITS.get(pair.activation, LIMIT)


class Asked(NamedTuple):
    """What of a pair is to be checked."""

    pair: Pair
    extent: Range
    options: Mapping[str, Any]
    hidden: tuple[str, ...]
    dtypes: tuple[np.dtype, ...]
    limit: float | None


def cases(asked: Asked) -> list[Case]:
    """All cases of a pair: logits, soft targets and sample weights, then whole networks."""
    found: list[Case] = []
    for dtype in asked.dtypes:
        where = points(asked.pair, dtype, asked.extent, asked.options)
        found += _compared(asked, dtype, where)
    for hidden in asked.hidden:
        found += _network_cases(asked, hidden)
    return found


def _compared(asked: Asked, dtype: np.dtype, where: Points) -> Iterator[Case]:
    got = engines.measure(asked.pair, where)
    expected = reference.references(asked.pair, where)
    for (scope, kind, batch, _), mine, right in zip(
        engines.work(where), got, expected, strict=True
    ):
        yield _case(asked, dtype, kind, scope, batch, mine, right)


def _case(
    asked: Asked,
    dtype: np.dtype,
    kind: str,
    scope: str,
    batch: Batch,
    got: engines.Gradients,
    reference: Reference,
) -> Case:
    limit = asked.limit or limit_of(asked.pair, dtype)
    expected, where = believed(reference)

    def compare(gradient: Any) -> Worst:
        return worst(gradient, expected, reference.scale, where)

    closed = compare(got.closed_form)
    twin = None if got.forward_mode is None else compare(got.forward_mode).error
    denied = contradiction(reference)
    right = denied.error <= DIFFERENCES_LIMIT
    return Case(
        loss=asked.pair.loss.name,
        activation=asked.pair.activation,
        dtype=dtype.name,
        targets=kind,
        scope=scope,
        closed_form=closed.error,
        forward_mode=twin,
        backprop=None,
        autodiff=compare(got.autodiff).error,
        finite_differences=denied.error,
        limit=limit,
        ok=right and max(closed.error, twin or 0.0) <= limit,
        worst=_place(batch, closed if right else denied),
    )


def _place(batch: Batch, worst: Worst) -> str:
    """Where a gradient is worst, in words."""
    row = worst.entry[:1]
    z, y = (
        np.array2string(np.asarray(part)[row].astype(np.float64), precision=7, separator=", ")
        for part in (batch.z, batch.y)
    )
    entry = f", entry {worst.entry[1]}" if len(worst.entry) > 1 and worst.entry[1:] != (0,) else ""
    return f"at z = {z}, y = {y}{entry}: {worst.got:.8g} instead of {worst.expected:.8g}"


def _network_cases(asked: Asked, hidden: str) -> Iterator[Case]:
    problem = network.problem(asked.pair)
    expected, denied = network.reference(asked.pair, hidden, problem)
    found = network.narrow(asked.pair, hidden, asked.dtypes, problem)
    for dtype, got in zip(asked.dtypes, found, strict=True):
        limit = BFLOAT16_NETWORK_LIMIT if dtype == BFLOAT16 else limit_of(asked.pair, dtype)
        closed, usual, by_hand = (network.error(gradients, expected) for gradients in got)
        yield Case(
            loss=asked.pair.loss.name,
            activation=asked.pair.activation,
            dtype=dtype.name,
            targets="weighted",
            scope="network",
            closed_form=closed[0],
            forward_mode=None,
            backprop=by_hand[0],
            autodiff=usual[0],
            finite_differences=denied,
            limit=limit,
            ok=max(closed[0], by_hand[0]) <= limit and denied <= DIFFERENCES_LIMIT,
            hidden=hidden,
            worst=max(closed, by_hand)[1],
        )
