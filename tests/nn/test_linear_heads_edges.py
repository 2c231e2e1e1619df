"""Corners of linear heads: masks, labels that name nothing, permutations, what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import linear_heads, losses
from jaxnet.errors import UserError
from jaxnet.nn.linear_heads import Positives, by_rows, targets, tiles
from tests.nn.heads import BARE, CASES, NARROW, Case, Drawn, draw, name_of
from tests.nn.rows import UNOPTIMISED, close, same
from tests.nn.test_linear_heads import by_head, run, tiled
from tests.tiers import usual

pytestmark = pytest.mark.sampled(2)

PER_KIND = pytest.mark.parametrize("case", BARE, ids=name_of)
HEADS = (linear_heads.multilabel, linear_heads.categorical)
M, K = 7, 13


def rows_of(y: Any, rows: Any) -> Any:
    """Targets of some of the rows."""
    return jax.tree.map(lambda part: part[rows], y)


def gradients(case: Case, at: Any, y: Any) -> Any:
    """Of the plain sum of the weighted losses."""
    return by_head(case)(Drawn(at, jnp.ones(len(at[0])), y, None), y)[1]


@PER_KIND
@pytest.mark.parametrize("total", [False, True], ids=["losses", "sum"])
def test_masked_rows_are_removed_rows_whatever_is_in_them(case: Case, total: bool):
    drawn = draw(case, M, K)
    x, W, b, _ = drawn.at
    mask = jnp.arange(M) % 3 != 1
    spoiled = x.at[1].set(jnp.nan).at[4].set(jnp.inf)

    def sum_of(x: Any, W: Any, b: Any, w: Any, y: Any) -> Any:
        if total:
            return case.head.sum(x, W, b, y, weights=w, block=5)
        return jnp.sum(case.head(x, W, b, y, weights=w, block=5))

    both = jax.value_and_grad(sum_of, (0, 1, 2))
    masked = run(both, spoiled, W, b, mask, drawn.targets)
    removed = run(both, x[mask], W, b, mask[mask], rows_of(drawn.targets, mask))
    close(masked[0], removed[0], 2e-7)
    close(masked[1][0][mask], removed[1][0], 2e-7)
    same(masked[1][0][~mask], 0)
    for one, other in zip(masked[1][1:], removed[1][1:], strict=True):
        close(one, other, 3e-7)


@PER_KIND
def test_a_weight_of_zero_has_the_loss_as_its_gradient(case: Case):
    drawn = draw(case, M, K)
    x, W, b, _ = drawn.at
    words, w = dict(case.words), jnp.zeros(M)
    plain = case.head(x, W, b, drawn.targets, **words)
    close(gradients(case, (x, W, b, w), drawn.targets)[3], plain, 2e-7)

    def total(w: Any) -> Any:
        return case.head.sum(x, W, b, drawn.targets, weights=w, **words)

    close(run(jax.grad(total), w), plain, 2e-7)


@pytest.mark.parametrize("case", NARROW, ids=name_of)
def test_integer_weights_are_repeated_rows(case: Case):
    drawn = draw(case, M, K)
    counts = np.array([1, 0, 3, 2, 1, 0, 2])
    rows = np.repeat(np.arange(M), counts)
    x, W, b, _ = drawn.at
    weighted = gradients(case, (x, W, b, jnp.asarray(counts, jnp.float32)), drawn.targets)
    again = gradients(case, (x[rows], W, b, jnp.ones(len(rows))), rows_of(drawn.targets, rows))
    for one, other in zip(weighted[1:3], again[1:3], strict=True):
        close(one, other, 1e-6)


@PER_KIND
def test_rows_and_classes_in_another_order(case: Case):
    drawn = draw(case, M, K)
    rng = np.random.default_rng(3)
    rows, classes = rng.permutation(M), rng.permutation(K)
    place = np.argsort(classes)
    y = drawn.dense if case.kind == "labels" else drawn.dense[rows][:, classes]
    y = jnp.asarray(place)[drawn.dense[rows]] if case.kind == "labels" else y
    if case.kind == "sparse":
        found = np.asarray(drawn.targets.indices)
        y = Positives(jnp.asarray(np.where(found < 0, -1, place[found])[rows]))
    x, W, b, w = drawn.at
    value, (dx, dW, db, dw) = by_head(case)(drawn, drawn.targets)
    moved = (x[rows], W[classes], b[classes], w[rows])
    other = by_head(case)(drawn._replace(at=moved, g=drawn.g[rows]), y)
    expected = (value[rows], (dx[rows], dW[classes], db[classes], dw[rows]))
    for one, two in zip(jax.tree.leaves(other), jax.tree.leaves(expected), strict=True):
        close(one, two, 1e-6)


@pytest.mark.parametrize("wrong", [K, -2, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[6]], ids=name_of)
def test_a_label_that_names_nothing_is_nan_in_loss_and_gradient(case: Case, wrong: int):
    drawn = draw(case, M, K)
    y = drawn.targets
    y = y.at[1].set(wrong) if case.kind == "labels" else Positives(y.indices.at[1, 2].set(wrong))
    bad = np.arange(M) == 1
    value, (dx, dW, db, _) = by_head(case)(drawn, y)
    same(np.isnan(value), bad)
    same(np.isnan(dx).all(axis=1), bad)
    assert np.isnan(dW).all()
    assert np.isnan(db).all()
    # and all of that leaves with the row
    w = drawn.at[3].at[1].set(0)
    left = by_head(case)(drawn._replace(at=(*drawn.at[:3], w)), y)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(left))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_it_is_nan_in_the_sum_too(head: Any):
    x, W, b, _ = draw(CASES[0], 2, K).at
    y = jnp.array([[1], [K]]) if head is linear_heads.multilabel else jnp.array([1, K])

    def total(x: Any, W: Any, b: Any, w: Any) -> Any:
        return head.sum(x, W, b, y, weights=w, block=5)

    both = jax.jit(jax.value_and_grad(total, (0, 1, 2, 3)), compiler_options=UNOPTIMISED)
    value, (dx, dW, db, _) = both(x, W, b, jnp.ones(2))
    assert np.isnan(value)
    same(np.isnan(dx).all(axis=1), [False, True])
    assert np.isnan(dW).all()
    assert np.isnan(db).all()
    left = both(x, W, b, jnp.array([1.0, 0.0]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(left))


def test_minus_one_is_no_class_of_a_softmax():
    x, W, b, _ = draw(CASES[0], 2, K).at
    assert np.isnan(linear_heads.categorical(x, W, b, jnp.array([-1, 0]))).tolist() == [True, False]


def test_dense_answers_other_than_zero_and_one_are_nan():
    x, W, b, _ = draw(CASES[0], 2, 3).at
    y = jnp.array([[0, 1, 1], [0, 2, 0]])
    found = run(lambda y: linear_heads.multilabel(x, W, b, y), y)
    assert np.isnan(found).tolist() == [False, True]


# A smoothed target gives every class a share, which costs without end where the class is masked.
@pytest.mark.parametrize("case", [case for case in CASES if not case.smoothed], ids=name_of)
def test_a_masked_class_that_is_not_the_label_changes_nothing(case: Case):
    """b = -inf in whole blocks and in parts of them equals a head without these classes."""
    drawn = draw(case, M, K)
    x, W, b, w = drawn.at
    gone = jnp.isin(jnp.arange(K), jnp.array([0, 1, 2, 3, 4, 7]))
    y = drawn.targets
    if case.kind == "labels":
        y = jnp.where(gone[y], 12, y)
    elif case.kind == "dense":
        y = jnp.where(gone[None, :], 0, y)
    else:
        y = Positives(jnp.where((y.indices >= 0) & gone[y.indices], -1, y.indices))
    masked = drawn._replace(at=(x, W, jnp.where(gone, -jnp.inf, b), w))
    far = drawn._replace(at=(x, W, jnp.where(gone, -1e4, b), w))
    found, wanted = by_head(case)(masked, y), by_head(case)(far, y)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        same(one, two)
    same(found[1][1][np.asarray(gone)], 0)


def test_equal_logits_share_the_probability_within_blocks_and_between_them():
    at = (jnp.zeros((1, 2)), jnp.zeros((K, 2)), jnp.zeros(K), jnp.ones(1))
    value, (_, _, db, _) = by_head(CASES[4])(Drawn(at, jnp.ones(1), None, None), jnp.array([4]))
    close(value, [np.log(K)], 2e-7)
    close(db, 1 / K - (np.arange(K) == 4), 2e-7)


def test_positives_are_a_set_in_any_order():
    x, W, b, _ = draw(CASES[0], 2, K).at
    one = linear_heads.multilabel(x, W, b, jnp.array([[3, 3, 5], [-1, 2, -1]]))
    same(one, linear_heads.multilabel(x, W, b, jnp.array([[5, 3, -1], [2, 2, 2]])))


def test_few_and_many_positives_are_read_alike():
    case = CASES[0]
    drawn = draw(case, M, K)
    few = drawn.targets.indices
    assert few.shape[1] <= targets.COMPARED
    many = jnp.concatenate([few, few, jnp.full((M, targets.COMPARED), -1)], axis=1)
    rows, labels = tiles.Span(0, M), tiles.Span(5, 5)
    one, two = (
        targets.answers(Positives(jnp.asarray(y)), rows, labels, jnp.float32) for y in (few, many)
    )
    assert one.any()
    same(one, two)
    # Two programs, whose sums may be fused differently.
    one, two = (case.head(*drawn.at[:3], Positives(y), block=5) for y in (few, many))
    close(one, two, 3e-7)


def test_as_many_positives_as_labels_are_dense_unless_named():
    x, W, b, _ = draw(CASES[0], 1, 2).at
    y = np.array([[0, 1]])
    same(linear_heads.multilabel(x, W, b, y), linear_heads.multilabel(x, W, b, y[:, 1:]))
    both = linear_heads.multilabel(x, W, b, jnp.ones((1, 2)))
    same(linear_heads.multilabel(x, W, b, Positives(y)), both)


def test_one_label_is_binary_cross_entropy():
    x, W, b, _ = draw(CASES[0], 5, 1).at
    y = jnp.array([0, 1, 1, 0, 1])
    found = linear_heads.multilabel(x, W, b, y[:, None])
    close(found, losses.binary_cross_entropy((x @ W.T + b[None, :])[:, 0], y), 2e-6)


@pytest.mark.parametrize("case", usual(NARROW, *NARROW[1:3]), ids=name_of)
def test_forward_mode_has_the_same_numbers_and_second_derivatives(case: Case):
    drawn = draw(case, M, K)
    options = case.options(K)

    def head(at: Any) -> Any:
        found = case.head.forward_mode(*at[:3], drawn.targets, weights=at[3], block=5, **options)
        return jnp.sum(drawn.g * found)

    def plain(at: Any) -> Any:
        z = at[0] @ at[1].T + at[2][None, :]
        return jnp.sum(drawn.g * at[3] * case.head.loss.plain(z, drawn.dense, **options))

    along = jax.tree.map(jnp.cos, drawn.at)
    assert by_rows.rows_a_tile(M, K, 5) == 2  # and one row left over

    def product(function: Any) -> Any:
        return jax.jvp(jax.grad(function), (drawn.at,), (along,))

    found, wanted = run(lambda: (product(head), product(plain)))
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        close(one, two, 1e-5)


@pytest.mark.parametrize("case", usual(BARE, BARE[-1]), ids=name_of)
def test_vmap_over_weights_of_the_layer(case: Case):
    drawn = draw(case, M, K)
    x, W, b, w = drawn.at

    def gradient(W: Any) -> Any:
        return jax.grad(lambda W: jnp.sum(tiled(case, (x, W, b, w), drawn.targets)))(W)

    both = jnp.stack([W, -2 * W])
    found = run(jax.vmap(gradient), both)
    for index in range(2):
        close(found[index], run(gradient, both[index]), 1e-6)


@PER_KIND
def test_the_main_form_refuses_forward_mode(case: Case):
    drawn = draw(case, M, K)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda at: tiled(case, at, drawn.targets), (drawn.at,), (drawn.at,))


@pytest.mark.parametrize("name", ["label_smoothing", "class_weight", "targets"])
def test_a_gradient_it_does_not_have_is_refused_not_zero(name: str):
    x, W, b, _ = draw(CASES[0], 2, 3).at
    given = {"label_smoothing": 0.1, "class_weight": jnp.ones(3), "targets": jnp.full((2, 3), 0.5)}

    def total(value: Any, head: Any) -> Any:
        options = {**given, name: value}
        return jnp.sum(head(x, W, b, options.pop("targets"), **options))

    with pytest.raises(UserError, match=r"no gradient in a linear head; take it from forward_mode"):
        jax.grad(total)(given[name], linear_heads.multilabel)
    assert np.isfinite(jax.grad(total)(given[name], linear_heads.multilabel.forward_mode)).all()


def test_mistakes_are_told():
    x, W, b = jnp.zeros((4, 3)), jnp.zeros((5, 3)), jnp.zeros(5)
    y = jnp.zeros(4, jnp.int32)
    head = linear_heads.categorical
    with pytest.raises(UserError, match=r"takes x \(m, H\), W \(K, H\) and b \(K,\); got"):
        head(x, W.T, b, y)
    with pytest.raises(UserError, match=r"floating-point x, W and b; got int32"):
        head(x.astype(int), W, b, y)
    with pytest.raises(UserError, match=r"integer labels \(4,\)"):
        head(x, W, b, jnp.zeros((4, 5)))
    with pytest.raises(
        UserError, match=r"targets \(4, 5\), or sparse positives: integers \(4, P\)"
    ):
        linear_heads.multilabel(x, W, b, jnp.zeros((4, 2)))
    with pytest.raises(UserError, match=r"weights are one number a row of x, \(4,\); got \(4, 1\)"):
        head(x, W, b, y, weights=jnp.ones((4, 1)))
    for block in (0, -1, True):
        with pytest.raises(UserError, match="block is a number of labels, 1 or more, or None"):
            head(x, W, b, y, block=block)
    with pytest.raises(UserError, match="takes no option 'pos_weight'"):
        head(x, W, b, y, pos_weight=2.0)
    with pytest.raises(UserError, match=r"class_weight takes one number a class: shape \(5,\)"):
        head(x, W, b, y, class_weight=jnp.ones(4))
    with pytest.raises(UserError, match="labels takes 'sum' or 'mean', not 'man'"):
        linear_heads.multilabel(x, W, b, y[:, None], labels="man")
    with pytest.raises(UserError, match=r"W is not divided along class_axis='classes'"):
        head(x, W, b, y, class_axis="classes")


def test_tiles_keep_to_their_size():
    for m in (0, 1, 256, 1024, 2048, 10**6):
        for labels in (1, 10, 4096, 10**6):
            rows, width = tiles.tile_shape(m, labels, None, 2**19)
            assert rows * width <= max(2**19, 256 * 512)
            assert rows == m or rows >= 256
            assert width == labels or width >= 512


@pytest.mark.thorough
@pytest.mark.optimised
def test_compiled_without_optimisation_it_is_the_same():
    """The tests compile with less optimisation than users do."""
    case = CASES[4]
    drawn = draw(case, M, K)
    fast = jax.jit(lambda at: tiled(case, at, drawn.targets))(drawn.at)
    slow = jax.jit(lambda at: tiled(case, at, drawn.targets), compiler_options=UNOPTIMISED)(
        drawn.at
    )
    close(fast, slow, 1e-6)
