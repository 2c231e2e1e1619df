"""The faults of tests/mutants.py can still be planted, and the tests that they name are there."""

import ast
import contextlib
import importlib.util
import re
from pathlib import Path

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
SOURCES = {path: path.read_text("utf-8") for path in sorted((ROOT / "jaxnet").rglob("*.py"))}
ALL = "\0".join(SOURCES.values())


def test_every_fault_stands_once_in_the_package_and_compiles() -> None:
    """See the first lines of tests/mutants.py for what to do when code has moved or changed."""
    problems = []
    for mutant in MUTANTS:
        if (times := ALL.count(mutant.before)) != 1:
            problems.append(f"{mutant.name}: `before` stands {times} times in jaxnet, not once")
            continue
        source = next(text for text in SOURCES.values() if mutant.before in text)
        try:
            ast.parse(source.replace(mutant.before, mutant.after))
        except SyntaxError as error:
            problems.append(f"{mutant.name}: {error}")
    assert not problems, "\n".join(
        ["quote the line that does this work now in tests/mutants.py:", *problems]
    )


def test_faults_differ_and_say_what_a_user_would_meet() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    for mutant in MUTANTS:
        assert mutant.before != mutant.after, mutant.name
        assert mutant.fault.endswith("."), mutant.name
        assert mutant.hints, mutant.name


def test_the_tests_and_rooms_that_are_named_are_there() -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    tests = set(
        re.findall(r"^def (test_\w+)\(", "".join(f.read_text("utf-8") for f in files), re.M)
    )
    problems = [
        f"{mutant.name}: no test is called {hint}"
        for mutant in MUTANTS
        for hint in mutant.hints
        if hint not in tests
    ]
    problems += [
        f"{mutant.name}: there is no folder tests/{room}"
        for mutant in MUTANTS
        for room in mutant.rooms
        if not (ROOT / "tests" / room).is_dir()
    ]
    assert not problems, "\n".join(
        ["name the test that notices, wherever it stands, in tests/mutants.py:", *problems]
    )


def test_a_fault_is_there_for_its_turn_alone(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("run_mutants", ROOT / "scripts/mutants.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    file, stale = tmp_path / "jaxnet/a.py", tmp_path / "jaxnet/__pycache__/a.cpython-311.pyc"
    stale.parent.mkdir(parents=True)
    file.write_text("x = 1\n")
    stale.touch()
    fault = Mutant("x_is_2", "Wrong.", "x = 1", "x = 2", (), ())
    assert script.places(tmp_path, fault) == [file]
    with contextlib.suppress(KeyboardInterrupt), script.planted(file, fault):
        assert file.read_text() == "x = 2\n"
        assert not stale.exists()
        raise KeyboardInterrupt
    assert file.read_text() == "x = 1\n"
    file.write_text("x = 1\nx = 1\n")
    assert len(script.places(tmp_path, fault)) == 2
