"""What a model of series takes and gives, in words, for `info`."""

from __future__ import annotations

from typing import Any

from ..features.frequency import Frequency

MAX_NAMES = 12


def describe_input(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines about an `input` of kind series.

    >>> facts({"columns": ["load"], "roles": ["target"], "calendar": ["day"], "missing": "drop", "scale": None,
    ...        "window": {"length": 8, "segment": 4, "season": 24, "centre": "last", "spread": "window"},
    ...        "answer": {"horizon": 6, "quantiles": [0.1, 0.5, 0.9], "head": "direct"}, "features": 12})[-1]
    ('forecasts', '6 steps ahead of load, all at once; quantiles 0.1, 0.5, 0.9')
    """
    facts = [("input", describe_columns(entry)), ("missing numbers", MISSING[entry["missing"]])]
    if entry["calendar"]:
        facts.append(("calendar", f"each step's time in its {', '.join(entry['calendar'])}"))
    if "times" in entry:
        facts.append(("times", describe_times(**entry["times"])))
    facts.append(("scaling", describe_scaling(entry)))
    return [*facts, ("forecasts", describe_forecasts(entry))] if entry["answer"] else facts


MISSING = {
    "error": "refused",
    "drop": "a step with one does not count",
    "ffill": "filled with the last one seen",
    "mask": "filled with the last one seen, and the model is told",
}


def describe_columns(entry: dict[str, Any]) -> str:
    names, roles = entry["columns"], entry["roles"]
    count = f"{len(names)} column{'s'[: len(names) != 1]}"
    if entry["answer"] is None:
        return f"{count}: {join_names(names)}"
    horizon = entry["answer"]["horizon"] if entry["answer"]["head"] == "direct" else 1
    said = {"target": "target", "past": "past", "known": f"known {horizon} ahead", "static": "static"}
    return f"{count}: {join_names([f'{n} ({said[r]})' for n, r in zip(names, roles, strict=True)])}"


def describe_times(zone: str | None, frequency: dict[str, Any] | None) -> str:
    """The times in training: by which frequency they followed each other, and their zone."""
    followed = "steps at no regular times" if frequency is None else f"one step {Frequency(**frequency)}"
    return f"{followed}, {'without a zone' if zone is None else f'in the zone {zone}'}"


def describe_scaling(entry: dict[str, Any]) -> str:
    window, scale = entry["window"], entry["scale"]
    if window is None:
        if scale is None or scale["deviation"] is None:
            return "as they are"
        if scale["names"] is None:
            return "less the mean of training, over its deviation"
        return f"by statistics of training for each of {len(scale['names'])} series: {join_names(scale['names'])}"
    season = f", each less the one {window['season']} steps before" if window["season"] else ""
    centre = "last step" if window["centre"] == "last" else "mean"
    spread = "their own deviation" if window["spread"] == "window" else "the deviation of training"
    rows = f"{window['length'] // window['segment']} rows of {entry['features']} numbers"
    short = f"; of fewer, from {window['least']} on, as many as there are" if "least" in window else ""
    return f"window of the last {window['length']} steps{season}, less their {centre}, over {spread}: {rows}{short}"


def describe_forecasts(entry: dict[str, Any]) -> str:
    answer = entry["answer"]
    targets = [name for name, role in zip(entry["columns"], entry["roles"], strict=True) if role == "target"]
    how = "all at once" if answer["head"] == "direct" else "one after the other, each fed back"
    quantiles = ", ".join(map(str, answer["quantiles"]))
    return f"{answer['horizon']} steps ahead of {join_names(targets)}, {how}; quantiles {quantiles}"


def join_names(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
