"""JaxnetClassifier is an estimator by scikit-learn's own checks, and its page is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

import jaxnet
from jaxnet import JaxnetClassifier

PAGE = Path(__file__).parents[1] / "docs" / "scikit-learn.md"

_FLOAT32 = "mini-batches of float32 cannot meet 1e-7: other rows make other batches"
EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": _FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": _FLOAT32,
}


# They train what others train too, on arrays of another kind or with other weights.
LONG = (
    *("check_class_weight_classifiers", "check_classifier_data_not_an_array"),
    *("check_classifier_multioutput", "check_classifiers_classes"),
    *("check_classifiers_multilabel_representation_invariance", "check_decision_proba_consistency"),
    *("check_classifiers_train readonly_memmap", "check_dont_overwrite_parameters"),
    *("check_dtype_object", "check_estimators_dtypes", "check_estimators_fit_returns_self"),
    *("check_estimators_overwrite_params", "check_f_contiguous_array_estimator"),
    *("check_fit2d_1feature", "check_pipeline_consistency", "check_positive_only_tag_during_fit"),
    "check_sample_weight",
)


def checks():
    """(estimator, check) of scikit-learn; the long ones belong to the thorough run."""
    found = estimator_checks_generator(
        JaxnetClassifier(), expected_failed_checks=EXPECTED_TO_FAIL, mark="xfail"
    )
    for one in found:
        values = getattr(one, "values", one)
        marks = [*getattr(one, "marks", ())]
        keywords = [f"{key}={value}" for key, value in values[1].keywords.items()]
        name = " ".join([values[1].func.__name__, *keywords])
        if name.startswith(LONG):
            marks.append(pytest.mark.thorough)
        yield pytest.param(*values, marks=marks, id=name)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_check(estimator, check):
    check(estimator)


def test_the_package_offers_it():
    assert jaxnet.JaxnetClassifier is JaxnetClassifier


@pytest.mark.thorough
@pytest.mark.optimised  # many steps: compiling costs less than running slowly
def test_the_programs_of_the_page_run(tmp_path, environment):
    """All blocks of the page, one after another; what a comment says is printed is."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    program = "\n".join(blocks)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert done.stdout.splitlines() == printed
