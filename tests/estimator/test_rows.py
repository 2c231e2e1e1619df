"""Rows of any kind go straight in, and which of them are held out."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from jaxnet.errors import DataWarning
from tests.estimator.small import N, numbers, small, table


def test_every_kind_of_data_frame_gives_the_same_result():
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


def test_missing_cells_of_an_array_are_learned_from():
    x, y = numbers()
    x[y == 1, 0] = np.nan
    model = small(epochs=100, learning_rate=0.05).fit(x, y)
    assert model.score(x, y) > 0.95


def test_columns_stand_in_the_order_of_training():
    frame, y = table()
    with pytest.raises(ValueError, match="same order"):
        small().fit(frame, y).predict(frame[["job", "age", "children"]])


def test_a_category_that_training_did_not_see_is_said():
    frame, y = table()
    model = small().fit(frame, y)
    with pytest.warns(DataWarning, match="column 'job': 80 of 80 cells"):
        model.predict(frame.assign(job="pilot"))


def test_a_number_may_be_meant_as_a_category():
    frame, y = table()
    plain = small().fit(frame, y)
    named = small(columns={"children": "categorical"}).fit(frame, y)
    assert named.predict_proba(frame).shape == (N, 2)
    assert not np.array_equal(named.predict_proba(frame), plain.predict_proba(frame))


def test_text_in_an_array_asks_for_a_data_frame():
    frame, y = table()
    with pytest.raises(ValueError, match=r"pandas\.DataFrame\(X\)"):
        small().fit(frame.to_numpy(), y)


def test_a_sparse_matrix_is_refused_with_what_to_type():
    x, y = numbers()
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        small().fit(csr_matrix(x), y)


def test_a_data_frame_without_rows_is_refused():
    frame, y = table()
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        small().fit(frame.iloc[:0], y[:0])


def test_training_stops_and_keeps_the_best_epoch():
    x, y = numbers()
    y = np.random.default_rng(3).permutation(y)  # nothing to learn
    model = small(epochs=60, patience=3, learning_rate=0.05).fit(x, y)
    assert model.n_iter_ == model.best_epoch_ + 3 < 60
    losses = [record["validation_log_loss"] for record in model.history_]
    assert int(np.argmin(losses)) == model.best_epoch_ - 1
    assert model.loss_curve_ == [record["train_loss"] for record in model.history_]


def test_without_stopping_every_epoch_runs():
    model = small(early_stopping=False, patience=1).fit(*numbers())
    assert model.n_iter_ == model.best_epoch_ == 4
    assert len(model.validation_indices_) == 12  # the temperature and thresholds use them


def test_no_rows_are_held_out_where_none_are_wanted():
    model = small(early_stopping=False, validation_fraction=0).fit(*numbers())
    assert len(model.validation_indices_) == 0
    assert model.temperature_ == 1
    assert "validation_log_loss" not in model.history_[0]


def test_the_part_held_out_has_the_classes_in_proportion():
    x, y = numbers()
    y[:] = 0
    y[:20] = 1
    held = small(validation_fraction=0.2).fit(x, y).validation_indices_
    assert len(held) == 16
    assert y[held].sum() == 4


def test_the_only_row_of_a_class_is_trained_on():
    x, y = numbers()
    y[5] = 2
    model = small().fit(x, y)
    assert 5 not in model.validation_indices_
    assert len(model.validation_indices_) > 0


def test_with_a_row_of_each_class_all_are_trained_on():
    x, _ = numbers(3)
    model = small().fit(x, ["a", "b", "c"])
    assert len(model.validation_indices_) == 0
    assert model.n_iter_ == 4
