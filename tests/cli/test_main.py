"""Exit codes and what is said on the way out."""

import errno
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from jaxnet.cli.main import main
from jaxnet.cli.signals import AGAIN
from jaxnet.errors import DataError, JaxnetError, NonFiniteError, RunFailed, Stopped

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, config: Path) -> Callable[[BaseException], int]:
    """Run `jaxnet train` with a training that raises."""

    def run(error: BaseException) -> int:
        def train(*args: object, **options: object) -> None:
            raise error

        module = ModuleType("jaxnet.run")
        module.train = train  # type: ignore[attr-defined]
        module.Calling = dict  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "jaxnet.run", module)
        return main(["train", str(config)])

    return run


def stopped(number: int, *, saved: str | None = None, note: str | None = None) -> Stopped:
    stop = Stopped(number)
    stop.saved = saved
    if note is not None:
        stop.add_note(note)
    return stop


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (DataError("row 3: label 7"), 2, "jaxnet: error: row 3: label 7\n"),
        (JaxnetError("it failed"), 1, "jaxnet: error: it failed\n"),
        (NonFiniteError("NaN at step 3", step=3), 1, "jaxnet: error: NaN at step 3\n"),
        (KeyboardInterrupt(), 130, "jaxnet: error: interrupted\n"),
        (
            stopped(signal.SIGINT),
            130,
            f"jaxnet: error: interrupted{AGAIN}\n",
        ),
        (stopped(signal.SIGTERM), 143, f"jaxnet: error: terminated{AGAIN}\n"),
        (
            stopped(signal.SIGTERM, saved="runs/a b"),
            75,
            "jaxnet: error: terminated; to go on: jaxnet train --run-dir 'runs/a b' --resume\n",
        ),
        (
            stopped(signal.SIGINT, note="no checkpoint could be written: the disk is full"),
            130,
            "jaxnet: error: interrupted; no checkpoint could be written: the disk is full\n",
        ),
        (RunFailed("m.json: the disk is full"), 1, "jaxnet: error: m.json: the disk is full\n"),
        (BrokenPipeError(), 1, ""),
        (
            OSError(errno.ENOSPC, "No space left on device", "a"),
            1,
            "jaxnet: error: [Errno 28] No space left on device: 'a'\n",
        ),
        (
            MemoryError(),
            1,
            "jaxnet: error: out of memory; lower training.batch_size or model.hidden\n",
        ),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."),
            1,
            "jaxnet: error: out of memory: 9 bytes were asked for at once; lower "
            "training.batch_size or model.hidden\n",
        ),
        (
            RuntimeError("can't start new thread"),
            1,
            "jaxnet: error: the system starts no more threads for this process: see the limits of "
            "memory and of processes (ulimit -v, ulimit -d, ulimit -u)\n",
        ),
        (
            RuntimeError("Unable to initialize backend 'foo'"),
            2,
            "jaxnet: error: jax finds no such device: Unable to initialize backend 'foo'; see "
            "'jaxnet doctor'\n",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_errors_end_with_a_code_and_one_line(
    failing: Callable[[BaseException], int],
    capsys: Streams,
    error: BaseException,
    code: int,
    expected: str,
) -> None:
    assert failing(error) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", expected)


def test_a_bug_is_called_one_and_shows_where(
    failing: Callable[[BaseException], int], capsys: Streams
) -> None:
    assert failing(ZeroDivisionError("by zero")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.splitlines()[-1] == (
        "jaxnet: error: this is a bug in jaxnet (ZeroDivisionError: by zero); please report it "
        "with the lines above"
    )


def test_every_problem_of_a_config_is_a_line(tmp_path: Path, capsys: Streams) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("taks: binary\ndata: {sorce: x}\n")
    assert main(["train", str(path), "training.epochs=0"]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.split(": ")[:4] for line in lines] == [
        ["jaxnet", "error", f"{path}:1:1", "taks"],
        ["jaxnet", "error", f"{path}:2:8", "data.sorce"],
        ["jaxnet", "error", "override", "training.epochs"],
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "jaxnet: error: a command is missing; see 'jaxnet --help'\n"),
        (["config"], "jaxnet: error: a command is missing; see 'jaxnet config --help'\n"),
        (
            ["train"],
            "jaxnet: error: train needs a CONFIG, such as configs/binary.yaml; "
            "see 'jaxnet train --help'\n",
        ),
        (
            ["train", "training.epochs=3"],
            "jaxnet: error: train needs a CONFIG, such as configs/binary.yaml; "
            "see 'jaxnet train --help'\n",
        ),
        (
            ["config", "check"],
            "jaxnet: error: config check needs a CONFIG; see 'jaxnet config check --help'\n",
        ),
        (
            ["train", "--resume"],
            "jaxnet: error: --resume needs the directory of the run: --run-dir DIR; "
            "see 'jaxnet train --help'\n",
        ),
        (
            ["train", "absent/c.yaml", "--resume"],
            "jaxnet: error: --resume needs the directory of the run: --run-dir DIR; "
            "see 'jaxnet train --help'\n",
        ),
        (["debug"], "jaxnet: error: RUN is missing; see 'jaxnet debug --help'\n"),
        (["debug", "absent"], "jaxnet: error: absent: there is no such run directory\n"),
        (["runs", "a", "b"], "jaxnet: error: unexpected argument 'b'; see 'jaxnet runs --help'\n"),
        (["train", "absent/c.yaml"], "jaxnet: error: absent/c.yaml: no such file\n"),
    ],
)
def test_a_call_without_what_it_needs(words: list[str], expected: str, capsys: Streams) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--help"], ["examples:", "exit codes:", "130  interrupted", "train", "gradcheck"]),
        (["--help"], ["75   ", "go on with --resume", "jaxnet runs\n", "jaxnet debug runs/failed"]),
        (["train", "--help"], ["examples:", "--run-dir DIR", "--json", "key.path=value"]),
        (["train", "--help"], ["jaxnet train --run-dir DIR --resume", "--deterministic"]),
        (["runs", "--help"], ["usage: jaxnet runs [DIR] [--json]", "productive over total"]),
        (["debug", "--help"], ["usage: jaxnet debug RUN [--json]", "training.on_nan=skip"]),
        (
            ["predict", "--help"],
            ["jaxnet predict RUN DATA [--top-k K] [--output FILE]", "p(CLASS)"],
        ),
        (
            ["evaluate", "--help"],
            ["jaxnet evaluate RUN [DATA [--labels FILE]] [--json]", "examples:"],
        ),
        (["report", "--help"], ["usage: jaxnet report RUN", "report.html"]),
        (["config", "--help"], ["show", "check", "schema"]),
        (["config", "show", "--help"], ["usage: jaxnet config show [CONFIG]"]),
        (["gradcheck", "--help"], ["--loss NAME", "--json"]),
        (["doctor", "--help"], ["--json"]),
        (["--version"], ["jaxnet "]),
    ],
)
def test_help_and_version(words: list[str], shown: list[str], capsys: Streams) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(text in out for text in shown)
    assert out.isascii()
