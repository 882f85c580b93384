from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tidegate.errors import DataError, StateError
from tidegate.features import memory
from tidegate.features.memory import SeriesState
from tidegate.features.series import ForecastSpec, SeriesTransform, Window

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2026-01-01T00:00", "us")
ALL = SeriesTransform(
    ("load", "sun"), ("target", "past"), ("day",), "mask", None, np.ones((1, 2)), np.ones((1, 2)), Window(3, season=2)
)
TRANSFORMS = [
    SeriesTransform(("load",), ("target",)),
    ALL,
    replace(ALL, window=None, names=("a", "b"), mean=np.ones((2, 2)), deviation=np.ones((2, 2))),
    replace(ALL, calendar=(), missing="error", forecast=ForecastSpec(2, (0.5,), "autoregressive")),
    replace(ALL, calendar=(), missing="drop"),
]


def push_steps(transform: SeriesTransform, steps: int) -> SeriesState:
    x = np.arange(steps * len(transform.columns), dtype=float).reshape(steps, len(transform.columns))
    times = START + HOUR * np.arange(steps) if transform.calendar else None
    return memory.update(transform, memory.init(transform, 0), x, times)[1]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("steps", [0, 1, 4, 5, 9])
def test_bytes_and_back(transform: SeriesTransform, steps: int) -> None:
    seen = push_steps(transform, steps)
    data = memory.to_bytes(transform, seen)
    assert len(data) == memory.count_bytes(transform)
    again = memory.from_bytes(transform, data, steps)
    assert memory.to_bytes(transform, again) == data
    for name in SeriesState._fields:
        np.testing.assert_array_equal(getattr(again, name), getattr(seen, name))


def test_the_sizes() -> None:
    assert [memory.count_bytes(transform) for transform in TRANSFORMS] == [
        0,
        16 + 8 * (2 + 5 * 6),
        8 + 16 + 8 * 2,
        8 * (2 + 5 * 2),
        8 * 5 * 2,
    ]


def test_a_memory_is_a_value() -> None:
    before = push_steps(ALL, 7)
    kept = memory.to_bytes(ALL, before)
    memory.update(ALL, before, np.zeros((3, 2)), START + HOUR * np.arange(9, 12))
    assert memory.to_bytes(ALL, before) == kept


def test_the_ring_holds_the_latest_steps_alone() -> None:
    ring = push_steps(replace(ALL, calendar=(), missing="drop"), 1000).ring
    assert ring is not None
    assert ring.shape == (5, 2)
    assert ring[:, 0].tolist() == [1990, 1992, 1994, 1996, 1998]
    assert ring.base is None or ring.base.size < 100


@pytest.mark.parametrize("missing", ["error", "drop", "ffill", "mask"])
def test_a_memory_keeps_no_step_alive_that_it_does_not_hold(missing: str) -> None:
    transform = replace(TRANSFORMS[3], missing=missing)
    _, seen = memory.update(transform, memory.init(transform, 0), np.ones((1000, 2)), None)
    _, _, many = memory.update_batch(transform, [seen] * 1000, np.ones((1000, 2)), None, range(1000))
    for one in (seen, many[0]):
        assert one.last is not None
        assert one.last.base is None or one.last.base.size < 100


def test_times_must_ascend() -> None:
    seen = memory.init(ALL, 0)
    times = START + HOUR * np.array([0, 1, 1])
    with pytest.raises(DataError, match="step 2: its time is 2026-01-01T01:00:00.000000, and that of the step before"):
        memory.update(ALL, seen, np.zeros((3, 2)), times)
    _, seen = memory.update(ALL, seen, np.zeros((2, 2)), times[:2])
    assert (seen.time, seen.gap) == (int((START + HOUR).astype(np.int64)), 3600 * 10**6)
    with pytest.raises(DataError, match="step 0: its time is .*; times must ascend"):
        memory.update(ALL, seen, np.zeros((1, 2)), times[:1])
    with pytest.raises(DataError, match="stream 'b': its time"):
        memory.update_batch(ALL, [memory.init(ALL, 0), seen], np.zeros((2, 2)), times[:2], ["a", "b"])


def test_a_dropped_step_has_its_time() -> None:
    transform = replace(ALL, missing="drop")
    _, seen = memory.update(
        transform, memory.init(transform, 0), np.array([[1, 2], [np.nan, 3]]), START + HOUR * np.arange(2)
    )
    assert seen.ring is not None
    assert len(seen.ring) == 1
    assert seen.time == int((START + HOUR).astype(np.int64))


def test_memories_of_others_are_refused() -> None:
    transform = TRANSFORMS[2]
    data = memory.to_bytes(transform, push_steps(transform, 2))
    with pytest.raises(StateError, match="its input's memory has 39 bytes; this model's has 40"):
        memory.from_bytes(transform, data[:-1], 2)
    with pytest.raises(StateError, match="its memory belongs to series 2; this model knows 0 to 1"):
        memory.from_bytes(transform, b"\2" + data[1:], 2)
    infinite = data[:-8] + np.float64(np.inf).tobytes()
    with pytest.raises(StateError, match="its memory has a missing or infinite number"):
        memory.from_bytes(transform, infinite, 2)
    for time, gap in ((memory.NONE, memory.NONE), (memory.NONE, 5), (5, 0), (5, -7)):
        clock = np.array([time, gap], "<i8").tobytes()
        with pytest.raises(StateError, match=r"its memory has time (5|None) and gap .*no step can leave there"):
            memory.from_bytes(transform, data[:8] + clock + data[24:], 2)
    ringed = memory.to_bytes(ALL, push_steps(ALL, 4))
    with pytest.raises(StateError, match="its memory has more steps than the 3 of the stream"):
        memory.from_bytes(ALL, ringed, 3)


def test_a_memory_that_held_float32_is_refused_in_a_sentence() -> None:
    size = memory.count_bytes(ALL, 4)
    with pytest.raises(StateError, match="saved by an older tidegate, which rounded the numbers of series to float32"):
        memory.from_bytes(ALL, bytes(size), 0)
