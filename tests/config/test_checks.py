"""What keys mean together."""

from pathlib import Path

import pytest

from jaxnet.config import load_config
from jaxnet.errors import ConfigError

SOURCES = {"binary": "breast_cancer", "multiclass": "digits", "multilabel": "digit_attributes"}


def found(task: str = "binary", **overrides: object) -> dict[str, str]:
    """The problems of a config, by key."""
    base = {"task": task, "data": {"source": SOURCES[task]}}
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    try:
        load_config(base, keys)
    except ConfigError as error:
        lines = [line.removeprefix("override: ") for line in error.problems]
        return {key: text for key, _, text in (line.partition(": ") for line in lines)}
    return {}


@pytest.mark.parametrize(
    ("task", "given", "refused"),
    [
        ("multiclass", {"loss__name": "cross_entropy"}, ""),
        ("multiclass", {"loss__name": "squared_error"}, ""),
        ("multiclass", {"loss__name": "focal"}, "loss.name"),
        ("multilabel", {"loss__name": "focal"}, ""),
        ("multiclass", {"loss__name": "asymmetric"}, "loss.name"),
        ("binary", {"loss__name": "asymmetric"}, ""),
        ("binary", {"data": {"source": "digits"}}, "data.source"),
        ("multilabel", {"data": {"source": "digits"}}, "data.source"),
        ("multiclass", {"data": {"source": "breast_cancer"}}, ""),
        ("binary", {"data": {"source": "digit_attributes"}}, "data.source"),
        ("binary", {"training__early_stopping__metric": "accuracy"}, ""),
        *(
            (task, {"training__early_stopping__metric": metric}, refused)
            for metric in ("micro_f1", "precision_at_1")
            for task, refused in (("multiclass", "training.early_stopping.metric"),
                                  ("multilabel", ""))
        ),
    ],
)  # fmt: skip
def test_losses_sets_and_metrics_belong_to_tasks(
    task: str, given: dict[str, object], refused: str
) -> None:
    assert set(found(task, **given)) == ({refused} if refused else set())


@pytest.mark.parametrize(
    ("task", "loss", "activation", "refused", "words"),
    [
        ("binary", "squared_error", "sigmoid", "", ""),
        ("binary", "squared_error", "tanh", "", ""),
        ("binary", "squared_error", "softmax", "loss.activation", "always 1"),
        ("multiclass", "squared_error", "softmax", "", ""),
        ("multilabel", "squared_error", "softmax", "loss.activation", "any number of labels"),
        ("binary", "cross_entropy", "sigmoid", "loss.activation", "applied twice"),
        ("multiclass", "cross_entropy", "softmax", "loss.activation", "applied twice"),
        ("multilabel", "asymmetric", "sigmoid", "loss.activation", "applied twice"),
        ("binary", "focal", "identity", "loss.activation", "belongs to one pair of loss"),
        ("multiclass", "cross_entropy", "sigmoid", "loss.activation", "belongs to one pair"),
        ("multiclass", "focal", "softmax", "loss.name", ""),  # one problem at a time
    ],
)
def test_only_squared_error_takes_an_activation(
    task: str, loss: str, activation: str, refused: str, words: str
) -> None:
    problems = found(task, loss__name=loss, loss__activation=activation, model__last_layer="same")
    assert set(problems) == ({refused} if refused else set())
    assert words in problems.get(refused, "")
    twice = "applied twice" in problems.get("loss.activation", "")
    assert twice == (words == "applied twice")


def test_relu_outputs_that_start_at_zero_are_refused() -> None:
    relu = {"loss__name": "squared_error", "loss__activation": "relu"}
    assert "no slope at 0" in found(**relu)["loss.activation"]
    assert found(**relu, model__last_layer="same") == {}


def test_weights_that_a_loss_does_not_take_point_to_what_the_task_has() -> None:
    given = {"loss__name": "squared_error", "loss__pos_weight": 2.0}
    assert found(**given)["loss.pos_weight"].endswith("use class_weight")
    assert "use cross_entropy" in found(**given, task="multilabel")["loss.pos_weight"]


@pytest.mark.parametrize(
    ("chosen", "options", "refused"),
    [
        ({"loss__name": "focal"}, {"loss__gamma": 2}, ()),
        ({"loss__name": "asymmetric"}, {"loss__gamma_neg": 4, "loss__clip": 0.1}, ()),
        ({}, {"loss__gamma": 2, "loss__clip": 0.1}, ("loss.gamma", "loss.clip")),
        ({"loss__name": "asymmetric"}, {"loss__gamma": 2}, ("loss.gamma",)),
        ({}, {"loss__label_smoothing": 0.1}, ()),
        ({"optimizer__name": "sgd"}, {"optimizer__momentum": 0.5}, ("optimizer.momentum",)),
        ({"optimizer__name": "momentum"}, {"optimizer__momentum": 0.5}, ()),
        ({"optimizer__name": "adam"}, {"optimizer__b2": 0.95}, ()),
        ({"optimizer__name": "rmsprop"}, {"optimizer__b2": 0.95}, ("optimizer.b2",)),
        ({"optimizer__name": "rmsprop"}, {"optimizer__b2": 0.999}, ()),
        ({}, {"optimizer__schedule__warmup": 0.2}, ("optimizer.schedule.warmup",)),
        (
            {"optimizer__schedule__name": "warmup_cosine"},
            {"optimizer__schedule__warmup": 0.2, "optimizer__schedule__final": 0.1},
            (),
        ),
    ],
)
def test_options_that_are_not_taken(
    chosen: dict[str, object], options: dict[str, object], refused: tuple[str, ...]
) -> None:
    assert set(found(**chosen, **options)) == set(refused)


def test_labels_are_averaged_only_where_a_row_has_labels() -> None:
    assert set(found("multiclass", loss__labels="mean")) == {"loss.labels"}
    assert found("multilabel", loss__labels="mean") == {}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"training__on_nan": "skip", "training__skip_limit": 3}, set()),
        ({"training__on_nan": "skip"}, set()),
        ({"training__on_nan": "stop", "training__skip_limit": 10}, set()),  # as dumped
        ({"training__skip_limit": 3}, {"training.skip_limit"}),
        ({"training__skip_limit": 0}, {"training.skip_limit"}),
        ({"training__on_nan": "ignore", "training__skip_limit": 3}, {"training.on_nan"}),
    ],
)
def test_a_limit_belongs_to_skipping(given: dict[str, object], refused: set[str]) -> None:
    assert set(found(**given)) == refused


def test_keys_of_files_do_not_go_with_a_built_in_set() -> None:
    files = {"test": "t.npz", "features": "A", "target": "y", "drop": ["a"], "positive": "b"}
    given = {"source": "breast_cancer", **files, "split": {"group": "g"}}
    expected = {f"data.{key}" for key in files} | {"data.split.group"}
    assert set(found(data=given)) == expected


def test_some_rows_must_be_left() -> None:
    assert "take all rows" in found(data__split={"validation": 0.5, "test": 0.5})["data.split"]


def test_with_a_test_file_the_test_fraction_is_unused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    data = {"train": tmp_path / "a.npz", "test": tmp_path / "a.npz"}
    assert found(data={**data, "split": {"validation": 0.5, "test": 0.6}}) == {}


@pytest.mark.parametrize("name", ["a.csv", "a.CSV.GZ", "a.parquet"])
def test_a_table_needs_a_target(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    given = {"train": tmp_path / name}
    assert "needs target" in found(data=given)["data"]
    assert found(data={**given, "target": "label"}) == {}


@pytest.mark.parametrize("name", ["a.npy", "a", "", "a.npz.zip"])
def test_other_files_are_refused(name: str) -> None:
    text = "expected a .csv, .csv.gz, .parquet, .npz or XC .txt file"
    assert text in found(data={"train": name})["data.train"]


@pytest.mark.parametrize(
    ("task", "given", "blamed"),
    [
        ("binary", {"target": ["a", "b"]}, "data.target"),
        ("multiclass", {"target": {"column": "a", "separator": "|"}}, "data.target"),
        ("multilabel", {"target": "a"}, "data.target"),
        ("multiclass", {"target": "a", "positive": "yes"}, "data.positive"),
        ("binary", {"target": "a", "drop": ["b", "a"]}, "data.drop"),
        ("multilabel", {"target": {"column": "a", "separator": "|"}, "drop": ["a"]}, "data.drop"),
        ("binary", {"target": "a", "split": {"file": "FILE", "group": "g"}}, "data.split.group"),
        ("binary", {"target": "a", "split": {"file": "FILE"}, "test": "FILE"}, "data.test"),
        ("binary", {"target": "a", "test": "a.npz"}, "data.test"),
    ],
)
def test_keys_of_tables(task: str, given: dict[str, object], blamed: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.touch()
    (tmp_path / "a.npz").touch()
    full = with_paths({"train": "FILE", **given}, tmp_path)
    assert set(found(task, data=full)) == {blamed}


def with_paths(given: dict[str, object], folder: Path) -> dict[str, object]:
    """The word FILE as the path of a file that exists; a.npz likewise."""
    paths = {"FILE": str(folder / "rows.csv"), "a.npz": str(folder / "a.npz")}
    return {
        key: with_paths(value, folder) if isinstance(value, dict) else paths.get(str(value), value)
        for key, value in given.items()
    }


@pytest.mark.parametrize("given", [{"columns": {"a": "id"}}, {"drop": ["a"]}, {"missing": ["?"]}])
def test_arrays_have_no_columns_to_name(given: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.npz").touch()
    data = {"train": tmp_path / "a.npz", **given}
    assert set(found(data=data)) == {f"data.{next(iter(given))}"}


@pytest.mark.parametrize(
    ("task", "changes", "blamed"),
    [
        ("multiclass", {"loss.pos_weight": 2.0}, "loss.pos_weight"),
        ("binary", {"loss.name": "squared_error", "loss.pos_weight": 2.0}, "loss.pos_weight"),
        ("multilabel", {"loss.class_weight": "balanced"}, "loss.class_weight"),
        ("multiclass", {"decision.threshold": 0.3}, "decision.threshold"),
        ("multilabel", {"decision.threshold": "cost"}, "decision.threshold"),
        ("binary", {"decision.cost.false_negative": 5}, "decision.cost"),
        (
            "binary",
            {
                "decision.threshold": "cost",
                "decision.cost": {"false_positive": 0, "false_negative": 0},
            },
            "decision.cost",
        ),
    ],
)
def test_weights_and_decisions(task: str, changes: dict[str, object], blamed: str) -> None:
    sources = {"binary": "breast_cancer", "multiclass": "digits", "multilabel": "digit_attributes"}
    base = {"task": task, "data": {"source": sources[task]}}
    with pytest.raises(ConfigError, match=rf"override: {blamed}"):
        load_config(base, changes)


def test_files_must_exist(tmp_path: Path) -> None:
    (tmp_path / "d.npz").mkdir()
    data = {"train": tmp_path / "a.npz", "test": tmp_path / "d.npz"}
    problems = found(data=data)
    assert problems["data.train"].startswith("no such file: ")
    assert problems["data.test"].startswith("a directory, not a file: ")
    assert "no such file" in found(data={"train": "a\0.npz"})["data.train"]
    assert "no such file" in found(data={"train": "n" * 5000 + ".npz"})["data.train"]
    load_config({"task": "binary", "data": data}, check_files=False)


def test_a_check_keeps_quiet_about_keys_with_problems_of_their_own() -> None:
    assert set(found(loss={"nam": "focal", "gamma": 2})) == {"loss.nam"}
    assert set(found(task="multiclass", loss={"name": "focl", "gamma": 2})) == {"loss.name"}
    assert set(found(data={"sorce": "digits"})) == {"data.sorce"}
