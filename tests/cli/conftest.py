"""Helpers of the command-line tests."""

from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A sound config file."""
    path = tmp_path / "c.yaml"
    path.write_text("task: binary\ndata: {source: breast_cancer}\n")
    return path
