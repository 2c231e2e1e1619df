"""`jaxnet gradcheck`: a table for people, JSON for machines, exit code 1 where one fails."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.cli import gradcheck as command
from jaxnet.cli.main import main
from jaxnet.nn import gradcheck
from jaxnet.nn.gradcheck import Case, Report
from jaxnet.training import compilation_cache

GOOD = Case(
    loss="focal",
    activation="sigmoid",
    dtype="float32",
    targets="hard",
    scope="logits",
    closed_form=1e-7,
    forward_mode=2e-7,
    backprop=None,
    autodiff=1.0,
    finite_differences=3e-12,
    limit=2e-6,
    ok=True,
)
NETWORK = GOOD._replace(scope="network", hidden="relu", forward_mode=None, backprop=4e-7)
BAD = GOOD._replace(targets="soft", closed_form=3e-3, ok=False, worst="at z = 2, y = 0.5: 1 not 2")


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation_cache, "enable_compilation_cache", lambda: None)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """What the check will find."""
    cases = [GOOD, NETWORK]
    monkeypatch.setattr(gradcheck, "run", lambda names=None: Report(tuple(cases)))
    return cases


def test_the_table_of_a_sound_library(found: list[Case], capsys: pytest.CaptureFixture[str]):
    found.insert(1, GOOD._replace(targets="soft", closed_form=9e-7))
    assert main(["gradcheck"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == [
        *("loss", "behind", "type", "what", "closed", "form", "twin", "autodiff", "fin.", "diff."),
        *("limit", "verdict"),
    ]
    assert lines[1].split() == [
        *("focal", "sigmoid", "float32", "all", "targets", "9.0e-07", "2.0e-07", "1.0e+00"),
        *("3.0e-12", "2e-06", "ok"),
    ]
    assert lines[2].split()[3:7] == ["relu", "network", "1.0e-07", "4.0e-07"]
    assert "Worst relative errors" in out
    assert lines[-1] == "all 3 cases ok"
    assert max(map(len, lines)) <= 120


def test_a_failure_is_marked_explained_and_the_exit_code(
    found: list[Case], capsys: pytest.CaptureFixture[str]
):
    found.append(BAD)
    assert main(["gradcheck", "--all"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["ok", "ok", "FAILED"]
    assert lines[-2] == "1 of 3 cases failed"
    assert "focal behind sigmoid, float32, soft targets: the closed form is off by" in lines[-1]
    assert "at z = 2, y = 0.5: 1 not 2" in lines[-1]


def test_json_is_the_contract(found: list[Case], capsys: pytest.CaptureFixture[str]):
    found.append(BAD)
    assert main(["gradcheck", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert [case["ok"] for case in report["cases"]] == [True, True, False]
    for case in report["cases"]:
        assert set(case) >= {
            *("loss", "dtype", "targets", "closed_form", "autodiff", "limit", "ok")
        }


@pytest.mark.both
def test_one_loss_is_really_checked(capsys: pytest.CaptureFixture[str]):
    assert main(["gradcheck", "--loss", "binary_cross_entropy", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    report = json.loads(out)
    assert report["ok"] is True
    assert {case["loss"] for case in report["cases"]} == {"binary_cross_entropy"}
    assert max(case["autodiff"] for case in report["cases"]) > 0.99


def test_an_unknown_loss_is_a_mistake_of_the_user(capsys: pytest.CaptureFixture[str]):
    assert main(["gradcheck", "--loss", "binary_crossentropy"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no loss is called 'binary_crossentropy'; did you mean 'binary_cross_entropy'?" in err
    assert len(err.splitlines()) == 1


def test_the_table_in_a_terminal(found: list[Case], monkeypatch: pytest.MonkeyPatch):
    leader, follower = pty.openpty()
    terminal = io.TextIOWrapper(os.fdopen(follower, "wb"), encoding="utf-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "130")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    found.append(BAD)
    assert command.run(_arguments()) == 1
    terminal.flush()
    shown = os.read(leader, 20_000).decode()
    terminal.close()
    os.close(leader)
    assert "\x1b[" in shown
    assert "FAILED" in shown
    assert "1 of 3 cases failed" in shown


def _arguments():
    from jaxnet.cli.main import build_parser

    return build_parser().parse_args(["gradcheck"])


def test_help_does_not_load_jax(environment: dict[str, str]):
    jaxnet = Path(sys.executable).with_name("jaxnet")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", jaxnet, "gradcheck", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0
    assert "--all" in done.stdout
    assert "import time" in done.stderr
    assert " jax\n" not in done.stderr
