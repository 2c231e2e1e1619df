"""Whole files or the old ones, never half of a new one."""

import os
import stat
from pathlib import Path

import pytest

from jaxnet import files
from jaxnet.files import write_atomic


def test_bytes_and_text_are_written_as_given(tmp_path: Path) -> None:
    write_atomic(tmp_path / "bytes", b"a\r\nb\x00")
    write_atomic(str(tmp_path / "text"), "ä\r\nb\n")
    assert (tmp_path / "bytes").read_bytes() == b"a\r\nb\x00"
    assert (tmp_path / "text").read_bytes() == "ä\r\nb\n".encode()


def test_an_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old and longer")
    write_atomic(target, "new")
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("untouched")
    (tmp_path / "link").symlink_to(other)
    write_atomic(tmp_path / "link", "new")
    assert other.read_text() == "untouched"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_directory_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "absent" / "file", "x")


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    write_atomic(target, "x")
    assert target.read_text() == "x"


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_the_data_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_atomic(tmp_path / "file", "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path, words in (
        (tmp_path / "pipe", "a pipe, not a file"),
        (tmp_path / "link", "a device, not a file"),
        (tmp_path, "a directory, not a file"),
    ):
        for reading in (files.open_file, lambda path: files.read_file(path, most=10)):
            with pytest.raises(files.NotReadable) as caught:
                reading(path)
            assert str(caught.value) == f"{path}: {words}"
            assert caught.value.exit_code == 2
    with pytest.raises(FileNotFoundError):
        files.open_file(tmp_path / "absent")


def test_a_pipe_that_comes_while_a_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked about is not what is opened."""
    os.mkfifo(tmp_path / "a")
    plain = os.stat(__file__)
    monkeypatch.setattr(files.os, "stat", lambda _: plain)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(files.NotReadable, match="a pipe, not a file"):
        files.open_file(tmp_path / "a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_is_read_whole_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert files.read_file(path, most=100) == b"x" * 100
    with pytest.raises(files.NotReadable, match="a: larger than 0 MiB"):
        files.read_file(path, most=99)
    assert files.read_file("/proc/self/status", most=files.MOST_TEXT)  # its size is said to be 0
    with files.open_file(path) as stream:
        assert os.get_blocking(stream.fileno())
