"""How many turns of a compiled loop take about a second: a signal is heard between two calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 1.0  # of one call of a compiled loop
FIRST = 1  # turns of the first call, before the rate is known


class Pace:
    """Learns the rate of a loop from its calls.

    >>> pace = Pace()
    >>> pace.turns()
    1
    """

    def __init__(self) -> None:
        self._rate = 0.0  # turns a second, 0: not known

    def turns(self) -> int:
        """Turns that the next call should make."""
        return int(self._rate * SECONDS) or FIRST

    @contextmanager
    def timing(self, turns: int) -> Iterator[None]:
        """Time a call of that many turns; the block must end when they are done, not before."""
        begun = time.perf_counter()
        yield
        self._rate = turns / (time.perf_counter() - begun)
