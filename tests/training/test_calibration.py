"""Temperatures against brute force and SciPy; what is said where none can be trusted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from jaxnet.errors import DataError
from jaxnet.training import calibration
from jaxnet.training.calibration import Calibration, before_after, fit_temperature, quality, soften
from jaxnet.training.metrics import final_metrics
from jaxnet.training.tasks import TASKS

TASK_NAMES = list(TASKS)


def case(task, seed=0, n=200, k=4, scale=1.0):
    """Logits that are `scale` times those that the targets are drawn by."""
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        z = rng.normal(size=(n, k)) * 2
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    else:
        z = rng.normal(size=(n, 1 if task == "binary" else k)) * 2
        y = (z + rng.logistic(size=z.shape) > 0).astype(int)
        y = y[:, 0] if task == "binary" else y
    return z * scale, y


def log_loss(task, z, y, temperature, weights=None):
    """Written once more, by SciPy: mean over rows, weighted."""
    u = z / temperature
    if task == "multiclass":
        rows = -log_softmax(u, axis=1)[np.arange(len(y)), y]
    else:
        signed = np.where(y.reshape(u.shape) == 1, -u, u)
        rows = logsumexp([np.zeros_like(signed), signed], axis=0).mean(axis=1)
    return np.average(rows, weights=weights)


def cost(task, z, y, temperature, weights=None):
    """What is minimised, by row: log loss and, from before any row, ln T ~ N(0, 0.3^2)."""
    prior = np.log(temperature) ** 2 / (2 * 0.3**2)
    return log_loss(task, z, y, temperature, weights) + prior / y.size


def by_scipy(task, z, y, weights=None):
    found = minimize_scalar(
        lambda u: cost(task, z, y, np.exp(u), weights),
        bounds=(np.log(calibration.LOWEST), np.log(calibration.HIGHEST)),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return np.exp(found.x)


def fit(task, z, y, **options):
    return fit_temperature(z, y, task, activation=TASKS[task].activation, **options)


def test_activations_are_those_of_the_tasks():
    assert {name: task.activation for name, task in TASKS.items()} == calibration.ACTIVATIONS


@pytest.mark.parametrize("scale", [0.2, 1.0, 6.0])
@pytest.mark.parametrize("task", TASK_NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_minimum_that_scipy_finds(task, seed, scale):
    z, y = case(task, seed, scale=scale)
    found = fit(task, z, y)
    # Near its minimum the loss is flat: SciPy, which compares losses, finds it to about 1e-7.
    assert found.temperature == pytest.approx(by_scipy(task, z, y), rel=1e-6)
    assert (found.reason, found.fitted) == ("", True)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_no_temperature_of_a_grid_is_better(task):
    z, y = case(task, 3, scale=3.0)
    found = fit(task, z, y).temperature
    least = cost(task, z, y, found)
    grid = np.geomspace(0.05, 20, 401)
    assert all(cost(task, z, y, t) >= least for t in grid)
    # A little away, on either side, it rises; and the rows are never worse off than at T = 1.
    step = 1e-4 * found
    assert cost(task, z, y, found - step) > least < cost(task, z, y, found + step)
    assert log_loss(task, z, y, found) <= log_loss(task, z, y, 1.0)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_it_finds_the_scale_of_the_logits(task):
    z, y = case(task, n=10_000, scale=3.0)
    assert fit(task, z, y).temperature == pytest.approx(3.0, rel=0.08)
    once = fit(task, z, y).temperature
    assert fit(task, z / once, y).temperature == pytest.approx(1.0, rel=0.01)
    assert fit(task, z * 2, y).temperature == pytest.approx(2 * once, rel=0.01)


def test_by_hand():
    # Logit 4 and three of four right: sigmoid(4 / T) = 3/4, T = 4 / ln 3, of a million rows.
    z, y = np.tile([4.0, 4.0, 4.0, -4.0], 250_000), np.tile([1, 1, 0, 0], 250_000)
    found = fit("binary", z, y).temperature
    assert found == pytest.approx(4 / np.log(3), rel=1e-4)
    # Two classes of a softmax are one sigmoid of the difference.
    two = np.stack([np.zeros(len(z)), z], axis=1)
    assert fit("multiclass", two, y).temperature == pytest.approx(found, rel=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(TASK_NAMES), st.sampled_from([0.01, 1.0, 50.0]))
def test_within_bounds_the_derivative_vanishes_and_beyond_it_points_out(seed, task, scale):
    z, y = case(task, seed, n=60, k=3, scale=scale)
    found = fit(task, z, y)
    if not found.fitted:
        return
    t = found.temperature
    below, above = (cost(task, z, y, t * f) for f in (1 - 1e-4, 1 + 1e-4))
    here = cost(task, z, y, t)
    if found.reason:
        assert t in (calibration.LOWEST, calibration.HIGHEST)
        assert (above if t == calibration.LOWEST else below) >= here
    else:
        assert below >= here <= above


def test_weights_count_by_their_ratios():
    for task in TASK_NAMES:
        z, y = case(task, 5)
        times = np.random.default_rng(1).integers(0, 4, len(y))
        weighted = fit(task, z, y, weights=times).temperature
        assert weighted == pytest.approx(by_scipy(task, z, y, times), rel=1e-6)
        assert weighted == pytest.approx(fit(task, z, y, weights=7.0 * times).temperature, rel=1e-9)
        assert weighted != pytest.approx(fit(task, z, y).temperature, rel=1e-4)


def test_blocks_add_up(monkeypatch):
    for task in TASK_NAMES:
        z, y = case(task, 7)
        whole = fit(task, z, y).temperature
        monkeypatch.setattr(calibration, "_PAIRS", 64)
        assert fit(task, z, y).temperature == pytest.approx(whole, rel=1e-9)
        monkeypatch.undo()


def test_huge_logits_overflow_nothing():
    for task in TASK_NAMES:
        z, y = case(task, 2)
        found = fit(task, z * 1e5, y)
        assert found.temperature == calibration.HIGHEST
        assert found.reason == "at its bound; a higher one has less log loss"
        # Logits that tell nothing are hardly worth a belief: little moves T from 1.
        found = fit(task, z * 1e-3, y)
        assert 0.4 < found.temperature < 1
        assert found.reason == ""


def unfitted(reason):
    return Calibration(1.0, reason, fitted=False)


def test_rows_that_cannot_tell():
    z, y = case("binary")
    assert fit("binary", z, np.zeros(200, int)) == unfitted("all rows are of one class")
    assert fit("binary", z[:0], y[:0]) == unfitted("no rows were held out")
    z, y = case("multilabel")
    assert fit("multilabel", z, np.zeros_like(y)) == unfitted("all labels are alike")


@pytest.mark.parametrize("rows", [8, 50, 500])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_rows_that_are_all_decided_rightly_do_not_send_it_to_0(task, rows):
    z, _ = case(task, n=rows)
    right = z.argmax(axis=1) if task == "multiclass" else (z > 0).astype(int).reshape(rows, -1)
    found = fit(task, z, right[:, 0] if task == "binary" else right)
    assert (0.15 if rows < 500 else calibration.LOWEST) < found.temperature < 1
    assert found.fitted


def test_few_rows_move_it_little():
    for task in TASK_NAMES:
        z, y = case(task, n=4000, scale=5.0)
        few, many = (fit(task, z[:n], y[:n]).temperature for n in (5, 4000))
        assert 1 < few < many


def test_a_class_without_rows_does_no_harm():
    z, y = case("multiclass", n=1000)
    rows = y != 2
    assert fit("multiclass", z[rows], y[rows]).temperature == pytest.approx(
        by_scipy("multiclass", z[rows], y[rows]), rel=1e-6
    )


def test_outputs_that_are_no_logits():
    z, y = case("binary")
    found = fit_temperature(z, y, "binary", activation="identity")
    assert found == unfitted("the outputs are behind identity, not sigmoid: they are no logits")


def test_calls_that_make_no_sense():
    z, y = case("multiclass")
    with pytest.raises(DataError, match="logits must be finite; row 1"):
        fit("multiclass", np.where(np.arange(200)[:, None] == 1, np.nan, z), y)
    with pytest.raises(DataError, match="below 4; row 0: 4"):
        fit("multiclass", z, np.full(200, 4))
    with pytest.raises(DataError, match="shapes"):
        fit("multiclass", z, y[1:])


@pytest.mark.parametrize("task", TASK_NAMES)
def test_before_and_after_are_the_metrics_of_both(task):
    z, y = case(task, scale=3.0)
    t = fit(task, z, y).temperature
    both = before_after(task, z, y, t)
    for part, divisor in (("before", 1.0), ("after", t)):
        p = soften(z, task, divisor)
        found = final_metrics(task, p[:, 0] if task == "binary" else p, y)
        numbers = {key: both[part][key] for key in ("log_loss", "brier", "ece")}
        assert numbers == pytest.approx({key: found[key] for key in numbers}, rel=1e-12)
        assert found["log_loss"] == pytest.approx(log_loss(task, z, y, divisor), rel=1e-9)
    assert both["after"]["log_loss"] < both["before"]["log_loss"]
    assert both["after"]["ece"] < both["before"]["ece"]


def test_quality_without_rows_is_undefined():
    found = quality("multiclass", np.zeros((0, 3)), np.zeros(0, int))
    assert [found[key] for key in ("log_loss", "brier", "ece")] == [None] * 3
    assert found["reliability"]["rows"] == []
