"""Loading: where a config comes from and what it remembers of that."""

import os
import pickle
from pathlib import Path

import pytest

from jaxnet.config import Config, load_config
from jaxnet.errors import ConfigError, UserError

pytestmark = pytest.mark.both

BASE = {"task": "binary", "data": {"source": "breast_cancer"}}


def test_task_and_data_are_enough() -> None:
    config = load_config(BASE)
    assert config.model.hidden == (256, 256)
    assert config.optimizer.name == "adamw"
    assert config.optimizer.learning_rate == 1e-3
    assert config.training.early_stopping is not None


def test_a_file_gives_directory_name_and_text(tmp_path: Path) -> None:
    path = tmp_path / "first.try.yaml"
    text = "# why\ntask: binary\ndata: {train: sub/a.npz, test: /b.npz}\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    config = load_config(path, check_files=False)
    assert (config.directory, config.name, config.text) == (tmp_path, "first.try", text)
    assert config.train_path == tmp_path / "sub" / "a.npz"
    assert config.test_path == Path("/b.npz")


def test_a_relative_file_gives_an_absolute_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text("task: binary\ndata: {source: breast_cancer}\n")
    monkeypatch.chdir(tmp_path)
    assert load_config("c.yaml").directory == tmp_path


def test_a_mapping_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(BASE)
    assert (config.directory, config.name) == (tmp_path, "config")
    assert config.text == "task: binary\ndata:\n  source: breast_cancer\n"


def test_a_config_can_be_loaded_again_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: binary\ndata: {source: breast_cancer}\noptimizer: {name: lion}\n")
    first = load_config(path)
    second = load_config(first, {"optimizer.name": "adam"})
    assert (first.optimizer.b2, second.optimizer.b2) == (0.99, 0.999)
    assert (second.directory, second.name, second.text) == (tmp_path, "c", first.text)


def test_a_config_does_not_change_and_can_be_pickled() -> None:
    config = load_config(BASE)
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 3
    copy = pickle.loads(pickle.dumps(config))
    assert isinstance(copy, Config)
    assert (copy.model_dump(), copy.directory) == (config.model_dump(), config.directory)


def test_losses_registered_in_process_are_names_too() -> None:
    given = {**BASE, "loss": {"name": "mine", "gamma": 2.0}}
    assert load_config(given, extra_losses=("mine",)).loss.name == "mine"
    with pytest.raises(ConfigError, match=r"did you mean 'mine'\?"):
        load_config({**BASE, "loss": {"name": "mien"}}, extra_losses=("mine",))
    with pytest.raises(ConfigError, match="unknown value 'mine'"):
        load_config(given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml:1:1: task: missing"),
        ("- task\n", "c.yaml:1:1: expected keys such as 'task: binary'"),
        ("task\n", "c.yaml:1:1: expected keys such as 'task: binary'"),
    ],
)
def test_a_file_without_keys(problems, text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def test_what_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    (tmp_path / "closed.yaml").write_text("task: binary\n")
    (tmp_path / "closed.yaml").chmod(0)
    for path, words in [
        (tmp_path / "absent" / "c.yaml", "no such file"),
        (tmp_path / "a.yaml", "a directory, not a file"),
        (tmp_path / ("n" * 300), "cannot be read: File name too long"),
        ("a\0b", r"a\\x00b: cannot be read: embedded null byte"),
        ("", "path of the config is empty"),
    ]:
        with pytest.raises(ConfigError, match=words):
            load_config(path)
    if os.geteuid() != 0:
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            load_config(tmp_path / "closed.yaml")


def test_a_config_error_is_a_value_error_with_exit_code_2() -> None:
    with pytest.raises(ValueError) as caught:
        load_config({})
    assert isinstance(caught.value, UserError)
    assert caught.value.exit_code == 2
    assert str(caught.value) == "\n".join(caught.value.problems)


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_config(BASE).task == "binary"
    with pytest.raises(ConfigError, match="no such file"):
        load_config("c.yaml")


def test_a_file_of_an_override_is_looked_for_from_here_first(tmp_path, monkeypatch) -> None:
    there, here = tmp_path / "configs", tmp_path / "here"
    for folder, files in ((there, ("a.csv", "b.csv")), (here, ("a.csv",))):
        folder.mkdir()
        for name in files:
            (folder / name).write_text("x,y\n1,0\n")
    (there / "c.yaml").write_text("task: binary\ndata: {train: a.csv, target: y}\n")
    monkeypatch.chdir(here)
    for overrides, expected in (
        ([], there / "a.csv"),
        (["data.train=a.csv"], here / "a.csv"),
        (["data.train=b.csv"], there / "b.csv"),
        ({"data.train": "a.csv"}, here / "a.csv"),
    ):
        assert load_config(there / "c.yaml", overrides).train_path == expected
    with pytest.raises(ConfigError, match="no such file"):
        load_config(there / "c.yaml", ["data.train=c.csv"])
