"""A finished run, and rows for it."""

from pathlib import Path

import pytest

import jaxnet
from jaxnet.inference import Model
from tests.run_maker import make_run, write_table


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary run on a table with an identifier, numbers, and categories of both kinds."""
    folder = tmp_path_factory.mktemp("binary")
    table = write_table(folder / "train.csv")
    return make_run(folder, train=table, target="income", columns={"key": "id"})


@pytest.fixture(scope="session")
def model(run: Path) -> Model:
    return jaxnet.load(run)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """New rows of the same kind."""
    return write_table(tmp_path / "new.csv", 40, seed=1)
