"""Whole runs of tables: from a CSV file to predictions on new rows, decisions and weights."""

import json

import numpy as np
import pandas
import pytest

import jaxnet
from jaxnet.errors import ConfigError, DataError
from jaxnet.training.metrics import final_metrics

ROWS = 400
QUICK = {"model.hidden": [16], "training.epochs": 6, "report": False}


def people(rows: int = ROWS, seed: int = 0) -> pandas.DataFrame:
    """Numbers with gaps, categories few and many, a key, a rare class, two labels and tags."""
    rng = np.random.default_rng(seed)
    age, wage = rng.integers(18, 80, rows), rng.lognormal(10, 1, rows).round(2)
    job = rng.choice([f"job {i}" for i in range(20)], rows)
    town = rng.choice(["Åre", "Lund"], rows)
    score = (age - 49) / 15 + (town == "Lund") + rng.normal(0, 0.7, rows)
    return pandas.DataFrame(
        {
            "key": [f"p{i:05d}" for i in range(rows)],
            "age": np.where(rng.random(rows) < 0.1, np.nan, age),
            "wage": wage,
            "job": job,
            "town": town,
            "bought": np.where(score > 1, "yes", "no"),
            "old": (age > 50).astype(int),
            "southern": (town == "Lund").astype(int),
            "tags": [
                "|".join(name for name, holds in (("old", a > 50), ("south", t == "Lund")) if holds)
                for a, t in zip(age, town, strict=True)
            ],
        }
    )


LABELS = ["bought", "old", "southern", "tags"]
TASKS = {
    "binary": ("binary", "bought"),
    "multiclass": ("multiclass", "bought"),
    "columns of labels": ("multilabel", ["old", "southern"]),
    "tags": ("multilabel", {"column": "tags", "separator": "|"}),
}


def config(folder, task="binary", target="bought", **data):
    """A config for the table in the folder; what is not the target's is dropped."""
    people().to_csv(folder / "people.csv", index=False)
    own = target if isinstance(target, list) else [target] if isinstance(target, str) else ["tags"]
    drop = [name for name in LABELS if name not in own]
    return {
        "task": task,
        "data": {"train": str(folder / "people.csv"), "target": target, "drop": drop, **data},
    }


@pytest.fixture(scope="module", params=TASKS)
def finished(request, tmp_path_factory):
    """One finished run of each kind of target, and the folder of its table."""
    folder = tmp_path_factory.mktemp("table")
    task, target = TASKS[request.param]
    changes = {**QUICK, "report": True, "training.epochs": 30}
    done = jaxnet.train(
        config(folder, task, target), run_dir=folder / "run", progress=False, **changes
    )
    return task, folder, done


def test_a_table_trains_to_what_its_columns_say(finished):
    task, _, done = finished
    metric = {"binary": "roc_auc", "multiclass": "roc_auc", "multilabel": "micro_f1"}[task]
    assert done.metrics["test"][metric] > 0.75
    schema = json.loads((done.directory / "schema.json").read_text())
    assert schema["embeddings"] == [[21, 8]]  # 20 jobs and the slot of unseen ones
    assert "key" in schema["identifiers"]
    assert "age is missing" in schema["inputs"]
    page = (done.directory / "report.html").read_text()
    assert "Permutation importance" in page
    assert "Gradient proof" in page


def test_new_rows_by_name_in_any_order_give_the_metrics_of_the_run(finished):
    task, folder, done = finished
    model = jaxnet.load(done.directory)
    split = pandas.read_csv(done.directory / "split.csv")
    held_out = people().iloc[split.row[split.part == "test"]]
    features = held_out.drop(columns=LABELS)
    p = model.predict_proba(features[features.columns[::-1]])
    truth = _targets(task, folder, done, held_out)
    shown = p[:, 1] if task == "binary" else p
    found = final_metrics(task, shown, truth, thresholds=model.description["thresholds"])
    for name, value in done.metrics["test"].items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def _targets(task, folder, done, rows):
    if task != "multilabel":
        return (rows["bought"] == "yes").to_numpy().astype(int)
    return rows[["old", "southern"]].to_numpy()


def test_missing_and_new_values_are_met_without_surprises(finished):
    _, _, done = finished
    model = jaxnet.load(done.directory)
    rows = people(3).drop(columns=LABELS)
    rows.loc[0, "age"] = np.nan
    rows.loc[1, "job"] = "astronaut"
    with pytest.warns(UserWarning, match="'job'"):
        p = model.predict_proba(rows)
    assert np.isfinite(p).all()
    with pytest.raises(DataError, match="'wage'"):
        model.predict_proba(rows.drop(columns="wage"))
    with pytest.raises(DataError, match="'lots'"):
        model.predict_proba(rows.astype({"wage": object}).assign(wage="lots"))


def test_a_recorded_split_gives_the_same_run_again(finished, tmp_path):
    task, folder, done = finished
    target = next(target for of, target in TASKS.values() if of == task)
    if task == "multilabel":
        return  # the target of this run is one of two; the other tasks tell as much
    split = {"split": {"file": str(done.directory / "split.csv")}}
    changes = {**QUICK, "training.epochs": 30}
    again = jaxnet.train(
        config(folder, task, target, **split), run_dir=tmp_path / "run", progress=False, **changes
    )
    assert again.metrics == done.metrics


def train(folder, given, name="run", **changes):
    return jaxnet.train(given, run_dir=folder / name, progress=False, **{**QUICK, **changes})


def evaluation(done):
    return json.loads((done.directory / "evaluation.json").read_text())


def test_the_named_class_is_the_positive_one(tmp_path):
    done = train(tmp_path, config(tmp_path, positive="no"))
    model = jaxnet.load(done.directory)
    assert model.classes.tolist() == ["yes", "no"]


def test_thresholds_and_costs(tmp_path):
    given = config(tmp_path)
    fixed = train(tmp_path, given, "fixed", **{"decision.threshold": 0.9})
    assert evaluation(fixed)["decision"]["threshold"] == 0.9
    costs = {"decision.threshold": "cost", "decision.cost.false_negative": 50}
    dear = train(tmp_path, given, "dear", **costs)
    assert evaluation(dear)["decision"]["tuned_for"] == "cost"
    (_, few), (_, many) = (
        evaluation(run)["parts"]["test"]["confusion"][1] for run in (fixed, dear)
    )
    assert many > few  # missing a positive row is dear, so hardly one is missed


def test_weights_move_the_decisions_towards_the_rare_class(tmp_path):
    given = config(tmp_path)
    plain = train(tmp_path, given, "plain")
    for name, changes in {
        "balanced": {"loss.class_weight": {"no": 1, "yes": 20}},
        "positive": {"loss.pos_weight": 20},
    }.items():
        weighted = train(tmp_path, given, name, **changes, **{"decision.calibration": "none"})
        said = [sum(evaluation(run)["parts"]["test"]["confusion"][k][1] for k in (0, 1))
                for run in (plain, weighted)]  # fmt: skip
        assert said[1] > said[0], name


def test_a_recorded_split_may_hold_out_nothing(tmp_path):
    parts = np.where(np.arange(ROWS) < 300, "train", "test")
    pandas.DataFrame({"row": range(ROWS), "part": parts}).to_csv(
        tmp_path / "split.csv", index=False
    )
    costs = {"decision.threshold": "cost", "decision.cost.false_negative": 4}
    given = config(tmp_path, split={"file": str(tmp_path / "split.csv")})
    done = train(tmp_path, given, **costs, report=True)
    assert done.metrics["test"]["roc_auc"] > 0.5
    assert set(done.metrics["validation"].values()) == {None}
    found = evaluation(done)
    assert found["parts"]["validation"]["undefined"]["log_loss"] == "no rows"
    assert found["calibration"] == {"method": "none", "reason": "no rows were held out"}
    assert found["decision"] == {
        "rule": "threshold", "tuned_for": None, "threshold": 0.2, "reason": "no rows were held out"
    }  # fmt: skip
    assert "no row has the part 'validation'" in (done.directory / "events.jsonl").read_text()
    assert "nothing is calibrated" in (done.directory / "report.html").read_text()


def test_groups_stay_together(tmp_path):
    done = train(tmp_path, config(tmp_path, split={"group": "job"}))
    split = pandas.read_csv(done.directory / "split.csv").assign(job=people()["job"])
    assert (split.groupby("job")["part"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ({"target": "bougt"}, DataError, "did you mean 'bought'"),
        ({"columns": {"town": "numeric"}}, DataError, "line"),
        ({"columns": {"towns": "numeric"}}, DataError, "did you mean 'town'"),
        ({"drop": ["kee"]}, DataError, "did you mean 'key'"),
        ({"positive": "maybe"}, DataError, "maybe"),
        ({"target": "wage"}, DataError, "regression"),
        ({"columns": {"town": "number"}}, ConfigError, "valid: numeric, categorical, id"),
    ],
)
def test_mistakes_in_the_data_section_leave_nothing_behind(tmp_path, data, error, text):
    given = config(tmp_path)
    given["data"] |= data
    with pytest.raises(error, match=text):
        train(tmp_path, given)
    assert not (tmp_path / "run").exists()


def test_wrong_names_of_weights_are_refused(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'yes'"):
        train(tmp_path, config(tmp_path), **{"loss.class_weight": {"yess": 2}})
    assert not (tmp_path / "run").exists()
