"""Describes the input and output of a model of series in words, for `info`."""

from __future__ import annotations

from typing import Any

from ..features.frequency import Frequency

MAX_NAMES = 12


def describe_input(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Describe an `input` of kind series in lines of name and value.

    >>> describe_input({"columns": ["load"], "roles": ["target"], "calendar": ["day"], "missing": "drop", "scale": None,
    ...        "window": {"length": 8, "segment": 4, "season": 24, "centre": "last", "spread": "window"},
    ...        "answer": {"horizon": 6, "quantiles": [0.1, 0.5, 0.9], "head": "direct"}, "features": 12})[-1]
    ('forecasts', '6 steps ahead of load, all at once; quantiles 0.1, 0.5, 0.9')
    """
    facts = [("input", describe_columns(entry)), ("missing", MISSING[entry["missing"]])]
    if entry["calendar"]:
        facts.append(("calendar", f"the time of each step within the {', '.join(entry['calendar'])}"))
    if "times" in entry:
        facts.append(("times", describe_times(**entry["times"])))
    facts.append(("scaling", describe_scaling(entry)))
    return [*facts, ("forecasts", describe_forecasts(entry))] if entry["answer"] else facts


MISSING = {
    "error": "refused",
    "drop": "steps with one are dropped",
    "ffill": "filled with the last value seen",
    "mask": "filled with the last value seen, and marked for the model",
}


def describe_columns(entry: dict[str, Any]) -> str:
    names, roles = entry["columns"], entry["roles"]
    count = f"{len(names)} column{'s'[: len(names) != 1]}"
    if entry["answer"] is None:
        return f"{count}: {join_names(names)}"
    horizon = entry["answer"]["horizon"] if entry["answer"]["head"] == "direct" else 1
    role_names = {"target": "target", "past": "past", "known": f"known {horizon} ahead", "static": "static"}
    return f"{count}: {join_names([f'{n} ({role_names[r]})' for n, r in zip(names, roles, strict=True)])}"


def describe_times(zone: str | None, frequency: dict[str, Any] | None) -> str:
    """Describe the times in training: their frequency and their zone."""
    spacing = "irregular" if frequency is None else f"one step {Frequency(**frequency)}"
    return f"{spacing}, {'without a time zone' if zone is None else f'in the time zone {zone}'}"


def describe_scaling(entry: dict[str, Any]) -> str:
    window, scale = entry["window"], entry["scale"]
    if window is None:
        if scale is None or scale["deviation"] is None:
            return "none"
        if scale["names"] is None:
            return "standardised by the mean and deviation of training"
        series = f"{len(scale['names'])} series: {join_names(scale['names'])}"
        return f"standardised by the mean and deviation of each series in training ({series})"
    season = f", minus the values {count_steps(window['season'])} before" if window["season"] else ""
    centre = "last step" if window["centre"] == "last" else "mean"
    spread = "their own deviation" if window["spread"] == "window" else "the deviation of training"
    rows = f"{window['length'] // window['segment']} rows of {entry['features']} numbers"
    short = f"; fewer steps, at least {window['least']}, make fewer rows" if "least" in window else ""
    return f"the last {count_steps(window['length'])}{season}, minus their {centre}, divided by {spread}: {rows}{short}"


def count_steps(count: int) -> str:
    return f"{count} step{'s'[: count != 1]}"


def describe_forecasts(entry: dict[str, Any]) -> str:
    answer = entry["answer"]
    targets = [name for name, role in zip(entry["columns"], entry["roles"], strict=True) if role == "target"]
    how = "all at once" if answer["head"] == "direct" else "one after another, each fed back"
    quantiles = ", ".join(map(str, answer["quantiles"]))
    return f"{count_steps(answer['horizon'])} ahead of {join_names(targets)}, {how}; quantiles {quantiles}"


def join_names(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
