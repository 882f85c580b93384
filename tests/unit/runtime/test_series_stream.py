from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, ModelFileError, OptionError, StateError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.model import Model
from tidegate.runtime import Forecast, Predictor, Scores, State
from tidegate.runtime.kept_steps import WAITS_FOR_END
from tidegate.verify.samples import sample, series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(3, (0.1, 0.5, 0.9)))
WINDOW = replace(LOAD, window=Window(4, 2, 3))
ROLL = replace(LOAD, forecast=ForecastSpec(3, (0.1, 0.5, 0.9), "autoregressive"))
SENSORS = SeriesTransform(("x", "y"), ("past", "past"))
HOURS = np.datetime64("2026-01-01T00:00", "us") + np.timedelta64(1, "h") * np.arange(40)


def make_predictor(transform: SeriesTransform, **more: Any) -> Predictor:
    return Predictor(series_sample(transform, size=6, **more), threads=1)


# ---- answers


def test_a_forecast_has_its_shape_and_is_in_order() -> None:
    forecast = make_predictor(LOAD).stream().push([[1.0], [2.0]])
    assert isinstance(forecast, Forecast)
    assert forecast.values is not None
    assert forecast.values.shape == (3, 1, 3)
    assert forecast.values.dtype == np.float64
    assert (np.diff(forecast.values, axis=-1) >= 0).all()
    assert (forecast.columns, forecast.quantiles, forecast.reason) == (["load"], [0.1, 0.5, 0.9], "")
    np.testing.assert_array_equal(forecast.median, forecast.values[..., 1])
    np.testing.assert_array_equal(forecast.quantile(0.9), forecast.values[..., 2])
    np.testing.assert_allclose(forecast.quantile(0.3), forecast.values[..., :2].mean(-1))
    assert repr(forecast) == "Forecast(load; quantiles 0.1, 0.5, 0.9)"
    shown = forecast.as_dict()
    assert shown["forecast"] == {"load": forecast.median[:, 0].tolist()}
    assert shown["quantiles"]["0.9"] == {"load": forecast.values[:, 0, 2].tolist()}


def test_outputs_that_cross_are_put_in_order() -> None:
    """The layers' own outputs are not in order, and the forecast has the same numbers."""
    predictor = make_predictor(LOAD)
    stream = predictor.stream()
    stream.push([2.0])
    raw = stream._snapshot[1].reshape(3, 1, 3).astype(np.float64)
    assert (np.diff(raw, axis=-1) < 0).any()
    np.testing.assert_array_equal(stream.scores.values, np.sort(raw, -1))


def test_a_quantile_is_found_by_a_level_that_rounding_moved() -> None:
    forecast = make_predictor(LOAD).stream().push(1.0)
    for moved, level in ((0.5 - 0.8 / 2, 0.1), (0.5 + 0.8 / 2 + 1e-16, 0.9)):
        np.testing.assert_array_equal(forecast.quantile(moved), forecast.quantile(level))
    assert 0.5 - 0.8 / 2 < 0.1


def test_no_quantile_outside_of_the_models() -> None:
    forecast = make_predictor(LOAD).stream().push(1.0)
    with pytest.raises(OptionError, match=r"quantile 0.95 is outside of the model's, 0.1 to 0.9"):
        forecast.quantile(0.95)
    with pytest.raises(OptionError, match="there is no forecast: warming up 1 of 7"):
        make_predictor(WINDOW).stream().push(1.0).quantile(0.5)
    assert "forecast" not in Forecast(np.ones((1, 1, 1)), [0.9], ["load"]).as_dict()


def test_a_stream_warms_up() -> None:
    stream = make_predictor(WINDOW).stream()
    assert stream.scores.reason == "warming up 0 of 7"
    for t in range(6):
        forecast = stream.push(float(t))
        assert (forecast.values, forecast.reason) == (None, f"warming up {t + 1} of 7")
    assert forecast.as_dict() == {"forecast": None, "reason": "warming up 6 of 7"}
    assert stream.push(6.0).values is not None
    assert stream.state.steps == 7
    assert make_predictor(LOAD).stream().scores.reason == "no step yet"
    assert make_predictor(LOAD).stream().end().reason == "the message has no step"


def test_end_forgets_the_window() -> None:
    stream = make_predictor(WINDOW).stream()
    assert stream.push(np.arange(9.0), end=True).values is not None
    assert stream.push(1.0).reason == "warming up 1 of 7"
    stream.reset()
    assert stream.state == make_predictor(WINDOW).stream().state


def test_a_window_follows_its_level() -> None:
    """The last value is subtracted, so a series plus a constant has the same forecast plus that constant."""
    x = np.array([1.0, 3, 2, 5, 4, 6, 5, 7])
    low, high = make_predictor(WINDOW).stream().push(x).values, make_predictor(WINDOW).stream().push(x + 64).values
    np.testing.assert_array_equal(low + 64, high)


def test_a_model_of_whole_windows_streams_behind_one() -> None:
    predictor = make_predictor(replace(SENSORS, window=Window(4, 1, 0, "mean", "window")), direction="both")
    assert predictor.model.streams == (True, "")
    assert predictor.model.whole_window == "it reads each input in both directions"
    x = np.random.default_rng(0).standard_normal((9, 2))
    stream = predictor.stream()
    found = [stream.push(step).values for step in x][-1]
    assert found.tobytes() == predictor.predict([x])[0].tobytes()
    assert predictor.model.keeps == 0


def test_a_forecast_from_whole_rows_comes_at_the_end() -> None:
    predictor, x = make_predictor(LOAD, direction="both"), np.random.default_rng(0).standard_normal(9)
    stream, pool = predictor.stream(), predictor.pool()
    assert stream.push(x[:5]).reason == stream.forecast().reason == pool.push_one("a", x[:5]).reason == WAITS_FOR_END
    assert np.isnan(pool.step(["a"], x[5:6])).all()
    stream.push(x[5])
    assert pool.state("a") == stream.state
    (whole,) = predictor.answers([x[:, None]])
    found = stream.push(x[6:], end=True), pool.push_one("a", x[6:], True), predictor.forecasts(x)
    assert {one.tobytes() for one in (whole.values, found[0].values, found[1].values, found[2][0])} == {
        whole.values.tobytes()
    }


def test_a_forecast_that_is_fed_back_needs_layers_that_run_step_by_step() -> None:
    predictor = make_predictor(ROLL, direction="both")
    assert predictor.model.streams == (False, "it reads each input in both directions")
    with pytest.raises(OptionError, match="streams: no, because it reads each input in both directions"):
        predictor.stream()
    document = {**predictor.model.document, "streams": {"yes": True, "keeps": 9}}
    with pytest.raises(ModelFileError, match=r"streams\.yes: is True; expected False, as an output is fed back"):
        Model(document, predictor.model.tensors)


# ---- input


def test_steps_in_every_form_are_the_same() -> None:
    states = []
    for x in (2, 2.0, [2], [2.0], [[2.0]], np.float32(2), np.array([2]), np.array([[2.0]])):
        stream = make_predictor(LOAD).stream()
        stream.push(x)
        states.append(stream.state)
    assert all(state == states[0] for state in states)
    stream = make_predictor(replace(SENSORS, missing="ffill")).stream()
    stream.push([[1, None], [None, 2.5]])
    assert stream.state.steps == 1


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (3.0, r"shape \[\]; expected \[2\] for one step, or \[T, 2\] for several \('x', 'y'\)"),
        ([1.0, 2.0, 3.0], r"shape \[3\]; expected \[2\]"),
        (np.zeros((2, 3)), r"shape \[2, 3\]"),
        ("1, 2", "this model takes numbers; str"),
        (["1", "2"], "this model takes numbers; list of <U1"),
        ([None, "2"], "this model takes numbers; list of object"),
        ([[1, 2], [3]], "the numbers are not an array"),
        ([1.0, None], "step 0, 'y': NaN, and this model was fitted with --missing error; fill it"),
        ([[1.0, 2.0], [np.inf, 1.0]], "step 1, 'x': is infinite; correct it"),
    ],
)
def test_steps_that_are_refused_change_nothing(x: Any, message: str) -> None:
    predictor = make_predictor(SENSORS)
    stream, pool = predictor.stream(), predictor.pool()
    stream.push([1.0, 2.0])
    pool.push([("a", [1.0, 2.0])])
    with pytest.raises(DataError, match=message):
        stream.push(x)
    with pytest.raises(DataError, match="event 1: " + message):
        pool.push([("a", [1.0, 2.0]), ("a", x)])
    other = predictor.stream()
    other.push([1.0, 2.0])
    assert stream.state == other.state == pool.state("a")


def test_times_are_needed_exactly_with_a_calendar() -> None:
    timed = make_predictor(replace(LOAD, calendar=("day",)))
    stream = timed.stream()
    with pytest.raises(DataError, match=r"this model uses the calendar \(day\); give the time of each step"):
        stream.push(1.0)
    with pytest.raises(DataError, match="there are 2 steps and 3 times; each step has one"):
        stream.push([1.0, 2.0], time=HOURS[:3])
    with pytest.raises(DataError, match="times were given, and this model uses no calendar; leave them out"):
        make_predictor(LOAD).stream().push(1.0, time=HOURS[0])
    with pytest.raises(DataError, match="times were given, and this model uses no calendar"):
        Predictor(sample(features=2, size=4)).stream().push([1.0, 2.0], time=HOURS[0])
    stream.push(1.0, time="2026-01-01T00:00")
    before = stream.state
    with pytest.raises(DataError, match="times must ascend"):
        stream.push(1.0, time=datetime(2026, 1, 1))
    assert stream.state == before
    stream.push([1.0, 2.0], time=["2026-01-01T01:00", HOURS[2]])
    assert stream.state.steps == 3


def test_the_name_of_a_series_is_needed_exactly_with_statistics_of_each() -> None:
    named = replace(LOAD, names=("a", "b"), mean=np.array([[0.0], [5.0]]), deviation=np.array([[1.0], [2.0]]))
    predictor = make_predictor(named)
    with pytest.raises(DataError, match="no series was named"):
        predictor.stream()
    with pytest.raises(DataError, match="the series 'c' was not in training"):
        predictor.stream("c")
    with pytest.raises(DataError, match="the series 'a' is named, and this model treats all alike"):
        make_predictor(LOAD).stream("a")
    with pytest.raises(DataError, match="the series 'a' is named, and this model takes none"):
        Predictor(sample(features=2, size=4)).stream("a")
    low, high = predictor.stream("a").push(1.0).values, predictor.stream("b").push(7.0).values
    np.testing.assert_array_equal(low * 2 + 5, high)
    pool = predictor.pool()
    pool.add(3, "b")
    assert pool.push([("a", 1.0), (3, 7.0)])[1].values.tobytes() == high.tobytes()
    pool.end(3)
    assert pool.step([3], [7.0])[0].tobytes() == high.tobytes()
    with pytest.raises(DataError, match="the stream 4 has no series name; add it to the pool with one"):
        pool.step([4], [1.0])
    with pytest.raises(DataError, match="the stream 3 is in the pool already; forget it first"):
        pool.add(3, "a")
    assert len(pool) == 2


def test_a_stream_stays_of_its_series() -> None:
    named = replace(LOAD, names=("a", "b"), mean=np.array([[0.0], [5.0]]), deviation=np.array([[1.0], [2.0]]))
    predictor = make_predictor(named)
    stream = predictor.stream("a")
    other = predictor.stream("b")
    other.push(3.0)
    stream.restore(other.state)
    assert stream.push(4.0).values.tobytes() == other.push(4.0).values.tobytes()
    stream.reset()
    assert stream.state == predictor.stream("b").state
    assert [f.values.tobytes() for f in stream.replay([3.0, (4.0, True)])][-1] == other.scores.values.tobytes()


def test_states_of_other_memories_are_refused() -> None:
    state = make_predictor(WINDOW).stream().state
    with pytest.raises(StateError, match="a model with other weights|another shape"):
        make_predictor(replace(WINDOW, window=Window(4, 2, 2))).stream().restore(state)


# ---- pools


def test_streams_that_are_not_warm_say_nan_and_why() -> None:
    pool = make_predictor(WINDOW).pool()
    for t in range(7):
        out = pool.step(["a"], [float(t)])
    out = pool.step(["b", "a"], [[1.0], [2.0]])
    assert out.shape == (2, 3, 1, 3)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()
    assert pool.scores("b").reason == "warming up 1 of 7"
    assert pool.scores("a").values.tobytes() == out[1].tobytes()
    with pytest.raises(DataError, match="no stream 'c' in the pool"):
        pool.scores("c")


def test_a_refused_step_of_many_changes_nothing() -> None:
    pool = make_predictor(SENSORS).pool()
    pool.step(["a"], [[1.0, 2.0]])
    before = pool.state("a")
    with pytest.raises(DataError, match="stream 'b', 'y': NaN"):
        pool.step(["a", "b"], [[1.0, 2.0], [3.0, np.nan]])
    with pytest.raises(DataError, match=r"shape \[2, 3\]; expected \[n, 2\]"):
        pool.step(["a", "b"], np.zeros((2, 3)))
    with pytest.raises(DataError, match="there are 1 ids and 2 steps"):
        pool.step(["a"], np.zeros((2, 2)))
    assert pool.state("a") == before
    assert len(pool) == 1


# ---- whole series and rolling origins


def test_a_series_shorter_than_the_window_is_refused() -> None:
    predictor = make_predictor(replace(SENSORS, window=Window(32, 8, 0, "mean", "window")))
    rows = [np.random.default_rng(0).standard_normal((T, 2)) for T in (40, 32, 20)]
    assert predictor.predict(rows[:2]).shape == (2, 3)
    with pytest.raises(DataError, match="series 2: has 20 steps; this model's window needs 32"):
        predictor.predict(rows)
    with pytest.raises(DataError, match="there are 2 inputs and 1 times"):
        predictor.predict(rows[:2], times=[None])
    with pytest.raises(OptionError, match="this model forecasts; use forecasts"):
        make_predictor(LOAD).predict([np.zeros((3, 1))])
    with pytest.raises(OptionError, match="this model does not forecast; use predict"):
        predictor.forecasts(rows[0])
    with pytest.raises(DataError, match="series 0 has no step"):
        make_predictor(SENSORS).predict([np.zeros((0, 2))])


def test_no_label_is_told_of_what_is_no_number() -> None:
    transform = replace(SENSORS, mean=np.zeros((1, 2)), deviation=np.full((1, 2), 1e-3))
    predictor, x = make_predictor(transform), np.array([[3e38, 3e38], [-3e38, 3e38]])
    with pytest.raises(DataError, match="series 1: the output is not finite, because a number in it is too large"):
        predictor.classify([x / 1e38, x])
    scores = predictor.stream().push(x)
    assert isinstance(scores, Scores)
    assert (scores.values, scores.label, scores.predicted_labels) == (None, None, [])
    assert scores.as_dict(all_scores=False) == {"label": None, "score": None, "reason": scores.reason}
    assert scores.reason.startswith("the result is not a finite number")


def test_rolling_origins() -> None:
    x = np.arange(20.0)[:, None]
    predictor = make_predictor(WINDOW)
    assert predictor.forecasts(x).shape == (1, 3, 1, 3)
    assert predictor.forecasts(x, []).shape == (0, 3, 1, 3)
    assert predictor.forecasts(x, [6, 19]).shape == (2, 3, 1, 3)
    future = x.copy()
    future[13:] = np.nan
    assert predictor.forecasts(future, [12, 8]).tobytes() == predictor.forecasts(x, [12, 8]).tobytes()
    for origins, message in (
        ([5], "origin 5: there are 6 steps up to it; this model's window needs 7"),
        ([20], "there is no origin 20; the series has steps 0 to 19"),
        ([-1], "there is no origin -1"),
        ([0.5], r"origins are integers \[n\]; float64"),
    ):
        with pytest.raises(DataError, match=message):
            predictor.forecasts(x, origins)
    with pytest.raises(DataError, match="the series has no step"):
        predictor.forecasts(x[:0])


@pytest.mark.parametrize("head", ["direct", "autoregressive"])
def test_windows_of_many_streams_are_worked_out_in_parts(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = replace(WINDOW, forecast=ForecastSpec(3, (0.1, 0.5, 0.9), head), missing="drop")
    x = np.random.default_rng(4).standard_normal((9, 30))
    x[8, 1::2] = np.nan
    found = []
    for numbers in (1 << 21, 7 * 4):
        monkeypatch.setattr("tidegate.inputs.series.BATCH_NUMBERS", numbers)
        pool = make_predictor(transform).pool()
        pushed = pool.push([(i, x[:8, i]) for i in range(30)])
        stepped = pool.step(range(30), x[8])
        said = np.stack([forecast.values for forecast in pushed])
        found.append(said.tobytes() + stepped.tobytes())
    assert found[0] == found[1]


def test_batches_of_any_size_give_equal_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x, origins = np.random.default_rng(3).standard_normal((90, 1)), np.arange(8, 90)
    for transform in (WINDOW, LOAD, ROLL, replace(ROLL, window=Window(4, 2))):
        whole = make_predictor(transform).forecasts(x, origins, paths=5)
        with monkeypatch.context() as patch:
            for place in ("rolling_origins.RUN_NUMBERS", "compiled_model.WINDOW_NUMBERS", "rollout.ROLLED_NUMBERS"):
                patch.setattr(f"tidegate.runtime.{place}", 40)
            assert make_predictor(transform).forecasts(x, origins, paths=5).tobytes() == whole.tobytes()


FAR = float(1 << 30)  # there float64 is exact to eighths; float32 only has every 64th integer


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
@pytest.mark.parametrize("kind", [WINDOW, LOAD, ROLL, replace(WINDOW, forecast=ROLL.forecast)])
def test_a_forecast_far_from_zero_is_the_one_near_it_and_an_offset(kind: SeriesTransform, missing: str) -> None:
    near = replace(kind, missing=missing)
    far = replace(near, mean=ONE[0] + FAR)
    x = np.random.default_rng(0).integers(-40, 40, 30) / 8
    if missing != "error":
        x[[3, 12, 13]] = np.nan
    low = make_predictor(near).forecasts(x, [20, 29])
    predictor = make_predictor(far)
    high = predictor.forecasts(x + FAR, [20, 29])
    assert high.dtype == np.float64
    assert np.abs(high - FAR - low).max() < 1e-4
    stream, pool = predictor.stream(), predictor.pool()
    for t, step in enumerate(x + FAR):
        streamed, (pushed,) = stream.push(step), pool.push([("a", step)])
        if t == 20:
            assert streamed.values.tobytes() == pushed.values.tobytes() == high[0].tobytes()
            again = predictor.stream()
            again.restore(State.from_bytes(stream.state.to_bytes()))
            stream = again
    stepped = predictor.pool()
    for step in x + FAR:
        answers = stepped.step(["a"], [step])
    assert streamed.values.tobytes() == pushed.values.tobytes() == high[1].tobytes() == answers[0].tobytes()
