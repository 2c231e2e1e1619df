"""Mutated configs are loaded or refused by lines that name key or place: a thousand, or two.

An audit hook watches in a process of its own, as it cannot be taken away again.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jaxnet.config import load_config
from jaxnet.config.problems import dotted
from jaxnet.config.sections import keys
from jaxnet.config.source import parse
from jaxnet.errors import ConfigError
from tests.config.config_mutations import TEXTS, Case, case, judge

ROOT = Path(__file__).resolve().parents[2]
CONFIGS, PARTS = 2_000, 2
FEWEST = 5  # of a kind
SOUND = Case(TEXTS[0].encode(), [], check_files=False)


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.sampled(PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_never_a_traceback_a_riddle_or_a_deed(part: int) -> None:
    size = CONFIGS // PARTS
    done = python("scripts/soak_fuzz.py", str(size), "--first", str(part * size))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    found = re.search(rf"{size} configs: (\d+) sound, (\d+) refused, 0 wrong", done.stdout)
    assert found
    assert all(int(number) > size / 20 for number in found.groups())  # both outcomes are met


def test_the_configs_they_come_from_are_sound_and_name_every_key(tmp_path: Path) -> None:
    named = set()
    for text in TEXTS:
        assert judge(Case(text.encode(), [], False), tmp_path / "c.yaml") == (True, None)
        named |= {dotted(path) for path in parse(text, "c.yaml").marks if path}
    assert {dotted(path) for path in keys()} <= named


def test_the_configs_are_of_every_kind() -> None:
    cases = [case(seed) for seed in range(CONFIGS)]
    texts = [made.given for made in cases if isinstance(made.given, bytes)]
    kinds = Counter(
        mapping=sum(isinstance(made.given, dict) for made in cases),
        overrides=sum(isinstance(made.overrides, list) and made.overrides != [] for made in cases),
        tag=sum(b": !!" in text for text in texts),
        anchor=sum(b"&a " in text for text in texts),
        merge=sum(b"<<: " in text for text in texts),
        huge=sum(len(text) > 2**20 for text in texts),
        deep=sum(b"[" * 100 in text or b"{a: " * 100 in text for text in texts),
        infinite=sum(b"1e999" in text for text in texts),
        unicode=sum(not text.isascii() for text in texts),
        control=sum(b"\0" in text for text in texts),
    )
    assert min(kinds.values()) >= FEWEST, kinds


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        ([], "refused without a word"),
        (["something is wrong"], "names neither key nor place"),
        (["{path}: loss.name: wrong"], "names neither key nor place"),
        (["{path}:0:1: wrong"], "names neither key nor place"),
        (["override: wrong"], "names neither key nor place"),
        (["{path}:1:1: wrong", "and more"], "names neither key nor place"),
        (["{path}:1:1: a\nb"], "not printable"),
    ],
)
def test_a_riddle_is_noticed(problems: list[str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    def load(given: Any, overrides: Any, **options: Any) -> Any:
        raise ConfigError([line.format(path=path) for line in problems])

    loaded, verdict = judge(SOUND, path, load)
    assert not loaded
    assert said in str(verdict)


def test_a_config_that_is_another_when_shown_is_noticed(tmp_path: Path) -> None:
    def load(given: Any, overrides: Any, **options: Any) -> Any:
        config = load_config(given, overrides, **options)
        return config.model_copy(update={"task": "no task"})

    with pytest.raises(ConfigError):
        judge(SOUND, tmp_path / "c.yaml", load)


DEEDS = {
    "nothing": "open(config).read()",
    "open": "open(config, 'a')",
    "another file": "open('/dev/null')",
    "os.remove": "os.remove(config)",
    "os.mkdir": "os.mkdir(config + 'd')",
    "os.system": "os.system('true')",
    "subprocess.Popen": "subprocess.run(['true'])",
    "socket.__new__": "socket.socket()",
    "exec": "exec((lambda: 1).__code__)",
    "compile": "compile('1', 'x', 'eval')",
    "import": "import this_is_no_module",
    "pickle.find_class": "pickle.loads(b'cos\\nsystem\\n.')",
}
WATCHED = """
import contextlib, os, pickle, socket, subprocess, sys, tempfile
from pathlib import Path
from tests.config.config_guard import install

with tempfile.TemporaryDirectory() as folder:
    config = str(Path(folder).resolve() / "c.yaml")
    guard = install(Path(config))
    def deed():
        {deed}
    with contextlib.suppress(ImportError):
        guard.watch(deed)
    noted = list(guard.noted)
print(*noted, sep="\\n")
"""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("event", DEEDS)
def test_the_watch_sees(event: str) -> None:
    done = python("-c", WATCHED.format(deed=DEEDS[event]))
    assert done.returncode == 0, done.stderr
    noted = done.stdout.split("\n")[0]
    if event == "nothing":
        assert noted == ""
    else:
        assert noted.startswith("open" if event == "another file" else event)
