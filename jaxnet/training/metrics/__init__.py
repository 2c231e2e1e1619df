"""Metrics of a finished model, on the host, exact in float64. Knows no jax.

Written out in NumPy rather than called from scikit-learn, whose import takes a second at the end of
every run; the tests hold every number equal to scikit-learn's.

A metric that is 0/0 is None, never 0, and `undefined_reasons` says why. Where a mean over classes,
labels or rows leaves some out for that reason, it says that too.

Of every task
    accuracy            rows decided rightly; multi-label: pairs of row and label
    balanced_accuracy   mean over classes of the share found (recall); multi-label: mean over labels
                        of the same for their two classes
    log_loss            mean of -ln p(what is true) over rows; multi-label: over rows and labels.
                        From the logits: one mistake of logit 60 costs 60. Where there are none, p
                        is cut off at 2.2e-308, the least normal float64, and nowhere else
    roc_auc             area under the ROC curve; multiclass: each class against the rest, mean over
                        classes; multi-label: mean over labels
    pr_auc              average precision, sum of (rise of recall) x precision; means as roc_auc
    f1                  2 TP / (2 TP + FP + FN) of the positive class; multiclass: macro_f1;
                        multi-label: micro_f1
    mcc                 Matthews correlation; multiclass: Gorodkin's R_K; multi-label: over pairs
    brier               mean squared distance: (p - y)^2; multiclass: summed over classes (0 to 2);
                        multi-label: mean over pairs
    ece                 expected calibration error, 15 bins of equal width, (low, high]: of p of the
                        positive class; multiclass: of p of the decided class against its being
                        right; multi-label: of p over pairs
Multiclass
    macro_f1, weighted_f1 (by rows), roc_auc_ovr (= roc_auc)
    top_2_accuracy, top_3_accuracy, top_5_accuracy
                        rows whose class is among the k most likely; of equals the first comes
                        first, as where one class is decided; undefined where k >= K
Multi-label
    micro_f1 (over pairs), macro_f1 (mean over labels), samples_f1 (mean over rows),
    hamming_loss (1 - accuracy), subset_accuracy (rows with every label right)
    micro_pr_auc        average precision over all pairs; pr_auc is its mean over labels
    lrap                label-ranking average precision: over a row's labels, the share of the
                        labels ranked as high or higher that are its own; mean over rows
    coverage_error      how far down the ranking a row's last label stands; mean over rows
    precision_at_1, _3, _5
                        share of the k most likely labels that are the row's; a row without labels
                        has 0; undefined where k > K
    ndcg_at_1, _3, _5   sum over them of 1 / log2(rank + 1), divided by the most it could be; mean
                        over rows that have a label; undefined where k > K
    label_coverage      labels that are predicted for at least one row, of those with positive rows
    Labels with equal p: lrap and coverage_error count them all as ranked above, precision_at_k and
    ndcg_at_k take the mean over their orders.

p is exactly 0 or 1 in float64 beyond a logit of 37, so log_loss and every ranking (roc_auc, pr_auc,
top_k_accuracy, lrap, coverage_error, precision_at_k, ndcg_at_k) are taken from calibrated logits
where these are given; of several classes rows are ranked for a class by ln p - ln(1 - p).
Decisions, brier and ece are taken from p.

f1, pr_auc, roc_auc of a class or label without positive rows are undefined. scikit-learn lets rows
without labels count 1 in lrap and 0 in coverage_error and ndcg_at_k; here they are left out.
"""

from collections.abc import Sequence
from typing import Any

from jaxnet.training.metrics import binary, multiclass, multilabel
from jaxnet.training.metrics.check import checked, checked_logits
from jaxnet.training.metrics.decisions import Thresholds, decide
from jaxnet.training.metrics.facts import Facts, gather
from jaxnet.training.metrics.scores import Score

__all__ = ["KEYS", "Score", "decide", "final_metrics", "measure", "score", "undefined_reasons"]

_SCORES = {
    "binary": binary.scores,
    "multiclass": multiclass.scores,
    "multilabel": multilabel.scores,
}
KEYS: dict[str, tuple[str, ...]] = {
    "binary": binary.KEYS,
    "multiclass": multiclass.KEYS,
    "multilabel": multilabel.KEYS,
}


def final_metrics(
    task: str,
    probabilities: Any,
    targets: Any,
    *,
    logits: Any = None,
    thresholds: Thresholds = None,
) -> dict[str, float | None]:
    """Every metric of the task (`KEYS`), None where undefined.

    probabilities: binary (n,) of the positive class; multiclass (n, K); multi-label (n, K).
    logits: of the same shape, whose sigmoid or softmax the probabilities are (calibrated ones: over
    the temperature); None where probabilities are all there is.
    targets: binary (n,) of 0 and 1; multiclass (n,) codes below K; multi-label (n, K) of 0 and 1.
    thresholds: as of `decide`, which makes the decisions.
    Raises DataError for shapes that disagree, targets out of range, and probabilities that are not
    finite, not in [0, 1] or, multiclass, do not add up to 1, and for logits that are not finite.

    >>> found = final_metrics("binary", [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> found["roc_auc"], found["accuracy"], round(found["log_loss"], 4)
    (0.75, 0.75, 0.4723)
    """
    found = measure(task, probabilities, targets, logits=logits, thresholds=thresholds)
    return {key: one.value for key, one in found.items()}


def undefined_reasons(
    task: str,
    probabilities: Any,
    targets: Any,
    *,
    thresholds: Thresholds = None,
    names: Sequence[str] | None = None,
) -> dict[str, str]:
    """Why a metric is None, or which classes or labels its mean leaves out; only those metrics.

    >>> undefined_reasons("binary", [0.1, 0.4], [0, 0])["pr_auc"]
    'no positive rows'
    """
    found = measure(task, probabilities, targets, thresholds=thresholds, names=names)
    return {key: one.remark for key, one in found.items() if one.remark}


def measure(
    task: str,
    probabilities: Any,
    targets: Any,
    *,
    logits: Any = None,
    thresholds: Thresholds = None,
    names: Sequence[str] | None = None,
) -> dict[str, Score]:
    """Every metric of the task with its remark; `names` of classes or labels serve the remarks.

    >>> measure("binary", [0.1, 0.4], [0, 0])["roc_auc"]
    Score(value=None, remark='needs rows of both classes')
    """
    p, y = checked(task, probabilities, targets)
    z = None if logits is None else checked_logits(task, logits, p)
    return score(gather(task, p, y, thresholds, z), names)


def score(facts: Facts, names: Sequence[str] | None = None) -> dict[str, Score]:
    """`measure` of what is gathered already."""
    if len(facts.p) == 0:
        return {key: Score(None, "no rows") for key in KEYS[facts.task]}
    number = 2 if facts.p.ndim == 1 else facts.p.shape[1]
    shown = [str(i) for i in range(number)] if names is None else [str(name) for name in names]
    found = _SCORES[facts.task](facts, shown)
    return {key: found[key] for key in KEYS[facts.task]}
