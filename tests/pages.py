"""Run a page: its commands and programs, in the order in which they stand there.

A block marked `sh` is run by the shell, one marked `python` by this interpreter, and a block marked
`text` is what the block before it printed: its lines stand in the output, numbers aside. `...` is
anything. The mark `sh fails` is for commands that are to be refused.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e[+-]\d+)?")


class Block(NamedTuple):
    """A fenced block: the word after the fence, its text, the line of the page where it begins."""

    kind: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in order."""
    content = page.read_text("utf-8")
    for match in _FENCE.finditer(content):
        yield Block(match[1].strip(), match[2], content.count("\n", 0, match.start()) + 2)


def run(
    page: Path, folder: Path, environment: dict[str, str], *, skip: tuple[str, ...] = ()
) -> int:
    """Run what stands in the page within `folder`; the number of blocks that ran.

    skip: commands that are left out.
    """
    printed, number = "", 0
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "text":
            missing = absent(block.text, printed)
            assert not missing, f"{where}: not in the output: {missing}\n{printed}"
            continue
        if block.kind not in ("sh", "sh fails", "python"):
            continue
        wanted = 2 if block.kind == "sh fails" else 0
        done = _started(block, folder, environment, skip)
        printed = done.stdout
        number += 1
        assert done.returncode == wanted, f"{where}:\n{block.text}\n{printed}"
    return number


def absent(text: str, printed: str) -> list[str]:
    """The lines of `text` that were not printed, numbers and blanks aside."""
    known = [_plain(line) for line in printed.splitlines()]
    return [line for line in text.splitlines() if not any(map(_matcher(line), known))]


def _matcher(line: str):
    parts = [re.escape(_plain(part)) for part in line.split("...")]
    return re.compile(r"\s*" + ".*".join(parts) + r"\s*").fullmatch


def _plain(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())


def _started(
    block: Block, folder: Path, environment: dict[str, str], skip: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    if block.kind == "python":
        words = [sys.executable, "-c", block.text]
    else:
        lines = [line for line in block.text.splitlines() if line not in skip]
        words = ["sh", "-e", "-c", "\n".join(map(as_installed, lines))]
    return subprocess.run(
        words,
        cwd=folder,
        env={**environment, "PYTHONPATH": os.fspath(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def as_installed(command: str) -> str:
    """The command as this interpreter's environment has it; set-up has tests of its own.

    >>> as_installed(".venv/bin/jaxnet doctor").endswith("/jaxnet doctor")
    True
    """
    command = re.sub(r"^scripts/train\b", ".venv/bin/jaxnet train", command)
    command = command.replace("python scripts/", f"python {ROOT}/scripts/")
    return command.replace(".venv/bin/", f"{BIN}/")
