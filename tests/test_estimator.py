"""JaxnetClassifier is an estimator by scikit-learn's own checks, and its page is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import jaxnet
from jaxnet import JaxnetClassifier

PAGE = Path(__file__).parents[1] / "docs" / "scikit-learn.md"

_FLOAT32 = "mini-batches of float32 cannot meet 1e-7: other rows make other batches"
EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": _FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": _FLOAT32,
}


@pytest.mark.both
@parametrize_with_checks(
    [JaxnetClassifier()], expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL
)
def test_scikit_learns_check(estimator, check):
    check(estimator)


def test_the_package_offers_it():
    assert jaxnet.JaxnetClassifier is JaxnetClassifier


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
