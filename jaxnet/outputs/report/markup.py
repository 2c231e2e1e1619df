"""HTML by construction: every string is escaped on its way into an element, unless it is `Html`.

Names of columns, classes and labels come from strangers' files; they go through `name`.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable
from typing import Any, TypeGuard

_VOID = {"meta", "br", "hr", "col"}
_NOTHING = "\N{EM DASH}"


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | None) -> Html:
    """`<tag attributes>children</tag>`; plain strings are escaped, None is left out.

    An attribute `class_` is written class, `aria_label` aria-label.

    >>> element("p", "1 < 2 ", element("b", "yes"), class_='a"b')
    '<p class="a&quot;b">1 &lt; 2 <b>yes</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def join(parts: Iterable[str | None]) -> Html:
    """The parts one after the other; plain strings are escaped, None is left out."""
    return Html(
        "".join(
            part if isinstance(part, Html) else html.escape(clean(part))
            for part in parts
            if part is not None
        )
    )


def clean(text: str) -> str:
    """The text without what HTML or UTF-8 cannot hold: controls and halves of surrogate pairs.

    >>> clean("tab" + chr(9) + "nul" + chr(0))
    'tab\\tnul�'
    """
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\r"
        else letter
        for letter in text
    )


def shorten(value: Any, limit: int = 60) -> str:
    """The value as one line of at most `limit` letters.

    >>> shorten("a  b\\nc", 4), shorten("abcdef", 4)
    ('a b…', 'abc…')
    """
    line = " ".join(str(value)[: 20 * limit].split())
    return line if len(line) <= limit else line[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def name(value: Any, limit: int = 60) -> Html:
    """A name from the data: shortened, and isolated so that its direction stays its own affair.

    >>> name("<script>")
    '<bdi>&lt;script&gt;</bdi>'
    """
    short = shorten(value, limit)
    if not short.strip():
        return element("em", "(empty)")
    whole = shorten(value, 300)
    return element("bdi", short, title=whole if whole != short else None)


def is_number(value: Any) -> TypeGuard[float]:
    """A finite number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def figure_of(value: Any) -> str:
    """A metric: four decimals, or digits enough to see a small one; a dash for None.

    >>> figure_of(0.95294), figure_of(0.0000123), figure_of(None), figure_of(123.4)
    ('0.9529', '1.23e-05', '—', '123.4')
    """
    if not is_number(value):
        return _NOTHING
    if value == 0 or 0.0005 <= abs(value) < 10:
        return f"{value:.4f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.4g}" if abs(value) < 10 else plain_number(value)


def plain_number(value: Any) -> str:
    """A value of a column: four digits, whole numbers with all of theirs.

    >>> plain_number(1234567), plain_number(0.123456), plain_number(24.0)
    ('1,234,567', '0.1235', '24')
    """
    if not is_number(value):
        return _NOTHING if value is None else shorten(value, 30)
    if abs(value) < 1e15 and value == int(value):
        return f"{int(value):,}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def percent(share: Any) -> str:
    """A share as a percentage with one decimal; 100 % is said of the whole alone.

    >>> percent(0.9529), percent(1.0), percent(0.99999), percent(None)
    ('95.3 %', '100 %', '> 99.9 %', '—')
    """
    if not is_number(share):
        return _NOTHING
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %" if abs(share) >= 0.0005 else "< 0.1 %"


def seconds(value: Any) -> str:
    """A length of time in the unit that reads best.

    >>> seconds(0.0123), seconds(2.54), seconds(75), seconds(7300)
    ('0.01 s', '2.5 s', '1 min 15 s', '2 h 1 min')
    """
    if not is_number(value):
        return _NOTHING
    if value < 59.5:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s"


def counted(number: Any, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{plain_number(number)} {one if number == 1 else many or one + 's'}"
