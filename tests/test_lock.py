"""One process at a time: the second is told who has the lock, and death of any kind frees it."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet import lock
from jaxnet.errors import RunDirectoryError
from tests.forking import fork

HOLD = """
import sys
from pathlib import Path
from jaxnet import lock
with lock.hold(Path(sys.argv[1]), command="jaxnet train a.yaml"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def start(path: Path, source: str = HOLD) -> subprocess.Popen[str]:
    """A process that holds the lock until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_has_it_and_a_killed_holder_has_it_no_more(path: Path) -> None:
    with start(path) as process:
        with pytest.raises(lock.Held) as caught, lock.hold(path, command="b"):
            pass
        message = str(caught.value)
        assert message.startswith(
            f"{path.parent}: a run is under way in this directory: "
            f"process {process.pid} on {socket.gethostname()} since 20"
        )
        assert message.endswith(
            " (jaxnet train a.yaml); wait for it, or name another directory: --run-dir DIR"
        )
        assert caught.value.exit_code == 2
        found = lock.holder(path)
        assert found is not None
        assert found.pid == process.pid
        process.kill()
        process.wait()
        with lock.hold(path, command="b") as warning:
            assert warning is None
            assert json.loads(path.read_text())["pid"] == os.getpid()


def test_the_end_frees_it_and_the_file_stays(path: Path) -> None:
    for command in ("a", "b"):
        with lock.hold(path, command=command):
            found = lock.holder(path)
            assert found is not None
            assert (found.pid, found.command) == (os.getpid(), command)
        assert lock.holder(path) is None
    assert path.is_file()


def test_a_file_that_was_taken_away_counts_no_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened before its holder removed it, locked after that: a third would not see this lock."""
    take = lock._take

    def late(descriptor: int, where: Path) -> str | None:
        monkeypatch.setattr(lock, "_take", take)
        path.unlink()
        return take(descriptor, where)

    monkeypatch.setattr(lock, "_take", late)
    with lock.hold(path, command="a"):
        assert lock.holder(path) is not None


def test_an_error_frees_it(path: Path) -> None:
    with pytest.raises(KeyError), lock.hold(path, command="a"):
        raise KeyError
    assert lock.holder(path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00{",
        b"[1]",
        b'"pid"',
        b"{}",
        b'{"pid": "x"}',
        b'{"pid": -1}',
        b'{"pid": true}',
        b"[" * 4000,
        b'{"pid": 1}' + b" " * 9000 + b"x",
    ],
)
def test_words_that_make_no_sense(path: Path, content: bytes) -> None:
    with lock.hold(path, command="a"):
        path.write_bytes(content)
        expected = f"{path.parent}: a run is under way in this directory: "
        with pytest.raises(lock.Held) as caught, lock.hold(path, command="b"):
            pass
        assert str(caught.value).startswith(expected)
        assert str(caught.value).endswith("name another directory: --run-dir DIR")
        assert len(str(caught.value)) < len(expected) + 200
        assert lock.holder(path) is not None
    with lock.hold(path, command="b"):  # nor do they keep anybody out
        found = lock.holder(path)
    assert found is not None
    assert (found.pid, found.command) == (os.getpid(), "b")


def test_words_cannot_steer_a_terminal(path: Path) -> None:
    with lock.hold(path, command="jaxnet train \x1b[2J\n" + "x" * 9000):
        found = lock.holder(path)
        assert found is not None
        assert found.command.startswith("jaxnet train ?[2J?xxx")
        assert len(found.command) == 200
        path.write_text(json.dumps({"pid": 7, "host": "\x1b[2J", "since": None, "command": 5}))
        assert str(lock.holder(path)) == "process 7 on ?[2J since ?"


def test_a_link_is_not_followed(path: Path) -> None:
    target = path.with_name("target")
    path.symlink_to(target)
    with pytest.raises(RunDirectoryError, match="a symbolic link, where a run has its lock"):
        lock.hold(path, command="a").__enter__()
    assert not target.exists()
    target.write_text("mine")
    with pytest.raises(RunDirectoryError, match="a symbolic link"):
        lock.hold(path, command="a").__enter__()
    assert target.read_text() == "mine"


def test_what_is_no_file_is_refused(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(RunDirectoryError, match="not a plain file, where a run has its lock"):
        lock.hold(path, command="a").__enter__()
    path.unlink()
    path.mkdir()
    with pytest.raises(RunDirectoryError, match="a directory, where a run has its lock"):
        lock.hold(path, command="a").__enter__()
    with pytest.raises(RunDirectoryError, match=r"cannot be locked \(No such file"):
        lock.hold(path / "absent" / ".lock", command="a").__enter__()


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_without_locks_it_goes_on_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with lock.hold(path, command="a") as warning:
        assert warning is not None
        assert "files cannot be locked here" in warning
        found = lock.holder(path)
        assert found is not None
        assert found.pid == os.getpid()
    monkeypatch.setattr(lock, "fcntl", None)  # Windows
    with lock.hold(path, command="a") as warning:
        assert warning is not None


def test_without_locks_a_process_that_has_ended_holds_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(path) as process:
        monkeypatch.setattr(fcntl, "flock", no_locks)
        assert lock.holder(path) is not None
        process.kill()
        process.wait()
    assert lock.holder(path) is None
    path.write_text(json.dumps({"pid": process.pid, "host": "elsewhere"}))
    assert lock.holder(path) is not None  # who knows


def test_children_do_not_have_it(path: Path) -> None:
    """Neither one that a fork made nor a command: both outlive a holder that is killed."""
    fork = """
import os, subprocess, sys, time
from pathlib import Path
from jaxnet import lock
with lock.hold(Path(sys.argv[1]), command="parent"):
    subprocess.Popen(["sleep", "60"])
    if os.fork() == 0:
        print("held", flush=True)
        time.sleep(60)
    sys.stdin.readline()
"""
    with start(path, "import os; os.setpgrp()\n" + fork) as process:
        try:
            assert lock.holder(path) is not None
            process.kill()
            process.wait()
            assert lock.holder(path) is None
        finally:
            os.killpg(process.pid, 9)


def test_a_child_that_leaves_the_block_does_not_disturb(path: Path) -> None:
    with lock.hold(path, command="a"):
        child = fork()
        if child == 0:
            os._exit(0 if not lock._held else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert lock.holder(path) is not None


def test_those_who_ask_do_not_disturb_one_who_starts(path: Path) -> None:
    asking = """
import sys, time
from pathlib import Path
from jaxnet import lock
path = Path(sys.argv[1])
lock.holder(path)
print("held", flush=True)
while True:
    lock.holder(path)
    time.sleep(0.0005)
"""
    with start(path, asking) as first, start(path, asking) as second:
        try:
            for _ in range(300):
                with lock.hold(path, command="a"):
                    pass
        finally:
            first.kill()
            second.kill()
