"""A training that does not fit is refused before it begins; running out of memory is explained."""

import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.errors import UserError
from jaxnet.training import free_memory, memory
from jaxnet.training.free_memory import Free, Spaces
from jaxnet.training.needs import Needs

NONE = Needs(*[0] * 12)
ON_CPU = Spaces(Free(10**9, "on this machine"), Free(10**9, "on this machine"), shared=True)
ON_GPU = Spaces(Free(10**9, "on NVIDIA X"), Free(10**10, "on this machine"), shared=False)


def test_what_fits_is_allowed_to_the_byte() -> None:
    memory.check(NONE._replace(data=10**9), ON_CPU)
    with pytest.raises(UserError):
        memory.check(NONE._replace(data=10**9 + 1), ON_CPU)


def test_the_refusal_names_parts_what_is_free_and_what_to_type() -> None:
    needs = NONE._replace(parameters=310 * 10**6, optimizer=620 * 10**6, activations=4 * 10**9)
    with pytest.raises(UserError) as refused:
        memory.check(needs, ON_CPU)
    assert str(refused.value) == (
        "training needs about 4.9 GB (activations of a batch 4.0 GB, optimizer state 620.0 MB, "
        "parameters 310.0 MB) and 1.0 GB are free on this machine: lower training.batch_size or "
        "model.hidden"
    )
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("data", "data.train"),
        ("validation", "data.split.validation"),
        ("parameters", "model.hidden"),
        ("optimizer", "optimizer.name=sgd"),
        ("average", "optimizer.ema=null"),
        ("best", "model.hidden"),
        ("gradients", "model.hidden"),
        ("activations", "training.batch_size"),
        ("logits", "training.batch_size"),
        ("evaluation", "model.hidden"),
        ("checkpoint", "model.hidden"),
        ("predictions", "data.train"),
    ],
)
def test_what_to_change_follows_from_the_largest_part(part: str, key: str) -> None:
    needs = NONE._replace(data=1, parameters=2)._replace(**{part: 10**12})
    assert key in memory.remedy(needs)


def test_tables_are_made_smaller_by_their_own_key() -> None:
    needs = NONE._replace(optimizer=9, shrink="model.embedding_size")
    assert memory.remedy(needs) == "lower model.embedding_size, or set optimizer.name=sgd"


def test_device_and_main_memory_are_held_against_their_own_limits() -> None:
    memory.check(NONE._replace(parameters=9 * 10**8, checkpoint=9 * 10**9), ON_GPU)
    with pytest.raises(UserError, match=r"1\.0 GB are free on NVIDIA X"):
        memory.check(NONE._replace(parameters=2 * 10**9), ON_GPU)
    with pytest.raises(UserError, match=r"10\.0 GB are free on this machine"):
        memory.check(NONE._replace(predictions=2 * 10**10), ON_GPU)


def test_nothing_is_refused_where_nothing_is_known() -> None:
    huge = NONE._replace(parameters=10**18, predictions=10**18)
    memory.check(huge, Spaces(None, None, shared=True))
    memory.check(huge, Spaces(None, None, shared=False))


# What jaxlib and NumPy were seen to say; the third is how allocators of accelerators put it.
SAID = [
    ("RESOURCE_EXHAUSTED: Out of memory allocating 14400000236 bytes.", "14.4 GB"),
    ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 37.25GiB.", "40.0 GB"),
    ("RESOURCE_EXHAUSTED: Failed to allocate request for 2.00GiB (2147483648B) on d", "2.1 GB"),
]


@pytest.mark.parametrize(("said", "asked"), SAID)
def test_running_out_is_told_with_what_was_asked_for(said: str, asked: str) -> None:
    text = memory.translated(RuntimeError(said))
    assert text is not None
    assert text.startswith(f"out of memory: {asked} were asked for at once; lower training.batch")
    needs = NONE._replace(predictions=10**10)
    assert "10.0 GB (predictions" in str(memory.translated(RuntimeError(said), needs))
    assert "data.train" in str(memory.translated(RuntimeError(said), needs))


def test_other_errors_are_left_alone() -> None:
    assert memory.translated(RuntimeError("INVALID_ARGUMENT: allocating 3 bytes")) is None
    assert memory.translated(ValueError("RESOURCE_EXHAUSTED: Out of memory")) is None
    assert memory.translated(MemoryError()) == (
        "out of memory; lower training.batch_size or model.hidden"
    )


PROGRAM = """
import resource, sys
import jax, jax.numpy as jnp, numpy as np
from jaxnet.training import free_memory, memory
from jaxnet.training.needs import Needs
jax.devices()
used = free_memory._numbers(open("/proc/self/status").read())["VmSize"] * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 10**9,) * 2)
free = free_memory.available().host
print(free.where, 10**9 < free.bytes <= 2 * 10**9)
try:
    memory.check(Needs(*[3 * 10**9] + [0] * 11))
except memory.UserError as error:
    print(error)
for allocate in (
    lambda: jnp.zeros(10**10, jnp.float32).block_until_ready(),
    lambda: np.zeros(10**10, np.float32),
):
    try:
        allocate()
    except Exception as error:
        print(memory.translated(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process, as Linux has them")
def test_under_a_limit_of_the_process_real_errors_are_told(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", PROGRAM]
    variables = environment | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)
    assert done.returncode == 0, done.stderr
    space, refusal, of_jax, of_numpy = done.stdout.splitlines()
    assert space == "under the limit of 'ulimit -v' True"
    assert refusal.startswith("training needs about 3.0 GB (training rows 3.0 GB) and ")
    assert refusal.endswith(
        "under the limit of 'ulimit -v': train on fewer rows or columns (data.train, data.drop)"
    )
    assert of_jax.startswith("out of memory: 40.0 GB were asked for at once; lower ")
    assert of_numpy.startswith("out of memory: 40.")
    assert "GB were asked for at once" in of_numpy


def machine(root: Path, files: dict[str, str]) -> Path:
    """A tree of the system's files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = "MemTotal:  90 kB\nMemAvailable:    3000 kB\nSwapFree:   1000 kB\n"


def test_the_machine_and_its_swap(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/meminfo": MEMINFO})
    assert free_memory.host(root) == Free(4_096_000, "on this machine")
    assert free_memory.host(tmp_path / "nowhere") is None


def test_a_group_of_version_2_counts_what_the_kernel_can_drop_as_free(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/a/b/"
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/a/b\n",
        group + "memory.max": "max\n",
        "sys/fs/cgroup/a/memory.max": "1000000\n",
        "sys/fs/cgroup/a/memory.current": "700000\n",
        "sys/fs/cgroup/a/memory.stat": "anon 500000\ninactive_file 100000\nactive_file 50000\n",
    }
    free = free_memory.host(machine(tmp_path, files))
    assert free is not None
    assert free.bytes == 450_000
    assert free.where.endswith("/a/memory.max")


def test_a_group_of_version_1(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:cpu,memory:/job\n3:cpuset:/\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "2000\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "2500\n",
        "sys/fs/cgroup/memory/job/memory.stat": "inactive_file 9\ntotal_inactive_file 300\n",
    }
    free = free_memory.host(machine(tmp_path, files))
    assert free is not None
    assert free.bytes == 0
    assert free.where.endswith("/job/memory.limit_in_bytes")


class Device:
    device_kind = "NVIDIA X"

    def __init__(self, stats: dict[str, int] | None) -> None:
        self.stats = stats

    def memory_stats(self) -> dict[str, int] | None:
        return self.stats


def test_an_accelerator_says_what_it_has_left() -> None:
    assert free_memory.of_device(Device({"bytes_limit": 9, "bytes_in_use": 2})) == Free(
        7, "on NVIDIA X"
    )
    assert free_memory.of_device(Device(None)) is None
    assert free_memory.of_device(Device({"bytes_in_use": 2})) is None
