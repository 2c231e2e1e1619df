"""From a config's data section to arrays and a schema that is enough to predict with."""

import json

import numpy as np
import pytest

from jaxnet import data
from jaxnet.data import encoding, splits
from jaxnet.data.table import Table
from jaxnet.errors import DataError

RNG = np.random.default_rng(0)
NAMES = ("a", "b", "c")


def table(n=60, y=None, **options):
    x = RNG.normal(size=(n, 3))
    return Table(x, np.tile([0, 1, 2], n)[:n] if y is None else y, NAMES, **options)


def refusal(function, *args, **options):
    with pytest.raises(DataError) as caught:
        function(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("task", "source", "dtype", "labels_shape"),
    [
        ("binary", "breast_cancer", np.float32, ()),
        ("multiclass", "digits", np.int32, ()),
        ("multilabel", "digit_attributes", np.float32, (8,)),
    ],
)
def test_built_in_sets(task, source, dtype, labels_shape):
    found = data.prepare(task, source=source)
    d = len(found.schema["features"])
    for x, y, part in (
        (found.x_train, found.y_train, "train"),
        (found.x_val, found.y_val, "validation"),
        (found.x_test, found.y_test, "test"),
    ):
        n = found.schema["rows"][part]
        assert (x.shape, x.dtype) == ((n, d), np.float32)
        assert (y.shape, y.dtype) == ((n, *labels_shape), dtype)
    total = sum(found.schema["rows"].values())
    assert found.schema["rows"]["validation"] == pytest.approx(0.15 * total, abs=3)
    assert found.warnings == ()
    assert found.schema["task"] == task


def test_the_scale_is_fitted_on_training_rows_only():
    given = table()
    found = data.from_tables(given, task="multiclass")
    rows = splits.split(given.y, "multiclass")
    x = given.x.copy()
    x[rows.validation], x[rows.test] = 1e6, -1e6
    again = data.from_tables(given._replace(x=x), task="multiclass")
    np.testing.assert_array_equal(again.x_train, found.x_train)
    assert again.schema["columns"] == found.schema["columns"]
    assert np.all(again.x_val > 2.9)
    assert np.all(again.x_test < -2.9)


def test_the_schema_is_json_and_enough_to_predict_with():
    given = Table(
        RNG.integers(0, 255, (40, 3), dtype=np.uint8), np.array(["no", "yes"] * 20), NAMES
    )
    found = data.from_tables(given, given, task="binary")
    schema = json.loads(json.dumps(found.schema, allow_nan=False))
    assert schema == found.schema
    np.testing.assert_array_equal(data.encode_frame(schema, given.x).x, found.x_test)
    np.testing.assert_array_equal(data.encode_frame(schema, given).x, found.x_test)
    np.testing.assert_array_equal(data.labels_of(schema, given).targets, found.y_test)
    assert data.encode_frame(schema, given.x[:0]).x.shape == (0, 3)


def test_what_the_schema_says():
    given = table(names=("x", "y", "z"))
    schema = data.from_tables(
        given, task="multiclass", split={"validation": 0.1, "test": 0.2, "seed": 3}
    ).schema
    digest = schema["split"].pop("sha256")
    assert len(digest) == 64
    rows = splits.split(given.y, "multiclass", 0.1, 0.2, 3).train
    assert schema["columns"][1] == {
        "name": "b",
        "kind": "numeric",
        "center": np.median(given.x[rows, 1]),
        "scale": np.subtract(*np.quantile(given.x[rows, 1], [0.75, 0.25])),
        "fill": np.median(given.x[rows, 1]),
        "indicator": False,
        "summary": {
            "missing": 0,
            "min": given.x[rows, 1].min(),
            "median": np.median(given.x[rows, 1]),
            "max": given.x[rows, 1].max(),
        },
    }
    assert schema == {
        "format": 2,
        "task": "multiclass",
        "named": False,
        "features": ["a", "b", "c"],
        "columns": schema["columns"],
        "scale": "robust",
        "inputs": ["a", "b", "c"],
        "groups": {"a": [0], "b": [1], "c": [2]},
        "embeddings": [],
        "identifiers": [],
        "missing": ["?", "NA", "N/A", "NaN", "nan", "null"],
        "target": {"columns": [], "separator": None},
        "classes": [0, 1, 2],
        "class_names": ["x", "y", "z"],
        "rows": {"train": 42, "validation": 6, "test": 12},
        "train_counts": [14, 14, 14],
        "split": {
            "validation": 0.1,
            "test": 0.2,
            "seed": 3,
            "group": None,
            "file": None,
            "validation_given": False,
            "test_given": False,
        },
    }


def test_the_digest_tells_splits_apart():
    given = table()
    splits = [{}, {"seed": 1}, {"test": 0.2}, {}]
    digests = [
        data.from_tables(given, task="multiclass", split=split).schema["split"]["sha256"]
        for split in splits
    ]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_a_test_table_is_kept_as_it_is():
    given, held_out = table(), table(9)
    found = data.from_tables(given, held_out, task="multiclass")
    assert found.schema["rows"] == {"train": 51, "validation": 9, "test": 9}
    assert found.schema["split"]["test"] == 0.0
    assert found.schema["split"]["test_given"]
    np.testing.assert_array_equal(found.y_test, held_out.y)
    np.testing.assert_array_equal(found.x_test, data.encode_frame(found.schema, held_out.x).x)


def test_split_test_is_unused_with_a_test_table():
    found = data.from_tables(
        table(), table(9), task="multiclass", split={"validation": 0.1, "test": 0.95}
    )
    assert found.schema["rows"]["train"] == 54


def test_no_validation_rows():
    found = data.from_tables(table(), task="multiclass", split={"validation": 0})
    assert found.x_val.shape == (0, 3)
    assert found.y_val.shape == (0,)
    assert found.warnings == ()


def test_files_relative_to_the_config(tmp_path):
    x, y = RNG.normal(size=(40, 2)), np.tile([0, 1], 20)
    np.savez(tmp_path / "train.npz", X=x, y=y)
    np.savez(tmp_path / "test.npz", X=x[:6], y=y[:6])
    np.savez(tmp_path / "both.npz", X_train=x, y_train=y, X_test=x[:4], y_test=y[:4])
    options = {"task": "binary", "directory": tmp_path}
    rows = {
        "split off": data.prepare(train="train.npz", **options),
        "own file": data.prepare(train="train.npz", test="test.npz", **options),
        "within": data.prepare(train="both.npz", **options),
        "its test table": data.prepare(train="train.npz", test="both.npz", **options),
        "absolute": data.prepare(
            "binary", train=tmp_path / "train.npz", test=tmp_path / "test.npz"
        ),
    }
    assert {name: found.schema["rows"]["test"] for name, found in rows.items()} == {
        "split off": 6,
        "own file": 6,
        "within": 4,
        "its test table": 4,
        "absolute": 6,
    }
    np.testing.assert_array_equal(rows["own file"].x_train, rows["absolute"].x_train)


def test_it_takes_the_data_section_of_a_config():
    from jaxnet.config import load_config

    config = load_config({"task": "binary", "data": {"source": "breast_cancer"}})
    found = data.prepare(config.task, **config.data.model_dump())
    assert found.schema["rows"]["train"] == 399


def test_notes_of_images_and_constant_columns(tmp_path):
    x = RNG.integers(0, 9, (40, 2, 2))
    x[:, 0, 1] = 7
    np.savez(tmp_path / "a.npz", X=x, y=np.tile([0, 1], 20))
    flattened, constant = data.prepare("binary", train=tmp_path / "a.npz").notes
    assert flattened.endswith("images of shape (40, 2, 2) are flattened to (40, 4)")
    assert constant == (
        "1 of 4 columns are constant in the training rows and encoded as 0: 'pixel_0_1'"
    )


def test_warnings_of_classes_that_a_part_lacks():
    y = np.repeat([0, 1], [58, 2])
    found = data.from_tables(table(y=y), task="binary", split={"seed": 1})
    assert found.schema["train_counts"][1] >= 1
    lacking = [w for w in found.warnings if w.endswith("has no row of class '1'")]
    assert len(lacking) >= 1
    held_out = table(5, y=np.zeros(5, int))
    warnings = data.from_tables(table(y=np.tile([0, 1], 30)), held_out, task="binary").warnings
    assert warnings == ("the test part (5 rows) has no row of class '1'",)


def test_warnings_of_labels_without_positive_rows():
    y = np.zeros((60, 3), int)
    y[::2, 0] = 1
    y[5, 1] = 1
    found = data.from_tables(table(y=y, names=("p", "q", "r")), task="multilabel")
    assert found.warnings == (
        "y: 0 in every row: label 'r'",
        "the training part (42 rows) has no positive row of label 'r'",
        "the validation part (9 rows) has no positive row of label 'q', 'r'",
        "the test part (9 rows) has no positive row of label 'q', 'r'",
    )


def test_new_arrays_that_do_not_fit():
    schema = data.prepare("binary", source="breast_cancer").schema
    assert refusal(data.encode_frame, schema, np.zeros((2, 29))) == (
        "X: expected 30 columns ('mean radius', 'mean texture', 'mean perimeter', 'mean area', "
        "'mean smoothness', 'mean compactness', 'mean concavity', 'mean concave points', "
        "'mean symmetry', 'mean fractal dimension', 'radius error', 'texture error' and 18 more), "
        "given 29: an array of shape (2, 29)"
    )
    assert refusal(data.encode_frame, schema, np.zeros(30)).endswith("one row: X.reshape(1, -1)")
    bad = np.zeros((2, 30))
    bad[1, 2] = np.inf
    assert refusal(data.encode_frame, schema, bad).startswith(
        "X: row 1 (counted from 0), column 'mean perimeter' (2) is inf: features must be finite"
    )
    unknown = Table(np.zeros((2, 30)), np.array([0, 2]), ())
    assert "unknown class 2. Known classes: 0, 1" in refusal(data.labels_of, schema, unknown)
    assert refusal(data.encode_frame, {**schema, "format": 1}, bad) == (
        "schema: format 1, expected 2: the model was trained with another version of jaxnet; "
        "train it again"
    )


def test_tables_that_do_not_fit():
    given = table()
    bad = given.x.copy()
    bad[50, 1] = np.inf
    assert refusal(data.from_tables, given._replace(x=bad), task="multiclass").startswith(
        "X: row 50 (counted from 0), column 'b' (1) is inf: features must be finite"
    )
    assert refusal(data.from_tables, given, given._replace(x=bad), task="multiclass").startswith(
        "X of the test set: row 50 (counted from 0), column 'b' (1) is inf"
    )
    fewer = Table(given.x[:, :2], given.y, NAMES[:2])
    assert refusal(data.from_tables, given, fewer, task="multiclass") == (
        "X of the test set: expected 3 columns as in training, given 2"
    )
    renamed = given._replace(feature_names=("a", "c", "b"))
    assert refusal(data.from_tables, given, renamed, task="multiclass") == (
        "X of the test set: column 1 is 'c', in training 'b': columns must stand in the same order"
    )
    other = given._replace(y=given.y + 1)
    assert "y of the test set: rows 2, 5, 8, 11, 14 and 15 more (counted from 0): unknown " in (
        refusal(data.from_tables, given, other, task="multiclass")
    )
    single = table(y=np.array([*[0, 1] * 29, 0, 2]), names=("x", "y", "z"))
    assert "class 'z' with 1 row of 60" in refusal(data.from_tables, single, task="multiclass")


def test_sources_that_do_not_fit():
    assert refusal(data.prepare, "binary") == (
        "data: give either source (a built-in set) or train (a file)"
    )
    assert refusal(data.prepare, "binary", source="digits", train="a.npz").startswith("data: give")
    assert refusal(data.prepare, "binary", source="breast_cancer", test="a.npz") == (
        "data.test: a built-in set is split by itself; leave test out"
    )
    assert refusal(data.prepare, "binary", source="digits").startswith(
        "y: task binary needs two classes and there are 10: 0 (178 rows), 1 (182 rows)"
    )
    assert refusal(data.prepare, "multiclass", source="digit_attributes").startswith(
        "y has shape (1797, 8): task multiclass needs one class for each row"
    )


def test_scales_are_those_of_the_config():
    from jaxnet.config import names

    assert (*encoding.HOWS, "unit") == names.SCALES  # unit is of sparse rows
    assert data.BUILTIN_SOURCES == names.BUILTIN_SOURCES
