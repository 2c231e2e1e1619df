"""What is odd about new rows, in sentences, and added up over the pieces of a table."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from jaxnet.data import sparse, sparse_sets
from jaxnet.data.new_rows import Encoded, Ready, describe


class Findings:
    """Remarks on one piece of a table after another, each said once; counts are added up."""

    def __init__(self) -> None:
        self.rows = self.bare = 0
        self.unseen: Counter[str] = Counter()
        self.warnings: dict[str, None] = {}

    def add(self, found: Encoded | sparse_sets.Encoded) -> None:
        """Take note of a piece."""
        self.rows += len(found.x)
        if isinstance(found, sparse_sets.Encoded):
            self.bare += int((sparse.counts(found.x) == 0).sum())
            return
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


def summed_up(known: Ready | sparse_sets.Ready, findings: Findings) -> Rows:
    """The findings of all pieces."""
    if isinstance(known, sparse_sets.Ready):
        odd = sparse_sets.describe(findings.bare, findings.rows)
    else:
        odd = describe(known, findings.unseen, findings.rows)
    said = (*findings.warnings, *odd)
    return Rows(findings.rows, dict(findings.unseen), said)
