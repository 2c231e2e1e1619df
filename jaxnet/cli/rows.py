"""What `jaxnet predict` and `jaxnet evaluate` share: the model, the file, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxnet.inference import Model


def prepared(directory: str, data: str) -> Model:
    """The model of a run, once both it and the file are known to be there.

    Raises:
        RunDirectoryError: as `jaxnet.load`.
        DataError: there is no such file, or its ending is unknown.
    """
    from jaxnet.outputs import run_directory

    run_directory.open_existing(directory)
    from jaxnet.data import readers, xc_reader

    if xc_reader.is_xc(data):
        xc_reader.existing_file(data)
    elif not data.lower().endswith(".npz"):
        readers.existing_file(data)

    # Imports jax, so only where there is something to do.
    from jaxnet.inference import load
    from jaxnet.training.compilation_cache import enable_compilation_cache

    enable_compilation_cache()
    return load(directory)


@contextmanager
def shown(quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """Where to tell how many rows are done: a line on standard error, or nowhere."""
    if quiet:
        yield lambda rows, share: None
        return
    from jaxnet.outputs.progress import RowProgress

    with RowProgress() as progress:
        yield progress.update
