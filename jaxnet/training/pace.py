"""How many turns of a compiled loop take about a second: a signal is heard between two calls."""

from __future__ import annotations

SECONDS = 1.0  # of one call of a compiled loop
FIRST = 1  # turns of the first call, before the rate is known


class Pace:
    """Learns the rate of a loop from its calls.

    >>> pace = Pace()
    >>> pace.turns()
    1
    >>> pace.took(10, 0.5)
    >>> pace.turns()
    20
    """

    def __init__(self) -> None:
        self._rate = 0.0  # turns a second, 0: not known

    def turns(self) -> int:
        """Turns that the next call should make."""
        return int(self._rate * SECONDS) or FIRST

    def took(self, turns: int, seconds: float) -> None:
        """What a call took: the turns it made, which may be fewer than it was to make."""
        self._rate = turns / max(seconds, 1e-9)
