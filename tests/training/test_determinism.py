"""Equal bits: GPUs are asked for them safely, and what has changed since a run began is told."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from jaxnet.errors import UserError
from jaxnet.training import determinism, threads
from jaxnet.training.determinism import FLAG

pytestmark = pytest.mark.both


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process in which JAX has not started and no flag is set, with a plugin for GPUs."""
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(threads, "started", lambda: False)
    plugin = importlib.metadata.EntryPoint("cuda12", "jax_cuda12_plugin", "jax_plugins")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [plugin])
    return monkeypatch


class Gpu:
    platform, device_kind = "gpu", "NVIDIA X"


def test_a_gpu_gets_the_flag_beside_those_of_the_user(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(determinism, "is_known", lambda: True)
    fresh.setenv("XLA_FLAGS", "--xla_dump_to=x")
    assert determinism.ask() == f"deterministic: XLA_FLAGS has {FLAG}=true"
    assert os.environ["XLA_FLAGS"] == f"--xla_dump_to=x {FLAG}=true"
    determinism.ask()
    assert os.environ["XLA_FLAGS"].count(FLAG) == 1


def test_a_flag_that_would_abort_is_never_set(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(determinism, "is_known", lambda: False)
    with pytest.raises(UserError, match=r"does not know --xla_gpu_det.* JAX_PLATFORMS=cpu"):
        determinism.ask()
    assert os.environ["XLA_FLAGS"] == ""


def test_on_a_cpu_nothing_needs_asking(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(determinism, "is_known", lambda: pytest.fail("nothing to try"))
    fresh.setenv("JAX_PLATFORMS", "cpu")
    assert "same number of threads" in determinism.ask()
    fresh.delenv("JAX_PLATFORMS")
    fresh.setattr(importlib.metadata, "entry_points", lambda group: [])
    fresh.setattr("importlib.util.find_spec", lambda name: None)
    assert "same number of threads" in determinism.ask()
    assert os.environ["XLA_FLAGS"] == ""


@pytest.mark.parametrize(
    ("platforms", "may"),
    [("", True), ("cuda", True), ("cpu, gpu", True), ("cpu", False), ("tpu,cpu", False)],
)
def test_the_users_platforms_are_heeded(
    platforms: str, may: bool, fresh: pytest.MonkeyPatch
) -> None:
    fresh.setenv("JAX_PLATFORMS", platforms)
    assert determinism.may_use_gpu() is may


def test_a_plugin_without_an_entry_point_counts(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(importlib.metadata, "entry_points", lambda group: [])
    fresh.setattr("importlib.util.find_spec", lambda name: name == "jax_cuda13_plugin" or None)
    assert determinism.may_use_gpu()


def test_too_late_on_a_gpu_says_what_to_do(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(threads, "started", lambda: True)
    assert "same number of threads" in determinism.ask()  # on the CPU that this is
    fresh.setattr(jax, "local_devices", lambda: [Gpu()])
    with pytest.raises(UserError, match=rf"cannot be set any more: start .*XLA_FLAGS={FLAG}=true"):
        determinism.ask()
    fresh.setenv("XLA_FLAGS", f"{FLAG}=true")
    assert FLAG in determinism.ask()


def test_flags_of_the_user_that_say_otherwise_are_refused(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("XLA_FLAGS", f"{FLAG}=false")
    with pytest.raises(UserError, match="leave one of them out"):
        determinism.ask()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (f"{FLAG}=true", True),
        (f"--a=1 {FLAG}", True),
        (f"{FLAG}=false", False),
        (f"{FLAG}=true {FLAG}=0", False),
        (f"--a=1 {FLAG}_more=true", None),
        ("", None),
    ],
)
def test_what_the_flags_say(flags: str, said: bool | None, fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("XLA_FLAGS", flags)
    assert determinism.asked_for() is said


def test_this_jaxlib_knows_the_flag_and_not_just_any() -> None:
    assert determinism.is_known()
    assert not determinism.is_known("--xla_gpu_no_such_flag=true")


PROGRAM = """
import os
from jaxnet.training import determinism
print(determinism.ask())
import jax
print(len(jax.devices()), os.environ["XLA_FLAGS"], determinism.facts()["deterministic"])
"""


def test_a_process_with_the_flag_starts(environment: dict[str, str], tmp_path: Path) -> None:
    """With a plugin to be seen, and no more than that."""
    (tmp_path / "jax_cuda12_plugin").mkdir()
    (tmp_path / "jax_cuda12_plugin" / "__init__.py").touch()
    root = str(Path(__file__).parents[2])
    variables = {n: v for n, v in environment.items() if n not in ("JAX_PLATFORMS", "XLA_FLAGS")}
    variables["PYTHONPATH"] = os.pathsep.join((str(tmp_path), root))
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)
    assert done.returncode == 0, done.stderr
    note, started = done.stdout.splitlines()
    assert note == f"deterministic: XLA_FLAGS has {FLAG}=true"
    assert started == f"1 {FLAG}=true True"


def test_the_facts_of_this_process() -> None:
    facts = determinism.facts()
    assert facts["platform"] == "cpu"
    assert facts["deterministic"] is True
    assert facts["threads"] == threads.count()
    assert facts["jaxlib"] == importlib.metadata.version("jaxlib")
    assert determinism.differences(facts, determinism.facts()) == []


def test_the_facts_of_a_gpu(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(jax, "local_devices", lambda: [Gpu()])
    facts = determinism.facts()
    assert (facts["platform"], facts["device"]) == ("gpu", "NVIDIA X")
    assert facts["deterministic"] is False
    fresh.setenv("XLA_FLAGS", f"{FLAG}=true")
    assert determinism.facts()["deterministic"] is True


CPU = {"threads": 2, "platform": "cpu", "device": "x86_64-1", "driver": None, "jaxlib": "0.12.0"}
GPU = {"threads": 2, "platform": "gpu", "device": "NVIDIA X", "driver": "5.1", "jaxlib": "0.12.0"}
LATER = ": bits will differ from an undisturbed run"


@pytest.mark.parametrize(
    ("then", "changed", "said"),
    [
        (CPU, {}, []),
        (
            CPU,
            {"threads": 1},
            [f"the run began with 2 threads and this process has 1{LATER}; set NPROC=2"],
        ),
        (
            CPU,
            {"device": "x86_64-2"},
            ["the run began on x86_64-1 and this process is on x86_64-2"],
        ),
        (CPU, {"jaxlib": "0.13"}, ["with jaxlib 0.12.0 and this process has 0.13"]),
        (CPU, GPU, ["the run began on cpu and this process is on gpu" + LATER]),
        (GPU, {"threads": 1}, []),
        (GPU, {"driver": "5.2"}, ["the run began with driver 5.1 and this process has 5.2"]),
        (GPU | {"deterministic": True}, {"deterministic": False}, ["; add --deterministic"]),
        (GPU | {"deterministic": False}, {"deterministic": True}, ["; leave --deterministic out"]),
        ({"platform": "cpu"}, CPU, []),  # what an older checkpoint does not say
    ],
)
def test_what_has_changed_is_told(
    then: dict[str, Any], changed: dict[str, Any], said: list[str]
) -> None:
    found = determinism.differences(then, then | changed)
    assert len(found) == len(said)
    for text, part in zip(found, said, strict=True):
        assert part in text
        assert LATER in text


def test_the_driver(tmp_path: Path) -> None:
    file = tmp_path / "version"
    assert determinism.driver(file) is None
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 2023\n")
    assert determinism.driver(file) == "535.104.05"
    file.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n")
    assert determinism.driver(file) == "570.86.15"
