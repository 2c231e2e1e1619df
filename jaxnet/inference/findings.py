"""What is odd about new rows, in sentences, and added up over the pieces of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxnet.data.new_rows import Encoded, Ready


class Findings:
    """Remarks on one piece of a table after another, each said once; counts are added up."""

    def __init__(self) -> None:
        self.rows = 0
        self.unseen: Counter[str] = Counter()
        self.warnings: dict[str, None] = {}

    def add(self, found: Encoded) -> None:
        """Take note of a piece."""
        self.rows += len(found.x)
        self.unseen.update(found.unseen)
        self.warnings.update(dict.fromkeys(found.warnings))


class Rows(NamedTuple):
    """A table that was read to its end.

    Attributes:
        number: of rows.
        unseen: column -> cells unlike any in the training rows.
        warnings: what is odd, one sentence each, the unseen cells included.
    """

    number: int
    unseen: dict[str, int]
    warnings: tuple[str, ...]


def sentences(
    known: Ready, warnings: Sequence[str], unseen: Mapping[str, int], rows: int
) -> tuple[str, ...]:
    """The warnings, and a sentence for each column with cells that training has not seen."""
    numeric = set(known.encoder.numeric)
    said = []
    for name, number in unseen.items():
        what = (
            "are missing, and training had none missing: taken as the median"
            if name in numeric
            else "hold no category that training learned: taken as unknown"
        )
        said.append(f"column {name!r}: {number:,} of {rows:,} cells {what}")
    return (*warnings, *said)


def summed_up(known: Ready, findings: Findings) -> Rows:
    """The findings of all pieces."""
    said = sentences(known, tuple(findings.warnings), findings.unseen, findings.rows)
    return Rows(findings.rows, dict(findings.unseen), said)
