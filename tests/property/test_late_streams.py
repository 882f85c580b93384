"""A model that looks ahead: however messages are cut and mixed, the answers are those of the whole, in their order."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import cells
from tidegate.layers import Builder
from tidegate.runtime import Predictor
from tidegate.verify.samples import build_model

AHEAD = st.integers(1, 6)


@cache
def predictor(ahead: int) -> Predictor:
    """Open a model that looks ahead before a recurrence, and one step more behind it; its answers are values."""
    builder = Builder(2)
    builder.add("conv", size=5, width=ahead + 2, ahead=ahead, activation="tanh")
    builder.recurrence(cells.load("gru"), 4)
    builder.add("conv", size=3, width=2, ahead=1, activation="none")
    builder.add("pool", over=["last", "mean"])
    return Predictor(build_model(builder.layers, 0, 2, None), "base", 1)


def outputs_of_steps(ahead: int, x: np.ndarray) -> list[bytes]:
    """Return the bytes of the output of each step, from one run of the whole rows."""
    engine = predictor(ahead)._compiled.engine
    states = predictor(ahead)._compiled.initial[None].copy()
    out = np.empty((len(x) + engine.look_ahead, 1, engine.outputs), np.float32)
    engine.run(x[:, None].copy(), np.array([len(x)], np.int32), states, states.copy(), out, True, 1, True)
    return [y.tobytes() for y in out[engine.look_ahead :, 0]]


@given(ahead=AHEAD, sizes=st.lists(st.integers(0, 9), max_size=8), last=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_cut_gives_the_answers_of_the_whole(ahead: int, sizes: list[int], last: int, seed: int) -> None:
    stream = predictor(ahead).stream()
    x = np.random.default_rng(seed).standard_normal((sum(sizes) + last, 2)).astype(np.float32)
    for _ in range(2):  # the second time after an end
        found, at = [], 0
        for size in sizes:
            answers, at = stream.push(x[at : at + size], per_step=True), at + size
            found += answers
            assert len(found) == max(0, at - ahead - 1)
            assert stream.scores.values is None or stream.scores.values.tobytes() == found[-1].values.tobytes()
        found += stream.push(x[at:], end=True, per_step=True)
        assert [one.values.tobytes() for one in found] == outputs_of_steps(ahead, x)
        assert [one.step for one in found] == list(range(len(x)))
        assert stream.steps == 0


@given(
    ahead=AHEAD,
    events=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), min_size=1, max_size=25),
    calls=st.lists(st.integers(1, 6), min_size=1, max_size=10),
)
@settings(max_examples=40, deadline=None)
def test_a_pool_is_many_streams(ahead: int, events: list[tuple[int, int, bool]], calls: list[int]) -> None:
    random, pool = np.random.default_rng(len(events)), predictor(ahead).pool()
    streams = {id: predictor(ahead).stream() for id in range(4)}
    pieces = [(id, random.standard_normal((size, 2)).astype(np.float32), end) for id, size, end in events]
    at = 0
    for k in range(len(events)):
        part, at = pieces[at : at + calls[k % len(calls)]], at + calls[k % len(calls)]
        for per_step in (True, False):
            fork, others = pool.fork(), {id: stream.fork() for id, stream in streams.items()}
            found = (fork if per_step else pool).push(part, per_step=per_step)
            for (id, x, end), mine in zip(part, found, strict=True):
                theirs = (others if per_step else streams)[id].push(x, end, per_step=per_step)
                assert str(mine) == str(theirs)
        assert all(pool.state(id) == streams[id].state for id in pool)
