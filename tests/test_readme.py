"""Every command and every program of the README runs, in the order in which it stands there."""

import os
import re
import shlex
import shutil

import pytest

from tests import pages

README = pages.ROOT / "README.md"
# By all tests together; in tests/nn/test_gradcheck.py.
CHECKED_ELSEWHERE = ("scripts/test", ".venv/bin/jaxnet gradcheck")


@pytest.mark.long
def test_the_readme_runs(tmp_path, environment) -> None:
    """In a folder with the shipped configs, so that runs do not land in the checkout."""
    shutil.copytree(pages.ROOT / "configs", tmp_path / "configs")
    number = pages.run(README, tmp_path, environment, skip=CHECKED_ELSEWHERE)
    assert number == sum(block.kind in ("sh", "python") for block in pages.blocks(README)) > 8
    assert (tmp_path / "runs/patients/report.html").is_file()
    assert (tmp_path / "predictions.csv").is_file()
    assert (tmp_path / "best.csv").is_file()


def test_the_scripts_are_there() -> None:
    lines = [
        line
        for block in pages.blocks(README)
        if block.kind == "sh"
        for line in block.text.split("\n")
    ]
    named = {shlex.split(line)[0] for line in lines if line.strip()}
    scripts = {name for name in named if name.startswith("scripts/")}
    assert scripts == {"scripts/train", "scripts/test"}
    assert all(os.access(pages.ROOT / name, os.X_OK) for name in scripts)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README.read_text("utf-8"))
    assert "docs/equations.md" in links
    missing = [link for link in links if "://" not in link and not (pages.ROOT / link).exists()]
    assert not missing
