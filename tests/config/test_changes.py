"""What a resumed run may change of its config, and what it says of the rest."""

import copy
import json
import shlex
from typing import Any

import pytest

from jaxnet.config import load_config
from jaxnet.config.changes import FREE, Change, changes, is_free, plain_values, refuse_changes
from jaxnet.config.problems import dotted
from jaxnet.config.sections import field_at, keys
from jaxnet.errors import ConfigError

BASE = {"task": "binary", "data": {"source": "breast_cancer"}}


def config(*overrides: str) -> Any:
    return load_config(BASE, overrides)


def recorded(*overrides: str) -> dict[str, Any]:
    """The values as they come back from a file of JSON."""
    return json.loads(json.dumps(plain_values(config(*overrides))))


def refusals(old: dict[str, Any], *overrides: str) -> list[str]:
    try:
        refuse_changes(old, config(*overrides), where="runs/a")
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model.hidden=[8, 4]", "training.early_stopping=null"),
        ("optimizer.name=lion", "optimizer.clip_norm=1"),
        ("loss.class_weight={benign: 1, malignant: 2}", "decision.threshold=0.3"),
    ],
)
def test_the_same_config_changes_nothing(overrides: tuple[str, ...]) -> None:
    assert changes(recorded(*overrides), config(*overrides)) == []
    assert refusals(recorded(*overrides), *overrides) == []


def test_every_change_is_found_in_the_order_of_the_schema() -> None:
    found = changes(
        recorded(),
        config(
            *("training.early_stopping=null", "report=false", "optimizer.schedule.final=0.5"),
            *("checkpoints.keep=5", "model.hidden=[8]", "optimizer.learning_rate=1"),
        ),
    )
    assert found == [
        Change("model.hidden", [256, 256], [8]),
        Change("optimizer.learning_rate", 1e-3, 1.0),
        Change("optimizer.schedule.final", 0.0, 0.5),
        Change("training.early_stopping", {"metric": "log_loss", "patience": 16}, None),
        Change("checkpoints.keep", 3, 5),
        Change("report", True, False),
    ]


def test_a_section_that_was_null_is_one_change() -> None:
    found = changes(recorded("training.early_stopping=null"), config())
    assert [(change.key, change.old) for change in found] == [("training.early_stopping", None)]


def test_what_an_older_version_did_not_have_counts_as_its_default() -> None:
    old = recorded("optimizer.name=lion")
    del old["checkpoints"], old["training"]["on_nan"], old["optimizer"]["b2"]
    assert changes(old, config("optimizer.name=lion")) == []
    found = changes(old, config("optimizer.name=lion", "optimizer.b2=0.9", "checkpoints.keep=2"))
    assert found == [Change("optimizer.b2", 0.99, 0.9), Change("checkpoints.keep", 3, 2)]


def test_a_key_of_another_version_is_a_change() -> None:
    old = recorded()
    old["training"]["warp"] = {"speed": 9}
    old["magic"] = True
    assert changes(old, config()) == [
        Change("training.warp", {"speed": 9}, None),
        Change("magic", True, None),
    ]
    lines = refusals(old)
    assert [line.split(": ")[1] for line in lines] == ["training.warp", "magic"]
    assert all("resume with the version that began the run" in line for line in lines)


def test_values_are_compared_not_their_types() -> None:
    old = recorded("optimizer.clip_norm=1")
    old["optimizer"]["clip_norm"] = 1  # as another writer of JSON may put 1.0
    old["model"]["hidden"] = (256, 256)
    assert changes(old, config("optimizer.clip_norm=1")) == []


def test_free_keys_exist_and_are_free() -> None:
    known = {dotted(path) for path in keys()}
    assert known >= FREE
    free = {key for key in known if field_at(tuple(key.split("."))) and is_free(key)}
    assert {"checkpoints.keep", "checkpoints.every_seconds", "training.epochs", "report"} <= free
    assert not free & {"training", "data", "data.source", "data.split", "task", "training.seed"}
    assert not is_free("reporter")


def test_free_keys_are_not_refused() -> None:
    changed = ("training.epochs=65", "training.on_nan=skip", "training.skip_limit=2")
    changed += ("report=false", "checkpoints={every_steps: 5, keep: 2}")
    assert changes(recorded(), config(*changed)) != []
    assert refusals(recorded(), *changed) == []


def test_what_cannot_change_names_key_values_and_what_to_type() -> None:
    lines = refusals(recorded("model.hidden=[8, 4]"), "optimizer.learning_rate=0.01")
    assert lines == [
        "runs/a: model.hidden: was [8, 4], is [256, 256]; a resumed run keeps it: "
        "type 'model.hidden=[8, 4]', or start a new run with --run-dir DIR",
        "runs/a: optimizer.learning_rate: was 0.001, is 0.01; a resumed run keeps it: "
        "type optimizer.learning_rate=0.001, or start a new run with --run-dir DIR",
    ]


def test_what_is_to_be_typed_works() -> None:
    old = recorded("model.hidden=[8, 4]", "loss.class_weight={'it''s': 2}", "training.seed=4")
    typed = []
    for line in refusals(old):
        command = line.partition(": type ")[2].rpartition(", or start a new run")[0]
        typed += shlex.split(command)
    assert len(typed) == 3
    assert refusals(old, *typed) == []


def test_fewer_epochs_are_refused() -> None:
    (line,) = refusals(recorded(), "training.epochs=63")
    assert line.startswith("runs/a: training.epochs: was 64, is 63; a resumed run may be longer")
    assert "type training.epochs=64 or more" in line
    assert refusals(recorded(), "training.epochs=64") == []


def test_nothing_given_is_changed() -> None:
    old = recorded()
    before = copy.deepcopy(old)
    changes(old, config("training.seed=1"))
    assert old == before


def test_a_long_value_is_not_typed_again() -> None:
    long = "{" + ", ".join(f"a{i}: 1" for i in range(100)) + "}"
    (line,) = refusals(recorded(f"loss.class_weight={long}"))
    assert "give what config.resolved.yaml has" in line
    assert len(line) < 300
