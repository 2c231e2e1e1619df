"""The scripts find an interpreter, make an environment once and whole, and say what is in the way.

The interpreters here are small shell scripts: nothing is installed.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Answers what scripts/setup asks of an interpreter, and writes down what pip is told.
STUB = """#!/bin/sh
case "$*" in
    *"find_spec"*) echo "{answer}" ;;
    *"-m venv "*)
        mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
        echo "version = {version}.1" >"$4/pyvenv.cfg"
        [ -z "$KILLED" ] || kill -9 $PPID ;;
    *"-m pip install"*)
        echo "$*" >>"$(dirname "$0")/../installed"
        exit "${{PIP_STATUS:-0}}" ;;
esac
"""


def stub(path: Path, version: str, *, can_make_environments: bool = True) -> Path:
    """An executable that passes for an interpreter."""
    answer = f"{version} {'yes' if can_make_environments else 'no'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STUB.format(answer=answer, version=version))
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the scripts need of a checkout, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A machine with the system's tools and the stubs in `tools`, and no other Python."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "cmp", "cp", "dirname", "flock", "mkdir", "mv", "rm", "sed"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    return {"PATH": str(tools), "HOME": str(tmp_path)}


def call(
    checkout: Path, variables: dict[str, str], *words: str, script: str = "setup"
) -> subprocess.CompletedProcess[str]:
    """Run a script from somewhere else."""
    return subprocess.run(
        [checkout / "scripts" / script, *words],
        cwd=checkout.parent,
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
    )


def tools(variables: dict[str, str]) -> Path:
    return Path(variables["PATH"])


def installed(environment: Path) -> list[str]:
    return (environment / "installed").read_text().splitlines()


def test_setup_makes_the_environment_and_then_returns_at_once(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    done = call(checkout, variables)
    assert (done.returncode, done.stdout) == (0, f"{checkout}/.venv\n")
    assert f"setup: making {checkout}/.venv with Python 3.11 (python3)" in done.stderr
    lock, package = installed(checkout / ".venv")
    assert lock.endswith(f"-r {checkout}/requirements.lock")
    assert package.endswith(f"--no-build-isolation --editable {checkout}")

    begun = time.perf_counter()
    again = call(checkout, variables)
    assert time.perf_counter() - begun < 0.5  # a hundredth of a second on an idle machine
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")
    assert len(installed(checkout / ".venv")) == 2


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_change_of_what_belongs_in_it_brings_it_up_to_date(
    checkout: Path, variables: dict[str, str], name: str
) -> None:
    stub(tools(variables) / "python3", "3.11")
    call(checkout, variables)
    with open(checkout / name, "a") as file:
        file.write("# changed\n")
    assert "bringing" in call(checkout, variables).stderr
    assert len(installed(checkout / ".venv")) == 4
    assert call(checkout, variables).stderr == ""


def test_a_checkout_that_was_moved_is_set_up_again(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    call(checkout, variables)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert "bringing" in call(moved, variables).stderr


def test_an_interrupted_setup_is_made_anew(checkout: Path, variables: dict[str, str]) -> None:
    stub(tools(variables) / "python3", "3.11")
    killed = call(checkout, variables | {"KILLED": "1"})
    assert killed.returncode < 0
    (checkout / ".venv" / "half").write_text("")
    done = call(checkout, variables)
    assert done.returncode == 0
    assert "unfinished or no longer runs: making it anew" in done.stderr
    assert not (checkout / ".venv" / "half").exists()
    assert sorted(path.name for path in checkout.glob(".venv*")) == [".venv", ".venv.lock"]


def test_without_a_network_it_says_so_and_goes_on_later(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    failed = call(checkout, variables | {"PIP_STATUS": "1"})
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "No connection? Run scripts/setup again" in failed.stderr
    done = call(checkout, variables)
    assert done.returncode == 0
    assert "bringing" in done.stderr


def test_an_environment_made_by_hand_is_kept(checkout: Path, variables: dict[str, str]) -> None:
    stub(checkout / ".venv" / "bin" / "python", "3.12")
    (checkout / ".venv" / "pyvenv.cfg").write_text("version_info = 3.12.4\n")
    (checkout / ".venv" / "mine").write_text("")
    assert call(checkout, variables).returncode == 0
    assert (checkout / ".venv" / "mine").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    call(checkout, variables)
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    assert "making it anew" in call(checkout, variables).stderr


def test_the_first_interpreter_that_will_do_is_taken(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.9")
    stub(tools(variables) / "python3.13", "3.13", can_make_environments=False)
    stub(tools(variables) / "python3.12", "3.12")
    done = call(checkout, variables)
    assert "with Python 3.12 (python3.12)" in done.stderr
    assert done.stdout == f"{checkout}/.venv\n"


def test_a_variable_names_the_interpreter(checkout: Path, variables: dict[str, str]) -> None:
    stub(tools(variables) / "python3", "3.11")
    mine = stub(checkout.parent / "my python", "3.14")
    done = call(checkout, variables | {"PYTHON": str(mine)})
    assert f"with Python 3.14 ({mine})" in done.stderr


def test_another_interpreter_gets_an_environment_of_its_own(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    call(checkout, variables)
    shim = stub(tools(variables) / "python3.12", "3.12")  # of pyenv, where 3.12 is not active
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    stub(Path(variables["HOME"]) / ".pyenv/versions/3.12.1/bin/python", "3.12")
    done = call(checkout, variables, "--python", "3.12")
    assert done.stdout == f"{checkout}/.venv-3.12\n"
    assert "3.12.1/bin/python" in done.stderr
    assert call(checkout, variables, "--python=3.12").stderr == ""
    assert call(checkout, variables, "--python", "3.11").stdout == f"{checkout}/.venv\n"
    by_path = str(stub(checkout.parent / "py", "3.12"))
    assert call(checkout, variables, "--python", by_path).stdout == f"{checkout}/.venv-3.12\n"


def test_no_python_that_will_do(checkout: Path, variables: dict[str, str]) -> None:
    stub(tools(variables) / "python3", "3.10")
    stub(tools(variables) / "python3.11", "3.11", can_make_environments=False)
    done = call(checkout, variables)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "setup: no usable Python: jaxnet needs Python 3.11 or newer.",
        "  python3 is Python 3.10: too old",
        "  python3.11 (Python 3.11) cannot make environments: it lacks venv or ensurepip.",
        "    On Debian or Ubuntu: apt-get install python3.11-venv",
        "Install one, or name one: PYTHON=/path/to/python3.12 scripts/setup",
    ]
    assert not (checkout / ".venv").exists()


def test_no_python_at_all(checkout: Path, variables: dict[str, str]) -> None:
    done = call(checkout, variables, "--python", "3.12")
    assert done.returncode == 3
    assert "Nothing that runs was found under: 3.12" in done.stderr


@pytest.mark.parametrize("words", [["--pyton", "3.12"], ["--python"], ["extra"]])
def test_wrong_arguments(checkout: Path, variables: dict[str, str], words: list[str]) -> None:
    done = call(checkout, variables, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: scripts/setup [--python X]")


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not on this system")
def test_of_two_calls_at_once_one_installs(checkout: Path, variables: dict[str, str]) -> None:
    python = stub(tools(variables) / "python3", "3.11")
    (tools(variables) / "sleep").symlink_to(str(shutil.which("sleep")))
    python.write_text(python.read_text().replace("mkdir -p", "sleep 0.5; mkdir -p"))
    both = [
        subprocess.Popen([checkout / "scripts/setup"], env=variables, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(b"waiting for another setup" in text for text in said) == 1
    assert len(installed(checkout / ".venv")) == 2


def test_train_passes_its_arguments_on(checkout: Path, variables: dict[str, str]) -> None:
    stub(tools(variables) / "python3", "3.11")
    call(checkout, variables)
    command = checkout / ".venv" / "bin" / "jaxnet"
    command.write_text('#!/bin/sh\nprintf "%s|" "$PWD" "$@"\nexit 75\n')
    command.chmod(0o755)
    done = call(checkout, variables, "my config.yaml", "a.b=[1, 2]", script="train")
    assert done.returncode == 75
    assert done.stdout == f"{checkout.parent}|train|my config.yaml|a.b=[1, 2]|"
    assert done.stderr == ""


def test_test_runs_every_stage_and_reports_the_failed(
    checkout: Path, variables: dict[str, str]
) -> None:
    stub(tools(variables) / "python3", "3.11")
    (tools(variables) / "date").symlink_to(str(shutil.which("date")))
    call(checkout, variables)
    for name, status in {"ruff": 0, "mypy": 1, "lint-imports": 0}.items():
        command = checkout / ".venv" / "bin" / name
        command.write_text(f'#!/bin/sh\necho "{name} $*"\nexit {status}\n')
        command.chmod(0o755)
    done = call(checkout, variables, "-k", "some thing", script="test")
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert [line.split(" in ")[0].split(":")[0] for line in said] == [
        *("== format", "== format passed", "== lint", "== lint passed"),
        *("== types", "== types FAILED", "== imports", "== imports passed"),
        *("== tests", "== tests passed"),
    ]
    assert done.stdout.splitlines()[-1] == "FAILED: types"


@pytest.mark.parametrize("name", ["setup", "train", "test"])
def test_the_scripts_are_executable(name: str) -> None:
    assert os.access(ROOT / "scripts" / name, os.X_OK)
