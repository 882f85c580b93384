"""The zone and frequency of the training data in a model file: they are read as written, and checked."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tidegate.errors import ModelFileError
from tidegate.features.frequency import Frequency
from tidegate.features.series import SeriesTransform
from tidegate.model import Model
from tidegate.verify.samples import series_sample

PLAIN = SeriesTransform(("x",), ("past",))
RULES = [
    None,
    Frequency("microseconds", 1),
    Frequency("days", 7),
    Frequency("weekdays", weekdays="1010100"),
    Frequency("months", 3, day=30),
    Frequency("business months", 1, day=31),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("zone", ["", "UTC", "+05:30", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_the_zone_and_the_frequency_come_back(rule: Frequency | None, zone: str) -> None:
    transform = SeriesTransform(("x",), ("past",), zone=zone, frequency=rule)
    model = series_sample(transform, size=2)
    read = SeriesTransform.from_json(Model(model.document, model.tensors).document["inputs"]["x"], model.tensors)
    assert (read.zone, read.frequency) == (zone, rule)


def test_a_file_without_them_says_nothing_of_times() -> None:
    model = series_sample(PLAIN, size=2)
    assert "times" not in model.document["inputs"]["x"]
    read = SeriesTransform.from_json(model.document["inputs"]["x"], model.tensors)
    assert (read.zone, read.frequency) == (None, None)


WEEK = {"unit": "weekdays", "every": 1, "weekdays": "1111100", "day": 0}
MONTH = {"unit": "months", "every": 1, "weekdays": "", "day": 31}


@pytest.mark.parametrize(
    ("zone", "rule", "message"),
    [
        ("../../etc/passwd", None, "zone: is '../../etc/passwd'; expected null, an offset"),
        ("/etc/passwd", None, "zone: is"),
        ("", None, "zone: is ''"),
        (1, None, "zone: is 1"),
        (None, 5, "frequency: is 5; expected an object"),
        (None, {**WEEK, "more": 1}, "unknown key 'more'"),
        (None, {**WEEK, "unit": "moons"}, "unit: is 'moons'; expected one of microseconds, days, weekdays, months"),
        (None, {**WEEK, "weekdays": "0000000"}, "weekdays: is '0000000'; expected seven of 0 and 1, one of them 1"),
        (None, {**WEEK, "weekdays": "11111001"}, "expected seven of 0 and 1"),
        (None, {**WEEK, "weekdays": "1" * 14}, "expected seven of 0 and 1"),
        (None, {**WEEK, "every": 2}, "every: is 2; expected an integer of 1 to 1"),
        (None, {**MONTH, "every": 0}, "every: is 0"),
        (None, {**MONTH, "every": 10**9}, "every: is 1000000000; expected an integer of 1 to 120000"),
        (None, {**MONTH, "every": True}, "every: is True"),
        (None, {**MONTH, "day": 32}, "day: is 32; expected an integer of 1 to 31"),
        (None, {**MONTH, "weekdays": "1111100"}, "weekdays: is '1111100'; expected '' with the unit months"),
        (None, {**MONTH, "unit": "business months", "day": 15}, "day: is 15; for business months it must be 1 or 31"),
        (None, {**MONTH, "unit": "days", "day": 1}, "day: is 1; expected an integer of 0 to 0"),
        (None, {**MONTH, "unit": "days", "day": 0, "every": 10**18}, "every: is 1000000000000000000"),
    ],
)
def test_times_that_lie_are_refused(zone: Any, rule: Any, message: str) -> None:
    model = series_sample(PLAIN, size=2)
    document = copy.deepcopy(model.document)
    document["inputs"]["x"]["times"] = {"zone": zone, "frequency": rule}
    with pytest.raises(ModelFileError, match=f"inputs.x.times.*({message})"):
        Model(document, model.tensors)
