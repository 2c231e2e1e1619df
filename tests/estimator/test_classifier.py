"""It repeats itself, pickles, clones and works inside scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimator.small import N, indicators, numbers, small, table


def test_an_equal_random_state_is_an_equal_model():
    x, y = numbers()
    first, second = small().fit(x, y), small().fit(x, y)
    assert np.array_equal(first.predict_proba(x), second.predict_proba(x))
    assert first.history_ == second.history_


def test_another_random_state_is_another_model():
    x, y = numbers()
    # Not of seed 0: another test may have given that to NumPy's own, from which None draws.
    generator = np.random.RandomState(20_261)
    states = (0, 1, None, generator, generator)  # a generator goes on from fit to fit
    found = [small(random_state=state).fit(x, y).predict_proba(x) for state in states]
    assert len({p.tobytes() for p in found}) == len(states)


def test_a_pickle_predicts_alike():
    frame, y = table()
    model = small().fit(frame, y)
    read = pickle.loads(pickle.dumps(model))
    assert np.array_equal(read.predict_proba(frame), model.predict_proba(frame))
    assert b"jaxlib" not in pickle.dumps(model)  # arrays of NumPy, that any machine reads


def test_a_clone_has_the_parameters_and_no_model():
    model = clone(small(class_weight={"yes": 2.0}).fit(*table()))
    assert model.class_weight == {"yes": 2.0}
    with pytest.raises(NotFittedError):
        model.predict(table()[0])


def test_nothing_is_written_or_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    small().fit(*numbers())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_where_it_is_wanted(capfd):
    small(verbose=True).fit(*numbers())
    assert "epoch 4/4" in capfd.readouterr().err


def test_a_pipeline_with_columns():
    frame, y = table()
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), ["age", "children"])], remainder="passthrough"
    ).set_output(transform="pandas")
    model = make_pipeline(columns, small()).fit(frame, y)
    assert model.predict_proba(frame).shape == (N, 2)


@pytest.mark.thorough
def test_a_grid_search():
    x, y = numbers()
    grid = {"learning_rate": [1e-6, 1e-2], "dropout": [0.0, 0.1]}
    search = GridSearchCV(small(epochs=20), grid, cv=2, scoring="neg_log_loss").fit(x, y)
    assert search.best_params_["learning_rate"] == 1e-2
    assert search.best_estimator_.score(x, y) > 0.8


def test_cross_validation():
    x, y = numbers()
    found = cross_val_score(small(epochs=20, learning_rate=0.01), x, y, cv=2, scoring="roc_auc")
    assert min(found) > 0.8


@pytest.mark.thorough
def test_scores_of_several_labels():
    x, y = indicators()
    found = cross_val_score(small(epochs=20, learning_rate=0.01), x, y, cv=2, scoring="roc_auc")
    assert min(found) > 0.7


def test_a_calibration_of_its_own():
    x, y = numbers()
    model = CalibratedClassifierCV(small(epochs=20, learning_rate=0.01), cv=2).fit(x, y)
    assert model.score(x, y) > 0.8


def test_one_against_the_rest():
    x, y = indicators()
    model = OneVsRestClassifier(small(epochs=20, learning_rate=0.01)).fit(x, y.argmax(axis=1))
    assert model.predict(x).shape == (N,)
