"""A child of the test's own process."""

import os
import warnings


def fork() -> int:
    """os.fork(). Where an earlier test has imported JAX, that warns of its threads; a child that
    only touches files and leaves by os._exit does not meet them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()
