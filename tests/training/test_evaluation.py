"""evaluation.json: what it holds, by hand and against scikit-learn; plain, and never NaN."""

import json

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnet.training.calibration import Calibration, before_after, fit_temperature
from jaxnet.training.evaluation import plain, record, summarise
from jaxnet.training.metrics import KEYS, final_metrics
from jaxnet.training.thresholds import Decision, choose

IMPORTANCE = {"reason": "not asked for"}
PROOF = {"reason": "no closed form"}


def case(task, seed=0, n=300, k=4):
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        z = rng.normal(size=(n, k)) * 1.5
        p = np.exp(z)
        p /= p.sum(axis=1, keepdims=True)
        return p, (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, k - 1)
    p = rng.random(n) if task == "binary" else rng.random((n, k))
    return p, (rng.random(p.shape) < p).astype(int)


def as_read(value):
    """As another program reads it, refusing what JSON has not."""
    assert json.loads(json.dumps(value, allow_nan=False)) == plain(value)
    return json.loads(json.dumps(value, allow_nan=False))


def test_two_classes_by_hand():
    found = as_read(summarise("binary", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], thresholds=0.35))
    assert found["rows"] == 4
    assert found["confusion"] == [[1, 1], [0, 2]]
    assert found["metrics"]["accuracy"] == 0.75
    assert found["metrics"]["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert found["undefined"] == {}
    assert found["roc"] == {"x": [0.0, 0.0, 0.5, 0.5, 1.0], "y": [0.0, 0.5, 0.5, 1.0, 1.0]}
    # From the highest p down: right, wrong, right, wrong.
    assert found["precision_recall"]["x"] == [0, 0.5, 0.5, 1, 1]
    assert found["precision_recall"]["y"] == pytest.approx([1, 1, 1 / 2, 2 / 3, 2 / 4])
    curve = found["threshold_curve"]
    assert list(curve) == [
        *("threshold", "accuracy", "f1", "balanced_accuracy", "precision", "recall"),
    ]
    assert [curve[key][40] for key in curve] == [0.4, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert found["reliability"] == {
        "p": [0.1, 0.375, 0.8],  # bins of a fifteenth, closed above
        "share": [0.0, 0.5, 1.0],
        "rows": [1, 2, 1],
        "low": pytest.approx([1 / 15, 5 / 15, 11 / 15]),
        "high": pytest.approx([2 / 15, 6 / 15, 12 / 15]),
    }


def test_classes_equal_scikit_learn():
    p, y = case("multiclass")
    found = as_read(summarise("multiclass", p, y, names=[*"abcd"]))
    decided = p.argmax(axis=1)
    assert found["confusion"] == sk.confusion_matrix(y, decided).tolist()
    each = sk.precision_recall_fscore_support(y, decided)
    for k, row in enumerate(found["per_class"]):
        assert row == {
            "name": "abcd"[k],
            "rows": each[3][k],
            "precision": pytest.approx(each[0][k]),
            "recall": pytest.approx(each[1][k]),
            "f1": pytest.approx(each[2][k]),
            "roc_auc": pytest.approx(sk.roc_auc_score(y == k, p[:, k])),
            "pr_auc": pytest.approx(sk.average_precision_score(y == k, p[:, k])),
        }
    assert found["metrics"] == final_metrics("multiclass", p, y)
    for k, name in enumerate("abcd"):
        curve = found["roc"][name]
        area = np.trapezoid(curve["y"], curve["x"])
        assert area == pytest.approx(sk.roc_auc_score(y == k, p[:, k]), abs=1e-3)
        assert found["precision_recall"][name]["y"][-1] == pytest.approx(np.mean(y == k))
    sure = np.repeat(found["reliability"]["p"], found["reliability"]["rows"])
    assert sure.mean() == pytest.approx(p.max(axis=1).mean())


def test_labels_equal_scikit_learn():
    p, y = case("multilabel")
    thresholds = [0.2, 0.4, 0.6, 0.8]
    found = as_read(summarise("multilabel", p, y, thresholds=thresholds, names=[*"abcd"]))
    each = sk.precision_recall_fscore_support(y, (p >= thresholds).astype(int))
    for k, row in enumerate(found["per_label"]):
        assert row == {
            "name": "abcd"[k],
            "positives": each[3][k],
            "threshold": thresholds[k],
            "precision": pytest.approx(each[0][k]),
            "recall": pytest.approx(each[1][k]),
            "f1": pytest.approx(each[2][k]),
            "roc_auc": pytest.approx(sk.roc_auc_score(y[:, k], p[:, k])),
            "pr_auc": pytest.approx(sk.average_precision_score(y[:, k], p[:, k])),
        }
    curve = found["roc"]["all pairs"]
    area = np.trapezoid(curve["y"], curve["x"])
    assert area == pytest.approx(sk.roc_auc_score(y, p, average="micro"), abs=1e-3)
    assert list(found["precision_recall"]) == ["all pairs"]
    assert list(found["threshold_curve"]) == ["threshold", "micro_f1", "macro_f1"]
    assert sum(found["reliability"]["rows"]) == y.size
    usual = summarise("multilabel", p, y)["per_label"]
    assert [row["threshold"] for row in usual] == [0.5] * 4
    assert [row["name"] for row in usual] == [*"0123"]


def test_many_classes_have_no_matrix_and_ten_curves():
    p, y = case("multiclass", n=3000, k=101)
    found = as_read(summarise("multiclass", p, y))
    assert "confusion" not in found
    assert len(found["per_class"]) == 101
    largest = sorted(range(101), key=lambda k: -np.sum(y == k))[:10]
    assert (
        list(found["roc"]) == list(found["precision_recall"]) == sorted(map(str, largest), key=int)
    )
    p, y = case("multiclass", n=3000, k=100)
    assert len(summarise("multiclass", p, y)["confusion"]) == 100


@pytest.mark.parametrize("task", list(KEYS))
def test_without_curves_and_without_rows(task):
    p, y = case(task)
    whole, less = summarise(task, p, y), summarise(task, p, y, with_curves=False)
    gone = {"roc", "precision_recall", "threshold_curve"} & set(whole)
    assert less == {key: value for key, value in whole.items() if key not in gone}
    assert len(gone) == (2 if task == "multiclass" else 3)
    none = summarise(task, p[:0], y[:0])
    assert none == {
        "rows": 0,
        "metrics": dict.fromkeys(KEYS[task]),
        "undefined": dict.fromkeys(KEYS[task], "no rows"),
    }


@settings(max_examples=60)
@given(
    st.sampled_from(list(KEYS)),
    st.integers(0, 10_000),
    st.integers(1, 5),
    st.integers(2, 6),
    st.booleans(),
)
def test_the_fewest_rows_are_plain_and_without_nan(task, seed, n, k, alike):
    p, y = case(task, seed, n, k)
    y = np.zeros_like(y) if alike else y
    found = as_read(summarise(task, p, y))
    assert found["rows"] == n
    assert found["metrics"] == final_metrics(task, p, y)
    none = {key for key, value in found["metrics"].items() if value is None}
    assert none <= set(found["undefined"])
    assert "roc" not in found or task != "binary" or 0 < y.sum() < n
    lengths = [[len(c["x"]), len(c["y"])] for c in found.get("roc", {}).values() if "x" in c]
    assert all(one == other for one, other in lengths)


def test_a_class_without_rows_is_none_and_has_no_curve():
    p, y = case("multiclass", k=3)
    rows = y < 2
    found = as_read(summarise("multiclass", p[rows], y[rows], names=[*"abc"]))
    absent = found["per_class"][2]
    assert (absent["rows"], absent["recall"], absent["f1"], absent["roc_auc"]) == (0, *[None] * 3)
    assert absent["precision"] == 0.0  # something is decided as c, wrongly
    assert list(found["roc"]) == list(found["precision_recall"]) == ["a", "b"]
    assert found["undefined"]["macro_f1"] == "no rows of class c: left out of the mean"


def test_the_whole_record():
    rng = np.random.default_rng(0)
    z = rng.normal(size=300) * 6
    y = (z / 3 + rng.logistic(size=300) > 0).astype(int)
    calibration = fit_temperature(z, y, "binary", activation="sigmoid")
    changed = {"validation": before_after("binary", z, y, calibration.temperature)}
    p = 1 / (1 + np.exp(-z / calibration.temperature))
    decision = choose("binary", p, y, "f1")
    parts = {"validation": summarise("binary", p, y, thresholds=decision.thresholds)}
    found = as_read(
        record(
            parts,
            calibration=calibration,
            changed=changed,
            decision=decision,
            importance=IMPORTANCE,
            proof={"ok": np.bool_(True), "closed_form": np.float32(0.5)},
        )
    )
    assert list(found) == ["parts", "calibration", "decision", "importance", "proof"]
    assert found["calibration"]["method"] == "temperature"
    assert 1.5 < found["calibration"]["temperature"] == calibration.temperature < 4
    both = found["calibration"]["parts"]["validation"]
    assert both["after"]["log_loss"] < both["before"]["log_loss"]
    assert both["after"]["log_loss"] == found["parts"]["validation"]["metrics"]["log_loss"]
    assert both["after"]["reliability"] == found["parts"]["validation"]["reliability"]
    assert found["decision"] == {
        "rule": "threshold",
        "tuned_for": "f1",
        "threshold": decision.thresholds,
    }
    assert found["proof"] == {"ok": True, "closed_form": 0.5}
    best = found["parts"]["validation"]["metrics"]["f1"]
    assert best >= max(found["parts"]["validation"]["threshold_curve"]["f1"])


def test_what_was_not_done_is_said():
    def of(**given):
        usual = {"decision": Decision("argmax"), "importance": IMPORTANCE, "proof": PROOF}
        return as_read(record({}, **{**usual, **given}))

    assert of()["calibration"] == {"method": "none", "reason": "not asked for"}
    assert of()["decision"] == {"rule": "argmax", "tuned_for": None}
    unfit = Calibration(1.0, "all rows are of one class", fitted=False)
    assert of(calibration=unfit)["calibration"] == {"method": "none", "reason": unfit.reason}
    bound = of(calibration=Calibration(20.0, "at its bound; a higher one has less log loss"))
    assert bound["calibration"] == {
        "method": "temperature",
        "temperature": 20.0,
        "note": "at its bound; a higher one has less log loss",
        "parts": {},
    }
    each = Decision("threshold", None, (0.5, 0.5), 0.5, "all labels are alike")
    assert of(decision=each)["decision"] == {
        "rule": "threshold",
        "tuned_for": None,
        "thresholds": [0.5, 0.5],
        "global_threshold": 0.5,
        "reason": "all labels are alike",
    }


def test_plain():
    given = {1: np.arange(2), "a": (np.nan, np.float32(0.5), np.inf), "b": [True, None, "c", 3]}
    assert plain(given) == {"1": [0, 1], "a": [None, 0.5, None], "b": [True, None, "c", 3]}
    assert type(plain(np.int64(3))) is int
    assert plain(True) is True
