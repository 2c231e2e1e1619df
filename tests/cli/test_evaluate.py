"""`jaxnet evaluate`: of a file, and of what the run left."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxnet.cli.main import main
from tests.run_maker import make_run, write_table

Streams = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("finished")
    table = write_table(folder / "train.csv")
    metrics = {
        "validation": {"accuracy": 0.75, "roc_auc": None},
        "test": {"accuracy": 0.5, "roc_auc": 0.625},
        "details": {
            "validation": {"undefined": {"roc_auc": "no"}, "confusion": [[1, 2], [3, 4]]},
            "test": {"confusion": [[1, 2], [3, 4]]},
        },
    }
    return make_run(folder, train=table, target="income", columns={"key": "id"}, metrics=metrics)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with labelled rows in it."""
    write_table(tmp_path / "new.csv", 30, seed=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_the_run_left(finished: Path, capsys: Streams) -> None:
    assert main(["evaluate", str(finished)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split() for line in out.splitlines()] == [
        ["metric", "validation", "test"],
        ["accuracy", "0.7500", "0.5000"],
        ["roc_auc", "n/a", "0.6250"],
        ["validation", "roc_auc:", "no"],
        ["run", "directory:", str(finished)],
    ]
    assert main(["evaluate", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "run_directory": str(finished),
        **json.loads((finished / "metrics.json").read_text()),
    }


def test_a_file_as_json(finished: Path, folder: Path, capsys: Streams) -> None:
    assert main(["evaluate", str(finished), "--json", "new.csv", "--quiet"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["run_directory"], found["data"], found["rows"]) == (str(finished), "new.csv", 30)
    assert 0 <= found["metrics"]["accuracy"] <= 1
    assert found["undefined"] == {}
    assert sum(map(sum, found["confusion"])) == 30
    assert err == "".join(f"warning: {warning}\n" for warning in found["warnings"])


def test_a_file_as_a_table_with_reasons(finished: Path, folder: Path, capsys: Streams) -> None:
    text = Path("new.csv").read_text().replace(">50K", "<=50K")
    Path("new.csv").write_text(text)
    assert main(["evaluate", str(finished), "new.csv"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["metric", "data"]
    assert ["roc_auc", "n/a"] in [line.split() for line in lines]
    (said,) = (line for line in lines if line.endswith(": needs rows of both classes"))
    assert "roc_auc" in said.partition(":")[0].split(", ")
    assert lines[-2:] == ["30 rows of new.csv", f"run directory: {finished}"]
    assert err.startswith("30 rows")


def without_the_target(folder: Path, finished: Path) -> None:
    lines = (folder / "new.csv").read_text().splitlines()
    (folder / "new.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")


def without_a_label(folder: Path, finished: Path) -> None:
    lines = (folder / "new.csv").read_text().splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ","
    (folder / "new.csv").write_text("\n".join(lines) + "\n")


def another_class(folder: Path, finished: Path) -> None:
    text = (folder / "new.csv").read_text().replace(">50K", ">40K")
    (folder / "new.csv").write_text(text)


def damage_the_metrics(folder: Path, finished: Path) -> None:
    shutil.copytree(finished, folder / "half")
    (folder / "half/metrics.json").write_text("[1]")


def forget_the_metrics(folder: Path, finished: Path) -> None:
    shutil.copytree(finished, folder / "half")
    (folder / "half/metrics.json").unlink()


def nothing(folder: Path, finished: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "words", "expected"),
    [
        (nothing, ["nowhere", "new.csv"], "nowhere: there is no such run directory"),
        (nothing, ["nowhere"], "nowhere: there is no such run directory"),
        (damage_the_metrics, ["half"], "half/metrics.json: damaged"),
        (forget_the_metrics, ["half"], "half/metrics.json: missing; its run is "),
        (nothing, ["RUN", "nw.csv"], "nw.csv: no such file; did you mean 'new.csv'?"),
        (without_the_target, ["RUN", "new.csv"], "new.csv: no column 'income', which held the la"),
        (without_a_label, ["RUN", "new.csv"], "new.csv: line 5: no label in column 'income'"),
        (another_class, ["RUN", "new.csv"], "new.csv: line "),
        (nothing, [], "RUN is missing; see 'jaxnet evaluate --help'"),
        (nothing, ["RUN", "new.csv", "more"], "unexpected argument 'more'"),
    ],
)
def test_mistakes_end_with_a_code_and_one_line(
    finished: Path,
    folder: Path,
    capsys: Streams,
    prepare: Callable[[Path, Path], None],
    words: list[str],
    expected: str,
) -> None:
    prepare(folder, finished)
    given = [str(finished) if word == "RUN" else word for word in words]
    assert main(["evaluate", *given, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jaxnet: error: {expected}")
    assert err.count("\n") == 1
