"""Ctrl-C and SIGTERM: noticed at once, acted on where nothing is half done.

Until a command polls for the first time a signal ends it on the spot, for nothing has begun. From
then on it is acted on between two compiled stretches: an exception raised inside a callback of JAX
would be swallowed, and the run would go on. A second signal leaves at once.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from jaxnet.errors import Stopped

AGAIN = "; give the same command again"  # said where nothing was saved

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heard() -> Iterator[Callable[[], None]]:
    """A function to call now and then: it raises `Stopped` once a signal has come.

    A signal that the process was started to ignore stays ignored. Handlers are as before
    afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # signals are the main thread's
        return
    caught: list[int] = []
    polling = False

    def notice(number: int, _frame: FrameType | None) -> None:
        for each in before:  # a second one is the system's: it ends a long call at once too
            signal.signal(each, signal.SIG_DFL)
        caught.append(number)
        if not polling:
            raise Stopped(number)

    def poll() -> None:
        nonlocal polling
        polling = True
        if caught:
            raise Stopped(caught[0])

    def unraisable(error: sys.UnraisableHookArgs) -> None:
        # Raised inside a callback of JAX, which lets nothing out: the next poll raises it again.
        if not isinstance(error.exc_value, Stopped):
            shown_before(error)

    shown_before, sys.unraisablehook = sys.unraisablehook, unraisable
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, notice)
    try:
        yield poll
    finally:
        sys.unraisablehook = shown_before
        for number, handler in before.items():
            signal.signal(number, handler)
