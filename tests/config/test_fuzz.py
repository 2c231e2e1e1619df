"""Mutated configs are loaded or refused by a `ConfigError` that names key or place."""

import random
import re
from pathlib import Path
from typing import Any

from jaxnet.config import Config, load_config
from jaxnet.config.problems import dotted
from jaxnet.config.sections import keys
from jaxnet.errors import ConfigError

TEXT = """\
task: multilabel   # a comment
data:
  source: digit_attributes
  split: {validation: 0.15, test: 0.15, seed: 0}
model: {name: mlp, hidden: [256, 256], activation: relu, dropout: 0.0}
loss: {name: asymmetric, gradient: closed_form, gamma_pos: 0.0, gamma_neg: 4, clip: 0.05}
optimizer:
  name: adamw
  learning_rate: 1e-3
  schedule: {name: warmup_cosine, warmup: 0.1}
training:
  epochs: 50
  early_stopping: {metric: micro_f1, patience: 10}
"""
# Pieces that mean something to YAML, to Python or to the schema.
PIECES = (
    *("\t", "\n", "  ", ":", ": ", "-", "- ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "! ", "|"),
    *(">", "'", '"', "#", "---\n", "...\n", "? ", "<<: ", "%YAML 1.1\n", "@", "`", ",", "\\"),
    *("null", "~", "true", "no", ".nan", ".inf", "-1", "1e999", "9" * 120, "0x", "1.5", "\u2028"),
    *("\x00", "\x07", "\ufeff", "\U0001f600", "é", "\r", "\x85", "gamma: 2", "task: binary"),
    *("activation: softmax", "train: a.npz", "__class__", "[" * 25, "{a: " * 25),
    "!!python/name:os.abort",
)
PLACE = re.compile(r"^(\S*c\.yaml(:\d+:\d+)?|override): ")


def mutated(random: random.Random) -> str:
    text = TEXT
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        at = random.randrange(len(text))
        to = min(len(text), at + random.choice([0, 0, 1, 3, 12]))
        kind = random.randrange(5)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            other = random.randrange(len(text))
            text = text[:at] + text[other : other + 20] + text[to:]
        else:
            text = text[:at] + random.choice(PIECES) + text[to:]
    return text


def override(random: random.Random) -> str:
    key = random.choice(["model.hidden", "task", "loss", "a", "training.early_stopping", "data.x"])
    return key + random.choice(["", "=", "=="]) + random.choice(PIECES)


def refused(given: Any, overrides: Any) -> list[str]:
    """The problems of a config; [] when it is sound."""
    try:
        config = load_config(given, overrides)
    except ConfigError as error:
        return error.problems
    assert isinstance(config, Config)
    return []


def test_mutated_configs(tmp_path: Path) -> None:
    chance = random.Random(0)
    path = tmp_path / "c.yaml"
    sound = 0
    for _ in range(300):
        text = mutated(chance)
        overrides = [override(chance)] if chance.random() < 0.3 else []
        path.write_bytes(text.encode())
        lines = refused(path, overrides)
        for line in lines:
            assert PLACE.match(line), (text, overrides, line)
            assert line.isprintable(), (text, overrides, line)
        sound += not lines
    assert 0 < sound < 300  # both outcomes are met


VALUES = (
    *(None, True, 0, -1, 1, 2.5, 1e-3, float("nan"), 10**400, 2**63, "", "x", "relu", "1e-3"),
    *("focal", "squared_error", "softmax", "sgd", "binary", "\ud800", "\x00", "n" * 9000),
    *([], {}, [1], [[1]], {"name": "sgd"}, {"": 1}, {"a\nb": 1}, ["a", None], object(), b"x"),
)


def test_mutated_values() -> None:
    chance = random.Random(0)
    known = [dotted(path) for path in keys()]
    outcomes = set()
    for _ in range(600):
        changes = {chance.choice(known): chance.choice(VALUES) for _ in range(chance.randint(1, 3))}
        base = {"task": "binary", "data": {"source": "breast_cancer"}}
        lines = refused(base, changes)
        for line in lines:
            assert line.startswith(("override: ", "config: ")), (changes, line)
            assert line.isprintable(), (changes, line)
        outcomes.add(bool(lines))
    assert outcomes == {True, False}


def test_random_bytes(tmp_path: Path) -> None:
    chance = random.Random(0)
    path = tmp_path / "c.yaml"
    for _ in range(200):
        data = bytearray(TEXT.encode())
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        for line in refused(path, []):
            assert PLACE.match(line), (bytes(data), line)
