"""Rows in memory give the same result however they come."""

from pathlib import Path

import jax
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import jaxnet
from jaxnet.data import builtin
from jaxnet.errors import DataError, DataWarning
from jaxnet.inference import Model
from tests.inference.tables import frame_of, quiet
from tests.run_maker import make_run, write_table


def test_every_kind_of_table_gives_the_same(model: Model, rows: Path) -> None:
    frame = frame_of(rows)
    expected = quiet(model, frame)
    assert expected.shape == (40, 2)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-12)
    tables = [
        polars.from_pandas(frame),
        pa.Table.from_pandas(frame),
        frame[["zip", "income", "key", "job", "height", "age"]],
        frame.drop(columns=["key", "income"]),
        {name: frame[name].tolist() for name in frame},
    ]
    for table in tables:
        np.testing.assert_array_equal(quiet(model, table), expected)


def test_a_missing_column_is_refused_by_name(model: Model, rows: Path) -> None:
    with pytest.raises(DataError, match="no columns 'height', 'zip'"):
        model.predict(frame_of(rows).drop(columns=["height", "zip"]))


def test_what_is_odd_is_one_warning_that_points_at_the_call(model: Model, rows: Path) -> None:
    frame = frame_of(rows).assign(extra=1)
    frame.loc[:2, "job"] = "astronaut"
    frame.loc[0, "height"] = np.nan
    frame["zip"] = "z1"
    with pytest.warns(DataWarning) as caught:
        model.predict_proba(frame)
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message) == (
        "X: 1 columns that training did not have are not used: 'extra'; "
        "column 'height': 1 of 40 cells are missing, and training had none missing: taken as the "
        "median; "
        "column 'job': 3 of 40 cells hold no category that training learned: taken as unknown"
    )


def test_rows_that_are_in_order_give_no_warning(model: Model, rows: Path) -> None:
    frame = frame_of(rows).assign(zip="z1")
    assert set(model.predict(frame)) <= {"<=50K", ">50K"}  # a warning would be an error


def test_a_row_does_not_depend_on_its_batch(model: Model, tmp_path: Path) -> None:
    frame = frame_of(write_table(tmp_path / "many.csv", 1500, seed=3)).assign(zip="z1")
    together = model.predict_proba(frame)
    for size in (1, 3, 64, 65, 1024, 1025):
        parts = [
            model.predict_proba(frame[i : i + size]) for i in range(0, min(1500, 9 * size), size)
        ]
        apart = np.concatenate(parts)
        np.testing.assert_allclose(apart, together[: len(apart)], rtol=0, atol=1e-6)


def test_temperature_and_threshold_are_those_of_the_run(tmp_path: Path) -> None:
    made = []
    for number, said in enumerate([{}, {"temperature": 2.0, "thresholds": 0.9}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(jaxnet.load(make_run(folder, source="breast_cancer", description=said)))
    plain, tuned = made
    x = builtin.load("breast_cancer").x[:50]
    p, cooled = plain.predict_proba(x)[:, 1], tuned.predict_proba(x)[:, 1]
    logit = np.log(p / (1 - p))
    np.testing.assert_allclose(cooled, 1 / (1 + np.exp(-logit / 2)), rtol=1e-12)
    assert plain.thresholds is None
    np.testing.assert_array_equal(plain.predict(x), p >= 0.5)
    np.testing.assert_array_equal(tuned.predict(x), cooled >= 0.9)
    assert set(tuned.predict(x)) != set(plain.predict(x))


def test_classes_are_predicted_as_they_were_in_the_data(tmp_path: Path) -> None:
    """Numbers stay numbers, though people are shown names."""
    model = jaxnet.load(make_run(tmp_path, source="breast_cancer"))
    assert model.schema["class_names"] == ["malignant", "benign"]
    x = builtin.load("breast_cancer").x[:50]
    decided = model.predict_proba(x)[:, 1] >= 0.5
    np.testing.assert_array_equal(model.predict(x), decided.astype(int))


def test_an_array_comes_in_the_order_of_training(tmp_path: Path) -> None:
    model = jaxnet.load(make_run(tmp_path, task="multiclass", source="digits"))
    table = builtin.load("digits")
    p = model.predict_proba(table.x)
    frame = pandas.DataFrame(table.x, columns=list(table.feature_names))
    np.testing.assert_array_equal(model.predict_proba(frame[frame.columns[::-1]]), p)
    np.testing.assert_array_equal(model.predict(table.x), model.classes[p.argmax(axis=1)])
    with pytest.raises(DataError, match="expected 64 columns"):
        model.predict_proba(table.x[:, :3])


def test_settings_of_jax_change_no_prediction(model: Model, rows: Path) -> None:
    frame = frame_of(rows)
    expected = quiet(model, frame)
    with jax.disable_jit(), jax.enable_x64(True):
        np.testing.assert_array_equal(quiet(model, frame), expected)
        assert jax.config.jax_disable_jit
