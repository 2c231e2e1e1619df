"""The argument parser: errors name what was probably meant, and positionals go anywhere."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jaxnet.errors import UserError, did_you_mean, nearest
from jaxnet.printable import shell_word

_TABLES = (".csv", ".csv.gz", ".parquet", ".npz", ".txt", ".txt.gz")
_OVERRIDE = re.compile(r"[A-Za-z_][\w.-]*=")


class UsageError(UserError):
    """A call that the command line does not understand."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError` instead of leaving the process."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Refuse the call, with the command whose help explains it."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = "command" if isinstance(action, argparse._SubParsersAction) else "choice"
            known = [str(choice) for choice in action.choices]
            self.error(f"unknown {what} {value!r}{did_you_mean(str(value), known)}")

    @property
    def options(self) -> list[str]:
        """The long options."""
        return [option for option in self._option_string_actions if option.startswith("--")]


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse a call; options and positionals may come in any order.

    argparse takes the positionals of a command from one stretch only. The command's own are
    therefore `items`, and what comes after a later option is added to them.

    Raises:
        UsageError: anything that the parser does not know.
    """
    args, rest = parser.parse_known_args(list(argv))
    command: Parser = getattr(args, "parser", parser)
    for word in rest:
        if word.startswith("-") and word != "-" and word != "--":
            command.error(_unknown_option(word, command, takes_keys=hasattr(args, "keys")))
    args.words = list(argv)  # as typed, for the records of a run
    late = [word for word in rest if word != "--"]
    if late and not hasattr(args, "items"):
        command.error(f"unexpected argument {late[0]!r}")
    if late:
        args.items = [*args.items, *late]
    return args


def _unknown_option(word: str, command: Parser, *, takes_keys: bool) -> str:
    option = word.partition("=")[0]
    near = nearest(option, command.options) if option.startswith("--") else None
    if near is not None:
        return f"unknown option {option!r}; did you mean {near!r}?"
    keys = "; keys of the config are set as key.path=value" if takes_keys else ""
    return f"unknown option {option!r}{keys}"


def add_items(parser: Parser, *, needed: bool) -> None:
    """Let a command take a config and overrides.

    Args:
        parser: the command's parser.
        needed: whether the config must be named.
    """
    parser.add_argument(
        "items",
        nargs="*",
        metavar="CONFIG [key.path=value ...]" if needed else "[CONFIG] [key.path=value ...]",
        help="a YAML file, and keys to override; values are YAML, such as model.hidden=[64,64] "
        "or training.early_stopping=null",
    )
    parser.set_defaults(keys=True)


def add_words(parser: Parser, usage: str, help: str) -> None:
    """Let a command take words that may stand between its options.

    Args:
        parser: the command's parser.
        usage: the words, as they are shown.
        help: what they are.
    """
    parser.add_argument("items", nargs="*", metavar=usage, help=help)


def take_words(args: argparse.Namespace, *needed: str, more: int = 0) -> list[str]:
    """The words of a call, as many as are needed and at most some more.

    Args:
        args: of a command that `add_words` made.
        needed: what the words are.
        more: how many may follow.

    Raises:
        UsageError: there are too few or too many.
    """
    words: list[str] = args.items
    if len(words) < len(needed):
        missing = " and ".join(needed[len(words) :])
        args.parser.error(f"{missing} {'are' if ' and ' in missing else 'is'} missing")
    if len(words) > len(needed) + more:
        args.parser.error(f"unexpected argument {words[len(needed) + more]!r}")
    return words


def split_items(items: Sequence[str]) -> tuple[str | None, list[str]]:
    """The config and the overrides among the positionals, in any order.

    >>> split_items(["training.epochs=5", "configs/binary.yaml"])
    ('configs/binary.yaml', ['training.epochs=5'])

    Raises:
        UsageError: a table was named where a config is needed.
    """
    config: str | None = None
    overrides = []
    for item in items:
        if config is None and not _OVERRIDE.match(item):
            config = item
        else:
            overrides.append(item)
    if config is not None and config.lower().endswith(_TABLES):
        made = f"{Path(config).name.partition('.')[0] or 'table'}.yaml"
        raise UsageError(
            f"{config}: a file of rows, not a config; make one for it: "
            f"jaxnet config init {shell_word(config)} --output {shell_word(made)}"
        )
    return config, overrides
