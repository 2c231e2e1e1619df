"""Class weights, positive weights and the bias of the priors, and that training meets them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from jaxnet.errors import UserError
from jaxnet.nn import embedding, losses
from jaxnet.training import epoch as epochs
from jaxnet.training import state as states
from jaxnet.training import weights
from jaxnet.training.epoch import Program
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.tasks import TASKS, as_targets, find_loss, find_task

pytestmark = pytest.mark.sampled(3)

RNG = np.random.default_rng(0)
LABELS = {
    "binary": (RNG.random(60) < 0.2).astype(int),
    "multiclass": RNG.choice(4, 60, p=[0.1, 0.2, 0.6, 0.1]),
    "multilabel": (RNG.random((60, 4)) < [0.1, 0.3, 0.6, 0.9]).astype(int),
}
OUTPUTS = {"binary": 2, "multiclass": 4, "multilabel": 4}


def test_balanced_class_weights_are_those_of_scikit_learn():
    y = LABELS["multiclass"]
    counts = weights.target_counts("multiclass", y, 5)
    found = weights.class_weights("balanced", counts[:4], "abcd")
    expected = compute_class_weight("balanced", classes=np.arange(4), y=y)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert weights.class_weights("balanced", counts, "abcde")[4] == 1  # a class without rows
    assert weights.class_weights(None, counts, "abcde") is None


def test_balanced_positive_weights_are_capped():
    found = weights.pos_weights("balanced", [1, 200, 2000, 0, 3999], 4000, "abcde")
    assert found == (100.0, 19.0, 1.0, 1.0, 0.01)
    assert weights.pos_weights("balanced", [4000], 4000, ["yes"]) == (1.0,)
    assert weights.pos_weights(2, [1, 2], 4, "ab") == (2.0, 2.0)
    assert weights.pos_weights({"b": 2.5}, [1, 2], 4, "ab") == (1.0, 2.5)
    assert weights.pos_weights(None, [1, 2], 4, "ab") is None


def test_names_and_numbers_that_are_wrong_are_refused():
    with pytest.raises(
        UserError, match=r"loss.class_weight: no class .* 'Yes'; did you mean 'yes'"
    ):
        weights.class_weights({"Yes": 2}, [1, 1], ["no", "yes"])
    with pytest.raises(UserError, match=r"loss.pos_weight: no class or label is called 'c'"):
        weights.pos_weights({"c": 2}, [1, 1], 3, ["a", "b"])
    for bad in (-1, float("nan"), float("inf"), "2"):
        with pytest.raises(UserError, match=r"loss.class_weight.no takes a number >= 0"):
            weights.class_weights({"no": bad}, [1, 1], ["no", "yes"])
    with pytest.raises(UserError, match=r"loss.pos_weight takes a number >= 0, not -2"):
        weights.pos_weights(-2, [1], 3, ["yes"])
    with pytest.raises(UserError, match=r"loss.pos_weight: 'balance' is neither 'balanced' nor"):
        weights.pos_weights("balance", [1], 3, ["yes"])
    assert weights.class_weights({1: 2.0}, [1, 1], [0, 1]) == (1.0, 2.0)  # names that are numbers


@pytest.mark.parametrize("task", TASKS)
def test_counts_are_weighted_sums_of_rows(task: str):
    y, w = LABELS[task], RNG.integers(0, 4, 60)
    repeated = weights.target_counts(task, np.repeat(y, w, axis=0), OUTPUTS[task])
    np.testing.assert_allclose(weights.target_counts(task, y, OUTPUTS[task], w), repeated)
    assert len(repeated) == OUTPUTS[task]


def options_of(task: str, kind: str, counts: np.ndarray) -> dict:
    names = [*"abcd"][: OUTPUTS[task]]
    if kind == "class_weight":
        return {"class_weight": weights.class_weights({"a": 0.3, "b": 2.0}, counts, names)}
    if kind == "pos_weight" and task != "multiclass":
        positives = counts[1:] if task == "binary" else counts
        return {
            "pos_weight": weights.pos_weights("balanced", positives, 60, names[-len(positives) :])
        }
    return {}


def begin(task: str, program: Program, bias) -> states.State:
    outputs = find_task(task).outputs(OUTPUTS[task])
    rates = states.hyper(learning_rate=0.1, total_steps=10)
    return states.begin(
        (3, 8, outputs), program.optimizer, rates, seed=0, last_layer="zeros", output_bias=bias
    )


@pytest.mark.parametrize("kind", ["plain", "class_weight", "pos_weight"])
@pytest.mark.parametrize("task", TASKS)
def test_the_bias_of_the_priors_is_where_a_constant_answer_loses_least(task: str, kind: str):
    y = LABELS[task]
    counts = weights.target_counts(task, y, OUTPUTS[task])
    options = options_of(task, kind, counts)
    chosen, loss = find_task(task), find_loss(find_task(task), "cross_entropy")[0]
    bias = weights.prior_bias(chosen.activation, task, counts, 60, **options)
    assert bias.dtype == np.float32
    targets = jnp.asarray(as_targets(chosen, y))

    def mean_loss(b):
        z = jnp.zeros((60, len(bias)), b.dtype) + b[None, :]
        return losses.mean(loss(z, targets, **options))

    with jax.numpy_dtype_promotion("standard"):
        slope = jax.grad(mean_loss)(jnp.asarray(bias))
    np.testing.assert_allclose(slope, 0, atol=2e-6)


def entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-np.sum(p * np.log(p)))


@pytest.mark.parametrize("task", TASKS)
def test_the_first_loss_is_the_entropy_of_the_shares(task: str):
    y = LABELS[task]
    counts = weights.target_counts(task, y, OUTPUTS[task])
    chosen, loss = find_task(task), find_loss(find_task(task), "cross_entropy")[0]
    program = Program(loss.name, optimizer=Optimizer("sgd"), batch_size=60)
    bias = weights.prior_bias(chosen.activation, task, counts, 60)
    x = RNG.normal(size=(60, 3)).astype(np.float32)
    order = epochs.order_of_rows(0, 0, 60, 60)
    state, _ = epochs.compiled(program)(
        begin(task, program, bias), x, as_targets(chosen, y), order, 1
    )
    if task == "multilabel":
        shares = counts / 60
        expected = sum(entropy(np.array([p, 1 - p])) for p in shares)
    else:
        expected = entropy(counts / 60)
    assert float(state.loss) / 60 == pytest.approx(expected, rel=1e-6)


def test_the_bias_is_the_last_layers_and_the_averages_too():
    program = Program("binary_cross_entropy", optimizer=Optimizer("sgd", ema=0.9))
    state = begin("binary", program, np.array([0.75]))
    for params in (state.params, state.average):
        np.testing.assert_array_equal(params.layers[-1].b, [0.75])
        np.testing.assert_array_equal(params.layers[0].b, 0)
    with pytest.raises(UserError, match=r"output_bias takes one number an output, \(1,\); got"):
        begin("binary", program, np.zeros(2))


def test_a_class_without_rows_counts_half_a_row():
    bias = weights.prior_bias("softmax", "multiclass", [3, 0], 3)
    np.testing.assert_allclose(np.exp(bias), [3 / 3.5, 0.5 / 3.5], rtol=1e-6)
    bias = weights.prior_bias("sigmoid", "multilabel", [4, 0, 1], 4, class_weight=[0.0, 1.0, 2.0])
    np.testing.assert_allclose(bias, np.log([4 / 0.5, 0.5 / 4, 1 / 3]), rtol=1e-6)
    # of weighted rows: half an average one; and 0.3 = 0.1 + 0.2 is not quite so
    bias = weights.prior_bias("sigmoid", "binary", [0, 0.1 + 0.2], 0.3, average=0.1)
    np.testing.assert_allclose(bias, np.log([0.3 / 0.05]), rtol=1e-6)
    assert weights.prior_bias("tanh", "binary", [1, 2], 3) is None


def test_a_thousand_weights_are_options_like_others():
    counts = RNG.integers(1, 50, 1000)
    found = weights.class_weights("balanced", counts, range(1000))
    program = Program("categorical_cross_entropy", (("class_weight", found),), batch_size=8)
    assert hash(program) == hash(program._replace())
    params = embedding.init(jax.random.key(0), (3, 1000))
    x, y = np.ones((8, 3), np.float32), np.arange(8, dtype=np.int32)
    rates = states.hyper(learning_rate=0.1, total_steps=10)
    state = states.begin((3, 1000), program.optimizer, rates, seed=0)._replace(params=params)
    value, _ = epochs.value_and_gradients(program, state, x, y, jnp.ones(8))
    z = embedding.forward(params, x)
    plain = losses.categorical_cross_entropy(z, jnp.asarray(y))
    np.testing.assert_allclose(value, np.mean(plain * np.float32(found[:8])), rtol=1e-6)
