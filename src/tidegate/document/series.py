"""The `input` of kind `series`: raw numbers to rows, and outputs to forecasts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..features import frequency as rules
from ..features.calendar import PERIODS
from ..features.memory import memory_bytes
from ..features.series import CENTRES, HEADS, MISSING, ROLES, SPREADS, SeriesTransform
from ..features.window import FEWEST
from ..strictjson import show
from ..tensors import Array
from .expect import keys, listed, tensor, text, whole
from .limits import MAX_COLUMNS, MAX_HORIZON, MAX_MEMORY_BYTES, MAX_QUANTILES, MAX_REACH, MAX_SERIES, MAX_WIDTH

KEYS = ("kind", "columns", "roles", "calendar", "missing", "scale", "window", "answer", "features")

ZONE = re.compile(r"[+-][0-2][0-9]:[0-5][0-9](:[0-5][0-9])?|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")
WEEKDAYS, NO_WEEKDAYS = re.compile("[01]*1[01]*(?<=^.{7})"), re.compile("")
MAX_STEP = {"microseconds": rules.END, "days": rules.END // rules.DAY, "months": 120_000, "business months": 120_000}

Value = dict[str, Any]
Tensors = Mapping[str, Array]


def check(value: Value, tensors: Tensors) -> int:
    """The width that the first layer gets. Raises ModelFileError."""
    keys("input", value, *KEYS, *({"times"} & set(value)))  # which files that tell of no times leave out
    columns(value)
    named("input.calendar", value["calendar"], 0, len(PERIODS), PERIODS)
    one_of("input.missing", value["missing"], MISSING)
    if value["scale"] is not None:
        scale(value, tensors)
    if value["window"] is not None:
        window(value["window"])
    if value["answer"] is not None:
        answer(value)
    if "times" in value:
        times(value["times"])
    together(value)
    return sizes(value, SeriesTransform.from_json(value, tensors))


def columns(value: Value) -> None:
    named("input.columns", value["columns"], 1, MAX_COLUMNS)
    listed("input.roles", value["roles"], 1, MAX_COLUMNS)
    for i, role in enumerate(value["roles"]):
        one_of(f"input.roles[{i}]", role, ROLES)
    if (found := len(value["roles"])) != (needed := len(value["columns"])):
        raise ModelFileError(f"input.roles: has {found} entries and input.columns {needed}; both must be equal")


def scale(value: Value, tensors: Tensors) -> None:
    """Statistics of the columns, one row for each series that is scaled by its own; every deviation above 0."""
    found, place = value["scale"], "input.scale"
    keys(place, found, "names", "mean", "deviation")
    if found["names"] is not None:
        named(f"{place}.names", found["names"], 1, MAX_SERIES)
    shape = (1 if found["names"] is None else len(found["names"]), len(value["columns"]))
    statistic(f"{place}.mean", found["mean"], tensors, shape)
    if found["deviation"] is None:
        return
    statistic(f"{place}.deviation", found["deviation"], tensors, shape)
    numbers = tensors[found["deviation"]]
    if not (numbers > 0).all():
        least = float(numbers.min())
        raise ModelFileError(f"{place}.deviation: holds {least}, and what divides must be greater than 0")


def statistic(place: str, name: Any, tensors: Tensors, shape: tuple[int, int]) -> None:
    """A tensor of float64, or of float32, which older files have."""
    older = isinstance(name, str) and name in tensors and tensors[name].dtype == np.float32
    tensor(place, name, tensors, "F32" if older else "F64", shape)


def window(found: Any) -> None:
    place = "input.window"
    optional = ("least",) if isinstance(found, dict) and "least" in found else ()
    keys(place, found, "length", "segment", "season", "centre", "spread", *optional)
    length = whole(f"{place}.length", found["length"], 1, MAX_REACH)
    segment = whole(f"{place}.segment", found["segment"], 1, length)
    season = whole(f"{place}.season", found["season"], 0, MAX_REACH - length)
    if optional:
        whole(f"{place}.least", found["least"], FEWEST, length + season)
    if length % segment:
        raise ModelFileError(f"{place}.segment: is {segment}, which does not divide the window's length, {length}")
    one_of(f"{place}.centre", found["centre"], CENTRES)
    one_of(f"{place}.spread", found["spread"], SPREADS)


def answer(value: Value) -> None:
    found, place = value["answer"], "input.answer"
    keys(place, found, "horizon", "quantiles", "head")
    horizon = whole(f"{place}.horizon", found["horizon"], 1, MAX_HORIZON)
    listed(f"{place}.quantiles", found["quantiles"], 1, MAX_QUANTILES)
    for i, q in enumerate(found["quantiles"]):
        if type(q) is not float or not 0 < q < 1:
            raise ModelFileError(f"{place}.quantiles[{i}]: is {show(q)}; expected a number between 0 and 1")
    if not all(a < b for a, b in pairwise(found["quantiles"])):
        raise ModelFileError(f"{place}.quantiles: are {show(found['quantiles'])}; each must be greater than the last")
    one_of(f"{place}.head", found["head"], HEADS)
    if not (targets := value["roles"].count("target")):
        raise ModelFileError("input.roles: has no 'target', and with an answer there must be one to forecast")
    if (count := horizon * targets * len(found["quantiles"])) > MAX_WIDTH:
        raise ModelFileError(f"{place}: a forecast has {count} numbers; at most {MAX_WIDTH} are allowed")


def times(found: Any) -> None:
    """The zone of the times in training, and the rule by which one step follows another."""
    place = "input.times"
    keys(place, found, "zone", "frequency")
    zone, rule = found["zone"], found["frequency"]
    if zone is not None and not (isinstance(zone, str) and ZONE.fullmatch(zone)):
        raise ModelFileError(f"{place}.zone: is {show(zone)}; expected null, an offset such as '+01:00', or a name")
    if rule is None:
        return
    place = f"{place}.frequency"
    keys(place, rule, "unit", "every", "weekdays", "day")
    one_of(f"{place}.unit", rule["unit"], rules.UNITS)
    unit = rule["unit"]
    whole(f"{place}.every", rule["every"], 1, 1 if unit == "weekdays" else MAX_STEP[unit])
    expected = WEEKDAYS if unit == "weekdays" else NO_WEEKDAYS
    if not isinstance(rule["weekdays"], str) or not expected.fullmatch(rule["weekdays"]):
        wanted = "seven of 0 and 1, one of them 1" if unit == "weekdays" else f"'' with the unit {unit}"
        raise ModelFileError(f"{place}.weekdays: is {show(rule['weekdays'])}; expected {wanted}")
    day = whole(f"{place}.day", rule["day"], *((1, rules.LAST) if "months" in unit else (0, 0)))
    if unit == "business months" and day not in (1, rules.LAST):
        raise ModelFileError(f"{place}.day: is {day}; of business months it is 1 or {rules.LAST}")


def together(value: Value) -> None:
    """What one key asks of the others."""
    scale, window = value["scale"], value["window"]
    scales = scale is not None and scale["deviation"] is not None
    if value["missing"] == "mask" and scale is None:
        raise ModelFileError("input.scale: is null; missing 'mask' needs the mean, for what was never seen")
    if scale is not None and not scales and value["missing"] != "mask":
        raise ModelFileError("input.scale.deviation: is null; the mean alone is for missing 'mask' only")
    if scale is not None and scale["names"] is not None and (window is not None or not scales):
        raise ModelFileError("input.scale.names: only without a window, and with deviations, has a series its own")
    if window is not None and window["spread"] == "training" and not scales:
        raise ModelFileError("input.window.spread: is 'training', which needs the deviations of input.scale")
    if value["answer"] is not None and window is None and not scales:
        raise ModelFileError("input.answer: needs a window, or means and deviations, to bring outputs to their units")


def sizes(value: Value, transform: SeriesTransform) -> int:
    if (features := transform.features) > MAX_WIDTH:
        raise ModelFileError(f"input: a row has {features} numbers; at most {MAX_WIDTH} are allowed")
    if type(value["features"]) is not int or value["features"] != features:
        raise ModelFileError(f"input.features: is {show(value['features'])}; the keys beside it give {features}")
    if (held := memory_bytes(transform)) > MAX_MEMORY_BYTES:
        raise ModelFileError(f"input: a stream must keep {held} bytes; at most {MAX_MEMORY_BYTES} are allowed")
    return features


def named(place: str, value: Any, least: int, most: int, choices: tuple[str, ...] | None = None) -> None:
    """A list of strings, none empty and none twice."""
    listed(place, value, least, most)
    for i, name in enumerate(value):
        text(f"{place}[{i}]", name)
        if choices is not None:
            one_of(f"{place}[{i}]", name, choices)
    if len(set(value)) != len(value):
        ordered = sorted(value)
        twice = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"{place}: {show(twice)} stands twice; each must be there once")


def one_of(place: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ModelFileError(f"{place}: is {show(value)}; expected one of {', '.join(choices)}")
