"""Log loss and rankings come from logits: p is exactly 0 or 1 beyond 37, the metrics are not."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp, softmax
from sklearn import metrics as sk

from jaxnet.errors import DataError
from jaxnet.training import evaluate
from jaxnet.training.calibration import before_after
from jaxnet.training.evaluation import summarise
from jaxnet.training.metrics import final_metrics, measure
from jaxnet.training.metrics.probability import against_the_rest, log_losses

TASKS = ("binary", "multiclass", "multilabel")


def drawn(task: str, reach: float, rows: int = 300, classes: int = 5):
    """Logits up to `reach`, noisy but better than chance, and targets."""
    rng = np.random.default_rng(7)
    shape = (rows,) if task == "binary" else (rows, classes)
    if task == "multiclass":
        y = rng.integers(0, classes, rows)
        signal = 2.0 * (np.arange(classes) == y[:, None])
    else:
        y = rng.integers(0, 2, shape)
        signal = 2.0 * (2 * y - 1)
    z = rng.normal(size=shape) + signal
    return reach * z / np.abs(z).max(), y


def said(task: str, z: np.ndarray) -> np.ndarray:
    return softmax(z, axis=1) if task == "multiclass" else expit(z)


def rest(z: np.ndarray) -> np.ndarray:
    """z_k - ln sum of exp of the others, column by column."""
    others = [logsumexp(np.delete(z, k, axis=1), axis=1) for k in range(z.shape[1])]
    return z - np.stack(others, axis=1)


def expected(task: str, z: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """By scikit-learn from scores that do not round, and by SciPy in log space."""
    if task == "multiclass":
        scores, found = rest(z), {}
        for k in (2, 3):
            found[f"top_{k}_accuracy"] = sk.top_k_accuracy_score(y, z, k=k)
        loss = -log_softmax(z, axis=1)[np.arange(len(y)), y].mean()
        true = np.eye(z.shape[1])[y]
        found |= {"roc_auc_ovr": sk.roc_auc_score(true, scores)}
    else:
        scores, true = z, y
        loss = np.logaddexp(0, np.where(y == 1, -z, z)).mean()
        found = {}
    if task == "multilabel":
        found["lrap"] = sk.label_ranking_average_precision_score(y[y.any(axis=1)], z[y.any(axis=1)])
        found["micro_pr_auc"] = sk.average_precision_score(y, z, average="micro")
        best = z.argmax(axis=1)
        found["precision_at_1"] = y[np.arange(len(y)), best].mean()
    return found | {
        "log_loss": loss,
        "roc_auc": sk.roc_auc_score(true, scores),
        "pr_auc": sk.average_precision_score(true, scores, average="macro"),
    }


@pytest.mark.parametrize("reach", [3.0, 60.0, 1000.0, 1e6])
@pytest.mark.parametrize("task", TASKS)
def test_they_are_right_however_large_the_logits_are(task: str, reach: float):
    z, y = drawn(task, reach)
    p = said(task, z)
    found = final_metrics(task, p, y, logits=z)
    for name, value in expected(task, z, y).items():
        assert found[name] == pytest.approx(value, rel=1e-12), name
    by_p = final_metrics(task, p, y)
    if reach == 3.0:  # no p rounds to 0 or 1
        told = {key: value for key, value in by_p.items() if value is not None}
        assert {key: found[key] for key in told} == pytest.approx(told, rel=1e-9)
        assert len(told) > len(found) - 3
    elif reach >= 1000:
        assert reach == 1000 or by_p["log_loss"] < 0.1 * found["log_loss"]  # cut off at 708
        assert by_p["roc_auc"] < found["roc_auc"]
    same = {key: found[key] for key in ("accuracy", "brier", "ece", "f1", "mcc")}
    assert same == {key: by_p[key] for key in same}  # of what the rows are told


def test_one_sure_mistake_costs_its_logit():
    for task, z, y in (
        ("binary", np.array([60.0]), np.array([0])),
        ("multiclass", np.array([[60.0, 0.0]]), np.array([1])),
        ("multilabel", np.array([[60.0]]), np.array([[0]])),
    ):
        assert final_metrics(task, said(task, z), y, logits=z)["log_loss"] == pytest.approx(60.0)
        # And a sure hit costs what is left, where ln p is 0.
        costs = log_losses(task, said(task, z), 1 - y, z)
        assert costs.item() == pytest.approx(np.exp(-60.0), rel=1e-12)


def test_rows_that_all_round_to_one_still_have_an_order():
    z, y = np.array([45.0, 50.0, 55.0, 60.0]), np.array([0, 0, 1, 1])
    assert final_metrics("binary", expit(z), y)["roc_auc"] == 0.5
    summary = summarise("binary", expit(z), y, logits=z)
    assert summary["metrics"]["roc_auc"] == summary["metrics"]["pr_auc"] == 1.0
    assert np.trapezoid(summary["roc"]["y"], summary["roc"]["x"]) == 1.0
    assert summary["precision_recall"]["y"][0] == 1.0
    many = np.column_stack([z, np.zeros(4), -z])
    curves = summarise("multiclass", softmax(many, axis=1), 1 - y, logits=many)["roc"]
    assert np.trapezoid(curves["0"]["y"], curves["0"]["x"]) == 1.0


def test_the_score_of_a_class_against_the_rest_is_the_logit_of_its_probability():
    z = np.random.default_rng(0).normal(size=(50, 4))
    p = softmax(z, axis=1)
    np.testing.assert_allclose(against_the_rest(z), np.log(p) - np.log1p(-p), rtol=0, atol=1e-12)
    far = np.array([[1e4, 0.0, -1e4], [5.0, 5.0, -1e30], [3e38, -3e38, 0.0]])
    np.testing.assert_allclose(against_the_rest(far), rest(far), rtol=1e-14)
    assert against_the_rest(z[:0]).shape == (0, 4)


@pytest.mark.parametrize("task", TASKS)
def test_undefined_ones_stay_undefined(task: str):
    z, y = drawn(task, 1000.0)
    alike = np.zeros_like(y)
    with_z = measure(task, said(task, z), alike, logits=z)
    by_p = measure(task, said(task, z), alike)
    reasons = {key: one.remark for key, one in with_z.items() if one.value is None}
    assert {"roc_auc", "mcc"} <= set(reasons)
    assert reasons == {key: one.remark for key, one in by_p.items() if one.value is None}
    none = measure(task, said(task, z)[:0], y[:0], logits=z[:0])
    assert {one.remark for one in none.values()} == {"no rows"}


def test_logits_that_make_no_sense():
    with pytest.raises(DataError, match=r"of one shape; given \(1,\) and \(2,\)"):
        final_metrics("binary", [0.5, 0.5], [0, 1], logits=[0.0])
    with pytest.raises(DataError, match="logits must be finite; row 1"):
        final_metrics("binary", [0.5, 0.5], [0, 1], logits=[0.0, np.inf])


@pytest.mark.parametrize("task", TASKS)
def test_calibration_tells_its_gain_from_logits(task: str):
    z, y = drawn(task, 1000.0)
    both = before_after(task, z, y, 2.0)
    for part, divisor in (("before", 1.0), ("after", 2.0)):
        wanted = expected(task, z / divisor, y)["log_loss"]
        assert both[part]["log_loss"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_outputs_carry_calibrated_logits_where_they_are_logits(task: str):
    z, _ = drawn(task, 1000.0)
    rows = np.float32(z.reshape(len(z), -1))
    own = {"binary": "sigmoid", "multiclass": "softmax", "multilabel": "sigmoid"}[task]
    found = evaluate.outputs_of(task, rows, own, 2.0)
    assert found.logits is not None
    assert found.p.shape == found.logits.shape == z.shape
    np.testing.assert_allclose(found.p, said(task, found.logits), rtol=1e-12, atol=1e-300)
    assert found.ranking is found.logits
    other = evaluate.outputs_of(task, rows, "tanh")
    assert other.logits is None  # clipped outputs are what is said, and all there is
    assert other.ranking is other.p
