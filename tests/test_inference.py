"""A finished run: what is loaded is checked, and rows give the same result however they come."""

import csv
import io
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import jaxnet
from jaxnet.data import builtin
from jaxnet.errors import DataError, DataWarning, RunDirectoryError, UserError
from jaxnet.inference import Model, evaluate_file, predict_file
from jaxnet.inference.predicting import lay_out
from jaxnet.outputs import model_file
from tests.run_maker import make_run, write_table

P = ["p(<=50K)", "p(>50K)"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary run on a table with an identifier, numbers, and categories of both kinds."""
    folder = tmp_path_factory.mktemp("binary")
    table = write_table(folder / "train.csv")
    return make_run(folder, train=table, target="income", columns={"key": "id"})


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return jaxnet.load(run)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """New rows of the same kind, whose categories training has seen."""
    path = write_table(tmp_path / "new.csv", 40, seed=1)
    lines = [line for line in path.read_text().splitlines() if not line.endswith("z99")]
    path.write_text("\n".join(lines) + "\n")
    return path


def frame_of(path: Path) -> pandas.DataFrame:
    return pandas.read_csv(path, dtype={"key": str})


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def quiet(model: Model, x: object) -> np.ndarray:
    """Probabilities, whatever is odd about the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return model.predict_proba(x)


# Rows in memory


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
        "column 'job': 3 of 40 cells hold categories that training did not see: taken as unknown"
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


def test_an_array_comes_in_the_order_of_training(tmp_path: Path) -> None:
    model = jaxnet.load(make_run(tmp_path, task="multiclass", source="digits"))
    table = builtin.load("digits")
    p = model.predict_proba(table.x)
    frame = pandas.DataFrame(table.x, columns=list(table.feature_names))
    np.testing.assert_array_equal(model.predict_proba(frame[frame.columns[::-1]]), p)
    np.testing.assert_array_equal(model.predict(table.x), model.classes[p.argmax(axis=1)])
    with pytest.raises(DataError, match="expected 64 columns"):
        model.predict_proba(table.x[:, :3])


# Loading


def edit(path: Path, **changes: object) -> None:
    """Change keys of a JSON file; None takes one out."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content.pop(key) if value is None else content.__setitem__(key, value)
    path.write_text(json.dumps(content))


def describe(run: Path, **changes: object) -> None:
    """Change keys of a model's description; None takes one out."""
    path = run / "model" / model_file.DESCRIPTION
    head = json.loads(path.read_text())
    edit_in = head["description"]
    for key, value in changes.items():
        edit_in.pop(key) if value is None else edit_in.__setitem__(key, value)
    path.write_text(json.dumps(head))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    return make_run(folder, task="multilabel", source="digit_attributes")


@pytest.fixture
def fresh(sound: Path, tmp_path: Path) -> Path:
    """A run to damage."""
    return shutil.copytree(sound, tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        *({key: None} for key in ("task", "sizes", "activation", "output_activation")),
        *({key: None} for key in ("parametrisation", "precision")),
        *({"task": value} for value in ("regression", 7, ["binary"])),
        *({"sizes": value} for value in ([64, 8], [64, 9, 8], "64", 7, [], [64.0, 8.0, 8.0])),
        *({"activation": value} for value in ("rilu", None, 3)),
        *({"output_activation": value} for value in ("nothing", [])),
        *({"precision": value} for value in ("float31", 32)),
        *({"temperature": value} for value in (0, -1.5, "warm", True, [1.0])),
        *({"thresholds": value} for value in ("half", [0.5], [0.5] * 7 + ["x"], {"a": 1})),
        *({"embeddings": value} for value in ([[3]], [[3, 4]], [["a", "b"]], 5)),
    ],
    ids=str,
)
def test_a_damaged_description_is_called_that(fresh: Path, change: dict[str, object]) -> None:
    describe(fresh, **change)
    with pytest.raises(RunDirectoryError, match=r"model\.json: damaged .*train again"):
        jaxnet.load(fresh)


@pytest.mark.parametrize(
    "change",
    [
        *({key: None} for key in ("task", "columns", "classes", "class_names", "missing", "scale")),
        *({key: None} for key in ("identifiers", "target", "embeddings", "named")),
        *({"task": value} for value in ("binary", 3)),
        *({"columns": value} for value in ([], {}, 3, [{"name": "a"}], "abc")),
        *({"classes": value} for value in (["a"], "ab", 3, [None] * 8, ["a"] * 8)),
        *({"classes": value} for value in ([*"abcdefg", 1],)),
        *({"class_names": value} for value in ([*"abcdefg", 1], "abcdefgh")),
        *({"target": value} for value in ([], {}, {"columns": 3, "separator": None})),
        *({"identifiers": value} for value in ("abc", [1], {})),
        *({"embeddings": value} for value in ([[3, 4]], 3)),
        *({"missing": value} for value in (3, [3])),
    ],
    ids=str,
)
def test_a_damaged_schema_is_called_that(fresh: Path, change: dict[str, object]) -> None:
    edit(fresh / "schema.json", **change)
    with pytest.raises(RunDirectoryError, match=r"schema\.json: damaged .*train again"):
        jaxnet.load(fresh)


@pytest.mark.parametrize("content", ["[]", "3", '{"format": 1}', "{}", "null"])
def test_a_schema_of_another_kind(fresh: Path, content: str) -> None:
    (fresh / "schema.json").write_text(content)
    with pytest.raises(RunDirectoryError, match="train again"):
        jaxnet.load(fresh)


def test_a_schema_of_an_older_version(fresh: Path) -> None:
    edit(fresh / "schema.json", format=1)
    with pytest.raises(RunDirectoryError, match=r"format 1, and this version .* train again"):
        jaxnet.load(fresh)


def test_a_model_and_a_schema_of_two_runs(fresh: Path, run: Path) -> None:
    shutil.copy(run / "schema.json", fresh)
    with pytest.raises(RunDirectoryError, match="its task is not the model's"):
        jaxnet.load(fresh)


@pytest.mark.parametrize("status", ['{"state": "running"}', '{"state": "failed"}', "[]"])
def test_a_run_without_a_model(fresh: Path, status: str) -> None:
    (fresh / "model" / model_file.DESCRIPTION).unlink()
    (fresh / "status.json").write_text(status)
    with pytest.raises(RunDirectoryError, match=r"holds no model, its run .*; train again"):
        jaxnet.load(fresh)


@pytest.mark.parametrize("what", ["missing", "turned", "more", "shorter", "other type", "waves"])
def test_parameters_of_another_network(fresh: Path, what: str) -> None:
    saved = model_file.load(fresh / "model")
    arrays, first = dict(saved.arrays), saved.arrays["layers.0.W"]
    change = {
        "missing": lambda: arrays.pop("layers.0.W"),
        "turned": lambda: arrays.update({"layers.0.W": first.T}),
        "more": lambda: arrays.update({"layers.9.W": first}),
        "shorter": lambda: [arrays.pop(name) for name in ("layers.1.W", "layers.1.b")],
        "other type": lambda: arrays.update({"layers.0.W": first.astype(np.float64)}),
        "waves": lambda: arrays.update({"waves.w": first, "waves.v": first}),
    }
    change[what]()
    model_file.save(fresh / "model", arrays, saved.description)
    with pytest.raises(RunDirectoryError, match=r"model\.json: damaged"):
        jaxnet.load(fresh)


def test_parameters_that_are_not_finite(fresh: Path) -> None:
    saved = model_file.load(fresh / "model")
    saved.arrays["layers.0.W"].flat[3] = np.nan
    model_file.save(fresh / "model", saved.arrays, saved.description)
    with pytest.raises(RunDirectoryError, match=r"layers\.0\.W holds numbers that are not finite"):
        jaxnet.load(fresh)


# Files


def written(model: Model, source: Path, output: Path, **options: object) -> str:
    predict_file(model, source, output, **options)  # type: ignore[arg-type]
    return output.read_text()


def test_a_file_says_what_the_model_says(model: Model, rows: Path, tmp_path: Path) -> None:
    found = read(written(model, rows, tmp_path / "out.csv"))
    frame = frame_of(rows)
    assert list(found[0]) == ["key", "prediction", *P]
    assert [row["key"] for row in found] == frame["key"].tolist()  # with its leading zeros
    p = np.array([[float(row[name]) for name in P] for row in found])
    np.testing.assert_allclose(p, quiet(model, frame), rtol=0, atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert [row["prediction"] for row in found] == model.predict(frame).tolist()


@pytest.mark.parametrize("at_once", [1, 7, 39, 40, 41])
def test_pieces_make_no_difference(model: Model, rows: Path, tmp_path: Path, at_once: int) -> None:
    seen = []
    whole = predict_file(model, rows, tmp_path / "whole.csv")
    apart = predict_file(
        model, rows, tmp_path / "apart.csv", rows=at_once, progress=lambda *at: seen.append(at)
    )
    assert apart == whole
    assert whole.rows.number == 40
    assert seen[-1] == (40, 1.0)
    assert len(seen) == -(-40 // at_once)
    for one, other in zip(
        read((tmp_path / "whole.csv").read_text()),
        read((tmp_path / "apart.csv").read_text()),
        strict=True,
    ):
        assert (one["key"], one["prediction"]) == (other["key"], other["prediction"])
        assert abs(float(one[P[1]]) - float(other[P[1]])) <= 1e-6


def test_every_format_in_and_out(model: Model, rows: Path, tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(
        rows, convert_options=pyarrow.csv.ConvertOptions(column_types={"key": pa.string()})
    )
    pyarrow.parquet.write_table(table, tmp_path / "new.parquet")
    with pa.CompressedOutputStream(str(tmp_path / "new.csv.gz"), "gzip") as stream:
        stream.write(rows.read_bytes())
    expected = read(written(model, rows, tmp_path / "a.csv"))
    for name in ("new.parquet", "new.csv.gz"):
        assert read(written(model, tmp_path / name, tmp_path / f"{name}.csv")) == expected
    predict_file(model, rows, tmp_path / "a.parquet")
    predict_file(model, rows, tmp_path / "a.csv.gz")
    assert pandas.read_csv(tmp_path / "a.csv.gz").shape == (40, 4)
    stored = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert stored.schema.field("p(>50K)").type == pa.float64()
    assert stored.column("key").to_pylist() == [row["key"] for row in expected]
    stream = io.StringIO()
    predict_file(model, rows, stream=stream)
    assert read(stream.getvalue()) == expected


def test_identifiers_keep_their_types_and_may_be_absent(
    model: Model, rows: Path, tmp_path: Path
) -> None:
    frame = frame_of(rows)
    frame["key"] = np.arange(40, dtype=np.int16)
    frame.to_parquet(tmp_path / "numbered.parquet")
    predict_file(model, tmp_path / "numbered.parquet", tmp_path / "a.parquet")
    assert pyarrow.parquet.read_schema(tmp_path / "a.parquet").field("key").type == pa.int16()
    frame.drop(columns="key").to_csv(tmp_path / "bare.csv", index=False)
    done = predict_file(model, tmp_path / "bare.csv", tmp_path / "b.csv")
    assert done.columns == ("prediction", *P)


def test_names_that_an_identifier_has_already(model: Model) -> None:
    clash = model._replace(schema={**model.schema, "identifiers": ["p(>50K)", "prediction", "no"]})
    layout = lay_out(clash, ["prediction", "p(>50K)", "age"])
    assert layout == (("p(>50K)", "prediction"), ("prediction_",), ("p(<=50K)", "p(>50K)_"))


def test_findings_are_added_up_over_pieces(model: Model, rows: Path, tmp_path: Path) -> None:
    frame = frame_of(rows).assign(extra="x", zip="z1")
    frame.loc[[0, 20, 39], "job"] = "astronaut"
    frame.loc[[5, 30], "height"] = np.nan
    frame.to_csv(tmp_path / "odd.csv", index=False)
    done = predict_file(model, tmp_path / "odd.csv", tmp_path / "a.csv", rows=10)
    assert done.rows.unseen == {"height": 2, "job": 3}
    assert [text.partition(": ")[2] for text in done.rows.warnings] == [
        "1 columns that training did not have are not used: 'extra'",
        "2 of 40 cells are missing, and training had none missing: taken as the median",
        "3 of 40 cells hold categories that training did not see: taken as unknown",
    ]


def test_several_labels_as_the_training_data_wrote_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.random((90, 3)) < 0.5
    frame = pandas.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90)})
    frame["tags"] = [" | ".join(np.array(["sea", "sky", "wood"])[row]) for row in y]
    for number, name in enumerate(("sea", "sky", "wood")):
        frame[name] = y[:, number].astype(int)
    frame.to_csv(tmp_path / "t.csv", index=False)
    thresholds = {"thresholds": [0.0, 0.5, 1.1]}
    joined, apart = tmp_path / "joined", tmp_path / "apart"
    joined.mkdir()
    apart.mkdir()
    options = {"task": "multilabel", "train": tmp_path / "t.csv", "description": thresholds}
    one = jaxnet.load(
        make_run(
            joined,
            target={"column": "tags", "separator": "|"},
            drop=["sea", "sky", "wood"],
            **options,
        )
    )
    found = read(written(one, tmp_path / "t.csv", tmp_path / "one.csv"))
    wanted = ["sea", "sky", "wood", "prediction", "p(sea)", "p(sky)", "p(wood)"]
    assert list(found[0]) == wanted
    for row in found:
        assert row["prediction"] == ("sea|sky" if float(row["p(sky)"]) >= 0.5 else "sea")
    assert len({row["prediction"] for row in found}) == 2

    each = jaxnet.load(make_run(apart, target=["sea", "sky", "wood"], drop=["tags"], **options))
    found = read(written(each, tmp_path / "t.csv", tmp_path / "each.csv"))
    names = ["prediction(sea)", "prediction(sky)", "prediction(wood)"]
    assert list(found[0]) == ["tags", *names, "p(sea)", "p(sky)", "p(wood)"]
    assert {(row[names[0]], row[names[2]]) for row in found} == {("1", "0")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decided = each.predict(frame)
    assert [row[names[1]] for row in found] == [str(value) for value in decided[:, 1]]
    for model in (one, each):
        measured = evaluate_file(model, tmp_path / "t.csv")
        assert measured.metrics["subset_accuracy"] == pytest.approx(
            np.mean((one.predict(frame) == y).all(axis=1))
        )


def test_npz_without_labels(tmp_path: Path) -> None:
    model = jaxnet.load(make_run(tmp_path, task="multiclass", source="digits"))
    x = builtin.load("digits").x[:150].astype(float)
    np.savez(tmp_path / "rows.npz", X=x)
    done = predict_file(model, tmp_path / "rows.npz", tmp_path / "a.csv", rows=40)
    found = read((tmp_path / "a.csv").read_text())
    assert done.columns == ("prediction", *(f"p({digit})" for digit in range(10)))
    assert [int(row["prediction"]) for row in found] == model.predict(x).tolist()
    x[100, 2] = np.inf
    np.savez(tmp_path / "rows.npz", X=x)
    with pytest.raises(DataError, match=r"'X'\[80:120\]: row 20 \(counted from 0\), column"):
        predict_file(model, tmp_path / "rows.npz", tmp_path / "b.csv", rows=40)
    np.savez(tmp_path / "rows.npz", a=x, b=x)
    with pytest.raises(DataError, match="no key 'X'"):
        predict_file(model, tmp_path / "rows.npz", tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_bad_cell_far_down_names_its_line_and_leaves_nothing(
    model: Model, rows: Path, tmp_path: Path
) -> None:
    lines = rows.read_text().splitlines()
    lines[38] = lines[38].replace(lines[38].split(",")[2], "tall")
    rows.write_text("\n".join(lines) + "\n")
    before = left_in(tmp_path)
    with pytest.raises(DataError, match=r"new\.csv: line 39: column 'height' .* 'tall'"):
        predict_file(model, rows, tmp_path / "out.csv", rows=5)
    assert left_in(tmp_path) == before


@pytest.mark.parametrize("calls", [0, 1, 3, 8])
def test_what_is_interrupted_leaves_nothing(
    model: Model, rows: Path, tmp_path: Path, calls: int
) -> None:
    left = [calls]

    def poll() -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1

    output = tmp_path / "out.csv"
    output.write_text("mine")
    before = left_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        predict_file(model, rows, output, overwrite=True, rows=10, poll=poll)
    assert left_in(tmp_path) == before
    assert output.read_text() == "mine"


def test_an_output_that_exists_stays(model: Model, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        predict_file(model, rows, output)
    assert output.read_text() == "mine"
    assert read(written(model, rows, output, overwrite=True))


# Labelled files


def test_metrics_are_those_of_the_predictions(model: Model, rows: Path) -> None:
    frame = frame_of(rows)
    found = evaluate_file(model, rows)
    p = quiet(model, frame)[:, 1]
    true = (frame["income"] == ">50K").to_numpy()
    assert found.rows.number == 40
    assert found.metrics["accuracy"] == np.mean((p >= 0.5) == true)
    loss = -np.mean(np.log(np.where(true, p, 1 - p)))
    assert found.metrics["log_loss"] == pytest.approx(loss, rel=1e-12)
    (right, _), (_, found_) = found.tables["confusion"]
    assert right + found_ == np.sum((p >= 0.5) == true)


def test_an_undefined_metric_has_its_reason(model: Model, rows: Path) -> None:
    frame_of(rows).assign(income="<=50K").to_csv(rows, index=False)
    found = evaluate_file(model, rows)
    assert found.metrics["roc_auc"] is None
    assert found.undefined["roc_auc"] == "needs rows of both classes"
    assert found.metrics["accuracy"] is not None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("income", "incme", r"no column 'income', which held the labels .* did you mean 'incme'"),
        ("<=50K", "", r"line 2: no label in column 'income'"),
        (">50K", "lots", r"column 'income' holds 'lots', a class that the training rows do not"),
    ],
)
def test_labels_that_cannot_be_used(
    model: Model, rows: Path, old: str, new: str, expected: str
) -> None:
    text = rows.read_text().replace("<=50K", "A").replace(">50K", "B")
    lines = text.replace("A", "<=50K", 1).splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",<=50K"
    lines[2] = lines[2].rpartition(",")[0] + ",>50K"
    text = "\n".join(lines[:3]) + "\n"
    rows.write_text(text.replace(old, new) if old != "<=50K" else text.replace("<=50K", ""))
    with pytest.raises(DataError, match=expected):
        evaluate_file(model, rows)


def test_the_line_of_a_wrong_label_in_a_later_piece(
    model: Model, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jaxnet.inference import pieces

    monkeypatch.setattr(pieces, "_ROWS", 7)
    lines = rows.read_text().splitlines()
    lines[30] = lines[30].rpartition(",")[0] + ",lots"
    rows.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"new\.csv: line 31: .* 'lots'"):
        evaluate_file(model, rows)


def test_the_test_part_of_an_npz_file(tmp_path: Path) -> None:
    model = jaxnet.load(make_run(tmp_path, task="multiclass", source="digits"))
    table = builtin.load("digits")
    x, y = table.x, table.y
    np.savez(tmp_path / "a.npz", X=x, y=y, X_test=x[:30], y_test=y[:30])
    np.savez(tmp_path / "b.npz", X=x[:30], y=y[:30])
    both = [evaluate_file(model, tmp_path / name) for name in ("a.npz", "b.npz")]
    assert both[0] == both[1]
    assert both[0].rows.number == 30


def test_memory_does_not_grow_with_the_rows(model: Model, tmp_path: Path) -> None:
    """At most two pieces are alive: the one in use, and the one that is read ahead."""
    import weakref

    from jaxnet.inference import pieces

    path = write_table(tmp_path / "long.csv", 400, seed=5)
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0
    with pieces.ahead(pieces.of_table(path, model.encoder, 20), poll=lambda: None) as found:
        for piece in found:
            alive.append(weakref.ref(piece.encoded.x))
            del piece
            most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 20
    assert most <= 2


def test_reading_ahead_ends_with_the_work(model: Model, rows: Path) -> None:
    import threading

    from jaxnet.inference import pieces

    before = threading.active_count()
    open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    found = pieces.of_table(rows, model.encoder, 5)
    with pieces.ahead(found, poll=lambda: None) as each:
        next(each)
    assert threading.active_count() == before
    if open_files:
        assert len(os.listdir("/proc/self/fd")) == open_files
