"""The compilation cache is private, is used, and holds no entry that is cut short."""

import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from jaxnet.training import compilation_cache as cache

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
PROGRAM = """
import sys, warnings
warnings.simplefilter("error")
from jaxnet.training.compilation_cache import enable_compilation_cache
print(enable_compilation_cache())
import jax
from jax._src import monitoring
hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name))
assert jax.jit(lambda x: (x @ x).sum())(jax.numpy.eye(3)) == 3
print(sum(name.endswith("/cache_hits") for name in hits))
"""


def run(environment: dict[str, str], program: str = PROGRAM) -> tuple[str, int]:
    """(folder in use, programs taken from it) of a fresh process; nothing on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    folder, hits = done.stdout.split()
    return folder, int(hits)


def entry(folder: Path, name: str, *, cut: int | None = None, age: float = 0.0) -> Path:
    """An entry as JAX writes it, perhaps cut short."""
    path = folder / f"{name}-cache"
    path.write_bytes(zlib.compress(os.urandom(1000))[:cut])
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.mark.both
def test_a_second_process_compiles_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    variables = environment | QUIET | {"XDG_CACHE_HOME": str(tmp_path)}
    folder, hits = run(variables)
    assert hits == 0
    assert Path(folder) == tmp_path / "jaxnet" / cache.processor()
    for one in (Path(folder), tmp_path / "jaxnet"):
        assert one.stat().st_mode & 0o777 == 0o700
    programs = len(list(Path(folder).glob("*-cache")))
    assert programs >= 1
    assert run(variables)[1] == programs

    # An entry cut short is deleted before JAX can warn of it, and then made anew.
    damaged = max(Path(folder).glob("*-cache"), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:-7])
    assert run(variables)[1] == programs - 1
    assert run(variables)[1] == programs


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_truncated_entries_are_found_and_deleted(tmp_path: Path, cut: int) -> None:
    good, bad = entry(tmp_path, "good"), entry(tmp_path, "bad", cut=cut)
    (tmp_path / "notes.txt").write_text("not an entry")
    assert cache.inspect(tmp_path) == cache.clean(tmp_path)
    assert good.exists()
    assert not bad.exists()
    assert (tmp_path / "notes.txt").exists()
    assert cache.inspect(tmp_path).damaged == ()


def test_a_verified_entry_is_not_read_again_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = entry(tmp_path, "one")
    assert cache.clean(tmp_path).damaged == ()
    read: list[Path] = []
    whole = cache._is_whole
    monkeypatch.setattr(cache, "_is_whole", lambda path: read.append(path) or whole(path))
    assert cache.clean(tmp_path).entries == 1
    assert read == []
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.clean(tmp_path).damaged == (path.name,)
    assert read == [path]


@pytest.mark.parametrize("content", ["[1]", "rubbish", ""])
def test_a_damaged_list_of_verified_entries_is_made_anew(tmp_path: Path, content: str) -> None:
    entry(tmp_path, "one")
    (tmp_path / "verified.json").write_text(content)
    assert cache.clean(tmp_path).entries == 1
    assert "one-cache" in (tmp_path / "verified.json").read_text()


def test_the_oldest_entries_go_when_the_folder_is_full(tmp_path: Path) -> None:
    paths = [entry(tmp_path, str(age), age=age) for age in range(10)]  # 0: the newest
    cache.clean(tmp_path, limit=9_000)
    assert [path.exists() for path in paths] == [True] * 4 + [False] * 6
    assert cache.clean(tmp_path, limit=9_000).entries == 4


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    assert cache.inspect(tmp_path / "absent") == cache.Contents(0, 0, ())


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_directory() == tmp_path / "jaxnet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_directory() == tmp_path / ".cache" / "jaxnet"


def test_a_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert cache._make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_without_a_folder_the_run_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "jaxnet").write_text("a file in the way")
    assert run(environment | QUIET | {"XDG_CACHE_HOME": str(tmp_path)}) == ("None", 0)


def test_a_cache_set_up_by_the_user_is_kept(environment: dict[str, str], tmp_path: Path) -> None:
    mine = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "mine")}
    assert run(environment | QUIET | mine)[0] == str(tmp_path / "mine")


def test_no_false_alarms_of_old_releases(environment: dict[str, str], tmp_path: Path) -> None:
    """Unless they are switched off, there is no cache with such a release, and nothing is said."""
    loud = {name: value for name, value in environment.items() if name not in QUIET}
    variables = loud | {"XDG_CACHE_HOME": str(tmp_path)}
    run(variables)
    run(variables)  # would find entries
