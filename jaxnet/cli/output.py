"""Writing to standard output and standard error, whatever is on their other end."""

from __future__ import annotations

import os
import sys

from jaxnet.errors import ConfigError, JaxnetError


def prepare_streams() -> None:
    """Escape characters that a stream cannot encode, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def emit(text: str) -> None:
    """Write a result to standard output. A reader that has left (`| head`) is no error.

    Raises:
        JaxnetError: the output cannot be written, on a full disk say.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
    except OSError as error:
        drop(sys.stdout)
        raise JaxnetError(f"standard output cannot be written: {error.strerror}") from None


def complain(error: BaseException | str) -> None:
    """Write an error to standard error, every problem of a config on a line of its own."""
    lines = error.problems if isinstance(error, ConfigError) else [str(error)]
    try:
        for line in lines:
            print(f"jaxnet: error: {line}", file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def note(text: str) -> None:
    """Write a line to standard error, if there is somebody to read it."""
    try:
        print(text, file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


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
