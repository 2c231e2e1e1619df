"""YAML with the place of every key and value, and without what could run, loop or surprise."""

import pytest

from jaxnet.config.problems import Mark
from jaxnet.config.source import MOST_BYTES, decode, parse
from jaxnet.errors import ConfigError


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "c.yaml").problems]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_every_key_and_value_has_its_place() -> None:
    source = parse("# head\ntask: binary\nmodel:\n  hidden: [8,\n    16]\n", "c.yaml")
    assert source.value == {"task": "binary", "model": {"hidden": [8, 16]}}
    places = {path: (str(m.key), str(m.value)) for path, m in source.marks.items()}
    assert places == {
        (): ("c.yaml:2:1", "c.yaml:2:1"),
        ("task",): ("c.yaml:2:1", "c.yaml:2:7"),
        ("model",): ("c.yaml:3:1", "c.yaml:4:3"),
        ("model", "hidden"): ("c.yaml:4:3", "c.yaml:4:11"),
        ("model", "hidden", 0): ("c.yaml:4:12", "c.yaml:4:12"),
        ("model", "hidden", 1): ("c.yaml:5:5", "c.yaml:5:5"),
    }


def test_quotes_make_text() -> None:
    source = parse("a: '1e-3'\nb: \"no\"\nc: |\n  12\nd: null\ne: 1e-3\n", "c.yaml")
    assert source.value == {"a": "1e-3", "b": "no", "c": "12\n", "d": None, "e": 0.001}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_no_content_is_null(text: str) -> None:
    assert parse(text, "c.yaml").value is None


def test_a_place_can_stand_for_all_marks() -> None:
    source = parse("{a: [1]}", "override", place=Mark("override"))
    assert {str(mark.value) for mark in source.marks.values()} == {"override"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", "c.yaml:1:4: a: the anchor &x is not allowed; remove it"),
        ("a: &x 1\nb: *x\n", "c.yaml:2:4: b: the alias *x is not allowed; write the value"),
        ("a: !!python/name:os.system 1", "c.yaml:1:4: a: the tag tag:yaml.org,2002:python/name:"),
        ("a: !x {b: 1}\n", "c.yaml:1:4: a: the tag !x is not allowed; remove it"),
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3:1: a: given twice, first at line 1; keep one of them"),
        ("m: {x: 1, x: {y: &z 2}}", "c.yaml:1:11: m.x: given twice, first at line 1"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: a second document; a config is one"),
        ("a: " + "9" * 200, "c.yaml:1:4: a: a number of 200 characters is too long"),
    ],
)
def test_what_a_config_does_not_need_is_refused_with_its_place(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in problems(text)), problems(text)


def test_the_first_of_two_equal_keys_counts() -> None:
    source = parse("a: 1\na: {b: 2}\n", "c.yaml")
    assert source.value == {"a": 1}
    assert set(source.marks) == {(), ("a",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model:\n\thidden: [8]\n", "c.yaml:2:1: not valid YAML: a tab indents here"),
        ("a: [1, 2\n", "c.yaml:2:1: not valid YAML: a list is not closed"),
        ("a: {b: 1\n", "c.yaml:2:1: not valid YAML: a section is not closed"),
        ("a: 'x\n", "c.yaml:2:1: not valid YAML: a quote is not closed"),
        ("a: b: c\n", "c.yaml:1:5: not valid YAML: a second 'key: value' on one line"),
        ("a: 1\n  b: 2\n", "c.yaml:2:4: not valid YAML: a second 'key: value' on one line"),
        ("a:\n  b: 1\n c: 2\n", "c.yaml:3:2: not valid YAML: the indentation does not fit"),
        ("a: @x\n", "c.yaml:1:4: not valid YAML: this character needs quotes"),
        ("a: \x07\n", "c.yaml:1:4: the character '\\x07' is not allowed"),
        ("? [a]\n: 1\n", "c.yaml:1:3: a key must be a plain word"),
        ("*a : 1\n", "c.yaml:1:1: a key must be a plain word"),
        ("a: " + "[" * 30 + "]" * 30, "c.yaml:1:24: nested more than 20 levels deep"),
        ("[" * 200_000, "c.yaml:1:22: nested more than 20 levels deep"),
    ],
)
def test_what_is_not_yaml_is_one_error_with_its_place(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


def test_bytes_are_utf8_with_or_without_a_mark() -> None:
    assert decode("task: ä".encode(), "c.yaml") == "task: ä"
    assert decode(b"\xef\xbb\xbftask: a", "c.yaml") == "task: a"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: \xff\n", "c.yaml:2:4: not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "c.yaml:1:1: not UTF-8 text; save the file as UTF-8"),
        (b"#" * (MOST_BYTES + 1), "c.yaml: larger than 1 MiB: this is not a config"),
    ],
)
def test_other_bytes_are_refused(data: bytes, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode(data, "c.yaml")
    assert caught.value.problems == [expected]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a: 1\nb: ["x", "\\ud800"]\n', "c.yaml:2:10: b[1]: the character \\ud800 is no text"),
        ('a: 1\n"\\udfff": 2\n', "c.yaml:2:1: the character \\udfff is no text"),
    ],
)
def test_half_a_surrogate_pair_is_refused(text: str, words: str) -> None:
    try:
        problems = [str(problem) for problem in parse(text, "c.yaml").problems]
    except ConfigError as error:
        problems = error.problems
    assert [problem.startswith(words) for problem in problems] == [True]
