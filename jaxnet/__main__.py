"""The `jaxnet` command, also as `python -m jaxnet`: it hears signals before it imports anything."""

from __future__ import annotations

import atexit
import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_SIGNALS = {signal.SIGINT: b"interrupted", signal.SIGTERM: b"terminated"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _SIGNALS[signal.SIGHUP] = b"hung up"


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing has begun yet, so there is nothing to tidy, and no traceback to show."""
    what = _SIGNALS[signal.Signals(number)]
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


def _end(code: int) -> NoReturn:
    """End the process, but for the destructors of native libraries: run while a thread of theirs is
    still at its end, they abort it (`terminate called without an active exception`).
    """
    atexit._run_exitfuncs()
    os._exit(code)


def main() -> NoReturn:
    """Run the command of this process, and end it with its exit code."""
    _fill_descriptors()
    numbers = [
        number
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup, a shell's background
    ]
    for number in numbers:
        signal.signal(number, _leave)

    from jaxnet.cli.main import main as run

    code = run()
    for number in numbers:  # all is said: while Python tidies up, another one just ends it
        signal.signal(number, signal.SIG_DFL)
    _end(code)


if __name__ == "__main__":
    main()
