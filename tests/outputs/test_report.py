"""A report is a whole page for every task and every state of a run, and holds no one's markup."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnet.outputs import report
from jaxnet.outputs.report import Records
from jaxnet.outputs.report.head import verdict
from jaxnet.outputs.run_directory import RunDirectory
from tests.outputs.report_page import Page
from tests.outputs.report_records import FILES, records, save, without_curves

TASKS = {
    "binary": ["no", "yes"],
    "multiclass": ["ant", "bee", "cat"],
    "multilabel": ["red", "round", "sweet", "wet"],
}
SECTIONS = ["data", "learning", "metrics", "decisions", "ranking", "calibration", "threshold"]
SECTIONS += ["importance", "proof", "timings", "repeating"]
NOT_DRAWN = "could not be drawn"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {task: report.render(records(task, names)) for task, names in TASKS.items()}


@pytest.mark.parametrize("task", TASKS)
def test_every_section_is_there(pages: dict[str, str], task: str) -> None:
    page = Page(pages[task])
    assert NOT_DRAWN not in page.shown
    expected = [key for key in SECTIONS if task != "multiclass" or key != "threshold"]
    assert [key for key in page.ids if key in SECTIONS] == expected
    assert page.tags.count("h1") == 1
    plots = ("class", "plot")
    assert page.attributes.count(plots) == (7 if task != "multiclass" else 6)
    for text in (
        "jaxnet train a.yaml",
        "no improvement in 10 epochs",
        "no row of class x",
        "0.10.1",
    ):
        assert text in page.shown


@pytest.mark.parametrize("task", TASKS)
def test_a_page_is_self_contained(pages: dict[str, str], task: str) -> None:
    page = Page(pages[task])
    assert not {"script", "link", "iframe", "img", "object", "image"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name.startswith("on")}
    for name, value in page.attributes:
        if name in ("href", "xlink:href", "src"):
            assert value.removeprefix("#") in page.ids, value
        assert "http:" not in value
        assert "https:" not in value
    for url in re.findall(r"url\(([^)]*)\)", pages[task]):
        assert url.removeprefix("#") in page.ids, url
    assert "@import" not in pages[task]
    assert "default-src 'none'" in dict(page.attributes).values() or any(
        value.startswith("default-src 'none'") for _, value in page.attributes
    )


@pytest.mark.parametrize("task", TASKS)
def test_ids_stand_once_and_figures_say_what_they_show(pages: dict[str, str], task: str) -> None:
    page = Page(pages[task])
    assert max(page.ids.values()) == 1
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert all(labels)
    assert page.attributes.count(("role", "img")) == pages[task].count('class="plot"')
    heads = re.findall(r"<th(?= )[^>]*>", pages[task])
    assert heads
    assert all("scope=" in head for head in heads)
    assert page.tags.count("th") == len(heads)  # none without a scope


def test_the_same_records_give_the_same_page(pages: dict[str, str]) -> None:
    assert report.render(records("binary", TASKS["binary"])) == pages["binary"]


def test_ten_classes_stay_under_a_megabyte() -> None:
    page = report.render(records("multiclass", [f"class {k}" for k in range(10)]))
    assert len(page.encode()) < 400_000


def test_the_page_is_written_beside_the_records(tmp_path: Path) -> None:
    run = save(records("binary", TASKS["binary"]), tmp_path / "a-run")
    before = set(run.path.iterdir())
    path = report.write(run)
    assert path == run.path / "report.html"
    assert set(run.path.iterdir()) - before == {path}
    assert path.read_text(encoding="utf-8") == report.render(records("binary", TASKS["binary"]))


@pytest.mark.parametrize("file", FILES.values())
@pytest.mark.parametrize("damage", [None, b"", b'{"half": ', b"\xff\xfe\x00", b"[1, 2]\n", b"3\n"])
def test_what_is_missing_or_damaged_is_named(
    tmp_path: Path, file: str, damage: bytes | None
) -> None:
    run = save(without_curves(records("binary", TASKS["binary"])), tmp_path)
    (run.path / file).unlink()
    if damage is not None:
        (run.path / file).write_bytes(damage)
    page = Page(report.write(run).read_text(encoding="utf-8"))
    assert NOT_DRAWN not in page.shown
    lines = file.endswith(".jsonl")
    whole = damage is not None and (file.endswith(".yaml") or (lines and b"half" in damage))
    cut = lines and damage in (b"", b"\xff\xfe\x00")
    assert (f"{file} is " in page.shown) == (not whole and not cut)


def test_a_run_that_failed_says_so_first(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    said = "the loss is <b>NaN</b> after step 3; lower optimizer.learning_rate"
    run.status.write_text(json.dumps({"state": "failed", "error": said}))
    page = Page(report.write(run).read_text(encoding="utf-8"))
    assert said in page.shown
    assert page.shown.index("This run failed") < page.shown.index("evaluation.json is missing")
    assert "b" not in page.tags


def test_undefined_metrics_have_a_reason() -> None:
    found = without_curves(records("binary", TASKS["binary"]))
    test = found.evaluation["parts"]["test"]
    test["metrics"]["roc_auc"] = test["metrics"]["f1"] = None
    test["undefined"] = {"roc_auc": "needs rows of both classes", "f1": "no positive rows"}
    shown = Page(report.render(found)).shown
    assert "ROC-AUC (test): needs rows of both classes" in shown
    assert "F1 (test): no positive rows" in shown
    assert "None" not in shown


def test_the_verdict_holds_the_model_against_the_shares() -> None:
    found = records("binary", TASKS["binary"])
    found.schema["train_counts"][:] = [150, 50]
    test = found.evaluation["parts"]["test"]
    test["confusion"] = [[20, 2], [3, 15]]
    test["rows"] = 40
    test["metrics"] |= {"accuracy": 0.875, "log_loss": 0.3}
    # -(22/40) ln(3/4) - (18/40) ln(1/4)
    assert "On 40 test rows the model is right for 87.5 %" in _plain(found)
    assert "always answering “no” would be right for 55.0 %" in _plain(found)
    assert "log loss is 0.3000, against 0.7821" in _plain(found)
    test["metrics"]["log_loss"] = 0.8
    assert "it has learned nothing that helps" in _plain(found)


def test_the_verdict_on_labels_is_by_their_log_loss() -> None:
    found = records("multilabel", ["a", "b"])
    found.schema["train_counts"][:] = [105, 21]
    test = found.evaluation["parts"]["test"]
    for label, positives in zip(test["per_label"], (9, 0), strict=True):
        label["positives"] = positives
    test["metrics"]["log_loss"] = 0.2
    # (ln 2 - ln 0.9) / 2
    assert "log loss of a label is 0.2000 on average, against 0.3993" in _plain(found)


def _plain(found: Records) -> str:
    from jaxnet.outputs.report import baseline

    return re.sub("<[^>]*>", "", verdict(found, baseline.of_part(found, "test")))


def test_a_class_without_rows_and_without_training_rows() -> None:
    found = records("multiclass", ["ant", "bee", "none"])
    test = found.evaluation["parts"]["test"]
    test["confusion"] = [[20, 5, 0], [2, 18, 0], [0, 0, 0]]
    test["per_class"][2] |= {"rows": 0, "recall": None, "f1": None, "roc_auc": None}
    del test["roc"]["none"]
    found.schema["train_counts"][2] = 0
    assert NOT_DRAWN not in report.render(found)
    test["confusion"][2] = [1, 0, 0]  # met in the test alone: stating its share costs without end
    shown = Page(report.render(found)).shown
    assert NOT_DRAWN not in shown
    assert "knows only how common" not in shown


def test_many_classes_have_a_table_in_place_of_a_matrix() -> None:
    page = Page(report.render(records("multiclass", [f"class {k}" for k in range(150)])))
    assert NOT_DRAWN not in page.shown
    assert "there is no confusion matrix" in page.shown
    assert "150 classes, one by one" in page.shown
    assert "100 more rows" in page.shown


@pytest.mark.parametrize("size", [13, 60])
def test_classes_too_many_for_a_table_have_a_map_of_confusions(size: int) -> None:
    found = records("multiclass", [f"class {k}" for k in range(size)])
    text = report.render(found)
    page = Page(text)
    assert NOT_DRAWN not in page.shown
    assert "Most frequent confusions" in page.shown
    cells = sum(path.count("z") for path in re.findall(r'd="(M\d+ \d+h1v1h-1z[^"]*)"', text))
    assert cells == np.count_nonzero(found.evaluation["parts"]["test"]["confusion"])


def test_a_thousand_labels() -> None:
    text = report.render(records("multilabel", [f"label {k}" for k in range(1000)]))
    page = Page(text)
    assert NOT_DRAWN not in page.shown
    assert page.shown.count("label 999") == 2  # among the counts, and one by one
    assert "950 more rows" in page.shown
    assert len(text.encode()) < 2_000_000


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"quoted\" 'names' & more",
    "--><svg onload=alert(1)>",
    "\u202egnirts a",
    "\N{GRINNING FACE}" * 3,
    "שלום",
    "$x_1$ and $",
    "a\x00b\x1bc",
    "half \ud83d of a pair",
    "long " * 200,
]


def test_names_stay_text() -> None:
    plain = [f"name {k}" for k in range(len(HOSTILE))]
    safe, page = (
        Page(report.render(records("multiclass", names, columns=names)))
        for names in (plain, HOSTILE)
    )
    assert NOT_DRAWN not in page.shown
    assert page.tags == safe.tags
    for name in HOSTILE[:8]:
        assert name in page.shown
    assert {name for name, _ in page.attributes} - {name for name, _ in safe.attributes} == {
        "title"
    }


def test_a_page_of_hostile_names_can_be_written(tmp_path: Path) -> None:
    found = without_curves(records("multiclass", HOSTILE, columns=HOSTILE))
    report.write(save(found._replace(config="a: \x00"), tmp_path / "<b>&run"))
    text = (tmp_path / "<b>&run" / "report.html").read_bytes().decode("utf-8")
    assert "&lt;b&gt;&amp;run" in text
    assert "<b>&run" not in text


PLAIN = without_curves(records("binary", ["no", "yes"]))
PLAIN_TAGS = Page(report.render(PLAIN)).tags


def test_a_small_spread_has_the_decimals_of_its_mean() -> None:
    evaluation: dict[str, Any] = copy.deepcopy(dict(PLAIN.evaluation))
    evaluation["importance"]["columns"][0] |= {"mean": 0.0021, "std": 0.0002047}
    evaluation["importance"]["columns"][1] |= {"mean": 0.00001, "std": 0.0000123}
    page = report.render(PLAIN._replace(evaluation=evaluation))
    assert "0.0021 ± 0.0002<" in page
    assert "1e-05 ± 1.23e-05<" in page


@given(text=st.text(min_size=1).filter(lambda text: text.strip() != ""))
@settings(max_examples=40)
def test_no_text_changes_the_markup(text: str) -> None:
    schema: dict[str, Any] = copy.deepcopy(dict(PLAIN.schema))
    schema["class_names"] = [text, text]
    schema["identifiers"] = [text]
    schema["columns"][0] |= {"name": text, "kind": text}
    schema["columns"][1]["summary"]["most_common"][0][0] = text
    evaluation: dict[str, Any] = copy.deepcopy(dict(PLAIN.evaluation))
    evaluation["importance"]["columns"][0]["name"] = text
    evaluation["importance"]["metric"] = text
    events = [{**event, "command": text, "device": text, "text": text} for event in PLAIN.events]
    page = report.render(
        PLAIN._replace(
            name=text,
            schema=schema,
            evaluation=evaluation,
            events=events,
        )
    )
    page.encode("utf-8")
    assert Page(page).tags == PLAIN_TAGS


JUNK = [None, "x", [], {}, [None], float("nan"), {"x": 1}, [[1], [2, 3]], True]


@pytest.mark.parametrize("shift", range(len(JUNK)))
def test_no_record_of_any_shape_is_an_error(shift: int) -> None:
    found = records("binary", TASKS["binary"])._replace(epochs=())
    for field in ("schema", "evaluation"):
        value = copy.deepcopy(dict(getattr(found, field)))
        for number, path in enumerate(_leaves(value)):
            if number % 4 == shift % 4:
                place = value
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = JUNK[(number + shift) % len(JUNK)]
        found = found._replace(**{field: value})
    Page(report.render(found)).shown.index("Gradient proof")


def _leaves(value: dict[str, Any]) -> list[tuple[str, ...]]:
    """The paths of a record down to what is no mapping."""
    found: list[tuple[str, ...]] = []
    for key, inside in value.items():
        if isinstance(inside, dict):
            found += [(key, *path) for path in _leaves(inside)]
        else:
            found.append((key,))
    return found


@pytest.mark.parametrize(
    "epochs",
    [
        [{"epoch": 1, "train_loss": 0.5, "validation_loss": 0.4, "validation_accuracy": 1.0}],
        [{"epoch": n, "train_loss": None, "validation_loss": None} for n in (1, 2)],
        [{"epoch": n, "train_loss": 0.0, "validation_loss": -1.0} for n in (1, 2)],
        [{}],
        [{"epoch": n, "train_loss": 10.0**-n} for n in range(1, 300)],
    ],
    ids=["one", "none", "negative", "empty", "decades"],
)
def test_curves_of_any_length(epochs: list[dict[str, Any]]) -> None:
    found = without_curves(records("binary", TASKS["binary"]))._replace(epochs=epochs)
    assert NOT_DRAWN not in Page(report.render(found)).shown


def _by_the_best() -> Records:
    """A run whose head keeps no logits: of each row the best labels are known, and no curve."""
    found = records("multilabel", TASKS["multilabel"])
    parts = {}
    for part, summary in found.evaluation["parts"].items():
        unknown = dict.fromkeys(("roc_auc", "pr_auc", "mcc", "ece"), "needs all outputs")
        known = {**summary["metrics"], **dict.fromkeys(unknown), "psp_at_1": 0.25, "psp_at_3": 0.5}
        parts[part] = {"rows": summary["rows"], "metrics": known, "undefined": unknown}
    decision = {"rule": "threshold", "tuned_for": "f1", "threshold": 0.0343}
    reasons = {"importance": {"reason": "no names"}, "proof": {"reason": "no logits"}}
    return found._replace(evaluation={"parts": parts, "decision": decision, **reasons})


def test_a_model_that_is_known_by_the_best_labels_alone() -> None:
    found = _by_the_best()
    page = Page(report.render(found))
    assert NOT_DRAWN not in page.shown
    share = found.evaluation["parts"]["test"]["metrics"]["precision_at_1"]
    said = f"The likeliest label of a row is one of its own for {100 * share:.1f} % of the rows."
    assert said.replace(".0 %", " %") in _plain(found).replace(".0 %", " %")
    assert "A label is decided from a probability of 0.0343 up, which has the best F1" in page.shown
    assert "PSP at 3" in page.shown
    table, _, reasons = page.shown.partition("Undefined, or not over everything")
    for title in ("ROC-AUC", "MCC", "ECE"):
        assert title not in table.partition("Metrics of each part")[2]
        assert title in reasons
    assert "needs all outputs" in reasons
    assert page.ids["decisions"] == 1
    assert not any(page.ids[key] for key in ("ranking", "calibration", "threshold"))


def test_a_metric_that_one_part_has_stays_in_the_table() -> None:
    found = _by_the_best()
    found.evaluation["parts"]["validation"]["metrics"]["mcc"] = 0.125
    table = Page(report.render(found)).shown.partition("Undefined, or not over everything")[0]
    assert "MCC" in table.partition("Metrics of each part")[2]
