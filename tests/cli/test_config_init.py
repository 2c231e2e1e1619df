"""`jaxnet config init`: what it guesses, what it writes, what it refuses."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxnet.cli.main import main
from jaxnet.config import load_config
from jaxnet.data import look as looking
from jaxnet.data.look import look
from jaxnet.errors import DataError
from jaxnet.run import load_data
from tests.cli.config_tables import ROWS, cells, features, write

Streams = pytest.CaptureFixture[str]
HEAVY = ("jax", "jaxlib", "optax", "sklearn", "matplotlib")


def init(words: list[object], streams: Streams) -> str:
    """The config that the command prints."""
    assert main(["config", "init", *map(str, words)]) == 0
    return streams.readouterr().out


def config_of(words: list[object], folder: Path, streams: Streams):
    """The loaded config that the command prints."""
    path = folder / "made.yaml"
    path.write_text(init(words, streams), encoding="utf-8")
    return load_config(path)


CASES = {
    "last column": ({"income": cells("<=50K", ">50K", "<=50K")}, "binary", "income"),
    "0 and 1": ({"churn": cells(0, 1)}, "binary", "churn"),
    "a name of a target": ({"Class": cells(*"abc"), "size": cells(1, 2)}, "multiclass", "Class"),
    "classes that are numbers": ({"digit": cells(*range(10))}, "multiclass", "digit"),
    "three labels": (
        {"sad": cells(0, 1), "calm": cells(0, 0, 1), "loud": cells(1, 0, 0, 0)},
        "multilabel",
        ("sad", "calm", "loud"),
    ),
    "two labels by name": (
        {"flag": cells(0, 1), "label_a": cells(0, 1, 1), "label_b": cells(0, 1)},
        "multilabel",
        ("label_a", "label_b"),
    ),
    "one column of labels": (
        {"tags": cells("new|red", "red", "", "old|red", "new", "old")},
        "multilabel",
        {"column": "tags", "separator": "|"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "task", "target"), CASES.values(), ids=CASES)
def test_the_guess_loads_and_reads(labels, task, target, tmp_path: Path, capsys: Streams) -> None:
    file = write(tmp_path / "rows.csv", {**features(), **labels})
    if labels.keys() == {"sad", "calm", "loud"}:  # no more labels than other columns
        file = write(file, {**features(), "hours": cells(1.5, 2, 9), **labels})
    config = config_of([file], tmp_path, capsys)
    assert (config.task, config.data.target) == (task, target)
    data = load_data(config)
    assert len(data.x_train) > len(data.x_test) > 0


def test_a_config_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch, capsys) -> None:
    rows = write(tmp_path / "rows.csv", {**features(), "churn": cells(0, 1)})
    made = tmp_path / "made.yaml"
    words = ["config", "init", str(rows), "--output", str(made)]

    def full(*_args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert main(words) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [rows]
    assert main(words) == 0
    first = made.read_bytes()
    assert main(words) == 2
    assert "exists already and is left as it is" in capsys.readouterr().err
    assert made.read_bytes() == first


def test_a_name_that_is_no_text_is_written_so_that_it_is_read_again(
    tmp_path: Path, capsys: Streams
) -> None:
    rows = write(tmp_path / "rows.csv", {**features(), "churn": cells(0, 1)})
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.csv")
    try:
        os.rename(rows, odd)
    except OSError:
        pytest.skip("this file system takes names of text alone")
    made = str(tmp_path / "made.yaml")
    assert main(["config", "init", odd, "--output", made]) == 0
    assert main(["config", "check", made]) == 0
    assert "\udcff" not in capsys.readouterr().out


def test_it_trains_as_it_stands(tmp_path: Path, capsys: Streams, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made").mkdir()
    write(Path("rows.csv.gz"), {**features(), "late": cells("no", "yes", "no")})
    words = ["config", "init", "rows.csv.gz", "--output", "made/late.yaml"]
    assert main(words) == 0
    said = "made/late.yaml: task binary; next: jaxnet config check made/late.yaml\n"
    assert capsys.readouterr().out == said
    assert load_config("made/late.yaml").data.train == "../rows.csv.gz"  # as seen from the config
    assert main(["config", "check", "made/late.yaml"]) == 0
    quick = ["model.hidden=[4]", "training.epochs=1", "report=false", "--quiet"]
    assert main(["train", "made/late.yaml", *quick, "--run-dir", "run"]) == 0


def test_every_guess_says_why(tmp_path: Path, capsys: Streams) -> None:
    ids = list(range(100, 100 + ROWS))
    file = write(tmp_path / "a b.csv", {"key": ids, **features(), "late": cells("no", "yes")})
    assert main(["config", "init", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == (
        "guessed: target late: the last column\nguessed: task binary: column 'late' has 2 classes\n"
    )
    lines = out.splitlines()
    assert lines[0] == "# a b.csv: 60 rows, 4 columns."
    assert "#   jaxnet train 'a b.yaml' --run-dir 'runs/a b'" in lines
    assert "task: binary                      # guessed: column 'late' has 2 classes" in lines
    assert "  target: late                    # guessed: the last column" in lines
    assert [line for line in lines if line.startswith('  positive: "yes" ')]
    assert "  drop: [key]" in lines
    row = next(line for line in lines if line.startswith("#   job "))
    head = next(line for line in lines if line.startswith("#   column "))
    assert row.index("categorical") == head.index("kind")
    missing = sum(cell == "?" for cell in features()["job"])
    assert row.split()[2:5] == ["categorical", str(missing), "3"]
    assert next(line for line in lines if line.startswith("#   key ")).split()[2] == "id"


def test_what_the_user_says_is_no_guess(tmp_path: Path, capsys: Streams) -> None:
    file = write(tmp_path / "rows.csv", {**features(), "late": cells("no", "yes")})
    out = init([file, "--target", "late", "--task", "multiclass"], capsys)
    assert "guessed:" not in out
    assert "task: multiclass\n" in out


def test_labels_may_be_named_one_by_one(tmp_path: Path, capsys: Streams) -> None:
    file = write(tmp_path / "rows.csv", {"a": cells(0, 1), **features(), "b": cells(0, 0, 1)})
    config = config_of(["--target", "a", file, "--target", "b"], tmp_path, capsys)
    assert (config.task, config.data.target) == ("multilabel", ("a", "b"))


def test_one_class_spread_over_columns_is_no_set_of_labels(tmp_path: Path) -> None:
    one_hot = {f"is_{i}": cells(*(int(i == j) for j in range(3))) for i in range(3)}
    file = write(tmp_path / "rows.csv", {**features(), "hours": cells(1.5, 2, 9), **one_hot})
    found = look(file)
    assert (found.task.name, found.choice.target.columns) == ("binary", ("is_2",))


def test_uneven_classes_are_said(tmp_path: Path, capsys: Streams) -> None:
    uneven = write(tmp_path / "a.csv", {**features(), "late": cells(*["no"] * 5, "yes")})
    even = write(tmp_path / "b.csv", {**features(), "late": cells("no", "yes")})
    assert "# Classes: no: 50 (83.3%), yes: 10 (16.7%)." in init([uneven], capsys)
    assert "\n# loss: {class_weight: balanced}\n" in init([uneven], capsys)
    assert "class_weight" not in init([even], capsys)
    rare = {"label_a": cells(0, 1), "label_b": cells(*[0] * 19, 1)}
    file = write(tmp_path / "c.csv", {**features(), **rare})
    assert "\n# loss: {pos_weight: balanced}\n" in init([file], capsys)


def test_rows_that_belong_together_are_noticed(tmp_path: Path, capsys: Streams) -> None:
    patients = [f"p{i // 2}" for i in range(ROWS)]
    file = write(tmp_path / "a.csv", {"patient_id": patients, **features(), "y": cells(0, 1)})
    assert "  # split: {group: patient_id}\n" in init([file], capsys)


def test_parquet_and_arrays(tmp_path: Path, capsys: Streams) -> None:
    table = pa.table({"size": np.arange(60) % 7, "late": np.arange(60) % 2 == 0})
    pq.write_table(table, tmp_path / "rows.parquet")
    config = config_of([tmp_path / "rows.parquet"], tmp_path, capsys)
    assert (config.task, config.data.target, config.data.positive) == ("binary", "late", "True")
    assert len(load_data(config).x_train) == 42
    x, y = np.arange(120.0).reshape(60, 2), np.arange(60) % 3
    np.savez(tmp_path / "rows.npz", X=x, y=y, both=np.stack([y == 0, y > 0], axis=1) * 1)
    config = config_of([tmp_path / "rows.npz"], tmp_path, capsys)
    assert (config.task, config.data.target) == ("multiclass", None)
    config = config_of([tmp_path / "rows.npz", "--target", "both"], tmp_path, capsys)
    assert (config.task, config.data.target) == ("multilabel", "both")
    assert load_data(config).y_train.shape == (42, 2)


def test_what_is_no_feature_is_left_out(tmp_path: Path, capsys: Streams) -> None:
    rows = np.arange(60)
    lists = pa.array([[int(i)] for i in rows])
    table = pa.table({"size": rows % 7, "words": lists, "code": rows * 3, "late": rows % 2})
    pq.write_table(table, tmp_path / "rows.parquet")
    config = config_of([tmp_path / "rows.parquet"], tmp_path, capsys)
    assert config.data.drop == ("words", "code")
    assert load_data(config).schema["features"] == ["size"]


def test_labels_are_counted_in_all_rows(tmp_path: Path, capsys: Streams, monkeypatch) -> None:
    monkeypatch.setattr(looking, "ROWS", 10)
    labels = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    file = write(tmp_path / "rows.csv", {**features(), "kind": labels})
    out = init([file], capsys)
    assert "task: multiclass " in out
    assert "# Classes: a: 20 (33.3%), b: 20 (33.3%), c: 20 (33.3%)." in out
    assert "# The columns, by the first 10 rows. " in out


def test_many_whole_numbers_are_classes_where_the_user_says_so(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv", {k: v * 3 for k, v in features().items()} | {"n": list(range(60)) * 3}
    )
    with pytest.raises(DataError, match="regression"):
        look(file)
    assert look(file, task="multiclass").task.name == "multiclass"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=12)


@settings(max_examples=60)
@example(names=["a: b", "#{[y", "null"], classes=['"x', "\\", "- \u2028"], words=["\x07 # b"])
@given(
    names=st.lists(TEXTS.filter(str.strip), min_size=2, max_size=4, unique=True),
    classes=st.lists(TEXTS.filter(str.strip), min_size=2, max_size=3, unique=True),
    words=st.lists(TEXTS, min_size=1, max_size=5),
)
def test_no_name_and_no_cell_breaks_the_config(names, classes, words, tmp_path_factory) -> None:
    """Whatever stands in a file, the config loads and means the columns that were chosen."""
    folder = tmp_path_factory.mktemp("hostile")
    columns = {name: cells(*words, *range(7)) for name in names[:-1]}
    file = write(folder / "rows.csv", {**columns, names[-1]: cells(*classes)})
    code = main(["config", "init", str(file), "--output", str(folder / "a.yaml")])
    if code == 2:
        return
    assert code == 0
    config = load_config(folder / "a.yaml")
    found = look(file)
    target = config.data.target
    if isinstance(target, dict):
        assert (target["column"],) == found.choice.target.columns
    else:
        assert (target,) == found.choice.target.columns
    if config.task == "binary":
        assert config.data.positive == list(found.counts)[1]
    assert config.data.drop == tuple(c.name for c in found.columns if c.kind == "id")
    load_data(config)


FLOWERS = [["5.1", "3.5", "setosa"], ["6.2", "2.9", "virginica"]]


@pytest.mark.parametrize(
    ("header", "warned"),
    [
        (["5.1", "3.5", "setosa"], True),
        (["5.1", "5.5", "setosa"], True),  # rising, but a class stands above its column
        (["5.1", "3.5", "kind"], True),
        (["0", "1", "2"], False),
        (["400.5", "401.5", "kind"], False),  # a spectrum
        (["length", "3.5", "kind"], False),
    ],
)
def test_a_row_in_the_place_of_the_header_is_noticed(
    header: list[str], warned: bool, tmp_path: Path
) -> None:
    lines = "".join(",".join(row) + "\n" for row in [header, *FLOWERS * 10])
    (tmp_path / "rows.csv").write_text(lines)
    said = [text for text in look(tmp_path / "rows.csv").warnings if "instead of a header" in text]
    assert len(said) == warned


PROBE = """
import sys
from jaxnet.cli.main import main
code = main(sys.argv[2:])
print(code, ",".join(n for n in sys.argv[1].split(",") if n in sys.modules), file=sys.__stderr__)
"""


@pytest.mark.parametrize(
    ("words", "watched"),
    [(["--help"], (*HEAVY, "numpy", "pyarrow", "yaml", "pydantic")), (["rows.csv"], HEAVY)],
    ids=["help", "looking"],
)
def test_what_is_imported(words, watched, tmp_path: Path, environment) -> None:
    write(tmp_path / "rows.csv", {**features(), "late": cells("no", "yes")})
    command = [sys.executable, "-c", PROBE, ",".join(watched), "config", "init", *words]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**environment, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == "0 "
