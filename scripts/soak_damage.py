"""Is a damaged checkpoint ever taken for a good one, or a good one left out for it?

    .venv/bin/python scripts/soak_damage.py [COUNT] [--first SEED]

Damages a checkpoint in COUNT ways (20,000): bits flipped, bytes replaced, swapped, zeroed or lost,
the end cut off or added to. Each time the one before it must be found and the damaged one named.
After that every single bit of it is flipped, and it is cut at every length. The damage is that of
tests/outputs/test_checkpoints.py, which does the first 2,000.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jaxnet.outputs.checkpoints import name_of
from tests.outputs.checkpoint_damage import damaged, judge, make_run


def cases(content: bytes, count: int, first: int) -> Iterator[tuple[str, bytes]]:
    for seed in range(first, first + count):
        yield f"seed {seed}", damaged(content, seed)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(flipped)
    for length in range(len(content)):
        yield f"cut at {length}", content[:length]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=20_000, help="ways by chance")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="of the first way")
    args = parser.parse_args()
    begun, done, wrong = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "checkpoints")
        make_run(directory)
        content = (directory / name_of("last", 20)).read_bytes()
        for title, bad in cases(content, args.count, args.first):
            try:
                verdict = judge(directory, bad)
            except Exception as error:
                verdict = f"{type(error).__name__}: {error}"
            done += 1
            if verdict:
                wrong += 1
                print(f"{title}: {verdict}")
    seconds = time.perf_counter() - begun
    size = f"a checkpoint of {len(content)} bytes"
    print(f"{size} damaged in {done} ways, {wrong} not seen or not got over, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
