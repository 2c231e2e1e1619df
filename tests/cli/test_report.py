"""`jaxnet report`: drawn anew from what the run left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from tests.run_maker import make_run, write_table

Streams = pytest.CaptureFixture[str]


def test_it_is_drawn_anew_and_its_path_printed(tmp_path: Path, capsys: Streams) -> None:
    table = write_table(tmp_path / "train.csv")
    run = make_run(tmp_path, train=table, target="income", columns={"key": "id"})
    assert main(["report", str(run)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"{run / 'report.html'}\n", "")
    first = (run / "report.html").read_bytes()
    assert first.startswith(b"<!DOCTYPE html>")
    (run / "report.html").write_text("old")
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "nowhere: there is no such run directory\n"),
        (
            ["a.csv"],
            "a.csv: a file, not a run directory; name one that `jaxnet train` has made\n",
        ),
        ([], "RUN is missing; see 'jaxnet report --help'\n"),
        (["a", "b"], "unexpected argument 'b'; see 'jaxnet report --help'\n"),
    ],
)
def test_mistakes_in_a_call(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Streams,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    assert main(["report", *words]) == 2
    assert capsys.readouterr() == ("", f"jaxnet: error: {expected}")


def test_jax_is_not_needed_for_it(tmp_path: Path, environment: dict[str, str]) -> None:
    table = write_table(tmp_path / "train.csv")
    run = make_run(tmp_path, train=table, target="income", columns={"key": "id"})
    probe = (
        "import sys; from jaxnet.cli.main import main; code = main(sys.argv[1:]);"
        "print(code, 'jax' in sys.modules)"
    )
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", probe, "report", os.fspath(run)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1] == "0 False"
