"""Whole runs: what they leave, what they predict, how they refuse."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
import yaml

import jaxnet
from jaxnet.config import load_config
from jaxnet.errors import ConfigError, DataError, NonFiniteError, RunDirectoryError, UserError
from jaxnet.outputs.records import read_lines
from jaxnet.run import load_data
from jaxnet.training.calibration import fit_temperature
from jaxnet.training.metrics import KEYS, final_metrics
from jaxnet.training.thresholds import choose
from tests.tiers import thorough

SOURCES = {"binary": "breast_cancer", "multiclass": "digits", "multilabel": "digit_attributes"}
OUTPUTS = {"binary": 2, "multiclass": 10, "multilabel": 8}


def small(task="binary", **overrides):
    """A config of little work; overrides by dotted key."""
    config = {
        "task": task,
        "data": {"source": SOURCES[task]},
        "model": {"hidden": [16]},
        "training": {"epochs": 4},
        "report": False,
    }
    return load_config(config, overrides)


@pytest.fixture(scope="module", params=list(SOURCES))
def finished(request, tmp_path_factory):
    """One finished run of each task."""
    config = small(request.param, report=request.param == "binary")
    done = jaxnet.train(config, run_dir=tmp_path_factory.mktemp("runs") / "run", progress=False)
    return config, done


@pytest.mark.both
def test_a_run_leaves_what_the_contract_names(finished):
    config, done = finished
    left = {path.name for path in done.directory.iterdir()}
    assert left == {
        *("config.yaml", "config.resolved.yaml", "schema.json", "metrics.jsonl", "events.jsonl"),
        *("metrics.json", "evaluation.json", "split.csv", "model", "status.json"),
        *("checkpoints", ".lock"),
        *(["report.html"] if config.report else []),
    }
    assert json.loads((done.directory / "status.json").read_text())["state"] == "finished"
    metrics = json.loads((done.directory / "metrics.json").read_text())
    details = metrics.pop("details")
    assert metrics == done.metrics
    assert set(done.metrics) == set(details) == {"train", "validation", "test"}
    assert set(done.metrics["test"]) == set(KEYS[config.task])
    lines = read_lines(done.directory / "metrics.jsonl")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert not any("time" in key or "second" in key for line in lines for key in line)
    events = [line["event"] for line in read_lines(done.directory / "events.jsonl")]
    assert events[0] == "started"
    assert events[-1] == "finished"


@pytest.mark.both
def test_the_resolved_config_trains_the_same_model(finished, tmp_path):
    _, done = finished
    again = jaxnet.train(
        done.directory / "config.resolved.yaml", run_dir=tmp_path / "again", progress=False
    )
    assert again.metrics == done.metrics
    for name in ("model/model.safetensors", "model/model.json", "metrics.jsonl", "schema.json"):
        assert (again.directory / name).read_bytes() == (done.directory / name).read_bytes(), name


@pytest.mark.both
def test_metrics_describe_what_the_loaded_model_predicts(finished):
    config, done = finished
    model, data = jaxnet.load(done.directory), load_data(config)
    raw = _raw_rows(config, data)
    p = model.predict_proba(raw)
    assert p.shape == (len(raw), OUTPUTS[config.task])
    if config.task != "multilabel":
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    shown = p[:, 1] if config.task == "binary" else p
    thresholds = model.description["thresholds"]
    z = model.logits(raw)
    assert z.shape == (len(raw), OUTPUTS[config.task] if config.task != "binary" else 1)
    z = z[:, 0] if config.task == "binary" else z
    found = final_metrics(config.task, shown, data.y_test, logits=z, thresholds=thresholds)
    assert found == done.metrics["test"]
    # Where no probability rounds to 0 or 1 they say the same.
    by_p = final_metrics(config.task, shown, data.y_test, thresholds=thresholds)
    assert by_p == pytest.approx(found, rel=1e-9)
    codes = model.predict(raw)
    if config.task != "multilabel":
        assert set(codes) <= set(model.classes.tolist())
        assert np.mean(codes == model.classes[data.y_test.astype(int)]) == pytest.approx(
            done.metrics["test"]["accuracy"]
        )


def _raw_rows(config, data, part="test"):
    """The rows of a part before encoding."""
    from jaxnet.data import builtin

    return builtin.load(config.data.source).x[getattr(data.rows, part)]


def test_temperature_and_threshold_are_fitted_on_the_validation_rows(tmp_path):
    """Fitted to these rows once more, both are what the run has."""
    config = small(**{"decision.threshold": "f1"})
    done = jaxnet.train(config, run_dir=tmp_path / "run", progress=False)
    model, data = jaxnet.load(done.directory), load_data(config)
    p = model.predict_proba(_raw_rows(config, data, "validation"))[:, 1]
    temperature, threshold = (model.description[key] for key in ("temperature", "thresholds"))
    assert temperature != 1
    z = temperature * (np.log(p) - np.log1p(-p))
    found = fit_temperature(z, data.y_val, "binary", activation="sigmoid")
    assert found.temperature == pytest.approx(temperature, rel=1e-4)
    assert choose("binary", p, data.y_val, "f1").thresholds == pytest.approx(threshold, rel=1e-6)


def test_nothing_is_left_of_the_machine_or_the_time_in_the_model(finished):
    _, done = finished
    for name in ("model/model.safetensors", "model/model.json", "schema.json", "metrics.json"):
        content = (done.directory / name).read_bytes()
        assert os.fsencode(str(done.directory.parent)) not in content
        assert b"202" + b"6-" not in content


def test_a_loaded_model_refuses_other_columns(finished):
    _, done = finished
    model = jaxnet.load(done.directory)
    with pytest.raises(DataError, match=r"expected .* columns"):
        model.predict_proba(np.zeros((2, 3)))
    with pytest.raises(DataError, match="inf"):
        model.predict_proba(np.full((2, len(model.schema["features"])), np.inf))


def test_overrides_in_python_and_mappings_work(tmp_path):
    done = jaxnet.train(
        {"task": "binary", "data": {"source": "breast_cancer"}, "report": False},
        run_dir=tmp_path / "run",
        progress=False,
        **{"training.epochs": 2, "model.hidden": [4], "training.early_stopping": None},
    )
    resolved = yaml.safe_load((done.directory / "config.resolved.yaml").read_text())
    assert resolved["model"]["hidden"] == [4]
    assert resolved["training"]["early_stopping"] is None


def test_a_user_loss_trains_by_its_name(tmp_path):
    from jaxnet.nn.losses import ELEMENTWISE, make, register

    register(
        make(
            "exponential_margin",
            layout=ELEMENTWISE,
            activation="sigmoid",
            value=lambda z, y: jnp.sum(jnp.exp(-(2 * y - 1) * z / 4), axis=1),
            delta=lambda z, y: -(2 * y - 1) / 4 * jnp.exp(-(2 * y - 1) * z / 4),
        )
    )
    config = {"task": "binary", "data": {"source": "breast_cancer"}, "training": {"epochs": 5}}
    config["report"] = False
    done = jaxnet.train(
        config, run_dir=tmp_path / "run", progress=False, **{"loss.name": "exponential_margin"}
    )
    assert done.metrics["test"]["accuracy"] > 0.8


@pytest.mark.parametrize("loss", ["squared_error", *thorough("focal", "asymmetric")])
def test_every_loss_of_the_config_trains(loss, tmp_path):
    config = small("multilabel" if loss == "asymmetric" else "binary")
    overrides = {"loss.name": loss, "model.hidden": [64], "training.epochs": 15}
    done = jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **overrides)
    assert done.metrics["test"]["roc_auc"] > 0.75


def test_an_npz_by_path_with_its_own_test_rows(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(120, 4, 5), dtype=np.uint8)
    y = np.array(["cat", "dog", "emu"])[x[:, 0, 0] // 86]
    np.savez(tmp_path / "pets.npz", X_train=x[:90], y_train=y[:90], X_test=x[90:], y_test=y[90:])
    (tmp_path / "pets.yaml").write_text(
        "task: multiclass\ndata: {train: pets.npz}\nreport: false\n"
    )
    done = jaxnet.train(tmp_path / "pets.yaml", run_dir=tmp_path / "run", progress=False)
    model = jaxnet.load(done.directory)
    assert set(model.predict(x[:5])) <= {"cat", "dog", "emu"}
    assert done.metrics["test"]["accuracy"] > 0.5


def test_options_that_a_loss_of_ones_own_lacks_are_refused(tmp_path):
    from jaxnet.nn.losses import ELEMENTWISE, make, register

    register(
        make(
            "without_options",
            layout=ELEMENTWISE,
            activation="sigmoid",
            value=lambda z, y: jnp.sum((z - y) ** 2, axis=1),
            delta=lambda z, y: 2 * (z - y),
        )
    )
    config = {"task": "binary", "data": {"source": "breast_cancer"}}
    overrides = {"loss.name": "without_options", "loss.label_smoothing": 0.3}
    with pytest.raises(UserError, match=r"loss\.label_smoothing: without_options takes no such"):
        jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **overrides)


def test_a_data_frame_is_read_by_name(finished):
    config, done = finished
    model, data = jaxnet.load(done.directory), load_data(config)
    frame = pandas.DataFrame(_raw_rows(config, data), columns=model.schema["features"])
    expected = model.predict_proba(frame)
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(model.predict_proba(turned), expected)
    np.testing.assert_array_equal(model.predict_proba(frame.to_numpy()), expected)
    with pytest.raises(DataError, match="which the model was trained with"):
        model.predict_proba(frame.drop(columns=frame.columns[3]))


def test_a_model_whose_outputs_are_not_finite_is_never_saved(tmp_path):
    overrides = {"optimizer.learning_rate": 1e15, "training.epochs": 1}
    overrides |= {"training.batch_size": 1000, "model.last_layer": "same"}
    with pytest.raises(
        NonFiniteError, match=r"after step 1 the outputs of .* train rows are not finite"
    ):
        jaxnet.train(small(), run_dir=tmp_path / "run", progress=False, **overrides)
    assert not (tmp_path / "run/model").exists()


def test_an_existing_directory_is_never_overwritten(finished):
    config, done = finished
    before = {path: path.read_bytes() for path in done.directory.rglob("*") if path.is_file()}
    with pytest.raises(RunDirectoryError, match=r"run: this directory holds something"):
        jaxnet.train(config, run_dir=done.directory, progress=False)
    assert before == {p: p.read_bytes() for p in done.directory.rglob("*") if p.is_file()}


def test_a_run_that_is_not_finite_fails_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)) * 1e30, rng.integers(0, 2, 60)
    np.savez(tmp_path / "huge.npz", X=x, y=y)
    config = {"task": "binary", "data": {"train": str(tmp_path / "huge.npz"), "scale": "none"}}
    with pytest.raises(NonFiniteError, match="not finite at step") as caught:
        jaxnet.train(
            config,
            run_dir=tmp_path / "run",
            progress=False,
            **{"optimizer.learning_rate": 1e10, "loss.name": "squared_error"},
            **{"loss.activation": "identity", "model.last_layer": "same"},
        )
    assert caught.value.exit_code == 1
    assert set(caught.value.rows) <= set(range(60))
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert status["state"] == "failed"
    assert "not finite" in status["error"]
    with pytest.raises(RunDirectoryError, match="holds no model; its run is 'failed'"):
        jaxnet.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "error", "text"),
    [
        ({"data.source": "digitz"}, ConfigError, "did you mean 'digits'"),
        ({"loss.activation": "softmax"}, ConfigError, "belongs to one pair"),
        ({"training.epochs": "many"}, ConfigError, "training.epochs"),
    ],
)
def test_wrong_configs_leave_nothing_behind(tmp_path, overrides, error, text):
    config = {"task": "binary", "data": {"source": "breast_cancer"}}
    with pytest.raises(error, match=text):
        jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("y", "x", "text"),
    [
        (np.zeros(30, int), None, "one class"),
        (np.arange(29) % 2, None, "29"),
        (np.arange(30) % 3, None, "binary"),
        (None, np.inf, "row 3"),
    ],
)
def test_wrong_data_leaves_nothing_behind(tmp_path, y, x, text):
    features = np.random.default_rng(0).normal(size=(30, 2))
    if x is not None:
        features[3, 1] = x
    np.savez(tmp_path / "d.npz", X=features, y=np.arange(30) % 2 if y is None else y)
    with pytest.raises(DataError, match=text):
        jaxnet.train(
            {"task": "binary", "data": {"train": str(tmp_path / "d.npz")}},
            run_dir=tmp_path / "run",
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_a_second_run_with_other_rates_compiles_nothing(tmp_path, caplog):
    """The whole command's own programs, not only the training loop's."""
    jaxnet.train(small(), run_dir=tmp_path / "first", progress=False)
    rates = {
        "optimizer.learning_rate": 0.1,
        "optimizer.weight_decay": 0.3,
        "model.dropout": 0.4,
        "loss.label_smoothing": 0.2,
        "training.epochs": 3,
    }
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        jaxnet.train(small(), run_dir=tmp_path / "second", progress=False, **rates)
    compiled = [r.getMessage() for r in caplog.records if "Compiling" in r.getMessage()]
    assert not compiled
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        jax.jit(lambda x: x + len(tmp_path.name))(1.0)
    assert any("Compiling" in r.getMessage() for r in caplog.records)  # it would have been heard
