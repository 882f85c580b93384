"""Describe the input and output of an exported model of series: only its layers are exported, not the transform."""

from __future__ import annotations

from typing import Any


def describe_input(entry: dict[str, Any]) -> str:
    """Describe the rows of numbers that a model with an `input` of kind series takes.

    >>> entry = {"columns": ["load"], "calendar": [], "missing": "error", "scale": None, "features": 1,
    ...          "window": {"length": 4, "segment": 2, "season": 0, "centre": "last", "spread": "window"}}
    >>> print(describe_input(entry).removeprefix("rows of 1 numbers: "))
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


def describe_output(entry: dict[str, Any]) -> str:
    """Describe the outputs of a model that forecasts series; return "" for a model that does not."""
    forecast = entry["answer"]
    if forecast is None:
        return ""
    ahead = forecast["horizon"] if forecast["head"] == "direct" else 1
    sizes = f"{ahead} steps ahead x {entry['roles'].count('target')} targets x {len(forecast['quantiles'])} quantiles"
    return f"{sizes}, in the scaled units of the rows"
