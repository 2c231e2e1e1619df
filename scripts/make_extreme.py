"""Make a set with very many labels, in which there is something to learn.

    .venv/bin/python scripts/make_extreme.py FOLDER [--labels 1000000] [--rows 100000] ...

Writes FOLDER/train.txt and FOLDER/test.txt, XC text (with --gzip: .txt.gz), piece by piece: the
memory does not grow with the rows, nor with rows x labels. The same arguments give the same files,
byte by byte; more --rows only add lines below.

The plan of the set, for those who want to know what a good model can reach:

- Each label owns a few features (--own), drawn for it alone by a hash of its number and the seed.
- A row has 1 to 2 p - 1 labels, p on average (--positives). Label k is drawn with a chance in
  proportion to (k + 1) ** -skew (--skew; 0: all alike), so that label 0 is the commonest; a label
  drawn twice counts once.
- Of the features that its labels own, each is in the row with a chance of --keep; then come other
  ones that mean nothing (--noise, on average), drawn from all alike.
- Values are drawn from 0.5 to 1.5, then the row is divided by its length (L2). Six digits.

A label that no training row has cannot be learned: with the defaults, the 500,000 positives of the
training rows are of 350,000 labels, among which is every second positive of the test rows (a
greater --skew, or more --rows, leave fewer out).
`--plan` prints, for
the test rows, how often the label with the greatest share of its own features in the row is
one of the row's, among those and 1,000 others: about what knowing the plan would score as P@1.
"""

import argparse
import contextlib
import gzip
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

ROWS = 4096  # made at once; what is made does not depend on the others
TRAIN, TEST = 0, 1


class Plan(NamedTuple):
    """The arguments that say what the rows are."""

    labels: int
    features: int
    positives: int
    own: int
    keep: float
    noise: int
    skew: float
    seed: int


class Rows(NamedTuple):
    """Entries by row: each label with its row, each feature with its row and value."""

    label_row: np.ndarray
    label: np.ndarray
    row: np.ndarray
    feature: np.ndarray
    value: np.ndarray


def owned(plan: Plan, labels: np.ndarray) -> np.ndarray:
    """The features that each of some labels owns: (m, own), the same in every call.

    >>> plan = Plan(10, 1000, 2, 3, 0.8, 5, 0.5, 0)
    >>> np.array_equal(owned(plan, np.array([7, 3]))[1], owned(plan, np.array([3]))[0])
    True
    """
    number = labels[:, None].astype(np.uint64) * np.uint64(plan.own)
    number = number + np.arange(plan.own, dtype=np.uint64) + (np.uint64(plan.seed) << np.uint64(40))
    return (_mixed(number) % np.uint64(plan.features)).astype(np.int64)


def rows(plan: Plan, part: int, piece: int) -> Rows:
    """ROWS rows of a part: piece 0 has the first ones."""
    draw = np.random.default_rng([plan.seed, part, piece])
    each = draw.integers(1, 2 * plan.positives, ROWS)
    label_row = np.repeat(np.arange(ROWS), each)
    share = draw.random(len(label_row)) ** (1 / (1 - plan.skew))
    label = np.minimum((plan.labels * share).astype(np.int64), plan.labels - 1)
    label_row, label = _distinct(label_row, label, plan.labels)
    kept = draw.random((len(label), plan.own)) < plan.keep
    noise = draw.integers(0, 2 * plan.noise + 1, ROWS)
    others = draw.integers(0, plan.features, int(noise.sum()))
    at = np.concatenate([label_row[np.nonzero(kept)[0]], np.repeat(np.arange(ROWS), noise)])
    features = np.concatenate([owned(plan, label)[kept], others])
    row, feature = _distinct(at, features, plan.features)
    value = 0.5 + draw.random(len(row))
    length = np.sqrt(np.bincount(row, value**2, ROWS))
    return Rows(label_row, label, row, feature, value / length[row])


def lines(found: Rows, number: int) -> Iterator[str]:
    """The first rows as XC text."""
    label_at = np.searchsorted(found.label_row, np.arange(number + 1))
    at = np.searchsorted(found.row, np.arange(number + 1))
    labels = [str(label) for label in found.label.tolist()]
    pairs = [
        f"{feature}:{value:.6g}"
        for feature, value in zip(found.feature.tolist(), found.value.tolist(), strict=True)
    ]
    for i in range(number):
        head = ",".join(labels[label_at[i] : label_at[i + 1]])
        yield " ".join([head, *pairs[at[i] : at[i + 1]]]) + "\n"


def write(plan: Plan, part: int, number: int, path: Path) -> None:
    """A file of this many rows; it has its name when it is whole."""
    unfinished = path.with_name(path.name + ".part")
    with _opened(unfinished, path.suffix == ".gz") as file:
        file.write(f"{number} {plan.features} {plan.labels}\n")
        for piece, first in enumerate(range(0, number, ROWS)):
            file.writelines(lines(rows(plan, part, piece), min(ROWS, number - first)))
            if sys.stderr.isatty():
                print(f"\r{path.name}: {first:,} rows", end="", file=sys.stderr)
    os.replace(unfinished, path)
    print(f"\r{path}: {number:,} rows", file=sys.stderr)


def planned_precision(plan: Plan, number: int) -> float:
    """P@1 of the rule that knows which features each label owns, over the first test rows."""
    found = rows(plan, TEST, 0)
    draw = np.random.default_rng([plan.seed, 2])
    hits = 0
    for i in range(number):
        own = found.label[found.label_row == i]
        choices = np.concatenate([own, np.setdiff1d(draw.integers(0, plan.labels, 1000), own)])
        there = np.isin(owned(plan, choices), found.feature[found.row == i]).mean(1)
        hits += there[: len(own)].max() > there[len(own) :].max(initial=0)
    return hits / number


def _mixed(number: np.ndarray) -> np.ndarray:
    """SplitMix64: every bit of the result depends on every bit of the number."""
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def _distinct(row: np.ndarray, index: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """By row and index, each pair once."""
    return np.divmod(np.unique(row * limit + index), limit)


@contextlib.contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[str]]:
    """A text file to write; packed, without a time or a name in it."""
    if not packed:
        with path.open("w", encoding="ascii", newline="\n") as file:
            yield file
        return
    with (
        path.open("wb") as stored,
        gzip.GzipFile("", "wb", 6, stored, mtime=0) as packer,
        io.TextIOWrapper(packer, "ascii", newline="\n") as file,
    ):
        yield file


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to put the two files")
    for name, default, what in (
        ("labels", 1_000_000, "how many there are"),
        ("rows", 100_000, "for training"),
        ("test-rows", 5_000, "for testing"),
        ("features", 100_000, "how many there are"),
        ("positives", 5, "labels of a row, on average"),
        ("own", 4, "features of a label"),
        ("noise", 10, "features of a row that mean nothing, on average"),
        ("seed", 0, "of everything"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default:,})")
    parser.add_argument("--keep", type=float, default=0.8, help="chance of an own feature (0.8)")
    parser.add_argument("--skew", type=float, default=0.5, help="0 up to, not with, 1 (0.5)")
    parser.add_argument("--gzip", action="store_true", help="pack the files: .txt.gz")
    parser.add_argument("--plan", action="store_true", help="print what knowing the plan scores")
    found = parser.parse_args()
    least = {"labels": 1, "rows": 1, "test_rows": 1, "features": 1, "positives": 1, "own": 1}
    for name, value in {**least, "noise": 0, "seed": 0}.items():
        if getattr(found, name) < value:
            parser.error(f"--{name.replace('_', '-')} is {getattr(found, name)}: at least {value}")
    if not 0 <= found.skew < 1 or not 0 <= found.keep <= 1:
        parser.error("--skew is from 0 up to, not with, 1; --keep from 0 to 1")
    return found


def main() -> None:
    args = _arguments()
    plan = Plan(*(getattr(args, name) for name in Plan._fields))
    args.folder.mkdir(parents=True, exist_ok=True)
    ending = ".txt.gz" if args.gzip else ".txt"
    for part, number, name in ((TRAIN, args.rows, "train"), (TEST, args.test_rows, "test")):
        write(plan, part, number, args.folder / (name + ending))
    if args.plan:
        print(f"P@1 of the plan: {planned_precision(plan, min(args.test_rows, 1000)):.3f}")


if __name__ == "__main__":
    main()
