"""Final metrics: equal to scikit-learn's where it defines them, by hand where it does not."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.training.metrics import KEYS, decide, final_metrics, measure, undefined_reasons

EXACT = {"rel": 1e-12, "abs": 1e-13}


def binary_case(seed, n=200, ties=False):
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    p = np.round(p, 1) if ties else p
    return p, (rng.random(n) < p).astype(int)


def multiclass_case(seed, n=300, k=4, ties=False):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 1.5
    z = np.round(z) if ties else z
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, k - 1)
    return p, y


def multilabel_case(seed, n=300, k=5, ties=False):
    rng = np.random.default_rng(seed)
    p = rng.random((n, k))
    p = np.round(p, 1) if ties else p
    return p, (rng.random((n, k)) < p).astype(int)


def calibration_by_hand(p, outcome):
    """The definition, bin by bin, over (low, high]."""
    total = 0.0
    for k in range(15):
        within = (p > k / 15) & (p <= (k + 1) / 15) | ((p == 0) & (k == 0))
        if within.any():
            total += within.mean() * abs(p[within].mean() - outcome[within].mean())
    return total


def hits_by_hand(p, y, k):
    """Precision at k, the mean over all orders of equals."""
    total = 0.0
    for scores, own in zip(p, y, strict=True):
        cut = np.sort(scores)[-k]
        sure, level = scores > cut, scores == cut
        total += own[sure].sum() + (k - sure.sum()) * own[level].mean()
    return total / k / len(p)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_binary_equals_scikit_learn(seed, ties):
    p, y = binary_case(seed, ties=ties)
    if ties:
        p = p.clip(0.05, 0.95)  # scikit-learn cuts p off where we do not
    decided = (p >= 0.5).astype(int)
    assert final_metrics("binary", p, y) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, decided),
            "balanced_accuracy": sk.balanced_accuracy_score(y, decided),
            "log_loss": sk.log_loss(y, p),
            "roc_auc": sk.roc_auc_score(y, p),
            "pr_auc": sk.average_precision_score(y, p),
            "f1": sk.f1_score(y, decided),
            "mcc": sk.matthews_corrcoef(y, decided),
            "brier": sk.brier_score_loss(y, p),
            "ece": calibration_by_hand(p, y),
        },
        **EXACT,
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_multiclass_equals_scikit_learn(seed, ties):
    p, y = multiclass_case(seed, ties=ties)
    decided, hot = p.argmax(axis=1), np.eye(4)[y]
    macro = sk.f1_score(y, decided, average="macro")
    auc = sk.roc_auc_score(y, p, multi_class="ovr")
    found = final_metrics("multiclass", p, y)
    assert found.pop("top_5_accuracy") is None  # there are four classes
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, decided),
            "balanced_accuracy": sk.balanced_accuracy_score(y, decided),
            "log_loss": sk.log_loss(y, p),
            "roc_auc": auc,
            "pr_auc": sk.average_precision_score(hot, p, average="macro"),
            "f1": macro,
            "mcc": sk.matthews_corrcoef(y, decided),
            "brier": np.mean(np.sum((p - hot) ** 2, axis=1)),
            "ece": calibration_by_hand(p.max(axis=1), decided == y),
            "macro_f1": macro,
            "weighted_f1": sk.f1_score(y, decided, average="weighted"),
            "roc_auc_ovr": auc,
            # scikit-learn puts the last of equals first
            "top_2_accuracy": sk.top_k_accuracy_score(3 - y, p[:, ::-1], k=2),
            "top_3_accuracy": sk.top_k_accuracy_score(3 - y, p[:, ::-1], k=3),
        },
        **EXACT,
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_multilabel_equals_scikit_learn(seed, ties):
    p, y = multilabel_case(seed, ties=ties)
    if ties:
        p = p.clip(0.05, 0.95)
    decided = (p >= 0.5).astype(int)
    micro = sk.f1_score(y, decided, average="micro")
    some = y.any(axis=1)
    assert final_metrics("multilabel", p, y) == pytest.approx(
        {
            "accuracy": np.mean(y == decided),
            "balanced_accuracy": np.mean(
                [sk.balanced_accuracy_score(y[:, k], decided[:, k]) for k in range(5)]
            ),
            "log_loss": np.mean([sk.log_loss(y[:, k], p[:, k]) for k in range(5)]),
            "roc_auc": sk.roc_auc_score(y, p, average="macro"),
            "pr_auc": sk.average_precision_score(y, p, average="macro"),
            "f1": micro,
            "mcc": sk.matthews_corrcoef(y.ravel(), decided.ravel()),
            "brier": np.mean([sk.brier_score_loss(y[:, k], p[:, k]) for k in range(5)]),
            "ece": calibration_by_hand(p.ravel(), y.ravel()),
            "micro_f1": micro,
            "macro_f1": sk.f1_score(y, decided, average="macro"),
            "samples_f1": sk.f1_score(y, decided, average="samples", zero_division=np.nan),
            "hamming_loss": sk.hamming_loss(y, decided),
            "subset_accuracy": sk.accuracy_score(y, decided),
            "micro_pr_auc": sk.average_precision_score(y, p, average="micro"),
            "lrap": sk.label_ranking_average_precision_score(y[some], p[some]),
            "coverage_error": sk.coverage_error(y[some], p[some]),
            **{f"precision_at_{k}": hits_by_hand(p, y, k) for k in (1, 3, 5)},
            **{f"ndcg_at_{k}": sk.ndcg_score(y[some], p[some], k=k) for k in (1, 3, 5)},
            "label_coverage": np.mean(decided.any(axis=0)),
        },
        **EXACT,
    )


def test_float32_probabilities_are_taken_as_they_are():
    p, y = binary_case(0)
    found = final_metrics("binary", p.astype(np.float32), y)
    assert found == final_metrics("binary", p.astype(np.float32).astype(np.float64), y)


@pytest.mark.parametrize("task", list(KEYS))
def test_every_key_is_there_as_a_number_or_none(task):
    contract = ["accuracy", "balanced_accuracy", "log_loss", "roc_auc", "pr_auc", "f1", "mcc"]
    contract += ["brier", "ece"]
    more = {
        "binary": [],
        "multiclass": ["macro_f1", "weighted_f1", "roc_auc_ovr"],
        "multilabel": ["micro_f1", "macro_f1", "samples_f1", "hamming_loss", "subset_accuracy"],
    }
    more["multiclass"] += [f"top_{k}_accuracy" for k in (2, 3, 5)]
    more["multilabel"] += ["micro_pr_auc", "lrap", "coverage_error"]
    more["multilabel"] += [f"{name}_at_{k}" for name in ("precision", "ndcg") for k in (1, 3, 5)]
    more["multilabel"] += ["label_coverage"]
    case = {"binary": binary_case, "multiclass": multiclass_case, "multilabel": multilabel_case}
    p, y = case[task](0)
    for rows in (slice(None), slice(0, 1), slice(0, 0)):
        found = final_metrics(task, p[rows], y[rows])
        assert list(found) == [*contract, *more[task]] == list(KEYS[task])
        assert all(value is None or type(value) is float for value in found.values())


def test_the_worked_example_of_the_roc_curve():
    # Pairs (positive, negative): .35 > .1, .35 < .4, .8 > .1, .8 > .4: three of four.
    found = final_metrics("binary", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    assert found["roc_auc"] == 0.75
    assert found["pr_auc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_ties_count_half():
    assert final_metrics("binary", [0.3, 0.3, 0.3], [0, 1, 1])["roc_auc"] == 0.5
    assert final_metrics("binary", [0.3, 0.3, 0.7], [0, 1, 1])["roc_auc"] == 0.75


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.9, 1.0]), st.booleans()), min_size=2)
)
def test_roc_auc_is_the_share_of_pairs_in_order(rows):
    p, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    gap = p[y][:, None] - p[~y][None, :]
    found = final_metrics("binary", p, y)["roc_auc"]
    expected = np.mean((gap > 0) + 0.5 * (gap == 0)) if gap.size else None
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-14))


def test_decisions():
    np.testing.assert_array_equal(
        decide("binary", [0.0, np.nextafter(0.5, 0), 0.5, 1.0]), [0, 0, 1, 1]
    )
    np.testing.assert_array_equal(decide("multiclass", [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]), [0, 1])
    np.testing.assert_array_equal(decide("multilabel", [[0.5, 0.49]]), [[1, 0]])


def test_log_loss_of_certain_mistakes_is_large_and_finite():
    found = final_metrics("binary", [0.0, 1.0], [1, 1])
    assert found["log_loss"] == pytest.approx(-np.log(np.finfo(float).tiny) / 2)
    # Nothing is cut off above that: scikit-learn would say 36.04 here.
    assert final_metrics("binary", [1e-200], [1])["log_loss"] == pytest.approx(200 * np.log(10))
    assert final_metrics("multiclass", [[0.0, 1.0]], [0])["log_loss"] == pytest.approx(
        708.396, abs=1e-3
    )


def test_bins_of_the_calibration_error_are_closed_above():
    edge = 1 / 15
    # Both in the first bin, where errors cancel; the next number up is in the second.
    found = final_metrics("binary", [0.05, edge], [1, 0])["ece"]
    assert found == pytest.approx((0.95 - edge) / 2)
    found = final_metrics("binary", [0.05, np.nextafter(edge, 1)], [1, 0])["ece"]
    assert found == pytest.approx((0.95 + edge) / 2)
    p = np.array([edge, 1 - edge])
    assert final_metrics("binary", p, [0, 1])["ece"] == pytest.approx(edge)
    same = final_metrics("binary", [edge, edge], [0, 1])["ece"]
    assert same == pytest.approx(0.5 - edge)


def test_calibration_of_multiclass_is_of_the_decided_class():
    p = [[0.7, 0.2, 0.1]] * 10
    y = [0] * 6 + [1] * 4
    assert final_metrics("multiclass", p, y)["ece"] == pytest.approx(0.1)


def test_brier_of_multiclass_runs_from_0_to_2():
    assert final_metrics("multiclass", [[1.0, 0.0], [0.0, 1.0]], [0, 1])["brier"] == 0
    assert final_metrics("multiclass", [[1.0, 0.0]], [1])["brier"] == 2


def undefined(task, p, y, **options):
    """The metrics that are None with their reasons, and the other remarks."""
    found = measure(task, p, y, **options)
    none = {key: score.remark for key, score in found.items() if score.value is None}
    said = {key: score.remark for key, score in found.items() if score.remark}
    assert undefined_reasons(task, p, y, **options) == said
    assert none.items() <= said.items()
    return none, {key: remark for key, remark in said.items() if key not in none}


def test_binary_without_positives():
    none, left_out = undefined("binary", [0.2, 0.7, 0.4], [0, 0, 0])
    assert none == {
        "balanced_accuracy": "needs rows of both classes",
        "roc_auc": "needs rows of both classes",
        "pr_auc": "no positive rows",
        "f1": "no positive rows",
        "mcc": "all rows are alike",
    }
    assert left_out == {}


def test_binary_without_negatives():
    none, _ = undefined("binary", [0.2, 0.7], [1, 1])
    assert set(none) == {"balanced_accuracy", "roc_auc", "mcc"}


def test_binary_decided_all_alike():
    none, _ = undefined("binary", [0.2, 0.3, 0.1], [0, 1, 0])
    assert none == {"mcc": "all rows are decided alike"}
    found = final_metrics("binary", [0.2, 0.3, 0.1], [0, 1, 0])
    assert (found["f1"], found["balanced_accuracy"]) == (0.0, 0.5)


def test_multiclass_with_an_absent_class():
    p, y = multiclass_case(0, k=3)
    rows = y < 2
    none, left_out = undefined("multiclass", p[rows], y[rows], names=["a", "b", "c"])
    assert none == {f"top_{k}_accuracy": f"needs more than {k} classes" for k in (3, 5)}
    means = ("balanced_accuracy", "roc_auc", "pr_auc", "f1", "macro_f1", "roc_auc_ovr")
    assert left_out == dict.fromkeys(means, "no rows of class c: left out of the mean")
    found = final_metrics("multiclass", p[rows], y[rows])
    expected = [sk.roc_auc_score(y[rows] == k, p[rows, k]) for k in (0, 1)]
    assert found["roc_auc"] == pytest.approx(np.mean(expected))
    decided = p[rows].argmax(axis=1)
    each = sk.f1_score(y[rows], decided, average=None, labels=[0, 1])
    assert found["macro_f1"] == pytest.approx(np.mean(each))
    assert found["balanced_accuracy"] == pytest.approx(
        sk.recall_score(y[rows], decided, average="macro", labels=[0, 1])
    )
    assert found["weighted_f1"] == pytest.approx(
        sk.f1_score(y[rows], decided, average="weighted", zero_division=0.0)
    )


def test_multiclass_with_one_class():
    none, _ = undefined("multiclass", [[0.9, 0.1], [0.2, 0.8]], [0, 0], names=["a", "b"])
    one = "every row is of class a"
    assert none == {
        "balanced_accuracy": one,
        "roc_auc": one,
        "roc_auc_ovr": one,
        "mcc": "all rows are alike",
        **{f"top_{k}_accuracy": f"needs more than {k} classes" for k in (2, 3, 5)},
    }


def test_multilabel_with_a_label_without_positives():
    p, y = multilabel_case(0)
    y[:, 1] = 0
    names = [*"abcde"]
    none, left_out = undefined("multilabel", p, y, names=names)
    assert none == {}
    assert left_out["pr_auc"] == "no positive rows of label b: left out of the mean"
    assert left_out["macro_f1"] == "no positive rows of label b: left out of the mean"
    assert left_out["roc_auc"] == "only one value in label b: left out of the mean"
    keep = [0, 2, 3, 4]
    found, rest = (final_metrics("multilabel", p[:, k], y[:, k]) for k in ([*range(5)], keep))
    for key in ("roc_auc", "pr_auc", "macro_f1", "balanced_accuracy"):
        assert found[key] == pytest.approx(rest[key])


def test_multilabel_without_any_positive():
    none, _ = undefined("multilabel", [[0.1, 0.2]], [[0, 0]])
    assert none == {
        "balanced_accuracy": "only one value in label 0, 1",
        "roc_auc": "only one value in label 0, 1",
        "pr_auc": "no positive rows of label 0, 1",
        "f1": "no positives",
        "micro_f1": "no positives",
        "macro_f1": "no positive rows of label 0, 1",
        "mcc": "all pairs are alike",
        "samples_f1": "1 row with no label, true or predicted",
        "micro_pr_auc": "no positives",
        "label_coverage": "no positives",
        **dict.fromkeys(["lrap", "coverage_error", "ndcg_at_1"], "1 row without labels"),
        **{
            f"{name}_at_{k}": f"needs {k} labels or more"
            for name in ("precision", "ndcg")
            for k in (3, 5)
        },
    }


def test_samples_f1_leaves_out_rows_that_are_empty_on_both_sides():
    p = [[0.9, 0.1], [0.1, 0.1], [0.9, 0.1]]
    y = [[1, 1], [0, 0], [0, 0]]  # 2/3; left out; 0
    found = measure("multilabel", p, y)["samples_f1"]
    assert found.value == pytest.approx(1 / 3)
    assert found.remark == "1 row with no label, true or predicted: left out of the mean"


def test_many_names_are_cut():
    remark = undefined_reasons("multilabel", np.full((2, 30), 0.1), np.zeros((2, 30)))["pr_auc"]
    assert remark == "no positive rows of label 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more"


def test_no_rows():
    none, _ = undefined("binary", [], [])
    assert none == dict.fromkeys(KEYS["binary"], "no rows")


def test_it_imports_neither_jax_nor_scikit_learn():
    code = (
        "import sys; from jaxnet.training.metrics import final_metrics;"
        "final_metrics('binary', [0.1, 0.9], [0, 1]);"
        "print([m for m in ('jax', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
