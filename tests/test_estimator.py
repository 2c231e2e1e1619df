"""JaxnetClassifier is an estimator by scikit-learn's own checks, and says what it does."""

import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import jaxnet
from jaxnet import JaxnetClassifier
from jaxnet.config import load_config
from jaxnet.errors import DataWarning
from jaxnet.estimator.parameters import KEYS

PAGE = Path(__file__).parents[1] / "docs" / "scikit-learn.md"

_FLOAT32 = "mini-batches of float32 cannot meet 1e-7: other rows make other batches"
EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": _FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": _FLOAT32,
}


@pytest.fixture(autouse=True, scope="module")
def _compile_quickly() -> Iterator[None]:
    """Two dozen shapes are compiled for problems of some rows: the best code is not worth it."""
    import jax

    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@parametrize_with_checks(
    [JaxnetClassifier()], expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL
)
def test_scikit_learns_check(estimator, check):
    check(estimator)


# One table for all that follows, so that its programs are compiled once.
N = 80


def small(**parameters):
    return JaxnetClassifier(**{"hidden": (8,), "epochs": 4, "random_state": 0, **parameters})


def table(rows=N):
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, rows)
    job = rng.choice(["cook", "clerk", "nurse"], rows)
    frame = pd.DataFrame({"age": age, "job": job, "children": rng.integers(0, 4, rows)})
    frame.loc[::7, "age"] = np.nan
    frame.loc[::9, "job"] = None
    return frame, np.where((age > 40) ^ (job == "cook"), "yes", "no")


def numbers(rows=N):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3))
    return x, (x[:, 0] + 0.3 * rng.normal(size=rows) > 0).astype(int)


def indicators(rows=N):
    x, y = numbers(rows)
    return x, np.stack([y, 1 - y, x[:, 1] > 0], axis=1).astype(int)


class TestParameters:
    def test_every_parameter_is_a_key_of_the_config_with_its_default(self):
        config = load_config({"task": "binary", "data": {"source": "breast_cancer"}})
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(JaxnetClassifier).parameters.items()
        }
        assert set(defaults) - set(KEYS) == {
            "early_stopping", "overrides", "random_state", "verbose"
        }  # fmt: skip
        assert defaults["early_stopping"] is (config.training.early_stopping is not None)
        for name, key in KEYS.items():
            value = config.model_dump()
            for part in key.split("."):
                value = value[part]
            # An empty mapping would be shared by all classifiers.
            assert defaults[name] == (value or None if isinstance(value, dict) else value), name

    def test_the_docstring_names_the_key_of_every_parameter(self):
        text = inspect.getdoc(JaxnetClassifier)
        for name, key in KEYS.items():
            assert re.search(rf"^{name} : .*\n(    .*\n)*?.*\[{key}\]", text, re.MULTILINE), name

    @pytest.mark.parametrize(
        ("parameters", "said"),
        [
            ({"learning_rate": -1}, "JaxnetClassifier: learning_rate: must be greater than 0"),
            ({"activation": "rellu"}, "did you mean 'relu'?"),
            ({"hidden": (4, 0)}, r"hidden\[1\]: must be at least 1"),
            ({"dropout": "much"}, "dropout: expected a number"),
            ({"patience": 0}, "patience: must be at least 1"),
            ({"random_state": -1}, "random_state: must be at least 0"),
            ({"threshold": 1.5}, "threshold: expected a number between 0 and 1"),
            ({"validation_fraction": 0}, "early_stopping=False"),
            ({"class_weight": {"yess": 2}}, "class_weight: y has no class or label 'yess'"),
            ({"overrides": {"optimizer.b9": 1}}, "optimizer.b9: unknown key"),
            ({"overrides": {"optimizer.learning_rate": 1}}, "is the parameter learning_rate"),
            ({"overrides": {"data.train": "x.csv"}}, "of the sections model, loss"),
            ({"columns": {"jobb": "id"}}, "'jobb'"),
        ],
    )
    def test_a_mistake_is_a_value_error_by_the_parameters_name(self, parameters, said):
        x, y = table()
        with pytest.raises(ValueError, match=said):
            small(**parameters).fit(x, y)

    def test_all_mistakes_are_said_at_once(self):
        with pytest.raises(ValueError, match=r"(?s)activation:.*learning_rate:"):
            small(activation="rellu", learning_rate=0).fit(*numbers())

    def test_numbers_of_numpy_and_lists_are_parameters_too(self):
        given = {"hidden": np.array([8]), "epochs": np.int64(4), "learning_rate": np.float64(1e-3)}
        x, y = numbers()
        assert np.array_equal(
            small(**given).fit(x, y).predict_proba(x), small(hidden=8).fit(x, y).predict_proba(x)
        )

    def test_other_keys_of_the_config_are_overrides(self):
        x, y = numbers()
        plain = small().fit(x, y).predict_proba(x)
        changed = small(overrides={"loss.activation": None, "optimizer.b1": 0.5}).fit(x, y)
        assert not np.array_equal(changed.predict_proba(x), plain)


class TestRows:
    def test_every_kind_of_data_frame_gives_the_same_result(self):
        frame, y = table()
        found = [
            (model.predict_proba(x), list(model.feature_names_in_), model.n_features_in_)
            for x in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame))
            for model in [small().fit(x, y)]
        ]
        for p, names, number in found:
            assert np.array_equal(p, found[0][0])
            assert names == ["age", "job", "children"]
            assert number == 3

    def test_missing_cells_of_an_array_are_learned_from(self):
        x, y = numbers()
        x[y == 1, 0] = np.nan
        model = small(epochs=100, learning_rate=0.05).fit(x, y)
        assert model.score(x, y) == 1

    def test_columns_stand_in_the_order_of_training(self):
        frame, y = table()
        with pytest.raises(ValueError, match="same order"):
            small().fit(frame, y).predict(frame[["job", "age", "children"]])

    def test_a_category_that_training_did_not_see_is_said(self):
        frame, y = table()
        model = small().fit(frame, y)
        with pytest.warns(DataWarning, match="column 'job': 80 of 80 cells"):
            model.predict(frame.assign(job="pilot"))

    def test_a_number_may_be_meant_as_a_category(self):
        frame, y = table()
        plain = small().fit(frame, y)
        named = small(columns={"children": "categorical"}).fit(frame, y)
        assert named.predict_proba(frame).shape == (N, 2)
        assert not np.array_equal(named.predict_proba(frame), plain.predict_proba(frame))

    def test_text_in_an_array_asks_for_a_data_frame(self):
        frame, y = table()
        with pytest.raises(ValueError, match=r"pandas\.DataFrame\(X\)"):
            small().fit(frame.to_numpy(), y)

    def test_a_sparse_matrix_is_refused_with_what_to_type(self):
        x, y = numbers()
        with pytest.raises(TypeError, match=r"toarray\(\)"):
            small().fit(csr_matrix(x), y)

    def test_a_data_frame_without_rows_is_refused(self):
        frame, y = table()
        with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
            small().fit(frame.iloc[:0], y[:0])


class TestLabels:
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
    def test_labels_that_cannot_be_learned(self, y, said):
        with pytest.raises(ValueError, match=said):
            small().fit(numbers()[0], y)

    @pytest.mark.parametrize(
        "labels",
        [["no", "yes"], [False, True], [-1, 1], [1.0, 7.0], np.array(["a", "b"], object)],
        ids=str,
    )
    def test_classes_are_what_they_were(self, labels):
        x, y = numbers()
        given = np.asarray(labels)[y]
        model = small().fit(x, given)
        assert model.classes_.tolist() == list(labels)
        assert model.predict(x).dtype == given.dtype
        assert model.n_outputs_ == 1

    def test_several_classes_are_one_column_each(self):
        x, y = numbers()
        model = small().fit(x, np.where(x[:, 1] > 1, "c", np.where(y, "b", "a")))
        p = model.predict_proba(x)
        assert p.shape == (N, 3) == model.decision_function(x).shape
        assert np.allclose(p.sum(axis=1), 1)
        assert np.array_equal(model.predict(x), model.classes_[p.argmax(axis=1)])
        assert model.n_outputs_ == 3
        assert model.thresholds_ is None

    def test_several_labels_are_one_column_each(self):
        x, y = indicators()
        model = small(epochs=40, learning_rate=0.01).fit(x, y)
        assert model.predict_proba(x).shape == model.decision_function(x).shape == (N, 3)
        assert model.predict(x).dtype == y.dtype
        assert model.classes_.tolist() == [0, 1, 2]
        assert model.score(x, y) > 0.7  # rows with all labels right

    def test_indicators_come_in_many_kinds(self):
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


class TestDecisions:
    @pytest.mark.parametrize("threshold", [0.2, 0.8])
    def test_predict_follows_the_threshold(self, threshold):
        x, y = numbers()
        model = small(threshold=threshold, epochs=20, learning_rate=0.05).fit(x, y)
        expected = model.predict_proba(x)[:, 1] >= threshold
        assert 0 < expected.sum() < N
        assert np.array_equal(model.predict(x), expected.astype(int))
        assert np.array_equal(model.decision_function(x) >= 0, expected)
        assert model.thresholds_.tolist() == [threshold]

    def test_labels_have_a_threshold_each_from_fifty_rows_on(self):
        x, y = indicators(400)
        y[:, 2] = (x[:, 1] > 1.2) | (np.arange(400) % 10 == 0)  # rare and hard: low thresholds
        model = small(epochs=2).fit(x, y)
        assert len(model.validation_indices_) >= 50
        assert model.thresholds_[2] < 0.4
        p = model.predict_proba(x)
        assert np.array_equal(model.predict(x), (p >= model.thresholds_).astype(int))
        assert small().fit(*indicators()).thresholds_.tolist() == [0.5] * 3

    def test_a_temperature_is_fitted_unless_unwanted(self):
        x, y = numbers(400)
        y ^= np.random.default_rng(2).random(400) < 0.2
        warm = small(epochs=2).fit(x, y)
        plain = small(epochs=2, calibration="none").fit(x, y)
        assert warm.temperature_ != 1 == plain.temperature_
        assert np.allclose(
            warm.decision_function(x) * warm.temperature_, plain.decision_function(x)
        )

    def test_outputs_that_are_no_logits_decide_alike(self):
        x, y = numbers()
        given = {"loss": "squared_error", "overrides": {"loss.activation": "tanh"}}
        model = small(**given).fit(x, y)
        assert np.array_equal(model.decision_function(x) >= 0, model.predict(x) == 1)


class TestWeights:
    def test_a_class_that_weighs_more_is_likelier(self):
        x, y = numbers()
        plain = small().fit(x, y).predict_proba(x)[:, 1].mean()
        weighed = small(class_weight={1: 9.0}).fit(x, y).predict_proba(x)[:, 1].mean()
        assert weighed > plain + 0.1

    def test_balanced_classes_are_alike(self):
        x, y = numbers()
        y[:60] = 0
        p = small(class_weight="balanced", epochs=1).fit(x, y).predict_proba(x)[:, 1]
        assert (
            abs(p.mean() - 0.5)
            < 0.1
            < 0.5 - small(epochs=1).fit(x, y).predict_proba(x)[:, 1].mean()
        )

    def test_a_label_that_weighs_more_is_likelier(self):
        x, y = indicators()
        plain = small().fit(x, y).predict_proba(x).mean(axis=0)
        weighed = small(pos_weight={2: 9.0}).fit(x, y).predict_proba(x).mean(axis=0)
        assert weighed[2] > plain[2] + 0.1

    def test_only_the_ratios_of_sample_weights_count(self):
        x, y = numbers()
        one = small().fit(x, y, sample_weight=np.full(N, 1.0)).predict_proba(x)
        four = small().fit(x, y, sample_weight=np.full(N, 4.0)).predict_proba(x)
        assert np.allclose(one, four, atol=1e-6)
        assert np.allclose(one, small().fit(x, y).predict_proba(x), atol=1e-6)

    def test_a_row_of_weight_0_is_neither_learned_from_nor_held_out(self):
        x, y = numbers()
        weights = np.ones(N)
        weights[::4] = 0
        flipped = np.where(weights == 0, 1 - y, y)
        model = small().fit(x, y, sample_weight=weights)
        assert not (model.validation_indices_ % 4 == 0).any()
        assert len(model.validation_indices_) == 9  # of the 60 rows that weigh anything
        other = small().fit(x, flipped, sample_weight=weights)
        assert np.array_equal(model.validation_indices_, other.validation_indices_)
        assert np.allclose(model.predict_proba(x), other.predict_proba(x), atol=1e-6)

    @pytest.mark.parametrize(
        ("weights", "said"),
        [
            (np.zeros(N), "all.*zero|at least one non-zero"),
            (-np.ones(N), "Negative"),
            (np.ones(3), "sample_weight.shape"),
            (np.arange(N) % 2, None),
        ],
        ids=["all 0", "negative", "another length", "fine"],
    )
    def test_weights_that_are_none(self, weights, said):
        x, y = numbers()
        if said is None:
            small().fit(x, y, sample_weight=weights)
            return
        with pytest.raises(ValueError, match=said):
            small().fit(x, y, sample_weight=weights)

    def test_one_class_with_a_weight_is_one_class(self):
        x, y = numbers()
        with pytest.raises(ValueError, match="only one class in rows of a weight above 0, 1"):
            small().fit(x, y, sample_weight=y)


class TestStopping:
    def test_training_stops_and_keeps_the_best_epoch(self):
        x, y = numbers()
        y = np.random.default_rng(3).permutation(y)  # nothing to learn
        model = small(epochs=60, patience=3, learning_rate=0.05).fit(x, y)
        assert model.n_iter_ == model.best_epoch_ + 3 < 60
        losses = [record["validation_log_loss"] for record in model.history_]
        assert int(np.argmin(losses)) == model.best_epoch_ - 1
        assert model.loss_curve_ == [record["train_loss"] for record in model.history_]

    def test_without_stopping_every_epoch_runs(self):
        model = small(early_stopping=False, patience=1).fit(*numbers())
        assert model.n_iter_ == model.best_epoch_ == 4
        assert len(model.validation_indices_) == 12  # the temperature and thresholds use them

    def test_no_rows_are_held_out_where_none_are_wanted(self):
        model = small(early_stopping=False, validation_fraction=0).fit(*numbers())
        assert len(model.validation_indices_) == 0
        assert model.temperature_ == 1
        assert "validation_log_loss" not in model.history_[0]

    def test_the_part_held_out_has_the_classes_in_proportion(self):
        x, y = numbers()
        y[:] = 0
        y[:20] = 1
        held = small(validation_fraction=0.2).fit(x, y).validation_indices_
        assert len(held) == 16
        assert y[held].sum() == 4

    def test_the_only_row_of_a_class_is_trained_on(self):
        x, y = numbers()
        y[5] = 2
        model = small().fit(x, y)
        assert 5 not in model.validation_indices_
        assert len(model.validation_indices_) > 0

    def test_with_a_row_of_each_class_all_are_trained_on(self):
        x, _ = numbers(3)
        model = small().fit(x, ["a", "b", "c"])
        assert len(model.validation_indices_) == 0
        assert model.n_iter_ == 4


class TestRepeating:
    def test_an_equal_random_state_is_an_equal_model(self):
        x, y = numbers()
        first, second = small().fit(x, y), small().fit(x, y)
        assert np.array_equal(first.predict_proba(x), second.predict_proba(x))
        assert first.history_ == second.history_

    def test_another_random_state_is_another_model(self):
        x, y = numbers()
        generator = np.random.RandomState(0)
        states = (0, 1, None, generator, generator)  # a generator goes on from fit to fit
        found = [small(random_state=state).fit(x, y).predict_proba(x) for state in states]
        assert len({p.tobytes() for p in found}) == len(states)

    def test_a_pickle_predicts_alike(self):
        frame, y = table()
        model = small().fit(frame, y)
        read = pickle.loads(pickle.dumps(model))
        assert np.array_equal(read.predict_proba(frame), model.predict_proba(frame))
        assert b"jaxlib" not in pickle.dumps(model)  # arrays of NumPy, that any machine reads

    def test_a_clone_has_the_parameters_and_no_model(self):
        model = clone(small(class_weight={"yes": 2.0}).fit(*table()))
        assert model.class_weight == {"yes": 2.0}
        with pytest.raises(NotFittedError):
            model.predict(table()[0])

    def test_nothing_is_written_or_printed(self, tmp_path, monkeypatch, capfd):
        monkeypatch.chdir(tmp_path)
        small().fit(*numbers())
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr() == ("", "")

    def test_progress_is_shown_where_it_is_wanted(self, capfd):
        small(verbose=True).fit(*numbers())
        assert "epoch 4/4" in capfd.readouterr().err


class TestCompany:
    def test_a_pipeline_with_columns(self):
        frame, y = table()
        columns = ColumnTransformer(
            [("scaled", StandardScaler(), ["age", "children"])], remainder="passthrough"
        ).set_output(transform="pandas")
        model = make_pipeline(columns, small()).fit(frame, y)
        assert model.predict_proba(frame).shape == (N, 2)

    def test_a_grid_search(self):
        x, y = numbers()
        grid = {"learning_rate": [1e-6, 1e-2], "dropout": [0.0, 0.1]}
        search = GridSearchCV(small(epochs=20), grid, cv=2, scoring="neg_log_loss").fit(x, y)
        assert search.best_params_["learning_rate"] == 1e-2
        assert search.best_estimator_.score(x, y) > 0.8

    def test_cross_validation(self):
        x, y = numbers()
        found = cross_val_score(small(epochs=20, learning_rate=0.01), x, y, cv=2, scoring="roc_auc")
        assert min(found) > 0.8

    def test_scores_of_several_labels(self):
        x, y = indicators()
        found = cross_val_score(small(epochs=20, learning_rate=0.01), x, y, cv=2, scoring="roc_auc")
        assert min(found) > 0.7

    def test_a_calibration_of_its_own(self):
        x, y = numbers()
        model = CalibratedClassifierCV(small(epochs=20, learning_rate=0.01), cv=2).fit(x, y)
        assert model.score(x, y) > 0.8

    def test_one_against_the_rest(self):
        x, y = indicators()
        model = OneVsRestClassifier(small(epochs=20, learning_rate=0.01)).fit(x, y.argmax(axis=1))
        assert model.predict(x).shape == (N,)


def test_the_package_offers_it():
    assert jaxnet.JaxnetClassifier is JaxnetClassifier


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
