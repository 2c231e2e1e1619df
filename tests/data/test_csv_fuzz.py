"""Two thousand mutated CSV files: the cells that Python's csv module finds, or a refusal."""

from collections import Counter

import pytest

from tests.data.csv_mutations import Case, case, judge, reference, size_of

FILES, PARTS = 2_000, 4


@pytest.mark.parametrize("part", range(PARTS))
def test_never_silently_wrong_and_never_another_error(part, tmp_path):
    wrong = {}
    for seed in range(part, FILES, PARTS):
        verdict = judge(case(seed), tmp_path, size=size_of(seed))
        if verdict:
            wrong[seed] = verdict
    assert not wrong


def test_the_files_are_of_every_kind():
    kinds = Counter(
        "damaged" if made.text is None else reference(made.text).problem
        for made in map(case, range(FILES))
    )
    for kind in (None, "damaged", "encoding", "quoting", "ragged", "names", "no rows"):
        assert kinds[kind] >= 20, kinds


@pytest.mark.parametrize(
    ("stored", "text", "complaint"),
    [
        (b"a,b\n1,2\n", b"a,b\n1,3\n", "other cells"),
        (b"a,b\n1,2\n", b'a,b\n1,"2\n', "read without a word: quoting"),
        (b"a,b\n1,2\n", b"\na,b\n1,2\n", "other lines"),
        (b"a,b\n1,2,3\n", b"a,b\n1,2\n", "refused a sound file"),
        (b"a,b\n1,2,3\n", b"a,b\n1,2\n1,2,3\n", "the first ragged row is in line 3"),
    ],
)
def test_the_judge_can_complain(stored, text, complaint, tmp_path):
    assert judge(Case("rows.csv", stored, text), tmp_path, size=64).startswith(complaint)
