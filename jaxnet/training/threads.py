"""How many threads a network is worth: on CPU one, where a step is over before two have met.

XLA fixes its threads when its backend starts, from the variable NPROC, so the choice has to be made
before JAX is used. It follows from the network and the batch alone: another number of threads adds
in another order, and the bits of a run must not depend on the machine's mood.
"""

import itertools
import os
from collections.abc import Sequence

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
