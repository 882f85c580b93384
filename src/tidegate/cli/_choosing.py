"""What `fit` says of folds and of a search, from the provenance of the model."""

from __future__ import annotations

from typing import Any

from ..text_tables import format_count, format_number, format_table, join_items

MAX_TRIALS = 5


def format_report(provenance: dict[str, Any], width: int) -> str:
    """Format what was measured in folds and what a search found; "" where there was neither. width: of the terminal."""
    folds, found = provenance.get("folds"), provenance.get("search")
    parts = [] if found is None else [format_search(found, folds, width)]
    return "\n".join([*parts, *([] if folds is None else [format_folds(folds, width)])])


def format_folds(folds: dict[str, Any], width: int = 80) -> str:
    """Format the figures of folds: the mean and the standard deviation of each.

    >>> print(format_folds({"count": 5, "mean": {"accuracy": 0.9321}, "deviation": {"accuracy": 0.0062}}))
    accuracy 0.932 ± 0.006 in 5 folds
    """
    figures = [f"{spell(name)} {spread(mean, folds['deviation'][name])}" for name, mean in folds["mean"].items()]
    return join_items([f"{', '.join(figures)} in {folds['count']} folds"], width)


def spread(mean: float, deviation: float) -> str:
    """Format a mean and its deviation with the same number of decimals.

    >>> spread(0.9321, 0.0062), spread(231.44, 12.3)
    ('0.932 ± 0.006', '231 ± 12')
    """
    decimals = 3 if abs(mean) < 10 else 1 if abs(mean) < 100 else 0
    return f"{mean:,.{decimals}f} ± {deviation:,.{decimals}f}"


def format_search(found: dict[str, Any], folds: dict[str, Any] | None, width: int) -> str:
    """Format what a search found: the defaults and the best, the best trials, and what the figures are worth."""
    metric, best, defaults = spell(found["metric"]), found["best"], found["each"][0]["options"]
    ended = [
        f"{found[how]} {words}" for how, words in (("pruned", "stopped early"), ("failed", "failed")) if found[how]
    ]
    where = "held-out rows" if folds is None else f"{folds['count']} folds"
    lines = [f"search: {', '.join([format_count(found['trials'], 'trial'), *ended])}; {metric} on {where}:"]
    lines.append(f"defaults {number(found['default'])}, best {number(best['figure'])}")
    finished = [one for one in found["each"] if one["figure"] is not None]
    ordered = sorted(finished, key=lambda one: one["figure"] if found["lower"] else -one["figure"])[:MAX_TRIALS]
    rows = [[one["trial"], number(one["figure"]), describe(one["options"], defaults)] for one in ordered]
    parts = [join_items(lines, width, " "), format_table(["trial", "figure", "options"], rows, 1, True, width)]
    if found["importance"]:
        shares = ", ".join(f"{spell(name)} {share:.0%}" for name, share in found["importance"].items())
        parts.append(join_items([f"what makes the difference: {shares}"], width))
    return "\n".join([*parts, join_items(warn(found), width)])


def describe(options: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Describe in words the options of a trial that differ from the defaults.

    >>> describe({"rate": 0.001, "hidden": 64}, {"rate": 0.003, "hidden": 64})
    'rate 0.001'
    """
    return ", ".join(f"{spell(k)} {v}" for k, v in options.items() if v != defaults[k]) or "the defaults"


def warn(found: dict[str, Any]) -> list[str]:
    """Say what the figures of a search are worth, in sentences."""
    noise, gain = found["noise"]["standard_error"], abs(found["best"]["figure"] - found["default"])
    error = "" if noise is None else f" One standard error of {found['noise']['of']} is {number(noise)}."
    if found["best"]["trial"] == 1:
        return [f"No trial is better than the defaults, which the model has.{error}"]
    flattery = f"The best of {found['trials']} figures flatters, as it was chosen by the rows that it is measured on."
    if noise is not None and gain <= noise:
        verdict = "The best is no better than the defaults by more than that, so the difference may be chance."
        return [flattery + error, verdict]
    return [flattery + error + " Measure the model on other rows with tidegate score."]


def spell(name: str) -> str:
    return name.replace("_", " ")


def number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else format_number(value)
