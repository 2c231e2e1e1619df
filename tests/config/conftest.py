"""Helpers of the config tests."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from jaxnet.config import load_config
from jaxnet.errors import ConfigError

Problems = Callable[..., list[str]]


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """The problems of a config's text, with the file's directory cut off; [] when it is sound."""

    def find(text: str, overrides: Sequence[str] | Mapping[str, Any] = ()) -> list[str]:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load_config(path, overrides)
        except ConfigError as error:
            return [line.replace(f"{tmp_path}/", "") for line in error.problems]
        return []

    return find
