"""The `jaxnet` command, also as `python -m jaxnet`: it hears signals before it imports anything."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing has begun yet, so there is nothing to tidy, and no traceback to show."""
    what = b"interrupted" if number == signal.SIGINT else b"terminated"
    with suppress(OSError):  # closed, say
        os.write(2, b"jaxnet: error: " + what + b"; give the same command again\n")
    os._exit(128 + number)


def _fill_descriptors() -> None:
    """Where standard streams are closed (`2>&-`), no file of ours must get their numbers.

    What a library writes to number 2 would end up in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def main() -> int:
    """Run the command of this process, and return its exit code."""
    _fill_descriptors()
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, a shell's background
    ]
    for number in numbers:
        signal.signal(number, _leave)

    from jaxnet.cli.main import main as run

    code = run()
    for number in numbers:  # all is said: while Python tidies up, another one just ends it
        signal.signal(number, signal.SIG_DFL)
    return code


if __name__ == "__main__":
    sys.exit(main())
