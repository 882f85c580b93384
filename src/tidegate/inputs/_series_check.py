"""Check the entry of a series: how raw numbers become rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..expect import check_integer, check_keys, check_list, check_tensor, check_text
from ..features import frequency as rules
from ..features.calendar import PERIODS
from ..features.series import CENTRES, MISSING, SPREADS
from ..features.window import MIN_LENGTH
from ..limits import MAX_COLUMNS, MAX_REACH, MAX_SERIES
from ..strictjson import show
from ..tensors import Array

KEYS = ("kind", "columns", "roles", "calendar", "missing", "scale", "window", "features")
ROLES = ("past", "known", "static")

ZONE = re.compile(r"[+-][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
WEEKDAYS, NO_WEEKDAYS = re.compile("[01]*1[01]*(?<=^.{7})"), re.compile("")
MAX_STEP = {"microseconds": rules.END, "days": rules.END // rules.DAY, "months": 120_000, "business months": 120_000}

Value = dict[str, Any]
Tensors = Mapping[str, Array]


def check_entry(place: str, value: Value, tensors: Tensors) -> None:
    """Check the entry, all but its sizes. Raises ModelFileError."""
    check_keys(place, value, *KEYS, *({"times"} & set(value)))  # "times" is optional
    check_columns(place, value)
    check_names(f"{place}.calendar", value["calendar"], 0, len(PERIODS), PERIODS)
    check_choice(f"{place}.missing", value["missing"], MISSING)
    if value["scale"] is not None:
        check_scale(f"{place}.scale", value, tensors)
    if value["window"] is not None:
        check_window(f"{place}.window", value["window"])
    if "times" in value:
        check_times(f"{place}.times", value["times"])
    check_combination(place, value)


def check_columns(place: str, value: Value) -> None:
    check_names(f"{place}.columns", value["columns"], 1, MAX_COLUMNS)
    check_list(f"{place}.roles", value["roles"], 1, MAX_COLUMNS)
    for i, role in enumerate(value["roles"]):
        check_choice(f"{place}.roles[{i}]", role, ROLES)
    if (roles := len(value["roles"])) != (columns := len(value["columns"])):
        raise ModelFileError(f"{place}.roles: has {roles} entries and {place}.columns {columns}; they must be equal")


def check_scale(place: str, value: Value, tensors: Tensors) -> None:
    """Check the statistics: one row for all series, or one for each series with its own; deviations are above 0."""
    section = value["scale"]
    check_keys(place, section, "names", "mean", "deviation")
    if section["names"] is not None:
        check_names(f"{place}.names", section["names"], 1, MAX_SERIES)
    shape = (1 if section["names"] is None else len(section["names"]), len(value["columns"]))
    check_statistic(f"{place}.mean", section["mean"], tensors, shape)
    if section["deviation"] is None:
        return
    check_statistic(f"{place}.deviation", section["deviation"], tensors, shape)
    numbers = tensors[section["deviation"]]
    if not (numbers > 0).all():
        least = float(numbers.min())
        raise ModelFileError(f"{place}.deviation: has {least}; a deviation must be greater than 0")


def check_statistic(place: str, name: Any, tensors: Tensors, shape: tuple[int, int]) -> None:
    """Check a tensor of float64, or of float32, which older files have."""
    older = isinstance(name, str) and name in tensors and tensors[name].dtype == np.float32
    check_tensor(place, name, tensors, "F32" if older else "F64", shape)


def check_window(place: str, value: Any) -> None:
    optional = ("least",) if isinstance(value, dict) and "least" in value else ()
    check_keys(place, value, "length", "segment", "season", "centre", "spread", *optional)
    length = check_integer(f"{place}.length", value["length"], 1, MAX_REACH)
    segment = check_integer(f"{place}.segment", value["segment"], 1, length)
    season = check_integer(f"{place}.season", value["season"], 0, MAX_REACH - length)
    if optional:
        check_integer(f"{place}.least", value["least"], MIN_LENGTH, length + season)
    if length % segment:
        raise ModelFileError(f"{place}.segment: is {segment}, which does not divide the window's length, {length}")
    check_choice(f"{place}.centre", value["centre"], CENTRES)
    check_choice(f"{place}.spread", value["spread"], SPREADS)


def check_times(place: str, value: Any) -> None:
    """Check the time zone of the training data, and the rule by which one step follows another."""
    check_keys(place, value, "zone", "frequency")
    zone, rule = value["zone"], value["frequency"]
    if zone is not None and not (isinstance(zone, str) and ZONE.fullmatch(zone)):
        raise ModelFileError(f"{place}.zone: is {show(zone)}; expected null, an offset such as '+01:00', or a name")
    if rule is None:
        return
    place = f"{place}.frequency"
    check_keys(place, rule, "unit", "every", "weekdays", "day")
    check_choice(f"{place}.unit", rule["unit"], rules.UNITS)
    unit = rule["unit"]
    check_integer(f"{place}.every", rule["every"], 1, 1 if unit == "weekdays" else MAX_STEP[unit])
    expected = WEEKDAYS if unit == "weekdays" else NO_WEEKDAYS
    if not isinstance(rule["weekdays"], str) or not expected.fullmatch(rule["weekdays"]):
        expected_text = "seven of 0 and 1, one of them 1" if unit == "weekdays" else f"'' with the unit {unit}"
        raise ModelFileError(f"{place}.weekdays: is {show(rule['weekdays'])}; expected {expected_text}")
    day = check_integer(f"{place}.day", rule["day"], *((1, rules.LAST) if "months" in unit else (0, 0)))
    if unit == "business months" and day not in (1, rules.LAST):
        raise ModelFileError(f"{place}.day: is {day}; for business months it must be 1 or {rules.LAST}")


def check_combination(place: str, value: Value) -> None:
    """Check that the keys agree with one another."""
    scale, window = value["scale"], value["window"]
    scales = scale is not None and scale["deviation"] is not None
    if value["missing"] == "mask" and scale is None:
        raise ModelFileError(
            f"{place}.scale: is null; missing 'mask' needs the mean, for columns without a known number"
        )
    if scale is not None and not scales and value["missing"] != "mask":
        raise ModelFileError(f"{place}.scale.deviation: is null; a mean without deviation is for missing 'mask' only")
    if scale is not None and scale["names"] is not None and (window is not None or not scales):
        raise ModelFileError(f"{place}.scale.names: must be null with a window or without deviations")
    if window is not None and window["spread"] == "training" and not scales:
        raise ModelFileError(f"{place}.window.spread: is 'training', which needs the deviations of {place}.scale")


def check_names(place: str, value: Any, least: int, most: int, choices: tuple[str, ...] | None = None) -> None:
    """Check a list of different, non-empty strings."""
    check_list(place, value, least, most)
    for i, name in enumerate(value):
        check_text(f"{place}[{i}]", name)
        if choices is not None:
            check_choice(f"{place}[{i}]", name, choices)
    if len(set(value)) != len(value):
        ordered = sorted(value)
        repeated = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"{place}: {show(repeated)} appears twice; each entry must appear once")


def check_choice(place: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ModelFileError unless the value is one of these strings."""
    if not isinstance(value, str) or value not in choices:
        raise ModelFileError(f"{place}: is {show(value)}; expected one of {', '.join(choices)}")
