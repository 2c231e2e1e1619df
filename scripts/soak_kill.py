"""Does a run that is killed with SIGKILL again and again ever end with other bits?

    .venv/bin/python scripts/soak_kill.py [KILLS] [--seed SEED] [--at-once COUNT]

Kills `jaxnet train ... --resume` KILLS times (1,000), at instants by chance and inside saves, and
gives the same command again each time. Parameters, metrics and predictions must be, byte for byte,
those of a run that nothing disturbs. tests/test_kill.py does the same with a few.
1,000 kills take about half an hour on two cores.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.kill_cases import CONFIGS, Case, prepare
from tests.killing import Figures, campaign

EACH = 10  # kills of one campaign, 3 of them inside a save


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=1000, help="at least so many")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--at-once", type=int, default=2, metavar="COUNT", help="campaigns")
    args = parser.parse_args()
    begun, done = time.perf_counter(), Figures()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.at_once) as pool:
        tasks = {task: Path(folder, task) for task in CONFIGS}
        cases = list(pool.map(prepare, tasks, tasks.values()))
        for case in cases:
            print(f"{case.task}: {case.seconds:.1f} s and {case.saves} saves undisturbed")
        numbers = range(-(-args.kills // EACH))
        running = [pool.submit(job, cases[n % len(cases)], f"{args.seed}-{n}") for n in numbers]
        try:
            for one in as_completed(running):
                done = done.plus(one.result())
                print(f"{time.perf_counter() - begun:6.0f} s: {shown(done)}", flush=True)
        except KeyboardInterrupt:
            print("ending the campaigns under way", flush=True)
            pool.shutdown(cancel_futures=True)
    for text in done.wrong:
        print(text)
    report(done, time.perf_counter() - begun)
    return 1 if done.wrong or done.kills < args.kills else 0


def job(case: Case, seed: str) -> Figures:
    try:
        done = campaign(case, kills=EACH, in_saves=3, seed=seed)
    except Exception as error:  # a file that cannot be read any more, say
        done = Figures(wrong=(f"{type(error).__name__}: {error}",))
    return done._replace(wrong=tuple(f"{case.task}, seed {seed}: {text}" for text in done.wrong))


def shown(done: Figures) -> str:
    return (
        f"{done.kills} kills, {done.in_saves} inside a save, {done.runs} runs compared, "
        f"{len(done.wrong)} problems"
    )


def report(done: Figures, seconds: float) -> None:
    print(f"kills                  {done.kills}")
    print(f"  inside a save        {done.in_saves} (aimed at one: {done.aimed})")
    print(f"  inside another write {done.elsewhere}")
    print(f"restarts with damage   {done.damage}")
    print(f"gone on                {done.resumed} times, from a checkpoint")
    print(f"runs compared          {done.runs}: {'not ' * bool(done.wrong)}all equal")
    share = done.productive / done.total if done.total else 0
    print(f"productive / total     {done.productive:.0f} s / {done.total:.0f} s ({share:.0%})")
    print(f"time                   {seconds:.0f} s, {seconds / max(done.kills, 1):.2f} s a kill")


if __name__ == "__main__":
    sys.exit(main())
