"""Stratified, seeded splits into training, validation and test rows.

The same labels, shares and seed give the same split on every machine: the shuffling uses only the
raw stream of PCG64, which NumPy promises not to change.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.data import grouped
from jaxnet.data.places import values
from jaxnet.data.table import Array
from jaxnet.errors import DataError

PARTS = ("train", "validation", "test")


class Split(NamedTuple):
    """Row numbers of each part, int64, rising; disjoint, together every row."""

    train: Array
    validation: Array
    test: Array


def split(
    y: Array,
    task: str,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    *,
    classes: Sequence[Any] | None = None,
    groups: Array | None = None,
) -> Split:
    """Rows of training, validation and test in the shares asked for, classes in proportion.

    y: targets as `labels.validate` gives them, (n,) codes or (n, K) of 0 and 1.
    validation, test: shares of all rows, each in [0, 1), less than 1 together; 0 is an empty part.
    classes: their names, for errors. groups: codes (n,) from 0; rows of one group stay together,
    and classes are in proportion as far as that allows (see `grouped`).

    Of every class each part gets its share rounded down or up, one row at least where the part
    has room for that, and training always keeps one. Multi-label: iterative stratification
    (Sechidis, Tsoumakas, Vlahavas: On the stratification of multi-label data, 2011).

    Raises DataError: shares out of range, a class of one row, a part that would be empty.

    >>> parts = split(np.array([0, 1] * 50), "binary", validation=0.1, test=0.2, seed=0)
    >>> [len(part) for part in parts]
    [70, 10, 20]
    """
    _refuse_shares(validation, test, seed)
    targets = np.asarray(y)
    order = _shuffle(len(targets), seed)
    shares = (1.0 - validation - test, validation, test)
    if groups is not None:
        parts = grouped.deal(targets, groups, np.array(shares), order)
    elif task == "multilabel":
        parts = _iterative(targets != 0, np.array(shares), order)
    else:
        codes = targets.astype(np.int64)
        if validation + test > 0:
            _refuse_single(np.bincount(codes), classes)
        parts = _by_class(codes, validation, test, order)
    found = Split(*(np.flatnonzero(parts == part) for part in range(len(PARTS))))
    _refuse_empty(found, shares, None if groups is None else len(np.unique(groups)))
    return found


def by_chance(n: int, validation: float = 0.15, test: float = 0.15, seed: int = 0) -> Split:
    """Rows of the parts in the shares asked for, whatever their labels are.

    Raises DataError: shares out of range, a part that would be empty.

    >>> [len(part) for part in by_chance(10, 0.2, 0.1)]
    [7, 2, 1]
    """
    _refuse_shares(validation, test, seed)
    order = _shuffle(n, seed)
    first, second = _rounded(test * n), _rounded(test * n) + _rounded(validation * n)
    parts = order[second:], order[first:second], order[:first]
    found = Split(*(np.sort(part) for part in parts))
    _refuse_empty(found, (1.0 - validation - test, validation, test), None)
    return found


def _by_class(codes: Array, validation: float, test: float, order: Array) -> Array:
    """The part of each row (its place in PARTS), class by class. order: the rows, shuffled."""
    n, size = len(codes), np.bincount(codes)
    # Which of several equal classes gets the odd row: as they come in the shuffled rows.
    first = np.unique(codes[order], return_index=True)
    rank = np.full(len(size), n)
    rank[first[0]] = first[1]
    to_test = _quota(size, _rounded(test * n), size - 1, size >= 3, rank)
    left = size - to_test
    to_validation = _quota(left, _rounded(validation * n), left - 1, left >= 2, rank)

    by_class = order[np.argsort(codes[order], kind="stable")]
    place = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
    held_out = np.repeat(to_test + to_validation, size)
    parts = np.empty(n, np.int64)
    parts[by_class] = np.where(
        place < np.repeat(to_test, size), 2, np.where(place < held_out, 1, 0)
    )
    return parts


def _quota(size: Array, total: int, cap: Array, can_spare: Array, rank: Array) -> Array:
    """Rows of each class that go to a part of `total` rows: largest remainders, `cap` at most.

    Where there is room, each class that can spare a row first gets one.
    """
    cap = np.maximum(cap, 0)
    exact = size * (total / max(int(size.sum()), 1))
    reserved = can_spare.astype(np.int64)
    if reserved.sum() > total:
        reserved[:] = 0
    wanted = np.maximum(exact - reserved, 0.0)
    wanted *= (total - reserved.sum()) / max(float(wanted.sum()), 1.0)
    number = np.minimum(reserved + np.floor(wanted).astype(np.int64), cap)
    by_remainder = np.lexsort((rank, np.floor(wanted) - wanted))
    while (left := total - number.sum()) > 0 and np.any(number < cap):
        open_to_more = by_remainder[number[by_remainder] < cap[by_remainder]]
        number[open_to_more[:left]] += 1
    return number


def _iterative(positive: Array, shares: Array, order: Array) -> Array:
    """The part of each row by iterative stratification: the rarest label first.

    Within a label's turn, which part gets the next row depends only on how many positive rows and
    how many rows each part still wants, not on the row. So a turn is dealt as a whole, and the
    wants of all labels are brought up to date once a turn: the published order of choices at the
    price of K passes over the rows.
    """
    number = np.count_nonzero(positive, axis=0)
    wanted = shares[:, None] * number  # positive rows that each part still wants of each label
    wanted_rows = shares * len(positive)
    parts = np.full(len(positive), -1)
    while np.any(number > 0):
        label = int(np.argmin(np.where(number > 0, number, len(positive) + 1)))
        turn = order[positive[order, label] & (parts[order] < 0)]
        parts[turn] = _deal(wanted[:, label], wanted_rows, len(turn))
        for part in range(len(shares)):
            mine = turn[parts[turn] == part]
            dealt = np.count_nonzero(positive[mine], axis=0)
            wanted[part] -= dealt
            number -= dealt
            wanted_rows[part] -= len(mine)
    rest = order[parts[order] < 0]  # rows without any label
    parts[rest] = _deal(wanted_rows, wanted_rows, len(rest))
    return parts


def _deal(wanted: Array, wanted_rows: Array, number: int) -> list[int]:
    """The part of each of `number` rows in turn: the one that wants most of the label, then the
    one that wants most rows. The wants add up to the rows that are left, so a part of share 0,
    which wants 0 of everything, is never that one.
    """
    wants = [[float(w), float(r)] for w, r in zip(wanted, wanted_rows, strict=True)]
    dealt = []
    for _ in range(number):
        part = max(range(len(wants)), key=wants.__getitem__)
        wants[part][0] -= 1.0
        wants[part][1] -= 1.0
        dealt.append(part)
    return dealt


def _shuffle(n: int, seed: int) -> Array:
    """The numbers below n in an order that the seed alone decides."""
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(n)
    return np.argsort(raw, kind="stable")


def _rounded(value: float) -> int:
    return int(np.floor(value + 0.5))


def _refuse_shares(validation: float, test: float, seed: int) -> None:
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise DataError(f"data.split.{name}: {share} is not a share: from 0 to below 1")
    if validation + test >= 1:
        raise DataError(
            f"data.split: validation {validation} and test {test} leave nothing to train on: "
            f"together they must be less than 1"
        )
    if seed < 0:
        raise DataError(f"data.split.seed: {seed} is negative; seeds count from 0")


def _refuse_single(size: Array, classes: Sequence[Any] | None) -> None:
    """A class of one row can be trained on or measured, not both."""
    single = np.flatnonzero(size == 1)
    if single.size:
        names = values(classes[int(i)] if classes is not None else i for i in single)
        word = "class" if single.size == 1 else "classes"
        raise DataError(
            f"too few rows to split: {word} {names} with 1 row of {size.sum()} (2 are needed: one "
            f"to train on, one to hold out); leave such rows out or merge the {word} with another"
        )


def _refuse_empty(found: Split, shares: Sequence[float], groups: int | None) -> None:
    total = sum(len(part) for part in found)
    of = f"{total} rows" if groups is None else f"{total} rows in {groups} groups"
    more = "rows" if groups is None else "groups"
    for name, part, share in zip(PARTS, found, shares, strict=True):
        if share > 0 and len(part) == 0:
            raise DataError(
                f"too few {more} to split: {of} leave none for {name} (a share of "
                f"{share:.2g}); give more {more} or another share"
            )
