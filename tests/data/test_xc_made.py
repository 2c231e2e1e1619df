"""The set that scripts/make_extreme.py makes: XC text, the same every time, with its plan in it."""

import sys

import numpy as np
import pytest

from jaxnet.data import sparse, xc_reader
from scripts import make_extreme

SMALL = ["--labels", "5000", "--features", "800", "--rows", "300", "--test-rows", "40"]


@pytest.fixture
def make(tmp_path, monkeypatch, capsys):
    """make(name, *arguments) -> the folder with the two files."""

    def _make(name, *arguments):
        command = ["make_extreme.py", str(tmp_path / name), *SMALL, *arguments]
        monkeypatch.setattr(sys, "argv", command)
        make_extreme.main()
        return tmp_path / name

    return _make


def test_what_was_asked_for(make):
    folder = make("a", "--positives", "3", "--noise", "0")
    for name, number in (("train", 300), ("test", 40)):
        found = xc_reader.read(folder / f"{name}.txt")
        assert (len(found.x), found.x.columns, found.labels.labels) == (number, 800, 5000)
        assert found.notes == ()
        assert 2.5 < sparse.stats(found.labels).mean < 3.5
        lengths = sparse.norms(found.x)[sparse.counts(found.x) > 0]
        np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert sorted(path.name for path in folder.iterdir()) == ["test.txt", "train.txt"]


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(make):
    one, same, other = make("a"), make("b"), make("c", "--seed", "1")
    for name in ("train.txt", "test.txt"):
        assert (one / name).read_bytes() == (same / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()
    packed, again = make("d", "--gzip"), make("e", "--gzip")
    assert (packed / "test.txt.gz").read_bytes() == (again / "test.txt.gz").read_bytes()
    rows = xc_reader.read(packed / "test.txt.gz").x
    assert sparse.equal(rows, xc_reader.read(one / "test.txt").x)


def test_more_rows_only_add_to_the_first_ones(make):
    few = xc_reader.read(make("a") / "train.txt")
    more = xc_reader.read(make("b", "--rows", "5000") / "train.txt")  # beyond one piece
    assert sparse.equal(sparse.part(more.x, 0, 300), few.x)
    assert sparse.equal(sparse.part(more.labels, 0, 300), few.labels)
    assert len(set(more.x.indptr[-900:].tolist())) > 800  # the second piece has rows of its own


def test_a_row_holds_what_its_labels_own(make):
    """Every feature is owned, as nothing else was asked for, and nearly all that is owned is in."""
    folder = make("a", "--noise", "0", "--keep", "1", "--seed", "3")
    found = xc_reader.read(folder / "test.txt")
    plan = make_extreme.Plan(5000, 800, 5, 4, 1.0, 0, 0.5, 3)
    for row in range(len(found.x)):
        labels = found.labels.indices[slice(*found.labels.indptr[row : row + 2])]
        features = found.x.indices[slice(*found.x.indptr[row : row + 2])]
        assert set(features.tolist()) == set(make_extreme.owned(plan, labels).ravel().tolist())


def test_the_plan_can_be_found_and_goes_with_the_features():
    plan = make_extreme.Plan(1_000_000, 100_000, 5, 4, 0.8, 10, 0.5, 0)
    assert make_extreme.planned_precision(plan, 100) > 0.9
    assert make_extreme.planned_precision(plan._replace(keep=0.0), 100) < 0.2


def test_common_labels_come_first():
    plan = make_extreme.Plan(1_000, 100, 5, 4, 0.8, 10, 0.5, 0)
    first = np.mean(make_extreme.rows(plan, 0, 0).label < 250)
    alike = np.mean(make_extreme.rows(plan._replace(skew=0.0), 0, 0).label < 250)
    assert first == pytest.approx(0.5, abs=0.02)  # a quarter of the labels, its square root of rows
    assert alike == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--labels", "0"), "--labels is 0: at least 1"), (("--skew", "1"), "--skew is from 0")],
)
def test_arguments_that_cannot_be(make, arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        make("a", *arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
