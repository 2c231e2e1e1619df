"""A number or the reason why there is none, and means that say what they leave out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_SHOWN = 10  # names in a remark


class Score(NamedTuple):
    """A number, or None where it is undefined; the remark says why, or what was left out."""

    value: float | None
    remark: str = ""


def or_none(value: float, reason: str) -> Score:
    """The number, or None with the reason where it is NaN."""
    return Score(None, reason) if np.isnan(value) else Score(float(value))


def mean(each: Array, names: Sequence[str], reason: str) -> Score:
    """Mean over classes or labels that have a value; the remark names the others.

    >>> mean(np.array([0.5, np.nan]), ["a", "b"], "no rows of class")
    Score(value=0.5, remark='no rows of class b: left out of the mean')
    """
    out = [names[int(i)] for i in np.flatnonzero(np.isnan(each))]
    if len(out) == len(each):
        return Score(None, f"{reason} {some(out)}")
    remark = f"{reason} {some(out)}: left out of the mean" if out else ""
    return Score(float(np.nanmean(each)), remark)


def mean_over_rows(each: Array, without: str) -> Score:
    """Mean over rows that have a value; `without`: what the others lack."""
    out = int(np.isnan(each).sum())
    reason = f"{out} row{'s' if out != 1 else ''} {without}"
    if out == len(each):
        return Score(None, reason)
    return Score(float(np.nanmean(each)), f"{reason}: left out of the mean" if out else "")


def some(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
