"""Files of rows become files of predictions, whole or not at all."""

import io
import warnings
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import jaxnet
from jaxnet.data import builtin
from jaxnet.errors import DataError, DataWarning, UserError
from jaxnet.inference import Model, evaluate_file, predict_file
from jaxnet.inference.predicting import lay_out
from tests.inference.tables import P, frame_of, quiet, read
from tests.run_maker import make_run


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


def test_columns_that_hold_no_plain_values_disturb_no_prediction(
    model: Model, rows: Path, tmp_path: Path
) -> None:
    """An unused one is reported like any other, and an identifier is copied like any other."""
    frame = frame_of(rows)
    wide = frame.assign(key=[[i, i] for i in range(40)], note=[b"x"] * 40)
    wide.to_parquet(tmp_path / "wide.parquet")
    done = predict_file(model, tmp_path / "wide.parquet", tmp_path / "a.parquet")
    assert done.rows.warnings[0].endswith("columns that training did not have are not used: 'note'")
    stored = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert stored.column("key").to_pylist() == [[i, i] for i in range(40)]
    predict_file(model, tmp_path / "wide.parquet", tmp_path / "a.csv")
    assert pandas.read_csv(tmp_path / "a.csv")["key"][39] == "[39, 39]"
    expected = quiet(model, frame)
    np.testing.assert_array_equal(quiet(model, wide), expected)
    np.testing.assert_array_equal(quiet(model, frame.assign(note=[1, "a"] * 20)), expected)


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
        "3 of 40 cells hold no category that training learned: taken as unknown",
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
