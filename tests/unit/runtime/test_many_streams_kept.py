"""A pool forgets streams when it is asked to, and only then; a refused event names itself."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError
from tidegate.runtime import Pool, Predictor
from tidegate.verify.samples import sample


@pytest.fixture(scope="module")
def text() -> Predictor:
    return Predictor(sample(size=6, over=("mean",)), threads=1)


def use(pool: Pool, *ids: Any) -> None:
    for id in ids:
        pool.push_one(id, "card ")


def test_the_most_recently_used_streams_are_kept(text: Predictor) -> None:
    pool = text.pool(keep=3)
    use(pool, "a", "b", "c", "a", "d")
    assert sorted(pool) == ["a", "c", "d"]
    assert pool.state("a").steps == 2
    pool.push([(id, "card ") for id in "efcg"])
    assert sorted(pool) == ["c", "f", "g"]
    pool.step(["h", "c"], np.array([1, 2]))
    assert sorted(pool) == ["c", "g", "h"]
    assert repr(pool).endswith("3 streams, keep=3)")


def test_the_streams_that_are_kept_are_those_of_a_simple_model(text: Predictor) -> None:
    pool, kept, random = text.pool(keep=20), dict[int, int](), np.random.default_rng(0)
    for _ in range(300):
        ids = random.integers(0, 60, int(random.integers(1, 4))).tolist()
        pool.push([(id, "a ") for id in ids])
        for id in dict.fromkeys(ids):
            kept[id] = kept.pop(id, 0) + ids.count(id)
        while len(kept) > 20:
            del kept[next(iter(kept))]
        if random.random() < 0.1:
            gone = next(iter(kept))
            pool.forget(gone)
            del kept[gone]
        if random.random() < 0.05:
            pool = pickle.loads(pickle.dumps(pool)) if random.random() < 0.5 else pool.fork()
        assert {id: pool.state(id).steps for id in pool} == kept


def test_a_call_with_more_streams_than_are_kept_answers_all(text: Predictor) -> None:
    pool = text.pool(keep=2)
    assert [one.reason for one in pool.push([(i, "card ") for i in range(5)])] == [""] * 5
    assert sorted(pool) == [3, 4]


def test_idle_streams_are_forgotten(text: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    for module in ("rows", "pool"):
        monkeypatch.setattr(f"tidegate.runtime.{module}.monotonic", lambda: now)
    pool = text.pool()
    use(pool, "a", "b")
    now = 160.0
    use(pool, "b", "c")
    assert pool.forget_idle(61) == []
    assert pool.forget_idle(60) == ["a"]
    assert list(pool) == ["b", "c"]
    assert pool.forget_idle(0) == ["b", "c"]
    for bad in (-1, "1", float("nan"), True):
        with pytest.raises(OptionError, match="seconds is .*; expected a number from 0 on"):
            pool.forget_idle(bad)  # type: ignore[arg-type]
    for keep in (0, 1.5, True):
        with pytest.raises(OptionError, match="keep is .*; expected the number of streams to keep, at least 1"):
            text.pool(keep=keep)  # type: ignore[arg-type]


def test_what_is_refused_names_itself_and_says_that_nothing_was_applied(text: Predictor) -> None:
    pool = text.pool()
    with pytest.raises(DataError, match="event 1: the text is not UTF-8.*; none of the events was applied"):
        pool.push([("a", "card "), ("b", b"\xff")])
    with pytest.raises(DataError, match="^the text is not UTF-8"):
        pool.push_one("b", b"\xff")
    for call in (pool.end, pool.forget, pool.reset, pool.scores):
        with pytest.raises(DataError, match="no stream 'ghost' in the pool; it has 0"):
            call("ghost")
    assert len(pool) == 0


def test_rows_that_no_stream_uses_take_no_memory() -> None:
    predictor = Predictor(sample(features=3, size=256), threads=1)
    size, count = predictor.model.state_bytes, 5000
    pool = predictor.pool()
    tracemalloc.start()
    pool.step(np.arange(count), np.ones((count, 3)))
    before = tracemalloc.get_traced_memory()[0]
    pool.step(np.arange(10), np.ones((10, 3)))
    tracemalloc.reset_peak()
    pool.step([count], np.ones((1, 3)))  # one more: rows for twice as many are reserved, and not written to
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert before < 1.3 * count * size
    assert peak - before < 2.2 * count * size
    assert grown - before < 1.2 * count * size
