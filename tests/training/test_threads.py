"""The number of threads: what XLA takes from NPROC, told before it starts and after."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxnet.training import threads

PROGRAM = """
import os, sys
from jaxnet.training import threads
wanted = int(sys.argv[1])
print(threads.repin(wanted) if wanted else threads.pin(None), threads.started(), threads.count())
import jax
devices = jax.config.jax_num_cpu_devices
print(threads.started(), jax.config.jax_num_cpu_devices == devices)
jax.devices()
print(threads.started(), jax.config.jax_num_cpu_devices == devices, threads.count())
print(threads.repin(7), os.environ.get("NPROC"))
"""


def report(environment: dict[str, str], wanted: int, nproc: str | None = None) -> list[str]:
    """What a fresh process says of its threads."""
    variables = {name: text for name, text in environment.items() if name != "NPROC"}
    variables |= {"JAX_PLATFORMS": "cpu"} | ({} if nproc is None else {"NPROC": nproc})
    command = [sys.executable, "-c", PROGRAM, str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_pinned_process_has_what_it_was_given(environment: dict[str, str]) -> None:
    """Three is what no default here gives by chance: the count is read from XLA's own threads."""
    assert report(environment, 3) == ["True False 3", "False True", "True True 3", "False 3"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores of a process, as on Linux")
def test_an_unpinned_process_has_the_cores_it_may_use(environment: dict[str, str]) -> None:
    cores = min(len(os.sched_getaffinity(0)), 256)
    said = report(environment, 0)
    assert said == [f"False False {cores}", "False True", f"True True {cores}", "False None"]


def test_what_the_user_set_comes_first(environment: dict[str, str]) -> None:
    assert report(environment, 3, nproc="1") == [
        *("False False 1", "False True", "True True 1"),
        "False 1",
    ]


@pytest.mark.parametrize(
    ("said", "taken"),
    [("3", 3), (" 2 ", 2), ("+3", 3), ("0", 1), ("-1", 1), ("1000", 256)],
)
def test_nproc_as_xla_reads_it(said: str, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was tried on jaxlib 0.10.1: it has so many threads of the name that is counted."""
    monkeypatch.setattr(threads, "started", lambda: False)
    monkeypatch.setenv("NPROC", said)
    assert threads.count() == taken


@pytest.mark.parametrize("said", ["", "abc", "2.5", "0x3", "99999999999", "9" * 5000])
def test_what_is_no_number_counts_as_not_set(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "started", lambda: False)
    monkeypatch.delenv("NPROC", raising=False)
    unset = threads.count()
    monkeypatch.setenv("NPROC", said)
    assert threads.count() == unset


def test_once_jax_has_started_no_wish_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    jax.devices()
    monkeypatch.delenv("NPROC", raising=False)
    assert not threads.repin(threads.count() + 1)
    assert "NPROC" not in os.environ
    assert threads.repin(threads.count())


def test_the_name_of_a_thread_that_has_ended(tmp_path: Path) -> None:
    assert threads._name(tmp_path / "gone") == ""
