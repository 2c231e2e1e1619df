"""docs/guide.md runs as it stands; docs/defaults.md says what the schema says."""

import re

import pytest

import jaxnet
from jaxnet.config import Config, DataConfig
from jaxnet.config.source import parse
from tests import pages

GUIDE = pages.ROOT / "docs" / "guide.md"
DEFAULTS = pages.ROOT / "docs" / "defaults.md"


@pytest.mark.slow
def test_the_guide_runs(tmp_path, environment) -> None:
    assert pages.run(GUIDE, tmp_path, environment) > 15


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("```sh\nfalse\n```\n", "page.md:2"),
        ("```sh fails\ntrue\n```\n", "page.md:2"),
        ("```python\nraise SystemExit(1)\n```\n", "page.md:2"),
        ("```sh\necho a 1\n```\n\n```text\nb 2\n```\n", "page.md:6: not in the output"),
    ],
)
def test_a_page_that_is_wrong_is_noticed(content, said, tmp_path, environment) -> None:
    page = tmp_path / "page.md"
    page.write_text(content)
    with pytest.raises(AssertionError, match=said):
        pages.run(page, tmp_path, environment)


def test_numbers_and_dots_in_the_output_are_free(tmp_path, environment) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\necho loss 0.25 after 3 s\n```\n\n```text\nloss 0.5 ...\n...\n```\n")
    assert pages.run(page, tmp_path, environment) == 1


def defaults() -> dict[str, object]:
    """Every key of a config with a default, by its dotted path."""

    def leaves(values, above=()):
        for key, value in values.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, (*above, key))
            else:
                yield ".".join((*above, key)), value

    sections = Config.model_construct(task="binary", data=DataConfig()).model_dump()
    return {key: value for key, value in leaves(sections) if key != "task"}


def test_the_page_of_defaults_says_what_the_schema_says() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", DEFAULTS.read_text("utf-8"), re.MULTILINE)
    said = {key: parse(value, "value").value for key, value in rows}
    assert len(said) == len(rows), "a key stands in the page twice"
    expected = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults().items()}
    assert said == expected


def test_the_files_of_a_run_are_those_of_the_page(tmp_path) -> None:
    page = (pages.ROOT / "docs" / "runs.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([\w./]+)` \|", page.partition("## Metrics")[0], re.MULTILINE))
    config = {"task": "binary", "data": {"source": "breast_cancer"}}
    small = {"model.hidden": [4], "training.epochs": 1}
    run = jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **small)
    found = {p.relative_to(run.directory).as_posix() for p in run.directory.rglob("*.*")}
    assert named == found
