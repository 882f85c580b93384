"""Check an input of kind `series`: how raw numbers become rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..features import frequency as rules
from ..features.calendar import PERIODS
from ..features.memory import count_bytes
from ..features.series import CENTRES, MISSING, ROLES, SPREADS, SeriesTransform
from ..features.window import MIN_LENGTH
from ..strictjson import show
from ..tensors import Array
from .expect import check_integer, check_keys, check_list, check_tensor, check_text
from .limits import MAX_COLUMNS, MAX_MEMORY_BYTES, MAX_REACH, MAX_SERIES, MAX_WIDTH

KEYS = ("kind", "columns", "roles", "calendar", "missing", "scale", "window", "features")

ZONE = re.compile(r"[+-][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
WEEKDAYS, NO_WEEKDAYS = re.compile("[01]*1[01]*(?<=^.{7})"), re.compile("")
MAX_STEP = {"microseconds": rules.END, "days": rules.END // rules.DAY, "months": 120_000, "business months": 120_000}

Value = dict[str, Any]
Tensors = Mapping[str, Array]


def check(value: Value, tensors: Tensors) -> int:
    """Check the section and return the width of the first layer's input. Raises ModelFileError."""
    check_keys("inputs.x", value, *KEYS, *({"times"} & set(value)))  # "times" is optional
    check_columns(value)
    check_names("inputs.x.calendar", value["calendar"], 0, len(PERIODS), PERIODS)
    check_choice("inputs.x.missing", value["missing"], MISSING)
    if value["scale"] is not None:
        check_scale(value, tensors)
    if value["window"] is not None:
        check_window(value["window"])
    if "times" in value:
        check_times(value["times"])
    check_combination(value)
    return check_sizes(value, SeriesTransform.from_json(value, tensors))


def check_columns(value: Value) -> None:
    check_names("inputs.x.columns", value["columns"], 1, MAX_COLUMNS)
    check_list("inputs.x.roles", value["roles"], 1, MAX_COLUMNS)
    for i, role in enumerate(value["roles"]):
        check_choice(f"inputs.x.roles[{i}]", role, ROLES[1:])
    if (roles := len(value["roles"])) != (columns := len(value["columns"])):
        raise ModelFileError(f"inputs.x.roles: has {roles} entries and inputs.x.columns {columns}; they must be equal")


def check_scale(value: Value, tensors: Tensors) -> None:
    """Check the statistics: one row for all series, or one for each series with its own; deviations are above 0."""
    section, place = value["scale"], "inputs.x.scale"
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


def check_window(value: Any) -> None:
    place = "inputs.x.window"
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


def check_times(value: Any) -> None:
    """Check the time zone of the training data, and the rule by which one step follows another."""
    place = "inputs.x.times"
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


def check_combination(value: Value) -> None:
    """Check that the keys agree with one another."""
    scale, window = value["scale"], value["window"]
    scales = scale is not None and scale["deviation"] is not None
    if value["missing"] == "mask" and scale is None:
        raise ModelFileError(
            "inputs.x.scale: is null; missing 'mask' needs the mean for columns without a known number"
        )
    if scale is not None and not scales and value["missing"] != "mask":
        raise ModelFileError("inputs.x.scale.deviation: is null; a mean without deviation is for missing 'mask' only")
    if scale is not None and scale["names"] is not None and (window is not None or not scales):
        raise ModelFileError("inputs.x.scale.names: must be null with a window or without deviations")
    if window is not None and window["spread"] == "training" and not scales:
        raise ModelFileError("inputs.x.window.spread: is 'training', which needs the deviations of inputs.x.scale")


def check_sizes(value: Value, transform: SeriesTransform) -> int:
    if (features := transform.features) > MAX_WIDTH:
        raise ModelFileError(f"inputs.x: a row has {features} numbers; at most {MAX_WIDTH} are allowed")
    if type(value["features"]) is not int or value["features"] != features:
        raise ModelFileError(f"inputs.x.features: is {show(value['features'])}; the other keys give {features}")
    if (size := count_bytes(transform)) > MAX_MEMORY_BYTES:
        raise ModelFileError(f"inputs.x: a stream must keep {size} bytes; at most {MAX_MEMORY_BYTES} are allowed")
    return features


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
    if not isinstance(value, str) or value not in choices:
        raise ModelFileError(f"{place}: is {show(value)}; expected one of {', '.join(choices)}")
