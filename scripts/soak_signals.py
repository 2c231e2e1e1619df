"""How soon does the command leave on a signal, at each phase of its work, and is anything lost?

    .venv/bin/python scripts/soak_signals.py [COUNT] [--second]

At every phase the real command is sent SIGTERM and SIGINT, COUNT times (3) each. It must end with
the code of the contract, say what to type, and leave no half-written file; where it says so, what
it tells to type is run and must end with the SHA-256 of a run that nothing disturbed. Prints the
seconds from the signal to the end of the process. With --second a second signal follows at every
phase after the first one: it must end the process there, and the run still goes on to the same
bits. The phases are those of tests/signalling.py.
"""

import argparse
import itertools
import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import signalling
from tests.signalling import Ended, Place

SIGNALS = (signal.SIGTERM, signal.SIGINT)
END = "jaxnet.outputs.records:record_end"
TRAIN = ["train", "c.yaml", "--quiet", "--run-dir"]
PHASES = {
    **signalling.BEFORE,
    **signalling.READYING,
    **signalling.TRAINING,
    **signalling.SAVING,
    **signalling.JUDGING,
    **signalling.PREDICTING,
    **signalling.EVALUATING,
}


def words_of(phase: str, target: Path) -> list[str]:
    if phase in signalling.PREDICTING:
        return ["predict", "whole", "rows.csv", "--quiet", "--output", f"{target.name}.csv"]
    if phase in signalling.EVALUATING:
        return ["evaluate", "whole", "rows.csv", "--quiet"]
    return [*TRAIN, target.name]


def verdict(phase: str, number: int, done: Ended, target: Path, wanted: dict[str, str]) -> str:
    """What is wrong; empty: nothing."""
    keeps = {**signalling.TRAINING, **signalling.SAVING, **signalling.JUDGING}
    code = 75 if phase in keeps else 128 + number
    if (done.sent, done.code) != (1, code):
        return f"code {done.code}, not {code}, after {done.sent} signals: {done.err}"
    if "Traceback" in done.err or done.out:
        return f"said {done.out!r} and {done.err!r}"
    if code != 75:
        left = target.exists() or target.with_suffix(".csv").exists()
        told = "give the same command" in done.err
        return "" if told and not left else f"something is left, or it said {done.err!r}"
    return finished(target, done.advice, wanted)


def finished(target: Path, words: list[str], wanted: dict[str, str]) -> str:
    """What is wrong with the run once it has gone on to its end."""
    again = signalling.command([*words, "--quiet"], cwd=target.parent)
    if again.code or "Traceback" in again.err:
        return f"resumed with code {again.code}: {again.err}"
    if signalling.hashes(target) != wanted:
        return "resumed to other bits"
    return "something is left" if signalling.temporary(target) else ""


def once(
    phase: str, number: signal.Signals, target: Path, wanted: dict[str, str]
) -> tuple[float, str]:
    done = signalling.command(words_of(phase, target), (PHASES[phase], number), cwd=target.parent)
    wrong = verdict(phase, number, done, target, wanted)
    return done.seconds or 0.0, wrong or "; ".join(signalling.temporary(target.parent))


def singles(folder: Path, count: int, wanted: dict[str, str]) -> int:
    """Print a line for each phase; returns how many times something was wrong."""
    print(f"{'phase':32}{'times':>6}{'min':>7}{'median':>8}{'max':>7}  s  wrong")
    bad, longest = 0, 0.0
    for phase in PHASES:
        seconds = []
        for turn, number in itertools.product(range(count), SIGNALS):
            target = folder / f"{phase.replace(' ', '-')}-{turn}-{number.name}"
            taken, wrong = once(phase, number, target, wanted)
            seconds.append(taken)
            if wrong:
                bad += 1
                print(f"{phase}, {number.name}: {wrong}")
        least, middle, most = min(seconds), statistics.median(seconds), max(seconds)
        longest = max(longest, most)
        print(f"{phase:32}{len(seconds):6}{least:7.2f}{middle:8.2f}{most:7.2f}", flush=True)
    print(f"longest: {longest:.2f} s")
    return bad


def pairs() -> list[tuple[str, Place, str, Place]]:
    """First and second phase: the second one while the first signal is acted on."""
    firsts = {**signalling.TRAINING, **signalling.JUDGING}
    seconds = {
        **signalling.SAVING,
        "second: noticing": Place("jaxnet.keeping:Keeper.between"),
        "second: naming the file": Place("jaxnet.files:sync_directory", inside=signalling.SAVE),
        "second: recording the end": Place(END),
        "second: its status": Place("jaxnet.files:_write_all", inside=END),
    }
    return [(a, firsts[a], b, seconds[b]) for a, b in itertools.product(firsts, seconds)]


def twice(folder: Path, wanted: dict[str, str]) -> int:
    """Two signals; returns how many times something was wrong."""
    bad = struck = 0
    seconds = []
    for turn, (first, a, second, b) in enumerate(pairs()):
        number, other = SIGNALS[turn % 2], SIGNALS[turn // 2 % 2]
        target = folder / f"twice-{turn}"
        done = signalling.command([*TRAIN, target.name], (a, number), (b, other), cwd=folder)
        right = -other if done.sent == 2 else 75  # the first one may have ended it before that
        wrong = "" if done.code == right else f"code {done.code}, not {right}: {done.err}"
        if done.sent == 2:
            struck += 1
            seconds.append(done.seconds or 0.0)
        wrong = wrong or finished(target, [*TRAIN, target.name, "--resume"], wanted)
        if wrong:
            bad += 1
            print(f"{first}, then {second}: {wrong}", flush=True)
    print(f"two signals: {struck} of {turn + 1} times the second came in time, {bad} wrong")
    print(f"from the first signal to the end: at most {max(seconds):.2f} s")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=3, help="of each signal")
    parser.add_argument("--second", action="store_true", help="two signals instead of one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        signalling.write_config(folder)
        done = signalling.command([*TRAIN, "whole"], cwd=folder)
        assert done.code == 0, done.err
        wanted = signalling.hashes(folder / "whole")
        bad = twice(folder, wanted) if args.second else singles(folder, args.count, wanted)
    print(f"{bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
