"""The arrows of the house hold, and each contract notices an arrow that points the wrong way."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# contract -> (module that gets the import, the import)
PLANTED = {
    "layers": ("jaxnet/nn/planted.py", "import jaxnet.outputs"),
    "config-is-for-runs": ("jaxnet/training/planted.py", "import jaxnet.config"),
    "rooms-meet-in-runs": ("jaxnet/training/planted.py", "from jaxnet import data"),
    "mathematics-is-pure": ("jaxnet/nn/planted.py", "def f():\n    from optax import adam"),
    "host-side-without-jax": ("jaxnet/data/planted.py", "import jax.numpy as jnp"),
    "cli-starts-without-jax": ("jaxnet/cli/planted.py", "import jax"),
}


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]["contracts"]


def lint_imports(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the import linter on the package `jaxnet` that lies in `directory`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and of its contracts."""
    shutil.copytree(
        ROOT / "jaxnet", tmp_path / "jaxnet", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_arrows_hold(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Contracts: {len(contracts())} kept, 0 broken" in result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert [contract["id"] for contract in contracts()] == list(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_is_found(house: Path, contract: str) -> None:
    where, line = PLANTED[contract]
    (house / where).write_text(line + "\n")
    result = lint_imports(house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 kept, 1 broken" in result.stdout
    assert where.removesuffix(".py").replace("/", ".") in result.stdout


def test_the_mathematics_is_closed_to_every_other_dependency() -> None:
    """A dependency that is added to the project is added to the list of what nn may not import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    imports = {"pyyaml": "yaml", "scikit-learn": "sklearn"}
    names = [line.split(">=")[0] for line in project["dependencies"]]
    [contract] = [found for found in contracts() if found["id"] == "mathematics-is-pure"]
    missing = {imports.get(name, name) for name in names} - set(contract["forbidden_modules"])
    assert missing == {"jax", "jaxlib", "jaxtyping", "numpy"}
