"""`jaxnet config init`: what it refuses, and that nothing is written then."""

from pathlib import Path

import pytest

from jaxnet.cli.main import main
from tests.cli.config_tables import ROWS, cells, features, write

Streams = pytest.CaptureFixture[str]

NUMBERS = [f"{i * 1.37:.2f}" for i in range(ROWS)]
REFUSED = {
    "no file": (None, ["none.csv"], "none.csv: no such file"),
    "a folder": (None, ["."], ".: a folder, not a file"),
    "unknown kind": (None, ["rows.xlsx"], "rows.xlsx: unknown kind of file; known: .csv"),
    "no words": (None, [], "DATA is missing; see 'jaxnet config init --help'"),
    "two files": (None, ["a.csv", "b.csv"], "unexpected argument 'b.csv'"),
    "unknown task": (None, ["a.csv", "--task", "binry"], "did you mean 'binary'?"),
    "header only": ("age,job\n", ["rows.csv"], "rows.csv: line 2: no rows below the header"),
    "empty": ("", ["rows.csv"], "rows.csv: the file is empty"),
    "one column": ("job\na\nb\n", ["rows.csv"], "rows.csv: one column only, 'job'"),
    "unknown target": (
        "age,job\n1,a\n2,b\n", ["rows.csv", "--target", "jbo"],
        "target: rows.csv has no column 'jbo'; did you mean 'job'?",
    ),
    "twice": ("age,job\n1,a\n", ["rows.csv", *["--target", "job"] * 2], "name each column once"),
    "all of them": (
        "age,job\n1,a\n", ["rows.csv", "--target", "job", "--target", "age"],
        "target: every column of rows.csv is named",
    ),
    "one class": ("age,job\n" + "1,a\n" * 9, ["rows.csv"], "one class only, 'a' in all 9 rows"),
    "a class of one row": (
        "age,job\n" + "1,a\n" * 9 + "2,b\n3,c\n4,c\n", ["rows.csv"],
        "too few rows to split: class 'b' with 1 row of 12",
    ),
    "no label": (
        "age,job\n1,a\n2,\n3,b\n", ["rows.csv"], "rows.csv: line 3: no label in column 'job'",
    ),
    "an amount": (
        {**features(), "price": NUMBERS}, ["rows.csv"],
        "rows.csv: column 'price' holds 60 different numbers, such as '0.00', '1.37', '10.96': it "
        "looks like a number to be predicted (regression), which jaxnet does not do. It is the "
        "last column, so it was tried; name the one to predict; few different values are in "
        "'job'",
    ),
    "whole numbers": (
        {**features(), "price": list(range(ROWS))}, ["rows.csv", "--target", "price"],
        "which jaxnet does not do; where each number is a class: task multiclass",
    ),
    "names": (
        {**features(), "name": [f"n{i}" for i in range(ROWS)]}, ["rows.csv", "--target", "name"],
        "it looks like an identifier or free text, not like classes",
    ),
    "three classes in task binary": (
        {**features(), "kind": cells("a", "b", "c")}, ["rows.csv", "--task", "binary"],
        "task binary needs two classes and there are 3: 'a', 'b', 'c'",
    ),
    "several labels in task binary": (
        {**features(), "a": cells(0, 1), "b": cells(1, 1, 0)},
        ["rows.csv", "--task", "binary", "--target", "a", "--target", "b"],
        "task binary has one class a row",
    ),
    "a label that is neither": (
        {**features(), "a": cells(0, 1)}, ["rows.csv", "--target", "a", "--target", "age"],
        "a label column of task multilabel holds 0 and 1",
    ),
    "no labels for task multilabel": (
        {**features(), "kind": cells("a", "b")}, ["rows.csv", "--task", "multilabel"],
        "name the columns to predict",
    ),
    "no separator": (
        {**features(), "kind": cells("a", "b")},
        ["rows.csv", "--task", "multilabel", "--target", "kind"],
        "column 'kind' holds no label names with one of '|', ';', ',' between them",
    ),
    "text alone": (
        {"said": [f"It was number {i}." for i in range(ROWS)], "mood": cells("sad", "glad")},
        ["rows.csv"],
        "no column is left to learn from",
    ),
    "a row too long": (
        "age,job\n1,a\n2,b,c\n", ["rows.csv"], "rows.csv: line 3:",
    ),
    "no yaml": (features(), ["rows.csv", "--output", "a.csv"], "a.csv: a config is a .yaml file"),
    "output exists": (
        {**features(), "late": cells("no", "yes")}, ["rows.csv", "--output", "there.yaml"],
        "there.yaml: exists already and is left as it is; name another file",
    ),
    "no folder": (None, ["rows.csv", "--output", "x/a.yaml"], "the folder 'x' does not exist"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    content, words: list[str], said: str, tmp_path: Path, capsys: Streams, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = Path("there.yaml")
    there.write_text("mine")
    if isinstance(content, dict):
        write(Path("rows.csv"), content)
    elif content is not None:
        Path("rows.csv").write_text(content)
    before = sorted(Path().iterdir())
    assert main(["config", "init", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jaxnet: error: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert (there.read_text(), sorted(Path().iterdir())) == ("mine", before)
