"""The real command, struck by a signal or another misfortune at a chosen place of its work.

A place is a function, at whose entry the process sends the signal to itself and goes on, or a
module, just before it runs. The functions are wrapped when their modules are imported, so nothing
is imported earlier than without all this.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SAME = ("model/model.safetensors", "model/model.json", "metrics.jsonl", "metrics.json")

CONFIG = """\
task: binary
data: {train: rows.csv, target: income}
model: {hidden: [8], dropout: 0.2}
training: {epochs: 9, batch_size: 32}
checkpoints: {every_steps: 3}
"""


class Place(NamedTuple):
    """Where a signal comes.

    Attributes:
        name: "module:function", at its entry, or "module", before it runs.
        call: of the function, from 1.
        inside: another function; only the calls that it makes count.
    """

    name: str
    call: int = 1
    inside: str = ""


SAVE = "jaxnet.outputs.checkpoints:save"

# Nothing can be saved yet, and no directory is left.
BEFORE = {
    "import of the command": Place("jaxnet.cli.main"),
    "reading the config": Place("jaxnet.config.load:_read"),
    "import of jax": Place("jax"),
    "in the midst of importing jax": Place("jax._src.numpy.lax_numpy"),
    "reading the table": Place("jaxnet.data.readers:read"),
    "planning": Place("jaxnet.job:_loss_options"),
}
# A new run has nothing to save yet; one that goes on has what it goes on from.
READYING = {
    "making the directory": Place("jaxnet.outputs.run_directory:make"),
    "taking the lock": Place("jaxnet.lock:_sign"),
    "self-check": Place("jaxnet.training.selfcheck:check_sums"),
}
# From here on there is a state to save.
TRAINING = {
    "first state": Place("jaxnet.job:first_state"),
    "compiling the step": Place("jaxnet.training.fit:_compile"),
    "first stretch": Place("jaxnet.training.fit:_Loop.steps", 2),
    "in the midst of an epoch": Place("jaxnet.training.fit:_Loop.steps", 4),
    "end of an epoch": Place("jaxnet.training.fit:_measured"),
    "evaluating": Place("jaxnet.training.evaluate:metrics"),
    "appending the record": Place("jaxnet.outputs.records:append_epoch"),
}
SAVING = {
    "save, before the write": Place("jaxnet.files:_write_all", inside=SAVE),
    "save, before the rename": Place("jaxnet.outputs.checkpoints:_verify", inside=SAVE),
    "save, before older ones go": Place("jaxnet.outputs.checkpoints:_staying"),
}
JUDGING = {
    "after the last epoch": Place("jaxnet.judge:_parts"),
    "logits": Place("jaxnet.training.evaluate:_in_equal_blocks"),
    "importance": Place("jaxnet.training.importance:importance"),
}
# From here on the run has finished, whatever becomes of its report.
WRITING_THE_MODEL = Place("jaxnet.outputs.model_file:save")
DRAWING = Place("jaxnet.outputs.report.scores:section_scores")
PREDICTING = {
    "predict, loading": Place("jaxnet.inference.loading:load"),
    "predict, reading": Place("jaxnet.inference.pieces:ahead"),
    "predict, predicting": Place("jaxnet.inference.predicting:outputs"),
    "predict, writing": Place("jaxnet.outputs.predictions:_table"),
}
EVALUATING = {"evaluate": Place("jaxnet.inference.best:outputs")}


class Ended(NamedTuple):
    """What became of a command.

    Attributes:
        code: its exit code; negative: killed by that signal.
        seconds: from its first signal to its end; None: no signal was sent.
        sent: signals it sent to itself.
    """

    code: int
    out: str
    err: str
    seconds: float | None
    sent: int

    @property
    def advice(self) -> list[str]:
        """The words after `jaxnet` that standard error tells to type."""
        (line,) = [line for line in self.err.splitlines() if "to go on: jaxnet " in line]
        return shlex.split(line.partition("to go on: jaxnet ")[2])


def command(
    words: Sequence[str | Path],
    *hits: tuple[Place, signal.Signals | str],
    cwd: Path,
    ignored: bool = False,
    limit: float = 120,
) -> Ended:
    """Run `jaxnet WORDS`, struck by these signals.

    Args:
        ignored: as under nohup: the process is started with all signals ignored.
    """
    times = cwd / f"times-{os.urandom(4).hex()}"
    done = subprocess.run(
        call_of(words, *hits, times=times, ignored=ignored),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=limit,
    )
    end = time.monotonic()
    sent = [float(line) for line in times.read_text().split()] if times.exists() else []
    times.unlink(missing_ok=True)
    seconds = end - sent[0] if sent else None
    return Ended(done.returncode, done.stdout, done.stderr, seconds, len(sent))


def call_of(
    words: Sequence[str | Path],
    *hits: tuple[Place, signal.Signals | str],
    times: Path | str = "",
    ignored: bool = False,
) -> list[str]:
    """The words of a process that is `jaxnet WORDS`, struck as in `command`.

    A strike is a signal, or one of `STRIKES` as "name:argument".
    """
    wanted = [[*place, what if isinstance(what, str) else int(what)] for place, what in hits]
    source = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    if ignored:
        source += "from signal import *\n"
        source += "for n in (SIGINT, SIGTERM, SIGHUP): signal(n, SIG_IGN)\n"
    source += "from tests.signalling import launched; sys.exit(launched())"
    # -P: Python 3.13.0 cannot tell '' in sys.path from an error where the directory is gone.
    return [sys.executable, "-P", "-c", source, json.dumps(wanted), str(times), *map(str, words)]


def write_config(folder: Path, rows: int = 300, **overrides: str) -> None:
    """c.yaml and rows.csv: a table of three columns that trains in a moment."""
    import numpy as np

    rng = np.random.default_rng(0)
    lines = ["age,height,job,income"]
    for _ in range(rows):
        age, height = rng.normal(size=2)
        label = "yes" if age + height / 2 + rng.normal() / 3 > 0 else "no"
        lines.append(f"{age:.3f},{height:.3f},{'abc'[rng.integers(3)]},{label}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "c.yaml").write_text(CONFIG)


def hashes(run: Path) -> dict[str, str]:
    """SHA-256 of what must be the same bits."""
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in SAME}


def temporary(folder: Path) -> list[str]:
    """Files that were never finished."""
    return [str(path) for path in folder.rglob(".tmp-*")]


# --- in the process that is struck


def launched() -> int:
    """`jaxnet`, as the installed command calls it."""
    wanted, times = json.loads(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    sys.argv[0] = "jaxnet"
    hook, sent = Hook(), [0]
    for index, (name, call, inside, what) in enumerate(wanted):
        hook.add(name, call, inside, _striker(what, times, sent), partial(_is_next, sent, index))
    sys.meta_path.insert(0, hook)
    from jaxnet.__main__ import main

    return main()


def _is_next(sent: list[int], index: int) -> bool:
    """Whether the signals before this one have been sent."""
    return sent[0] == index


def _striker(what: int | str, times: str, sent: list[int]) -> Callable[[], None]:
    def strike() -> None:
        sent[0] += 1
        if times:
            with open(times, "a") as stream:
                stream.write(f"{time.monotonic()}\n")
        if isinstance(what, int):
            os.kill(os.getpid(), what)
        else:
            name, _, argument = what.partition(":")
            STRIKES[name](argument)

    return strike


def _limit(size: str) -> None:
    """From now on no file grows larger than that."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))


def _fill(path: str) -> None:
    """Fill the disk that the file is on."""
    with suppress(OSError), open(path, "wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while stream.write(b"x" * size):
                    pass


def _wait(path: str) -> None:
    """Until that file is there."""
    Path(f"{path}-{os.getpid()}").touch()
    while not os.path.exists(path):
        time.sleep(0.02)


STRIKES: dict[str, Callable[[str], None]] = {
    "limit": _limit,
    "fill": _fill,
    "remove": shutil.rmtree,
    "close": lambda path: os.chmod(path, 0o555),
    "wait": _wait,
}


class Hook:
    """Wraps functions of modules once these are imported."""

    def __init__(self) -> None:
        self._before: dict[str, list[Callable[[], None]]] = {}
        self._after: dict[str, list[Callable[[Any], None]]] = {}

    def add(
        self,
        name: str,
        call: int,
        inside: str,
        strike: Callable[[], None],
        is_next: Callable[[], bool],
    ) -> None:
        """Call `strike` at that place, where calls count once `is_next` says so."""
        module, _, function = name.partition(":")
        if not function:
            self._before.setdefault(module, []).append(strike)
            return
        within = [not inside]
        left = [call]

        def entered() -> None:
            if within[0] and is_next():
                left[0] -= 1
                if left[0] == 0:
                    strike()

        self._after.setdefault(module, []).append(lambda m: _wrap(m, function, entered))
        if inside:
            module, _, outer = inside.partition(":")

            def flag(now: bool) -> None:
                within[0] = now

            self._after.setdefault(module, []).append(lambda m: _wrap_in(m, outer, flag))

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As an entry of sys.meta_path."""
        before, after = self._before.pop(name, []), self._after.pop(name, [])
        if not before and not after:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"there is no module {name}"
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            for strike in before:
                strike()
            execute(module)
            for wrap in after:
                wrap(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _owner(module: Any, function: str) -> tuple[Any, str]:
    *outer, last = function.split(".")
    for name in outer:
        module = getattr(module, name)
    return module, last


def _wrap(module: Any, function: str, entered: Callable[[], None]) -> None:
    owner, name = _owner(module, function)
    original = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        entered()
        return original(*args, **options)

    setattr(owner, name, wrapped)


def _wrap_in(module: Any, function: str, flag: Callable[[bool], None]) -> None:
    owner, name = _owner(module, function)
    original = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        flag(True)
        try:
            return original(*args, **options)
        finally:
            flag(False)

    setattr(owner, name, wrapped)
