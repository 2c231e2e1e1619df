"""Ctrl-C, SIGTERM and SIGHUP: noticed at once, acted on where nothing is half done.

Until a command polls for the first time nothing has begun, and a signal does what it did before:
it ends the process on the spot, without an exception, which in the midst of the import of a native
module would end in a crash. From then on it is acted on between two compiled stretches: an
exception raised inside a callback of JAX would be swallowed, and the run would go on. A second
signal leaves at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from jaxnet.errors import Stopped

AGAIN = "; give the same command again"  # said where nothing was saved

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):  # the terminal was closed, or its connection broke; not on Windows
    _WORDS[signal.SIGHUP] = "hung up"


def in_words(number: int) -> str:
    """What a signal did to the command.

    >>> in_words(15)
    'terminated'
    """
    return _WORDS.get(signal.Signals(number), "stopped")


class Poll:
    """Called now and then: it raises `Stopped` once a signal has come."""

    def __init__(self) -> None:
        self.begun = False
        self._caught: list[int] = []
        self._at_once = False

    def __call__(self) -> None:
        self.begun = True
        if self._caught:
            raise Stopped(self._caught[0])

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """See `jaxnet.polling.at_once`."""
        self()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def notice(self, number: int) -> None:
        """A signal has come."""
        self._caught.append(number)
        if self._at_once or not self.begun:
            raise Stopped(number)


@contextmanager
def heard() -> Iterator[Poll]:
    """What to call now and then.

    A signal that the process was started to ignore stays ignored. Handlers are as before
    afterwards.
    """
    poll = Poll()
    if threading.current_thread() is not threading.main_thread():
        yield poll  # signals are the main thread's
        return

    def notice(number: int, frame: FrameType | None) -> None:
        earlier = before[signal.Signals(number)]
        if not poll.begun and callable(earlier):
            earlier(number, frame)
        for each in before:  # a second one is the system's: it ends a long call at once too
            signal.signal(each, _leave if os.getpid() == 1 else signal.SIG_DFL)
        poll.notice(number)

    def unraisable(error: sys.UnraisableHookArgs) -> None:
        # Raised inside a callback of JAX, which lets nothing out: the next poll raises it again.
        if not isinstance(error.exc_value, Stopped):
            shown_before(error)

    shown_before, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        with _handled(notice) as before:
            yield poll
    finally:
        sys.unraisablehook = shown_before


@contextmanager
def leaving() -> Iterator[None]:
    """A block of a command that has nothing to save and nothing to tidy: a signal ends it there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handled(_leave):
        yield


def _leave(number: int, _frame: FrameType | None) -> None:
    """End the process here. The first process of a container would not hear SIG_DFL."""
    with suppress(OSError):  # closed, say
        os.write(2, f"jaxnet: error: {in_words(number)}{AGAIN}\n".encode())
    os._exit(128 + number)


@contextmanager
def _handled(handler: Any) -> Iterator[dict[signal.Signals, Any]]:
    """The signals handled in a block; yields what handled them before."""
    before = {number: signal.getsignal(number) for number in _WORDS}
    before = {n: found for n, found in before.items() if found is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, found in before.items():
            signal.signal(number, found)
