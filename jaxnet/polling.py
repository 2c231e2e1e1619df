"""Hearing that work shall stop: a function that is called now and then, and raises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext


def at_once(poll: Callable[[], None]) -> AbstractContextManager[None]:
    """A block in which a signal is acted on where it comes, without being polled for.

    For work that calls no compiled program, changes nothing outside and may be left anywhere. It
    needs a `poll` that can do so (that of `jaxnet.cli.signals`); with any other nothing changes.

    >>> with at_once(lambda: None):
    ...     sum([1, 2])
    3
    """
    block: Callable[[], AbstractContextManager[None]] = getattr(poll, "at_once", nullcontext)
    return block()
