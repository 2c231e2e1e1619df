"""Every command and every program of the README runs, in the order in which it stands there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the shipped configs, so that runs do not land in the checkout."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def run(words, place, environment):
    return subprocess.run(
        words, cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def as_installed(command):
    """The command as this interpreter's environment has it.

    `scripts/train` is set-up and then `jaxnet train`; the set-up has tests of its own.
    """
    words = shlex.split(command)
    if words[0] == "scripts/train":
        return [str(BIN / "jaxnet"), "train", *words[1:]]
    assert words[0].startswith(".venv/bin/"), f"how is {command!r} to be run?"
    return [str(BIN / words[0].removeprefix(".venv/bin/")), *words[1:]]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "scripts/test"])
def test_the_command_runs(command, place, environment):
    done = run(as_installed(command), place, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_scripts_are_there():
    named = {shlex.split(command)[0] for command in COMMANDS}
    scripts = {name for name in named if name.startswith("scripts/")}
    assert scripts == {"scripts/train", "scripts/test"}
    assert all(os.access(ROOT / name, os.X_OK) for name in scripts)


@pytest.mark.parametrize("program", blocks("python"), ids=lambda text: text.splitlines()[0])
def test_the_program_runs(program, place, environment):
    done = run([sys.executable, "-c", program], place, environment)
    assert done.returncode == 0, done.stderr


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)", README)
    assert "docs/equations.md" in links
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing
