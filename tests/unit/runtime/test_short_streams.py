"""Streams with fewer steps than their window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import series_sample

LOAD = SeriesTransform(
    ("load",), ("target",), mean=np.zeros((1, 1)), deviation=np.ones((1, 1)), forecast=ForecastSpec(3, (0.1, 0.5, 0.9))
)
ROLL = replace(LOAD, forecast=ForecastSpec(3, (0.5,), "autoregressive"))


def make_predictor(transform: SeriesTransform, **more: Any) -> Predictor:
    return Predictor(series_sample(transform, size=6, **more), threads=1)


SHORT = replace(LOAD, window=Window(6, 2, 5, least=2))


@pytest.mark.parametrize("direction", ["causal", "both"])
@pytest.mark.parametrize("transform", [SHORT, replace(SHORT, window=Window(6, 3, 0, "mean", "window", 2))], ids=str)
def test_a_stream_answers_from_two_steps_on_as_whole_series_do(transform: SeriesTransform, direction: str) -> None:
    predictor = make_predictor(transform, direction=direction)
    x = np.random.default_rng(1).standard_normal(14)
    offline = predictor.forecasts(x, np.arange(1, 14))
    stream, pool, stepped = predictor.stream(), predictor.pool(), predictor.pool()
    many = predictor.pool()
    for t, step in enumerate(x):
        pushed, (pooled,), stepwise = stream.push(step), pool.push([("a", step)]), stepped.step(["a"], [step])
        if t == 0:
            assert pushed.reason == pooled.reason == "warming up 1 of 2"
            assert np.isnan(stepwise).all()
            continue
        assert pushed.values.tobytes() == pooled.values.tobytes() == stepwise.tobytes() == offline[t - 1].tobytes()
        (together,) = many.push([(t, x[: t + 1])])
        assert together.values.tobytes() == offline[t - 1].tobytes()
        again = predictor.stream()
        again.restore(State.from_bytes(stream.state.to_bytes()))
        stream = again
    found = predictor.pool().push([(t, x[: t + 1]) for t in range(14)])
    assert [one.values.tobytes() for one in found[1:]] == [one.tobytes() for one in offline]
    with pytest.raises(DataError, match="origin 0: there is 1 step up to it; this model's window needs 2"):
        predictor.forecasts(x, [0])


def test_short_paths_are_rolled_on_as_a_stream_would_go_on() -> None:
    transform = replace(ROLL, window=Window(6, 2, 5, least=2))
    predictor = make_predictor(transform)
    x = np.random.default_rng(1).standard_normal(9)
    together = predictor.forecasts(x, np.arange(1, 9), paths=3)
    for t in range(1, 9):
        stream, expected = predictor.stream(), []
        step = stream.push(x[: t + 1]).values[0, 0, 0]
        for _ in range(3):
            expected.append(step)
            step = stream.push(step).values[0, 0, 0]
        assert together[t - 1].ravel().tolist() == expected


def test_a_short_series_is_classified_with_the_bits_of_a_stream() -> None:
    predictor = make_predictor(
        SeriesTransform(("x", "y"), ("past", "past"), window=Window(8, 2, 0, "mean", "window", 2))
    )
    x = np.random.default_rng(0).standard_normal((12, 2))
    whole = predictor.predict([x[:n] for n in range(2, 13)])
    stream = predictor.stream()
    streamed = [stream.push(step).values for step in x][1:]
    assert [one.tobytes() for one in streamed] == [one.tobytes() for one in whole]
