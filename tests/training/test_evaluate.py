"""Prediction in blocks: a row gives the same in any company, in any units of temperature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.nn import embedding
from jaxnet.training import evaluate
from jaxnet.training.epoch import network_options
from jaxnet.training.tasks import TASKS, as_targets, find_task, log_losses, probabilities

NETWORK = network_options("gelu", "standard", "float32")
SHAPES = {"binary": 1, "multiclass": 3, "multilabel": 3}


def params(outputs: int) -> embedding.Network:
    return embedding.init(jax.random.key(0), (6, 64, 32, outputs), embeddings=[(50, 4)])


def rows(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(count, 5)), rng.integers(0, 50, count)])
    return x.astype(np.float32)


@pytest.mark.parametrize("count", [1, 7, 64, 65, 1023, 5000])
def test_a_row_does_not_depend_on_the_rows_beside_it(count: int):
    x = rows(5000)

    def predicted(some: np.ndarray) -> np.ndarray:
        z = evaluate.logits(params(3), some, network=NETWORK)
        return evaluate.outputs_of("multiclass", z, "softmax").p

    together = predicted(x)
    np.testing.assert_allclose(predicted(x[:count]), together[:count], rtol=0, atol=1e-6)
    last = predicted(x[-count:])
    np.testing.assert_allclose(last, together[-count:], rtol=0, atol=1e-6)


def test_logits_are_those_of_the_network():
    x = rows(100)
    z = evaluate.logits(params(3), x, network=NETWORK)
    assert z.dtype == np.float32
    expected = embedding.forward(params(3), jnp.asarray(x), **NETWORK)
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-5)
    assert evaluate.logits(params(3), x[:0], network=NETWORK).shape == (0, 3)


def test_it_can_be_interrupted_between_blocks():
    heard = []
    evaluate.logits(params(1), rows(2500), network=NETWORK, poll=lambda: heard.append(1))
    assert len(heard) == 3

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate.logits(params(1), rows(10), network=NETWORK, poll=stop)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    ("task", "activation"),
    [(name, task.activation) for name, task in TASKS.items()]
    + [("multiclass", "sigmoid"), ("binary", "tanh"), ("multilabel", "identity")],
)
def test_probabilities_and_losses_of_logits(task: str, activation: str, temperature: float):
    z = np.random.default_rng(1).normal(size=(70, SHAPES[task])).astype(np.float32) * 3
    y = np.random.default_rng(2).integers(0, 2, 70 if task == "multiclass" else z.shape)
    targets = as_targets(find_task(task), y)
    scaled = jnp.asarray(z / np.float32(temperature))
    expected = probabilities(find_task(task), scaled, activation)
    found = evaluate.probabilities_of(task, z, activation, temperature)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    # Of clipped outputs a loss near 0 hangs on the last bit of a: the same a for both.
    a = expected if activation == find_task(task).activation else jnp.asarray(found, jnp.float32)
    exact = log_losses(find_task(task), scaled, a, jnp.asarray(targets), activation)
    mean = np.asarray(exact) / (3 if task == "multilabel" else 1)
    losses = evaluate.row_log_losses(task, z, targets, activation, temperature)
    inside = mean < 29  # beyond: a probability of 0, cut off at the least number of its type
    np.testing.assert_allclose(losses[inside], mean[inside], rtol=1e-5)
    assert inside.any()
    np.testing.assert_array_less(29, losses[~inside])
    assert evaluate.probabilities_of(task, z[:0], activation).shape == (0, SHAPES[task])


@pytest.mark.parametrize("task", TASKS)
def test_sure_mistakes_cost_what_they_should(task: str):
    z = np.zeros((1, SHAPES[task]), np.float32)
    z[0, 0] = 700.0
    y = np.ones(1, np.int32) if task == "multiclass" else np.zeros_like(z)
    cost = evaluate.row_log_losses(task, z, y, find_task(task).activation)[0]
    rest = 2 * np.log(2) if task == "multilabel" else 0
    assert cost == pytest.approx((700 + rest) / (3 if task == "multilabel" else 1), rel=1e-12)
