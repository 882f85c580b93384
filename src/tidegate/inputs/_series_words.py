"""Describes a series, and the rows that are made of it, in words for `info` and for exports."""

from __future__ import annotations

from typing import Any

from ..features.frequency import Frequency
from ..features.series import SeriesTransform
from ..text_tables import join_names


def describe_series(entry: dict[str, Any], transform: SeriesTransform) -> list[tuple[str, str]]:
    """Describe the entry of a series in lines of name and value. transform: with what outputs forecast of it.

    >>> entry = {"columns": ["load"], "roles": ["past"], "calendar": ["day"], "missing": "drop", "scale": None,
    ...          "window": {"length": 8, "segment": 4, "season": 0, "centre": "last", "spread": "window"},
    ...          "features": 12}
    >>> for name, value in describe_series(entry, SeriesTransform.from_json(entry, {})):
    ...     print(f"{name}: {value}")
    input: 1 column: load
    missing: steps with one are dropped
    calendar: the time of each step within the day
    scaling: the last 8 steps, minus their last step, divided by their own deviation: 2 rows of 12 numbers
    """
    facts = [("input", describe_columns(transform)), ("missing", MISSING[entry["missing"]])]
    if entry["calendar"]:
        facts.append(("calendar", f"the time of each step within the {', '.join(entry['calendar'])}"))
    if "times" in entry:
        facts.append(("times", describe_times(**entry["times"])))
    return [*facts, ("scaling", describe_scaling(entry))]


MISSING = {
    "error": "refused",
    "drop": "steps with one are dropped",
    "ffill": "filled with the last value seen",
    "mask": "filled with the last value seen, and marked for the model",
}


def describe_columns(transform: SeriesTransform) -> str:
    names = transform.columns
    count = f"{len(names)} column{'s'[: len(names) != 1]}"
    if transform.forecast is None:
        return f"{count}: {join_names(names)}"
    role_names = {"known": f"known {transform.forecast.output_horizon} ahead"}
    roles = [role_names.get(role, role) for role in transform.roles]
    return f"{count}: {join_names([f'{n} ({r})' for n, r in zip(names, roles, strict=True)])}"


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


def describe_rows(entry: dict[str, Any]) -> str:
    """Describe the rows of numbers that the layers take.

    >>> entry = {"columns": ["load"], "calendar": [], "missing": "error", "scale": None, "features": 1,
    ...          "window": {"length": 4, "segment": 2, "season": 0, "centre": "last", "spread": "window"}}
    >>> print(describe_rows(entry).removeprefix("rows of 1 numbers: "))
    each window of 4 steps, minus its last step and divided by its deviation, is 2 rows from the initial state
    """
    window, size = entry["window"], f"rows of {entry['features']} numbers"
    if window is None:
        scaled = entry["scale"] is not None and entry["scale"]["deviation"] is not None
        how = "each step minus the mean of its series, divided by the deviation" if scaled else "each step, unscaled"
        return f"{size}: {how}"
    season = f" (minus the values {window['season']} steps earlier)" if window["season"] else ""
    rows = f"{window['length'] // window['segment']} rows"
    centre = "last step" if window["centre"] == "last" else "mean"
    spread = "its deviation" if window["spread"] == "window" else "the deviation in training"
    scaling = f"minus its {centre} and divided by {spread}"
    return f"{size}: each window of {window['length']} steps{season}, {scaling}, is {rows} from the initial state"
