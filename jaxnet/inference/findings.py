"""What is odd about new rows, in sentences, and added up over the pieces of a table."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from jaxnet.data.new_rows import Encoded, Ready, describe


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


def summed_up(known: Ready, findings: Findings) -> Rows:
    """The findings of all pieces."""
    unseen = describe(known, findings.unseen, findings.rows)
    said = (*findings.warnings, *unseen)
    return Rows(findings.rows, dict(findings.unseen), said)
