"""Help and config errors answer at once: nothing heavy is imported for them."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.both
HEAVY = ("jax", "jaxlib", "numpy", "scipy", "sklearn", "matplotlib", "optax", "pyarrow", "rich")
PROBE = """
import sys
from jaxnet.cli.main import main

code = main(sys.argv[2:])
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
print(code, ",".join(loaded), file=sys.__stderr__)
"""


def loaded(words: list[str], watched: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """[exit code, names of the watched modules that the call imported]."""
    command = [sys.executable, "-c", PROBE, ",".join(watched), *words]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": root},
    )
    return done.stderr.splitlines()[-1].split(" ")


@pytest.mark.parametrize(
    "words",
    [
        *([command, "--help"] for command in ("train", "evaluate", "predict", "report")),
        *(["debug"], ["runs", "a", "b"], ["runs", "--help"], ["debug", "--help"]),
        *(["--help"], ["--version"], ["trian"], ["predict", "run"], ["train", "--resume"]),
    ],
)
def test_help_imports_no_config_either(words: list[str], environment: dict[str, str]) -> None:
    code = "0" if words[-1] in ("--help", "--version") else "2"
    assert loaded(words, (*HEAVY, "pydantic", "yaml"), environment) == [code, ""]


@pytest.mark.parametrize(
    ("words", "code"),
    [(["runs", "."], "0"), (["debug", "."], "2"), (["train", "--resume", "--run-dir", "."], "2")],
)
def test_what_became_of_runs_is_told_without_jax(
    words: list[str], code: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    directory = str(tmp_path)
    words = [directory if word == "." else word for word in words]
    assert loaded(words, HEAVY, environment) == [code, ""]


@pytest.mark.parametrize("command", [["train"], ["config", "check"], ["config", "show"]])
def test_config_errors_import_nothing_heavy(
    command: list[str], config: Path, environment: dict[str, str]
) -> None:
    words = [*command, str(config), "training.epochs=0"]
    assert loaded(words, HEAVY, environment) == ["2", ""]


def test_the_probe_can_fail(config: Path, environment: dict[str, str]) -> None:
    words = ["config", "check", str(config)]
    assert loaded(words, ("pydantic", "numpy"), environment) == ["0", "pydantic"]
