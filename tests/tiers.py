"""Cases of the usual run of the tests, and of the thorough one (`scripts/test -m thorough`)."""

from collections.abc import Iterable
from typing import Any

import pytest


def thorough(*cases: Any) -> list[Any]:
    """More of what other cases show: a longer campaign, another combination."""
    marked = []
    for case in cases:
        values = case if type(case) is tuple else (case,)
        marked.append(pytest.param(*values, marks=pytest.mark.thorough))
    return marked


def usual(cases: Iterable[Any], *kept: Any) -> list[Any]:
    """All cases, of which only those that are named are in the usual run."""
    return [one for case in cases for one in ([case] if case in kept else thorough(case))]
