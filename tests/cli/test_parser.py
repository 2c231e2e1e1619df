"""Parsing: words in any order, and mistakes that are answered with what was meant."""

import pytest

from jaxnet.cli.main import build_parser
from jaxnet.cli.parser import UsageError, parse, split_items

pytestmark = pytest.mark.both


@pytest.mark.parametrize(
    "words",
    [
        ["c.yaml", "a=1", "b=2", "--run-dir", "d", "--json"],
        ["--json", "--run-dir", "d", "c.yaml", "a=1", "b=2"],
        ["c.yaml", "--run-dir", "d", "a=1", "--json", "b=2"],
        ["a=1", "--run-dir=d", "c.yaml", "--json", "b=2"],
        ["a=1", "b=2", "--json", "--run-dir", "d", "c.yaml"],
        ["--run-dir", "d", "--json", "--", "c.yaml", "a=1", "b=2"],
    ],
)
def test_words_may_come_in_any_order(words: list[str]) -> None:
    args = parse(build_parser(), ["train", *words])
    assert split_items(args.items) == ("c.yaml", ["a=1", "b=2"])
    assert (args.run_dir, args.json, args.quiet) == ("d", True, False)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], (None, [])),
        (["a.b=1"], (None, ["a.b=1"])),
        (["runs/a=1/c.yaml", "a=1"], ("runs/a=1/c.yaml", ["a=1"])),
        (["c.yaml", "epochs", "5"], ("c.yaml", ["epochs", "5"])),
        (["a=-1", "./c.yaml"], ("./c.yaml", ["a=-1"])),
    ],
)
def test_the_config_is_the_first_word_that_is_no_override(
    items: list[str], expected: tuple[str | None, list[str]]
) -> None:
    assert split_items(items) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["trian", "c.yaml"],
            "unknown command 'trian'; did you mean 'train'? "
            "(valid: train, evaluate, predict, report, runs, debug, config, gradcheck, doctor); "
            "see 'jaxnet --help'",
        ),
        (
            ["train", "c.yaml", "--run-dri", "d"],
            "unknown option '--run-dri'; did you mean '--run-dir'?; see 'jaxnet train --help'",
        ),
        (
            ["train", "c.yaml", "--run_dir=d"],
            "unknown option '--run_dir'; did you mean '--run-dir'?; see 'jaxnet train --help'",
        ),
        (
            ["train", "c.yaml", "--optimizer.learning_rate=1"],
            "unknown option '--optimizer.learning_rate'; keys of the config are set as "
            "key.path=value; see 'jaxnet train --help'",
        ),
        (
            ["train", "c.yaml", "--run", "d"],
            "unknown option '--run'; did you mean '--run-dir'?; see 'jaxnet train --help'",
        ),
        (["train", "-x"], "unknown option '-x'; keys of the config are set as key.path=value; "),
        (
            ["train", "c.yaml", "--run-dir"],
            "argument --run-dir: expected one argument; see 'jaxnet train --help'",
        ),
        (
            ["config", "shwo"],
            "unknown command 'shwo'; did you mean 'show'? (valid: init, show, check, schema); "
            "see 'jaxnet config --help'",
        ),
        (["predict", "--key=1"], "unknown option '--key'; see 'jaxnet predict --help'"),
        (["doctor", "x"], "unexpected argument 'x'; see 'jaxnet doctor --help'"),
        (["gradcheck", "--lss", "x"], "unknown option '--lss'; did you mean '--loss'?"),
        (["--verson"], "unknown option '--verson'; did you mean '--version'?; see 'jaxnet --help'"),
    ],
)
def test_texts_of_mistakes_in_a_call(words: list[str], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(build_parser(), words)
    assert str(caught.value).startswith(expected)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["in/rows.csv", "rows.csv.gz", "rows.PARQUET", "rows.npz"])
def test_a_table_where_a_config_is_needed(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_items(["report=false", name])
    assert str(caught.value) == (
        f"{name}: a file of rows, not a config; make one for it: "
        f"jaxnet config init {name} --output rows.yaml"
    )
