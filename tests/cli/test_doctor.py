"""The doctor finds an installation sound, and names what is not, with the fix to type."""

import argparse
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.cli import doctor
from jaxnet.errors import RunFailed
from jaxnet.training import selfcheck


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_CHECK_SECONDS", 0.01)


def command(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    jaxnet = Path(sys.executable).with_name("jaxnet")
    return subprocess.run(
        [jaxnet, "doctor", *words], capture_output=True, text=True, env=environment, timeout=60
    )


@pytest.mark.both
@pytest.mark.optimised
def test_this_installation_is_sound(environment: dict[str, str]) -> None:
    done = command(environment, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    findings = json.loads(done.stdout)
    assert findings["ok"]
    assert findings["problems"] == []
    assert findings["versions"]["jaxlib"] == importlib.metadata.version("jaxlib")
    assert findings["devices"][0]["platform"] == "cpu"
    assert findings["sums"]["ok"]
    assert findings["cache"]["damaged"] == []
    assert findings["extras"]["dev"] == {
        "for": "the tests, and tables of pandas and polars",
        "missing": [],
        "install": None,
    }


@pytest.mark.usefixtures("quick")
def test_the_text_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(argparse.Namespace(json=False)) == 0
    lines = capsys.readouterr().out.splitlines()
    for section in (
        "versions",
        "devices",
        "sums",
        "compilation cache",
        "extras (from the checkout)",
    ):
        assert section in lines
    assert lines[-1] == "all is well"


@pytest.mark.usefixtures("quick")
def test_wrong_sums_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(**_: object) -> list[str]:
        raise RunFailed("jaxlib 9 returns wrong sums; pip install another")

    monkeypatch.setattr(selfcheck, "selfcheck", wrong)
    assert doctor.run(argparse.Namespace(json=False)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  WRONG with jaxlib") for line in lines)
    assert "problem: jaxlib 9 returns wrong sums; pip install another" in lines
    assert lines[-1] == "1 to mend, see above"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["matplotlib", "jaxlib"])
def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    version = importlib.metadata.version

    def missing(package: str) -> str:
        if package == name:
            raise importlib.metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    findings = doctor.examine()
    assert findings["problems"] == [f"{name} is missing; in the checkout, type: scripts/setup"]
    assert (findings["sums"] is None) == (name == "jaxlib")
    assert "missing" in doctor.as_text(findings)


def test_a_platform_that_is_not_here(environment: dict[str, str]) -> None:
    done = command(environment | {"JAX_PLATFORMS": "tpu_of_nobody"})
    assert done.returncode == 1
    assert "problem: JAX finds no device: " in done.stdout
    assert "try: JAX_PLATFORMS= jaxnet doctor" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("quick")
def test_the_cache_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from jaxnet.training import compilation_cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "(not made yet)" in doctor.as_text(doctor.examine())
    folder = tmp_path / "jaxnet" / compilation_cache.processor()
    folder.mkdir(parents=True)
    (folder / "jit_f-cache").write_bytes(b"\x78\x9c")
    findings = doctor.examine()
    assert findings["cache"]["damaged"] == ["jit_f-cache"]
    assert findings["warnings"] == [
        "entries of the compilation cache cut short: 1; the next run deletes them"
    ]
    assert findings["ok"]


@pytest.mark.usefixtures("quick")
def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    [warning] = doctor.examine()["warnings"]
    assert "cannot be written" in warning
    assert "Set XDG_CACHE_HOME" in warning


@pytest.mark.usefixtures("quick")
def test_a_missing_extra_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_EXTRAS", {"gpu": ("nothing", ("no_such_module",))})
    text = doctor.as_text(doctor.examine())
    assert "nothing: missing no_such_module" in text
    assert ".venv/bin/python -m pip install --editable '.[gpu]'" in text


def test_the_extras_are_those_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert list(doctor._EXTRAS) == list(project["optional-dependencies"])
