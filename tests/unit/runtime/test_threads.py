"""Threads may share a predictor and read a stream or pool; of two that change one at once, one gets an error."""

from __future__ import annotations

import gc
import inspect
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, StateError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Predictor, Stream
from tidegate.runtime.rows import PoolLock
from tidegate.verify.samples import sample, series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(2, (0.1, 0.5, 0.9)))
WINDOW = replace(LOAD, window=Window(4, 2, 2))
ROLL = replace(LOAD, forecast=ForecastSpec(2, (0.1, 0.5, 0.9), "autoregressive"))


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run threads that begin at the same time, and return their results; raise the first error."""
    found: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def run(i: int) -> None:
        gate.wait()
        try:
            found[i] = work(i)
        except BaseException as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def count_pushes(push: Callable[[], Any], times: int) -> int:
    """Count the pushes that took place; the others were refused because of another thread."""
    count = 0
    for _ in range(times):
        try:
            push()
            count += 1
        except StateError as error:
            if "is being pushed by another thread" not in str(error):
                raise
    return count


@pytest.mark.parametrize("kind", ["text", "numbers", "window"])
def test_of_two_threads_in_one_stream_one_is_told_and_none_is_lost(kind: str) -> None:
    predictor, x = {
        "text": (Predictor(sample(size=6)), "card "),
        "numbers": (Predictor(sample(features=3, size=6)), np.ones(3)),
        "window": (Predictor(series_sample(WINDOW, size=4)), 1.0),
    }[kind]
    stream, alone = predictor.stream(), predictor.stream()
    count = sum(run_threads(2, lambda i: count_pushes(lambda: stream.push(x), 400)))
    for _ in range(count):
        alone.push(x)
    assert stream.steps == count
    assert stream.state == alone.state


def test_a_change_on_top_of_another_is_refused() -> None:
    """The other thread pushes while this push is being computed."""
    stream = Predictor(sample(features=3, size=6)).stream()

    class Late:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            stream.push([1.0, 2.0, 3.0])
            return np.ones(3)

    with pytest.raises(StateError, match="this stream is being pushed by another thread"):
        stream.push(Late())
    assert stream.steps == 1


def test_an_error_that_is_kept_keeps_nothing_that_comes_later() -> None:
    """Its traceback refers to the push that was refused."""
    stream = Predictor(sample(features=3, size=512)).stream()
    size, kept = stream.state.block.nbytes, []

    class Late:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            stream.push(np.ones(3))
            return np.ones(3)

    for bad in ("text", Late()):
        with pytest.raises((DataError, StateError)) as error:
            stream.push(bad)
        kept.append(error.value)
    gc.collect()
    tracemalloc.start()
    for _ in range(100):
        stream.push(np.ones(3))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept) == 2
    assert grown < 10 * size


@pytest.mark.parametrize("way", ["push", "step"])
def test_of_two_threads_in_one_pool_one_is_told_and_none_is_lost(way: str) -> None:
    predictor = Predictor(sample(features=3, size=6), threads=1)
    pool, alone, ids = predictor.pool(), predictor.pool(), [f"s{i}" for i in range(40)]
    x = np.ones((40, 3), np.float32)

    def change(pool: Any) -> Any:
        return pool.step(ids, x) if way == "step" else pool.push(zip(ids, x, strict=True))

    count = sum(run_threads(2, lambda i: count_pushes(lambda: change(pool), 60)))
    for _ in range(count):
        change(alone)
    assert Counter(pool.state(id).steps for id in pool) == {count: 40}
    assert all(pool.state(id) == alone.state(id) for id in ids)


def test_another_thread_cannot_come_into_a_pools_call() -> None:
    """Nor can the generator of the events, in the same thread."""
    pool = Predictor(sample(features=3, size=6)).pool()

    def events(work: Callable[[], Any]) -> Iterator[Any]:
        yield "a", [1.0, 2.0, 3.0]
        work()

    calls: list[Callable[[], Any]] = [
        lambda: pool.push([("b", [1.0, 2.0, 3.0])]),
        lambda: pool.step(["b"], [[1.0, 2.0, 3.0]]),
        lambda: pool.add("b"),
        lambda: pool.end("a"),
        lambda: pool.reset("a"),
        lambda: pool.drop("a"),
    ]

    def elsewhere() -> None:
        for call in calls:
            assert run_threads(1, lambda i, call=call: count_pushes(call, 1)) == [0]

    pool.push(events(elsewhere))
    assert list(pool) == ["a"]
    with pytest.raises(StateError, match="this pool is being pushed by another thread"):
        pool.push(events(calls[0]))
    assert (pool.state("a").steps, "b" in pool) == (1, False)


@pytest.mark.parametrize("first", ["this thread", "a thread that is gone"])
@pytest.mark.parametrize("then", ["this thread", "another one"])
def test_a_turn_that_was_never_ended_is_over_when_its_call_is(first: str, then: str) -> None:
    lock = PoolLock()

    def begin() -> None:
        lock.__enter__()

    def take() -> None:
        with lock:
            for count in (1, 2):
                with pytest.raises(StateError, match="this pool is being pushed by another thread"):
                    run_threads(count, lambda i: begin())
            with pytest.raises(StateError, match="or by the call that this one comes from"):
                begin()

    begin() if first == "this thread" else run_threads(1, lambda i: begin())
    take() if then == "this thread" else run_threads(1, lambda i: take())
    take()


def test_a_signal_handler_cannot_come_into_a_pools_call() -> None:
    """Nor can a finaliser, or anything else that runs within the call in the same thread."""
    pool = Predictor(sample(features=3, size=6), threads=1).pool()
    refused: list[str] = []

    class Key(str):
        __slots__ = ()

        def __hash__(self) -> int:
            if inspect.currentframe().f_back.f_code.co_name == "_begin_rows":  # type: ignore[union-attr]
                with pytest.raises(StateError) as raised:
                    pool.push([("b", [1.0, 2.0, 3.0])])
                refused.append(str(raised.value))
            return hash(str(self))

    pool.push([(Key("a"), [1.0, 2.0, 3.0])])
    assert refused
    assert (pool.state("a").steps, "b" in pool) == (1, False)


def test_who_reads_while_another_thread_pushes_gets_the_old_or_the_new_whole_one() -> None:
    predictor = Predictor(series_sample(WINDOW, size=4), threads=1)
    x = np.random.default_rng(0).standard_normal(60)
    whole, alone = {}, predictor.stream()
    for value in x:
        alone.push(value)
        whole[alone.steps] = alone.state, alone.scores.as_dict()
    stream, pool = predictor.stream(), predictor.pool()
    stream.push(x[0])
    pool.step(["a", "b"], x[[0, 0]])
    done = threading.Event()

    def write() -> None:
        for value in x[1:]:
            stream.push(value)
            pool.step(["a", "b"], [value, value])
        done.set()

    def read() -> int:
        seen = 0
        while not done.is_set():
            fork, kept = stream.fork(), pool.fork()
            for state in (stream.state, fork.state, pool.state("b"), kept.state("a"), kept.state("b")):
                assert state == whole[state.steps][0]
            assert fork.scores.as_dict() == whole[fork.steps][1]
            assert kept.state("a").steps == kept.state("b").steps
            assert pool.scores("a").as_dict() in [said for _, said in whole.values()]
            assert (len(pool), "a" in pool, list(pool)) == (2, True, ["a", "b"])
            seen += 1
        return seen

    _, *seen = run_threads(3, lambda i: read() if i else write())
    assert min(seen) > 0
    assert stream.state == pool.state("a") == whole[60][0]


def test_eight_threads_may_use_one_predictor() -> None:
    texts = ["where is my card", "größe 7½ 世界", "", "balance?"] * 3
    classifier = Predictor(sample(size=6, over=("mean",)), threads=2)
    texts[2::4] = ["no"] * 3
    names = ("a", "b", "c")
    each = replace(LOAD, names=names, mean=np.array([[0.0], [1], [2]]), deviation=np.ones((3, 1)))
    x = np.random.default_rng(0).standard_normal(30)

    def all_answers(forecasters: list[Predictor]) -> list[bytes]:
        found = [classifier.predict(texts).tobytes(), repr(classifier.classify(texts)).encode()]
        for forecaster in forecasters:
            series = names if forecaster.model.document["inputs"]["x"]["scale"]["names"] else (None,)
            found += [forecaster.forecasts(x, [12, 20], series=name, paths=3).tobytes() for name in series]
            found += [forecaster.stream(name).push(x).values.tobytes() for name in series]
        return [*found, forecaster.model.weights_hash.encode()]

    def make_forecasters() -> list[Predictor]:
        return [Predictor(series_sample(transform, size=4), threads=2) for transform in (LOAD, WINDOW, ROLL, each)]

    wanted, fresh = all_answers(make_forecasters()), make_forecasters()
    assert run_threads(8, lambda i: all_answers(fresh)) == [wanted] * 8


def test_streams_of_one_predictor_may_be_pushed_by_many_threads() -> None:
    predictor = Predictor(sample(size=6, over=("mean",)))
    pieces = ["where ", "is my ", "card, größe ", "7?"]

    def push_all(stream: Stream) -> list[Any]:
        return [stream.push(piece).as_dict() for piece in pieces * 20]

    assert run_threads(8, lambda i: push_all(predictor.stream())) == [push_all(predictor.stream())] * 8
