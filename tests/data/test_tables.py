"""From files of tables to a data set: targets, kinds, splits, and the schema of it all."""

import gzip

import numpy as np
import pandas as pd
import pytest

from jaxnet import data
from jaxnet.data import readers, split_file
from jaxnet.errors import DataError

RNG = np.random.default_rng(0)
N = 120


def rows(n=N):
    return pd.DataFrame(
        {
            "key": [f"row {i}" for i in range(n)],
            "age": RNG.integers(18, 80, n),
            "job": RNG.choice(["clerk", "cook", "nurse"], n),
            "house": np.arange(n) // 4,
            "pays": np.where(np.arange(n) % 3 == 0, "yes", "no"),
        }
    )


@pytest.fixture
def folder(tmp_path):
    frame = rows()
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.to_parquet(tmp_path / "train.parquet", index=False)
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress((tmp_path / "train.csv").read_bytes()))
    rows(30).to_csv(tmp_path / "other.csv", index=False)
    return tmp_path


def prepare(folder, task="binary", train="train.csv", target="pays", **options):
    return data.prepare(task, train=train, target=target, directory=folder, **options)


def refusal(folder, *args, **options):
    with pytest.raises(DataError) as caught:
        prepare(folder, *args, **options)
    return str(caught.value).replace(f"{folder}/", "")


def test_all_kinds_of_files_give_the_same(folder):
    found = prepare(folder)
    assert found.x_train.shape == (84, 5)
    assert found.schema["features"] == ["age", "job", "house"]
    assert found.schema["identifiers"] == ["key"]
    assert found.schema["target"] == {"columns": ["pays"], "separator": None}
    assert found.schema["classes"] == found.schema["class_names"] == ["no", "yes"]
    assert found.schema["rows"] == {"train": 84, "validation": 18, "test": 18}
    assert [warning[:13] for warning in found.warnings] == ["column 'key' "]
    assert found.notes == (
        "2 numeric columns: 'age', 'house'; 1 categorical: 'job'; 1 no features: 'key'",
    )
    for file in ("train.csv.gz", "train.parquet"):
        again = prepare(folder, train=file)
        assert again.schema == found.schema
        np.testing.assert_array_equal(again.x_test, found.x_test)


def test_files_of_validation_and_test_are_kept(folder):
    found = prepare(folder, validation="other.csv", test="other.csv")
    assert found.schema["rows"] == {"train": 120, "validation": 30, "test": 30}
    assert (found.schema["split"]["validation_given"], found.schema["split"]["test_given"]) == (
        True,
        True,
    )
    np.testing.assert_array_equal(found.x_val, found.x_test)
    frame = readers.read(folder / "other.csv")
    np.testing.assert_array_equal(data.encode_frame(found.schema, frame).x, found.x_test)
    np.testing.assert_array_equal(data.labels_of(found.schema, frame).targets, found.y_test)


def test_a_part_that_does_not_fit_is_named(folder):
    other = rows(30).assign(age="old")
    other.to_csv(folder / "bad.csv", index=False)
    assert refusal(folder, test="bad.csv").startswith(
        "bad.csv: line 2: column 'age' is numeric and holds 'old', no number (30 such cells)"
    )
    rows(30).assign(pays="perhaps").to_csv(folder / "bad.csv", index=False)
    assert refusal(folder, validation="bad.csv").startswith(
        "bad.csv: line 2: column 'pays' holds 'perhaps', a class that the training rows do not"
    )
    rows(30).drop(columns="job").to_csv(folder / "bad.csv", index=False)
    assert refusal(folder, test="bad.csv").startswith("bad.csv: no column 'job', which the model")
    rows(0).to_parquet(folder / "bad.parquet")
    assert refusal(folder, train="bad.parquet").startswith("bad.parquet: no rows")
    np.savez(folder / "a.npz", X=np.zeros((4, 2)), y=[0, 1, 0, 1])
    assert refusal(folder, test="a.npz").startswith("data: train, validation and test are of diff")


def test_unseen_cells_of_a_file_are_noted(folder):
    rows(30).assign(job="pilot").to_csv(folder / "new.csv", index=False)
    assert (
        prepare(folder, test="new.csv")
        .notes[-1]
        .endswith(
            "new.csv: column 'job': 30 of 30 cells hold no category that training learned: "
            "taken as unknown"
        )
    )


def test_the_positive_class_is_the_second(folder):
    found, turned = prepare(folder), prepare(folder, positive="no")
    assert turned.schema["classes"] == turned.schema["class_names"] == ["yes", "no"]
    np.testing.assert_array_equal(turned.y_test, 1 - found.y_test)
    assert turned.schema["train_counts"] == found.schema["train_counts"][::-1]
    frame = readers.read(folder / "train.csv")
    targets = data.labels_of(turned.schema, frame).targets
    np.testing.assert_array_equal(targets[turned.rows.train], turned.y_train)
    assert "has no class 'maybe'. Classes: 'no', 'yes'" in refusal(folder, positive="maybe")


def test_wishes_reach_the_columns(folder):
    found = prepare(
        folder,
        drop=["house"],
        columns={"key": "id", "age": "categorical"},
        one_hot_limit=3,
        embedding_size=5,
        missing=["clerk"],
    )
    assert found.schema["features"] == ["age", "job"]
    assert found.schema["identifiers"] == ["key", "house"]
    assert found.schema["missing"] == ["clerk"]
    assert found.schema["columns"][1]["categories"] == ["cook", "nurse"]
    ((slots, width),) = found.schema["embeddings"]
    assert (slots, width) == (len(found.schema["columns"][0]["categories"]) + 1, 5)
    assert found.x_train[:, -1].max() < slots
    assert found.warnings == ()


def test_no_target_lists_the_columns(folder):
    assert refusal(folder, target=None) == (
        "data.target: name the column of train.csv that holds the labels. Its columns: 'key', "
        "'age', 'job', 'house', 'pays'. Type data.target: pays"
    )


def test_a_group_stays_in_one_part(folder):
    found = prepare(folder, split={"group": "house"})
    assert found.schema["features"] == ["age", "job"]
    assert found.schema["identifiers"] == ["key", "house"]
    assert found.schema["split"]["group"] == "house"
    houses = [set((part // 4).tolist()) for part in found.rows]
    assert sum(map(len, houses)) == 30
    kept = prepare(folder, split={"group": "house"}, columns={"house": "numeric"})
    assert kept.schema["features"] == ["age", "job", "house"]
    np.testing.assert_array_equal(kept.rows.test, found.rows.test)
    frame = rows().assign(house=[None, *range(N - 1)])
    frame.to_csv(folder / "gap.csv", index=False)
    assert refusal(folder, train="gap.csv", split={"group": "house"}) == (
        "gap.csv: line 2: column 'house' is empty (1 such rows), and data.split.group needs the "
        "group of every row"
    )


def test_a_split_is_given_back_row_by_row(folder):
    found = prepare(folder, split={"seed": 5})
    (folder / "split.csv").write_text(split_file.as_csv(found.rows, N))
    again = prepare(folder, split={"file": "split.csv"})
    np.testing.assert_array_equal(again.x_train, found.x_train)
    np.testing.assert_array_equal(again.y_val, found.y_val)
    assert again.schema["split"]["sha256"] == found.schema["split"]["sha256"]
    assert refusal(folder, test="other.csv", split={"file": "split.csv"}) == (
        "split.csv: rows have the part 'test', and data.test is a file of its own; leave one of "
        "them out"
    )


def test_every_class_needs_training_rows(folder):
    parts = ["test" if i % 3 == 0 else "train" for i in range(N)]
    lines = "\n".join(f"{i},{part}" for i, part in enumerate(parts))
    (folder / "split.csv").write_text(f"row,part\n{lines}\n")
    assert refusal(folder, split={"file": "split.csv"}) == (
        "the training part (80 rows) has no row of class 'yes': 'no' (80 rows), 'yes' (0 rows); "
        "give more rows of it, another split, or leave the class out"
    )


def test_columns_of_labels_and_names_in_one_column(folder):
    frame = rows()
    names = np.array(["b|a", "a", "", "b"])[np.arange(N) % 4]
    frame.assign(tags=names).drop(columns="pays").to_csv(folder / "tags.csv", index=False)
    a, b = (np.array([label in cell for cell in names]).astype(int) for label in "ab")
    frame.assign(a=a, b=b).drop(columns="pays").to_csv(folder / "both.csv", index=False)
    one = prepare(folder, "multilabel", "tags.csv", target={"column": "tags", "separator": "|"})
    two = prepare(folder, "multilabel", "both.csv", target=["a", "b"])
    assert one.schema["classes"] == two.schema["classes"] == ["a", "b"]
    assert one.schema["target"] == {"columns": ["tags"], "separator": "|"}
    assert one.schema["features"] == two.schema["features"]
    np.testing.assert_array_equal(one.y_train, two.y_train)
    assert "30 of 120 rows have no label" in one.notes
    frame = readers.read(folder / "tags.csv")
    targets = data.labels_of(one.schema, frame).targets
    np.testing.assert_array_equal(targets[one.rows.test], one.y_test)


def test_columns_that_are_the_same_in_every_row(folder):
    rows().assign(age="", job="cook").to_csv(folder / "flat.csv", index=False)
    found = prepare(folder, train="flat.csv", columns={"age": "categorical"})
    assert found.schema["inputs"] == ["house"]
    assert found.schema["groups"] == {"age": [], "job": [], "house": [0]}
    assert found.notes[-1] == (
        "categorical columns of one value in all training rows, left out of the inputs: "
        "'age', 'job'"
    )
    assert refusal(folder, train="flat.csv", drop=["house"]) == (
        "no input is left: every column holds one value in all training rows"
    )


def test_arrays_take_wishes_too(tmp_path):
    x = np.column_stack([np.arange(60) % 3, RNG.normal(size=60), np.arange(60) // 6])
    np.savez(tmp_path / "a.npz", X=x, y=np.arange(60) % 2, feature_names=["kind", "size", "box"])
    found = data.prepare(
        "binary",
        train=tmp_path / "a.npz",
        columns={"kind": "categorical"},
        split={"group": "box"},
    )
    assert found.schema["inputs"] == ["size", "kind=0", "kind=1", "kind=2"]
    assert found.schema["target"]["columns"] == ["y"]
    assert not set(found.rows.train // 6) & set(found.rows.test // 6)
    encoded = data.encode_frame(found.schema, x[:, :2]).x
    np.testing.assert_array_equal(encoded[found.rows.test], found.x_test)


def test_missing_values_of_arrays(tmp_path):
    x = RNG.normal(size=(60, 2))
    x[::7, 1] = np.nan
    np.savez(tmp_path / "a.npz", X=x, y=np.arange(60) % 2)
    found = data.prepare("binary", train=tmp_path / "a.npz", test=tmp_path / "a.npz")
    assert found.schema["inputs"] == ["x0", "x1", "x1 is missing"]
    np.testing.assert_array_equal(found.x_test[:, 2], np.isnan(x[:, 1]))


def test_validation_rows_in_memory():
    x, y = RNG.normal(size=(50, 2)), np.arange(50) % 2
    found = data.from_frames(x, y, task="binary", validation=np.array([4, 9, 9]))
    assert found.rows.validation.tolist() == [4, 9]
    assert (len(found.x_train), len(found.x_test)) == (48, 0)
    for bad, said in (([50], "validation: row 50 of 50"), (range(50), "all 50 rows are held out")):
        with pytest.raises(DataError, match=said):
            data.from_frames(x, y, task="binary", validation=np.array(bad))
    with pytest.raises(DataError, match="y has 49 labels for the 50 rows of X"):
        data.from_frames(x, y[1:], task="binary")
