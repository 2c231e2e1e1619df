"""The package as a whole: its lazy front, its metadata, its pinned versions, its scripts."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import jaxnet

pytestmark = pytest.mark.both

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def imported_by(statement: str) -> set[str]:
    """The names of the modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import jaxnet; dir(jaxnet); jaxnet.errors",
        "import jaxnet.config",
        "import jaxnet.outputs.progress, jaxnet.outputs.run_directory, jaxnet.outputs.records",
        "import jaxnet.cli.main",
    ],
)
def test_these_do_not_load_jax_or_anything_slow(statement: str) -> None:
    loaded = imported_by(statement)
    assert not loaded & {"jax", "jaxlib", "optax", "sklearn", "pyarrow", "matplotlib", "rich"}


@pytest.mark.parametrize("name", jaxnet.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(jaxnet, name) is not None
    assert name in dir(jaxnet)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'jaxnet' has no attribute 'softmux'"):
        jaxnet.softmux  # noqa: B018


def test_the_installed_version_is_the_packages() -> None:
    assert importlib.metadata.version("jaxnet-train") == jaxnet.__version__


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def test_the_lock_names_no_host_and_pins_every_line() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
    for requirement in locked():
        assert re.fullmatch(r"==[\w.+!]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_serves_the_declared_dependencies(python: str) -> None:
    """One version of each declared dependency on each Python, inside the declared range."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    pins: dict[str, str] = {}
    for requirement in locked():
        if requirement.marker is None or requirement.marker.evaluate(here):
            name = canonicalize_name(requirement.name)
            assert name not in pins, f"{name} is pinned twice"
            pins[name] = next(iter(requirement.specifier)).version
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for line in declared:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line
    assert pins["jax"] == pins["jaxlib"]


def test_what_is_installed_is_complete() -> None:
    """scripts/setup installs the lock without resolving it: nothing may be missing from it."""
    names = ["jaxnet-train", *(Requirement(line).name for line in PROJECT["dependencies"])]
    for name in names:
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                version = importlib.metadata.version(requirement.name)
                assert requirement.specifier.contains(version, prereleases=True), f"{name}: {line}"


@pytest.mark.parametrize("version", ["0.10.2", "0.11.0", "0.11.2"])
def test_jaxlib_with_wrong_sums_is_outside_the_declared_range(version: str) -> None:
    for line in PROJECT["dependencies"]:
        requirement = Requirement(line)
        if requirement.name in ("jax", "jaxlib"):
            assert not requirement.specifier.contains(version)
            assert requirement.specifier.contains("0.10.1")
            assert requirement.specifier.contains("0.12.0.1")
