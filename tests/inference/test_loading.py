"""What is loaded is checked: damage is called that, and never a KeyError."""

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import jaxnet
from jaxnet.errors import RunDirectoryError
from jaxnet.outputs import model_file, records
from tests.run_maker import make_run


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
    head["schema"] = None  # the checks behind the digests are looked at
    head.pop("digest")
    head["digest"] = records.digest(head)
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
        *({"head_weights": value} for value in ("float16", 32, ["bfloat16"])),
        *({"temperature": value} for value in (0, -1.5, "warm", True, [1.0])),
        *({"thresholds": value} for value in ("half", [0.5], [0.5] * 7 + ["x"], {"a": 1})),
        *({"embeddings": value} for value in ([[3]], [[3, 4]], [["a", "b"]], 5)),
    ],
    ids=str,
)
def test_a_damaged_description_is_called_that(fresh: Path, change: dict[str, object]) -> None:
    describe(fresh, **change)
    with pytest.raises(RunDirectoryError, match=r"model\.json: damaged .*make it again"):
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
    describe(fresh)
    edit(fresh / "schema.json", **change)
    with pytest.raises(RunDirectoryError, match=r"schema\.json: damaged .*make it again"):
        jaxnet.load(fresh)


@pytest.mark.parametrize("name", ["schema.json", "model/model.json"])
def test_a_digit_that_has_changed_is_noticed(fresh: Path, name: str) -> None:
    sound = (fresh / name).read_text()
    places = [place for place, sign in enumerate(sound) if sign == "1"]
    for place in places[:: max(1, len(places) // 40)]:
        (fresh / name).write_text(f"{sound[:place]}2{sound[place + 1 :]}")
        with pytest.raises(RunDirectoryError):
            jaxnet.load(fresh)
    (fresh / name).write_text(sound)
    jaxnet.load(fresh)


@pytest.mark.parametrize("content", ["[]", "3", '{"format": 1}', "{}", "null"])
def test_a_schema_of_another_kind(fresh: Path, content: str) -> None:
    (fresh / "schema.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"(make it|train) again"):
        jaxnet.load(fresh)


def test_a_schema_of_an_older_version(fresh: Path) -> None:
    edit(fresh / "schema.json", format=1)
    with pytest.raises(RunDirectoryError, match=r"format 1, and this version .* train again"):
        jaxnet.load(fresh)


def test_a_model_and_a_schema_of_two_runs(fresh: Path, run: Path) -> None:
    shutil.copy(run / "schema.json", fresh)
    with pytest.raises(RunDirectoryError, match="its task is not the model's"):
        jaxnet.load(fresh)


def test_a_schema_that_was_changed_in_a_way_that_still_fits(fresh: Path) -> None:
    names = json.loads((fresh / "schema.json").read_text())["class_names"]
    edit(fresh / "schema.json", class_names=names[::-1])
    with pytest.raises(RunDirectoryError, match="not the one that the model had"):
        jaxnet.load(fresh)


@pytest.mark.parametrize("status", ['{"state": "running"}', '{"state": "failed"}'])
def test_a_run_without_a_model(fresh: Path, status: str) -> None:
    (fresh / "model" / model_file.DESCRIPTION).unlink()
    (fresh / "status.json").write_text(status)
    with pytest.raises(
        RunDirectoryError, match=r"holds no model; its run is .*; to go on: jaxnet train"
    ):
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


def test_bfloat16_is_taken_for_the_weights_of_a_head_that_says_so(fresh: Path) -> None:
    saved = model_file.load(fresh / "model")
    *_, before, head = sorted(name for name in saved.arrays if name.endswith(".W"))

    def save(said: dict[str, str], *names: str) -> None:
        rounded = {name: saved.arrays[name].astype(ml_dtypes.bfloat16) for name in names}
        model_file.save(fresh / "model", saved.arrays | rounded, saved.description | said)

    kept = {"head_weights": "bfloat16"}
    save(kept, head)
    network = jaxnet.load(fresh).params
    dtypes = [str(layer.W.dtype) for layer in network.layers]
    assert dtypes == ["float32"] * (len(dtypes) - 1) + ["bfloat16"]
    expected = saved.arrays[head].astype(ml_dtypes.bfloat16)
    assert np.asarray(network.layers[-1].W).tobytes() == expected.tobytes()
    for said, names, wrong in (
        ({}, [head], f"{head} is bfloat16, not float32"),
        ({"head_weights": "float32"}, [head], f"{head} is bfloat16, not float32"),
        (kept, [], f"{head} is float32, not bfloat16"),
        (kept, [before, head], f"{before} is bfloat16, not float32"),
        (kept, [head, head.replace("W", "b")], "b is bfloat16, not float32"),
    ):
        save(said, *names)
        with pytest.raises(RunDirectoryError, match=wrong):
            jaxnet.load(fresh)
    rounded = saved.arrays[head].astype(ml_dtypes.bfloat16)
    rounded.flat[3] = np.inf
    model_file.save(fresh / "model", saved.arrays | {head: rounded}, saved.description | kept)
    with pytest.raises(RunDirectoryError, match="holds numbers that are not finite"):
        jaxnet.load(fresh)


def test_parameters_that_are_not_finite(fresh: Path) -> None:
    saved = model_file.load(fresh / "model")
    saved.arrays["layers.0.W"].flat[3] = np.nan
    model_file.save(fresh / "model", saved.arrays, saved.description)
    with pytest.raises(RunDirectoryError, match=r"layers\.0\.W holds numbers that are not finite"):
        jaxnet.load(fresh)
