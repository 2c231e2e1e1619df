"""Scalars follow YAML 1.2, not 1.1."""

import math

import pytest

from jaxnet.config.scalars import plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-0.5e+2", -50.0),
        ("12", 12),
        ("+7", 7),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_values(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "1_000",
        "1:30",
        "2024-01-01",
        "0b1",
        "inf",
        "nan",
        "tRUE",
        "e3",
        ".",
        "-",
        "1e",
        "0x",
        "--1",
        "1.2.3",
        "٣",
    ],
)
def test_text_stays_text(text: str) -> None:
    assert plain(text) == text


def test_not_a_number() -> None:
    assert math.isnan(plain(".nan"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["9" * 5000, "0x" + "f" * 5000, "1." + "0" * 200])
def test_a_number_without_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too long"):
        plain(text)
