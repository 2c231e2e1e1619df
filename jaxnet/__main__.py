"""The `jaxnet` command, also as `python -m jaxnet`: it hears signals before it imports anything."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing has begun yet, so there is nothing to tidy, and no traceback to show."""
    os._exit(128 + number)


def main() -> int:
    """Run the command of this process, and return its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, a shell's background
            signal.signal(number, _leave)

    from jaxnet.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
