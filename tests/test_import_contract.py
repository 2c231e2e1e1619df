"""The arrows of the house hold, and each contract notices an arrow that points the wrong way."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# contract -> (room that gets a module with an import, the import)
PLANTED = {
    "layers": ("nn", "import jaxnet.outputs"),
    "config-is-for-runs": ("training", "import jaxnet.config"),
    "rooms-meet-in-runs": ("training", "from jaxnet import data"),
    "mathematics-is-pure": ("nn", "def f():\n    from optax import adam"),
    "host-side-without-jax": ("data", "import jax.numpy as jnp"),
    "cli-starts-without-jax": ("cli", "import jax"),
}


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]["contracts"]


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the import linter on the package `jaxnet` that lies in `directory`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_arrows_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Contracts: {len(contracts())} kept, 0 broken" in result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert [contract["id"] for contract in contracts()] == list(PLANTED)


def module(contract: str) -> str:
    return f"planted_{contract.replace('-', '_')}"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """contract -> what the linter says of it where every violation is planted."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "jaxnet", house / "jaxnet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", house)
    for contract, (room, line) in PLANTED.items():
        (house / "jaxnet" / room / f"{module(contract)}.py").write_text(f"{line}\n")
    result = lint_imports(house)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"Contracts: 0 kept, {len(PLANTED)} broken" in result.stdout
    # A title, a line under it, and the chains of imports, for each contract in turn.
    *_, broken = result.stdout.partition("Broken contracts")
    titles = [str(contract["name"]) for contract in contracts()]
    starts = [broken.index(title) for title in titles]
    assert starts == sorted(starts)
    return {
        contract: broken[start:end]
        for contract, start, end in zip(PLANTED, starts, [*starts[1:], None], strict=True)
    }


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_is_found(said: dict[str, str], contract: str) -> None:
    assert f"jaxnet.{PLANTED[contract][0]}.{module(contract)}" in said[contract]


def test_the_mathematics_is_closed_to_every_other_dependency() -> None:
    """A dependency that is added to the project is added to the list of what nn may not import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    imports = {"pyyaml": "yaml", "scikit-learn": "sklearn"}
    names = [line.split(">=")[0] for line in project["dependencies"]]
    [contract] = [found for found in contracts() if found["id"] == "mathematics-is-pure"]
    missing = {imports.get(name, name) for name in names} - set(contract["forbidden_modules"])
    assert missing == {"jax", "jaxlib", "jaxtyping", "numpy"}
