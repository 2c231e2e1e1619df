"""An update of a network whose last layer is a linear head, whose gradient is never held.

The layers before it are differentiated as ever, from dX that the head gives. Its own weights change
while the head passes over them, so whether the step is finite has to be known before: either the
numbers are so small that nothing can overflow, or the step is tried on the other layers first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxnet.errors import UserError
from jaxnet.nn import bags, embedding, linear_heads, mlp
from jaxnet.nn.bags import Bags
from jaxnet.nn.embedding import Network
from jaxnet.nn.linear_heads import Head
from jaxnet.nn.linear_heads.tiles import over
from jaxnet.nn.mlp import Layer, Masks
from jaxnet.nn.precision import as_words, from_words
from jaxnet.training import optimizer as optimizers
from jaxnet.training.finite import LARGE, all_finite
from jaxnet.training.optimizer import Optimizer, Rates
from jaxnet.training.rounding import rounded

HEADS: Mapping[str, Head] = MappingProxyType({"multilabel_cross_entropy": linear_heads.multilabel})
PART = 8192  # rows of a narrow array that are looked at in one go
_STEEPEST = 2.0  # slope of an activation, at most: that of selu is 1.76


class Moments(NamedTuple):
    """State of the optimizer for the layers before the head, and for the head."""

    body: Any
    head: Any


class Batch(NamedTuple):
    """x, y and the share of each row in the mean loss, (m,)."""

    x: Any
    y: Any
    shares: Array


class Call(NamedTuple):
    """How a head is called.

    Attributes:
        head: of the loss.
        network: keywords of `embedding.hidden`.
        options: of the loss.
        block: labels a tile, or None.
    """

    head: Head
    network: Mapping[str, Any]
    options: Mapping[str, Any]
    block: int | None

    def hidden(self, body: Network, x: Any, masks: Masks) -> Array:
        """What the head reads, scaled as its logits are."""
        a = embedding.hidden(body, x, masks=masks, **self.network)
        scale = mlp.find_scale(self.network["parametrisation"])(a.shape[1])
        return a if scale == 1.0 else a * scale

    @property
    def keywords(self) -> dict[str, Any]:
        """Of the head."""
        return {**self.without_options, **self.options}

    @property
    def without_options(self) -> dict[str, Any]:
        """Of the head, for the loss without weights and smoothing."""
        return {"block": self.block, "compute_dtype": self.network["compute_dtype"]}


def call_of(
    loss: str, network: Mapping[str, Any], options: Mapping[str, Any], block: int | None
) -> Call:
    """How the head of a loss is called.

    Raises:
        UserError: the loss has no head.
    """
    if loss not in HEADS:
        raise UserError(f"{loss} has no linear head; choose from {', '.join(HEADS)}")
    return Call(HEADS[loss], network, options, block)


def split(params: Network) -> tuple[Network, Layer]:
    """(the network without its last layer, the last layer)."""
    *hidden, head = params.layers
    assert isinstance(head, Layer)
    return params._replace(layers=tuple(hidden)), head


def join(body: Network, head: Layer) -> Network:
    """What `split` took apart."""
    return body._replace(layers=(*body.layers, head))


def begin(optimizer: Optimizer, params: Network) -> Moments:
    """The moments before the first update: of float32 also for a head of bfloat16."""
    body, head = split(params)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), head)
    return Moments(optimizers.init(optimizer, body), optimizers.init(optimizer, wide))


class Done(NamedTuple):
    """What an update gives; where it is not finite, all but the loss is as it was.

    Attributes:
        loss: the mean loss of the batch, weighted.
        params, moments, average: after the update.
        finite: whether it was applied.
    """

    loss: Array
    params: Network
    moments: Moments
    average: Any
    finite: Array


def update(
    call: Call,
    optimizer: Optimizer,
    rates: Rates,
    params: Network,
    moments: Moments,
    average: Any,
    batch: Batch,
    masks: Masks,
    *,
    step: Array,
    seed: Array,
) -> Done:
    """One update of all parameters.

    Args:
        masks: of dropout, drawn; () for none.
        step: updates applied so far. seed: of the run; both key the rounding of narrow weights.

    Raises:
        UserError: the gradient is to be clipped by its norm, which is never known here.
    """
    if optimizer.clip_norm is not None:
        raise UserError(
            "clip_norm needs the norm of the whole gradient, which a head that changes block by "
            "block never has; leave it out, or use the head 'dense'"
        )
    body, head = split(params)
    a, pull = jax.vjp(lambda body: call.hidden(body, batch.x, masks), body)
    good = _is_finite(call, body, head, batch, masks, a)
    done = call.head.update(
        a,
        _parts(head, moments.head, average),
        batch.y,
        _changing(optimizer, rates, moments.head, average, step, seed),
        weights=batch.shares,
        when=good,
        **call.keywords,
    )
    (gradients,) = pull(done.dx.astype(a.dtype))
    head, head_moments, head_average = _taken(done.parts, moments.head, good)
    body, body_moments = optimizers.apply(optimizer, rates, gradients, moments.body, body, good)
    average = _followed(optimizer, average, body, head_average, step + 1, good)
    loss = jnp.sum(batch.shares * done.losses)
    return Done(loss, join(body, head), Moments(body_moments, head_moments), average, good)


def _parts(head: Layer, moments: Any, average: Any) -> Any:
    """(W, b, what else has one row a label): what is cut into blocks."""
    rows = [leaf for leaf in jax.tree.leaves(moments) if leaf.ndim]
    return head, rows, average.layers[-1] if average else ()


def _changing(
    optimizer: Optimizer, rates: Rates, moments: Any, average: Any, step: Array, seed: Array
) -> Any:
    """The update of one block of labels, by `optimizers.apply` as of any other parameters."""

    def change(first: Any, parts: Any, gradients: tuple[Array, Array]) -> Any:
        head, rows, followed = parts
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), head)
        dW, db = (part.astype(jnp.float32) for part in gradients)
        after, moved = optimizers.apply(
            optimizer, rates, Layer(dW, db), _with_rows(moments, rows), wide, jnp.bool_(True)
        )
        kept = [leaf for leaf in jax.tree.leaves(moved) if leaf.ndim]
        if average:
            followed = optimizers.follow(optimizer, followed, after, step + 1, jnp.bool_(True))
        if head.W.dtype != after.W.dtype:
            after = after._replace(W=rounded(after.W, head.W.dtype, seed, step, first))
        return after, kept, followed

    return change


def _with_rows(moments: Any, rows: list[Array]) -> Any:
    """The moments with these arrays, in order; their scalars, such as a count, are as they were."""
    leaves, tree = jax.tree.flatten(moments)
    found = iter(rows)
    return jax.tree.unflatten(tree, [next(found) if leaf.ndim else leaf for leaf in leaves])


def _taken(parts: Any, moments: Any, good: Array) -> tuple[Layer, Any, Any]:
    """Head, moments and average after the sweep; a count goes up once, whatever the blocks."""
    head, rows, followed = parts
    counted = jax.tree.map(
        lambda leaf: leaf if leaf.ndim else leaf + good.astype(leaf.dtype), moments
    )
    return head, _with_rows(counted, rows), followed


def _followed(
    optimizer: Optimizer, average: Any, body: Network, head: Any, steps: Array, good: Array
) -> Any:
    if not average:
        return average
    before, _ = split(average)
    return join(optimizers.follow(optimizer, before, body, steps, good), head)


def _is_finite(
    call: Call, body: Network, head: Layer, batch: Batch, masks: Masks, a: Array
) -> Array:
    """Whether loss and gradients will be finite, and their squares too (see `finite`)."""
    weights = [call.options.get(name) for name in ("class_weight", "pos_weight")]
    most = jnp.float32(1)
    for each in weights:
        most = most if each is None else most * jnp.maximum(1, jnp.max(jnp.asarray(each)))
    width, labels = head.W.shape[1], head.W.shape[0]
    W, reach = _largest(head.W), _largest(a)
    logits = width * reach * W + _largest(head.b)
    dX = labels * W * most
    size = jnp.float32(1)
    for leaf in jax.tree.leaves(body):
        terms = max(leaf.shape) if leaf.ndim > 1 else 1
        size = size * (1 + _STEEPEST * terms * _largest(leaf))
    for mask in masks:
        size = size * (1 + _largest(mask))
    inputs = 1 + _largest_input(batch.x)
    small = (
        (logits * labels * most < LARGE)
        & (reach * most * LARGE < jnp.inf)
        & (dX * size * inputs < 1e18)
    )
    # NaN makes every comparison False: then the step is tried.
    return lax.cond(
        small,
        lambda words: jnp.bool_(True),
        lambda words: _tried(call, body, from_words(words, head), batch, masks, most),
        as_words(head),
    )


def _largest(array: Array) -> Array:
    """max |array|; as max and min over the rows first, which the compiler vectorises on CPU.

    Of bfloat16 part by part: the compiler would widen all of it.
    """
    if not array.size:
        return jnp.float32(0)
    rows = array.reshape(array.shape[0], -1)
    size = len(rows) if rows.dtype == jnp.float32 else PART
    return over(
        len(rows),
        size,
        lambda span, most: jnp.maximum(most, _largest_of(span.of(rows))),
        jnp.float32(0),
    )


def _largest_of(rows: Array) -> Array:
    wide = rows.astype(jnp.float32)
    return jnp.maximum(jnp.max(jnp.max(wide, axis=0)), -jnp.min(jnp.min(wide, axis=0)))


def _largest_input(x: Any) -> Array:
    if isinstance(x, Bags):  # of the rows of this batch: there may be millions of others
        return bags.over_entries(
            x, lambda most, row, feature, value: jnp.maximum(most, _largest(value)), jnp.float32(0)
        )
    return _largest(jnp.asarray(x))


def _tried(
    call: Call, body: Network, head: Layer, batch: Batch, masks: Masks, most: Array
) -> Array:
    """Loss and gradients in all but the head; its own is at most max |a|, times what labels weigh.

    Args:
        most: what a label weighs at most.
    """

    def total(body: Network) -> tuple[Array, Array]:
        a = call.hidden(body, batch.x, masks)
        return call.head.sum(a, *head, batch.y, weights=batch.shares, **call.keywords), a

    (value, a), gradients = jax.value_and_grad(total, has_aux=True)(body)
    return jnp.isfinite(value) & all_finite(gradients) & all_finite(most * a.astype(jnp.float32))
