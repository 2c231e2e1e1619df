"""Does the CSV reader ever read a broken file silently wrong, or fail without naming the line?

    .venv/bin/python scripts/fuzz_csv.py [COUNT] [--first SEED]

Writes COUNT mutated files (100,000), reads each with blocks of a random length and compares with
Python's csv module: the same cells from the same lines, or a refusal that says where. The mutations
are those of tests/data/test_csv_fuzz.py, which reads the first 2,000 of the same files.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.data.csv_mutations import case, judge, size_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=100_000, help="files to read")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="of the first file")
    args = parser.parse_args()
    begun, wrong = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.first, args.first + args.count):
            try:
                verdict = judge(case(seed), Path(folder), size=size_of(seed))
            except Exception as error:
                verdict = f"{type(error).__name__}: {error}"
            if verdict:
                wrong += 1
                print(f"seed {seed}: {verdict}\n    {case(seed)}")
    seconds = time.perf_counter() - begun
    print(f"{args.count} files, {wrong} read wrongly, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
