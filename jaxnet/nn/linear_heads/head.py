"""What a linear head is: a dense loss and the rule that computes it by tiles, forward and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike

from jaxnet.nn import meshes
from jaxnet.nn.linear_heads import by_rows, updating
from jaxnet.nn.linear_heads.inputs import Options, check, part_options, place, refuse_gradient
from jaxnet.nn.linear_heads.targets import Targets
from jaxnet.nn.linear_heads.tiles import Gradients, Plan, Tile, gradients
from jaxnet.nn.linear_heads.updating import Change, Updated, check_parts
from jaxnet.nn.losses import Loss, reductions
from jaxnet.nn.meshes import zeros
from jaxnet.nn.precision import wide_type

Option: TypeAlias = ArrayLike | Sequence[float] | None  # a number, or one for each class


class Problem(NamedTuple):
    """Checked arguments of a head, as its rule sees them."""

    x: Array
    W: Array
    b: Array
    targets: Targets
    options: Options

    @property
    def wide(self) -> Any:
        """The type of logits, losses and sums."""
        return wide_type(self.x.dtype)

    def rows(self, w: Array | None) -> Any:
        """How numbers of rows, (m,), are divided over a mesh of Explicit axes."""
        known = self.targets.known
        return meshes.spec(meshes.first_divided(self.x, known, w, *jax.tree.leaves(self.targets)))


class Rule(NamedTuple):
    """How a head is computed by tiles.

    Attributes:
        forward: (plan, problem) -> (losses (m,), facts a row that delta needs).
        delta: (plan, problem, facts) -> tile function without losses.
        both: (plan, problem) -> tile function with losses, where no facts are needed; or None.
    """

    forward: Callable[[Plan, Problem], tuple[Array, Any]]
    delta: Callable[[Plan, Problem, Any], Tile]
    both: Callable[[Plan, Problem], Tile] | None


@dataclass(frozen=True, eq=False)
class Head:
    """A linear layer and the loss behind it in one; the logits (m, K) are never held.

    `head(x, W, b, targets, **options)` gives one number an example, with closed-form gradients in
    x, W, b and weights. Memory beyond W and dW: a few tiles.

    Args:
        weights: (m,) numbers or booleans; they multiply the losses. Weight 0 takes a row out,
            whatever is in it.
        block: labels a tile; None: tiles of at most 32 MiB. The one knob for memory.
        class_axis: inside `jax.shard_map(..., check_vma=True)`, the mesh axis over which W and b
            (and dense targets, class_weight, pos_weight) are divided. Labels and positives keep
            their numbers among all classes. dX is summed over that axis, dW over those of the rows.
        compute_dtype: type of the products; None: that of x and W.
        class_weight, label_smoothing, pos_weight, labels: options of the dense loss, of which
            pos_weight and labels are for `multilabel` alone; None: its default. They and dense
            targets have no gradient here, which is an error rather than 0: `forward_mode` has it.

    Attributes:
        loss: the dense loss with the same numbers.

    Raises:
        UserError: shapes or types that do not fit, unknown options, `block` below 1, a gradient in
            an option.
    """

    name: str
    loss: Loss
    read_targets: Callable[..., Targets]
    rule: Rule
    doc: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.doc)

    def __call__(
        self,
        x: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        targets: Any,
        *,
        weights: ArrayLike | None = None,
        block: int | None = None,
        class_axis: str | None = None,
        compute_dtype: Any = None,
        class_weight: Option = None,
        label_smoothing: Option = None,
        pos_weight: Option = None,
        labels: str | None = None,
    ) -> Array:
        """Losses (m,), times their weights. The gradient recomputes the tiles."""
        options = _options(class_weight, label_smoothing, pos_weight, labels)
        plan, problem, w = self._prepare(
            x, W, b, targets, weights, block, class_axis, options, compute_dtype=compute_dtype
        )

        def losses_of(problem: Problem, w: Array | None) -> Array:
            losses = _losses(self.rule, plan, *problem)
            return losses if w is None else w * _present(losses, w)

        return meshes.automatic(losses_of, problem, w, out=problem.rows(w))

    def sum(
        self,
        x: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        targets: Any,
        *,
        weights: ArrayLike | None = None,
        block: int | None = None,
        class_axis: str | None = None,
        compute_dtype: Any = None,
        class_weight: Option = None,
        label_smoothing: Option = None,
        pos_weight: Option = None,
        labels: str | None = None,
    ) -> Array:
        """sum_i w_i L_i, a scalar. Where a head can, with its gradients from the same sweep."""
        options = _options(class_weight, label_smoothing, pos_weight, labels)
        plan, problem, w = self._prepare(
            x, W, b, targets, weights, block, class_axis, options, compute_dtype=compute_dtype
        )

        def total_of(problem: Problem, w: Array | None) -> Array:
            if self.rule.both is None or class_axis is not None:
                return reductions.sum(_losses(self.rule, plan, *problem), w)
            w = jnp.ones(problem.x.shape[:1], problem.wide) if w is None else w
            return _total(self.rule, plan, *problem, meshes.vary(w, meshes.axes_of(problem)))

        return meshes.automatic(total_of, problem, w, out=meshes.spec())

    def forward_mode(
        self,
        x: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        targets: Any,
        *,
        weights: ArrayLike | None = None,
        block: int | None = None,
        class_weight: Option = None,
        label_smoothing: Option = None,
        pos_weight: Option = None,
        labels: str | None = None,
    ) -> Array:
        """The same losses by blocks of rows, for jvp, linearize, hessian and gradients in options.

        A tile has all K labels and so many rows that it takes 32 MiB, or as much as m rows of
        `block` labels; the backward pass recomputes it (`jax.checkpoint`).
        """
        options = _options(class_weight, label_smoothing, pos_weight, labels)
        plan, problem, w = self._prepare(
            x, W, b, targets, weights, block, None, options, differentiable=True
        )
        m, K, size = problem.x.shape[0], problem.W.shape[0], problem.wide.itemsize
        rows = by_rows.rows_a_tile(m, K, block, size)

        def losses_of(problem: Problem, w: Array | None) -> Array:
            losses = by_rows.losses(self.loss, rows, plan, *problem)
            return losses if w is None else w * _present(losses, w)

        return meshes.automatic(losses_of, problem, w, out=problem.rows(w))

    def update(
        self,
        x: ArrayLike,
        parts: Any,
        targets: Any,
        change: Change,
        *,
        weights: ArrayLike | None = None,
        when: Any = None,
        block: int | None = None,
        class_axis: str | None = None,
        compute_dtype: Any = None,
        class_weight: Option = None,
        label_smoothing: Option = None,
        pos_weight: Option = None,
        labels: str | None = None,
    ) -> Updated:
        """Losses and dX of sum_i w_i L_i, and W and b changed block by block by their gradient.

        dW never exists as a whole, and with the parts donated, or carried by a loop, nothing else
        of K rows is made. Not differentiable: it is a step of training, written out.

        Args:
            parts: (W, b, ...): any tree of arrays with one row a label; W and b come first.
            change: (first label, block of the parts, (dW, db) of the block) -> the block as it
                shall be. It is called while the others are still to come, so it must not depend
                on them; inside `shard_map` its dW is summed over the rows of all devices.
            when: whether to change anything, a traced boolean; None: yes.
            compute_dtype: type of the products; None: that of x and W.

        Raises:
            UserError: as the head itself, or parts that do not have one row a label.

        >>> from jaxnet.nn.linear_heads import multilabel
        >>> def descend(first, parts, gradients):
        ...     return jax.tree.map(lambda p, g: p - 0.5 * g, parts, gradients)
        >>> parts = jnp.zeros((3, 1)), jnp.zeros(3)
        >>> done = multilabel.update(jnp.ones((1, 1)), parts, jnp.array([[1, -1]]), descend)
        >>> done.parts[1].tolist(), done.losses.round(3).tolist()
        ([-0.25, 0.25, -0.25], [2.079])
        """
        options = _options(class_weight, label_smoothing, pos_weight, labels)
        check_parts(self.name, parts)
        W, b, *_ = jax.tree.leaves(parts)
        plan, problem, w = self._prepare(
            x, W, b, targets, weights, block, class_axis, options, compute_dtype=compute_dtype
        )
        # A constant would be folded, and the branch that it takes away is needed: see `updating`.
        when = lax.optimization_barrier(jnp.bool_(True)) if when is None else when

        def update_of(problem: Problem, w: Array | None, parts: Any, when: Array) -> Updated:
            return updated(self.rule, plan, problem, w, parts, change, when)

        rows: Any = problem.rows(w)
        dx: Any = meshes.spec(*rows, meshes.divided(problem.x, 1))
        out = Updated(rows, dx, meshes.specs_of(parts))
        return meshes.automatic(update_of, problem, w, parts, when, out=out)

    def _prepare(
        self,
        x: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        targets: Any,
        weights: ArrayLike | None,
        block: int | None,
        class_axis: str | None,
        options: Mapping[str, Any],
        *,
        differentiable: bool = False,
        compute_dtype: Any = None,
    ) -> tuple[Plan, Problem, Array | None]:
        arrays = check(self.name, x, W, b, weights, block, class_axis, compute_dtype)
        words, numbers = part_options(self.loss, options, arrays.W.shape[0], arrays.wide)
        read = self.read_targets(
            targets, arrays.x.shape[0], arrays.W.shape[0], class_axis, arrays.wide
        )
        if not differentiable:
            read, numbers = refuse_gradient(self.name, read, numbers)
        plan, placed = place(arrays, read, numbers, block, class_axis, words)
        return plan, Problem(*placed), arrays.weights


def _options(class_weight: Any, label_smoothing: Any, pos_weight: Any, labels: Any) -> Any:
    """Those that were given, by name."""
    given = {
        "class_weight": class_weight,
        "label_smoothing": label_smoothing,
        "pos_weight": pos_weight,
        "labels": labels,
    }
    return {name: option for name, option in given.items() if option is not None}


def _present(losses: Array, w: Array) -> Array:
    """The losses, but 0 where the weight is 0 and the loss not finite: the row is absent."""
    return jnp.where((w == 0) & ~jnp.isfinite(losses), 0, losses)


def _known(losses: Array, targets: Targets) -> Array:
    return losses if targets.known is None else losses * targets.known


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
@partial(jax.jit, static_argnums=(0, 1))
def _losses(
    rule: Rule, plan: Plan, x: Array, W: Array, b: Array, targets: Targets, options: Options
) -> Array:
    return _known(rule.forward(plan, Problem(x, W, b, targets, options))[0], targets)


# forward :: (x, W, b, targets, options) -> (losses (m,), residuals)
@partial(jax.jit, static_argnums=(0, 1))
def _forward(
    rule: Rule, plan: Plan, x: Array, W: Array, b: Array, targets: Targets, options: Options
) -> tuple[Array, Any]:
    problem = Problem(x, W, b, targets, options)
    losses, facts = rule.forward(plan, problem)
    return _known(losses, targets), (problem, facts)


# backward :: (residuals, cotangent (m,)) -> (dX, dW, db, no d targets, no d options)
@partial(jax.jit, static_argnums=(0, 1))
def _backward(
    rule: Rule, plan: Plan, residuals: Any, g: Array
) -> tuple[Array, Array, Array, None, None]:
    problem, facts = residuals
    known = problem.targets.known
    factor = g if known is None else jnp.where(g == 0, 0, g * known)
    x = jnp.where((g == 0)[:, None], 0, problem.x)  # 0 * NaN would reach dW
    tile = rule.delta(plan, problem, facts)
    found = gradients(plan, x, problem.W, problem.b, factor, tile)
    return found.x.astype(x.dtype), found.W, found.b, None, None


_losses.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
@partial(jax.jit, static_argnums=(0, 1))
def _total(
    rule: Rule,
    plan: Plan,
    x: Array,
    W: Array,
    b: Array,
    targets: Targets,
    options: Options,
    w: Array,
) -> Array:
    losses = _known(rule.forward(plan, Problem(x, W, b, targets, options))[0], targets)
    return jnp.sum(w * _present(losses, w))


# forward :: (x, W, b, targets, options, w) -> (sum_i w_i L_i, its gradients in x, W, b, w)
@partial(jax.jit, static_argnums=(0, 1))
def _total_forward(
    rule: Rule,
    plan: Plan,
    x: Array,
    W: Array,
    b: Array,
    targets: Targets,
    options: Options,
    w: Array,
) -> tuple[Array, Gradients]:
    assert rule.both is not None
    problem = Problem(x, W, b, targets, options)
    absent = (w == 0) & ~jnp.isfinite(x).all(axis=1)
    x = jnp.where(absent[:, None], 0, x)
    factor = w if targets.known is None else jnp.where(w == 0, 0, w * targets.known)
    start = zeros(w.shape, problem.wide, x, W)
    found = gradients(plan, x, W, b, factor, rule.both(plan, problem), start)
    losses = jnp.where(absent, 0, _present(_known(found.losses, targets), w))
    narrow = found._replace(x=found.x.astype(x.dtype), losses=losses)
    return jnp.sum(w * losses), narrow


# backward :: (gradients, cotangent) -> (dX, dW, db, no d targets, no d options, dw)
def _total_backward(
    _rule: Rule, _plan: Plan, found: Gradients, g: Array
) -> tuple[Array, Array, Array, None, None, Array]:
    dx, dW, db = (g.astype(part.dtype) * part for part in found[:3])
    return dx, dW, db, None, None, g * found.losses


_total.defvjp(_total_forward, _total_backward)


def updated(
    rule: Rule,
    plan: Plan,
    problem: Problem,
    w: Array | None,
    parts: Any,
    change: Change,
    when: Array,
) -> Updated:
    """`Head.update` of checked arguments: one sweep where the loss comes with it, else two."""
    w = jnp.ones(problem.x.shape[:1], problem.wide) if w is None else w
    x = jnp.where((w == 0)[:, None], 0, problem.x)  # 0 * NaN would reach dW
    known = problem.targets.known
    factor = w if known is None else jnp.where(w == 0, 0, w * known)
    if rule.both is not None:
        start = zeros(w.shape, problem.wide, x, problem.W)
        tile = rule.both(plan, problem)
    else:
        losses, facts = rule.forward(plan, problem._replace(x=x))
        start, tile = None, rule.delta(plan, problem, facts)
    dx, parts, found = updating.run(plan, x, factor, tile, parts, change, start, when)
    losses = losses if found is None else found
    if plan.class_axis is not None:
        dx = lax.psum(dx, plan.class_axis)
        losses = losses if found is None else lax.psum(losses, plan.class_axis)
    return Updated(jnp.where(w == 0, 0, _known(losses, problem.targets)), dx, parts)
