"""A change that is interrupted anywhere has happened as a whole or not at all."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tidegate
from level_models import level_model
from remembering import Remembering, compile_remembering, require_no_lost_pages
from tidegate.errors import StateError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.runtime import Forecast, Pool, Predictor, Stream
from tidegate.verify.samples import sample, series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(2, (0.1, 0.5, 0.9)))
NAMED = replace(LOAD, names=("a", "b"), mean=np.array([[0.0], [5.0]]), deviation=np.array([[1.0], [2.0]]))
WINDOW = replace(LOAD, window=Window(4, 2, 2))
ROLL = replace(LOAD, forecast=ForecastSpec(2, (0.1, 0.5, 0.9), "autoregressive"))
WATCHED = tuple(os.path.join(os.path.dirname(tidegate.__file__), room) for room in ("runtime", "features"))


def text() -> Predictor:
    return Predictor(sample(size=6, over=("mean", "max")), threads=1)


def whole() -> Predictor:
    return Predictor(sample(size=6, direction="both"), threads=1)


def talk() -> Predictor:
    return Predictor(level_model(speaker=False, topic=False), threads=1)


def memory() -> Any:
    return SimpleNamespace(pool=lambda: Remembering(compile_remembering()))


def numbers() -> Predictor:
    return Predictor(sample(features=3, size=6), threads=1)


def make_predictor(transform: SeriesTransform) -> Predictor:
    return Predictor(series_sample(transform, size=4), threads=1)


@contextmanager
def call_at(at: int, what: str, act: Callable[..., Any], *args: Any) -> Iterator[None]:
    """Call a function right before the at-th line or bytecode of the runtime."""
    left = at

    def local(frame: Any, event: str, arg: Any) -> Any:
        nonlocal left
        if event == what:
            left -= 1
            if left == -1:
                act(*args)
        return local

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        frame.f_trace_opcodes = what == "opcode"
        return local

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def interrupt() -> None:
    raise KeyboardInterrupt


def in_another_thread(found: list[Any], work: Callable[..., Any], *args: Any) -> None:
    """Call a function in another thread and append its result."""
    thread = threading.Thread(target=lambda: found.append(work(*args)))
    thread.start()
    thread.join()


def bits(subject: Stream | Pool) -> Any:
    if isinstance(subject, Stream):
        forgetful = copy(subject)
        forgetful.reset()
        return subject.state.to_bytes(), forgetful.state.to_bytes()
    assert len(subject) == len(list(subject))
    return {id: subject.state(id).to_bytes() for id in subject}


def answer_bits(answer: Any) -> Any:
    """Return an answer's bits."""
    if isinstance(answer, list):
        return [answer_bits(one) for one in answer]
    values = getattr(answer, "values", answer)
    return None if values is None else values.tobytes()


def whole_or_nothing(start: Stream | Pool, work: Callable[[Any], Any], most: int, what: str = "opcode") -> None:
    """Interrupt the work at each place, and repeat it unless it took place.

    most: at how many places it may take place although it is interrupted.
    """
    before, straight = bits(start), copy(start)
    wanted, answer = answer_bits(work(straight)), bits(straight)
    at = late = 0
    while True:
        subject = copy(start)
        try:
            with call_at(at, what, interrupt):
                found = work(subject)
        except KeyboardInterrupt:
            if (now := bits(subject)) == before:
                found = work(subject)
                assert at % 8 or answer_bits(found) == wanted, at  # reading a rolled-out forecast takes a while
            else:
                assert now == answer, at
                late += 1
            assert bits(subject) == answer, at
            if isinstance(subject, Pool):
                require_no_lost_pages(subject)
        else:
            break
        at += 1
    assert answer_bits(found) == wanted
    assert at > 10
    assert late <= most
    assert bits(start) == before


STREAMS: dict[str, tuple[Callable[[], Predictor], Any, Callable[[Stream], Any]]] = {
    "text": (text, "where is my ca", lambda stream: stream.push("rd, größe")),
    "text that ends": (text, "where is my ca", lambda stream: stream.push("rd", end=True)),
    "text, end": (text, "where is my ca", lambda stream: stream.end()),
    "numbers": (numbers, np.ones((2, 3)), lambda stream: stream.push([1.0, 2.0, 3.0])),
    "several numbers": (numbers, np.ones((2, 3)), lambda stream: stream.push(np.ones((4, 3)))),
    "fixed": (lambda: make_predictor(LOAD), [1.0, 2.0], lambda stream: stream.push(3.0)),
    "window": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda stream: stream.push(3.0)),
    "ffill": (lambda: make_predictor(replace(ROLL, missing="ffill")), [1.0], lambda stream: stream.push([np.nan, 2.0])),
    "rolled": (lambda: make_predictor(ROLL), [1.0, 2.0], lambda stream: stream.push(3.0)),
    "whole": (whole, "where is my ca", lambda stream: stream.push("rd, größe")),
    "conversation": (talk, "where is my ca", lambda stream: stream.push("rd, größe")),
    "conversation, message ends": (talk, "where is my ca", lambda stream: stream.push("rd", end=True)),
    "conversation ends": (talk, "where is my ca", lambda stream: stream.end("conversation")),
    "whole, end": (whole, "where is my ca", lambda stream: stream.push("rd, größe", end=True)),
    "end": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda stream: stream.end()),
    "reset": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda stream: stream.reset()),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_push_that_is_interrupted_anywhere_changes_all_or_nothing(case: str) -> None:
    maker, first, work = STREAMS[case]
    stream = maker().stream()
    stream.push(first)
    whole_or_nothing(stream, work, most=20)


def test_a_restore_that_is_interrupted_changes_all_or_nothing() -> None:
    predictor = make_predictor(NAMED)
    stream, other = predictor.stream("a"), predictor.stream("b")
    stream.push(1.0)
    other.push(7.0)
    state = other.state
    whole_or_nothing(stream, lambda stream: stream.restore(state), most=20)


TEXTS = [("a", "rd. "), ("new", "how "), ("a", "balance", True), ("b", "my"), ("a", "again ")]
ROW = [[1.0, 2.0, 3.0]]
ROWS = [("a", [3.0, 4.0]), ("new", 1.0), ("b", 2.0, True), ("a", 5.0)]
POOLS: dict[str, tuple[Callable[[], Predictor], Any, Callable[[Pool], Any]]] = {
    "text": (text, "where is my ca", lambda pool: pool.push(TEXTS)),
    "text, end": (text, "where is my ca", lambda pool: pool.end("b")),
    "whole": (whole, "where is my ca", lambda pool: pool.push(TEXTS)),
    "conversation": (talk, "where is my ca", lambda pool: pool.push(TEXTS)),
    "conversation, end": (talk, "where is my ca", lambda pool: pool.end("b", level="conversation")),
    "whole, end": (whole, "where is my ca", lambda pool: pool.end("b")),
    "whole, reset": (whole, "where is my card " * 40, lambda pool: pool.reset("b")),
    "whole, drop": (whole, "where is my card " * 40, lambda pool: pool.drop("b") if "b" in pool else None),
    "whole, restore": (whole, "where is my card " * 40, lambda pool: pool.restore("b", pool.state("a"))),
    "memory": (memory, np.ones((60, 3)), lambda pool: pool.push([("a", ROW * 2), ("b", ROW, True), ("new", ROW * 90)])),
    "numbers": (numbers, np.ones((2, 3)), lambda pool: pool.push([("a", np.ones((2, 3))), ("new", [1, 2, 3])])),
    "steps of numbers": (numbers, np.ones((2, 3)), lambda pool: pool.step(["b", "new", "b"], np.ones((3, 3)))),
    "fixed": (lambda: make_predictor(LOAD), [1.0, 2.0], lambda pool: pool.push(ROWS)),
    "steps, fixed": (lambda: make_predictor(LOAD), [1.0, 2.0], lambda pool: pool.step(["a", "new"], [1.0, 2.0])),
    "window": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda pool: pool.push(ROWS)),
    "steps, window": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda pool: pool.step(["a", "b"], [1.0, 2.0])),
    "rolled": (lambda: make_predictor(ROLL), [1.0, 2.0], lambda pool: pool.push(ROWS)),
    "steps, rolled": (lambda: make_predictor(ROLL), [1.0, 2.0], lambda pool: pool.step(["a", "b"], [1.0, 2.0])),
    "end": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda pool: pool.end("b")),
    "reset": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda pool: pool.reset("b")),
    "drop": (lambda: make_predictor(WINDOW), np.arange(6.0), lambda pool: pool.drop("b") if "b" in pool else None),
    "add": (lambda: make_predictor(LOAD), [1.0], lambda pool: None if "new" in pool else pool.add("new")),
    "restore": (lambda: make_predictor(LOAD), [1.0], lambda pool: pool.restore("new", pool.state("b"))),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_call_of_a_pool_that_is_interrupted_anywhere_changes_all_or_nothing(case: str) -> None:
    maker, first, work = POOLS[case]
    pool = maker().pool()
    pool.push([(id, first) for id in ("a", "b", "c")])
    whole_or_nothing(pool, work, most=8 + 20 * len(pool._pages), what="line")  # pages are given back after a change


def test_new_rows_of_a_pool_are_all_there_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.runtime.rows.FIRST_ROWS", 2)
    pool = numbers().pool()
    whole_or_nothing(pool, lambda pool: pool.push([(id, [1.0, 2.0, 3.0]) for id in range(5)]), 8, "line")


def test_a_pools_call_that_fails_midway_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of paths is refused after the streams were stepped."""
    pool = make_predictor(ROLL).pool()
    pool.step(["a", "b"], [1.0, 2.0])
    before = bits(pool)
    with monkeypatch.context() as patch:
        patch.setattr("tidegate.runtime.rollout.MOST_NUMBERS", 8)
        with pytest.raises(tidegate.TidegateError, match="paths of a stream"):
            pool.step(["a", "new"], [3.0, 4.0])
    assert bits(pool) == before
    assert "new" not in pool
    other = make_predictor(ROLL).pool()
    other.step(["a", "b"], [1.0, 2.0])
    assert pool.step(["a", "new"], [3.0, 4.0]).tobytes() == other.step(["a", "new"], [3.0, 4.0]).tobytes()
    assert bits(pool) == bits(other)


def try_call(work: Callable[..., Any], *args: Any) -> Any:
    """Return the result, or the error if another thread changes the same stream or pool."""
    try:
        return work(*args)
    except StateError as error:
        return error


@pytest.mark.parametrize("kind", ["stream", "pool"])
def test_what_another_thread_changes_at_any_place_of_a_change_is_lost_nowhere(kind: str) -> None:
    predictor = numbers()
    start: Any = predictor.stream() if kind == "stream" else predictor.pool()

    def push_one(subject: Any, value: float) -> Any:
        return subject.push([value] * 3) if kind == "stream" else subject.push([("a", [value] * 3), (value, [0.0] * 3)])

    push_one(start, 0.0)
    orders: dict[tuple[float, ...], Any] = {}
    for order in ((1.0,), (2.0,), (1.0, 2.0), (2.0, 1.0)):
        straight = copy(start)
        for value in order:
            push_one(straight, value)
        orders[order] = bits(straight)
    seen, outcomes = [], set()
    for at in count():
        subject, other = copy(start), list[Any]()
        with call_at(at, "line", in_another_thread, other, try_call, push_one, subject, 2.0):
            own = try_call(push_one, subject, 1.0)
        if not other:
            break
        failed = isinstance(own, StateError), isinstance(other[0], StateError)
        wanted = {(True, False): [(2.0,)], (False, True): [(1.0,)], (False, False): [(1.0, 2.0), (2.0, 1.0)]}[failed]
        assert bits(subject) in [orders[order] for order in wanted], at
        outcomes.add(failed)
        seen.append(at)
    assert len(seen) > 10
    assert len(outcomes) == 2
    assert (False, False) in outcomes


@pytest.mark.slow
@pytest.mark.parametrize("make", [whole, memory], ids=["whole", "memory"])
def test_what_another_thread_reads_of_arrays_that_grow_is_the_old_or_the_new_whole(make: Callable[[], Any]) -> None:
    pool, then = make().pool(), [("a", "rd, größe "), ("new", "my "), ("b", "is", True), ("b", "ist " * 60)]
    first: Any = "where is my ca"
    if make is memory:
        first, then = np.ones((60, 3)), [("a", ROW * 50), ("new", ROW), ("b", ROW, True), ("b", ROW * 40)]
    pool.push([(id, first) for id in ("a", "b", "c")])

    def read(subject: Any) -> Any:
        return bits(subject), bits(subject.fork()), "new" in subject

    straight = copy(pool)
    straight.push(then)
    old, new, found = read(pool), read(straight), list[Any]()
    for at in count():
        subject, before = copy(pool), len(found)
        with call_at(at, "line", in_another_thread, found, read, subject):
            subject.push(then)
        if len(found) == before:
            break
        assert found[-1] in (old, new), at
    assert found[0] == old
    assert found[-1] == new
    assert len(found) > 10


@pytest.mark.parametrize("kind", ["stream", "pool"])
def test_what_another_thread_reads_at_any_place_of_a_change_is_the_old_or_the_new_whole(kind: str) -> None:
    predictor = make_predictor(WINDOW)
    start: Any = predictor.stream() if kind == "stream" else predictor.pool()

    def push_one(subject: Any) -> Any:
        if kind == "stream":
            return subject.push(7.0)
        return subject.push([("a", 7.0), ("new", 1.0), ("b", [2.0, 3.0], True), ("a", 8.0)])

    def read(subject: Any) -> Any:
        said = [subject.scores] if kind == "stream" else [subject.scores(id) for id in ("a", "b")]
        kept = subject.fork()
        return bits(subject), bits(kept), [one.as_dict() for one in said], kind == "pool" and "new" in subject

    if kind == "stream":
        start.push(np.arange(7.0))
    else:
        start.push([(id, np.arange(7.0)) for id in ("a", "b")])
    straight = copy(start)
    push_one(straight)
    old, new, found = read(start), read(straight), list[Any]()
    for at in count():
        subject, before = copy(start), len(found)
        with call_at(at, "line", in_another_thread, found, read, subject):
            push_one(subject)
        if len(found) == before:
            break
        assert found[-1] in (old, new), at
    assert found[0] == old
    assert len(found) > 10


def test_values_that_another_thread_works_out_meanwhile_are_given() -> None:
    for at in range(30):
        forecast = Forecast(lambda: np.ones((1, 1, 1)), [0.5], ["load"])
        with call_at(at, "opcode", getattr, forecast, "values"):
            assert forecast.values is not None
            assert forecast.values.tolist() == [[[1.0]]]
