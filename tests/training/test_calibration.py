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


def by_scipy(task, z, y, weights=None):
    found = minimize_scalar(
        lambda b: log_loss(task, z, y, 1 / b, weights),
        bounds=(1 / calibration.HIGHEST, 1 / calibration.LOWEST),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return 1 / found.x


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
    least = log_loss(task, z, y, found)
    grid = np.geomspace(0.05, 20, 401)
    assert all(log_loss(task, z, y, t) >= least for t in grid)
    # A little away, on either side, it rises.
    step = 1e-4 * found
    assert log_loss(task, z, y, found - step) > least < log_loss(task, z, y, found + step)


@pytest.mark.parametrize("task", TASK_NAMES)
def test_it_finds_the_scale_of_the_logits(task):
    z, y = case(task, n=10_000, scale=3.0)
    assert fit(task, z, y).temperature == pytest.approx(3.0, rel=0.08)
    once = fit(task, z, y).temperature
    assert fit(task, z / once, y).temperature == pytest.approx(1.0, rel=1e-9)
    assert fit(task, z * 2, y).temperature == pytest.approx(2 * once, rel=1e-9)


def test_by_hand():
    # Logit 4 and three of four right: sigmoid(4 / T) = 3/4, T = 4 / ln 3.
    z, y = np.tile([4.0, 4.0, 4.0, -4.0], 25), np.tile([1, 1, 0, 0], 25)
    assert fit("binary", z, y).temperature == pytest.approx(4 / np.log(3), rel=1e-12)
    # Two classes of a softmax are one sigmoid of the difference.
    two = np.stack([np.zeros(100), z], axis=1)
    assert fit("multiclass", two, y).temperature == pytest.approx(4 / np.log(3), rel=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(TASK_NAMES), st.sampled_from([0.01, 1.0, 50.0]))
def test_within_bounds_the_derivative_vanishes_and_beyond_it_points_out(seed, task, scale):
    z, y = case(task, seed, n=60, k=3, scale=scale)
    found = fit(task, z, y)
    if not found.fitted:
        return
    t = found.temperature
    below, above = (log_loss(task, z, y, t * f) for f in (1 - 1e-4, 1 + 1e-4))
    here = log_loss(task, z, y, t)
    if found.reason:
        assert t in (calibration.LOWEST, calibration.HIGHEST)
        assert (above if t == calibration.LOWEST else below) >= here
    else:
        assert below >= here <= above


def test_weights_count_as_repeated_rows():
    for task in TASK_NAMES:
        z, y = case(task, 5)
        times = np.random.default_rng(1).integers(0, 4, len(y))
        weighted = fit(task, z, y, weights=times).temperature
        assert weighted == pytest.approx(
            fit(task, np.repeat(z, times, axis=0), np.repeat(y, times, axis=0)).temperature,
            rel=1e-9,
        )
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
        found = fit(task, z * 1e-3, y)
        assert found.temperature == calibration.LOWEST
        assert found.reason == "at its bound; a lower one has less log loss"


def unfitted(reason):
    return Calibration(1.0, reason, fitted=False)


def test_rows_that_cannot_tell():
    z, y = case("binary", n=49)
    assert fit("binary", z, y) == unfitted("49 rows are too few, 50 are needed")
    z, y = case("binary")
    assert fit("binary", z, np.zeros(200, int)) == unfitted("all rows are of one class")
    z, y = case("multilabel")
    assert fit("multilabel", z, np.zeros_like(y)) == unfitted("all labels are alike")


def test_rows_that_are_all_decided_rightly():
    right = unfitted("every row is decided rightly, so no temperature is too low for them")
    z, y = case("multiclass")
    assert fit("multiclass", z, z.argmax(axis=1)) == right
    z, y = case("multilabel")
    assert fit("multilabel", z, (z > 0).astype(int)) == right
    # One mistake is enough.
    y = (z > 0).astype(int)
    y[3, 0] = 1 - y[3, 0]
    assert fit("multilabel", z, y).fitted


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
