"""Ctrl-C and SIGTERM during training: noticed at once, acted on between two compiled stretches.

Python's own KeyboardInterrupt may be raised inside a callback of JAX, which swallows it, and the
run would go on. A second signal leaves at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def polled() -> Iterator[Callable[[], None]]:
    """A function to call now and then: it raises once a signal has come.

    KeyboardInterrupt for Ctrl-C, SystemExit(143) for SIGTERM. Handlers are as before afterwards.
    """
    caught: list[int] = []

    def notice(number: int, _frame: FrameType | None) -> None:
        if caught:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    def poll() -> None:
        if caught and caught[0] == signal.SIGINT:
            raise KeyboardInterrupt
        if caught:
            raise SystemExit(128 + caught[0])

    before = {number: signal.signal(number, notice) for number in _SIGNALS}
    try:
        yield poll
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
