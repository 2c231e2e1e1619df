"""A signal to a command while it writes its output."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def struck_while_writing(
    words: Sequence[str], folder: Path, environment: dict[str, str], number: int
) -> tuple[int, str]:
    """(exit code, standard error) of a command struck once there is a temporary file."""
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        until = time.monotonic() + 100
        while not list(folder.glob(".tmp-*")) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=100)[1]
    return process.returncode, said
