"""Where the time went, and all it takes to run the same again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxnet.outputs.report.layout import Column, bar, fold, section, table
from jaxnet.outputs.report.markup import (
    Html,
    element,
    is_number,
    percent,
    seconds,
    shorten,
)
from jaxnet.outputs.report.reading import Records, mapping

_STEPS = {
    "read": "reading and encoding the data",
    "compile": "compiling the training program",
    "train": "training",
    "evaluate": "evaluation",
}


def section_timings(records: Records) -> Html | None:
    """A row a step, a bar for its share of the whole."""
    spent = mapping(records.event("finished").get("seconds"))
    known = {key: float(value) for key, value in spent.items() if is_number(value)}
    parts = {key: value for key, value in known.items() if key != "total"}
    if not parts:
        return None
    total = known.get("total") or sum(parts.values())
    rest = total - sum(parts.values())
    if rest > 0.005 * total:
        parts["rest"] = rest
    total = total or 1.0
    rows = [
        (
            _STEPS.get(key, "everything else" if key == "rest" else shorten(key)).capitalize(),
            bar(value / total),
            seconds(value),
            percent(value / total),
        )
        for key, value in parts.items()
    ]
    columns = (Column("Step"), Column(""), Column("Time", True), Column("Share", True))
    return section(
        "timings",
        "Time",
        f"{seconds(total)} from the first line to the last; compiling is remembered for later "
        "runs of the same shape.",
        table("Where the time went", columns, rows),
    )


def section_repeating(records: Records) -> Html | None:
    """Versions, seed, device, command and config."""
    started, settings = records.event("started"), _settings(records.config)
    facts: dict[str, Any] = {
        "Seed": mapping(settings.get("training")).get("seed"),
        "Network": _network(settings),
        "Loss": _chosen(settings, "loss", "name", "gradient"),
        "Optimizer": _chosen(settings, "optimizer", "name", "learning_rate"),
        "jaxnet": started.get("jaxnet"),
        **mapping(started.get("versions")),
        "Device": started.get("device"),
    }
    listed = [
        element("div", element("dt", shorten(key)), element("dd", shorten(value, 200)))
        for key, value in facts.items()
        if value not in (None, "")
    ]
    command = started.get("command")
    if not listed and not command and not records.config:
        return None
    config = element("pre", element("code", records.config), tabindex="0")
    return section(
        "repeating",
        "Running it again",
        "The same config, data, versions, kind of device and number of threads give the same "
        "model, bit for bit.",
        element("pre", element("code", shorten(command, 2000)), tabindex="0") if command else None,
        element("dl", *listed, class_="facts") if listed else None,
        fold("The whole config, every default filled in", config) if records.config else None,
    )


def _settings(config: str) -> Mapping[str, Any]:
    """The config as values, for a few facts; its text is what counts."""
    import yaml

    try:
        return mapping(yaml.safe_load(config))
    except yaml.YAMLError:
        return {}


def _network(settings: Mapping[str, Any]) -> str | None:
    model = mapping(settings.get("model"))
    hidden = model.get("hidden")
    if not isinstance(hidden, list):
        return None
    units = " \N{RIGHTWARDS ARROW} ".join(str(n) for n in hidden)
    if not hidden:
        return "linear, no hidden layer"
    return f"hidden layers {units}, {model.get('activation', '')}".rstrip(", ")


def _chosen(settings: Mapping[str, Any], key: str, *names: str) -> str | None:
    found = mapping(settings.get(key))
    return ", ".join(str(found[name]) for name in names if name in found) or None
