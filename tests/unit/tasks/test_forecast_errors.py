"""Errors of forecasts by channel and by series, each compared with values computed by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tidegate.data.series import from_arrays
from tidegate.tasks._channels import split_channels
from tidegate.tasks._forecast_errors import Part, name_parts, score_parts, score_points

nan = math.nan


def part(series: str, scale: list[float], **errors: list[list[float]]) -> Part:
    """A part whose forecasts exceed a truth of 10 by the errors of each target, [origins, horizon]."""
    error = np.stack([np.array(of) for of in errors.values()], -1)
    truth = np.where(np.isnan(error), nan, 10.0)
    return Part(series, tuple(errors), (10 + np.nan_to_num(error))[..., None], truth, np.array(scale))


TOGETHER = [
    part("a", [2.0, 50.0], x=[[1, 3]], y=[[100, nan]]),
    part("b", [1.0, 0.0], x=[[5, 5], [7, 7]], y=[[10, 10], [10, 10]]),
]
APART = [each.select(name) for each in TOGETHER for name in "xy"]


@pytest.mark.parametrize("parts", [TOGETHER, APART])
def test_errors_by_channel_and_series(parts: list[Part]) -> None:
    got = score_parts(parts, [0.5])
    assert list(got["per_target"]) == ["x", "y"]
    x, y = got["per_target"].values()
    assert x["mae"] == pytest.approx((1 + 3 + 5 + 5 + 7 + 7) / 6)
    assert x["mase"] == pytest.approx((0.5 + 1.5 + 5 + 5 + 7 + 7) / 6)
    assert (y["mae"], y["mase"]) == (pytest.approx((100 + 4 * 10) / 5), pytest.approx(2.0))
    assert y["mase_reason"].startswith("4 of 5 true values have no scale")
    assert list(got["per_series"]) == ["a", "b"]
    a, b = got["per_series"].values()
    assert (a["origins"], b["origins"]) == (1, 2)
    assert (a["mae"], a["mase"]) == (pytest.approx(104 / 3), pytest.approx((0.5 + 1.5 + 2) / 3))
    assert b["per_target"]["x"]["mae"] == 6.0
    assert b["per_target"]["y"]["mase"] is None
    assert got["mase"] == pytest.approx((0.5 + 1.5 + 5 + 5 + 7 + 7 + 2) / 7)
    assert json.loads(json.dumps(got, allow_nan=False)) == got


def test_one_channel_has_no_channels_in_its_series() -> None:
    got = score_parts([part("a", [1.0], x=[[1]]), part("b", [1.0], x=[[2]])], [0.5])
    assert "per_target" not in got["per_series"]["a"]
    assert got["per_target"]["x"]["mae"] == 1.5


def test_other_forecasts_of_the_same_parts() -> None:
    points = [each.truth + 4 for each in TOGETHER]
    got = score_points(TOGETHER, points)
    assert got["mae"] == 4.0
    assert got["per_target"]["x"] == {"mae": 4.0, "mase": pytest.approx((2 + 2 + 4 * 4) / 6)}
    assert got["per_target"]["y"] == {"mae": 4.0, "mase": pytest.approx(4 / 50)}


def test_errors_in_other_units_keep_what_has_no_unit() -> None:
    units = [np.array([2.0, 100.0]), np.array([0.5, nan])]
    got = score_parts([each.in_units(unit) for each, unit in zip(TOGETHER, units, strict=True)], [0.5])
    before = score_parts(TOGETHER, [0.5])
    x, y = got["per_target"].values()
    assert x["mae"] == pytest.approx((0.5 + 1.5 + 10 + 10 + 14 + 14) / 6)
    assert x["mse"] == pytest.approx((0.25 + 2.25 + 100 + 100 + 196 + 196) / 6)
    assert y["mae"] == 1.0  # of series a alone
    for figure in ("mase", "smape", "coverage"):
        assert x[figure] == pytest.approx(before["per_target"]["x"][figure])


def test_names_of_series_and_channels() -> None:
    two = from_arrays([np.zeros((3, 2)), np.zeros((3, 2))], columns=["x", "y"], ids=["a", "b/y"])
    assert name_parts(two, ["x", "y"]) == [("a", ("x", "y")), ("b/y", ("x", "y"))]
    apart = [("a", ("x",)), ("a", ("y",)), ("b/y", ("x",)), ("b/y", ("y",))]
    assert name_parts(split_channels(two, [0, 1], []), ["value"]) == apart
    nameless = from_arrays([np.zeros((3, 2)), np.zeros((3, 2))], columns=["x", "y"])
    assert name_parts(nameless, ["x", "y"])[1] == ("series 2", ("x", "y"))
    numbered = [("series 1", ("x",)), ("series 1", ("y",)), ("series 2", ("x",)), ("series 2", ("y",))]
    assert name_parts(split_channels(nameless, [0, 1], []), ["value"]) == numbered
