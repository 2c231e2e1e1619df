"""Does this jaxlib add up? Some releases return wrong sums on CPU, without a word.

A race in a fused reduction makes jaxlib 0.10.2 and 0.11.* return sums that are up to some percent
off. They are refused by name; what is not known yet is caught by adding ones and counting them.
"""

from __future__ import annotations

import importlib.metadata
import math
import shlex
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.errors import RunFailed

Shape = tuple[int, int, int]

# Ones of shape (n, 1), stretched to (k, n, m) and added up: below 2**24, so exact in float32 in any
# order. One caller of the first and two of the second at once: the race shows in bursts, which come
# and go with the load of the machine, and this mixture met them soonest on 0.10.2 and on 0.11.0.
_CALLERS: tuple[Shape, ...] = ((8, 1024, 1024), (128, 1024, 32), (128, 1024, 32))
SECONDS = 0.25


class Sums(NamedTuple):
    """What adding ones gave.

    Attributes:
        calls: how many sums were taken.
        wrong: how many of them were wrong.
        worst: the largest relative error among them.
    """

    calls: int
    wrong: int
    worst: float


@partial(jax.jit, static_argnames="shape")
def _add_up(ones: jax.Array, shape: Shape) -> jax.Array:
    return jnp.broadcast_to(ones, shape).sum()


def check_sums(
    *, seconds: float = SECONDS, add_up: Callable[[jax.Array, Shape], jax.Array] = _add_up
) -> Sums:
    """Take sums whose results are known, for a while, on the default device.

    Args:
        seconds: how long, apart from compiling.
        add_up: `(ones (n, 1), (k, n, m)) -> k n m`, the sum that is checked.

    >>> check_sums(seconds=0.01).calls >= 3
    True
    """
    with ThreadPoolExecutor(len(_CALLERS)) as callers:
        list(callers.map(lambda shape: _add_for(0.0, add_up, shape), _CALLERS))  # compiles
        counted = list(callers.map(lambda shape: _add_for(seconds, add_up, shape), _CALLERS))
    calls, wrong, worst = zip(*counted, strict=True)
    return Sums(sum(calls), sum(wrong), max(worst))


def _add_for(seconds: float, add_up: Callable[[jax.Array, Shape], jax.Array], shape: Shape) -> Sums:
    ones = jax.device_put(np.ones((shape[1], 1), np.float32))  # compiles nothing
    end = time.perf_counter() + seconds
    calls = wrong = 0
    worst = 0.0
    while calls == 0 or time.perf_counter() < end:
        error = abs(float(add_up(ones, shape)) / math.prod(shape) - 1.0)
        calls += 1
        wrong += error != 0.0  # a NaN counts as wrong too
        worst = max(worst, error)
    return Sums(calls, wrong, worst)


def devices() -> list[dict[str, int | str]]:
    """What JAX computes on, the default device first: its id, platform and kind.

    Raises:
        RuntimeError: no device of the platform that JAX_PLATFORMS asks for.

    >>> sorted(devices()[0])
    ['id', 'kind', 'platform']
    """
    found = jax.devices()
    return [{"id": one.id, "platform": one.platform, "kind": one.device_kind} for one in found]


def known_wrong(version: str) -> bool:
    """Whether a release of jaxlib is known for wrong sums on CPU.

    Args:
        version: of jaxlib.

    >>> [known_wrong(version) for version in ("0.10.1", "0.10.2", "0.11.0", "0.12.0.1")]
    [False, True, True, False]
    """
    return version == "0.10.2" or version.split(".")[:2] == ["0", "11"]


def how_to_fix() -> str:
    """The command that installs a jaxlib that adds up, for the Python that runs."""
    good = "==0.10.1" if sys.version_info < (3, 12) else ">=0.12"
    words = [sys.executable or "python", "-m", "pip", "install", f"jax{good}", f"jaxlib{good}"]
    return shlex.join(words)


@lru_cache(maxsize=1)
def once() -> tuple[str, ...]:
    """`selfcheck`, the first time in a process; a library is not replaced while it is loaded."""
    return tuple(selfcheck())


def selfcheck(
    *,
    seconds: float = SECONDS,
    add_up: Callable[[jax.Array, Shape], jax.Array] = _add_up,
    version: str | None = None,
    platform: str | None = None,
) -> list[str]:
    """Refuse to train with sums that are wrong; called at the start of the first run of a process.

    On an accelerator the sums are not those of the CPU: a release that is known to be wrong there
    is worth a warning only.

    Args:
        seconds: how long to add up.
        add_up: the sum that is checked, see `check_sums`.
        version: of jaxlib; the installed one by default.
        platform: "cpu" or that of an accelerator; the default device's by default.

    Returns:
        Warnings to show and to record; mostly none.

    Raises:
        RunFailed: on a CPU, where the release is known for wrong sums or a sum was wrong.
    """
    version = version or importlib.metadata.version("jaxlib")
    platform = platform or jax.default_backend()
    if platform != "cpu":
        if not known_wrong(version):
            return []
        return [f"jaxlib {version} returns wrong sums on CPU; to replace it: {how_to_fix()}"]
    if known_wrong(version):
        raise RunFailed(
            f"jaxlib {version} returns wrong sums on CPU; install another release: {how_to_fix()}"
        )
    sums = check_sums(seconds=seconds, add_up=add_up)
    if sums.wrong:
        raise RunFailed(
            f"jaxlib {version} returns wrong sums on this CPU: {sums.wrong} of {sums.calls} were "
            f"off, by up to {100 * sums.worst:.2g} %; install another release: {how_to_fix()}"
        )
    return []
