"""How many threads a network is worth: on CPU one, where a step is over before two have met.

XLA fixes its threads when its backend starts, from the variable NPROC, so the choice has to be made
before JAX is used. It follows from the network and the batch alone: another number of threads adds
in another order, and the bits of a run must not depend on the machine's mood.
"""

import itertools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxnet.files import MOST_TEXT, read_file

# Floating-point operations of a step below which one thread was faster. Measured on two cores:
# 4e6 (64-128-128-10, batch 32) is 1.2 to 1.35 times faster on one, 3e8 needs both.
ONE_THREAD_BELOW = 2e7


def operations(sizes: Sequence[int], batch_size: int) -> float:
    """Floating-point operations of one step: three products a layer, 2 m n_in n_out each.

    >>> operations((64, 128, 128, 10), 32)
    4964352
    """
    pairs = itertools.pairwise(sizes)
    return 6 * batch_size * sum(n_in * n_out for n_in, n_out in pairs)


def choose(sizes: Sequence[int], batch_size: int) -> int | None:
    """1 where a step is small, else None: the backend's own choice.

    >>> choose((64, 128, 128, 10), 32), choose((784, 512, 256, 10), 128)
    (1, None)
    """
    return 1 if operations(sizes, batch_size) < ONE_THREAD_BELOW else None


def pin(count: int | None) -> bool:
    """Ask the backend that is yet to start for that many threads; a user's NPROC comes first.

    Returns:
        Whether it was asked: False for None, or where NPROC is set already.
    """
    if count is None or "NPROC" in os.environ:
        return False
    os.environ["NPROC"] = str(count)
    return True


def repin(wanted: int) -> bool:
    """Give a run that goes on the threads it began with, as far as that can still be done.

    A user's NPROC comes first, and nothing helps once the backend has started.

    Returns:
        Whether the backend has, or will have, that many threads.
    """
    if not started():
        pin(wanted)
    return count() == wanted


def started() -> bool:
    """Whether JAX's backend has started in this process, which fixes threads and XLA's flags."""
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "config"):
        return False
    known = jax.config.jax_num_cpu_devices
    try:
        # JAX itself refuses a change of this setting once it has started; else it is set back.
        jax.config.update("jax_num_cpu_devices", 1 if known != 1 else 2)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", known)
    return False


_POOL = "tf_XLAEigen"  # how XLA names the threads that share the work of one operation
_MOST = 256  # in that pool


def count() -> int:
    """Threads on which XLA's CPU backend computes, or will once it starts.

    >>> count() >= 1
    True
    """
    return (_running() if started() else None) or _asked()


def _running() -> int | None:
    """Threads of XLA's pool in this process; None where the system does not show them."""
    return sum(_name(task) == _POOL for task in Path("/proc/self/task").glob("*")) or None


def _name(task: Path) -> str:
    try:
        return read_file(task / "comm", most=MOST_TEXT).decode(errors="replace").strip()
    except OSError:  # it has just ended
        return ""


def _asked() -> int:
    """What XLA takes from NPROC: a whole number, at least 1; anything else counts as not set."""
    said = os.environ.get("NPROC", "")
    if re.fullmatch(r"\s*[+-]?[0-9]{1,10}\s*", said, re.ASCII) and abs(int(said)) < 2**31:
        return min(max(int(said), 1), _MOST)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST)
    return min(os.cpu_count() or 1, _MOST)
