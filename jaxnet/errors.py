"""One family of errors. A `UserError` says what is wrong, where, and what to type instead.

The command line turns `exit_code` into its exit status: 2 for a mistake in the call, the config
or the data, 1 for a run that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class JaxnetError(Exception):
    """Base of every error that jaxnet raises on purpose."""

    exit_code = 1


class UserError(JaxnetError, ValueError):
    """A mistake in the call, the config or the data. It is a `ValueError` too."""

    exit_code = 2


class ConfigError(UserError):
    """All problems of one config at once.

    Args:
        problems: one line each, `file:line:column: key.path: what is wrong`.

    >>> ConfigError(["a.yaml:1:1: taks: unknown key"]).problems
    ['a.yaml:1:1: taks: unknown key']
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class DataError(UserError):
    """Data that cannot be used; the message names rows, columns or labels."""


class RunDirectoryError(UserError):
    """A run directory that exists already, cannot be written, or holds no run."""


class CheckpointError(UserError):
    """A checkpoint that does not fit what is to go on from it: another network, other data."""


class LossPairError(UserError):
    """A loss and an output activation that do not belong together."""


class RunFailed(JaxnetError):
    """A run that started and could not finish."""


class NonFiniteError(RunFailed):
    """A NaN or an infinity met in training.

    Args:
        message: what was met and the usual fix.
        step: the update it was met in, counted from 1.
        rows: training rows of that update, as far as they are known.
    """

    def __init__(self, message: str, *, step: int | None = None, rows: Sequence[int] = ()) -> None:
        self.step = step
        self.rows = tuple(rows)
        super().__init__(message)


class Stopped(BaseException):
    """A signal asked the program to end. Not an `Exception`: nobody catches it by mistake.

    Args:
        signal: its number.

    >>> Stopped(15).exit_code
    143
    """

    def __init__(self, signal: int) -> None:
        self.signal = signal
        self.saved: str | None = None  # the run directory, where a good checkpoint is in it
        super().__init__(signal)

    @property
    def exit_code(self) -> int:
        """75 after a good checkpoint: run it again; else what a shell says of the signal."""
        return 75 if self.saved is not None else 128 + self.signal


class DataWarning(UserWarning):
    """Data that can be used and that a user should look at: unseen categories, unused columns."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, or None when nothing is near.

    >>> nearest("learning-rat", ["learning_rate", "momentum"])
    'learning_rate'
    """
    import difflib  # only mistakes pay for it

    names = {choice.lower().replace("-", "_"): choice for choice in choices}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), names, n=1)
    return names[near[0]] if near else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest choice and, if short, all of them.

    >>> did_you_mean("adm", ["sgd", "adam"])
    "; did you mean 'adam'? (valid: sgd, adam)"
    >>> did_you_mean("quux", ["sgd", "adam"])
    '; valid: sgd, adam'
    """
    known = list(choices)
    listed = ", ".join(known)
    near = nearest(word, known)
    if near is None:
        return f"; valid: {listed}"
    return f"; did you mean {near!r}?" + (f" (valid: {listed})" if len(listed) <= 80 else "")
