"""The picture maker says what is in the way; what a browser shows is looked at by people."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if key != "CHROMIUM"}
    return subprocess.run(
        [sys.executable, ROOT / "scripts/draw_report.py", *words],
        env={**known, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_a_browser_it_says_so(tmp_path: Path) -> None:
    done = call(str(tmp_path), PATH="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("draw_report: no Chromium or Chrome was found; install one")
    done = call(str(tmp_path), CHROMIUM="/nowhere/chromium")
    assert done.stderr.startswith("draw_report: CHROMIUM=/nowhere/chromium is not there")


def test_without_a_run_it_says_so(tmp_path: Path) -> None:
    done = call(str(tmp_path / "none"), CHROMIUM=sys.executable)
    assert done.returncode == 1
    assert "there is no such run directory" in done.stderr


@pytest.mark.parametrize("words", [(), ("--help",), ("a", "b", "c")])
def test_wrong_arguments(words: tuple[str, ...]) -> None:
    assert call(*words).stderr == "usage: scripts/draw_report.py RUN [DIRECTORY]\n"
