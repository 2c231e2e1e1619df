"""Names of tasks, parts and metrics in plain words, and what a metric says."""

import re
from typing import NamedTuple

TASKS = {
    "binary": "binary classification",
    "multiclass": "multiclass classification",
    "multilabel": "multi-label classification",
}
PARTS = {"train": "training", "validation": "validation", "test": "test"}


class Metric(NamedTuple):
    """A metric's name, what it says in one line, and whether more of it is better."""

    title: str
    meaning: str
    rises: bool = True


METRICS = {
    "accuracy": Metric("Accuracy", "share of decisions that are right"),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "share found of each class, averaged over classes: rare ones count too"
    ),
    "log_loss": Metric(
        "Log loss", "how surprised the probabilities are by what is true: 0 is perfect", False
    ),
    "roc_auc": Metric(
        "ROC-AUC", "chance that a positive row is ranked above a negative one: 0.5 is guessing"
    ),
    "pr_auc": Metric("PR-AUC", "precision averaged over recall (average precision)"),
    "f1": Metric("F1", "harmonic mean of precision and recall"),
    "mcc": Metric("MCC", "correlation of decision and truth: 0 is guessing, 1 perfect"),
    "brier": Metric("Brier score", "mean squared distance of probability and truth", False),
    "ece": Metric(
        "ECE", "gap of stated probability and observed share, averaged (calibration error)", False
    ),
    "macro_f1": Metric("Macro F1", "F1 of each class or label, averaged"),
    "weighted_f1": Metric("Weighted F1", "F1 of each class, averaged by its rows"),
    "micro_f1": Metric("Micro F1", "F1 over all pairs of row and label"),
    "samples_f1": Metric("Samples F1", "F1 of each row's labels, averaged over rows"),
    "hamming_loss": Metric(
        "Hamming loss", "share of pairs of row and label decided wrongly", False
    ),
    "subset_accuracy": Metric("Subset accuracy", "share of rows with every label right"),
    "roc_auc_ovr": Metric("ROC-AUC, one against rest", "ROC-AUC of each class, averaged"),
    "micro_pr_auc": Metric(
        "PR-AUC over pairs", "average precision over all pairs of row and label"
    ),
    "lrap": Metric("LRAP", "share of a row's own labels among those ranked as high, averaged"),
    "coverage_error": Metric(
        "Coverage error", "how far down the ranking a row's last label stands, on average", False
    ),
    "label_coverage": Metric(
        "Coverage of labels", "share of the labels in the data that are predicted at least once"
    ),
}
# The same number under the name that is common for the task.
ALIASES = {"multiclass": {"f1", "roc_auc_ovr"}, "multilabel": {"f1"}}
_RANKED = {
    r"top_(\d+)_accuracy": (
        "Top-{} accuracy",
        "share of rows whose class is among the {} likeliest",
    ),
    r"precision_at_(\d+)": (
        "Precision at {}",
        "of a row's {} likeliest labels, the share that are true",
    ),
    r"ndcg_at_(\d+)": (
        "nDCG at {}",
        "how near the order of the {} likeliest labels comes to the best: 1",
    ),
    r"psp_at_(\d+)": (
        "PSP at {}",
        "precision at {} where a label counts more the fewer training rows have it (propensity "
        "scored), divided by the most it could be",
    ),
}


def metric(key: str) -> Metric:
    """What is known of a metric; an unknown one is called by its key.

    >>> metric("ece").title, metric("top_5_accuracy").title
    ('ECE', 'Top-5 accuracy')
    """
    for pattern, (title, meaning) in _RANKED.items():
        found = re.fullmatch(pattern, key)
        if found:
            return Metric(title.format(found[1]), meaning.format(found[1]))
    return METRICS.get(key) or Metric(key.replace("_", " ").capitalize(), "")


def part(key: str) -> str:
    """The name of a part of the data, for the middle of a sentence."""
    return PARTS.get(key, key)
