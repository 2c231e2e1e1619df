#!/usr/bin/env python
"""Photograph the report of a run as a browser shows it, for the README and the pages.

    .venv/bin/python scripts/draw_report.py RUN [DIRECTORY]     (default: docs/figures)

Draws RUN/report.html anew, then writes three pictures: report-light.png, the top of the page on a
wide screen; report-dark.png, its middle in the dark; report-phone.png, the top on a phone. Needs
Chromium, or Chrome: `apt-get install chromium`; CHROMIUM=/path/to/it names another one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from jaxnet.errors import UserError
from jaxnet.outputs import report, run_directory

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LARGEST = 200_000  # bytes of a picture
DARK, LIGHT = 0, 1  # preferredColorScheme of the browser's engine


class Picture(NamedTuple):
    """A picture: its name, what it begins at, its size in pixels, and dark or light."""

    name: str
    place: str
    width: int
    height: int
    scheme: int


PICTURES = (
    Picture("report-light", "", 1200, 1250, LIGHT),
    Picture("report-dark", "#ranking", 1200, 1250, DARK),
    Picture("report-phone", "", 390, 1250, LIGHT),
)


def find_browser() -> str:
    """Path of a Chromium; without one, the end, in a sentence."""
    named = os.environ.get("CHROMIUM")
    for name in [named] if named else BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    what = f"CHROMIUM={named} is not there" if named else "no Chromium or Chrome was found"
    sys.exit(
        f"draw_report: {what}; install one (Debian, Ubuntu: apt-get install chromium) "
        "or name one: CHROMIUM=/path/to/chromium scripts/draw_report.py RUN"
    )


def photograph(browser: str, page: Path, picture: Picture, folder: Path) -> Path:
    """One picture of the page."""
    with tempfile.TemporaryDirectory() as scratch:
        # A window cannot be as narrow as a phone; a frame in it can.
        frame = Path(scratch, "frame.html")
        frame.write_text(
            "<!DOCTYPE html><meta name='color-scheme' content='light dark'>"
            "<body style='margin: 0'><iframe style='border: 0; display: block' "
            f"src='{page.resolve().as_uri()}{picture.place}' "
            f"width={picture.width} height={picture.height}></iframe>"
        )
        shot = Path(scratch, "shot.png")
        window = f"{max(picture.width, 500)},{picture.height}"
        subprocess.run(
            [
                *(browser, "--headless=new", "--hide-scrollbars", "--disable-gpu"),
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                f"--user-data-dir={scratch}/profile",
                f"--blink-settings=preferredColorScheme={picture.scheme}",
                *(f"--window-size={window}", f"--screenshot={shot}", frame.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        whole = Image.open(shot).convert("RGB")
        cut = whole.crop((0, 0, picture.width, picture.height))
        target = folder / f"{picture.name}.png"
        cut.save(target, optimize=True)
    return target


def main(arguments: list[str]) -> None:
    """Draw the report of the run, then its pictures."""
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        sys.exit("usage: scripts/draw_report.py RUN [DIRECTORY]")
    browser = find_browser()
    folder = Path(arguments[1]) if len(arguments) == 2 else FOLDER
    try:
        page = report.write(run_directory.open_existing(arguments[0]))
    except UserError as error:
        sys.exit(f"draw_report: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        path = photograph(browser, page, picture, folder)
        size = path.stat().st_size
        print(f"{path}  {size // 1000} KB" + ("  LARGE" if size > LARGEST else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
