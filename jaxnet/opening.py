"""Taking a directory for a run: no other process trains in it, and nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxnet import lock
from jaxnet.errors import UserError
from jaxnet.outputs import run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.watching import Remark


def look(run_dir: str | Path | None, *, resume: bool) -> None:
    """Refuse at once, before any data is read, what `taken` refuses for good.

    Raises:
        RunDirectoryError: a run is under way there, or something is there that is not to be
            overwritten.
        UserError: the directory has no name.
    """
    if run_dir is not None and not str(run_dir):
        raise UserError("--run-dir is empty; name a directory, . for the one you are in")
    if run_dir is None or not Path(run_dir).is_dir():
        return
    directory = RunDirectory(Path(run_dir))
    if not run_directory.ours(directory):
        lock.refuse_other_file(directory.lock)
    if (holder := lock.holder(directory.lock)) is not None:
        raise lock.held(directory.lock, holder)
    if resume:
        run_directory.check_resumable(directory)
    else:
        run_directory.check_free(directory)


@contextmanager
def taken(
    run_dir: str | Path | None, *, resume: bool, name: str, command: str
) -> Iterator[tuple[RunDirectory, list[Remark]]]:
    """A directory that no other process trains in, and what there is to say of that.

    One that was made for a run that then did not begin goes again.

    Args:
        run_dir: None: a new one under runs/.
        name: of the config.
        command: how the run was started, for whom it keeps out.

    Raises:
        RunDirectoryError: as `look`, or it cannot be made.
    """
    new = run_dir is None or not Path(run_dir).exists()
    if run_dir is None:
        directory = run_directory.create_default(name)
    else:
        directory = run_directory.make(run_dir)
        if not resume and lock.holder(directory.lock) is None:
            run_directory.check_free(directory)  # before the lock file there is written
    with lock.hold(directory.lock, command=command) as doubt:
        try:
            yield directory, [Remark("warning", doubt)] if doubt else []
        except BaseException:
            if new and not run_directory.ours(directory):
                with suppress(OSError):  # while it is locked: nobody can have taken it
                    directory.lock.unlink()
                    directory.path.rmdir()
            raise
