"""Progress of a run or of rows: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from jaxnet.printable import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 1.0
_SECONDS_BETWEEN_FRAMES = 0.1
_RATE_WINDOW = 5.0  # seconds: long enough to be steady, short enough to follow a change


class Progress:
    """Shows how far a training run is, how fast it goes and how long it will take.

    ```
    with Progress(total_epochs=50, rows_per_epoch=398) as progress:
        progress.compile_started()
        progress.compile_finished(seconds)
        progress.update(epoch, fraction, rows_done, {"loss": 0.1})
    ```

    A stream that cannot be written any more is left alone: the run goes on.

    Args:
        total_epochs: epochs of the whole run.
        rows_per_epoch: training rows of one epoch.
        stream: where to; standard error when None.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self,
        total_epochs: int,
        rows_per_epoch: int,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._epochs = total_epochs
        self._rows = total_epochs * rows_per_epoch
        self._clock = clock
        self._display = _display(sys.stderr if stream is None else stream, clock)
        self._points: deque[tuple[float, int]] = deque([(clock(), 0)])  # (time, rows done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_at(self, rows_done: int) -> None:
        """Say that rows were done before this process: they do not count in its rate.

        Args:
            rows_done: training rows that an earlier process has seen, over all epochs.
        """
        self._points = deque([(self._clock(), rows_done)])

    def compile_started(self) -> None:
        """Say that the training program is being compiled: nothing moves while that lasts."""
        self._display.wait("compiling the training program ...")

    def compile_finished(self, seconds: float) -> None:
        """Say how long it took. Rows per second are counted from here on.

        Args:
            seconds: time spent compiling.
        """
        self._display.print(f"compiled the training program in {seconds:.1f} s")
        self._points = deque([(self._clock(), self._points[-1][1])])

    def update(
        self, epoch: int, fraction: float, rows_done: int, metrics: Mapping[str, float | None]
    ) -> None:
        """Show where the run is.

        Args:
            epoch: the epoch under way, from 1.
            fraction: how much of that epoch is done, 0 to 1.
            rows_done: training rows seen since the run began, over all epochs.
            metrics: name -> value, shown in this order.
        """
        self._points.append((self._clock(), rows_done))
        while len(self._points) > 2 and self._points[-1][0] - self._points[1][0] > _RATE_WINDOW:
            self._points.popleft()
        done = (epoch - 1 + fraction) / max(self._epochs, 1)
        self._display.show(self._line(epoch, rows_done, metrics), min(max(done, 0.0), 1.0))

    def message(self, text: str) -> None:
        """Print a line that stays.

        Args:
            text: what to say.
        """
        self._display.print(text)

    def close(self) -> None:
        """Show the last state and leave the terminal as it was. A second call does nothing."""
        self._display.close()

    def _line(self, epoch: int, rows_done: int, metrics: Mapping[str, float | None]) -> str:
        parts = [f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}"]
        parts += [f"{name} {_number(value)}" for name, value in metrics.items()]
        rate = self._rate()
        if rate > 0:
            parts.append(f"{_short(rate)} rows/s")
            parts.append(f"{_duration((self._rows - rows_done) / rate)} left")
        return "  ".join(parts)

    def _rate(self) -> float:
        (begin, rows_then), (now, rows_now) = self._points[0], self._points[-1]
        return (rows_now - rows_then) / (now - begin) if now > begin else 0.0


class RowProgress:
    """Shows how many rows of a file are done, how fast it goes and how long it will take.

    ```
    with RowProgress() as progress:
        progress.update(65_536, 0.25)
    ```

    Args:
        stream: where to; standard error when None.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._display = _display(sys.stderr if stream is None else stream, clock)
        self._points: deque[tuple[float, int, float]] = deque([(clock(), 0, 0.0)])

    def __enter__(self) -> RowProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._display.close()

    def update(self, rows: int, share: float) -> None:
        """Show where the work is.

        Args:
            rows: done so far.
            share: of the whole file that is done, 0 to 1.
        """
        self._points.append((self._clock(), rows, share))
        while len(self._points) > 2 and self._points[-1][0] - self._points[1][0] > _RATE_WINDOW:
            self._points.popleft()
        (begin, rows_then, share_then), now = self._points[0], self._points[-1][0]
        parts = [f"{rows:,} rows"]
        if now > begin and rows > rows_then:
            parts.append(f"{_short((rows - rows_then) / (now - begin))} rows/s")
        if now > begin and share > share_then:
            parts.append(f"{_duration((1 - share) * (now - begin) / (share - share_then))} left")
        self._display.show("  ".join(parts), min(max(share, 0.0), 1.0))

    def message(self, text: str) -> None:
        """Print a line that stays.

        Args:
            text: what to say.
        """
        self._display.print(text)


class _Display(Protocol):
    def wait(self, text: str) -> None: ...  # something without a measure is under way
    def show(self, line: str, done: float) -> None: ...  # done: share of the whole run
    def print(self, text: str) -> None: ...
    def close(self) -> None: ...


def _display(stream: TextIO | None, clock: Callable[[], float]) -> _Display:
    if stream is None:  # a process without standard error
        return _Silence()
    if _is_terminal(stream):
        return _Terminal(stream, clock)
    return _Lines(stream, clock)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    except ValueError:  # closed
        return False


class _Silence:
    def wait(self, text: str) -> None:
        pass

    def show(self, line: str, done: float) -> None:
        pass

    def print(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines:
    """Plain lines: about one a second, and the last."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream: TextIO | None = stream
        self._clock = clock
        self._next = clock() + _SECONDS_BETWEEN_LINES
        self._held: str | None = None  # a line that came too soon after the one before

    def wait(self, text: str) -> None:
        self.print(text)

    def show(self, line: str, done: float) -> None:
        self._held = line
        if done < 1.0 and self._clock() >= self._next:  # the end comes twice: without and with
            self._flush()  # the validation metrics of the last epoch; the next print writes it

    def print(self, text: str) -> None:
        self._flush()
        self._write(text)

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._held is not None:
            line, self._held = self._held, None
            self._next = self._clock() + _SECONDS_BETWEEN_LINES
            self._write(line)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(_encodable(text, self._stream) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader has left, the disk is full, the stream closed
            self._stream = None


class _Terminal:
    """A live line drawn by rich, which is imported here only: it costs a tenth of a second.

    rich itself heeds NO_COLOR, and draws in ASCII where the encoding is not UTF-8. It gets no
    thread of its own: the line is drawn when there is something new.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        one_line = Column(no_wrap=True, overflow="crop", ratio=1)
        self._stream = stream
        self._clock = clock
        self._next = 0.0
        self._bar: Bar | None = Bar(
            BarColumn(bar_width=8),
            TextColumn("{task.description}", markup=False, table_column=one_line),
            console=Console(file=stream, highlight=False, markup=False, emoji=False),
            auto_refresh=False,
            redirect_stdout=False,  # results go there, untouched
            expand=True,
        )
        self._task = self._bar.add_task("starting ...", total=None)
        self._draw(lambda bar: bar.start())

    def wait(self, text: str) -> None:
        shown = _encodable(text, self._stream)
        self._draw(lambda bar: bar.update(self._task, description=shown, total=None, refresh=True))

    def show(self, line: str, done: float) -> None:
        now = self._clock()
        shown = _encodable(line, self._stream)
        refresh = done >= 1.0 or now >= self._next
        if refresh:
            self._next = now + _SECONDS_BETWEEN_FRAMES
        self._draw(
            lambda bar: bar.update(
                self._task, description=shown, total=1.0, completed=done, refresh=refresh
            )
        )

    def print(self, text: str) -> None:
        shown = _encodable(text, self._stream)
        self._draw(lambda bar: bar.console.print(shown, soft_wrap=True))

    def close(self) -> None:
        self._draw(lambda bar: bar.stop())
        self._bar = None

    def _draw(self, act: Callable[[Bar], object]) -> None:
        if self._bar is None:
            return
        try:
            act(self._bar)
        except (OSError, ValueError):  # the terminal is gone
            self._bar = None


def _encodable(text: str, stream: TextIO) -> str:
    """Text that the stream can write, and in which nothing acts on a terminal."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _short(rate: float) -> str:
    """Three digits and a unit: 812, 81.2k, 1.23M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate >= size:
            return f"{rate / size:.3g}{unit}"
    return f"{rate:.3g}"


def _duration(seconds: float) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    whole = math.ceil(max(seconds, 0.0))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
