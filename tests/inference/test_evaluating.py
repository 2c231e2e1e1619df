"""Metrics of labelled files."""

from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet.data import builtin
from jaxnet.errors import DataError
from jaxnet.inference import Model, evaluate_file, pieces
from tests.inference.tables import frame_of, quiet
from tests.run_maker import make_run


def test_metrics_are_those_of_the_predictions(model: Model, rows: Path) -> None:
    frame = frame_of(rows)
    found = evaluate_file(model, rows)
    p = quiet(model, frame)[:, 1]
    true = (frame["income"] == ">50K").to_numpy()
    assert found.rows.number == 40
    assert found.metrics["accuracy"] == np.mean((p >= 0.5) == true)
    loss = -np.mean(np.log(np.where(true, p, 1 - p)))
    assert found.metrics["log_loss"] == pytest.approx(loss, rel=1e-12)
    (right, _), (_, found_) = found.tables["confusion"]
    assert right + found_ == np.sum((p >= 0.5) == true)


def test_an_undefined_metric_has_its_reason(model: Model, rows: Path) -> None:
    frame_of(rows).assign(income="<=50K").to_csv(rows, index=False)
    found = evaluate_file(model, rows)
    assert found.metrics["roc_auc"] is None
    assert found.undefined["roc_auc"] == "needs rows of both classes"
    assert found.metrics["accuracy"] is not None


@pytest.mark.parametrize(
    ("header", "label", "expected"),
    [
        ("incme", "<=50K", r"no column 'income', which held the labels .* did you mean 'incme'"),
        ("income", "", r"line 2: no label in column 'income'"),
        ("income", "lots", r"line 2: column 'income' holds 'lots', a class that the training rows"),
    ],
)
def test_labels_that_cannot_be_used(
    model: Model, rows: Path, header: str, label: str, expected: str
) -> None:
    first, second, *rest = rows.read_text().splitlines()
    first, second = (line.rpartition(",")[0] for line in (first, second))
    rows.write_text("\n".join([f"{first},{header}", f"{second},{label}", *rest]) + "\n")
    with pytest.raises(DataError, match=expected):
        evaluate_file(model, rows)


def test_the_line_of_a_wrong_label_in_a_later_piece(
    model: Model, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_ROWS", 7)
    lines = rows.read_text().splitlines()
    lines[30] = lines[30].rpartition(",")[0] + ",lots"
    rows.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"new\.csv: line 31: .* 'lots'"):
        evaluate_file(model, rows)


def test_the_test_part_of_an_npz_file(tmp_path: Path) -> None:
    model = jaxnet.load(make_run(tmp_path, task="multiclass", source="digits"))
    table = builtin.load("digits")
    x, y = table.x, table.y
    np.savez(tmp_path / "a.npz", X=x, y=y, X_test=x[:30], y_test=y[:30])
    np.savez(tmp_path / "b.npz", X=x[:30], y=y[:30])
    both = [evaluate_file(model, tmp_path / name) for name in ("a.npz", "b.npz")]
    assert both[0] == both[1]
    assert both[0].rows.number == 30
