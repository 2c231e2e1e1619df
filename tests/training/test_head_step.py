"""Updates whose last layer changes block by block, against updates by the gradient as a whole."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import bags
from jaxnet.nn.bags import Bags
from jaxnet.nn.linear_heads import Sets
from jaxnet.training import epoch, head_step, state
from jaxnet.training.epoch import Program
from jaxnet.training.optimizer import SCALINGS, Optimizer, Schedule
from jaxnet.training.state import Head, State

pytestmark = pytest.mark.sampled(3)

N, D, H, K, BATCH = 22, 11, 6, 37, 4
LOSS = "multilabel_cross_entropy"


class Data(NamedTuple):
    """Rows of a kind, and their labels as sets and as zeros and ones."""

    x: Any
    sets: Sets
    dense: jax.Array


def drawn(kind: str, labels: int = K) -> Data:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N, D)) * (rng.random((N, D)) < (0.4 if kind == "bags" else 1.0))
    values = jnp.asarray(values, jnp.float32)
    y = rng.random((N, labels)) < 0.1
    y[3] = False
    ends, (_, at) = np.concatenate([[0], np.cumsum(y.sum(1))]), np.nonzero(y)
    sets = Sets(jnp.asarray(ends, jnp.int32), jnp.asarray(at, jnp.int32),
                jnp.arange(y.sum(1).max(), dtype=jnp.int32))  # fmt: skip
    x = bags_of(values) if kind == "bags" else values
    return Data(x, sets, jnp.asarray(y, jnp.float32))


def bags_of(values: Any) -> Bags:
    row, column = np.nonzero(np.asarray(values))
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(values)))])
    found = np.asarray(values)[row, column]
    return Bags(jnp.asarray(ends, jnp.int32), jnp.asarray(column, jnp.int32), jnp.asarray(found))


def program_of(head: str, optimizer: Optimizer, block: int | None = 8, **more: Any) -> Program:
    block = block if head == "linear_blocks" else None
    return Program(LOSS, optimizer=optimizer, batch_size=BATCH, head=head, block=block, **more)


RATES = {"learning_rate": 0.05, "weight_decay": 0.01, "total_steps": 20}


def begun(
    head: str,
    optimizer: Optimizer,
    *,
    kind: str = "bags",
    hidden: tuple[int, ...] = (H,),
    weights: str = "float32",
    labels: int = K,
    **rates: float,
) -> State:
    return state.begin(
        (D, *hidden, labels),
        optimizer,
        state.hyper(**{**RATES, **rates}),
        seed=3,
        bag_spread=0.5 if kind == "bags" else None,
        head=Head(head, weights),
    )


def train(program: Program, now: State, data: Data, steps: int, weights: Any = None) -> Any:
    """(state, finite) after so many steps, which may go over several epochs."""
    # Donated: what the caller holds stays.
    now, finite = jax.tree.map(jnp.copy, now), True
    per_epoch = epoch.steps_per_epoch(N, BATCH)
    y = data.sets if program.head == "linear_blocks" else data.dense
    end = int(now.step) + steps
    while finite and int(now.step) < end:
        order = epoch.order_of_rows(int(now.seed), int(now.step) // per_epoch, N, BATCH)
        turns = end - int(now.step)
        now, ok = epoch.compiled(program)(now, data.x, y, jnp.asarray(order), turns, weights)
        finite = bool(ok)
    return now, finite


def together(now: State) -> Any:
    """The moments as those of an optimizer of all parameters: trees of networks are joined."""
    if not isinstance(now.moments, head_step.Moments):
        return now.moments
    body, head = now.moments
    is_network = lambda node: isinstance(node, type(now.params))  # noqa: E731
    parts, tree = jax.tree.flatten(body, is_leaf=is_network)
    heads = tree.flatten_up_to(head)
    joined = [
        head_step.join(a, b) if is_network(a) else a for a, b in zip(parts, heads, strict=True)
    ]
    for a, b in zip(parts, heads, strict=True):
        if not is_network(a):
            same(a, b)  # a count
    return jax.tree.unflatten(tree, joined)


def same(one: Any, other: Any) -> None:
    """Bit by bit."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8))


def close(one: Any, other: Any, limit: float = 2e-6) -> None:
    """Within `limit` of the largest number of each array."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        if a.size:
            np.testing.assert_allclose(a, b, rtol=0, atol=limit * max(np.abs(b).max(), 1e-30))


def agree(one: State, other: State, limit: float = 2e-6) -> None:
    """One of a divided head, the other of a dense one."""
    close(one.params, other.params, limit)
    close(one.average, other.average, limit)
    close(together(one), together(other), limit)
    close((one.step, one.loss, one.weight), (other.step, other.loss, other.weight), limit)


# Adam divides by sqrt(v) + eps: what is nearly 0 would have steps whose sign is rounding's.
OPTIMIZERS = [Optimizer(name, eps=1e-3) for name in SCALINGS]


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [*((each, "bags") for each in OPTIMIZERS), (OPTIMIZERS[3], "dense")],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_update_by_blocks_is_one_by_the_whole_gradient(optimizer: Optimizer, kind: str):
    data = drawn(kind)
    for steps in (1, 20):
        found, wanted = (
            train(program_of(head, optimizer), begun(head, optimizer, kind=kind), data, steps)
            for head in ("linear_blocks", "dense")
        )
        assert (found[1], int(found[0].step)) == (True, steps)
        agree(found[0], wanted[0])


V = tuple(np.linspace(0.5, 2.0, K).tolist())
CASES = {
    "a block larger than K": {"block": 64},
    "blocks chosen, dropout, another activation": {
        "block": None, "dropout": 0.4, "activation": "selu"},
    "ntk, the mean of labels, weights of positives": {
        "parametrisation": "ntk", "options": (("labels", "mean"), ("pos_weight", V))},
    "all": {"ema": 0.9, "dropout": 0.3, "input_dropout": 0.4, "label_smoothing": 0.05,
            "hidden": (H, 5), "weights": True, "schedule": Schedule("warmup_cosine", warmup=0.3),
            "options": (("class_weight", V), ("pos_weight", 3.0))},
}  # fmt: skip


def both(case: dict[str, Any], kind: str, steps: int, name: str = "adamw") -> tuple[State, State]:
    """(by blocks, by the whole) after the same steps."""
    case = dict(case)
    rates = {key: case.pop(key) for key in ("dropout", "label_smoothing") if key in case}
    kept = {key: case.pop(key) for key in ("ema", "schedule") if key in case}
    optimizer = Optimizer(name, eps=1e-3, **kept)
    hidden, block = case.pop("hidden", (H,)), case.pop("block", 8)
    rows = jnp.linspace(0, 2, N, dtype=jnp.float32) if case.pop("weights", False) else None
    done = []
    for head in ("linear_blocks", "dense"):
        now = begun(head, optimizer, kind=kind, hidden=hidden, **rates)
        program = program_of(head, optimizer, block, **case)
        done.append(train(program, now, drawn(kind), steps, rows)[0])
    return done[0], done[1]


@pytest.mark.parametrize(("case", "kind"), [*((case, "bags") for case in CASES), ("all", "dense")])
def test_whatever_belongs_to_the_step(case: str, kind: str):
    agree(*both(CASES[case], kind, 8))


def test_features_that_are_left_out_are_others_at_every_step():
    """Without it, or with the same ones at each step, training would come to other weights."""
    optimizer, data = Optimizer("sgd"), drawn("bags")
    start = begun("dense", optimizer)
    ends = []
    for rate, first in ((0.0, 0), (0.5, 0), (0.5, N)):
        program = program_of("dense", optimizer, input_dropout=rate)
        thin = epoch.thinned(program, start._replace(step=jnp.int32(first)), data.x)
        ends.append(np.asarray(bags.embed(jnp.eye(D), thin)))
    assert (ends[0] == np.asarray(bags.embed(jnp.eye(D), data.x))).all()
    assert all((ends[i] != ends[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))


def test_without_hidden_layers():
    agree(*both({"hidden": ()}, "dense", 8))


def test_narrow_products_are_those_of_a_dense_head():
    """Of the same roundings; another order of sums may move one of them by a bit."""
    one, other = both({"precision": "bfloat16"}, "bags", 4, "momentum")
    agree(one, other, 2e-2)


@pytest.mark.both
@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_stretches_of_any_length_give_the_same_bits(weights: str):
    optimizer, data = Optimizer("adamw", ema=0.9), drawn("bags")
    program = program_of("linear_blocks", optimizer, input_dropout=0.4)
    start = begun("linear_blocks", optimizer, weights=weights, dropout=0.3)
    whole, _ = train(program, start, data, 6)
    parts = start
    for steps in (2, 4):
        parts, _ = train(program, parts, data, steps)
    same(whole, parts)


# What would not be finite
# ------------------------


def one_step(now: State, data: Data, program: Program | None = None) -> tuple[State, bool]:
    program = program or program_of("linear_blocks", Optimizer("adamw", ema=0.9))
    return train(program, now, data, 1)


def with_head(now: State, **arrays: Any) -> State:
    body, head = head_step.split(now.params)
    return now._replace(params=head_step.join(body, head._replace(**arrays)))


def with_first(now: State, factor: float) -> State:
    first, *rest = now.params.layers
    first = jax.tree.map(lambda leaf: leaf * factor, first)
    return now._replace(params=now.params._replace(layers=(first, *rest)))


def spoiled(case: str, now: State, data: Data) -> tuple[State, Data]:
    """A state or rows at which a step is not finite, whatever rows it takes."""
    _, head = head_step.split(now.params)
    if case in ("nan", "inf"):
        x = data.x
        bad = jnp.full_like(getattr(x, "values", x), float(case))
        return now, data._replace(x=x._replace(values=bad) if isinstance(x, Bags) else bad)
    if case == "W beyond":
        return with_head(now, W=jnp.full_like(head.W, 1e38)), data
    if case == "W nan":
        return with_head(now, W=head.W.at[K - 1, 0].set(jnp.nan)), data
    if case == "b inf":
        return with_head(now, b=head.b.at[2].set(jnp.inf)), data
    if case == "squares in the body":  # dX is some 1e20: finite, and its square is not
        return with_head(now, W=head.W * 1e20), data
    assert case == "squares in the head"  # a is some 1e20, and the logits 0
    return with_head(with_first(now, 1e20), W=head.W * 0), data


BAD = ["nan", "inf", "W beyond", "W nan", "b inf", "squares in the body", "squares in the head"]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", ["bags", "dense"])
@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_a_step_that_is_not_finite_changes_nothing(case: str, kind: str, weights: str):
    optimizer = Optimizer("adamw", ema=0.9)
    program, data = program_of("linear_blocks", optimizer), drawn(kind)
    start = begun("linear_blocks", optimizer, kind=kind, weights=weights)
    now, _ = train(program, start, data, 3)
    now, data = spoiled(case, now, data)
    after, finite = one_step(now, data, program)
    assert not finite
    same((after.params, after.moments, after.average), (now.params, now.moments, now.average))
    assert int(after.step) == 3
    assert (float(after.loss), float(after.weight)) == (float(now.loss), float(now.weight))


@pytest.mark.parametrize("case", BAD)
def test_a_dense_head_refuses_the_same_steps(case: str):
    optimizer, data = Optimizer("adamw", ema=0.9), drawn("bags")
    now, data = spoiled(case, begun("dense", optimizer), data)
    assert not one_step(now, data, program_of("dense", optimizer))[1]


@pytest.mark.parametrize("factor", [1e10, 1e13, 1e15])
def test_a_step_beyond_the_cheap_bound_that_is_finite_is_applied(factor: float):
    """dX is of the order of the factor, and so are logits: large, but finite with their squares."""
    optimizer, data = Optimizer("momentum"), drawn("bags")
    done = {}
    for head in ("linear_blocks", "dense"):
        now = begun(head, optimizer)
        now = with_head(now, W=head_step.split(now.params)[1].W * jnp.float32(factor))
        done[head], finite = one_step(now, data, program_of(head, optimizer))
        assert finite
        assert int(done[head].step) == 1
    agree(done["linear_blocks"], done["dense"])


def tried(now: State, data: Data, program: Program) -> bool:
    """Whether the step is tried before it is made: by an operation that only the trial has."""
    seen: list[int] = []

    def spy(*args: Any) -> Any:
        jax.debug.callback(lambda: seen.append(1))
        return original(*args)

    original, head_step._tried = head_step._tried, spy
    try:
        order = jnp.asarray(epoch.order_of_rows(3, 0, N, BATCH))
        jax.block_until_ready(
            jax.jit(epoch.stretch(program))(now, data.x, data.sets, order, 1)[0].step
        )
        jax.effects_barrier()
    finally:
        head_step._tried = original
    return bool(seen)


@pytest.mark.parametrize(("kind", "weights"), [("bags", "float32"), ("dense", "bfloat16")])
def test_a_usual_step_is_not_tried_before(kind: str, weights: str):
    """The trial costs as much as the step itself."""
    optimizer, data = Optimizer("adamw"), drawn(kind)
    now = begun("linear_blocks", optimizer, kind=kind, weights=weights, dropout=0.2)
    program = program_of("linear_blocks", optimizer)
    assert not tried(now, data, program)
    _, head = head_step.split(now.params)
    assert tried(with_head(now, W=head.W * 1e20), data, program)


def test_only_rows_of_the_batch_count():
    """A row of another batch that is not finite neither stops this step nor has it tried."""
    optimizer, data = Optimizer("adamw"), drawn("bags")
    mine = set(epoch.order_of_rows(3, 0, N, BATCH)[0].tolist())
    other = next(
        row for row in range(N) if row not in mine and data.x.indptr[row + 1] > data.x.indptr[row]
    )
    values = data.x.values.at[data.x.indptr[other]].set(jnp.nan)
    data = data._replace(x=data.x._replace(values=values))
    now, program = begun("linear_blocks", optimizer), program_of("linear_blocks", optimizer)
    assert not tried(now, data, program)
    assert one_step(now, data, program)[1]


def test_a_loss_without_a_head_is_refused():
    with pytest.raises(UserError, match="focal has no linear head; choose from multilabel_cross"):
        head_step.call_of("focal", {}, {}, None)


def test_the_norm_of_the_whole_gradient_is_not_known():
    optimizer = Optimizer("adamw", clip_norm=1.0)
    with pytest.raises(UserError, match="clip_norm needs the norm of the whole gradient"):
        one_step(begun("linear_blocks", optimizer), drawn("bags"),
                 program_of("linear_blocks", optimizer))  # fmt: skip
