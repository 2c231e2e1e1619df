"""Progress: plain lines off a terminal, one live line on it, and never in the run's way."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from typing import TextIO

import pytest

from jaxnet.outputs.progress import Progress, RowProgress

CONTROL = re.compile(r"[\r\x1b]")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def train(progress: Progress, clock: Clock, *, epochs: int, seconds: float) -> None:
    """Epochs of 1,000 rows that last so many seconds each, shown four times an epoch."""
    for step in range(4 * epochs):
        clock.now += seconds / 4
        epoch, quarter = divmod(step, 4)
        done = 250 * (step + 1)
        progress.update(epoch + 1, (quarter + 1) / 4, done, {"loss": 0.123456, "f1": None})


def test_plain_lines_come_once_a_second_and_end_with_the_last() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(5, 1000, stream, clock=clock) as progress:
        progress.compile_started()
        clock.now += 7
        progress.compile_finished(7.04)
        train(progress, clock, epochs=5, seconds=0.5)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == [
        "compiling the training program ...",
        "compiled the training program in 7.0 s",
    ]
    assert lines[-1] == "epoch 5/5  loss 0.1235  f1 -  2k rows/s  0:00 left"
    assert len(lines) == 2 + 4  # after 0.125, 1.125, 2.125 and 2.5 s
    assert not CONTROL.search(stream.getvalue())


def test_a_run_of_a_moment_shows_one_line() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(3, 1000, stream, clock=clock) as progress:
        train(progress, clock, epochs=2, seconds=0.01)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("epoch 2/3  ")


def test_the_last_epoch_is_written_once_with_its_validation() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(2, 1000, stream, clock=clock) as progress:
        for epoch, fraction, metrics in (
            (1, 1.0, {"val": 0.5}),
            (2, 1.0, {"val": 0.5}),
            (2, 1.0, {}),
        ):
            clock.now += 5
            progress.update(epoch, fraction, 1000 * epoch, metrics)
        progress.message("kept epoch 2")
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == [
        "epoch 1/2", "epoch 2/2", "kept epoch 2",
    ]  # fmt: skip
    assert "val 0.5" not in stream.getvalue().splitlines()[1]


def test_rows_of_an_earlier_process_count_in_no_rate() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(5, 1000, stream, clock=clock) as progress:
        progress.start_at(3000)
        clock.now += 2
        progress.update(4, 1.0, 4000, {})
    assert stream.getvalue() == "epoch 4/5  500 rows/s  0:02 left\n"


def test_time_left_follows_the_rate_of_the_last_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(100, 1000, stream, clock=clock)
    train(progress, clock, epochs=10, seconds=1.0)
    assert "1k rows/s  1:30 left" in stream.getvalue().splitlines()[-1]
    for epoch in range(10, 20):  # now ten times slower
        clock.now += 10
        progress.update(epoch + 1, 1.0, 1000 * (epoch + 1), {})
    assert "100 rows/s  13:20 left" in stream.getvalue().splitlines()[-1]
    clock.now += 4000
    progress.update(21, 1.0, 21_000, {})
    assert re.search(r"\d+:\d\d:\d\d left", stream.getvalue().splitlines()[-1])


def test_compiling_counts_in_neither_rate_nor_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(2, 1000, stream, clock=clock)
    clock.now += 60
    progress.compile_finished(60.0)
    clock.now += 1
    progress.update(1, 1.0, 1000, {})
    assert "1k rows/s  0:01 left" in stream.getvalue()


def test_a_message_comes_after_the_line_held_back() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(2, 1000, stream, clock=clock)
    progress.update(1, 1.0, 1000, {})
    progress.message("stopped early")
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == [
        "epoch 1/2",
        "stopped early",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_can_be_written(encoding: str) -> None:
    raw = io.BytesIO()
    with Progress(1, 1, io.TextIOWrapper(raw, encoding, write_through=True)) as progress:
        progress.message("classes: é, 猫")
    assert raw.getvalue().decode(encoding).startswith("classes: ")


class Gone(io.StringIO):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def closed() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [Gone, closed])
def test_a_stream_that_is_gone_does_not_stop_the_run(make: Callable[[], TextIO]) -> None:
    clock = Clock()
    with Progress(3, 1000, make(), clock=clock) as progress:
        progress.compile_started()
        progress.compile_finished(1.0)
        train(progress, clock, epochs=3, seconds=2.0)


def test_a_process_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(1, 1) as progress:
        progress.message("to nobody")


SCRIPT = """
from jaxnet.outputs.progress import Progress, RowProgress
with Progress(2, 1000) as progress:
    progress.compile_started()
    progress.compile_finished(0.5)
    for epoch in (1, 2):
        progress.update(epoch, 1.0, 1000 * epoch, {"loss": 0.5})
        progress.message(f"said in {epoch}: \\u00e9 [bold]")
print("result")
"""


def on_a_terminal(environment: dict[str, str], *, hang_up: bool = False) -> tuple[bytes, bytes]:
    """Run the script with a terminal as its standard error: (standard output, the terminal)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while not hang_up:
            seen += os.read(ours, 65536)
    except OSError:  # the other side is closed: the process has ended
        pass
    os.close(ours)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return output, seen


UTF8 = {"TERM": "xterm-256color", "COLUMNS": "100", "PYTHONUTF8": "1"}


def test_a_terminal_gets_a_live_line(environment: dict[str, str]) -> None:
    output, seen = on_a_terminal(environment | UTF8)
    text = seen.decode()
    assert output == b"result\n"
    assert "compiling the training program ..." in text
    assert "compiled the training program in 0.5 s" in text
    assert "said in 2: é [bold]" in text
    assert "epoch 2/2  loss 0.5" in text
    assert "\x1b[2K" in text  # the line is drawn over
    assert re.search(r"\x1b\[[\d;]*3\d", text)  # in colour
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_no_color_is_heeded(environment: dict[str, str]) -> None:
    _, seen = on_a_terminal(environment | UTF8 | {"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[\d;]*3\d", seen.decode())


def test_ascii_where_the_encoding_is_not_utf8(environment: dict[str, str]) -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    _, seen = on_a_terminal(environment | UTF8 | plain | {"LC_ALL": "C"})
    assert seen.isascii()
    assert b"epoch 2/2" in seen
    assert rb"said in 2: \xe9 [bold]" in seen


def test_a_dumb_terminal_gets_plain_lines(environment: dict[str, str]) -> None:
    _, seen = on_a_terminal(environment | UTF8 | {"TERM": "dumb"})
    assert b"\x1b" not in seen
    assert b"epoch 2/2" in seen


def test_a_terminal_that_hangs_up_does_not_stop_the_run(environment: dict[str, str]) -> None:
    output, _ = on_a_terminal(environment | UTF8, hang_up=True)
    assert output == b"result\n"


def test_rows_of_a_file_with_their_rate_and_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    with RowProgress(stream, clock=clock) as progress:
        for step in range(1, 9):
            clock.now += 2
            progress.update(50_000 * step, step / 10)
        progress.update(410_000, 1.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "50,000 rows  25k rows/s  0:18 left"
    assert lines[7] == "400,000 rows  25k rows/s  0:04 left"
    assert lines[-1].startswith("410,000 rows")
    assert lines[-1].endswith("0:00 left")
    assert not CONTROL.search(stream.getvalue())


def test_rows_that_are_done_at_once_have_no_rate() -> None:
    stream = io.StringIO()
    with RowProgress(stream, clock=Clock()) as progress:
        progress.update(3, 1.0)
        progress.message("3 rows predicted")
    assert stream.getvalue() == "3 rows\n3 rows predicted\n"
