"""A task fixes its loss and decision rule, and refuses what does not belong to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.config import LOSS_NAMES, METRICS, TASKS
from jaxnet.config.names import LOSS_TASKS
from jaxnet.errors import LossPairError, UserError
from jaxnet.training import tasks
from jaxnet.training.metrics import final_metrics
from jaxnet.training.tasks import find_loss, find_task


def test_the_config_names_the_same_tasks_losses_and_metrics():
    assert set(TASKS) == set(tasks.TASKS)
    for name, task in tasks.TASKS.items():
        assert set(task.metrics) == set(METRICS[name])
        assert set(task.losses) == {loss for loss in LOSS_NAMES if name in LOSS_TASKS[loss]}


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("binary", "categorical_cross_entropy"),
        ("multiclass", "binary_cross_entropy"),
        ("multiclass", "focal"),
        ("multilabel", "categorical_cross_entropy"),
        ("binary", "no_such_loss"),
    ],
)
def test_a_loss_of_another_task_is_refused_with_the_reason(task, loss):
    with pytest.raises(LossPairError, match="belongs to one pair of loss and output activation"):
        find_loss(find_task(task), loss)


def test_a_loss_of_ones_own_must_fit_the_task():
    from jaxnet.nn.losses import ELEMENTWISE, MULTICLASS, make, register

    def zero(z, y):
        return jnp.zeros(len(z))

    delta = jnp.zeros_like
    register(make("of_classes", layout=MULTICLASS, activation="softmax", value=zero, delta=delta))
    register(make("of_labels", layout=ELEMENTWISE, activation="sigmoid", value=zero, delta=delta))
    for task, name in (("binary", "of_classes"), ("multiclass", "of_labels")):
        with pytest.raises(LossPairError, match="belongs to one pair"):
            find_loss(find_task(task), name)


def test_an_activation_of_another_pair_is_refused():
    with pytest.raises(LossPairError, match="cannot stand behind 'softmax'"):
        find_loss(find_task("binary"), "cross_entropy", "softmax")
    assert find_loss(find_task("multiclass"), "squared_error")[1] == "softmax"
    assert find_loss(find_task("binary"), "squared_error", "tanh")[1] == "tanh"
    with pytest.raises(UserError, match="no task is called 'regression'"):
        find_task("regression")


@pytest.mark.parametrize("name", TASKS)
def test_metrics_on_the_device_agree_with_the_exact_ones_on_the_host(name):
    task, rng = find_task(name), np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(40, task.outputs(4))), jnp.float32)
    classes = name == "multiclass"
    y = rng.integers(0, 4 if classes else 2, size=40 if classes else z.shape)
    targets = jnp.asarray(tasks.as_targets(task, y))
    a = tasks.probabilities(task, z, task.activation)
    w = jnp.ones(40)
    totals = {
        "weight": jnp.sum(w),
        "loss": jnp.float32(0),
        "log_loss": jnp.sum(tasks.log_losses(task, z, a, targets, task.activation)),
        **task.sums(a, targets, w, z),
    }
    numbers = {key: float(value) for key, value in totals.items()}
    shown = np.asarray(a)[:, 0] if name == "binary" else np.asarray(a)
    exact = final_metrics(name, shown, y[:, 0] if name == "binary" else y)
    for metric, of in task.metrics.items():
        if exact.get(metric) is None:
            assert metric == "loss" or (metric == "precision_at_5" and of(numbers) is None)
        else:
            assert of(numbers) == pytest.approx(exact[metric], rel=1e-5), metric


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "softplus"])
def test_outputs_behind_other_activations_become_probabilities(activation):
    z = jax.random.normal(jax.random.key(0), (30, 3)) * 3
    p = tasks.probabilities(find_task("multiclass"), z, activation)
    np.testing.assert_allclose(np.sum(p, axis=1), 1, rtol=1e-6)
    one = tasks.probabilities(find_task("binary"), z[:, :1], activation)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1
    losses = tasks.log_losses(find_task("multiclass"), z, p, jnp.zeros(30, jnp.int32), activation)
    assert np.isfinite(losses).all()
