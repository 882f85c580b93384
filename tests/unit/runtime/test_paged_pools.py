"""Pools of streams with arrays that grow: memory follows what streams hold, and readers see whole states."""

from __future__ import annotations

import pickle
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from level_models import level_model
from remembering import Remembering, compile_remembering
from tidegate.runtime import Pool, Predictor, State
from tidegate.verify.samples import sample

COUNT = 10_000
TEXT = "what is my card "


@pytest.fixture(scope="module")
def words() -> Predictor:
    """A model of words with five features each, which reads whole messages of up to 1,024: 20 KB."""
    return Predictor(sample(size=4, ids=5, direction="both"), threads=1)


def ids_model() -> Predictor:
    return Predictor(sample(features=1, size=2, direction="both"), threads=1)


def held_bytes(pool: Pool) -> int:
    """Return the bytes of the pages that streams have."""
    return sum((pages.fresh - 1 - len(pages.free)) * pages.store[0].nbytes for pages in pool._pages)


def test_many_streams_of_short_messages_take_memory_for_what_they_hold(words: Predictor) -> None:
    whole, holds = len(words._compiled.initial), 4 * 5 * 4
    tracemalloc.start()
    pool = words.pool()
    for first in range(0, COUNT, 1000):
        pool.push([(id, TEXT) for id in range(first, first + 1000)])
    taken = tracemalloc.get_traced_memory()[0]
    pool.push([("long", TEXT * 250)])
    longer = tracemalloc.get_traced_memory()[0] - taken
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    pool.push([(id, TEXT) for id in range(1000)])
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert whole == 8 + 4 * 5 * 1024
    assert taken < COUNT * (16 * holds) < COUNT * whole / 10  # the store has room for twice as many, and there are ids
    assert longer < 2 * whole
    assert peak < 1000 * whole / 4  # an undo record copies no steps
    assert held_bytes(pool) < COUNT * 512 * 1.2


WAYS: dict[str, Callable[[Pool, list[int], State], Any]] = {
    "end": lambda pool, ids, _: pool.push([(id, "", True) for id in ids]),
    "ends alone": lambda pool, ids, _: [pool.end(id) for id in ids],
    "reset": lambda pool, ids, _: [pool.reset(id) for id in ids],
    "forget": lambda pool, ids, _: [pool.forget(id) for id in ids],
    "restore": lambda pool, ids, empty: [pool.restore(id, empty) for id in ids],
}


@pytest.mark.parametrize("way", WAYS)
def test_pages_of_streams_that_begin_anew_are_used_again(words: Predictor, way: str) -> None:
    pool, ids, empty = words.pool(), list(range(40)), words.stream().state
    (pages,) = pool._pages
    pool.push([("stays", TEXT * 20)])
    held, sizes = held_bytes(pool), set()
    for _ in range(6):
        pool.push([(id, TEXT * (1 + id)) for id in ids])
        assert held_bytes(pool) > held
        WAYS[way](pool, ids, empty)
        assert held_bytes(pool) == held
        sizes.add(len(pages.store))
    assert len(sizes) == 1
    assert pool.state("stays").steps == 80
    pool.forget_idle(0)
    assert held_bytes(pool) == 0


def test_pages_of_evicted_streams_are_used_again(words: Predictor) -> None:
    pool = words.pool(keep=10)
    (pages,) = pool._pages
    sizes = set()
    for turn in range(30):
        pool.push([((turn, id), TEXT * 10) for id in range(5)])
        sizes.add(len(pages.store))
        assert held_bytes(pool) == len(pool) * -(-40 // pages.rows) * pages.store[0].nbytes
    assert len(pool) == 10
    assert len(sizes) < 4


def test_a_call_that_fails_midway_gives_its_pages_back(words: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = words.pool()
    pool.push([("a", TEXT * 20), ("b", TEXT)])
    held, before = held_bytes(pool), {id: pool.state(id) for id in pool}
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr("tidegate.runtime.pool_runs.run_kept", lambda *of: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                pool.push([("a", TEXT * 20), ("new", TEXT * 30), ("b", TEXT * 30, True), ("b", TEXT)])
        assert {id: pool.state(id) for id in pool} == before
        pool.reset("b")
        pool.push([("b", TEXT)])
        assert held_bytes(pool) == held
    assert {id: pool.state(id) for id in pool} == before


def test_copies_and_pickles_take_what_streams_hold(words: Predictor) -> None:
    pool = words.pool()
    pool.push([(id, TEXT * (id % 7)) for id in range(500)])
    pool.push([("long", TEXT * 200)])
    data = pickle.dumps(pool)
    assert len(data) < 500 * 1000 < 500 * len(words._compiled.initial) / 10
    for other in (pool.fork(), pickle.loads(data)):
        assert held_bytes(other) == held_bytes(pool)
        assert {id: other.state(id) for id in other} == {id: pool.state(id) for id in pool}
        mine, theirs = (one.push([(id, TEXT, True) for id in one]) for one in (pool.fork(), other))
        assert [one.values.tobytes() for one in mine] == [one.values.tobytes() for one in theirs]


def test_messages_of_conversations_keep_steps_while_conversations_go_on() -> None:
    predictor = Predictor(level_model(both=True, speaker=False), threads=1)
    pool, streams = predictor.pool(), {id: predictor.stream() for id in range(6)}
    random = np.random.default_rng(3)
    for _ in range(25):
        events = [
            (int(id), TEXT * int(random.integers(0, 40)), [False, True, "conversation"][int(random.integers(0, 3))])
            for id in random.integers(0, 6, 5)
        ]
        for (id, piece, end), mine in zip(events, pool.push(events), strict=True):
            assert repr(streams[id].push(piece, end)) == repr(mine)
        states = {id: pool.state(id) for id in pool}
        assert states == {id: streams[id].state for id in pool}
        fork = pool.fork()
        assert {id: fork.state(id) for id in fork} == states
        assert held_bytes(pool) == held_bytes(fork)


def test_several_arrays_of_many_streams() -> None:
    compiled, random = compile_remembering(), np.random.default_rng(2)
    pool, alone = Remembering(compiled), {id: Remembering(compiled) for id in range(20)}
    for turn in range(40):
        ids = random.integers(0, 20, 30)
        x = random.standard_normal((30, 3)).astype(np.float32)
        pool.step(ids, x)
        for id, row in zip(ids.tolist(), x, strict=True):
            alone[id].step([id], row[None])
        if turn % 7 == 6:
            for id in random.integers(0, 20, 4).tolist():
                if id in pool:
                    pool.reset(id)
                    alone[id].reset(id)
        fork = pool.fork()
        for id in pool:
            assert pool.state(id) == fork.state(id) == alone[id].state(id)
        assert held_bytes(pool) == held_bytes(fork)


def test_readers_see_whole_messages_while_another_thread_changes_them() -> None:
    """Each message counts from 0, so a state that is partly of another moment would be seen."""
    pool, failed, is_done = ids_model().pool(), list[str](), threading.Event()
    pool.push([(id, [[0.0]]) for id in range(4)])
    before = sys.getswitchinterval()

    def read() -> None:
        while not is_done.is_set():
            for one in (pool, pool.fork()):
                for id in range(4):
                    state = one.state(id)
                    kept = state.arrays["kept.steps"][: state.steps, 0]
                    if not np.array_equal(kept, np.arange(state.steps)):
                        failed.append(repr(kept))

    readers = [threading.Thread(target=read) for _ in range(2)]
    random = np.random.default_rng(0)
    try:
        sys.setswitchinterval(1e-5)
        for reader in readers:
            reader.start()
        for _ in range(300):
            events: list[Any] = []
            for id in random.integers(0, 4, 3).tolist():
                if id in [event[0] for event in events]:
                    continue
                steps = pool.state(id).steps
                if steps > 700:
                    events += [(id, np.zeros((0, 1)), True), (id, np.arange(9.0)[:, None])]
                else:
                    events.append((id, np.arange(steps, steps + random.integers(1, 200))[:, None]))
            pool.push(events)
            pool.reset(3)
    finally:
        is_done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(before)
    assert failed == []
