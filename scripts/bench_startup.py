"""How long from the command to a trained model, with a cold and with a warm compilation cache?

    .venv/bin/python scripts/bench_startup.py [--rounds N] [CONFIG ...]

Each round runs `jaxnet train CONFIG` twice as a whole process, in an empty cache folder: the first
run compiles (cold), the second finds its programs there (warm). `--help` and a config error are
timed beside them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_training import machine

ROOT = Path(__file__).resolve().parent.parent
JAXNET = str(Path(sys.executable).parent / "jaxnet")


def seconds(words: list[str], cache: str, expected: int = 0) -> float:
    """Wall time of one command, which must end with the expected code."""
    begun = time.perf_counter()
    done = subprocess.run(
        [JAXNET, *words],
        env={**os.environ, "XDG_CACHE_HOME": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    passed = time.perf_counter() - begun
    if done.returncode != expected:
        raise SystemExit(f"jaxnet {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return passed


def measure(config: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each kind of call, round by round."""
    found: dict[str, list[float]] = {name: [] for name in ("cold", "warm", "help", "error")}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("cold", "warm"):
                words = ["train", config, "--run-dir", f"{folder}/{name}", "--quiet"]
                found[name].append(seconds(words, folder))
            found["help"].append(seconds(["--help"], folder))
            found["error"].append(seconds(["config", "check", config, "modle.x=1"], folder, 2))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def main() -> None:
    """Measure each config and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", default=[str(ROOT / "configs/binary.yaml")])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{machine()}\n")
    print("| config | call | median s | min to max |\n|---|---|---:|---:|")
    for config in args.configs:
        for name, values in measure(config, args.rounds).items():
            spread = f"{min(values):.2f} to {max(values):.2f}"
            print(f"| {Path(config).name} | {name} | {statistics.median(values):.2f} | {spread} |")


if __name__ == "__main__":
    main()
