"""Does a broken config ever give a traceback, a refusal without a place, or run something?

    .venv/bin/python scripts/soak_fuzz.py [COUNT] [--first SEED]

Loads COUNT mutated configs (200,000) while an audit hook watches: each is sound or refused by
`ConfigError`, of which every line names the key, or line and column; nothing but the config is
opened, no code is imported, compiled or run, no process or socket is made. The configs are those
of tests/config/test_fuzz.py, which takes the first 5,000.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jaxnet.config import load_config
from tests.config.config_guard import Guard, install
from tests.config.config_mutations import case, judge


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=200_000, help="configs to load")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="of the first config")
    args = parser.parse_args()
    begun, sound, wrong = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "c.yaml"
        guard = install(path)
        for seed in range(args.first, args.first + args.count):
            loaded, verdict = outcome(seed, path, guard)
            sound += loaded
            if verdict:
                wrong += 1
                given = case(seed).given  # a mapping may hold numbers that cannot be printed
                shown = repr(given[:2000]) if isinstance(given, bytes) else "a mapping"
                print(f"seed {seed}: {verdict}\n    {shown}", flush=True)
    seconds = time.perf_counter() - begun
    refused = args.count - sound - wrong
    print(f"{args.count} configs: {sound} sound, {refused} refused, {wrong} wrong, {seconds:.0f} s")
    return 1 if wrong else 0


def outcome(seed: int, path: Path, guard: Guard) -> tuple[bool, str | None]:
    """(loaded, what went wrong) of one config."""
    guard.noted.clear()
    try:
        loaded, verdict = judge(case(seed), path, partial(guard.watch, load_config))
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
    if guard.noted:
        verdict = f"did what no config may do: {guard.noted}"
    return loaded and not verdict, verdict


if __name__ == "__main__":
    sys.exit(main())
