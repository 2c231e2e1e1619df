"""How many bytes this process may still take, in main memory and on the accelerator.

What stops a process first is the least of several limits: what the machine has, what its control
group may use (a container, a batch system) and what `ulimit -v` grants.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.errors import UserError
from jaxnet.files import MOST_TEXT, read_file


class Free(NamedTuple):
    """Bytes that can still be taken, and whose limit that is."""

    bytes: int
    where: str


class Spaces(NamedTuple):
    """What is free where; None: not known.

    Attributes:
        device: where training computes.
        host: main memory.
        shared: whether they are the same memory, as on a CPU.
    """

    device: Free | None
    host: Free | None
    shared: bool


def available() -> Spaces:
    """What is free for this process now; starts JAX's backend.

    >>> available().shared in (True, False)
    True
    """
    import jax

    device, main = jax.local_devices()[0], host()
    if device.platform == "cpu":
        return Spaces(main, main, shared=True)
    return Spaces(of_device(device), main, shared=False)


def of_device(device: Any) -> Free | None:
    """What an accelerator has left of the memory that JAX may use; None where it does not say."""
    known: Mapping[str, int] = device.memory_stats() or {}
    if "bytes_limit" not in known:
        return None
    left = known["bytes_limit"] - known.get("bytes_in_use", 0)
    return Free(max(left, 0), f"on {device.device_kind}")


def host(root: Path = Path("/")) -> Free | None:
    """The least of what the machine, the control group and `ulimit -v` leave; None: not known.

    Args:
        root: under which proc and sys are looked for.
    """
    found = [*_machine(root), *_groups(root), *_address_space(root)]
    return min(found, key=lambda free: free.bytes, default=None)


def _read(path: Path) -> str:
    """The text of a file of the system, or nothing: most machines lack some of them."""
    try:
        return read_file(path, most=MOST_TEXT).decode(errors="replace")
    except OSError:
        return ""


def _numbers(text: str) -> dict[str, int]:
    """`name: 12 kB` and `name 12` of each line.

    >>> _numbers("MemAvailable:   24134352 kB")
    {'MemAvailable': 24134352}
    """
    return {name: int(value) for name, value in re.findall(r"^(\w+):?\s+(\d+)", text, re.M)}


def _machine(root: Path) -> Iterator[Free]:
    known = _numbers(_read(root / "proc/meminfo"))
    if "MemAvailable" in known:
        yield Free(1024 * (known["MemAvailable"] + known.get("SwapFree", 0)), "on this machine")


# Of version 2 of control groups and of version 1: the limit, what is used, and how much of that
# is files read or written, which the kernel drops before it refuses memory to anybody.
_FILES = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)


def _groups(root: Path) -> Iterator[Free]:
    """What each control group above this process leaves, in either version."""
    for folder in _folders(root):
        for limit, usage, files in _FILES:
            most, used = _read(folder / limit).strip(), _read(folder / usage).strip()
            if not (most.isdecimal() and used.isdecimal()):  # "max": none
                continue
            known = _numbers(_read(folder / "memory.stat"))
            left = int(most) - int(used) + sum(known.get(name, 0) for name in files)
            yield Free(max(left, 0), f"under the limit of {folder / limit}")


def _folders(root: Path) -> Iterator[Path]:
    """Folders of the memory groups of this process, up to the outermost one that is visible."""
    base = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = base / "memory" if controllers else base
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            yield top.joinpath(*parts[:depth])


# What JAX takes when it starts, in bytes of addresses and of data, measured with two cores;
# and for the stacks of its threads on each. With less it aborts in native code, without a word.
_STARTS_WITH = {"v": ("RLIMIT_AS", 1_500_000_000), "d": ("RLIMIT_DATA", 500_000_000)}
_FOR_A_CORE = 32_000_000


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # which macOS lacks
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refuse_no_room_for_jax() -> None:
    """Refuse a limit of this process under which JAX would abort; before JAX is imported.

    Raises:
        UserError: names the limit, what is needed, and what to type.
    """
    try:
        import resource  # which Windows lacks
    except ImportError:
        return
    for letter, (name, least) in _STARTS_WITH.items():
        needed = least + _FOR_A_CORE * _cores()
        most, hard = resource.getrlimit(getattr(resource, name))
        if most != resource.RLIM_INFINITY and most < needed:
            fix = "unlimited" if hard == resource.RLIM_INFINITY else f"{needed // 1024 + 1}"
            raise UserError(
                f"'ulimit -{letter}' grants this process {most / 1e9:.1f} GB, and JAX needs about "
                f"{needed / 1e9:.1f} GB to start; type: ulimit -{letter} {fix}"
            )


def _address_space(root: Path) -> Iterator[Free]:
    try:
        import resource  # which Windows lacks
    except ImportError:
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _numbers(_read(root / "proc/self/status")).get("VmSize")
    if most != resource.RLIM_INFINITY and used is not None:
        yield Free(max(most - 1024 * used, 0), "under the limit of 'ulimit -v'")
