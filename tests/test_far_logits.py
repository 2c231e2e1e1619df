"""A run whose logits are beyond 1,000 is told the same, and rightly, wherever it is measured."""

import json

import numpy as np
import pandas
import pytest
from scipy.special import log_softmax, logsumexp
from sklearn.metrics import average_precision_score, roc_auc_score

import jaxnet
from jaxnet.inference import evaluate_file
from jaxnet.outputs.records import read_lines
from jaxnet.outputs.report.markup import figure_of

TARGETS = {"binary": "kind", "multiclass": "kind", "multilabel": ["a", "b", "c"]}


def table(task: str, rows: int, seed: int) -> pandas.DataFrame:
    """Labels that follow three columns, with mistakes that no line avoids."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    heard = x + rng.normal(size=x.shape)
    found = pandas.DataFrame(x, columns=["x", "y", "z"])
    if task == "binary":
        return found.assign(kind=np.where(heard[:, 0] > 0, "oak", "elm"))
    if task == "multiclass":
        return found.assign(kind=np.array(["ash", "elm", "oak"])[heard.argmax(axis=1)])
    return found.assign(**{name: (heard[:, k] > 0).astype(int) for k, name in enumerate("abc")})


@pytest.mark.parametrize("task", TARGETS)
def test_all_places_agree(task, tmp_path):
    table(task, 300, 0).to_csv(tmp_path / "train.csv", index=False)
    test = table(task, 200, 1)
    test.to_csv(tmp_path / "test.csv", index=False)
    config = {
        "task": task,
        "data": {
            "train": str(tmp_path / "train.csv"),
            "test": str(tmp_path / "test.csv"),
            "target": TARGETS[task],
            "split": {"validation": 0.3},
        },
        "model": {"hidden": [], "dropout": 0.0, "numeric_embedding": "none"},
        "optimizer": {"name": "adam", "learning_rate": 1000.0, "weight_decay": 0.0},
        "training": {"epochs": 2, "early_stopping": None},
        "decision": {"calibration": "none"},
    }
    done = jaxnet.train(config, run_dir=tmp_path / "run", progress=False)
    model, found = jaxnet.load(done.directory), done.metrics["test"]
    z = model.logits(test)
    assert np.abs(z).max() > 1000
    p = model.predict_proba(test)
    assert ((p == 0) | (p == 1)).any()

    if task == "multiclass":
        y = np.searchsorted(model.classes, test["kind"])
        loss = -log_softmax(z, axis=1)[np.arange(len(y)), y].mean()
        others = [logsumexp(np.delete(z, k, axis=1), axis=1) for k in range(3)]
        scores, true = z - np.stack(others, axis=1), np.eye(3)[y]
    else:
        true = (test[["kind"]] == "oak" if task == "binary" else test[["a", "b", "c"]]).to_numpy()
        loss, scores = np.logaddexp(0, np.where(true, -z, z)).mean(), z
    assert found["log_loss"] == pytest.approx(loss, rel=1e-12)
    assert loss > 10
    assert found["roc_auc"] == pytest.approx(roc_auc_score(true, scores), rel=1e-12)
    assert found["pr_auc"] == pytest.approx(average_precision_score(true, scores), rel=1e-12)
    assert 0.5 < found["roc_auc"] < 1

    of_epoch = read_lines(done.directory / "metrics.jsonl")[-1]
    validation = done.metrics["validation"]
    assert of_epoch["validation_log_loss"] == pytest.approx(validation["log_loss"], rel=1e-5)
    if task == "multilabel":
        at_one = validation["precision_at_1"]
        assert of_epoch["validation_precision_at_1"] == pytest.approx(at_one, rel=1e-5)
    assert evaluate_file(model, tmp_path / "test.csv").metrics == found

    recorded = json.loads((done.directory / "evaluation.json").read_text())
    assert recorded["parts"]["test"]["metrics"] == found
    curve = recorded["parts"]["test"]["roc"]
    page = (done.directory / "report.html").read_text()
    for name in ("log_loss", "roc_auc"):
        assert figure_of(found[name]) in page, name
    if task == "binary":
        assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(found["roc_auc"], abs=1e-3)


def test_temperature_is_in_what_is_measured(tmp_path):
    """Calibrated: log loss after calibration is that of the metrics, and of `Model.logits`."""
    table("binary", 400, 0).to_csv(tmp_path / "all.csv", index=False)
    config = {
        "task": "binary",
        "data": {"train": str(tmp_path / "all.csv"), "target": "kind"},
        "model": {"hidden": [], "dropout": 0.0, "numeric_embedding": "none"},
        "optimizer": {"name": "adam", "learning_rate": 300.0},
        "training": {"epochs": 2, "early_stopping": None},
        "report": False,
    }
    done = jaxnet.train(config, run_dir=tmp_path / "run", progress=False)
    found = json.loads((done.directory / "evaluation.json").read_text())["calibration"]
    model, validation = jaxnet.load(done.directory), found["parts"]["validation"]
    assert found["temperature"] == model.temperature > 10
    assert validation["after"]["log_loss"] == done.metrics["validation"]["log_loss"]
    of_epoch = read_lines(done.directory / "metrics.jsonl")[-1]["validation_log_loss"]
    assert validation["before"]["log_loss"] == pytest.approx(of_epoch, rel=1e-5)
    assert of_epoch > 10 * validation["after"]["log_loss"]
    split = pandas.read_csv(done.directory / "split.csv")
    rows = pandas.read_csv(tmp_path / "all.csv").iloc[split.row[split.part == "validation"]]
    z = model.logits(rows.drop(columns="kind"))[:, 0]
    costs = np.logaddexp(0, np.where(rows["kind"] == "oak", -z, z))
    assert costs.mean() == pytest.approx(done.metrics["validation"]["log_loss"], rel=1e-9)
