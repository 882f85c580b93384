"""What an export of a model of series is fed and gives, in words: only the layers are exported, not the transform."""

from __future__ import annotations

from typing import Any


def taken(entry: dict[str, Any]) -> str:
    """What a row of numbers is, of an `input` of kind series.

    >>> taken({"columns": ["load"], "calendar": [], "missing": "error", "scale": None, "features": 1,
    ...        "window": {"length": 4, "segment": 2, "season": 0, "centre": "last", "spread": "window"}})
    'rows of 1 numbers: each window of 4 steps is 2 rows from the first state, less its last step, over its deviation'
    """
    window, size = entry["window"], f"rows of {entry['features']} numbers"
    if window is None:
        scaled = entry["scale"] is not None and entry["scale"]["deviation"] is not None
        how = "a step less its series' mean, over its deviation" if scaled else "a step as it is"
        return f"{size}: {how}"
    season = f" less the one {window['season']} steps before" if window["season"] else ""
    rows = f"{window['length'] // window['segment']} rows from the first state"
    centre = "last step" if window["centre"] == "last" else "mean"
    spread = "its deviation" if window["spread"] == "window" else "the deviation of training"
    return f"{size}: each window of {window['length']} steps{season} is {rows}, less its {centre}, over {spread}"


def given(entry: dict[str, Any]) -> str:
    """What the outputs are, of an `input` of kind series with an answer; "" without."""
    answer = entry["answer"]
    if answer is None:
        return ""
    ahead = answer["horizon"] if answer["head"] == "direct" else 1
    sizes = f"{ahead} steps ahead x {entry['roles'].count('target')} targets x {len(answer['quantiles'])} quantiles"
    return f"{sizes}, in the scaled units of the rows"
