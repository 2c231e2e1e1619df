"""docs/guide.md and docs/reliability.md run as they stand; docs/defaults.md is the schema."""

import re
import subprocess

import pytest

import jaxnet
from jaxnet.config import Config, DataConfig
from jaxnet.config.source import parse
from tests import pages

RUN = ("sh", "sh fails", "python")
GUIDE = pages.ROOT / "docs" / "guide.md"
RELIABILITY = pages.ROOT / "docs" / "reliability.md"
DEFAULTS = pages.ROOT / "docs" / "defaults.md"


@pytest.mark.long
@pytest.mark.thorough
def test_the_guide_runs(tmp_path, environment) -> None:
    assert pages.run(GUIDE, tmp_path, environment) > 15


@pytest.mark.long
@pytest.mark.thorough
def test_the_page_of_reliability_runs(tmp_path, environment) -> None:
    number = pages.run(RELIABILITY, tmp_path, environment)
    assert number == sum(b.kind in RUN for b in pages.blocks(RELIABILITY)) > 12


def test_what_the_page_of_reliability_names_is_there() -> None:
    text = RELIABILITY.read_text("utf-8")
    named = set(re.findall(r"`((?:tests|scripts)/[\w/.]+)`", text))
    assert len(named) > 10
    assert {name for name in named if not (pages.ROOT / name).is_file()} == set()


@pytest.mark.parametrize(
    ("codes", "runs", "code"),
    [
        ((0,), 1, 0),
        ((75, 137, 75, 0), 4, 0),
        ((75, 1, 0), 2, 1),
        ((2, 0), 1, 1),
        ((143, 0), 2, 0),
        ((130, 0), 1, 1),
    ],
)
def test_the_recipe_for_preemptible_machines(codes, runs, code, tmp_path) -> None:
    """With a command in the place of jaxnet that ends with one code after the other."""
    (recipe,) = (b.text for b in pages.blocks(RELIABILITY) if b.text.startswith("trap "))
    fake = tmp_path / ".venv/bin/jaxnet"
    fake.parent.mkdir(parents=True)
    cases = "".join(f"{n}) exit {one};; " for n, one in enumerate(codes, 1))
    count = 'echo "$@" >> calls; n=$(grep -c . calls)'
    fake.write_text(f"#!/bin/sh\n{count}\ncase $n in {cases}esac\n")
    fake.chmod(0o755)
    done = subprocess.run(["sh", "-e", "-c", recipe], cwd=tmp_path, timeout=60, check=False)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert (len(calls), done.returncode) == (runs, code)
    assert all(call.endswith("--resume --quiet") for call in calls)


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
    named = set(re.findall(r"^\| `([\w./-]+)` \|", page.partition("## Metrics")[0], re.MULTILINE))
    config = {"task": "binary", "data": {"source": "breast_cancer"}}
    small = {"model.hidden": [4], "training.epochs": 1}
    run = jaxnet.train(config, run_dir=tmp_path / "run", progress=False, **small)
    found = {p.relative_to(run.directory).as_posix() for p in run.directory.rglob("*.*")}
    assert {_any_step(name) for name in named} == {_any_step(name) for name in found}


def _any_step(name: str) -> str:
    return re.sub(r"-\d{9}\.", "-STEP.", name)


def test_the_index_lists_every_page_and_nothing_else() -> None:
    docs = pages.ROOT / "docs"
    listed = re.findall(r"\]\((\w[\w-]*\.md)\)", (docs / "index.md").read_text("utf-8"))
    assert sorted(listed) == sorted(p.name for p in docs.glob("*.md") if p.name != "index.md")
