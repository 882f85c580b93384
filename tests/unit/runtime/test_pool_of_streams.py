from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, StateError
from tidegate.runtime import Predictor
from tidegate.verify.samples import sample


@pytest.fixture(scope="module")
def text() -> Predictor:
    return Predictor(sample(size=12, over=("mean", "max")))


@pytest.fixture(scope="module")
def series() -> Predictor:
    return Predictor(sample(features=3, size=8, over=("last", "mean")))


def test_ids_are_created_at_their_first_use_and_rows_grow(series: Predictor) -> None:
    pool = series.pool()
    assert len(pool) == 0
    out = pool.step([f"s{i}" for i in range(100)], np.ones((100, 3)))
    assert out.shape == (100, 5)
    assert len(pool) == 100
    assert "s7" in pool
    assert "t" not in pool
    assert list(pool)[:2] == ["s0", "s1"]


def test_an_id_that_stands_twice_is_stepped_in_order(series: Predictor) -> None:
    x = np.random.default_rng(0).standard_normal((5, 3))
    ids = ["a", "b", "a", "a", "b"]
    out, streams = series.pool().step(ids, x), {"a": series.stream(), "b": series.stream()}
    for i, id in enumerate(ids):
        assert out[i].tobytes() == streams[id].push(x[i]).values.tobytes()  # type: ignore[union-attr]


def test_rows_that_are_dropped_are_used_again_and_clean(series: Predictor) -> None:
    pool = series.pool()
    pool.step(np.arange(16), np.ones((16, 3)))
    for id in range(16):
        pool.drop(id)
    assert len(pool) == 0
    out = pool.step(list("abcdefgh"), np.ones((8, 3)))
    expected = series.stream().push(np.ones(3)).values
    assert expected is not None
    assert all(row.tobytes() == expected.tobytes() for row in out)
    with pytest.raises(DataError, match="no stream 3 in the pool; it has 8"):
        pool.drop(3)


def test_end_reset_and_state(text: Predictor) -> None:
    pool, stream = text.pool(), text.stream()
    assert pool.push([("a", "where is my ca")])[0].as_dict() == stream.push("where is my ca").as_dict()
    assert pool.state("a") == stream.state
    assert pool.end("a").as_dict() == stream.end().as_dict()
    assert pool.state("a") == stream.state
    assert "a" in pool
    pool.push([("a", "my card ")])
    pool.reset("a")
    assert pool.state("a") == stream.state
    assert pool.end("a").reason == "the message has no word"
    with pytest.raises(DataError, match="no stream 'ghost' in the pool; it has 1"):
        pool.end("ghost")
    assert "ghost" not in pool


def test_a_series_ends_with_its_last_scores(series: Predictor) -> None:
    pool = series.pool()
    out = pool.step(["a"], np.ones((1, 3)))
    assert pool.end("a").values.tobytes() == out[0].tobytes()  # type: ignore[union-attr]
    assert pool.end("a").reason == "the message has no step"


def test_a_state_moves_between_a_stream_and_a_pool(text: Predictor) -> None:
    pool, stream = text.pool(), text.stream()
    stream.push("where is my ca")
    pool.restore(7, stream.state)
    assert pool.push([(7, "rd", True)])[0].as_dict() == stream.push("rd", end=True).as_dict()
    other = Predictor(sample(seed=2, size=12, over=("mean", "max")))
    with pytest.raises(StateError, match="other weights"):
        pool.restore(8, other.stream().state)
    assert 8 not in pool


def test_several_messages_of_one_id_in_one_call(text: Predictor) -> None:
    events = [
        (1, "my ca", False),
        (1, "rd", True),
        (2, "cash", True),
        (1, "is", True),
        (1, "", False),
        (1, "new "),
    ]
    found, stream = text.pool().push(events), text.stream()
    expected = [stream.push("my ca"), stream.push("rd", True), text.stream().push("cash", True)]
    expected += [stream.push("is", True), stream.push(""), stream.push("new ")]
    assert [s.as_dict() for s in found] == [s.as_dict() for s in expected]


def test_who_makes_the_events_may_write_each_into_the_same_array(series: Predictor) -> None:
    rows = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)

    def events() -> Iterator[Any]:
        here = np.empty(3, np.float32)
        for row in rows:
            here[:] = row
            yield "a", here

    found = series.pool().push(events())
    assert [s.as_dict() for s in found] == [s.as_dict() for s in series.pool().push([("a", row) for row in rows])]


def test_many_steps_go_in_several_native_calls(text: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(i % 3, "where is my card? ", i % 5 == 0) for i in range(40)]
    expected = [s.as_dict() for s in text.pool().push(events)]
    monkeypatch.setattr("tidegate.runtime.events.MOST_STEPS", 7)
    assert [s.as_dict() for s in text.pool().push(events)] == expected


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("a", "my card "), ("b", b"\xff")], "event 1: the text is not UTF-8"),
        ([("a", "my card "), ("b",)], r"event 1: an event is \(id, piece\), \(id, piece, end\) or"),
        ([("a", "my card "), "no"], r"event 1: an event is"),
        (7, "events are a list of \\(id, piece\\); int was given"),
        ([("a", "my card "), ([], "x")], "event 1: a stream's id must be hashable"),
    ],
)
def test_events_that_are_refused_change_nothing(text: Predictor, events: Any, message: str) -> None:
    pool = text.pool()
    pool.push([("a", "where ")])
    before = pool.state("a")
    with pytest.raises(DataError, match=message):
        pool.push(events)
    assert pool.state("a") == before
    assert len(pool) == 1


@pytest.mark.parametrize(
    ("ids", "x", "message"),
    [
        (["a", "b"], np.ones((1, 3)), "there are 2 ids and 1 steps"),
        (["a", "b"], np.ones((2, 4)), r"shape \[2, 4\]; expected \[n, 3\]"),
        (["a", {}], np.ones((2, 3)), "must be hashable"),
        (["a", "b"], ["x", "y"], "takes numbers"),
    ],
)
def test_steps_that_are_refused_change_nothing(series: Predictor, ids: Any, x: Any, message: str) -> None:
    pool = series.pool()
    with pytest.raises(DataError, match=message):
        pool.step(ids, x)
    assert len(pool) == 0


def test_token_ids_are_checked(text: Predictor) -> None:
    pool = text.pool()
    assert pool.step([1, 2], np.array([3, 4])).shape == (2, 5)
    for bad in ([3, 10_000], [-1, 0]):
        with pytest.raises(DataError, match="there is no token"):
            pool.step([5, 6], np.array(bad))
    with pytest.raises(DataError, match="token ids are integers"):
        pool.step([5], np.array([0.5]))
    assert len(pool) == 2
    assert pool.step([], np.array([])).shape == (0, 5)
