"""The gradient proof: this run's loss on this run's logits, closed form against autodiff."""

from __future__ import annotations

from collections.abc import Sequence

from jaxnet.outputs.report import charts
from jaxnet.outputs.report.charts import Line
from jaxnet.outputs.report.layout import DOTS, Column, figure, grid, note, section, table
from jaxnet.outputs.report.markup import Html, counted, element, is_number, shorten
from jaxnet.outputs.report.reading import Record, Records, mapping

_FLOOR = 1e-9


def section_proof(records: Records) -> Html | None:
    """Errors by logit, and the worst of them beside the limit."""
    proof = mapping(records.evaluation.get("proof"))
    lead = (
        "The loss has its gradient written out by hand, in a form that stays exact where the "
        "network is very sure. Here it is held against a reference in double precision, "
    )
    if not proof:
        return None
    if proof.get("reason"):
        why = note(f"Not measured: {shorten(proof['reason'], 300)}.")
        return section("proof", "Gradient proof", lead + "if it was measured.", why)
    rows = proof.get("rows")
    lead += f"on {counted(rows, 'row')} of this run." if is_number(rows) else "on rows of this run."
    return section("proof", "Gradient proof", lead, grid(_picture(proof), _worst(proof)))


def _picture(proof: Record) -> Html | None:
    listed = proof.get("points")
    points = [mapping(p) for p in listed] if isinstance(listed, Sequence) else []
    x = [point.get("logit") for point in points]
    clouds = [
        Line(label, x, [point.get(key) for point in points], role, DOTS)
        for key, label, role in (
            ("autodiff", "autodiff of the usual form", "s2"),
            ("closed_form", "closed form", "s1"),
        )
    ]
    shown = [cloud for cloud in clouds if any(is_number(y) for y in cloud.y)]
    if not shown:
        return None
    limit = proof.get("limit")
    picture = charts.scatter(
        shown,
        limit if is_number(limit) and limit > 0 else None,
        floor=_FLOOR,
        key="proof",
        label=f"Relative error of the gradient by logit; {_said(proof)}",
    )
    return figure(
        "Relative error by logit",
        picture,
        "Each point is one derivative of the loss. Lower is more exact; at 1 nothing of the "
        "derivative is left. Points on the lower edge are exact to nine digits or more.",
        [cloud.key for cloud in shown],
    )


def _worst(proof: Record) -> Html:
    ok = proof.get("ok")
    words = {True: "Within the limit.", False: "Beyond the limit: do not trust this run."}
    rows = [
        (label, _error(proof.get(key)))
        for label, key in (
            ("closed form", "closed_form"),
            ("autodiff of the usual form", "autodiff"),
            ("limit", "limit"),
        )
    ]
    caption = f"Worst relative error, loss {shorten(proof.get('loss', ''), 40)}"
    columns = (Column("Gradient"), Column("Worst error", True))
    verdict = words.get(ok) if isinstance(ok, bool) else None
    kind = "warning" if ok is False else "note"
    said = note(verdict, kind=kind) if verdict else None
    return element("div", table(caption, columns, rows), said)


def _said(proof: Record) -> str:
    return (
        f"worst error {_error(proof.get('closed_form'))} in closed form, "
        f"{_error(proof.get('autodiff'))} by autodiff."
    )


def _error(value: object) -> str:
    return charts.power(value) if is_number(value) else "\N{EM DASH}"
