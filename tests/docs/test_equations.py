"""docs/equations.md and docs/extreme.md keep their word.

What they name exists, what they quote is there, examples run.
"""

import ast
import doctest
import importlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts import draw_equations

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "equations.md"
DERIVED = [PAGE, ROOT / "docs" / "extreme.md"]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
HERE = Path(__file__).parent


class Link(NamedTuple):
    """[text](target#anchor) of a page; a picture is one too."""

    text: str
    path: str
    anchor: str


class Fence(NamedTuple):
    """A fenced block: the words after the fence, and the lines inside."""

    info: str
    lines: list[str]


FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def fences(page: Path) -> list[Fence]:
    found = FENCE.finditer(page.read_text("utf-8"))
    return [Fence(match["info"].strip(), match["body"].splitlines()) for match in found]


@cache
def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[Link]:
    found = re.findall(r"\[([^\]]*)\]\(([^)#\s]*)#?([^)\s]*)\)", prose(page))
    return [Link(*parts) for parts in found]


def named(page: Path, folder: str) -> list[tuple[str, Path]]:
    """(name in backticks, file) of every link into a folder's Python files."""
    files = [(link.text, page.parent / link.path) for link in links(page)]
    inside = [(text, file.resolve()) for text, file in files if file.suffix == ".py"]
    return [(text.strip("`"), file) for text, file in inside if file.is_relative_to(ROOT / folder)]


def functions(file: Path) -> set[str]:
    return {n.name for n in ast.parse(file.read_text()).body if isinstance(n, ast.FunctionDef)}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link.path:
            continue
        target = page.parent / link.path if link.path else page
        assert target.exists(), f"{page.name} links to {link.path}, which is not there"
        if link.anchor:
            headings = re.findall(r"^#+ (.*)$", prose(target), re.MULTILINE)
            assert link.anchor in map(slug, headings), f"no heading for #{link.anchor}"


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / link.path).resolve() for link in links(index)}
    assert listed == {page for page in PAGES if page != index}, "bring docs/index.md up to date"


PER_DERIVED = pytest.mark.parametrize("page", DERIVED, ids=lambda page: page.name)


@PER_DERIVED
def test_named_functions_exist(page: Path) -> None:
    found = named(page, "jaxnet") + named(page, "scripts")
    assert len(found) > 20
    for name, file in found:
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        thing = importlib.import_module(module)
        for part in name.split("."):
            assert hasattr(thing, part), f"the page names {name}, which {module} does not have"
            thing = getattr(thing, part)


@PER_DERIVED
def test_named_tests_exist(page: Path) -> None:
    found = named(page, "tests")
    assert len(found) > 20
    for text, file in found:
        name, _, test = text.partition("::")
        assert name == file.name
        assert test in functions(file), f"the page names {text}, which is not there"


PROOFS = [
    file for file in sorted(HERE.glob("test_*.py")) if file.name not in ("test_equations.py",)
]


@pytest.mark.parametrize("file", PROOFS, ids=lambda file: file.name)
def test_every_proof_is_named(file: Path) -> None:
    cited = {text.partition("::")[2] for text, cited in named(PAGE, "tests") if cited == file}
    proofs = {name for name in functions(file) if name.startswith("test_")}
    assert proofs
    assert proofs == cited, "docs/equations.md and the tests beside it no longer match"


@PER_DERIVED
def test_quoted_lines_are_the_files_own(page: Path) -> None:
    quotes = [fence for fence in fences(page) if re.fullmatch(r"python \S+\.py", fence.info)]
    assert len(quotes) >= 6
    for fence in quotes:
        file = fence.info.split()[1]
        source = [line.strip() for line in (ROOT / file).read_text().splitlines()]
        at = 0
        for line in (line.strip() for line in fence.lines):
            if line not in ("", "..."):
                assert line in source[at:], f"{page.name} quotes {file}: {line!r} is gone"
                at = source.index(line, at) + 1


def test_examples_run() -> None:
    examples = [fence for fence in fences(PAGE) if fence.info == "python"]
    assert len(examples) >= 3
    assert all(fence.lines[0].startswith(">>> ") for fence in examples)
    text = "\n\n".join("\n".join(fence.lines) for fence in examples)
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    done = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
        test
    )
    assert done.attempted >= 5
    assert done.failed == 0


@PER_DERIVED
def test_mathematics_survives_markdown(page: Path) -> None:
    r"""Inline: a backslash before punctuation is eaten, a bar ends a table's cell."""
    inline = re.findall(r"(?<![\w$`])\$([^$\n]+)\$(?![\w$])", re.sub(r"`[^`\n]*`", "", prose(page)))
    assert prose(page).count("$") == 2 * len(inline)
    for formula in inline:
        assert not re.search(r"\\[^A-Za-z]", formula), formula
        assert "|" not in formula, formula
        assert formula == formula.strip(), formula
    blocks = ["\n".join(fence.lines) for fence in fences(page) if fence.info == "math"]
    for formula in [*inline, *blocks]:
        bare = re.sub(r"\\[{}]", "", formula)
        assert bare.count("{") == bare.count("}"), formula
        assert formula.count(r"\left") == formula.count(r"\right"), formula


def test_every_figure_is_there_and_shown_with_words() -> None:
    drawn = set(draw_equations.FIGURES)
    assert drawn <= {file.name for file in draw_equations.FOLDER.iterdir()}
    shown = re.findall(r"!\[([^\]]*)\]\(figures/([^)]*)\)", prose(PAGE))
    assert {name for _, name in shown} == drawn
    assert all(len(words) > 60 for words, _ in shown)


def draw(name: str, path: Path) -> str:
    draw_equations.write(draw_equations.FIGURES[name], path)
    return path.read_text()


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", list(draw_equations.FIGURES))
def test_a_figure_has_an_opaque_ground_and_no_date(name: str, tmp_path: Path) -> None:
    """A white path fills the page before anything else: readable where the page is dark."""
    text = draw(name, tmp_path / name)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()
    ground = re.search(r'<path d="([^"]*)"\s+style="fill: #ffffff', text).group(1)
    corners = {tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", ground)}
    w, h = float(width), float(height)
    assert corners == {(0, 0), (w, 0), (w, h), (0, h)}
    assert "<dc:date>" not in text


def test_a_figure_is_drawn_to_the_same_bytes(tmp_path: Path) -> None:
    name = "squared_error.svg"
    assert draw(name, tmp_path / "one.svg") == draw(name, tmp_path / "two.svg")
