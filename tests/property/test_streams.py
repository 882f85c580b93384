"""Any way of feeding a message gives the bits of the whole message, on every target."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import _native
from tidegate.runtime import Predictor, Scores
from tidegate.runtime.engine import compile
from tidegate.runtime.state import make_initial
from tidegate.verify.samples import WORDS, sample

Floats = npt.NDArray[np.float32]
POOLS = ("last", "mean", "max", "attention")
GLUE = (" ", "  ", ", ", " - ", "\t", "... ", "\u3000")


def messages(count: int, seed: int) -> list[str]:
    """Make texts as people type them: known and unknown words, marks, letters of two to four bytes."""
    random = np.random.default_rng(seed)
    rare = [
        "naïve",
        "Straße",
        "ПРИВЕТ",
        "価格",
        "😀",
        "x" * 70,
        "e\u0301te\u0301",
        "42",
        "don't",
        "ﬁn",
        "Καλημέρα",
    ]
    words = WORDS + rare
    found = []
    for _ in range(count):
        picked = [words[i] for i in random.integers(len(words), size=random.integers(1, 9))]
        text = "".join(w + GLUE[random.integers(len(GLUE)) if random.random() < 0.2 else 0] for w in picked)
        found.append(text.rstrip() if random.random() < 0.7 else text)
    return found


@cache
def predictor(target: str, text: bool = True) -> Predictor:
    return Predictor(sample(features=None if text else 6, size=19, conv=3, over=POOLS, norm=True), target, 2)


@pytest.mark.parametrize("target", _native.targets())
def test_pieces_cut_at_every_byte_give_the_whole(target: str) -> None:
    whole = predictor(target)
    texts = messages(200 if target == _native.targets()[0] else 40, 1)
    expected = whole.predict(texts)
    stream = whole.stream()
    for text, row in zip(texts, expected, strict=True):
        data = text.encode()
        for cut in range(len(data) + 1):
            stream.push(data[:cut])
            values = stream.push(data[cut:], end=True).values
            assert values is not None
            assert values.tobytes() == row.tobytes(), (text, cut)


@pytest.mark.parametrize("target", _native.targets())
def test_predicting_one_by_one_or_with_any_threads_changes_no_bit(target: str) -> None:
    texts = messages(70, 2)
    whole = predictor(target).predict(texts)
    for threads in (1, 3, 7):
        other = Predictor(predictor(target).model, target, threads)
        assert other.predict(texts).tobytes() == whole.tobytes()
    alone = np.concatenate([predictor(target).predict([text]) for text in texts])
    assert alone.tobytes() == whole.tobytes()


@pytest.mark.parametrize("target", _native.targets())
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_step_run_chunks_pool_and_threads_give_equal_bits(target: str, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=9))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    series = [random.standard_normal((T, 6)).astype(np.float32) for T in lengths]
    engine = predictor(target, False)
    expected = engine.predict(series)
    stream, pool = engine.stream(), engine.pool()
    for x, row in zip(series, expected, strict=True):
        assert last(stream.replay(list(x))).tobytes() == row.tobytes()
        cut = data.draw(st.integers(0, len(x)))
        assert last(stream.replay([x[:cut], x[cut:]])).tobytes() == row.tobytes()
    for t in range(max(lengths)):
        on = [i for i, T in enumerate(lengths) if t < T]
        out = pool.step(on, np.stack([series[i][t] for i in on]))
        for k, i in enumerate(on):
            if lengths[i] == t + 1:
                assert out[k].tobytes() == expected[i].tobytes()


def last(scores: list[Scores]) -> Floats:
    values = scores[-1].values
    assert values is not None
    return values


@pytest.mark.parametrize("target", _native.targets())
def test_the_interpreter_and_the_fused_kernel_give_equal_bits(target: str) -> None:
    model = predictor(target, False).model
    x = np.random.default_rng(0).standard_normal((40, 3, 6)).astype(np.float32)
    outputs = []
    for fused in (True, False):
        engine = compile(model, target, fused)
        begin = np.tile(make_initial(model.state_schema, model.state_bytes), (3, 1))
        out, end = np.empty((40, 3, engine.outputs), np.float32), np.empty_like(begin)
        engine.run(x, np.full(3, 40, np.int32), begin, end, out, True, 1)
        outputs.append(out.tobytes() + end.tobytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("target", _native.targets())
def test_padding_of_nan_changes_nothing(target: str) -> None:
    model = predictor(target, False).model
    engine, random = compile(model, target), np.random.default_rng(0)
    lengths = np.array([12, 5, 1, 9], np.int32)
    x = random.standard_normal((12, 4, 6)).astype(np.float32)
    begin = np.tile(make_initial(model.state_schema, model.state_bytes), (4, 1))
    found = []
    for filler in (0.0, np.nan):
        padded = np.where(np.arange(12)[:, None, None] < lengths[:, None], x, np.float32(filler))
        out, end = np.empty((4, engine.outputs), np.float32), np.empty_like(begin)
        engine.run(padded, lengths, begin, end, out, False, 2)
        assert np.isfinite(out).all()
        found.append(out.tobytes() + end.tobytes())
    assert found[0] == found[1]


def test_nan_of_a_series_stays_its_own() -> None:
    engine = predictor("base", False)
    x = np.zeros((3, 4, 6), np.float32)
    x[1, 2, 3] = np.nan
    out = engine.predict(x)
    assert np.isfinite(out[[0, 2]]).all()
    assert np.isnan(out[1]).all()


@given(
    seed=st.integers(0, 10_000),
    plan=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.booleans()), max_size=60),
)
@settings(max_examples=40, deadline=None)
def test_a_pool_is_as_many_streams(seed: int, plan: list[tuple[int, int, bool]]) -> None:
    """Push pieces of any length to five ids, in any order, with ends anywhere, in batches of any size."""
    engine, random = predictor(_native.targets()[0]), np.random.default_rng(seed)
    text = "".join(messages(30, seed))
    at = dict.fromkeys(range(5), 0)
    events, expected = [], []
    streams = {id: engine.stream() for id in range(5)}
    for id, size, end in plan:
        piece = text[at[id] : at[id] + size]
        at[id] += size
        events.append((id, piece, end))
        expected.append(streams[id].push(piece, end))
    pool, found = engine.pool(), []
    while events:
        count = int(random.integers(1, len(events) + 1))
        found += pool.push(events[:count])
        events = events[count:]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.reason == theirs.reason
        assert (ours.values is None) == (theirs.values is None)
        assert ours.values is None or theirs.values is not None
        assert ours.values is None or ours.values.tobytes() == theirs.values.tobytes()  # type: ignore[union-attr]
    for id, _, _ in plan:
        assert pool.state(id) == streams[id].state


def count_differences(count: int) -> int:
    """Count the events, of `count` interleaved ones over 200 streams, with other scores than in separate streams."""
    engine, random = predictor(_native.targets()[0]), np.random.default_rng(4)
    texts = messages(500, 4)
    pool, streams = engine.pool(), {id: engine.stream() for id in range(200)}
    wrong = done = 0
    while done < count:
        size = int(random.integers(1, 700))
        ids, picked = random.integers(200, size=size).tolist(), random.integers(500, size=size).tolist()
        ends = (random.random(size) < 0.2).tolist()
        events = [(id, texts[k][: len(texts[k]) * 2 // 3], end) for id, k, end in zip(ids, picked, ends, strict=True)]
        for ours, event in zip(pool.push(events), events, strict=True):
            theirs = streams[event[0]].push(*event[1:])
            wrong += ours.as_dict() != theirs.as_dict()
        done += size
    return wrong


def test_no_event_reaches_another_stream() -> None:
    assert count_differences(8000) == 0


def test_a_state_that_outlives_its_message_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.runtime.pool.Pool._reset", lambda self, row: None)
    assert count_differences(1000) > 0
