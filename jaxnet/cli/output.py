"""Writing to standard output and standard error, whatever is on their other end."""

from __future__ import annotations

import os
import sys

from jaxnet.errors import ConfigError, JaxnetError
from jaxnet.printable import one_line, visible


def prepare_streams() -> None:
    """Escape characters that a stream cannot encode, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Write a result to standard output: exactly to a file or a pipe, to a terminal so that
    nothing in it acts there. A reader that has left (`| head`) is no error.

    Raises:
        JaxnetError: the output cannot be written, on a full disk say.
    """
    if sys.stdout is None:
        return
    try:
        shown = visible(text) if _is_terminal(sys.stdout) else text
        sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
    except OSError as error:
        drop(sys.stdout)
        raise JaxnetError(f"standard output cannot be written: {error.strerror}") from None


def complain(error: BaseException | str) -> None:
    """Write an error to standard error, every problem of a config on a line of its own.

    Nothing in it acts on a terminal, nor looks like a line of another error.
    """
    lines = error.problems if isinstance(error, ConfigError) else [str(error)]
    try:
        for line in lines:
            print(f"jaxnet: error: {one_line(line)}", file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def note(text: str) -> None:
    """Write text to standard error, if there is somebody to read it; nothing in it acts."""
    try:
        print(visible(text), file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # no stream, or closed
        return False


def finish() -> None:
    """Write out what is still held back, so that the interpreter's end has nothing to say."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            drop(stream)


def drop(stream: object) -> None:
    """Point a stream that cannot be written at nothing: no second error when Python ends."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, descriptor)
        os.close(nothing)
    except (AttributeError, OSError, ValueError):
        pass
