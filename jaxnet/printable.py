"""Text as it may be printed: what a terminal would act on is shown as Python writes it.

Names of files, columns and classes, and values of a config, are made by anybody. Printed raw, an
escape sequence in one of them can move the cursor, set the title, or make a link; an override of
the direction of writing can show another name than is there.
"""

from __future__ import annotations

import re
import shlex

# C0 and C1, marks and overrides of direction, separators of lines, halves of surrogate pairs.
_ACTING = "\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff"
_ONE_LINE = re.compile(f"[{_ACTING}]")
_LINES = re.compile(f"(?![\\n\\t])[{_ACTING}]")


def visible(text: str) -> str:
    """Lines of text, in which nothing but line feeds and tabs acts on a terminal.

    >>> visible("a\\x1b[2Jb\\n") == "a\\\\x1b[2Jb\\n"
    True
    """
    return _LINES.sub(_escaped, text)


def one_line(text: str) -> str:
    """Text that is to stay on its line, in which nothing acts on a terminal.

    >>> one_line("a\\nb\\u202e")
    'a\\\\nb\\\\u202e'
    """
    return _ONE_LINE.sub(_escaped, text)


def shell_word(text: object) -> str:
    r"""A word to type in a shell; one that would act on a terminal as bash, zsh and ksh take it.

    >>> shell_word("runs/a b"), shell_word("a\x1b'")
    ("'runs/a b'", "$'a\\x1b\\''")
    """
    word = str(text)
    if not _ONE_LINE.search(word):
        return shlex.quote(word)
    quoted = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_ONE_LINE.sub(_in_shell, quoted)}'"


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _in_shell(found: re.Match[str]) -> str:
    """Byte by byte, whatever the encoding of the shell; a surrogate stands for a byte of a name."""
    try:
        data = found[0].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no name of a file has it
        return _escaped(found)
    return "".join(f"\\x{byte:02x}" for byte in data)
