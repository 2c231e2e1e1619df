"""Whatever is at the other end of the streams: no traceback."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = f"{shlex.quote(sys.executable)} -m jaxnet.cli.main"


def shell(line: str, env: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    command = ["bash", "-c", line]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, capture_output=True, text=True, env={**env, "PYTHONPATH": root}, **options
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{COMMAND} config schema | true; exit ${{PIPESTATUS[0]}}", 0),
        (f"{COMMAND} --help | true; exit ${{PIPESTATUS[0]}}", 0),
        (f"{COMMAND} config schema >&-", 0),
        (f"{COMMAND} train absent.yaml 2>&-", 2),
        (f"{COMMAND} train absent.yaml 2>/dev/full", 2),
    ],
)
def test_streams_that_are_gone(line: str, code: int, environment: dict[str, str]) -> None:
    done = shell(line, environment)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_full_disk_behind_standard_output(environment: dict[str, str]) -> None:
    done = shell(f"{COMMAND} config schema >/dev/full", environment)
    assert done.returncode == 1
    words = "standard output cannot be written: No space left on device"
    assert done.stderr == f"jaxnet: error: {words}\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_a_stream_lacks_are_escaped(
    encoding: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "日本.yaml"
    path.write_text("task: binary\ndata: {source: breast_cancer}\n", encoding="utf-8")
    env = {**environment, "PYTHONIOENCODING": encoding}
    done = shell(f"{COMMAND} config check {shlex.quote(str(path))}", env)
    assert done.stdout.endswith("\\u65e5\\u672c.yaml: ok\n")
    done = shell(f"{COMMAND} config check {shlex.quote(str(path))} a=1", env)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_without_locale_home_or_working_directory(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    env = {name: value for name, value in environment.items() if name != "HOME"}
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell(f"rmdir {gone}; {COMMAND} config show; {COMMAND} train c.yaml", env, cwd=gone)
    assert done.stdout.startswith("task: binary")
    assert done.stderr == "jaxnet: error: c.yaml: no such file\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="names of files that are not text")
def test_a_name_that_is_not_text(tmp_path: Path, environment: dict[str, str]) -> None:
    done = shell(f"{COMMAND} config check {tmp_path}/$'\\xff'.yaml", environment)
    assert done.returncode == 2
    assert done.stderr.endswith("\\udcff.yaml: no such file\n")
