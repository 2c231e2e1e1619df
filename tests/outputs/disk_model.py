"""What a disk may hold after the power has failed, by the calls that were made before.

POSIX promises little: the bytes of a file are on the disk after its fsync, names after the fsync of
their directory. Until then any of them may be there or not, in any combination.
"""

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.outputs.system_calls import hooked

Visible = frozenset[tuple[str, bytes | None]]  # path -> bytes; None: a directory


class Event(NamedTuple):
    """One call that changed something, or `begin` or `returned` of what called it."""

    name: str
    place: Any  # a path within the root, or the number of a file
    value: Any = None


def record(root: Path, work: Callable[[Callable[[str, Any], None]], None]) -> list[Event]:
    """The calls that `work` makes under `root`; it is given a function that marks its progress."""
    events: list[Event] = []
    opened: dict[int, Any] = {}
    files: dict[int, int] = {}  # inode -> number of the file; a system uses its inodes again

    def inside(path: Any) -> str:
        return Path(path).relative_to(root).as_posix()

    def hook(name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        is_new = name == "open" and not os.path.lexists(args[0])
        result = real(*args)
        if name == "mkdir":
            events.append(Event("name", inside(args[0]), "directory"))
        elif name == "open":
            state = os.fstat(result)
            if is_new:
                files[state.st_ino] = len(events)
                events.append(Event("name", inside(args[0]), len(events)))
            directory = stat.S_ISDIR(state.st_mode)
            opened[result] = inside(args[0]) if directory else files[state.st_ino]
            if args[1] & os.O_TRUNC:
                events.append(Event("truncate", opened[result]))
        elif name == "write":
            events.append(Event("write", opened[args[0]], bytes(args[1][:result])))
        elif name == "fsync":
            events.append(Event("fsync", opened[args[0]]))
        elif name in ("replace", "rename"):
            events.append(Event("name", inside(args[1]), files[os.stat(args[1]).st_ino]))
            events.append(Event("name", inside(args[0]), None))
        elif name == "unlink":
            events.append(Event("name", inside(args[0]), None))
        return result

    with hooked(hook):
        work(lambda name, value: events.append(Event(name, None, value)))
    return events


class Disk:
    """Bytes and names, those that are on the disk and those that are on their way."""

    def __init__(self) -> None:
        self.bytes: dict[int, tuple[bytes, bytes]] = {}  # number -> on the disk, as it should be
        self.names: dict[str, Any] = {}
        self.pending: list[tuple[str, Any]] = []

    def apply(self, event: Event) -> None:
        """One call."""
        if event.name == "name":
            if isinstance(event.value, int) and event.value not in self.bytes:
                self.bytes[event.value] = (b"", b"")
            self.pending.append((event.place, event.value))
        elif event.name in ("write", "truncate"):
            old, new = self.bytes[event.place]
            self.bytes[event.place] = (old, new + event.value if event.value else b"")
        elif event.name == "fsync" and isinstance(event.place, int):
            self.bytes[event.place] = (self.bytes[event.place][1],) * 2
        elif event.name == "fsync":
            here = [one for one in self.pending if _parent(one[0]) == event.place]
            self.names.update(here)
            self.pending = [one for one in self.pending if one not in here]

    def after_power_loss(self) -> Iterator[Visible]:
        """Everything that may be found."""
        for lost in itertools.product((False, True), repeat=len(self.pending)):
            kept = [one for one, gone in zip(self.pending, lost, strict=True) if not gone]
            names = {k: v for k, v in {**self.names, **dict(kept)}.items() if v is not None}
            names = {k: v for k, v in names.items() if _parent(k) in ("", ".", *names)}
            files = {k: v for k, v in names.items() if v != "directory"}
            folders = [(k, None) for k in names if k not in files]
            for found in itertools.product(*(self._contents(v) for v in files.values())):
                yield frozenset([*folders, *zip(files, found, strict=True)])

    def _contents(self, number: int) -> set[bytes]:
        old, new = self.bytes[number]
        if old == new:
            return {new}
        return {old, b"", new[: len(new) // 2], bytes(len(new)), new}


def lay_out(found: Visible, root: Path) -> None:
    """Make it so."""
    root.mkdir()
    for path, content in sorted(found, key=lambda one: one[0]):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def _parent(path: str) -> str:
    return Path(path).parent.as_posix()
