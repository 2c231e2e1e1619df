"""Do the tests notice faults that somebody could make? Plants them one by one and runs the tests.

    .venv/bin/python scripts/mutants.py [NAME ...] [--list] [--hints-only] [--once] [--output FILE]

The faults are those of tests/mutants.py. They are planted in a copy of the checkout in a temporary
folder (the files that git tracks, as they are now). A fault is noticed by one of the tests that are
expected to, or by the tests of its rooms; those that noticed are run once more without it. A fault
takes some seconds where a test that is expected to notice does. Ends with 1 if one survived or
cannot be planted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.mutants import MUTANTS, Mutant  # noqa: E402

PACKAGE = "jaxnet"
LIST = ("mutants.py", "test_mutants.py")  # these would notice every planted fault by its text
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::\w+(?:\[\S*\])?)", re.MULTILINE)
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
LIBRARIES = (
    *("numpy", "pyarrow", "pyarrow.csv", "pyarrow.parquet", "pydantic", "yaml", "hypothesis"),
    *("jax", "jax.numpy", "optax", "chex", "sklearn.metrics", "pandas", "beartype", "jaxtyping"),
)


class Outcome(NamedTuple):
    """What became of a fault: caught, survived, not once there, or no test could be run."""

    name: str
    what: str
    by: str
    seconds: float


def copy_of_checkout(folder: Path) -> None:
    """The tracked files as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and Path(name).name not in LIST:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def variables(folder: Path) -> dict[str, str]:
    """Python of this environment, which finds the copy of the package first; so do its children."""
    return {**os.environ, "PYTHONPATH": str(folder)}


def check_copy(folder: Path) -> None:
    """Refuse to judge where another copy of the package would run."""
    found = subprocess.run(
        [sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)"],
        cwd=folder.parent,
        env=variables(folder),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(found).resolve().is_relative_to(folder.resolve()):
        sys.exit(f"{PACKAGE} comes from {found}, not from the copy in {folder}")


def places(folder: Path, mutant: Mutant) -> list[Path]:
    """The files that hold the text, each as often as it does."""
    found = []
    for path in sorted((folder / PACKAGE).rglob("*.py")):
        found += [path] * path.read_text("utf-8").count(mutant.before)
    return found


@contextlib.contextmanager
def planted(path: Path, mutant: Mutant) -> Iterator[None]:
    """The fault in the file, for a block."""
    sound = path.read_text("utf-8")
    try:
        rewrite(path, sound.replace(mutant.before, mutant.after))
        yield
    finally:
        rewrite(path, sound)


def rewrite(path: Path, text: str) -> None:
    """Bytecode is told by size and second of its source: what is left of the text before goes."""
    path.write_text(text, "utf-8")
    for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        stale.unlink()


def tests_named(folder: Path, names: Sequence[str]) -> list[str]:
    """Where tests of these names stand, as pytest takes them."""
    files = {
        path: path.read_text("utf-8") for path in sorted((folder / "tests").rglob("test_*.py"))
    }
    return [
        f"{path.relative_to(folder)}::{name}"
        for name in names
        for path, text in files.items()
        if re.search(rf"^def {name}\(", text, re.MULTILINE)
    ]


def tests_of(folder: Path, room: str) -> list[str]:
    if room == ".":
        return [
            str(path.relative_to(folder)) for path in sorted((folder / "tests").glob("test_*.py"))
        ]
    return [f"tests/{room}"]


def prepare() -> None:
    """Import what tests import, once for all of them: each run of pytest is a fork from here.

    Nothing of the package itself, and nothing that starts threads.
    """
    for name in LIBRARIES:
        importlib.import_module(name)


def run(folder: Path, tests: Sequence[str], limit: float) -> tuple[int | None, str]:
    """(exit code of pytest, None past the limit; what it printed)."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _be_pytest(folder, tests, output.fileno())
        code = _ended(child, limit)
        output.seek(0)
        return code, output.read()


def _be_pytest(folder: Path, tests: Sequence[str], output: int) -> NoReturn:
    """In the child: run the tests and leave with pytest's exit code."""
    code = 3
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(output, stream)
        os.chdir(folder)
        os.environ.update(variables(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] in (PACKAGE, "tests")]:
            del sys.modules[name]
        sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".") != ROOT)]
        import pytest

        code = int(pytest.main([*PYTEST, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int, limit: float) -> int | None:
    """Its exit code; past the limit None, with all that it started killed."""
    begun, status = time.monotonic(), 0
    try:
        while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if time.monotonic() - begun > limit:
                return None
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def judge(folder: Path, mutant: Mutant, hints_only: bool, limit: float) -> Outcome:
    """Plant a fault and run its tests until one notices."""
    begun = time.perf_counter()

    def outcome(what: str, by: str = "") -> Outcome:
        return Outcome(mutant.name, what, by, round(time.perf_counter() - begun, 1))

    found = places(folder, mutant)
    if len(found) != 1:
        return outcome("not planted", f"its text stands {len(found)} times in {PACKAGE}")
    stages = [tests_named(folder, mutant.hints)]
    if not hints_only:
        own = str(found[0].relative_to(folder))  # its examples
        stages.append([own, *(test for room in mutant.rooms for test in tests_of(folder, room))])
    with planted(found[0], mutant):
        for tests in filter(None, stages):
            code, said = run(folder, tests, limit)
            if code is None:
                return outcome("caught", f"no end after {limit:.0f} s")
            if code == 1 and (names := FAILED.findall(said)):
                return outcome("caught", names[0])
            if code not in (0, 5):
                return outcome("not judged", f"pytest ended with {code}: {said[-2000:]}")
    return outcome("survived")


def line(outcome: Outcome) -> str:
    match outcome.what:
        case "caught":
            return f"{outcome.name}: caught by {outcome.by} in {outcome.seconds:.0f} s"
        case "survived":
            return f"{outcome.name}: SURVIVED ({outcome.seconds:.0f} s)"
    return f"{outcome.name}: {outcome.what.upper()}, {outcome.by}"


def noisy(folder: Path, outcomes: Sequence[Outcome], limit: float) -> str:
    """What fails of the tests that noticed when nothing is planted; empty: nothing."""
    caught = {one.by for one in outcomes if one.what == "caught" and "::" in one.by}
    tests = sorted({name if name.endswith("]") else name.partition("[")[0] for name in caught})
    if not tests:
        return ""
    code, said = run(folder, tests, limit)
    return "" if code == 0 else said[-2000:]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("names", nargs="*", metavar="NAME", help="of faults; all if left out")
    made.add_argument("--list", action="store_true", help="print the faults and run nothing")
    made.add_argument(
        "--hints-only", action="store_true", help="run the tests that are expected to notice alone"
    )
    made.add_argument(
        "--once", action="store_true", help="leave out the last run, which is without any fault"
    )
    made.add_argument(
        "--limit", type=float, default=900.0, metavar="SECONDS", help="of one call of pytest (900)"
    )
    made.add_argument("--output", type=Path, metavar="FILE", help="write the outcomes as JSON")
    return made


def main() -> int:
    args = parser().parse_args()
    known = {mutant.name: mutant for mutant in MUTANTS}
    if strangers := [name for name in args.names if name not in known]:
        sys.exit(f"no fault is called {', '.join(strangers)}; --list names them")
    chosen = [known[name] for name in args.names] or list(MUTANTS)
    if args.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.fault}")
        return 0
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as made:
        folder = Path(made, "checkout")
        copy_of_checkout(folder)
        check_copy(folder)
        prepare()
        for mutant in chosen:
            outcomes.append(judge(folder, mutant, args.hints_only, args.limit))
            print(line(outcomes[-1]), flush=True)
            if args.output:
                args.output.write_text(json.dumps([one._asdict() for one in outcomes], indent=1))
        noise = "" if args.once else noisy(folder, outcomes, args.limit)
    caught = sum(one.what == "caught" for one in outcomes)
    print(f"{caught} of {len(outcomes)} faults were caught")
    if noise:
        print(f"without any fault, tests that noticed one fail:\n{noise}")
    return 0 if caught == len(outcomes) and not noise else 1


if __name__ == "__main__":
    sys.exit(main())
