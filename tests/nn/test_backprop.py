"""The lecture's backward pass, written out, against `jax.value_and_grad` of the same mean loss."""

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import backprop, losses, mlp
from jaxnet.nn.activations import ACTIVATIONS
from jaxnet.nn.losses import LOSSES, Loss
from tests.nn.rows import close

pytestmark = pytest.mark.sampled(3)

M, INPUTS, K = 7, 5, 3


class Case(NamedTuple):
    """One way to train: a loss, the network in front of it, weights of rows, dropout."""

    loss: str
    options: dict[str, Any]
    activation: str
    depth: int
    weighted: bool
    dropout: bool
    parametrisation: str = "standard"
    output: str | None = None


# Every loss, every hidden activation and every depth, with and without each of the rest.
CASES = [
    Case("binary_cross_entropy", {}, "relu", 1, False, False),
    Case("binary_cross_entropy", {"pos_weight": 2.0}, "tanh", 2, True, True),
    Case("multilabel_cross_entropy", {"label_smoothing": 0.1}, "gelu", 3, True, False),
    Case("multilabel_cross_entropy", {"labels": "mean"}, "silu", 4, False, True, "ntk"),
    Case("categorical_cross_entropy", {}, "sigmoid", 3, True, True),
    Case("categorical_cross_entropy", {"label_smoothing": 0.1}, "elu", 4, True, False, "ntk"),
    Case("focal", {"gamma": 1.5}, "selu", 2, False, False),
    Case("focal", {}, "identity", 3, True, True, "ntk"),
    Case("asymmetric", {}, "leaky_relu", 3, True, True),
    Case("squared_error", {}, "softplus", 2, True, False),
    Case("squared_error", {}, "relu", 3, False, True, "ntk", "sigmoid"),
    Case("squared_error", {"label_smoothing": 0.1}, "gelu", 4, True, True, output="tanh"),
    Case("squared_error", {}, "tanh", 2, True, False, output="softmax"),
]


def name(case: Case) -> str:
    return f"{case.loss}-{case.output or ''}-{case.activation}-{case.depth}"


def draw(case: Case, dtype: Any = np.float32) -> dict[str, Any]:
    """Arguments of `backprop.gradients`, drawn and kept by NumPy: nothing is compiled for them."""
    rng = np.random.default_rng(case.depth)
    layout = LOSSES[case.loss].layout.name
    outputs = 1 if layout == "binary" else K
    sizes = (INPUTS, *(9, 8, 6)[: case.depth - 1], outputs)
    drawn = [
        (rng.normal(size=(n_out, n_in)) / n_in**0.5, rng.normal(size=n_out))
        for n_in, n_out in pairwise(sizes)
    ]
    params = tuple(mlp.Layer(*(np.asarray(part, dtype) for part in layer)) for layer in drawn)
    labels = rng.integers(
        0, outputs if layout == "multiclass" else 2, (M, outputs)[: 2 - (layout == "multiclass")]
    )
    weights = np.array([1, 0, 2.5, 0.5, 1, 1, 0]) if case.weighted else None
    masks = tuple(
        np.asarray((rng.random((M, len(layer.b))) > 0.4) / 0.6, dtype) for layer in params[:-1]
    )
    return {
        "params": params,
        "x": np.asarray(rng.normal(size=(M, INPUTS)), dtype),
        "targets": np.asarray(labels, np.int32),
        "weights": None if weights is None else np.asarray(weights, dtype),
        "masks": masks if case.dropout else (),
    }


def compiled(case: Case) -> Any:
    """`by_hand` of a case as one program."""
    return jax.jit(lambda given: by_hand(case, given))


def by_hand(case: Case, given: dict[str, Any], **more: Any) -> Any:
    return backprop.gradients(
        given["params"],
        given["x"],
        given["targets"],
        LOSSES[case.loss],
        weights=given["weights"],
        masks=given["masks"],
        activation=case.activation,
        parametrisation=case.parametrisation,
        output_activation=case.output,
        **case.options,
        **more,
    )


def by_jax(case: Case, given: dict[str, Any], **more: Any) -> Any:
    chosen = {} if case.output is None else {"activation": case.output}

    def mean(params):
        logits = mlp.forward(
            params,
            given["x"],
            masks=given["masks"],
            activation=case.activation,
            parametrisation=case.parametrisation,
            **more,
        )
        values = LOSSES[case.loss](logits, given["targets"], **case.options, **chosen)
        return losses.mean(values, given["weights"])

    return jax.value_and_grad(mean)(given["params"])


def compare(got: Any, expected: Any, tolerance: float) -> None:
    close(got[0], expected[0], tolerance)
    assert jax.tree.structure(got[1]) == jax.tree.structure(expected[1])
    for mine, right in zip(jax.tree.leaves(got[1]), jax.tree.leaves(expected[1]), strict=True):
        assert mine.dtype == right.dtype
        assert mine.shape == right.shape
        assert np.asarray(right).any()
        close(mine, right, tolerance)


def test_the_cases_cover_losses_activations_and_depths():
    assert {case.loss for case in CASES} >= {
        *("binary_cross_entropy", "multilabel_cross_entropy", "categorical_cross_entropy"),
        *("focal", "asymmetric", "squared_error"),
    }
    assert {case.activation for case in CASES} == set(ACTIVATIONS)
    assert {case.depth for case in CASES} == {1, 2, 3, 4}


@pytest.mark.parametrize("case", CASES, ids=name)
def test_gradients_equal_those_of_jax(case: Case):
    given = draw(case)
    run = jax.jit(lambda given: (by_hand(case, given), by_jax(case, given)))
    compare(*run(given), 2e-6)
    with jax.enable_x64(True):
        compare(*run(draw(case, np.float64)), 1e-13)


@pytest.mark.parametrize("case", [CASES[1], CASES[5], CASES[10]], ids=name)
def test_gradients_in_bfloat16_equal_those_of_jax(case: Case):
    given = draw(case)
    more = {"compute_dtype": jnp.bfloat16}
    run = jax.jit(lambda given: (by_hand(case, given, **more), by_jax(case, given, **more)))
    got, expected = run(given)
    compare(got, expected, 2e-2)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(got[1]))


def test_weights_of_zero_give_no_gradient():
    case = CASES[4]
    given = draw(case)
    value, found = compiled(case)({**given, "weights": np.zeros(M, np.float32)})
    assert value == 0
    for leaf in jax.tree.leaves(found):
        np.testing.assert_array_equal(leaf, 0)


def test_masked_rows_equal_removed_rows():
    case = CASES[5]
    given = draw(case)
    keep = np.array([0, 2, 3, 5])
    # Of finite features: 0 * NaN is NaN in dW = delta^T a, here as in autodiff.
    given = {**given, "masks": ()}
    spoilt, bad = given["x"].copy(), given["targets"].copy()
    spoilt[[1, 4, 6]], bad[1] = 1e3, 99
    mask = np.isin(np.arange(M), keep)
    run = compiled(case)
    masked = run({**given, "x": spoilt, "targets": bad, "weights": mask})
    removed = {
        **given,
        "x": given["x"][keep],
        "targets": given["targets"][keep],
        "weights": None,
    }
    compare(masked, run(removed), 1e-6)


def test_binary_targets_may_be_a_vector():
    case = CASES[1]
    given = draw(case)
    run = compiled(case)
    compare(run({**given, "targets": given["targets"][:, 0]}), run(given), 0)


def test_a_loss_of_the_user_goes_through_the_same_pass():
    logcosh: Loss = losses.make(
        "logcosh",
        layout=losses.ELEMENTWISE,
        value=lambda z, y: jnp.sum(jnp.log(jnp.cosh(z - y)), axis=1),
        delta=lambda z, y: jnp.tanh(z - y),
    )
    params = mlp.init(jax.random.key(0), [INPUTS, 8, K])
    x, y = jnp.ones((M, INPUTS)), jnp.full((M, K), 0.25)
    expected = jax.value_and_grad(lambda p: losses.mean(logcosh.plain(mlp.forward(p, x), y)))
    run = jax.jit(lambda p: (backprop.gradients(p, x, y, logcosh), expected(p)))
    compare(*run(params), 1e-6)
