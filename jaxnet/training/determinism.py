"""Equal bits: what a GPU has to be asked for, and what must be the same when a run goes on.

A CPU gives the same bits wherever jaxlib, processor and number of threads are the same. A GPU does
so only with a flag of XLA, which is read once, when JAX's backend starts.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jaxnet.errors import UserError
from jaxnet.files import MOST_TEXT, read_file
from jaxnet.printable import shell_word
from jaxnet.training import threads
from jaxnet.training.compilation_cache import processor

FLAG = "--xla_gpu_deterministic_ops"
_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm60_plugin", "jax_rocm7_plugin")
_PROBE_SECONDS = 120.0

_ON_CPU = "deterministic: a CPU gives the same bits with the same number of threads"
_ON_GPU = f"deterministic: XLA_FLAGS has {FLAG}=true"


def ask() -> str:
    """Ask for the same bits in every run, as far as the device needs asking; before JAX starts.

    Returns:
        What was done, in words, for the records of the run.

    Raises:
        UserError: it is too late, the user's own XLA_FLAGS say otherwise, or this jaxlib does not
            know the flag.
    """
    asked = asked_for()
    if asked is False:
        raise UserError(
            f"--deterministic, and XLA_FLAGS={os.environ['XLA_FLAGS']!r} says {FLAG}=false; "
            "leave one of them out"
        )
    if threads.started():
        return _too_late(bool(asked))
    if not may_use_gpu():
        return _ON_CPU
    if not asked:
        if not is_known():
            raise UserError(
                f"this jaxlib ({importlib.metadata.version('jaxlib')}) does not know {FLAG}, which "
                "a GPU needs for the same bits in every run; leave --deterministic out, or train "
                "with JAX_PLATFORMS=cpu"
            )
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=true".strip()
    return _ON_GPU


def _too_late(asked: bool) -> str:
    """What a backend that has started already amounts to."""
    from jaxnet.training import settings

    if settings.device().platform == "cpu":
        return _ON_CPU
    # XLA has read its flags, and nobody can say what they were at that time but their owner.
    if asked:
        return _ON_GPU
    raise UserError(
        f"JAX has started already, so {FLAG} cannot be set any more: start a new process, or set "
        f"XLA_FLAGS={FLAG}=true before it"
    )


def asked_for() -> bool | None:
    """What XLA_FLAGS says of the flag, its last word; None: nothing.

    >>> asked_for() in (True, False, None)
    True
    """
    said = re.findall(rf"(?:^|\s){FLAG}(?:=(\S+))?(?=\s|$)", os.environ.get("XLA_FLAGS", ""))
    return said[-1].lower() in ("", "true", "1") if said else None


def may_use_gpu() -> bool:
    """Whether JAX, yet to start, could choose a GPU: a plugin is there and JAX_PLATFORMS lets it.

    A plugin on a machine without a GPU counts: the flag does no harm there.
    """
    wanted = os.environ.get("JAX_PLATFORMS", "").strip().lower()
    if wanted and not {"cuda", "gpu", "rocm"} & set(re.split(r"\s*,\s*", wanted)):
        return False
    points = importlib.metadata.entry_points(group="jax_plugins")
    if any(re.search("cuda|rocm", point.name + point.value) for point in points):
        return True
    return any(importlib.util.find_spec(name) is not None for name in _PLUGINS)


def is_known(flag: str = f"{FLAG}=true") -> bool:
    """Whether XLA knows a flag: one that it does not know would abort the process.

    Another process tries it, on the CPU alone, so that no GPU is taken. JAX uses a plugin only if
    it is of the very version of jaxlib, so what jaxlib knows the plugin knows too.
    """
    variables = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flag}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def facts() -> dict[str, Any]:
    """What must be equal for equal bits, for a checkpoint; starts JAX's backend.

    >>> "device" in facts()
    True
    """
    from jaxnet.training import settings

    device = settings.device()
    on_cpu = device.platform == "cpu"
    packages = ("jax", "jaxlib", "optax", "numpy")
    return {
        "threads": threads.count(),
        "platform": device.platform,
        "device": processor() if on_cpu else device.device_kind,
        "driver": None if on_cpu else driver(),
        "deterministic": on_cpu or bool(asked_for()),
        "settings": settings.of_now(),
        "XLA_FLAGS": _flags_that_count(),
        **{name: None if on_cpu else os.environ.get(name, "") for name in _OF_ACCELERATORS},
        **{name: importlib.metadata.version(name) for name in packages},
    }


# Variables that change products there.
_OF_ACCELERATORS = ("NVIDIA_TF32_OVERRIDE", "LIBTPU_INIT_ARGS")


def _flags_that_count() -> str:
    """The flags of XLA that may change bits, in any order; the one asked for is a fact of its own.

    They cannot be set for a run that goes on: XLA aborts at one that it does not know.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    return " ".join(sorted(f for f in flags if not f.startswith(("--xla_dump", FLAG))))


def driver(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Version of the NVIDIA driver, where the system tells."""
    try:
        said = read_file(file, most=MOST_TEXT).decode(errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", said)
    return found[1] if found else None


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each fact that is no longer what it was; a fact that is not known is equal.

    Args:
        then: `facts()` of the run as it began.
        now: `facts()` of this process.

    >>> differences({"threads": 1, "platform": "cpu"}, {"threads": 2, "platform": "cpu"})
    ['the run began with 1 thread and this process has 2: bits will differ from an undisturbed
      run; set NPROC=1']
    """
    found = [name for name in _SENTENCES if _differ(then, now, name)]
    if "platform" in found:  # with another kind of device these are a matter of course
        found = [name for name in found if name not in ("device", "driver", "threads")]
    elif now.get("platform") != "cpu":  # the bits are made elsewhere
        found = [name for name in found if name != "threads"]
    return [_sentence(name, then[name], now[name]) for name in found]


def _differ(then: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    values = then.get(name), now.get(name)
    return None not in values and values[0] != values[1]


_VERSION = (
    "the run began with {name} {then} and this process has {now}",
    "; type: python -m pip install {name}=={then}",
)
_VARIABLE = (
    "the run began with {name}={then} and this process has {name}={now}",
    "; set {name}={then}",
)
# What differs, and what to do about it where that is in the user's hands.
_SENTENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "platform": (
            "the run began on {then} and this process is on {now}",
            "; set JAX_PLATFORMS={then}",
        ),
        "threads": (
            "the run began with {then} thread{s} and this process has {now}",
            "; set NPROC={then}",
        ),
        "device": ("the run began on {then} and this process is on {now}", ""),
        "driver": ("the run began with driver {then} and this process has {now}", ""),
        "deterministic": (
            "the run began {did} --deterministic and goes on {does} it",
            "; {fix}",
        ),
        **dict.fromkeys(("XLA_FLAGS", *_OF_ACCELERATORS), _VARIABLE),
        **dict.fromkeys(("jaxlib", "jax", "optax", "numpy"), _VERSION),
    }
)


def _sentence(name: str, then: Any, now: Any) -> str:
    did, does = ("with", "without") if then else ("without", "with")
    fix = "add --deterministic" if then else "leave --deterministic out"
    words = {"did": did, "does": does, "fix": fix, "s": "" if then == 1 else "s"}
    what, remedy = _SENTENCES[name]
    if _SENTENCES[name] is _VARIABLE:
        then, now = shell_word(then), shell_word(now)  # as they are typed
    text = f"{what}: bits will differ from an undisturbed run{remedy}"
    return text.format(name=name, then=then, now=now, **words)
