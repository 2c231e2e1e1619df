"""Two thousand mutated files of XC text: the rows that an obvious reader finds, or a refusal."""

import pytest

from tests.data.xc_mutations import Case, case, judge, reference

FILES, PARTS = 2_000, 4


@pytest.mark.parametrize("part", range(PARTS))
def test_never_silently_wrong_and_never_another_error(part, tmp_path):
    wrong = {}
    for seed in range(part, FILES, PARTS):
        verdict = judge(case(seed), tmp_path, size=1 + seed % 97, rows=1 + seed % 7)
        if verdict:
            wrong[seed] = verdict
    assert not wrong


def test_the_files_are_of_every_kind():
    found = [case(seed) for seed in range(FILES)]
    damaged = sum(made.text is None for made in found)
    read = [reference(made.text) for made in found if made.text is not None]
    sound = [one for one in read if one.wrong is None]
    assert damaged >= 50
    assert len(sound) >= 600
    assert len(read) - len(sound) >= 600
    assert sum(one.wrong == 1 for one in read) >= 100
    assert sum(one.repeated > 0 for one in sound) >= 20
    assert sum(one.shape[2] is None for one in sound) >= 50


@pytest.mark.parametrize(
    ("stored", "text", "complaint"),
    [
        (b"1 9 4\n1 2:3\n", b"1 9 4\n1 2:4\n", "other features"),
        (b"1 9 4\n1 2:3\n", b"1 9 4\n0 2:3\n", "other labels"),
        (b"1 9 4\n1 2:3\n", b"1 8 4\n1 2:3\n", "shape"),
        (b"1 9 4\n1 2:3\n", b"1 9 4\n1,1 2:3\n", "notes"),
        (b"1 9 4\n1 2:3\n", b"1 9 4\n9 2:3\n", "read without a word"),
        (b"1 9 4\n9 2:3\n", b"1 9 4\n1 2:3\n", "refused a sound file"),
        (b"2 9 4\n1 2:3\n9 1:1\n", b"2 9 4\n9 2:3\n1 1:1\n", "the first wrong line is 2"),
    ],
)
def test_the_judge_can_complain(stored, text, complaint, tmp_path):
    verdict = judge(Case("rows.txt", stored, text), tmp_path, size=64, rows=2)
    assert verdict.startswith(complaint)
