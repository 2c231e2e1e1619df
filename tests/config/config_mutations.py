"""Broken configs, each a function of its seed, and what must be true of every one of them.

Used by scripts/soak_fuzz.py, which tests/config/test_fuzz.py runs with the first 5,000.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.config import Config, dump_yaml, load_config
from jaxnet.config.changes import changes, plain_values
from jaxnet.config.problems import dotted
from jaxnet.config.sections import keys
from jaxnet.errors import ConfigError

# Sound configs that name every key of the schema between them.
TEXTS = (
    """\
task: binary   # a comment
data: {source: breast_cancer, scale: standard, split: {validation: 0.15, test: 0.15, seed: 0}}
model: {name: mlp, hidden: [256, 256], activation: relu, dropout: 0.0, init: he}
optimizer: {name: adam, learning_rate: 1e-3, b1: 0.9, b2: 0.999, eps: 1e-8}
""",
    """\
task: multilabel
data:
  source: digit_attributes
loss: {name: asymmetric, gradient: closed_form, gamma_pos: 0.0, gamma_neg: 4, clip: 0.05,
  labels: mean, pos_weight: {even: 2.0}}
optimizer:
  schedule: {name: warmup_cosine, warmup: 0.1, final: 0.0}
training:
  epochs: 50
  early_stopping: {metric: micro_f1, patience: 10}
""",
    """\
task: "multiclass"
data: {source: digits}
loss: {name: squared_error, activation: softmax, label_smoothing: 0.1}
optimizer:
  name: momentum
  momentum: 0.9
  weight_decay: 0
  clip_norm: 1.0
  ema: 0.99
  schedule:
    name: exponential
    decay: 0.1
training: {early_stopping: null, on_nan: skip, skip_limit: 5, seed: 3, precision: bfloat16}
report: false
""",
    """\
task: binary
data:
  train: 'rows.csv'
  validation: more.csv
  test: last.csv.gz
  target: label
  positive: "yes"
  columns:
    zip: categorical
    age: numeric
  drop:
  - id
  - row number
  missing: ["", "?", NA]
  one_hot_limit: 4
  split: {group: person}
loss:
  class_weight: {yes: 5.0, no: 1}
decision: {calibration: none, threshold: cost, cost: {false_positive: 1, false_negative: 5.0}}
""",
    """\
checkpoints:
  every_seconds: 30
  every_steps: 100
  keep: 3
  keep_every_steps: null
  keep_every_seconds: 600.0
task: binary
data: {train: rows.npz, features: X, split: {file: split.csv}}
model: {last_layer: same, output_bias: zeros, embedding_size: 4, numeric_embedding: periodic,
  numeric_embedding_size: 3}
loss: {name: focal, gamma: 2}
optimizer: {name: rmsprop, decay: 0.9}
training: {batch_size: 128}
""",
    """\
task: multilabel
data: {train: x.npz, train_labels: y.npz, validation: v.npz, validation_labels: vy.npz,
  test: t.npz, test_labels: ty.npz, label_names: labels.txt, scale: unit}
model: {head: linear_blocks, block: 4096, head_weights: bfloat16, input_dropout: 0.3}
training: {early_stopping: {metric: precision_at_1}}
""",
)
# Pieces that mean something to YAML, to Python or to the schema.
PIECES = (
    *("\t", "\n", "  ", ":", ": ", "-", "- ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "! ", "|"),
    *(">", "'", '"', "#", "---\n", "...\n", "? ", "<<: ", "%YAML 1.1\n", "@", "`", ",", "\\", "= "),
    *("<<: *a\n", "a: &a {b: 1}\n", "\nb: *a", "<<: {task: binary}\n", "!<tag:yaml.org,2002:x> "),
    *("!!python/object/apply:os.system [touch pwned]", "!!python/name:os.abort", "!!binary aGk="),
    *(
        "!!python/object/new:os.system ['true']",
        "!!set {a}",
        "!!timestamp 2001-01-01",
        "2001-01-01",
    ),
    *("null", "~", "true", "no", ".nan", ".inf", "-.inf", "-1", "0", "1e999", "-1e999", "1e-999"),
    *("1e39", "1e-60", "0.99999999", "9" * 99, "9" * 120, "0x", "0o17", "1.5", "1_000", "12:30:45"),
    *("\x00", "\x07", "\ufeff", "\U0001f600", "é", "\r", "\x85", "\u2028", "\u202e", "e\u0301"),
    *("gamma: 2", "task: binary\n", "activation: softmax", "train: a.npz", "__class__", "${HOME}"),
    *("[" * 25, "{a: " * 25, "- " * 30, "../" * 9, "/etc/passwd", "x" * 5000, "'\"", "\\x00", "%s"),
)
VALUES = (
    *(None, True, False, 0, -1, 1, 2.5, 1e-3, 1e39, 1e-60, 0.99999999, float("nan"), float("inf")),
    *(10**400, 10**5000, -(10**101), 2**63, "", "x", "relu", "1e-3", "focal", "softmax", "sgd"),
    *(
        "squared_error",
        "binary",
        "skip",
        "\ud800",
        "\x00",
        "n" * 9000,
        "a: b",
        "rows.csv",
        "\u2028",
    ),
    *([], {}, [1], [[1]], [1] * 2000, {"name": "sgd"}, {"": 1}, {"a\nb": 1}, {1: 2}, {None: 1}),
    *(["a", None], object(), b"x", {10**5000: 1}, {"a": {"b": {"c": [{}]}}}, {"yes": 1e-60}, 1j),
)
KNOWN = tuple(dotted(path) for path in keys())


class Case(NamedTuple):
    """A config: the bytes of a file or a mapping, and overrides."""

    given: bytes | dict[str, Any]
    overrides: list[str] | dict[str, Any]
    check_files: bool


def case(seed: int) -> Case:
    """The config of this seed."""
    chance = random.Random(seed)
    check_files = chance.random() < 0.2
    if chance.random() < 0.15:
        return Case(_mapping(chance), _changes(chance), check_files)
    overrides: list[str] | dict[str, Any] = []
    if chance.random() < 0.3:
        overrides = [_override(chance) for _ in range(chance.randint(1, 3))]
    elif chance.random() < 0.05:
        overrides = _changes(chance)
    return Case(_bytes(chance), overrides, check_files)


def _mapping(chance: random.Random) -> dict[str, Any]:
    base: dict[str, Any] = {"task": "binary", "data": {"source": "breast_cancer"}}
    if chance.random() < 0.3:
        base[chance.choice(("model", "loss", "checkpoints", "x", ""))] = chance.choice(VALUES)
    return base


def _changes(chance: random.Random) -> dict[str, Any]:
    return {chance.choice(KNOWN): chance.choice(VALUES) for _ in range(chance.randint(1, 3))}


def _override(chance: random.Random) -> str:
    key = chance.choice((*KNOWN, "a", "data.x", "model.hidden.0", "", ".", "a b", "\n"))
    value = chance.choice((*PIECES, "1", "2.5", "{name: sgd}", "[1, 2]", "relu", "skip"))
    return key + chance.choice(("", "=", "=", "=", "=", "==", ": ")) + value


def _bytes(chance: random.Random) -> bytes:
    text = chance.choice(TEXTS)
    for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 2, 4))):
        text = chance.choice(MUTATIONS)(chance, text)
    data = text.encode("utf-8", "surrogatepass")
    return chance.choice(BYTES)(chance, data) if chance.random() < 0.1 else data


def _insert(chance: random.Random, text: str) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(PIECES) + text[at + chance.choice((0, 0, 1, 3, 12)) :]


def _delete(chance: random.Random, text: str) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + text[at + chance.choice((1, 1, 2, 9)) :]


def _copy(chance: random.Random, text: str) -> str:
    at, other = chance.randint(0, len(text)), chance.randint(0, len(text))
    return text[:at] + text[other : other + 20] + text[at:]


def _line_twice(chance: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(chance.randint(0, len(lines)), chance.choice(lines))
    return "".join(lines)


def _indent(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    i = chance.randrange(len(lines))
    lines[i] = (
        chance.choice(("  ", " ", "\t")) + lines[i] if chance.random() < 0.6 else lines[i][2:]
    )
    return "\n".join(lines)


def _another_word(chance: random.Random, text: str) -> str:
    """A key or value in the place of another."""
    words = list(re.finditer(r"[\w.]+", text))
    if not words:
        return text
    old = chance.choice(words)
    word = chance.choice((chance.choice(words)[0], chance.choice(KNOWN), chance.choice(PIECES)))
    return text[: old.start()] + word + text[old.end() :]


def _another_number(chance: random.Random, text: str) -> str:
    """A number that often is as good as the one before."""
    numbers = list(re.finditer(r"(?<=[ \[])[\d.]+(e-?\d+)?(?=[,}\]\n])", text))
    if not numbers:
        return text
    old = chance.choice(numbers)
    number = chance.choice(("0", "0.5", "1", "2", "7", "1e-3", "0.999", ".25", "5.", "0x10", "64"))
    return text[: old.start()] + number + text[old.end() :]


def _before_a_value(chance: random.Random, text: str) -> str:
    """A tag, an anchor, an alias or a quote where a value starts."""
    places = [match.end() for match in re.finditer(r": |- |\[", text)] or [0]
    at = chance.choice(places)
    return text[:at] + chance.choice(PIECES[5:24] + PIECES[28:44]) + " " + text[at:]


def _deep(chance: random.Random, text: str) -> str:
    times = chance.choice((10, 21, 100, 2000))
    pair = chance.choice(("[]", "{}", '""'))
    opened = "{a: " * times if pair == "{}" else pair[0] * times
    return text + f"\nmore: {opened}1{pair[1] * chance.choice((0, times))}\n"


MUTATIONS: tuple[Callable[[random.Random, str], str], ...] = (
    *(_insert, _insert, _insert, _delete, _copy, _line_twice, _indent, _another_word),
    *(_another_word, _another_number, _another_number, _another_number, _before_a_value, _deep),
)


def _noise(chance: random.Random, data: bytes) -> bytes:
    noisy = bytearray(data or b" ")
    for _ in range(chance.randint(1, 5)):
        noisy[chance.randrange(len(noisy))] = chance.randrange(256)
    return bytes(noisy)


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _noise,
    _noise,
    lambda chance, data: data[: chance.randint(0, len(data))],
    lambda chance, data: b"\xef\xbb\xbf" + data,
    lambda chance, data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda chance, data: data.replace(b"\n", chance.choice((b"\r\n", b"\r"))),
    lambda chance, data: data + b"#" * chance.choice((2**16, 2**20)),
    lambda chance, data: data + b"\n" + b"a: 1\n" * chance.choice((5, 500)),
    lambda chance, data: (
        chance.choice((b"PK\x03\x04", b"\x89PNG", b"\x80\x04", b"\x1f\x8b")) + data
    ),
)


def judge(
    made: Case, path: Path, load: Callable[..., Config] = load_config
) -> tuple[bool, str | None]:
    """Whether the config is sound, and what went wrong: None where nothing did.

    Nothing did where it is refused by lines of which each names the key or a line and column, or
    loaded as a config that can be shown, recorded and compared.
    """
    given: Path | dict[str, Any] = path
    if isinstance(made.given, bytes):
        path.write_bytes(made.given)
    else:
        given = made.given
    try:
        config = load(given, made.overrides, check_files=made.check_files)
    except ConfigError as error:
        return False, next(_unclear(error.problems, made.overrides, path), None)
    return True, _unusable(config, path)


def _unclear(
    problems: Sequence[str], overrides: Sequence[str] | Mapping[str, Any], path: Path
) -> Iterator[str]:
    if not problems:
        yield "refused without a word"
    place = re.compile(re.escape(str(path)) + r":[1-9]\d*:[1-9]\d*: .")
    starts = tuple(_names(overrides))
    for line in problems:
        if not line.isprintable():
            yield f"a refusal that is not printable: {line!r}"
        named = place.match(line) or line.startswith(starts) or _NO_OVERRIDE.match(line)
        if not named and line != f"{path}{_TOO_LARGE}":
            yield f"a refusal that names neither key nor place: {line!r}"


_TOO_LARGE = ": larger than 1 MiB: this is not a config"
_NO_OVERRIDE = re.compile(r"override: (['\"]).*\1 is not key\.path=value, such as ")


def _names(overrides: Sequence[str] | Mapping[str, Any]) -> Iterator[str]:
    """How a line starts that names a key: of the schema, of the mapping or of an override."""
    given = [str(text).partition("=")[0].strip() for text in overrides]
    for key in (*KNOWN, "x", "''", *filter(None, given)):
        for end in ": ", ".", "[":
            yield from (f"config: {key}{end}", f"override: {key}{end}")


def _unusable(config: Config, path: Path) -> str | None:
    values = json.loads(json.dumps(plain_values(config)))
    if changes(values, config):
        return f"differs from itself: {changes(values, config)}"
    text = dump_yaml(config, comments=False)
    path.write_text(text, encoding="utf-8")
    again = load_config(path, check_files=False)
    return None if dump_yaml(again, comments=False) == text else "another config when shown"
