"""What every loss promises about rows, weights, labels and refusals."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import LossPairError, UserError
from jaxnet.nn import activations, losses
from jaxnet.nn.losses import LOSSES
from tests.nn.rows import BARE, UNOPTIMISED, VARIANTS, K, M, Row, close, name_of, same

pytestmark = pytest.mark.sampled(3)

SQUARED_SIGMOID = Row(
    "squared_error-sigmoid-hard", LOSSES["squared_error"], {"activation": "sigmoid"}, False
)
HARD = [row for row in BARE if not row.soft] + [SQUARED_SIGMOID]
every_hard = pytest.mark.parametrize("row", HARD, ids=name_of)
every_loss = pytest.mark.parametrize("row", BARE, ids=name_of)
# Rows and weights work alike for all targets: soft ones stand here for the two families.
mixed = pytest.mark.parametrize(
    "row",
    HARD + [row for row in BARE if row.soft and row.loss.name.endswith("_cross_entropy")],
    ids=name_of,
)


@cache
def mean_and_gradient(row: Row) -> Any:
    """(z, y, weights) -> (losses, (mean, its gradient in the logits))."""

    @partial(jax.jit, compiler_options=UNOPTIMISED)
    def program(z, y, w):
        def mean(z):
            return losses.mean(row.loss(z, y, **row.options), w)

        return row.loss(z, y, **row.options), jax.value_and_grad(mean)(z)

    return program


def bad_target(row: Row) -> Any:
    """A target that cannot be."""
    return np.nan if row.soft else 99


@mixed
def test_masked_rows_equal_removed_rows_exactly(row: Row):
    z, y = (np.array(part) for part in row.draw())
    keep = np.array([True, False, True, True, False, True])
    z[1], z[4], y[1], y[4] = np.nan, np.inf, bad_target(row), bad_target(row)
    weights = np.float32([2, 0, 0.5, 1, 0, 3])
    run = mean_and_gradient(row)
    for w in (keep.astype(np.float32), weights):
        _, (mean, slope) = run(z, y, w)
        _, (expected, slope_of_kept) = run(z[keep], y[keep], w[keep])
        same(mean, expected)
        same(slope[keep], slope_of_kept)
        same(slope[~keep], np.zeros_like(slope[~keep]))


@every_hard
def test_an_unmasked_bad_row_is_not_hidden(row: Row):
    z, y = (np.array(part) for part in row.draw())
    z[2] = np.nan
    values, (mean, slope) = mean_and_gradient(row)(z, y, np.ones(M, np.float32))
    assert np.isnan(values[2])
    assert np.isfinite(np.delete(values, 2)).all()
    assert np.isnan(mean)
    assert np.isnan(slope[2]).any()
    assert np.isfinite(np.delete(slope, 2, axis=0)).all()


@every_hard
def test_integer_weights_are_repeated_rows(row: Row):
    z, y = (np.array(part) for part in row.draw())
    times = np.array([1, 3, 0, 2, 1, 1])
    run = mean_and_gradient(row)
    _, (mean, slope) = run(z, y, times.astype(np.float32))
    _, (repeated, slopes) = run(z.repeat(times, 0), y.repeat(times, 0), np.ones(8, np.float32))
    close(mean, repeated, 1e-6)
    starts = np.cumsum(times) - times
    summed = np.add.reduceat(np.concatenate([slopes, slopes[:1] * 0]), starts)
    close(slope, np.where(columns(times, z) > 0, summed, 0), 1e-6)


def columns(factors: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Row factors in the shape that multiplies z."""
    return factors.reshape((-1,) + (1,) * (z.ndim - 1))


@every_loss
def test_permuting_rows_permutes_the_result_exactly(row: Row):
    z, y = (np.array(part) for part in row.draw())
    order = np.array([4, 0, 5, 2, 1, 3])
    run, ones = mean_and_gradient(row), np.ones(M, np.float32)
    values, (_, slope) = run(z, y, ones)
    permuted, (_, permuted_slope) = run(z[order], y[order], ones)
    same(permuted, values[order])
    same(permuted_slope, slope[order])


@every_loss
def test_permuting_columns_permutes_the_gradient(row: Row):
    z, y = (np.array(part) for part in row.draw())
    if z.ndim == 1:
        pytest.skip("one column")
    order = np.array([2, 0, 1])
    run, ones = mean_and_gradient(row), np.ones(M, np.float32)
    values, (_, slope) = run(z, y, ones)
    labels = np.argsort(order)[y].astype(y.dtype) if y.ndim == 1 else y[:, order]
    permuted, (_, permuted_slope) = run(z[:, order], labels, ones)
    close(permuted, values, 1e-6)
    close(permuted_slope, slope[:, order], 1e-6)


@every_hard
def test_no_rows_cost_nothing(row: Row):
    z, y = (np.array(part) for part in row.draw())
    values, (mean, slope) = mean_and_gradient(row)(z[:0], y[:0], np.ones(0, np.float32))
    assert values.shape == (0,)
    assert mean == 0
    assert slope.shape == (0, *z.shape[1:])


@every_hard
def test_weights_of_zero_give_value_and_gradient_zero(row: Row):
    z, y = row.draw()
    _, (mean, slope) = mean_and_gradient(row)(z, y, np.zeros(M, np.float32))
    assert mean == 0
    same(slope, np.zeros_like(slope))


@every_hard
def test_gradients_in_sample_weights_are_those_of_the_quotient(row: Row):
    z, y = row.draw()
    w = jnp.asarray([0.5, 2, 0, 1, 3, 0.25])
    values = np.asarray(mean_and_gradient(row)(z, y, w)[0], np.float64)
    slope = jax.jit(jax.grad(lambda w: losses.mean(row.loss(z, y, **row.options), w)))(w)
    total = np.asarray(w, np.float64).sum()
    average = (np.asarray(w) * values).sum() / total
    close(slope, (values - average) / total, 1e-6)


@pytest.mark.parametrize("name", ["binary_cross_entropy", "focal", "asymmetric", "squared_error"])
def test_a_vector_is_one_column(name: str):
    z, y = jnp.asarray([0.5, -2.0, 3.0]), jnp.asarray([1.0, 0.0, 0.25])
    loss = LOSSES[name]
    both = jax.jit(lambda z, y: (loss(z, y), loss.delta(z, y)))
    value, delta = both(z, y)
    of_column, delta_of_column = both(z[:, None], y[:, None])
    same(value, of_column)
    same(delta[:, None], delta_of_column)


@every_hard
def test_a_label_that_names_no_class_is_nan_in_value_and_gradient(row: Row):
    z, y = (np.array(part) for part in row.draw())
    if row.loss.layout.name == "outputs":
        y = np.array([0, 1, 2, 0, 1, 2], np.int32)  # labels of K outputs
    run, ones = mean_and_gradient(row), np.ones(M, np.float32)
    for label in (K, -1, 99):
        wrong = y.copy()
        wrong[3] = label
        values, (_, slope) = run(z, wrong, ones)
        assert np.isnan(values[3])
        assert np.isnan(slope[3]).all()
        assert np.isfinite(np.delete(values, 3)).all()
        assert np.isfinite(np.delete(slope, 3, axis=0)).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64", "bool"])
def test_integers_of_every_size_are_targets(dtype: str):
    z = jnp.asarray([[0.5, -1.0, 2.0], [0.0, 1.0, 3.0]])
    y = np.array([1, 0], dtype)
    close(losses.categorical_cross_entropy(z, y), [3.2413, 3.1698], 1e-4)
    close(losses.binary_cross_entropy(z[:, 0], y), [0.4741, 0.6931], 1e-4)
    close(losses.squared_error(z[:, 0], y), [0.125, 0], 1e-6)


def test_integers_beyond_int32_name_no_class_and_negative_targets_stay():
    z = jnp.zeros((3, 3))
    far = np.array([2**32 + 1, -(2**32) + 1, 1], np.int64)
    same(np.isnan(losses.categorical_cross_entropy(z, far)), [True, True, False])
    same(np.isnan(losses.binary_cross_entropy(z[:, 0], far)), [True, True, False])
    same(losses.squared_error(z[:, 0], np.array([-5, 7, -1])), [12.5, 24.5, 0.5])


@pytest.mark.parametrize("targets", ["labels", "rows"])
@pytest.mark.parametrize("options", [{}, {"class_weight": np.float32([0.5, 2, 1.5])}])
def test_masked_classes_are_legal(targets: str, options: dict[str, Any]):
    z = jnp.asarray([[0.5, -jnp.inf, 1.0], [-jnp.inf, -jnp.inf, 2.0]])
    labels = jnp.asarray([2, 2])
    y = labels if targets == "labels" else jax.nn.one_hot(labels, 3)
    loss = losses.categorical_cross_entropy

    @jax.jit
    def values_and_slopes(z, y):
        def total(f):
            return lambda z: jnp.sum(f(z, y, **options))

        forms = (loss, loss.forward_mode, loss.plain)
        return [(f(z, y, **options), jax.grad(total(f))(z)) for f in forms]

    hardly = values_and_slopes(jnp.maximum(z, -1e4), y)
    for (value, slope), (finite, _) in zip(values_and_slopes(z, y), hardly, strict=True):
        assert np.isfinite(value).all()
        assert np.isfinite(slope).all()
        close(value, finite, 1e-7)
        same(np.asarray(slope)[np.isinf(z)], 0)
    if targets == "labels":
        (forbidden, _), *_ = values_and_slopes(z, jnp.asarray([1, 2]))
        assert forbidden[0] == np.inf
        assert forbidden[1] == 0


INFINITE = [
    ("binary_cross_entropy", {}),
    ("multilabel_cross_entropy", {"pos_weight": 2.0}),
    ("focal", {}),
    ("focal", {"gamma": 0.0}),
    ("asymmetric", {}),
    ("asymmetric", {"clip": 0.0, "gamma_pos": 1.0}),
    ("squared_error", {"activation": "sigmoid"}),
    ("squared_error", {"activation": "tanh"}),
    ("squared_error", {"activation": "gelu"}),
    ("squared_error", {"activation": "silu"}),
]


@pytest.mark.parametrize(("name", "options"), INFINITE)
def test_an_infinite_logit_has_the_limits_of_large_ones(name: str, options: dict[str, Any]):
    """-inf masks a label; its neighbours in the row must not hear of it."""
    z = np.float32([[-1, 0.5], [-1, 0.5], [1, 0.5], [1, 0.5]])
    y = np.float32([[0, 1], [1, 1], [1, 1], [0, 1]])
    if name == "binary_cross_entropy":
        z, y = z[:, :1], y[:, :1]
    loss = LOSSES[name]

    @jax.jit
    def value_and_slopes(z):
        forms = (loss, loss.forward_mode)
        slopes = [jax.grad(lambda z, f=f: losses.sum(f(z, y, **options)))(z) for f in forms]
        return loss(z, y, **options), slopes

    far, infinite = (z * np.where(np.arange(z.shape[1]) == 0, at, 1) for at in (1e5, np.inf))
    large, expected = value_and_slopes(np.float32(far))
    value, slopes = value_and_slopes(np.float32(infinite))
    # A loss without bound is infinite at the end; its slope is what it was on the way there.
    grows = np.asarray(large) > 1e4
    same(np.isinf(value), grows)
    close(np.asarray(value)[~grows], np.asarray(large)[~grows], 1e-6)
    unbounded = np.zeros_like(z, bool)
    if options.get("activation") in ("gelu", "silu"):
        unbounded[2:, 0] = True  # (a - y) f' grows too
    for slope, of_large in zip(slopes, expected, strict=True):
        close(np.asarray(slope)[~unbounded], np.asarray(of_large)[~unbounded], 1e-6)


def test_infinite_logits_behind_softmax():
    loss = losses.categorical_cross_entropy
    inf = np.inf
    z = np.float32([[inf, 0, 1], [inf, 0, 1], [inf, inf, 1], [-inf, 0, 0]])
    labels = np.array([0, 1, 0, 1])
    run = jax.jit(lambda y, o: (loss(z, y, **o), loss.delta(z, y, **o)))
    half = [[0, 0, 0], [1, -1, 0], [-0.5, 0.5, 0], [0, -0.5, 0.5]]
    for y in (labels, np.eye(3, dtype=np.float32)[labels]):
        value, delta = run(y, {})
        close(value[np.array([0, 2, 3])], [0, np.log(2), np.log(2)])
        assert value[1] == inf
        close(delta, half)
    smoothed, _ = run(labels, {"label_smoothing": np.float32(0.1)})
    same(smoothed, np.full(4, inf))  # a smoothed target asks for every class
    unsmoothed, _ = run(labels, {"label_smoothing": np.float32(0)})
    same(unsmoothed, run(labels, {})[0])


@every_loss
def test_leading_axes_are_rows(row: Row):
    """[..., K] as in optax: two by three rows are six rows, and no row axis is one row."""
    z, y = (np.asarray(part) for part in row.draw())

    @jax.jit
    def both(z, y):
        return row.loss(z, y), jax.grad(lambda z: jnp.sum(row.loss(z, y)))(z)

    value, slope = both(z, y)
    flat = z.ndim == 1 and row.loss.layout.name == "binary"
    many = [part.reshape(2, 3, *part.shape[1:]) for part in (z, y)]
    if flat:
        many = [part[..., None] for part in many]
    values, slopes = both(*many)
    same(values, np.asarray(value).reshape(2, 3))
    same(slopes, np.asarray(slope).reshape(many[0].shape))
    if not flat and row.loss.layout.name in ("multiclass", "multilabel"):
        one, of_one = both(z[4], y[4])
        assert one.shape == ()
        close(one, value[4], 1e-6)
        close(of_one, slope[4], 1e-6)


def test_means_and_sums_take_losses_of_any_shape():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = np.float32([[1, 0, 2], [0, 0, 1]])
    assert float(losses.mean(values)) == 2.5
    assert float(losses.mean(values, weights)) == 9 / 4
    with pytest.raises(UserError, match="weights take the shape of the losses"):
        losses.mean(values, weights[0])


def test_class_weights_belong_to_classes():
    weight = jnp.asarray([1.0, 3.0])
    loss = partial(losses.squared_error, class_weight=weight)
    z, y = jnp.full(4, 0.5), jnp.asarray([0.0, 1.0, 0.5, 2.5])
    close(loss(z, y)[:3], [0.125, 0.375, 0])
    assert np.isnan(loss(z, y)[3])
    signs = jnp.asarray([-1.0, 1.0, 0.0, 1.0])
    found = loss(z, signs, activation="tanh")
    same(found / losses.squared_error(z, signs, activation="tanh"), [1, 3, 1, 3])
    rows = jnp.asarray([[0.0, 1.0], [-0.5, 1.5]])
    found = loss(jnp.zeros((2, 2)), rows, activation="softmax")
    assert found[0] > 0
    assert np.isnan(found[1])


def test_a_seed_takes_activations_and_no_logits():
    z, y = jnp.asarray([3.0, -2.0, 0.5]), jnp.asarray([1.0, 0.0, 1.0])
    same(np.isnan(losses.binary_cross_entropy.seed(z, y)), [True, True, False])
    same(np.isnan(losses.squared_error.seed(z, y, activation="tanh")), [True, True, False])
    assert np.isfinite(losses.squared_error.seed(z, y)).all()  # behind the identity


def test_forward_mode_is_refused_with_the_form_that_has_it():
    z, y = jnp.zeros(2), jnp.ones(2)
    with pytest.raises(TypeError, match=r"use binary_cross_entropy\.forward_mode\(\.\.\.\)"):
        jax.jvp(lambda z: losses.binary_cross_entropy(z, y), (z,), (z,))


def test_binary_logits_of_infinity_are_certain():
    z, y = jnp.asarray([jnp.inf, -jnp.inf, jnp.inf]), jnp.asarray([1, 0, 0])
    same(losses.binary_cross_entropy(z, y), [0, 0, np.inf])
    same(losses.binary_cross_entropy.delta(z, y), [0, 0, 1])


def shapes_that_only_broadcast(row: Row) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    match row.loss.layout.name:
        case "binary":
            return [((M,), (M, 1)), ((M, 1), (M,)), ((M,), (1,)), ((M, 2), (M, 2)), ((), (1,))]
        case "multiclass":
            return [
                ((M, K), (1, K)),
                ((M, K), (M, 1)),
                ((M, K), (1,)),
                ((M,), (1,)) if row.soft else ((M,), (M,)),
                ((M, 0), (M,)),
                ((M, K, 2), (M, 2)),
            ]
        case _:
            return [((M, K), (1, K)), ((M, K), (M, 1)), ((M,), (M, 1)), ((M, K, 2), (M, 2))]


@every_loss
def test_shapes_are_never_broadcast(row: Row):
    dtype = np.float32 if row.soft else np.int32
    for shape, of_targets in shapes_that_only_broadcast(row):
        z, y = np.zeros(shape, np.float32), np.zeros(of_targets, dtype)
        for call in (row.loss, row.loss.plain, row.loss.forward_mode, row.loss.delta):
            with pytest.raises(UserError, match="reshape one of them") as refused:
                call(z, y)
            assert row.loss.name in str(refused.value)
            assert str(shape) in str(refused.value)
            assert str(of_targets) in str(refused.value)


@every_hard
def test_integer_logits_are_refused(row: Row):
    z, y = row.draw()
    with pytest.raises(UserError, match="takes floating-point logits, got int32"):
        row.loss(z.astype(jnp.int32), y)


@every_hard
def test_an_unknown_option_is_refused_with_those_there_are(row: Row):
    z, y = row.draw()
    with pytest.raises(UserError, match=f"{row.loss.name} takes no option 'smoothing'; it takes"):
        row.loss(z, y, smoothing=0.1)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("binary_cross_entropy", "softmax"),
        ("multilabel_cross_entropy", "softmax"),
        ("categorical_cross_entropy", "sigmoid"),
        ("focal", "identity"),
        ("asymmetric", "tanh"),
        ("squared_error", "swish"),
    ],
)
def test_a_mismatched_activation_is_refused_with_the_reason_of_the_lecture(
    name: str, activation: str
):
    row = next(row for row in HARD if row.loss.name == name)
    z, y = row.draw()
    for call in (row.loss, row.loss.plain, row.loss.forward_mode, row.loss.delta, row.loss.seed):
        with pytest.raises(LossPairError) as refused:
            call(z, y, activation=activation)
        assert "belongs to one pair of loss and output activation" in str(refused.value)
        assert "don't use these equations blindly" in str(refused.value)
    matching = row.loss.activation
    known = matching if isinstance(matching, str) else matching[0]
    same(row.loss(z, y, activation=known), row.loss(z, y))


WRONG_WEIGHTS = [
    ("binary_cross_entropy", {"class_weight": np.ones(3, np.float32)}, "two numbers"),
    ("binary_cross_entropy", {"pos_weight": np.ones(3, np.float32)}, "one number a label"),
    ("multilabel_cross_entropy", {"class_weight": np.ones(2, np.float32)}, "one number a label"),
    ("multilabel_cross_entropy", {"labels": "average"}, "'sum' or 'mean'"),
    ("categorical_cross_entropy", {"class_weight": np.ones(2, np.float32)}, "one number a class"),
    ("squared_error", {"class_weight": np.ones(2, np.float32)}, "class_weight takes shape"),
]


@pytest.mark.parametrize(("name", "options", "text"), WRONG_WEIGHTS)
def test_options_of_the_wrong_shape_are_refused(name: str, options: dict[str, Any], text: str):
    row = next(row for row in HARD if row.loss.name == name)
    z, y = row.draw()
    with pytest.raises(UserError, match=text):
        row.loss(z, y, **options)


SEEDS = [
    (row.loss.name, row.loss.output_activation(**options), options)
    for row in BARE
    if row.soft  # soft targets see both sides of every formula
    for options in [{}, *VARIANTS.get(row.loss.name, [])]
    if row.loss.seed_of is not None
]


@pytest.mark.parametrize(("name", "activation", "options"), SEEDS)
def test_the_seed_through_the_activation_is_delta(name, activation, options):
    options = {k: jnp.asarray(v) if isinstance(v, tuple) else v for k, v in options.items()}
    with jax.enable_x64(True):
        z, y = Row("", LOSSES[name], options, True).draw(seed=3, dtype=np.float64)
        f = activations.softmax if activation == "softmax" else activations.find(activation).f

        @partial(jax.jit, compiler_options=UNOPTIMISED)
        def both(z, y):
            a, pull = jax.vjp(f, z)
            seed = LOSSES[name].seed(a, y, **options)
            return pull(seed)[0], LOSSES[name].delta(z, y, **options)

        through_f, delta = both(z, y)
        close(through_f, delta, 1e-9)


def test_a_loss_without_a_seed_says_so():
    bare = losses.make(
        "bare", value=lambda z, y: z[:, 0], delta=lambda z, y: z * 0 + 1, layout=losses.ELEMENTWISE
    )
    with pytest.raises(UserError, match=r"bare has no seed dJ/dA; pass seed= to losses\.make"):
        bare.seed(jnp.zeros((2, 1)), jnp.zeros((2, 1)))


@pytest.mark.parametrize("name", ["binary_cross_entropy", "focal", "asymmetric", "squared_error"])
def test_the_second_class_weight_is_that_of_the_answer_yes(name: str):
    z, y = jnp.array([2.0, 2.0, -1.0, -1.0]), jnp.array([1, 0, 1, 0])
    options = {"activation": "sigmoid"} if name == "squared_error" else {}
    weight = jnp.array([1.0, 3.0])
    loss = LOSSES[name]
    for of in (loss, loss.delta):
        plain, weighed = of(z, y, **options), of(z, y, class_weight=weight, **options)
        np.testing.assert_allclose(weighed, plain * weight[y], rtol=1e-6)
