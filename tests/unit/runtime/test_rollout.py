"""Autoregressive forecasts, which feed each step back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.decode.rollout import sample
from tidegate.errors import DataError, OptionError
from tidegate.features.frequency import Frequency
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Predictor
from tidegate.verify.samples import series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(3, (0.1, 0.5, 0.9)))
ROLL = replace(LOAD, forecast=ForecastSpec(3, (0.1, 0.5, 0.9), "autoregressive"))
SENSORS = SeriesTransform(("x", "y"), ("past", "past"))
HOURS = np.datetime64("2026-01-01T00:00", "us") + np.timedelta64(1, "h") * np.arange(40)


def make_predictor(transform: SeriesTransform) -> Predictor:
    return Predictor(series_sample(transform, size=6), threads=1)


def test_paths_follow_from_the_seed() -> None:
    stream = make_predictor(ROLL).stream()
    stream.push([1.0, 2.0])
    before = stream.state
    first = stream.forecast(horizon=5, paths=40, seed=1)
    assert first.values is not None
    assert first.values.shape == (5, 1, 3)
    assert stream.state == before
    assert stream.forecast(5, 40, 1).values.tobytes() == first.values.tobytes()
    assert stream.forecast(5, 40, 2).values[1:].tobytes() != first.values[1:].tobytes()
    assert stream.forecast(3, 40, 2).values[0].tobytes() == first.values[0].tobytes()
    assert stream.scores.values.tobytes() == stream.forecast().values.tobytes()
    assert stream.forecast(1).values.tobytes() == stream.scores.values[:1].tobytes()


def test_one_path_of_a_median_is_the_model_fed_its_own_answers() -> None:
    for window in (None, Window(4, 2, 2)):
        predictor = make_predictor(replace(ROLL, forecast=ForecastSpec(4, (0.5,), "autoregressive"), window=window))
        stream = predictor.stream()
        stream.push(np.arange(8.0))
        rolled = stream.forecast(paths=1).values
        by_hand = []
        for _ in range(4):
            by_hand.append(stream.forecast(1).values[0, 0, 0])
            stream.push(by_hand[-1])
        np.testing.assert_array_equal(rolled[:, 0, 0], by_hand)


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
@pytest.mark.parametrize("window", [None, Window(2, 1, 0, "last", "training")])
def test_a_forecast_beyond_float32_is_nan_for_its_stream_alone(missing: str, window: Window | None) -> None:
    transform = replace(ROLL, missing=missing, deviation=np.array([[1e-3]]), window=window)
    two = SeriesTransform(
        ("a", "b"),
        ("target", "past"),
        missing=missing,
        mean=np.zeros((1, 2)),
        deviation=np.full((1, 2), 1e-3),
        window=window,
        forecast=transform.forecast,
    )
    pool = make_predictor(two).pool()
    pool.push([("bad", [[3e38, 3e38], [-3e38, 3e38]]), ("good", [[1.0, 2.0], [2.0, 1.0]])])
    found = pool.step(["bad", "good"], [[1.0, 2.0], [1.0, 2.0]])
    alone = make_predictor(two).stream()
    assert found[1].tobytes() == alone.push([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]).values.tobytes()
    assert np.isnan(found[0]).any(axis=(1, 2))[-1]
    assert np.isfinite(found[1]).all()


def test_past_columns_stay_and_known_ones_are_given_and_time_goes_on() -> None:
    transform = SeriesTransform(
        ("load", "sun", "holiday"),
        ("target", "past", "known"),
        ("day",),
        mean=np.zeros((1, 3)),
        deviation=np.ones((1, 3)),
        forecast=ForecastSpec(3, (0.5,), "autoregressive"),
    )
    stream, x = make_predictor(transform).stream(), np.array([[1.0, 5, 0], [2, 6, 1]])
    assert stream.push(x[0], time=HOURS[0]).reason.startswith(
        "the steps ahead need values of the known columns (holiday)"
    )
    known = np.array([[0.0], [0], [1]])
    assert stream.forecast(known=known).reason == "the time between steps is only known after two of them"
    stream.push(x[1], time=HOURS[1])
    with pytest.raises(DataError, match="the first row of known differs from what the last step had"):
        stream.forecast(known=known)
    known[0] = 1
    rolled = stream.forecast(known=known, paths=3)
    by_hand = [stream.forecast(1, known=known[:1]).values[0, 0, 0]]
    for h in (1, 2):
        stream.push([by_hand[-1], 6.0, known[h, 0]], time=HOURS[1 + h])
        by_hand.append(stream.forecast(1).values[0, 0, 0])
    np.testing.assert_array_equal(rolled.values[:, 0, 0], by_hand)
    with pytest.raises(DataError, match=r"known has shape \[2, 1\]; expected \[3, 1\]"):
        stream.forecast(known=known[:2])
    with pytest.raises(DataError, match="known has a number that is missing"):
        stream.forecast(known=known * np.nan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon is 0; expected an integer of 1 to 65536"),
        ({"paths": 0}, "paths is 0; expected an integer of 1 to 10000"),
        ({"paths": True}, "paths is True"),
        ({"seed": -1}, "seed is -1"),
        ({"known": [[1.0]]}, "known was given, and this model has no columns that are known ahead"),
    ],
)
def test_what_a_forecast_cannot_take(options: dict[str, Any], message: str) -> None:
    stream = make_predictor(ROLL).stream()
    stream.push(1.0)
    with pytest.raises(OptionError, match=message):
        stream.forecast(**options)


def test_paths_that_would_take_too_much_are_refused_and_fewer_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.runtime.rollout.MOST_NUMBERS", 8 * 9)
    stream = make_predictor(replace(ROLL, window=Window(4, 2, 3))).stream()
    stream.push(np.arange(7.0))
    with pytest.raises(OptionError, match="100 paths of a stream that remembers 8 numbers are 800 in all; .* paths=9"):
        stream.forecast()
    assert stream.forecast(paths=9).values is not None


def test_a_direct_head_goes_as_far_as_it_was_fitted() -> None:
    stream = make_predictor(LOAD).stream()
    whole = stream.push([1.0])
    assert stream.forecast(2).values.tobytes() == whole.values[:2].tobytes()
    with pytest.raises(OptionError, match="horizon is 4; this model forecasts up to 3 steps ahead"):
        stream.forecast(4)
    with pytest.raises(OptionError, match="known is for a model with an autoregressive head"):
        stream.forecast(known=[[1.0]] * 3)
    with pytest.raises(OptionError, match="this model does not forecast"):
        make_predictor(SENSORS).stream().forecast()


def test_draws_follow_the_quantiles() -> None:
    values, levels = np.array([[[-1.0, 0.0, 4.0]]]), np.array([0.1, 0.5, 0.9])
    shares = np.random.default_rng(0).random(20000)
    found = np.array([sample(values, levels, np.array([[u]]))[0, 0] for u in shares[:500]])
    many = sample(np.repeat(values, 20000, 0), levels, shares[:, None])[:, 0]
    assert many[:500].tobytes() == found.tobytes()
    np.testing.assert_allclose(np.quantile(many, [0.2, 0.5, 0.7]), [-0.75, 0.0, 2.0], atol=0.06)
    assert (many.min(), many.max()) == (-1.0, 4.0)


def test_the_first_origin_has_no_gap_wherever_it_stands() -> None:
    """The steps between are dropped, so that two origins have the same imputed step."""
    predictor = make_predictor(replace(ROLL, calendar=("day",), missing="drop"))
    x = np.array([[1.0], [np.nan], [2.0]])
    for origins in ([0, 1], [1, 0]):
        with pytest.raises(DataError, match="origin 0: the time between steps is only known after two of them"):
            predictor.forecasts(x, origins, HOURS[:3])
    stream = predictor.stream()
    stream.push(x[:2], time=HOURS[:2])
    assert predictor.forecasts(x, [1], HOURS[:3])[0].tobytes() == stream.scores.values.tobytes()


def test_steps_ahead_are_those_of_the_frequency_in_streams_and_pools() -> None:
    """After Thursday and Friday comes Monday; without a frequency, as in older files, Saturday."""
    days = np.array(["2026-01-01", "2026-01-02"], "M8[us]")
    plain = replace(ROLL, calendar=("week",), forecast=ForecastSpec(3, (0.5,), "autoregressive"))
    found = {}
    for name, frequency in (("older", None), ("business", Frequency("weekdays", weekdays="1111100"))):
        predictor = make_predictor(replace(plain, zone="", frequency=frequency))
        stream = predictor.stream()
        stream.push([1.0, 2.0], time=days)
        by_hand = stream.fork()
        rolled = stream.forecast(paths=1).values[:, 0, 0]
        ahead = ["2026-01-05", "2026-01-06"] if frequency else ["2026-01-03", "2026-01-04"]
        values = [by_hand.forecast(1).values[0, 0, 0]]
        for day in ahead:
            by_hand.push(values[-1], time=day)
            values.append(by_hand.forecast(1).values[0, 0, 0])
        assert rolled.tolist() == values
        pool = predictor.pool()
        for t, x in zip(days, (1.0, 2.0), strict=True):
            pool.push([("a", x, False, t)])
        assert pool.scores("a").values.shape == (3, 1, 1)
        found[name] = rolled.tolist()
        with pytest.raises(DataError, match="has a time zone, and the times that the model was fitted on had none"):
            stream.push(3.0, time="2026-01-07T00:00Z")
    assert found["older"] != found["business"]


def test_one_step_is_enough_where_the_frequency_is_known() -> None:
    rule = Frequency("days", 1)
    stream = make_predictor(replace(ROLL, calendar=("day",), zone="UTC", frequency=rule)).stream()
    stream.push(1.0, time="2026-01-01T00:00Z")
    assert stream.forecast().values is not None
    with pytest.raises(DataError, match="has no time zone, and the times that the model was fitted on had one"):
        stream.push(1.0, time="2026-01-02")
