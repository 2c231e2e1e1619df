"""Thresholds in decisions and metrics."""

import numpy as np
import pytest
import sklearn.metrics as sk

from jaxnet.errors import DataError
from jaxnet.training.metrics import decide, final_metrics, measure, undefined_reasons


def test_a_threshold_decides_from_itself_up():
    p = [0.2, np.nextafter(0.3, 0), 0.3, 0.9]
    found = decide("binary", p, 0.3)
    np.testing.assert_array_equal(found, [0, 0, 1, 1])
    assert found.dtype == np.int32
    np.testing.assert_array_equal(decide("binary", p, 0.0), [1, 1, 1, 1])
    np.testing.assert_array_equal(decide("binary", p, 2.0), [0, 0, 0, 0])
    np.testing.assert_array_equal(decide("multilabel", [[0.4, 0.4]], [0.4, 0.41]), [[1, 0]])
    np.testing.assert_array_equal(decide("multilabel", [[0.4, 0.6]], 0.5), [[0, 1]])


def test_metrics_of_two_classes_follow_the_threshold():
    rng = np.random.default_rng(0)
    p = rng.random(200)
    y = (rng.random(200) < p).astype(int)
    found, usual = final_metrics("binary", p, y, thresholds=0.3), final_metrics("binary", p, y)
    decided = (p >= 0.3).astype(int)
    assert found["f1"] == pytest.approx(sk.f1_score(y, decided), rel=1e-12)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, decided), rel=1e-12)
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(y, decided), rel=1e-12)
    same = ("log_loss", "roc_auc", "pr_auc", "brier", "ece")
    assert {key: found[key] for key in same} == {key: usual[key] for key in same}
    assert found["f1"] != usual["f1"]


def test_metrics_of_labels_follow_the_threshold_of_each():
    rng = np.random.default_rng(1)
    p = rng.random((200, 3))
    y = (rng.random(p.shape) < p).astype(int)
    thresholds = [0.2, 0.5, 0.8]
    found = final_metrics("multilabel", p, y, thresholds=thresholds)
    decided = (p >= thresholds).astype(int)
    for key, average in {"micro_f1": "micro", "macro_f1": "macro"}.items():
        assert found[key] == pytest.approx(sk.f1_score(y, decided, average=average), rel=1e-12)
    assert found["subset_accuracy"] == pytest.approx(sk.accuracy_score(y, decided), rel=1e-12)
    high = measure("multilabel", p, y, thresholds=2.0)
    assert high["mcc"].remark == "all pairs are decided alike"
    assert undefined_reasons("multilabel", p, y, thresholds=2.0)["mcc"] == high["mcc"].remark


@pytest.mark.parametrize(
    ("task", "p", "thresholds", "text"),
    [
        ("multiclass", [[0.5, 0.5]], 0.5, "the most likely class; leave thresholds out"),
        ("binary", [0.5], [0.5], "expected one number, given shape (1,)"),
        ("binary", [0.5], np.nan, "expected one number"),
        ("multilabel", [[0.5, 0.5]], [0.5], "one for each of 2 labels, given shape (1,)"),
        ("multilabel", [[0.5, 0.5]], [0.5, np.nan], "one for each of 2 labels"),
    ],
)
def test_thresholds_that_make_no_sense(task, p, thresholds, text):
    with pytest.raises(DataError) as caught:
        decide(task, p, thresholds)
    assert text in str(caught.value)
