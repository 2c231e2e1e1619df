"""Commands on runs and files of sparse rows."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from jaxnet.cli.main import main
from jaxnet.cli.signals import AGAIN
from jaxnet.config import load_config
from jaxnet.inference import predict_file
from jaxnet.run import load_data
from tests.cli.striking import struck_while_writing
from tests.run_maker import make_run
from tests.sparse_runs import FEATURES, HEADS, Made, finished, write_npz, write_xc

Streams = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=HEADS)
def made(request: pytest.FixtureRequest) -> Made:
    return finished(request.param)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with new rows in it."""
    write_xc(tmp_path / "new.txt", 40, seed=3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_predictions_on_standard_output(made: Made, folder: Path, capsys: Streams) -> None:
    assert main(["predict", str(made.run), "new.txt", "--top-k", "2", "--quiet"]) == 0
    out, err = capsys.readouterr()
    first, *rows = out.splitlines()
    assert first == '"prediction","label_1","p_1","label_2","p_2"'
    assert len(rows) == 40
    assert err == "warning: 1 of 40 rows have no features\n"


def test_a_run_that_keeps_no_logits_shows_five(folder: Path, capsys: Streams) -> None:
    made = finished("linear_blocks")
    assert main(["predict", str(made.run), "new.txt", "--output", "o.csv"]) == 0
    header = Path("o.csv").read_text().partition("\n")[0]
    assert header.endswith('"label_5","p_5"')
    assert capsys.readouterr().err.splitlines()[-1] == "40 rows predicted to o.csv"


def test_the_best_classes_of_other_runs(tmp_path: Path, capsys: Streams) -> None:
    from jaxnet.data import builtin

    run = make_run(tmp_path, task="multiclass", source="digits")
    x = builtin.load("digits").x[:50].astype(float)
    np.savez(tmp_path / "x.npz", X=x)
    words = ["predict", str(run), str(tmp_path / "x.npz"), "--quiet"]
    assert main(words) == 0
    _, *every = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert main([*words, "--top-k", "3"]) == 0
    top, *best = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert ",".join(top) == '"prediction","label_1","p_1","label_2","p_2","label_3","p_3"'
    for whole, row in zip(every, best, strict=True):
        p = dict(enumerate(map(float, whole[1:])))
        order = sorted(p, key=lambda k: (-p[k], k))[:3]
        assert row[0] == row[1] == whole[0]
        assert [int(label) for label in row[1::2]] == order
        assert [float(number) for number in row[2::2]] == [p[k] for k in order]
    assert main([*words, "--top-k", "11"]) == 2
    assert capsys.readouterr().err == (
        "jaxnet: error: top k: 11 is no number from 1 to 10; the model has 10 classes, and at most "
        "100 of a row are looked at\n"
    )


def test_columns_of_labels_are_one_prediction_beside_the_best(
    tmp_path: Path, capsys: Streams
) -> None:
    rng = np.random.default_rng(0)
    names = ["sea", "sky", "wood"]
    lines = ["a,b,sea,sky,wood"]
    for row in rng.normal(size=(90, 2)):
        lines.append(",".join([*map(str, row.round(3)), *map(str, rng.integers(0, 2, 3))]))
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    description = {"thresholds": [0.0, 1.1, 0.0]}
    options = {"train": tmp_path / "t.csv", "target": names, "description": description}
    run = make_run(tmp_path, task="multilabel", **options)
    assert main(["predict", str(run), str(tmp_path / "t.csv"), "--top-k", "1", "--quiet"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == '"prediction","label_1","p_1"'
    assert all(row.startswith('"sea,wood","') for row in rows)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["new.txt", "--top-k", "13"], "top k: 13 is no number from 1 to 12; the model has 12 lab"),
        (["new.txt", "--top-k", "0"], "top k: 0 is no number from 1 to 12"),
        (["new.txt", "--top-k", "two"], "argument --top-k: invalid int value: 'two'; see 'jaxnet"),
        (["nw.txt"], "nw.txt: no such file; did you mean 'new.txt'?"),
        (["t.csv"], "t.csv: the model was trained on sparse rows; give it XC text (.txt, .txt.gz)"),
        (["wide.txt"], "wide.txt: expected 30 columns as in training, given 31"),
        (["bad.txt"], "bad.txt: line 2: '7:x': 'x' is no number"),
        (["short.txt"], "short.txt: line 3: the file ends after 2 rows, and the first line says 3"),
        (["wide.npz"], "wide.npz: expected 30 columns as in training, given 31"),
        (["broken.npz"], "broken.npz: "),
    ],
)
def test_mistakes_of_predict(
    made: Made, folder: Path, capsys: Streams, words: list[str], expected: str
) -> None:
    (folder / "t.csv").write_text("a,b\n1,2\n")
    (folder / "wide.txt").write_text("1 31 12\n1 30:1\n")
    (folder / "bad.txt").write_text("1 30 12\n1 7:x\n")
    (folder / "short.txt").write_text("3 30 12\n1 7:1\n1 7:1\n")
    (folder / "broken.npz").write_bytes(b"PK")
    scipy.sparse.save_npz(folder / "wide.npz", scipy.sparse.csr_matrix(np.ones((2, 31))))
    before = {path.name for path in folder.iterdir()}
    assert main(["predict", str(made.run), *words, "--output", "out.csv", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"jaxnet: error: {expected}")
    assert {path.name for path in folder.iterdir()} == before


def test_two_classes_have_no_best_ones(tmp_path: Path, capsys: Streams) -> None:
    run = make_run(tmp_path, source="breast_cancer")
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 30)))
    assert main(["predict", str(run), str(tmp_path / "x.npz"), "--top-k", "1"]) == 2
    assert "the model tells two classes apart" in capsys.readouterr().err


@pytest.mark.parametrize("calls", [0, 1, 3, 5])
def test_what_is_interrupted_leaves_nothing(made: Made, folder: Path, calls: int) -> None:
    import jaxnet

    left = [calls]

    def poll() -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1

    before = {path.name for path in folder.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        predict_file(jaxnet.load(made.run), "new.txt", "out.csv", top_k=1, rows=8, poll=poll)
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.thorough
def test_a_signal_leaves_nothing_behind(folder: Path, environment: dict[str, str]) -> None:
    write_xc(folder / "long.txt", 60_000, seed=4)
    environment["PYTHONPATH"] = str(ROOT)
    run = str(finished("linear_blocks").run)
    command = [sys.executable, "-m", "jaxnet.cli.main", "predict", run, "long.txt"]
    words = [*command, "--output", "out.csv", "--quiet"]
    said = f"jaxnet: error: terminated{AGAIN}\n"
    assert struck_while_writing(words, folder, environment, signal.SIGTERM) == (143, said)
    assert {path.name for path in folder.iterdir()} == {"new.txt", "long.txt"}


def test_a_file_is_measured_as_the_run_was(made: Made, tmp_path: Path, capsys: Streams) -> None:
    expected = json.loads((made.run / "metrics.json").read_text())["test"]
    assert main(["evaluate", str(made.run), str(made.test), "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metrics"], found["rows"]) == (expected, 150)
    x, y = write_npz(tmp_path, made.test)
    assert main(["evaluate", str(made.run), str(x), "--labels", str(y), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == expected
    assert main(["evaluate", str(made.run), str(made.test)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["psp_at_5", f"{expected['psp_at_5']:.4f}"] in [line.split() for line in lines]


def test_reasons_that_are_shared_are_one_line(capsys: Streams) -> None:
    run = finished("linear_blocks").run
    assert main(["evaluate", str(run)]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "needs the logits" in line]
    assert len(said) == 1
    assert said[0].startswith("train, validation, test balanced_accuracy, roc_auc, pr_auc, mcc, ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["X.npz"], "X.npz: the labels of sparse .npz rows are in another file; name it: --labels"),
        (["X.npz", "--labels", "no.npz"], "no.npz: no such file"),
        (["X.npz", "--labels", "X.npz"], "X.npz: values "),
        (["new.txt", "--labels", "Y.npz"], "new.txt: holds its labels itself; leave Y.npz out"),
        (["--labels", "Y.npz"], "--labels are those of a file of rows"),
        (["wide.txt"], "wide.txt: 31 features, and the model was trained with 30"),
        (["many.txt"], "many.txt: 13 labels, and the model was trained with 12"),
        (["none.txt"], "none.txt: the rows have no labels. Rows without labels: jaxnet predict"),
    ],
)
def test_mistakes_of_evaluate(
    made: Made, folder: Path, capsys: Streams, words: list[str], expected: str
) -> None:
    write_npz(folder, folder / "new.txt")
    (folder / "wide.txt").write_text("1 31 12\n1 30:1\n")
    (folder / "many.txt").write_text("1 30 13\n12 3:1\n")
    (folder / "none.txt").write_text("1 30\n3:1\n")
    assert main(["evaluate", str(made.run), *words, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"jaxnet: error: {expected}")


def test_the_report_leaves_out_what_nobody_knows(made: Made, tmp_path: Path) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    text = re.sub("<[^>]*>", "\n", page)
    table = text.partition("Metrics of each part")[2].partition("Undefined, or not over")[0]
    assert "could not be drawn" not in page
    assert "PSP at 5" in table
    dense = made is finished("dense")
    assert ("ROC-AUC" in table) is dense
    assert ("The likeliest label of a row is one of its own for" in text) is not dense
    assert ("There is no table of the labels" in text) is not dense
    if not dense:
        assert "needs the logits of all labels; the 12 best of a row are kept" in text
        assert "\n\N{EM DASH}\n" not in table


def test_steps_of_such_runs_are_not_replayed(made: Made, tmp_path: Path, capsys: Streams) -> None:
    run = shutil.copytree(made.run, tmp_path / "run")
    assert main(["debug", str(run)]) == 2
    assert "no step of this run was NaN or infinite" in capsys.readouterr().err
    with (run / "events.jsonl").open("a") as stream:
        stream.write('{"event": "failed", "step": 7}\n')
    assert main(["debug", str(run)]) == 2
    said = capsys.readouterr().err
    assert "steps of runs with sparse rows are not replayed. Step 7 was not finite" in said
    assert "lower optimizer.learning_rate" in said


def test_a_config_for_xc_text_trains(folder: Path, capsys: Streams) -> None:
    assert main(["config", "init", "new.txt", "--output", "a.yaml"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("a.yaml: task multilabel; next: jaxnet config check a.yaml\n", "")
    text = Path("a.yaml").read_text()
    assert text.startswith("# new.txt: 40 rows, 30 features, 12 labels.\n")
    assert "--top-k 5" in text
    config = load_config("a.yaml", [])
    assert (config.task, config.model.head) == ("multilabel", "auto")
    assert load_data(config).schema["width"] == FEATURES
    assert main(["config", "init", "new.txt"]) == 0
    assert "task: multilabel\ndata:\n  train: new.txt\n" in capsys.readouterr().out


def test_a_config_for_very_many_labels_has_the_settings_that_were_measured(
    folder: Path, capsys: Streams
) -> None:
    (folder / "wiki.txt").write_text("3 10 1000\n999 1:1\n 2:1\n4,5 3:1\n")
    assert main(["config", "init", "wiki.txt", "--output", "wiki.yaml"]) == 0
    words = ["data.train=wiki.txt"]
    shipped = load_config(ROOT / "configs/extreme.yaml", words, check_files=False)
    mine = load_config("wiki.yaml", [])
    for section in ("model", "optimizer", "training"):
        assert getattr(mine, section) == getattr(shipped, section)
    text = Path("wiki.yaml").read_text()
    assert "# 1,000 labels have fewer than 5 rows, and 997 of them none" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["new.txt", "--target", "a"], "new.txt: sparse rows have their labels beside them; leave"),
        (["new.txt", "--task", "binary"], "new.txt: sparse rows have sets of labels: task multil"),
        (["X.npz"], "X.npz: the labels of sparse .npz rows are in another file, so the config is"),
        (["none.txt"], "none.txt: the rows have no labels, so there is nothing to train on"),
        (["no.txt"], "no.txt: no such file"),
    ],
)
def test_mistakes_of_config_init(
    folder: Path, capsys: Streams, words: list[str], expected: str
) -> None:
    write_npz(folder, folder / "new.txt")
    (folder / "none.txt").write_text("1 30\n3:1\n")
    assert main(["config", "init", *words, "--output", "a.yaml"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"jaxnet: error: {expected}")
    assert not (folder / "a.yaml").exists()


def test_rows_where_a_config_is_needed(folder: Path, capsys: Streams) -> None:
    assert main(["train", "new.txt"]) == 2
    assert "new.txt: a file of rows, not a config; make one for it" in capsys.readouterr().err
