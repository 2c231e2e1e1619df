"""Nothing printed acts on a terminal, whoever named files, columns, classes and keys."""

import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from jaxnet.printable import one_line, shell_word, visible
from tests.run_maker import make_run

ACTS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# An escape alone, a CSI, a link (OSC 8), an override of direction, C1, a separator of lines.
ODD = "\x1b[2J\x1b]8;;http://x.example\x07\u202e\x9b1m\u2028"
NAME = ODD.replace("/", "_")  # of a file


@contextlib.contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Standard streams that are a terminal, and all that it is told."""
    mine, theirs = pty.openpty()
    told: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(mine, 1 << 16):
                told.append(part)

    listener = threading.Thread(target=listen)
    listener.start()
    with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8") as stream:
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # line ends as they are written
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        patch.setenv("TERM", "dumb")  # without our own live line
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        yield told
    listener.join()
    os.close(mine)


def odd_table(path: Path, label: str = "income") -> Path:
    classes = [f"yes{ODD}", f"no{ODD}"]
    rows = [f'{i},{i * 7 % 5},"{classes[i % 2]}"' for i in range(60)]
    path.write_text("\n".join([f'"age{ODD}",height,{label}', *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose columns and classes have such names, in a folder that has one."""
    place = tmp_path_factory.mktemp("odd") / f"here{NAME}"
    place.mkdir()
    table = odd_table(place / f"rows{NAME}.csv")
    make_run(place, train=table, target="income").rename(place / f"run{NAME}")
    (place / "c.yaml").write_text("task: binary\ndata: {train: x.csv}\n")
    return place


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "RUN", "ROWS"],
        ["predict", "RUN", "ABSENT"],
        ["evaluate", "RUN"],
        ["evaluate", "RUN", "ROWS"],
        ["runs", "."],
        ["runs", "ABSENT"],
        ["report", "RUN"],
        ["report", "ABSENT"],
        ["debug", "RUN"],
        ["config", "init", "ROWS"],
        ["config", "init", "ABSENT"],
        ["config", "check", "ABSENT"],
        ["config", "show", "task=binary", f"data.source={ODD}"],
        ["config", "show", f"{ODD}=1"],
        ["train", "c.yaml", f"data.train={ODD}"],
        ["train", "c.yaml", f"--{ODD}"],
        [ODD],
    ],
    ids=lambda words: one_line(" ".join(words))[:40],
)
def test_nothing_acts_on_a_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(folder)
    names = {"RUN": f"run{NAME}", "ROWS": f"rows{NAME}.csv", "ABSENT": f"absent{NAME}.csv"}
    with terminal(monkeypatch) as told:
        code = main([names.get(word, word) for word in words])
    said = b"".join(told).decode()
    assert code in (0, 1, 2)
    assert said
    assert "Traceback" not in said
    assert ACTS.findall(said) == []


def test_a_file_gets_the_bytes_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["predict", f"run{NAME}", f"rows{NAME}.csv", "--quiet"]) == 0
    assert f"yes{ODD}".encode() in capfdbinary.readouterr().out


def test_a_config_made_for_such_a_table_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert main(["config", "init", f"rows{NAME}.csv", "--output", f"{NAME}\n.yaml"]) == 0
    assert main(["config", "check", f"{NAME}\n.yaml"]) == 0


def test_what_is_shown_stays_text() -> None:
    text = "Grüße \N{SNOWMAN} e\u0301 \N{MAN}\u200d\N{WOMAN} a\tb"
    assert visible(text) == text
    assert one_line("a\nb\tc") == "a\\nb\\tc"
    for code in [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x202E, 0x2066, 0xD800, 0xDFFF]:
        assert ACTS.findall(one_line(chr(code))) == []


@pytest.mark.parametrize("name", ["a b", "a\x1b'\\ü", os.fsdecode(b"a\xff\n"), "\u202e.csv"])
def test_a_word_to_type_is_the_name(name: str) -> None:
    word = shell_word(name)
    assert ACTS.findall(word) == []
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert os.fsdecode(done.stdout) == name
