"""`jaxnet predict`: what goes where, and every mistake in a call."""

import gzip
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from jaxnet.cli.signals import AGAIN
from tests.cli.striking import struck_while_writing
from tests.run_maker import make_run, write_table

Streams = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("finished")
    table = write_table(folder / "train.csv")
    return make_run(folder, train=table, target="income", columns={"key": "id"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with new rows in it."""
    write_table(tmp_path / "new.csv", 30, seed=1)
    text = (tmp_path / "new.csv").read_text()
    (tmp_path / "new.csv").write_text("\n".join(_known(text)) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _known(text: str) -> list[str]:
    """The same rows with a category that training has seen."""
    header, *lines = text.splitlines()
    cells = [line.rsplit(",", 2) for line in lines]
    return [header, *(f"{first},z1,{last}" for first, _, last in cells)]


def test_results_go_to_standard_output(finished: Path, folder: Path, capsys: Streams) -> None:
    assert main(["predict", str(finished), "new.csv", "--quiet"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == '"key","prediction","p(<=50K)","p(>50K)"'
    assert [line.split(",")[0] for line in lines[1:]] == [f'"0{row:05d}"' for row in range(30)]
    assert err == ""


def test_nobody_reads_what_goes_to_a_closed_stream(finished: Path, folder: Path) -> None:
    call = [sys.executable, "-m", "jaxnet", "predict", str(finished), "new.csv", "--quiet"]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *call], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_and_a_summary(finished: Path, folder: Path, capsys: Streams) -> None:
    assert main(["predict", str(finished), "--output", "out.csv.gz", "new.csv"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    first, *_, last = err.splitlines()
    assert first.startswith("30 rows")
    assert last == "30 rows predicted to out.csv.gz"
    assert len(gzip.decompress(Path("out.csv.gz").read_bytes()).splitlines()) == 31


def test_warnings_are_said_even_where_quiet(finished: Path, folder: Path, capsys: Streams) -> None:
    header, *lines = Path("new.csv").read_text().replace("z1,", "here,").splitlines()
    odd = [f"weight,{header}", *(f"7,{line}" for line in lines)]
    Path("new.csv").write_text("\n".join(odd) + "\n")
    assert main(["predict", str(finished), "new.csv", "--output", "o.csv", "--quiet"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: new.csv: 1 columns that training did not have are not used: 'weight'",
        "warning: column 'zip': 30 of 30 cells hold no category that training learned: "
        "taken as unknown",
    ]


def test_an_output_that_exists(finished: Path, folder: Path, capsys: Streams) -> None:
    Path("out.csv").write_text("mine")
    words = ["predict", str(finished), "new.csv", "--output", "out.csv", "--quiet"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "jaxnet: error: out.csv: exists already; to replace it: --overwrite\n"
    )
    assert Path("out.csv").read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert len(Path("out.csv").read_text().splitlines()) == 31


def drop_column(folder: Path, finished: Path) -> None:
    lines = (folder / "new.csv").read_text().splitlines()
    (folder / "new.csv").write_text("\n".join(line.split(",", 2)[2] for line in lines) + "\n")


def write_a_word(folder: Path, finished: Path) -> None:
    text = (folder / "new.csv").read_text().splitlines()
    text[20] = text[20].replace(text[20].split(",")[2], "tall")
    (folder / "new.csv").write_text("\n".join(text) + "\n")


def write_a_header_only(folder: Path, finished: Path) -> None:
    (folder / "new.csv").write_text("key,age,height,job,zip\n")


def forget_the_model(folder: Path, finished: Path) -> None:
    shutil.copytree(finished, folder / "half")
    (folder / "half/model/model.json").unlink()
    (folder / "half/status.json").write_text('{"state": "running"}')


Prepare = Callable[[Path, Path], None]


def nothing(folder: Path, finished: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "words", "code", "expected"),
    [
        (nothing, ["nowhere", "new.csv"], 2, "nowhere: there is no such run directory"),
        (nothing, [".", "new.csv"], 2, ".: this is not a run directory (it has no status.json)"),
        (forget_the_model, ["half", "new.csv"], 2, "half: holds no model; its run is "),
        (nothing, ["RUN", "nw.csv"], 2, "nw.csv: no such file; did you mean 'new.csv'?"),
        (nothing, ["RUN", "new.xls"], 2, "new.xls: unknown kind of file"),
        (nothing, ["RUN", "no.npz"], 2, "no.npz: no such file"),
        (drop_column, ["RUN", "new.csv"], 2, "new.csv: no column 'age', which the model was"),
        (write_a_word, ["RUN", "new.csv"], 2, "new.csv: line 21: column 'height' is numeric and"),
        (write_a_header_only, ["RUN", "new.csv"], 2, "new.csv: line 2: no rows below the header"),
        (nothing, ["RUN", "new.csv", "--output", "o.txt"], 2, "o.txt: predictions are written to"),
        (nothing, ["RUN", "new.csv", "--output", "a/o.csv"], 2, "a/o.csv: the folder 'a' does"),
        (nothing, ["RUN", "new.csv", "--output", "/proc/o.csv"], 1, "/proc/o.csv: cannot be wri"),
        (
            nothing,
            ["RUN", "new.csv", "--overwrite", "--output", "./new.csv"],
            2,
            "./new.csv: the rows themselves are in this file",
        ),
        (nothing, ["RUN"], 2, "DATA is missing; see 'jaxnet predict --help'"),
        (nothing, [], 2, "RUN and DATA are missing; see 'jaxnet predict --help'"),
        (nothing, ["RUN", "new.csv", "more"], 2, "unexpected argument 'more'"),
    ],
)
def test_mistakes_end_with_a_code_and_one_line(
    finished: Path,
    folder: Path,
    capsys: Streams,
    prepare: Prepare,
    words: list[str],
    code: int,
    expected: str,
) -> None:
    prepare(folder, finished)
    before = {path.name for path in folder.iterdir()}
    given = [str(finished) if word == "RUN" else word for word in words]
    options = [] if "--output" in words else ["--output", "out.csv"]
    assert main(["predict", *given, *options, "--quiet"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jaxnet: error: {expected}")
    assert err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == before


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "jaxnet.cli.main", "predict", *words]


def test_a_reader_that_leaves_is_no_error(
    finished: Path, folder: Path, environment: dict[str, str]
) -> None:
    write_table(folder / "long.csv", 20_000, seed=2)
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    line = f"{' '.join(command(str(finished), 'long.csv', '--quiet'))} | head -n 2"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=environment, timeout=120
    )
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [
        (signal.SIGINT, 130, f"jaxnet: error: interrupted{AGAIN}\n"),
        (signal.SIGTERM, 143, f"jaxnet: error: terminated{AGAIN}\n"),
    ],
)
def test_a_signal_leaves_nothing_behind(
    finished: Path,
    folder: Path,
    environment: dict[str, str],
    number: signal.Signals,
    code: int,
    expected: str,
) -> None:
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    header, *lines = (folder / "new.csv").read_text().splitlines()
    (folder / "long.csv").write_text("\n".join([header, *(lines * 10_000)]) + "\n")
    words = command(str(finished), "long.csv", "--output", "out.csv", "--quiet")
    assert struck_while_writing(words, folder, environment, number) == (code, expected)
    assert {path.name for path in folder.iterdir()} == {"new.csv", "long.csv"}
