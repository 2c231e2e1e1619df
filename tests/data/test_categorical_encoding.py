"""One-hot, two-valued and embedded columns against what they stand for."""

import json

import numpy as np
import pyarrow as pa
import pytest

from jaxnet.data import categorical_encoding as coding
from jaxnet.data import categories
from jaxnet.data.missing import TOKENS
from jaxnet.errors import DataError


def cells(texts):
    return categories.of(pa.chunked_array([pa.array(texts, pa.string())]), TOKENS)


def fitted(texts, rows=None, limit=8):
    found = cells(texts)
    rows = np.arange(len(found)) if rows is None else np.array(rows)
    record, notes = coding.fit("x", found, rows, limit)
    assert json.loads(json.dumps(record)) == record
    return record, notes


def encoded(record, texts):
    code = coding.from_json(record)
    out = np.full((len(texts), code.width), np.nan, np.float32)
    coding.write(code, coding.places(code, cells(texts)), out)
    return out.tolist()


def test_two_categories_are_one_input():
    record, _ = fitted(["no", "yes", "yes"])
    assert record["encoding"] == "two"
    assert coding.from_json(record).inputs == ["x=yes"]
    assert encoded(record, ["yes", "no", "maybe", "", "Yes"]) == [[1], [-1], [0], [0], [0]]


def test_one_input_a_category():
    record, notes = fitted(["b", "a", "?", "c", "a"])
    assert record == {
        "name": "x",
        "kind": "categorical",
        "encoding": "one_hot",
        "categories": ["a", "b", "c"],
        "missing": True,
        "summary": {"missing": 1, "categories": 3, "most_common": [["a", 2], ["b", 1], ["c", 1]]},
    }
    assert notes == ()
    assert coding.from_json(record).inputs == ["x=a", "x=b", "x=c", "x is missing"]
    assert encoded(record, ["c", "", "d", "a"]) == [
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
    ]


def test_a_missing_cell_that_training_did_not_have_is_unseen():
    record, _ = fitted(["a", "b", "c"])
    code = coding.from_json(record)
    assert coding.places(code, cells(["", "c", "d"])).tolist() == [-1, 2, -1]
    assert encoded(record, [""]) == [[0, 0, 0]]


def test_beyond_the_limit_categories_are_slots():
    record, notes = fitted([*"cabcab", "once", ""], limit=3)
    assert record["encoding"] == "embedding"
    assert record["categories"] == ["a", "b", "c"]
    assert notes == (
        "column 'x': categories of a single training row (1 of 4) share the slot of unseen ones",
    )
    code = coding.from_json(record)
    assert (code.size, code.width, code.inputs) == (4, 1, ["x (embedded)"])
    # Slot 0 is that of unseen ones, the last that of missing ones.
    assert encoded(record, ["a", "b", "c", "", "once", "new"]) == [[1], [2], [3], [4], [0], [0]]


def test_the_limit_counts_missing_cells():
    assert fitted([*"aabbcc"], limit=3)[0]["encoding"] == "one_hot"
    assert fitted([*"aabbcc", ""], limit=3)[0]["encoding"] == "embedding"
    assert fitted([*"aabb"], limit=0)[0]["encoding"] == "two"


@pytest.mark.parametrize("texts", [["a", "a"], ["", "?"], ["a", "b"]])
def test_one_category_is_no_input(texts):
    record, _ = fitted(texts, rows=[0])
    assert record["encoding"] == "none"
    assert encoded(record, ["a", "z", ""]) == [[], [], []]


def test_only_the_rows_given_count():
    record, _ = fitted(["z", "a", "b", "c", ""], rows=[1, 2, 3])
    assert (record["categories"], record["missing"]) == (["a", "b", "c"], False)


def test_most_categories_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(coding, "_MOST", 2)
    record, _ = fitted([*"aabbbcccc"], limit=2)
    assert record["categories"] == ["b", "c"]


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": "other"},
        {"categories": ["a", "a"]},
        {"categories": [1, 2]},
        {"categories": None},
        {"encoding": "two"},
    ],
)
def test_a_damaged_record_is_refused(change):
    record, _ = fitted([*"abc"])
    with pytest.raises(DataError, match=r"^schema: the encoding of "):
        coding.from_json({**record, **change})
    with pytest.raises(DataError, match=r"^schema: the encoding of "):
        coding.from_json({key: record[key] for key in record if key not in change})
