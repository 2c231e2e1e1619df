"""The top of a report: the run's name, a verdict in a line or two, the key numbers as tiles."""

from __future__ import annotations

import math
from datetime import datetime

from jaxnet.outputs.report import baseline, words
from jaxnet.outputs.report.baseline import Baseline
from jaxnet.outputs.report.layout import note
from jaxnet.outputs.report.markup import (
    Html,
    counted,
    element,
    figure_of,
    is_number,
    join,
    name,
    percent,
    shorten,
)
from jaxnet.outputs.report.reading import Records

_TILES = {
    "binary": ("accuracy", "roc_auc", "pr_auc", "f1", "log_loss", "ece"),
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "ece"),
    "multilabel": ("micro_f1", "macro_f1", "subset_accuracy", "pr_auc", "log_loss", "ece"),
}
# Of a model whose outputs are not known as a whole: how good the best labels of a row are.
_OF_BEST = ("precision_at_1", "precision_at_5", "ndcg_at_5", "psp_at_5", "micro_f1", "log_loss")
_SHARES = {"accuracy", "subset_accuracy"}


def header(records: Records) -> Html:
    """Everything above the first section."""
    bar = baseline.of_part(records, records.part)
    return element(
        "header",
        element("p", _kicker(records), class_="kicker"),
        element("h1", name(records.name, 120)),
        _state(records),
        element("p", verdict(records, bar), class_="verdict") if _scored(records) else None,
        _tiles(records, bar),
        *(note(sentence) for sentence in records.missing),
    )


def _scored(records: Records) -> bool:
    return bool(records.scores(records.part))


def _kicker(records: Records) -> str:
    words_ = ["jaxnet", words.TASKS.get(records.task, "a classifier")]
    try:
        begun = datetime.fromisoformat(str(records.event("started")["time"]))
    except (KeyError, ValueError):
        return " · ".join(words_)
    return " · ".join([*words_, f"{begun.day} {begun:%B %Y, %H:%M} {begun.tzname() or ''}".strip()])


def _state(records: Records) -> Html | None:
    """A run that did not finish says so before anything else."""
    state = str(records.status.get("state", "finished"))
    said = shorten(records.status.get("error") or "", 1000)
    if state == "finished":
        return None
    texts = {
        "failed": "This run failed, and what follows is what it left. ",
        "stopped": "This run was stopped before its end. ",
        "running": "This run has not ended yet. ",
    }
    return note(texts.get(state, f"State of this run: {shorten(state)}. "), said, kind="warning")


def verdict(records: Records, bar: Baseline) -> Html:
    """How good the model is, beside one that looks at no column."""
    scores, part = records.scores(records.part), records.part
    rows = records.summary(part).get("rows")
    where = (
        f"On {counted(rows, f'{words.part(part)} row')}"
        if is_number(rows)
        else (f"On the {words.part(part)} rows")
    )
    if records.task == "multilabel":
        said = _by_log_loss(where, scores.get("log_loss"), bar)
        return join([said, _of_likeliest(records)])
    accuracy = scores.get("accuracy")
    if not is_number(accuracy):
        return join([where, " the share of right decisions is not known."])
    sentences: list[str] = [f"{where} the model is right for {percent(accuracy)}"]
    if bar.accuracy is None:
        sentences.append(".")
    else:
        sentences += ["; always answering \N{LEFT DOUBLE QUOTATION MARK}", name(bar.always, 40)]
        sentences.append(
            f"\N{RIGHT DOUBLE QUOTATION MARK} would be right for {percent(bar.accuracy)}."
        )
    sentences.append(_judged(accuracy, scores.get("log_loss"), bar))
    return join(sentences)


def _judged(accuracy: float, loss: object, bar: Baseline) -> str:
    """Log loss beside the baseline's, and a plain word where the model clears neither."""
    if bar.log_loss is None or not isinstance(loss, float | int):
        return ""
    beaten = (
        f" Its log loss is {figure_of(loss)}, against {figure_of(bar.log_loss)} of a model that "
        "knows only how common each class is."
    )
    if loss < bar.log_loss and (bar.accuracy is None or accuracy > bar.accuracy):
        return beaten
    if loss >= bar.log_loss:
        return beaten + " By that measure it has learned nothing that helps: do not rely on it."
    return beaten + " Its probabilities carry information; its decisions are no better."


def _by_log_loss(where: str, loss: object, bar: Baseline) -> Html:
    if not isinstance(loss, float | int):
        return join([where, " the log loss is not known."])
    text = f"{where} the log loss of a label is {figure_of(loss)}"
    if bar.log_loss is None:
        return join([text, " on average."])
    text += (
        f" on average, against {figure_of(bar.log_loss)} of a model that knows only how common "
        "each label is."
    )
    if loss >= bar.log_loss:
        text += " By that measure it has learned nothing that helps: do not rely on it."
    return join([text])


def _of_likeliest(records: Records) -> str:
    """In words how often the likeliest label is right, where that is what is known of a model."""
    share = records.scores(records.part).get("precision_at_1")
    if not _is_of_best(records) or not is_number(share):
        return ""
    return f" The likeliest label of a row is one of its own for {percent(share)} of the rows."


def _is_of_best(records: Records) -> bool:
    """Whether only the best labels of each row are known, so that no curve has an area."""
    scores = records.scores(records.part)
    return is_number(scores.get("precision_at_1")) and not is_number(scores.get("pr_auc"))


def _tiles(records: Records, bar: Baseline) -> Html | None:
    scores = records.scores(records.part)
    keys = _TILES.get(records.task) or tuple(scores)[:6]
    keys = _OF_BEST if _is_of_best(records) else keys
    rows = records.summary(records.part).get("rows")
    shown = [_tile(key, scores[key], rows, bar) for key in keys if key in scores]
    if not shown:
        return None
    label = f"Key metrics of the {words.part(records.part)} rows"
    return element("dl", *shown, class_="tiles", aria_label=label)


def _tile(key: str, value: object, rows: object, bar: Baseline) -> Html:
    metric = words.metric(key)
    shown = percent(value) if key in _SHARES else figure_of(value)
    return element(
        "div",
        element("dt", metric.title),
        element("dd", shown, class_="value"),
        element("dd", _beside(key, value, rows, bar) or metric.meaning, class_="meaning"),
        class_="tile",
    )


def _beside(key: str, value: object, rows: object, bar: Baseline) -> str:
    """The range of a share, given so few rows; the baseline of a loss."""
    if key in _SHARES and is_number(value) and is_number(rows) and rows:
        low, high = interval(float(value), float(rows))
        return f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    if key == "log_loss" and bar.log_loss is not None:
        return f"0 is perfect; {figure_of(bar.log_loss)} knows nothing but the shares"
    return ""


def interval(share: float, rows: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share that was seen in so many rows.

    >>> low, high = interval(0.9, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    z = 1.959964
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    spread = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(middle - spread, 0.0), min(middle + spread, 1.0)
