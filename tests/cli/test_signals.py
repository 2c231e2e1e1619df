"""What a signal does at which time of a command, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet import polling
from jaxnet.cli.signals import Poll, heard, leaving
from jaxnet.errors import Stopped

ROOT = Path(__file__).parents[2]


def run(source: str) -> subprocess.CompletedProcess[str]:
    head = "import os, signal, sys\nfrom jaxnet.cli.signals import heard, leaving\n"
    call = [sys.executable, "-c", head + source]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT)


def strike(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


def test_before_the_first_poll_it_does_what_it_did_before() -> None:
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(Stopped), heard():
            strike()
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_after_the_first_poll_it_is_polled_for() -> None:
    with heard() as poll:
        poll()
        strike()
        with pytest.raises(Stopped) as caught:
            poll()
    assert caught.value.signal == signal.SIGTERM


def test_in_a_block_that_may_be_left_anywhere_it_acts_at_once() -> None:
    went_on = []

    def left(poll: Poll) -> None:
        with polling.at_once(poll):
            strike()
            went_on.append("within")

    def begun(poll: Poll) -> None:
        poll()
        strike()
        with polling.at_once(poll):
            went_on.append("although a signal had come")

    for work in (left, begun):
        with heard() as poll, pytest.raises(Stopped):
            work(poll)
    assert went_on == []


def test_after_such_a_block_it_is_polled_for_again() -> None:
    poll = Poll()
    with polling.at_once(poll):
        pass
    poll.notice(15)
    with pytest.raises(Stopped):
        poll()


def test_a_second_one_ends_the_process_also_where_it_is_the_first_of_a_container() -> None:
    strikes = "with heard() as poll:\n    poll()\n    os.kill(real, 15); os.kill(real, 15)\n"
    done = run("real = os.getpid()\n" + strikes)
    assert done.returncode == -signal.SIGTERM
    done = run("real = os.getpid()\nos.getpid = lambda: 1\n" + strikes)
    assert done.returncode == 143
    assert done.stderr == "jaxnet: error: terminated; give the same command again\n"


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_command_with_nothing_to_tidy_leaves_there(number: int, code: int) -> None:
    done = run(f"with leaving():\n    os.kill(os.getpid(), {number})\nprint('went on')\n")
    assert (done.returncode, done.stdout) == (code, "")
    assert "give the same command again" in done.stderr


def test_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for block in (heard, leaving):
        with block():
            assert signal.getsignal(signal.SIGTERM) != before[0]
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
