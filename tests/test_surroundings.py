"""The real command where its surroundings fail: full disks, other runs, rights, files, streams.

Never a traceback; the exit code of the contract; what to do is said; and once the surroundings are
mended, `--resume` ends with the bits of a run that nothing disturbed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import jaxnet
from jaxnet.cli.main import main
from jaxnet.errors import RunDirectoryError
from jaxnet.outputs import checkpoints
from tests import signalling
from tests.compiling import QUICKLY
from tests.signalling import SAVING, WRITING_THE_MODEL, Place, call_of, command
from tests.tiers import thorough, usual

MIDST = Place("jaxnet.training.fit:_Loop.steps", 9)  # some checkpoints are there
RUN = ["train", "c.yaml", "--run-dir", "run", "--quiet", "report=false"]
GO_ON = ["train", "--run-dir", "run", "--resume", "--quiet"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a run that nothing disturbed, and the hashes of what it left."""
    folder = tmp_path_factory.mktemp("whole")
    signalling.write_config(folder)
    done = command(RUN, cwd=folder)
    assert (done.code, done.err) == (0, "")
    return folder, signalling.hashes(folder / "run")


@pytest.fixture
def folder(tmp_path):
    signalling.write_config(tmp_path)
    return tmp_path


@pytest.fixture
def finished(folder, whole):
    """The folder with a run of its own that has finished."""
    shutil.copytree(whole[0] / "run", folder / "run")
    return folder


def says(done, code, *words):
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    return done


def goes_on(folder, whole, words=GO_ON):
    """The bits of a run that nothing disturbed, and nothing half-written."""
    done = command(words, cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert signalling.hashes(folder / "run") == whole[1]
    assert signalling.temporary(folder) == []


# --- full disks


@pytest.mark.parametrize(
    ("place", "size"),
    [
        *thorough((MIDST, 6_000), (WRITING_THE_MODEL, 9)),
        (SAVING["save, before the rename"], 3_000),
    ],
    ids=["training", "model", "saving"],
)
def test_a_full_disk_fails_the_run_and_loses_nothing(place, size, folder, whole):
    done = command(RUN, (place, f"limit:{size}"), cwd=folder)
    says(done, 1, "the disk is full; free some space and go on with --resume", "--run-dir DIR")
    assert signalling.temporary(folder) == []
    survey = checkpoints.survey(folder / "run/checkpoints")
    assert survey.reasons == {}
    assert survey.newest is not None
    goes_on(folder, whole, [*RUN, "--resume"])


@pytest.mark.thorough
def test_a_full_file_system(folder, whole, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        (folder / "run").symlink_to(disk / "run")
        filler = disk / "filler"
        words = ["train", "c.yaml", "--run-dir", disk / "run", "--quiet"]
        done = command(words, (MIDST, f"fill:{filler}"), cwd=folder)
        says(done, 1, "the disk is full; free some space and go on with --resume")
        assert signalling.temporary(disk) == []
        assert checkpoints.survey(disk / "run/checkpoints").newest is not None
        again = command([*words, "--resume"], cwd=folder)  # still full
        says(again, 1, "the disk is full")
        filler.unlink()
        goes_on(folder, whole, [*words, "--resume"])
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# --- other runs


def started(count, words, folder, *hits):
    call = call_of(words, *hits)
    pipe = subprocess.PIPE
    return [
        subprocess.Popen(call, cwd=folder, stdout=pipe, stderr=pipe, text=True)
        for _ in range(count)
    ]


def waits(process, folder):
    """Whether it has come to the place where it waits, or its end."""
    while process.poll() is None and not (folder / f"go-{process.pid}").exists():
        time.sleep(0.02)
    return process.poll() is None


@pytest.mark.parametrize(("count", "more"), [(3, []), *thorough((8, []), (2, ["--resume"]))])
def test_of_runs_at_once_in_one_directory_one_wins(count, more, folder, whole):
    all_ = started(count, [*RUN, *more], folder, (MIDST, f"wait:{folder / 'go'}"))
    waiting = [process for process in all_ if waits(process, folder)]
    (folder / "go").touch()
    ends = {process: process.communicate(timeout=60) for process in all_}
    (winner,) = waiting
    assert (winner.returncode, ends[winner][1]) == (0, "")
    for loser in set(all_) - {winner}:
        out, err = ends[loser]
        assert (loser.returncode, out) == (2, "")
        assert f"a run is under way in this directory: process {winner.pid} on " in err
        assert "--run-dir DIR" in err
        assert len(err.splitlines()) == 1
    assert signalling.hashes(folder / "run") == whole[1]
    events = (folder / "run/events.jsonl").read_text()
    assert events.count('"started"') == 1


@pytest.mark.thorough
def test_runs_at_once_without_a_directory_get_one_each(folder):
    words = ["train", "c.yaml", "--quiet", "--json", "report=false", "training.epochs=1"]
    all_ = started(8, words, folder)
    ends = [process.communicate(timeout=100) for process in all_]
    assert [(process.returncode, end[1]) for process, end in zip(all_, ends, strict=True)] == (
        [(0, "")] * 8
    )
    names = {json.loads(end[0])["run_directory"] for end in ends}
    assert len(names) == 8
    models = {(folder / name / "model/model.safetensors").read_bytes() for name in names}
    assert len(models) == 1


# --- rights

# For root: takes what it has above others (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) from the program
# that follows, so that modes of files count for it too (PR_CAPBSET_DROP).
OBEDIENT = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def obedient(call, **options):
    """The program, run for a user whom modes of files stop."""
    launched = [sys.executable, "-S", "-c", OBEDIENT, *call]
    return subprocess.run(launched, capture_output=True, text=True, **options)


@pytest.fixture
def modest(folder):
    """Like `command`, for a user whom modes of files stop."""
    (folder / "closed").mkdir(mode=0o555)
    touch = ["touch", str(folder / "closed/a")]
    if obedient(touch).returncode == 0:
        pytest.skip("modes of files do not stop this user")

    def run(words, *hits, **variables):
        done = obedient(call_of(words, *hits), cwd=folder, env={**os.environ, **variables})
        return signalling.Ended(done.returncode, done.stdout, done.stderr, None, 0)

    return run


def test_where_nothing_can_be_made(modest, folder):
    for parent in ("closed", "runs"):
        (folder / parent).mkdir(mode=0o555, exist_ok=True)
    words = ["train", "c.yaml", "--quiet"]
    for more in (["--run-dir", "closed/run"], []):
        done = says(modest([*words, *more]), 2, "Permission denied", "--run-dir DIR")
        assert len(done.err.splitlines()) == 1
    assert list(folder.rglob("closed/*")) == list(folder.rglob("runs/*")) == []


@pytest.mark.thorough
def test_checkpoints_that_cannot_be_written_any_more(modest, folder, whole):
    place = folder / "run/checkpoints"
    done = modest(RUN, (MIDST, f"close:{place}"))
    says(done, 1, "cannot be written (Permission denied); see to that and go on with --resume")
    says(modest(GO_ON), 1, "cannot be written (Permission denied)")
    place.chmod(0o755)
    goes_on(folder, whole)


@pytest.mark.thorough
def test_a_config_beside_which_nothing_can_be_written(modest, folder, whole):
    for name in ("c.yaml", "rows.csv"):
        (folder / name).chmod(0o444)
    (folder / "home").mkdir(mode=0o555)
    (folder / "out").mkdir()
    folder.chmod(0o555)
    try:
        home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
        done = modest(["train", "c.yaml", "--run-dir", "out/run", "--quiet"], **home)
        assert (done.code, done.err) == (0, "")
    finally:
        folder.chmod(0o755)
    assert signalling.hashes(folder / "out/run") == whole[1]
    assert list((folder / "home").iterdir()) == []


# --- files that are not there


@pytest.mark.thorough
def test_data_that_is_gone_and_comes_back(folder, whole):
    command(RUN, (MIDST, signal.SIGTERM), cwd=folder)
    (folder / "rows.csv").rename(folder / "elsewhere.csv")
    says(command(GO_ON, cwd=folder), 2, "data.train: no such file", "rows.csv")
    moved = f"data.train={folder / 'elsewhere.csv'}"
    (folder / "run/config.resolved.yaml").rename(folder / "kept.yaml")
    says(command(GO_ON, cwd=folder), 2, "jaxnet train CONFIG --run-dir run --resume")
    goes_on(folder, whole, [*RUN, "--resume", moved])


def test_a_file_where_the_checkpoints_belong(folder, whole):
    (folder / "run").mkdir()
    shutil.copy(whole[0] / "run/events.jsonl", folder / "run")
    (folder / "run/checkpoints").write_text("mine")
    done = command([*RUN, "--resume"], cwd=folder)
    says(done, 1, "cannot be written (File exists)", "--resume", "--run-dir DIR")
    assert (folder / "run/checkpoints").read_text() == "mine"


@pytest.mark.thorough
@pytest.mark.parametrize("place", [MIDST, WRITING_THE_MODEL], ids=["training", "model"])
def test_a_run_whose_directory_is_removed_ends(place, folder, whole):
    done = command(RUN, (place, f"remove:{folder / 'run'}"), cwd=folder)
    says(done, 1, "was removed or replaced while the run was under way", "--run-dir DIR")
    assert not (folder / "run").exists()
    goes_on(folder, whole, [*RUN, "--resume"])


# --- streams, words and places of the process


def shell(line, folder, words, **variables):
    """The command within a line of the shell, where it is "$@"."""
    environment = {**os.environ, **variables}
    environment.pop("PYTHONPATH", None)  # a relative one cannot be read everywhere
    call = ["sh", "-c", line, "sh", *call_of(words)]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, env=environment)
    return signalling.Ended(done.returncode, done.stdout, done.stderr, None, 0)


CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", usual(CLOSED, CLOSED[-1]))
def test_streams_that_are_closed(closed, folder, whole):
    words = ["train", "c.yaml", "--run-dir", "run"]
    done = shell(f'"$@" {closed}', folder, words)
    assert done.code == 0
    assert "Traceback" not in done.err
    assert ("compil" in done.err) == ("2>" not in closed)
    assert ("accuracy" in done.out) == (">&-" not in closed.replace("2>&-", ""))
    assert signalling.hashes(folder / "run") == whole[1]


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(closed, folder):
    """What a library writes to standard error would be written into it."""
    source = (
        f"import sys; sys.path.insert(0, {str(signalling.ROOT)!r})\n"
        "import os, jaxnet.__main__ as m\n"
        "m._fill_descriptors()\n"
        "os._exit(min(os.open('rows.csv', os.O_RDONLY), 3) != 3)\n"
    )
    call = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", source]
    assert subprocess.run(call, cwd=folder).returncode == 0


@pytest.mark.thorough
def test_readers_that_have_left(folder, whole):
    line = '{ "$@"; echo $? >code; } | head -c 0; { "$@" 2>&1; echo $? >>code; } | head -c 0'
    done = shell(line, folder, ["train", "c.yaml", "--resume", "--run-dir", "run"])
    assert "Traceback" not in done.err
    assert (folder / "code").read_text() == "0\n0\n"
    assert signalling.hashes(folder / "run") == whole[1]


@pytest.mark.thorough
def test_a_terminal_of_ascii(folder):
    ascii_ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    rows = (folder / "rows.csv").read_text().replace("height", "höhe")
    (folder / "rows.csv").write_text(rows.replace("income", "Einkömmen"), encoding="utf-8")
    config = (folder / "c.yaml").read_text().replace("income", "Einkömmen")
    (folder / "ä.yaml").write_text(config, encoding="utf-8")
    for words, code in (
        (["train", "ä.yaml", "--run-dir", "läufe/ö"], 0),
        (["train", "ä.yaml", "--run-dir", "läufe/ö"], 2),
        (["train", "--run-dir", "läufe/ö", "--resume"], 0),
        (["evaluate", "läufe/ö", "rows.csv"], 0),
        (["predict", "läufe/ö", "rows.csv", "--output", "ä.csv"], 0),
    ):
        done = shell('"$@"', folder, words, **ascii_)
        says(done, code)
        assert (done.out + done.err).isascii()
    assert (folder / "läufe/ö/report.html").is_file()
    (folder / "rows.csv").rename(folder / "zeilen_ä.csv")
    (folder / "ä.yaml").write_text(config.replace("rows.csv", "zeilen_ä.csv"), encoding="utf-8")
    done = shell('"$@"', folder, ["train", "ä.yaml"], **ascii_)
    says(done, 2, "data.train: Python cannot name this file", "set PYTHONUTF8=1")


def test_without_a_home_and_without_anything_in_the_environment(folder, whole):
    # Compiled as the run whose bits it is to have.
    quickly = " ".join(f"{name}={value}" for name, value in QUICKLY.items())
    done = shell(f'env -i {quickly} "$@"', folder, RUN)
    assert (done.code, done.err) == (0, "")
    assert signalling.hashes(folder / "run") == whole[1]


def test_where_jax_would_abort_for_want_of_addresses_it_is_not_started(folder):
    train, predict = ["train", "c.yaml", "--run-dir", "new"], ["predict", "run", "rows.csv"]
    for letter, kilobytes, words in ("v", 800_000, train), ("d", 300_000, predict):
        done = shell(f'ulimit -S{letter} {kilobytes}; "$@"', folder, words)
        says(done, 2, f"'ulimit -{letter}' grants this process 0.", f"type: ulimit -{letter} unlim")
    assert not (folder / "new").exists()
    check = ["config", "check", "c.yaml"]  # which needs no JAX
    assert shell('ulimit -Sv 800000; "$@"', folder, check).code == 0


@pytest.mark.parametrize("name", ["a" * 300, "abcdefghi/" * 500], ids=["part", "path"])
def test_a_name_too_long_for_a_file_system(name, folder, capsys):
    config = str(folder / "c.yaml")
    for words in (
        ["train", config, "--run-dir", name],
        ["train", config, "--run-dir", name, "--resume"],
        ["train", "--run-dir", name, "--resume"],
        ["train", name],
        ["report", name],
        ["evaluate", name, str(folder / "rows.csv")],
        ["runs", name],
        ["config", "check", name],
    ):
        assert main(words) == 2, words
        out, err = capsys.readouterr()
        assert (out, "too long" in err) == ("", True), words
    with pytest.raises(RunDirectoryError, match="too long"):
        jaxnet.train(config, run_dir=folder / name)


@pytest.mark.thorough
def test_a_working_directory_that_is_gone(finished):
    gone = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
    run, rows = str(finished / "run"), str(finished / "rows.csv")
    for words, code, said in (
        (["train", str(finished / "c.yaml"), "--quiet"], 2, "--run-dir DIR"),
        (["train", "c.yaml"], 2, "c.yaml: no such file"),
        (["evaluate", "run"], 2, "no such run directory"),
        (["evaluate", run, rows, "--quiet"], 0, ""),
        (["predict", run, rows, "--quiet"], 0, ""),
        (["predict", run, rows, "--quiet", "--output", "p.csv"], 1, "p.csv: cannot be written"),
        (["runs"], 2, "no such directory"),
        (["train", "--run-dir", run, "--resume", "--quiet"], 0, "has finished"),
    ):
        says(shell(gone, finished, words), code, said)
