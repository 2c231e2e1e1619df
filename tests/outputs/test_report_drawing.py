"""Figures are the same in every process, in every home, and can be read on light and on dark."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from jaxnet.outputs import report
from jaxnet.outputs.report import charts, drawing
from tests.outputs.report_records import records, save

ROOT = Path(__file__).parents[2]
STYLE = (ROOT / "jaxnet/outputs/report/style.css").read_text()
SCRIPT = """
import sys
from pathlib import Path
from jaxnet.outputs import report
from jaxnet.outputs.run_directory import RunDirectory

assert "matplotlib" not in sys.modules, "imported before it is needed"
report.write(RunDirectory(Path(sys.argv[1])))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
assert "jax" not in sys.modules
"""


@pytest.mark.parametrize("home", ["writable", "forbidden", "absent"])
def test_a_home_that_cannot_be_written_is_no_matter(tmp_path: Path, home: str) -> None:
    run = save(records("binary", ["no", "yes"]), tmp_path / "a-run")
    house = tmp_path / "home"
    if home != "absent":
        house.mkdir()
    if home == "forbidden":  # not by its mode, which does not stop root: files stand in the way
        for name in (".config", ".cache", ".matplotlib"):
            (house / name).write_text("")
    place = {"writable": house, "forbidden": house, "absent": Path("/dev/null/home")}[home]
    dropped = {"MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MATPLOTLIBRC"}
    variables = {key: value for key, value in os.environ.items() if key not in dropped}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, run.path],
        env={**variables, "HOME": str(place), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert text == report.render(records("binary", ["no", "yes"]))  # in this process, the same


def test_settings_of_the_process_change_nothing_and_stay() -> None:
    found = records("multilabel", ["a", "b", "c"])
    expected = report.render(found)
    own = {"lines.linewidth": 9.0, "font.size": 40.0, "svg.fonttype": "path", "axes.grid": True}
    with matplotlib.rc_context(own):
        assert report.render(found) == expected
        assert {key: matplotlib.rcParams[key] for key in own} == own


def test_without_matplotlib_there_are_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = report.render(records("binary", ["no", "yes"]))
    assert "could not be drawn (ModuleNotFoundError" in text
    assert "Metrics of each part of the data" in text
    assert 'class="plot"' not in text


def test_colours_are_the_pages_own_and_ids_the_figures_own() -> None:
    lines = charts.strokes([("a", [0, 1], [0, 1]), ("b", [0, 1], [1, 0.5])])
    both = [
        charts.in_square(lines, key=key, label="two lines", x="x", y="y", guide=((0, 0), (1, 1)))
        for key in ("first", "second")
    ]
    assert "stroke: var(--s1)" in both[0]
    assert "stroke: var(--s2)" in both[0]
    assert not re.search(r"#[0-9a-f]{6}", both[0])
    ids = [set(re.findall(r'id="([^"]*)"', svg)) for svg in both]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_every_role_is_a_colour_of_the_page() -> None:
    for palette in palettes():
        assert set(drawing.ROLES) <= palette.keys()


def test_the_label_of_a_figure_is_escaped() -> None:
    svg = drawing.draw(lambda axes: None, key="a", label='"<b>')
    assert 'aria-label="&quot;&lt;b&gt;"' in svg


def palettes() -> list[dict[str, str]]:
    """The variables of the light page and of the dark one."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_as_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_letters_and_lines_stand_out(palette: dict[str, str]) -> None:
    for letters in ("ink", "muted", "accent"):
        for ground in ("paper", "card"):
            assert contrast(palette[letters], palette[ground]) >= 4.5, (letters, ground)
    assert contrast(palette["alert"], palette["alert-paper"]) >= 4.5
    for line in ("s1", "s2", "s3", "s4", "s5"):
        assert contrast(palette[line], palette["card"]) >= 3, line
