"""Is there memory enough for a training, and what to change where there is not?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from jaxnet.errors import UserError
from jaxnet.training import free_memory
from jaxnet.training.free_memory import Free, Spaces
from jaxnet.training.needs import DEVICE, HOST, Needs, at_peak

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "data": "training rows",
        "validation": "validation rows",
        "optimizer": "optimizer state",
        "average": "averaged parameters",
        "best": "best parameters",
        "activations": "activations of a batch",
        "logits": "logits of a batch",
        "evaluation": "a block of the evaluation",
        "checkpoint": "copies for the checkpoint",
        "predictions": "predictions of all rows",
    }
)
# What to change, by the largest part.
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "data": "train on fewer rows or columns (data.train, data.drop)",
        "validation": "lower data.split.validation",
        "optimizer": "lower {shrink}, or set optimizer.name=sgd",
        "average": "set optimizer.ema=null, or lower {shrink}",
        "activations": "lower training.batch_size or {shrink}",
        "logits": "lower training.batch_size",
        "predictions": "train on fewer rows (data.train), or on fewer classes or labels",
    }
)
_OTHER_REMEDY = "lower {shrink}"
_UNKNOWN_REMEDY = "lower training.batch_size or model.hidden"


def describe(needs: Needs) -> str:
    """One line about what training takes.

    >>> describe(Needs(1_500_000_000, *[0] * 11))
    'training needs about 1.5 GB (training rows 1.5 GB)'
    """
    return f"training needs about {_listed(needs, DEVICE | HOST)}"


def _listed(needs: Needs, where: frozenset[str]) -> str:
    parts = [(name, size) for name, size in at_peak(needs, where) if size]
    shown = [f"{_WORDS.get(name, name)} {as_text(size)}" for name, size in parts[:4]]
    rest = ["..."] if len(parts) > len(shown) else []
    return f"{as_text(sum(size for _, size in parts))} ({', '.join(shown + rest)})"


def as_text(size: float) -> str:
    """Bytes for a person.

    >>> as_text(41_234_567_890), as_text(1500), as_text(12)
    ('41.2 GB', '1.5 kB', '12 bytes')
    """
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"


def check(needs: Needs, spaces: Spaces | None = None) -> None:
    """Refuse a training that does not fit, before anything is compiled.

    Args:
        spaces: what is free; None: what `free_memory.available()` finds.

    Raises:
        UserError: names the parts, what is free and what to change.
    """
    spaces = free_memory.available() if spaces is None else spaces
    if spaces.shared:
        _check_one(needs, DEVICE | HOST, spaces.host)
        return
    _check_one(needs, DEVICE, spaces.device)
    _check_one(needs, HOST, spaces.host)


def _check_one(needs: Needs, where: frozenset[str], free: Free | None) -> None:
    asked = sum(size for _, size in at_peak(needs, where))
    if free is None or asked <= free.bytes:
        return
    raise UserError(
        f"training needs about {_listed(needs, where)} and {as_text(free.bytes)} are free "
        f"{free.where}: {remedy(needs, where)}"
    )


def remedy(needs: Needs, where: frozenset[str] = DEVICE | HOST) -> str:
    """What to change so that less is needed: it follows from the largest part."""
    text = _REMEDIES.get(at_peak(needs, where)[0][0], _OTHER_REMEDY)
    return text.format(shrink=needs.shrink)


# How XLA and NumPy say how much they could not have.
_ASKED = (
    re.compile(r"(?:allocating|allocate) (?P<number>[\d.]+) ?(?P<unit>bytes|[KMGTP]i?B)", re.I),
    re.compile(r"(?P<number>[\d.]+) ?(?P<unit>[KMGTP]i?B)", re.I),
)
_LETTERS = "kmgtp"


def translated(error: BaseException, needs: Needs | None = None) -> str | None:
    """What to tell a user of an error that means "out of memory"; None for any other error.

    Args:
        needs: what training was thought to need, from which the remedy follows.

    >>> translated(MemoryError("Unable to allocate 40.0 GiB for an array"))
    'out of memory: 42.9 GB were asked for at once; lower training.batch_size or model.hidden'
    """
    said = str(error)
    if not isinstance(error, MemoryError) and not _is_exhausted(error, said):
        return None
    asked = _asked(said)
    much = "" if asked is None else f": {as_text(asked)} were asked for at once"
    advice = _UNKNOWN_REMEDY if needs is None else remedy(needs)
    about = "" if needs is None else f" ({describe(needs)})"
    return f"out of memory{much}{about}; {advice}"


def _is_exhausted(error: BaseException, said: str) -> bool:
    words = ("RESOURCE_EXHAUSTED", "Out of memory")
    return isinstance(error, RuntimeError) and any(word in said for word in words)


def _asked(said: str) -> float | None:
    """Bytes that were asked for, as far as the message says."""
    for pattern in _ASKED:
        found = pattern.search(said)
        if found is None:
            continue
        number, unit = float(found["number"].rstrip(".")), found["unit"].lower()
        if unit == "bytes":
            return number
        base = 1024 if unit[1] == "i" else 1000
        return float(number * base ** (_LETTERS.index(unit[0]) + 1))
    return None
