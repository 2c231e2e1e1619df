"""Labels say the task, and classes stay what they were."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from jaxnet.estimator import labels
from tests.estimator.small import N, indicators, numbers, small

pytestmark = pytest.mark.sampled(2)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([{"a", "b"}, {"a"}] * 40, "MultiLabelBinarizer"),
        ([("a", "b"), ("a",)] * 40, "MultiLabelBinarizer"),
        ([["a", "b"], ["a", "c"]] * 40, "MultiLabelBinarizer"),
        (["a", None] * 40, "rows 1, 3, .*no label"),
        (["a", 1] * 40, "mixes kinds"),
        (np.linspace(0.1, 1, N), "continuous"),
        (np.ones(N, int), "only one class, 1: .*at least 2 classes"),
        (np.ones((N, 2), int), "same labels in every row"),
        (None, "requires y to be passed, but the target y is None"),
        ([0, 1], "inconsistent numbers of samples"),
    ],
    ids=range(10),
)
def test_labels_that_cannot_be_learned(y, said):
    with pytest.raises(ValueError, match=said):
        small().fit(numbers()[0], y)


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [False, True], [-1, 1], [1.0, 7.0], np.array(["a", "b"], object)],
    ids=str,
)
def test_classes_are_what_they_were(labels):
    x, y = numbers()
    given = np.asarray(labels)[y]
    model = small().fit(x, given)
    assert model.classes_.tolist() == list(labels)
    assert model.predict(x).dtype == given.dtype
    assert model.n_outputs_ == 1


def test_several_classes_are_one_column_each():
    x, y = numbers()
    model = small().fit(x, np.where(x[:, 1] > 1, "c", np.where(y, "b", "a")))
    p = model.predict_proba(x)
    assert p.shape == (N, 3) == model.decision_function(x).shape
    assert np.allclose(p.sum(axis=1), 1)
    assert np.array_equal(model.predict(x), model.classes_[p.argmax(axis=1)])
    assert model.n_outputs_ == 3
    assert model.thresholds_ is None


def test_several_labels_are_one_column_each():
    x, y = indicators()
    model = small(epochs=40, learning_rate=0.01).fit(x, y)
    assert model.predict_proba(x).shape == model.decision_function(x).shape == (N, 3)
    assert model.predict(x).dtype == y.dtype
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.score(x, y) > 0.7  # rows with all labels right


def test_indicators_come_in_many_kinds():
    x, y = indicators()
    sets = [{name for name, yes in zip("abc", row, strict=True) if yes} for row in y]
    kinds = [
        y.tolist(),
        pd.DataFrame(y, columns=["a", "b", "c"]),
        MultiLabelBinarizer(sparse_output=True).fit_transform(sets),
    ]
    expected = small().fit(x, y).predict_proba(x)
    for kind in kinds:
        assert np.array_equal(small().fit(x, kind).predict_proba(x), expected)


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "boolean", "int64[pyarrow]"])
def test_classes_of_pandas_own_types_stay_what_they_are(dtype):
    y = np.arange(8) % 2
    found = labels.read(pd.Series(y, dtype=dtype))
    assert found.classes.dtype.kind in "iub"
    assert found.codes.tolist() == y.tolist()
