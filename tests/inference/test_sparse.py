"""Runs on sparse rows: what is loaded, predicted and measured, by both heads."""

import csv
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import jaxnet
from jaxnet.data import sparse, sparse_sets, xc_reader
from jaxnet.errors import DataError, DataWarning, RunDirectoryError, UserError
from jaxnet.inference import Model, best, evaluate_file, predict_file
from jaxnet.inference import model as models
from tests.inference.test_loading import describe, edit
from tests.sparse_runs import FEATURES, HEADS, LABELS, Made, finished, make, write_npz, write_xc


@pytest.fixture(params=HEADS)
def made(request: pytest.FixtureRequest) -> Made:
    return finished(request.param)


@pytest.fixture
def model(made: Made) -> Model:
    return jaxnet.load(made.run)


def rows_of(path: Path) -> scipy.sparse.csr_array:
    return sparse.to_scipy(xc_reader.read(path).x)


def quiet(call, *words):  # type: ignore[no-untyped-def]
    """The result, though some rows have no features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return call(*words)


def test_rows_give_the_same_however_they_come(model: Model, made: Made) -> None:
    x = rows_of(made.test)
    expected = quiet(model.predict_proba, x)
    assert expected.shape == (150, LABELS)
    others = [x.tocoo(), scipy.sparse.csc_matrix(x), x.toarray(), xc_reader.read(made.test).x]
    for other in others:
        np.testing.assert_array_equal(quiet(model.predict_proba, other), expected)


def test_the_network_is_the_equations(model: Model, made: Made) -> None:
    x = rows_of(made.test).toarray()
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    (E, b), (W, b_last) = (map(np.asarray, layer) for layer in model.params.layers)
    a = np.maximum(x / np.where(lengths > 0, lengths, 1) @ E + b, 0)
    z = (a @ W.T + b_last) / model.description["temperature"]
    np.testing.assert_allclose(quiet(model.predict_proba, x), 1 / (1 + np.exp(-z)), rtol=1e-4)
    np.testing.assert_allclose(quiet(model.logits, x), z, rtol=1e-4, atol=1e-4)


def test_the_best_labels_are_those_of_the_probabilities(model: Model, made: Made) -> None:
    x = rows_of(made.test)
    p = quiet(model.predict_proba, x)
    found = quiet(model.top_k, x, 4)
    expected = np.argsort(-p, axis=1, kind="stable")[:, :4]
    assert found.labels.shape == found.probabilities.shape == (150, 4)
    of_labels = np.take_along_axis(p, found.labels, axis=1)
    np.testing.assert_allclose(found.probabilities, of_labels, atol=1e-6)
    np.testing.assert_allclose(found.probabilities, np.take_along_axis(p, expected, 1), atol=1e-6)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    assert quiet(model.top_k, x, LABELS).labels.shape == (150, LABELS)


def test_decisions_are_a_sparse_matrix_of_zeros_and_ones(model: Model, made: Made) -> None:
    x = rows_of(made.test)
    found = quiet(model.predict, x)
    assert isinstance(found, scipy.sparse.csr_array)
    assert (found.shape, found.dtype) == ((150, LABELS), np.int32)
    expected = quiet(model.predict_proba, x) >= np.asarray(model.thresholds)
    np.testing.assert_array_equal(found.toarray(), expected)
    assert 0 < found.sum() < found.shape[0] * LABELS


@pytest.mark.parametrize("number", [1, 64, 65, 130])
def test_a_row_does_not_depend_on_those_beside_it(
    model: Model, made: Made, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rows_of(made.test)
    expected = quiet(model.top_k, x, 3)
    some = quiet(model.top_k, x[:number], 3)
    np.testing.assert_allclose(some.probabilities, expected.probabilities[:number], atol=1e-6)
    np.testing.assert_array_equal(some.labels, expected.labels[:number])
    monkeypatch.setattr(best, "ROWS", 70)
    apart = quiet(model.top_k, x, 3)
    np.testing.assert_array_equal(apart.probabilities, expected.probabilities)


def test_no_rows_give_nothing(model: Model) -> None:
    x = np.zeros((0, FEATURES))
    assert model.predict_proba(x).shape == model.predict(x).shape == (0, LABELS)
    assert model.top_k(x, 2).labels.shape == (0, 2)


def test_rows_without_features_are_one_warning_that_points_at_the_call(model: Model) -> None:
    x = np.eye(FEATURES)
    x[[2, 5]] = 0
    for call in (model.predict_proba, model.predict, lambda x: model.top_k(x, 1)):
        with pytest.warns(DataWarning) as caught:
            call(x)
        assert str(caught[0].message) == f"X: 2 of {FEATURES} rows have no features"
        assert caught[0].filename == __file__


def test_all_probabilities_of_too_many_rows_are_refused(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = jaxnet.load(made.run), np.ones((5, FEATURES))
    monkeypatch.setattr(models, "_MOST", 4 * LABELS)
    if not model.keeps_no_logits:
        assert model.predict_proba(x).shape == (5, LABELS)
        return
    assert model.predict_proba(x[:4]).shape == (4, LABELS)
    with pytest.raises(UserError, match=r"5 rows have 60 .* of 12 labels; top_k\(x, k\) .* to 4 r"):
        model.predict_proba(x)
    assert model.top_k(x, 2).labels.shape == (5, 2)


@pytest.mark.parametrize("k", [0, -1, LABELS + 1, 2.0, True, "3", None])
def test_a_number_of_labels_that_cannot_be_shown(model: Model, k: object) -> None:
    with pytest.raises(UserError, match="is no number from 1 to 12; the model has 12 labels"):
        model.top_k(np.ones((1, FEATURES)), k)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.ones((2, FEATURES - 1)), "X: expected 30 columns as in training, given 29"),
        (scipy.sparse.csr_array(np.ones((2, 40))), "X: expected 30 columns .* given 40"),
        (np.full((2, FEATURES), np.nan), "not finite"),
        (np.ones(FEATURES), r"a sparse matrix or an array \(n, d\) of numbers is needed"),
        ([["a"] * FEATURES], r"a sparse matrix or an array \(n, d\) of numbers is needed"),
    ],
)
def test_rows_that_cannot_be_used(model: Model, x: object, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        model.predict(x)


def test_the_numbers_of_the_test_file_are_those_of_the_run(
    model: Model, made: Made, tmp_path: Path
) -> None:
    expected = json.loads((made.run / "metrics.json").read_text())["test"]
    found = evaluate_file(model, made.test)
    assert found.metrics == expected
    assert expected["psp_at_5"] is not None
    assert found.rows.warnings == ("1 of 150 rows have no features",)
    x, y = write_npz(tmp_path, made.test)
    assert evaluate_file(model, x, labels=y).metrics == expected
    bare = write_xc(tmp_path / "bare.txt", 150, seed=1, header=False)
    assert evaluate_file(model, bare).metrics == expected


def test_files_in_pieces_are_measured_alike(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = jaxnet.load(made.run)
    path, seen = write_xc(tmp_path / "long.txt", 500, seed=2), []
    whole = evaluate_file(model, path)
    monkeypatch.setattr(best, "ROWS", 128)
    apart = evaluate_file(model, path, progress=lambda *at: seen.append(at))
    # Losses are computed with room for the most labels of a row of the piece: another program.
    assert apart.metrics.pop("log_loss") == pytest.approx(whole.metrics.pop("log_loss"), rel=1e-6)
    assert apart == whole
    assert [rows for rows, _ in seen] == [128, 256, 384, 500]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_file_of_the_best_labels_by_name(model: Model, made: Made, tmp_path: Path) -> None:
    done = predict_file(model, made.test, tmp_path / "a.csv", top_k=3)
    pairs = [name for place in (1, 2, 3) for name in (f"label_{place}", f"p_{place}")]
    assert done.columns == ("prediction", *pairs)
    assert done.rows == (150, {}, ("1 of 150 rows have no features",))
    found, top = read(tmp_path / "a.csv"), quiet(model.top_k, rows_of(made.test), 3)
    decided = quiet(model.predict, rows_of(made.test)).toarray()
    for i, row in enumerate(found):
        assert row["prediction"] == ",".join(made.names[j] for j in np.flatnonzero(decided[i]))
        for place in range(3):
            assert row[f"label_{place + 1}"] == made.names[top.labels[i, place]]
            p = float(row[f"p_{place + 1}"])
            assert p == pytest.approx(top.probabilities[i, place], abs=1e-8)


def test_pieces_and_kinds_of_files_make_no_difference(
    model: Model, made: Made, tmp_path: Path
) -> None:
    table = xc_reader.read(made.test)
    features, _ = write_npz(tmp_path, made.test)
    np.savez(tmp_path / "dense.npz", X=sparse.to_scipy(table.x).toarray())
    bare = write_xc(tmp_path / "bare.txt", 150, seed=1, header=False)
    texts = []
    for path in (made.test, bare, features, tmp_path / "dense.npz"):
        for rows in (None, 7, 64):
            output = tmp_path / f"{len(texts)}.csv"
            done = predict_file(model, path, output, top_k=2, rows=rows)
            assert done.rows == (150, {}, ("1 of 150 rows have no features",))
            texts.append(
                [(row["prediction"], row["label_1"], row["label_2"]) for row in read(output)]
            )
    assert all(text == texts[0] for text in texts)


def test_labels_of_a_file_are_passed_over(model: Model, made: Made, tmp_path: Path) -> None:
    text = made.test.read_text().replace(f" {LABELS}\n", " 99999\n", 1)
    other = tmp_path / "other.txt"
    other.write_text(text.replace("\n1,", "\n98765,"))
    predict_file(model, made.test, tmp_path / "a.csv", top_k=1)
    predict_file(model, other, tmp_path / "b.csv", top_k=1)
    bare = tmp_path / "bare.txt"
    bare.write_text(other.read_text().partition("\n")[2])
    predict_file(model, bare, tmp_path / "c.csv", top_k=1)
    texts = [(tmp_path / name).read_text() for name in ("a.csv", "b.csv", "c.csv")]
    assert "98765" in bare.read_text()
    assert texts[0] == texts[1] == texts[2]


def test_without_k_five_are_shown_or_all(model: Model, made: Made, tmp_path: Path) -> None:
    done = predict_file(model, made.test, tmp_path / "a.csv")
    if model.keeps_no_logits:
        assert done.columns[-1] == "p_5"
        return
    assert done.columns == ("prediction", *(f"p({name})" for name in made.names))
    p = quiet(model.predict_proba, rows_of(made.test))
    found = [float(row["p(l3)"]) for row in read(tmp_path / "a.csv")]
    np.testing.assert_allclose(found, p[:, 3], atol=1e-8)


def test_labels_without_names_are_numbers(made: Made, tmp_path: Path) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    describe(run)
    edit(run / "schema.json", class_names=[str(label) for label in range(LABELS)])
    model = jaxnet.load(run)
    predict_file(model, made.test, tmp_path / "a.parquet", top_k=2)
    import pyarrow.parquet

    stored = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    top = quiet(model.top_k, rows_of(made.test), 2)
    assert stored.column("label_2").to_pylist() == top.labels[:, 1].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 31 12\n1 30:1\n1 2:1\n", "x.txt: 31 features, and the model was trained with 30"),
        ("2 29 12\n1 2:1\n1 2:1\n", "x.txt: 29 features, and the model was trained with 30"),
        ("2 30 13\n12 3:1\n1 2:1\n", "x.txt: 13 labels, and the model was trained with 12"),
        ("2 30\n3:1\n2:1\n", "x.txt: the rows have no labels. .*: jaxnet predict"),
        ("12 3:1\n1 2:1\n", "line 1: label 12 is out of range: there are 12 labels"),
        ("12\n1 2:1\n", "line 1: the first line must give three numbers"),
        ("1,12 3:1\n1 2:1\n", "line 1: label 12 is out of range: there are 12 labels, 0 to 11"),
        ("1,2 30:1\n1 2:1\n", "line 1: feature 30 is out of range: there are 30 features"),
    ],
)
def test_a_labelled_file_of_another_shape(
    model: Model, text: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=expected):
        evaluate_file(model, path)


def evaluate_file_says(model: Model, path: Path, **words: object) -> str:
    with pytest.raises(DataError) as caught:
        evaluate_file(model, path, **words)
    return str(caught.value)


def test_labels_that_are_missing_or_one_too_many(model: Model, made: Made, tmp_path: Path) -> None:
    x, y = write_npz(tmp_path, made.test)
    assert "in another file; name it: --labels FILE" in evaluate_file_says(model, x)
    assert "holds its labels itself" in evaluate_file_says(model, made.test, labels=y)
    scipy.sparse.save_npz(tmp_path / "more.npz", scipy.sparse.csr_matrix(np.eye(150, 13)))
    said = evaluate_file_says(model, x, labels=tmp_path / "more.npz")
    assert said.endswith("more.npz: 13 labels, and the model was trained with 12")
    np.savez(tmp_path / "d.npz", X=np.ones((2, FEATURES)), y=np.ones((2, LABELS)))
    assert "no sparse matrix" in evaluate_file_says(model, tmp_path / "d.npz")


def test_rows_of_another_kind_than_training_had(
    model: Model, made: Made, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    of_table = request.getfixturevalue("run")
    for call in (evaluate_file, predict_file):
        with pytest.raises(DataError, match="was trained on sparse rows; give it XC text"):
            call(model, table)
        with pytest.raises(DataError, match="sparse rows, and the model was trained on a table"):
            call(jaxnet.load(of_table), made.test)
    with pytest.raises(DataError, match=r"Y\.npz: labels in a file of their own belong to sparse"):
        evaluate_file(jaxnet.load(of_table), table, labels="Y.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": "dense"},
        {"inputs": None},
        {"head": "dense"},
        {"head": 3},
        {"embeddings": [[3, 4]]},
        {"sizes": [FEATURES, 15, LABELS]},
        {"sizes": [FEATURES - 1, 16, LABELS]},
        {"thresholds": [0.5]},
    ],
    ids=str,
)
def test_a_damaged_description_is_called_that(
    made: Made, tmp_path: Path, change: dict[str, object]
) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    describe(run, **change)
    with pytest.raises(RunDirectoryError, match=r"damaged .*make it again"):
        jaxnet.load(run)


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "asymmetric"},
        {"output_activation": "relu"},
        {"temperature": 2.0},
        {"thresholds": [0.5] * LABELS},
        {"head_weights": "bfloat16"},
        {"sizes": [FEATURES, LABELS]},
    ],
    ids=str,
)
def test_a_head_that_cannot_be(tmp_path: Path, change: dict[str, object]) -> None:
    run = shutil.copytree(finished("linear_blocks").run, tmp_path / "run")
    describe(run, **change)
    with pytest.raises(RunDirectoryError, match=r"model\.json: damaged .*make it again"):
        jaxnet.load(run)


@pytest.mark.parametrize(
    "change",
    [
        *({key: None} for key in ("kind", "width", "scale", "classes", "train_counts", "rows")),
        *({"kind": kind} for kind in ("dense", 3)),
        *({"width": width} for width in (FEATURES + 1, 0, "30", True)),
        *({"scale": scale} for scale in ("robust", None, 3)),
        *({"train_counts": counts} for counts in ([1] * (LABELS - 1), ["a"] * LABELS, 3)),
        {"train_counts": [-1] * LABELS},
        {"rows": {"train": 0}},
        {"class_names": ["a"]},
        {"target": {"columns": [], "separator": ""}},
    ],
    ids=str,
)
def test_a_damaged_schema_is_called_that(
    made: Made, tmp_path: Path, change: dict[str, object]
) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    describe(run)
    edit(run / "schema.json", **change)
    with pytest.raises(RunDirectoryError, match=r"schema\.json: damaged .*make it again"):
        jaxnet.load(run)


def test_names_of_labels_are_abbreviated_in_words(model: Model) -> None:
    assert repr(model).startswith("Model(multilabel, 30-16-12, classes 'l0', 'label 1, 1', 'l2',")
    many = model._replace(schema={**model.schema, "class_names": list(map(str, range(10**5)))})
    assert len(repr(many)) < 300
    assert sparse_sets.names_of(model.schema)[2] == "l2"


def test_an_average_of_narrow_weights_is_not_narrow_and_is_loaded(tmp_path: Path) -> None:
    narrow = {"model.head_weights": "bfloat16", "optimizer.ema": 0.9}
    of_average = make(tmp_path, "linear_blocks", **narrow)
    model = jaxnet.load(of_average.run)
    assert model.description["head_weights"] == "float32"
    assert model.params.layers[-1].W.dtype == np.float32
