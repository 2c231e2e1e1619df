"""Checkpoints of a run: the newest good one is found, damage is named, enough of them stay."""

import builtins
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxnet.errors import RunDirectoryError, RunFailed
from jaxnet.outputs import checkpoint_file, checkpoints
from jaxnet.outputs.checkpoints import Keep, name_of
from tests.outputs.checkpoint_damage import damaged, judge, make_run

ROOT = Path(__file__).parents[2]


def save(directory: Path, step: int, kind: str = "last", keep: Keep | None = None) -> Path:
    """A checkpoint that took a tenth of a second a step."""
    facts = {"step": step, "seconds": step / 10}
    return checkpoints.save(directory, kind, {"W": np.full(3, step)}, facts, keep)


def steps(directory: Path, kind: str = "last") -> list[int]:
    return sorted(int(path.name[5:14]) for path in directory.glob(f"{kind}-*.safetensors"))


def flip(path: Path) -> None:
    """Damage in the arrays: the header can still be read."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_newest_of_a_kind_is_found(tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    assert checkpoints.survey(directory) == (None, None, {}, ())
    assert save(directory, 9) == directory / "last-000000009.safetensors"
    save(directory, 1_234_567_890)
    save(directory, 8, "best")
    found = checkpoints.survey(directory)
    assert found.name == "last-1234567890.safetensors"
    assert found.newest.facts == {"kind": "last", "step": 1_234_567_890, "seconds": 123456789.0}
    assert (found.newest.arrays["W"] == 1_234_567_890).all()
    assert found.damaged == ()
    best = checkpoints.survey(directory, "best")
    assert (best.name, best.newest.facts["kind"]) == ("best-000000008.safetensors", "best")


def test_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    first = save(tmp_path, 5)
    checkpoints.save(tmp_path, "last", {}, {"step": 5, "seconds": 9})
    assert checkpoints.survey(tmp_path).newest.facts["seconds"] == 9
    assert os.listdir(tmp_path) == [first.name]


def test_a_whole_file_of_another_format_is_told_from_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (5, 6):
        save(tmp_path, step)
    monkeypatch.setattr(checkpoint_file, "_FORMAT", 2)
    later = save(tmp_path, 7)
    spoilt = save(tmp_path, 8)
    monkeypatch.undo()
    flip(spoilt)
    found = checkpoints.survey(tmp_path)
    assert found.foreign == (later.name,)
    assert found.damaged == (spoilt.name, later.name)
    assert found.name == name_of("last", 6)


def test_no_damage_by_chance_is_taken_for_good(tmp_path: Path) -> None:
    make_run(tmp_path)
    content = (tmp_path / name_of("last", 20)).read_bytes()
    wrong = {seed: judge(tmp_path, damaged(content, seed)) for seed in range(2_000)}
    assert {seed: what for seed, what in wrong.items() if what} == {}
    assert judge(tmp_path, content) is not None  # it can tell


def test_damage_of_every_kind_is_named(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save(tmp_path, step)
    save(tmp_path, 20, "best")
    flip(tmp_path / name_of("best", 20))
    flip(tmp_path / name_of("last", 30))
    (tmp_path / name_of("last", 10)).write_bytes(b"")
    found = checkpoints.survey(tmp_path)
    assert found.name == name_of("last", 20)
    assert set(found.damaged) == {name_of("last", 30), name_of("last", 10), name_of("best", 20)}
    assert checkpoints.survey(tmp_path, "best").newest is None


def test_a_file_under_the_name_of_another_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 10)
    save(tmp_path, 20)
    (tmp_path / name_of("last", 10)).rename(tmp_path / name_of("last", 30))
    (tmp_path / name_of("best", 20)).write_bytes((tmp_path / name_of("last", 20)).read_bytes())
    found = checkpoints.survey(tmp_path)
    assert found.name == name_of("last", 20)
    assert set(found.damaged) == {name_of("last", 30), name_of("best", 20)}
    assert "('last', 10), which is not what its name says" in found.reasons[name_of("last", 30)]


def test_a_file_that_may_not_be_read_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10)
    newest = save(tmp_path, 20)
    real = builtins.open

    def refused(path: Path, *args: Any, **options: Any) -> Any:
        if path == newest:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(builtins, "open", refused)
    found = checkpoints.survey(tmp_path)
    assert found.name == name_of("last", 10)
    assert found.reasons == {newest.name: "cannot be read (Permission denied)"}


def test_other_things_with_such_names_do_no_harm(tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    save(directory, 20)
    save(directory, 30)
    (directory / name_of("last", 10)).mkdir()
    (directory / name_of("last", 11)).symlink_to("nowhere")
    (directory / name_of("last", 12)).symlink_to(name_of("last", 12))
    (tmp_path / "elsewhere").write_bytes((directory / name_of("last", 20)).read_bytes())
    (directory / name_of("last", 20)).unlink()
    (directory / name_of("last", 20)).symlink_to(tmp_path / "elsewhere")
    found = checkpoints.survey(directory)
    assert found.name == name_of("last", 30)
    assert set(found.damaged) == {name_of("last", step) for step in (10, 11, 12)}
    for step in (40, 50):
        save(directory, step, keep=Keep(2))
    assert steps(directory) == [10, 40, 50]  # a directory is left alone
    assert (tmp_path / "elsewhere").exists()  # a link goes, and not what it points to


def test_a_place_that_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert checkpoints.survey(tmp_path / "file") == (None, None, {}, ())
    with pytest.raises(RunFailed, match="cannot be written"):
        save(tmp_path / "file", 1)

    def listdir(path: Path) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        checkpoints.survey(tmp_path)


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    with pytest.raises(ValueError, match="'first' is no kind"):
        save(directory, 1, "first")
    with pytest.raises(ValueError, match="how many seconds"):
        checkpoints.save(directory, "last", {}, {"step": 1})
    with pytest.raises(TypeError, match="has the type"):
        checkpoints.save(directory, "last", {"W": np.array("a")}, {"step": 1, "seconds": 0})
    assert not directory.exists()


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Keep(), [80, 90, 100]),
        (Keep(count=2), [90, 100]),
        (Keep(count=0), [90, 100]),  # two at least
        (Keep(count=20), list(range(10, 101, 10))),
        (Keep(2, every_steps=30), [30, 60, 90, 100]),
        (Keep(2, every_seconds=4.0), [10, 40, 80, 90, 100]),  # the first of 0-4, 4-8, 8-12 s
        (Keep(2, every_steps=50, every_seconds=6), [10, 50, 60, 90, 100]),
    ],
)
def test_what_stays(tmp_path: Path, keep: Keep, kept: list[int]) -> None:
    for step in range(10, 101, 10):
        save(tmp_path, step, keep=keep)
        save(tmp_path, step - 5, "best", keep)
    assert steps(tmp_path) == kept
    assert steps(tmp_path, "best") == [95]


def test_nothing_of_others_is_removed(tmp_path: Path) -> None:
    others = {
        "last-00000001.safetensors",
        "last-0000000010.safetensors",
        "last-000000010.safetensors.bak",
        "my-last-000000010.safetensors",
        "first-000000010.safetensors",
        ".tmp-mine",
        ".tmp-0123456789abcdeF",
        "notes.txt",
    }
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".tmp-0123456789abcdef").write_text("of a run that was killed")
    for step in range(10, 60, 10):
        save(tmp_path, step, keep=Keep(2))
    ours = {name_of("last", 40), name_of("last", 50)}
    assert set(os.listdir(tmp_path)) == others | ours
    assert checkpoints.survey(tmp_path).damaged == ()


def whole(directory: Path) -> list[int]:
    """The steps of good ones."""
    bad = checkpoints.survey(directory).damaged
    return [step for step in steps(directory) if name_of("last", step) not in bad]


def test_damage_never_makes_a_good_one_go(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save(tmp_path, step)
    flip(tmp_path / name_of("last", 30))
    save(tmp_path, 40, keep=Keep(2))
    assert whole(tmp_path) == [20, 40]
    assert steps(tmp_path) == [20, 30, 40]
    save(tmp_path, 50, keep=Keep(2))
    assert steps(tmp_path) == [40, 50]  # the damaged one is old now


def test_files_of_a_later_step_do_not_count(tmp_path: Path) -> None:
    """After damage a run goes on from an earlier step: what is ahead of it is the damaged one."""
    for step in (10, 20, 90):
        save(tmp_path, step)
    flip(tmp_path / name_of("last", 90))
    for step in (30, 40):
        save(tmp_path, step, keep=Keep(2))
        assert len(whole(tmp_path)) == 2
    assert steps(tmp_path) == [30, 40, 90]
    save(tmp_path, 90)
    for step in (50, 60):
        save(tmp_path, step, keep=Keep(2))
    assert steps(tmp_path) == [50, 60, 90]
    save(tmp_path, 90, "best")
    save(tmp_path, 60, "best")
    assert steps(tmp_path, "best") == [60, 90]


def test_when_all_older_ones_are_damaged_nothing_goes(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save(tmp_path, step)
        flip(tmp_path / name_of("last", step))
    save(tmp_path, 40, keep=Keep(2))
    assert steps(tmp_path) == [10, 20, 30, 40]
    save(tmp_path, 50, keep=Keep(2))
    assert steps(tmp_path) == [40, 50]


def test_what_reads_back_otherwise_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20):
        save(tmp_path, step)
        save(tmp_path, step, "best")
    real = os.write

    def write(descriptor: int, data: Any) -> int:
        return real(descriptor, bytes(data)[:-1] + b"?")

    monkeypatch.setattr(os, "write", write)
    for kind in checkpoints.KINDS:
        with pytest.raises(RunFailed, match=r"does not read back .* --run-dir DIR"):
            save(tmp_path, 20, kind)
        with pytest.raises(RunFailed, match=r"does not read back .* --run-dir DIR"):
            save(tmp_path, 30, kind)
    assert steps(tmp_path) == [10, 20]
    assert checkpoints.survey(tmp_path, "best").name == name_of("best", 20)
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "replace"])
def test_a_full_disk_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The disk is full at each call of this kind in turn, at half of what is to be written."""
    real = getattr(os, call)
    said: list[str] = []
    for number in range(20):
        directory = tmp_path / str(number)
        save(directory, 10)
        save(directory, 20)
        seen = iter(range(100))

        def full(*args: Any, seen: Any = seen, number: int = number, **options: Any) -> Any:
            if call == "open" and not args[1] & os.O_CREAT:  # reading takes no room
                return real(*args, **options)
            if next(seen) != number:
                return real(*args, **options)
            if call in ("write", "close"):
                real(args[0], *(data[: len(data) // 2] for data in args[1:]))
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            try:
                save(directory, 30, keep=Keep(2))
            except RunFailed as error:
                said.append(str(error))
        found = checkpoints.survey(directory)
        assert found.newest.facts["step"] in (20, 30)
        assert found.damaged == ()
        assert not list(directory.glob(".tmp-*"))
        if next(seen) <= number:  # there are no so many calls
            break
    assert said
    assert all("the disk is full; free some space" in message for message in said)


FULL = """
import resource, sys
from pathlib import Path
from jaxnet.errors import RunFailed
from tests.outputs.system_calls import save
save(Path(sys.argv[1]), "last", 10)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
try:
    save(Path(sys.argv[1]), "last", 20)
except RunFailed as error:
    print(error)
"""


def test_a_real_limit_in_the_middle_of_a_file(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "last-000000020.safetensors: the disk is full; free some space" in done.stdout
    assert os.listdir(tmp_path) == [name_of("last", 10)]
    assert checkpoints.survey(tmp_path).name == name_of("last", 10)


def test_facts_for_a_list_need_the_header_only(tmp_path: Path) -> None:
    path = save(tmp_path, 10)
    assert checkpoint_file.read_facts(path) == {"kind": "last", "step": 10, "seconds": 1.0}


def test_a_file_that_goes_while_one_looks_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10)
    save(tmp_path, 20)
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [*real(path), name_of("last", 5)])
    assert checkpoints.survey(tmp_path).damaged == ()
