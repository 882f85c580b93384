"""Any way of feeding a series gives the bits of the whole: pieces, steps, pools, batches, states, targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import _native
from tidegate.features.series import CENTRES, MISSING, SPREADS, ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Forecast, Predictor, Scores, State
from tidegate.verify.samples import series_sample

COLUMNS, ROLES = ("load", "sun", "holiday", "height"), ("target", "past", "known", "static")
HOUR = np.timedelta64(3600, "s")
Array = npt.NDArray[Any]


@st.composite
def transforms(draw: st.DrawFn, answers: bool = True) -> SeriesTransform:
    """List every kind of transform: missing policy, calendar, window or statistics, both heads."""
    count = draw(st.integers(1, 4))
    missing, scaled = draw(st.sampled_from(MISSING)), draw(st.booleans())
    window = None
    if draw(st.booleans()):
        segment, rows = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        centre, spread = draw(st.sampled_from(CENTRES)), draw(st.sampled_from(SPREADS))
        window = Window(segment * rows, segment, draw(st.integers(0, 4)), centre, spread)
    scaled |= answers and window is None
    scaled |= window is not None and window.spread == "training"
    names = ("a", "b") if window is None and scaled and draw(st.booleans()) else None
    S = len(names or "1")
    mean = 3.0 + np.arange(S * count, dtype=float).reshape(S, count) if scaled or missing == "mask" else None
    deviation = 0.5 + np.arange(S * count, dtype=float).reshape(S, count) if scaled else None
    head = draw(st.sampled_from(("direct", "autoregressive")))
    answer = ForecastSpec(draw(st.integers(1, 3)), (0.1, 0.5, 0.9), head) if answers else None
    calendar = ("day", "week") if draw(st.booleans()) else ()
    return SeriesTransform(COLUMNS[:count], ROLES[:count], calendar, missing, names, mean, deviation, window, answer)


def series(transform: SeriesTransform, T: int, seed: int) -> tuple[Array, Any]:
    """Make steps, with missing numbers if the transform allows them, and times if it needs them."""
    random = np.random.default_rng(seed)
    x = 3 + random.standard_normal((T, len(transform.columns))).cumsum(0)
    if transform.missing != "error":
        x[random.random(x.shape) < 0.2] = np.nan
    times = np.datetime64("2026-02-27T20:00", "us") + HOUR * np.arange(T) if transform.calendar else None
    return x, times


def part(times: Any, at: slice | int) -> Any:
    return None if times is None else times[at]


def same(a: Scores | Forecast, b: Scores | Forecast) -> bool:
    if a.values is None or b.values is None:
        return a.values is b.values and a.reason == b.reason
    return a.values.tobytes() == b.values.tobytes()


@pytest.mark.parametrize("target", _native.targets())
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_one_piece_steps_chunks_states_and_pools_give_equal_bits(target: str, data: st.DataObject) -> None:
    transform = data.draw(transforms(data.draw(st.booleans())))
    predictor = Predictor(series_sample(transform, size=5), target, 2)
    name = "b" if transform.names else None
    x, times = series(transform, T := data.draw(st.integers(1, 20)), data.draw(st.integers(0, 99)))
    whole = predictor.stream(name)
    answer = whole.push(x, time=times)
    cuts = sorted(data.draw(st.lists(st.integers(0, T), max_size=3)))
    single, pieces, pool, stepped = predictor.stream(name), predictor.stream(name), predictor.pool(), predictor.pool()
    for other in (pool, stepped):
        other.add(7, name)
    for t in range(T):
        last = single.push(x[t], time=part(times, t))
        out = stepped.step([7], x[t : t + 1], part(times, slice(t, t + 1)))
        assert same(last, stepped.scores(7))
        assert out.tobytes() == last.values[None].tobytes() if last.values is not None else np.isnan(out).all()
    for begin, end in zip([0, *cuts], [*cuts, T], strict=True):
        pieces.push(x[begin:end], time=part(times, slice(begin, end)))
        pieces.restore(State.from_bytes(pieces.state.to_bytes()))
    events = [(7, x[b:e], False, part(times, slice(b, e))) for b, e in zip([0, *cuts], [*cuts, T], strict=True)]
    for found in (last, pieces.scores, pool.push(events)[-1], whole.fork().scores):
        assert same(answer, found)
    assert whole.state == single.state == pieces.state == pool.state(7) == stepped.state(7)


@pytest.mark.parametrize("target", _native.targets())
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_rolling_origins_are_streams_pushed_up_to_them(target: str, data: st.DataObject) -> None:
    transform = data.draw(transforms())
    assert transform.forecast
    predictor = Predictor(series_sample(transform, size=5), target, 2)
    name = "a" if transform.names else None
    H = transform.forecast.horizon
    x, times = series(transform, T := data.draw(st.integers(6, 24)), data.draw(st.integers(0, 99)))
    rolls = transform.forecast.head == "autoregressive" and H > 1 and "known" in transform.roles
    if rolls:
        known = x[:, 2]
        known[np.isnan(known)] = 1.0
    stream, origins, expected = predictor.stream(name), [], []
    for t in range(T - H + 1):
        found = stream.push(x[t], time=part(times, t))
        ahead = x[t : t + H, 2:3] if rolls else None
        if rolls:
            found = stream.forecast(paths=9, seed=3, known=ahead)
        elif transform.forecast.head == "autoregressive":
            found = stream.forecast(paths=9, seed=3)
        if found.values is not None:
            origins.append(t)
            expected.append(found.values)
    if origins:
        forecasts = predictor.forecasts(x, origins, times, name, paths=9, seed=3)
        assert forecasts.tobytes() == np.stack(expected).tobytes()
        some = sorted(set(data.draw(st.lists(st.sampled_from(origins), min_size=1, max_size=3))), reverse=True)
        few = predictor.forecasts(x, some, times, name, paths=9, seed=3)
        assert few.tobytes() == forecasts[[origins.index(t) for t in some]].tobytes()


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_pool_of_series_is_as_many_streams(data: st.DataObject) -> None:
    """Step and push five ids in any order, some twice in a call, with ends anywhere."""
    transform = data.draw(transforms(data.draw(st.booleans())))
    predictor = Predictor(series_sample(transform, size=4), _native.targets()[0], 2)
    name = "b" if transform.names else None
    x, times = series(transform, 40, data.draw(st.integers(0, 99)))
    streams, pool = {id: predictor.stream(name) for id in range(5)}, predictor.pool()
    for id in streams:
        pool.add(id, name)
    at = 0
    for _ in range(data.draw(st.integers(1, 5))):
        ids = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=7))
        rows = slice(at, at := at + len(ids))
        if data.draw(st.booleans()):
            out = pool.step(ids, x[rows], part(times, rows))
            for id, row, t in zip(ids, out, range(rows.start, rows.stop), strict=True):
                answer = streams[id].push(x[t], time=part(times, t))
                assert np.isnan(row).all() if answer.values is None else row.tobytes() == answer.values.tobytes()
        else:
            ends = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
            steps = range(rows.start, rows.stop)
            events = [(id, x[t], end, part(times, t)) for id, end, t in zip(ids, ends, steps, strict=True)]
            for event, found in zip(events, pool.push(events), strict=True):
                assert same(streams[event[0]].push(*event[1:]), found)
    for id, stream in streams.items():
        assert pool.state(id) == stream.state


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_predict_is_the_last_answer_of_a_stream(data: st.DataObject) -> None:
    transform = data.draw(transforms(answers=False))
    direction = data.draw(st.sampled_from(["causal", "both"] if transform.window else ["causal"]))
    predictor = Predictor(series_sample(transform, size=5, direction=direction), _native.targets()[0], 2)
    name = "a" if transform.names else None
    found = [series(transform, data.draw(st.integers(12, 20)), seed) for seed in range(4)]
    streams = [predictor.stream(name).push(x, time=times) for x, times in found]
    rows = [i for i, scores in enumerate(streams) if scores.values is not None]
    out = predictor.predict(
        [found[i][0] for i in rows],
        [found[i][1] for i in rows] if transform.calendar else None,
        [name] * len(rows) if name else None,
    )
    for row, i in zip(out, rows, strict=True):
        assert row.tobytes() == streams[i].values.tobytes()
