"""New rows under a schema: by name, in pieces, from text and from typed cells alike."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jaxnet import data
from jaxnet.data.new_rows import describe
from jaxnet.errors import DataError
from tests.data.tables import text, typed

RNG = np.random.default_rng(0)
N = 200
AGE = [None if i % 9 == 4 else float(v) for i, v in enumerate(RNG.integers(18, 90, N))]
PAY = RNG.lognormal(size=N).round(3).tolist()
JOB = [f"job {k}" for k in RNG.integers(0, 20, N)]
SEX = ["f", "m"] * (N // 2)
TEAM = [None if i % 50 == 7 else "xyz"[k] for i, k in enumerate(RNG.integers(0, 3, N))]
Y = np.array(["no", "yes"] * (N // 2))
COLUMNS = {"age": AGE, "pay": PAY, "job": JOB, "sex": SEX, "team": TEAM}


def as_text(rows=slice(None), names=COLUMNS, **other):
    cells = {name: COLUMNS[name][rows] for name in names} | other
    written = {
        name: ["" if c is None else str(int(c)) if name == "age" else str(c) for c in column]
        for name, column in cells.items()
    }
    return text("new.csv", **written)


def as_typed(names=COLUMNS):
    return typed("new.parquet", **{name: COLUMNS[name] for name in names})


@pytest.fixture(scope="module", params=["robust", "standard", "quantile", "none"])
def trained(request):
    return data.from_frames(as_text(), Y, task="binary", scale=request.param, validation=0.2)


def encoded(schema, x):
    return data.encode_frame(schema, x).x


def test_the_inputs_and_what_the_schema_says_of_them(trained):
    schema = json.loads(json.dumps(trained.schema, allow_nan=False))
    assert schema == trained.schema
    inputs = ["age", "pay", "age is missing", "sex=m", *(f"team={k}" for k in "xyz")]
    assert schema["inputs"] == [*inputs, "team is missing", "job (embedded)"]
    assert schema["groups"] == {
        "age": [0, 2],
        "pay": [1],
        "job": [8],
        "sex": [3],
        "team": [4, 5, 6, 7],
    }
    assert schema["embeddings"] == [[len(schema["columns"][2]["categories"]) + 1, 8]]
    whole = encoded(schema, as_text())
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole[trained.rows.train], trained.x_train)
    np.testing.assert_array_equal(whole[trained.rows.validation], trained.x_val)
    np.testing.assert_array_equal(whole[:, 2], [age is None for age in AGE])
    np.testing.assert_array_equal(whole[:, 3], [1 if sex == "m" else -1 for sex in SEX])
    assert whole[:, 8].max() < schema["embeddings"][0][0]


def test_only_training_rows_are_looked_at(trained):
    rows = trained.rows.train
    part = {name: [column[i] for i in rows] for name, column in COLUMNS.items()}
    options = {"task": "binary", "validation": 0.0, "scale": trained.schema["scale"]}
    alone = data.from_frames(typed(**part), Y[rows], **options)
    assert alone.schema["columns"] == trained.schema["columns"]
    np.testing.assert_array_equal(alone.x_train, trained.x_train)


def test_typed_cells_text_and_data_frames_are_encoded_alike(trained):
    expected = encoded(trained.schema, as_text())
    frames = [
        as_typed(),
        pd.DataFrame(COLUMNS),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pd.DataFrame(COLUMNS).astype({"job": "category", "sex": "category"}),
        np.array(list(zip(*COLUMNS.values(), strict=True)), dtype=object),
    ]
    for frame in frames:
        np.testing.assert_array_equal(encoded(trained.schema, frame), expected)


def test_pieces_of_any_size_give_the_pieces(trained):
    expected = encoded(trained.schema, as_text())
    known = data.encoder(trained.schema)
    for step in (1, 7, 64):
        pieces = [
            encoded(known, as_text(slice(start, start + step))) for start in range(0, N, step)
        ]
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
    assert encoded(known, as_text(slice(0, 0))).shape == (0, 9)


def test_order_is_irrelevant_and_extra_columns_are_reported(trained):
    frame = as_text(names=["job", "team", "sex", "pay", "age"], note=["x"] * N, key=JOB)
    found = data.encode_frame(trained.schema, frame)
    np.testing.assert_array_equal(found.x, encoded(trained.schema, as_text()))
    assert found.warnings == (
        "new.csv: 2 columns that training did not have are not used: 'note', 'key'",
    )
    assert found.unseen.keys() <= {"job"}


def refusal(schema, x):
    with pytest.raises(DataError) as caught:
        data.encode_frame(schema, x)
    return str(caught.value)


def test_missing_columns_are_all_named(trained):
    assert refusal(trained.schema, as_text(names=["age", "job", "team"], Pay=PAY)) == (
        "new.csv: no columns 'pay', 'sex', which the model was trained with; did you mean 'Pay'?"
    )
    other = refusal(trained.schema, pd.DataFrame(np.zeros((2, 5))))
    assert other.startswith("X: no columns 'age', 'pay', 'job', 'sex', 'team', which the model")


def test_cells_that_a_numeric_column_cannot_hold(trained):
    cells = PAY.copy()
    cells[3] = "many"
    assert refusal(trained.schema, as_text(pay=cells)).startswith(
        "new.csv: line 5: column 'pay' is numeric and holds 'many', no number; mend it, leave"
        " the cell empty, or"
    )
    cells[3] = "1e999"
    assert "line 5: column 'pay' is numeric and holds '1e999', infinite" in refusal(
        trained.schema, as_text(pay=cells)
    )
    cells[3] = float("inf")
    frame = pd.DataFrame({**COLUMNS, "pay": cells})
    assert refusal(trained.schema, frame).startswith(
        "X: row 3 (counted from 0): column 'pay' is numeric and holds inf"
    )


def test_what_training_has_not_seen_is_counted(trained):
    new = {"age": [None, 3.0], "pay": [None, None], "job": ["job 3", "pilot"], "sex": ["d", None]}
    frame = typed(**new, team=["q", None])
    found = data.encode_frame(trained.schema, frame)
    assert found.unseen == {"pay": 2, "job": 1, "sex": 2, "team": 1}
    np.testing.assert_array_equal(found.x[:, 3], 0)
    np.testing.assert_array_equal(found.x[:, 4:8], [[0, 0, 0, 0], [0, 0, 0, 1]])
    assert found.x[1, 8] == 0
    median = trained.schema["columns"][1]["summary"]["median"]
    filled = data.encode_frame(
        trained.schema, typed(**{**new, "pay": [median] * 2}, team=["q"] * 2)
    )
    np.testing.assert_array_equal(found.x[:, 1], filled.x[:, 1])
    assert describe(data.encoder(trained.schema), found.unseen, 2)[:2] == (
        "column 'pay': 2 of 2 cells are missing, and training had none missing: taken as the "
        "median",
        "column 'job': 1 of 2 cells hold no category that training learned: taken as unknown",
    )


def test_numbers_written_otherwise_are_the_same_numbers(trained):
    frame = as_text(pay=[f" +{value:.6e} " for value in PAY])
    np.testing.assert_array_equal(
        encoded(trained.schema, frame), encoded(trained.schema, as_text())
    )


def test_arrays_by_place_where_training_had_no_names():
    x = RNG.normal(size=(30, 3))
    found = data.from_frames(x, np.arange(30) % 2, task="binary", validation=0.0)
    for new in (x, x.tolist(), pd.DataFrame(x, columns=[*"abc"]), pd.DataFrame(x)):
        np.testing.assert_array_equal(encoded(found.schema, new), found.x_train)
    by_name = pd.DataFrame(x[:, ::-1], columns=["x2", "x1", "x0"])
    np.testing.assert_array_equal(encoded(found.schema, by_name), found.x_train)
    assert "X: no columns 'x0', 'x1', 'x2'" in refusal(found.schema, pd.DataFrame(x[:, :2]))


def test_arrays_that_do_not_fit(trained):
    assert refusal(trained.schema, np.zeros((2, 3))).startswith(
        "X: expected 5 columns ('age', 'pay', 'job', 'sex', 'team'), given 3: an array of shape"
    )
    mixed = np.array([[1, 2, "a", "f", "x"], [1, 2, 3, "m", "y"]], dtype=object)
    assert refusal(trained.schema, mixed).startswith("X: column 'job' holds cells of several kinds")


@pytest.mark.parametrize("change", [{"columns": None}, {"columns": [{}]}, {"scale": "other"}])
def test_a_damaged_schema_is_refused(trained, change):
    assert refusal({**trained.schema, **change}, as_text()).startswith("schema: the ")


@pytest.mark.parametrize("trained_on", [text, typed])
def test_truth_values_are_the_same_in_text_and_in_types(trained_on):
    """True of a data frame is True, true or TRUE in a file, or 1."""
    values = [True, False, None, True] * 5
    words = ["True", "False", "", "True"] * 5
    train = trained_on(x=words if trained_on is text else values)
    schema = data.from_frames(train, ["a", "b"] * 10, task="binary", validation=0.0).schema
    expected = data.encode_frame(schema, typed(x=values[:4])).x
    assert expected[:, 1].tolist() == [0, 0, 1, 0]
    assert expected[0, 0] != expected[1, 0]
    for same in (
        text(x=words[:4]),
        text(x=["TRUE", "false", "?", "1"]),
        typed(x=["true", "0", None, "True"]),
        typed(x=[1.0, 0.0, None, 1.0]),
    ):
        np.testing.assert_array_equal(data.encode_frame(schema, same).x, expected)
    for other in (text(x=["true", "yes"]), typed(x=[1, 2])):
        with pytest.raises(DataError, match=r"column 'x' is numeric and holds .*, neither true"):
            data.encode_frame(schema, other)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ("new.csv", "X is 'new.csv': rows are needed, not the name of a file; read it, say with"),
        (pl.LazyFrame({"age": [1]}), "X is LazyFrame: .* is needed; call its collect"),
        (None, "X is NoneType: a data frame or an array is needed"),
        (3.0, "X is float: a data frame or an array is needed"),
        (np.zeros(5), r"X has shape \(5,\): rows and columns are needed, \(n, 5\)\. One row of"),
        (pd.Series([1.0, 2.0]), r"X has shape \(2,\): rows and columns are needed"),
        ([{"age": 3}], "X: rows given as mappings: make them a data frame, pandas.DataFrame"),
    ],
)
def test_what_is_no_table(trained, x, said):
    with pytest.raises(DataError, match=f"^{said}"):
        data.encode_frame(trained.schema, x)
