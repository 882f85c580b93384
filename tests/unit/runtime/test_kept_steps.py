"""Streams of models that read whole rows: they keep the steps of a message, with the bits of the whole at its end."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.cli.stream import Streams
from tidegate.document import assemble
from tidegate.errors import DataError, StateError
from tidegate.features.series import SeriesTransform
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.runtime.kept_steps import WAITS_FOR_END
from tidegate.verify.samples import WORDS, random_tensor, sample, series_sample

TAGS = ["B-city", "B-day", "I-city", "I-day", "O"]


def tagger() -> Model:
    """A tagger of ids that reads both directions, whose tags follow BIO, with a label of the whole."""
    builder, random = Builder(None), np.random.default_rng(3)
    builder.add("embed", rows=20, size=6)
    builder.recurrence(cells.load("gru"), 4, both=True)
    builder.add("dense", size=7, activation="none")
    tensors = {
        layer.tensors[role]: random_tensor(random, layer, role, shape)
        for layer in builder.layers
        for role, shape in layer.shapes().items()
    }
    tags = {"kind": "tags", "at": "step", "labels": TAGS, "scores": "logits", "scheme": "bio", "part": [0, 5]}
    label = {"kind": "labels", "at": "end", "labels": ["no", "yes"], "scores": "logits", "calibration": None}
    outputs = {"tags": tags, "label": {**label, "part": [5, 7]}}
    document = assemble("tag", {}, {"x": {"kind": "ids", "size": 20}}, builder.layers, outputs, {})
    return Model(document, tensors)


def keeping(model: Model, keeps: int) -> Model:
    return Model({**model.document, "streams": {"yes": True, "keeps": keeps}}, model.tensors)


def draw_text(random: np.random.Generator, words: int) -> str:
    return "  ".join(random.choice([*WORDS, "neverseen"], words).tolist())


def draw_numbers(random: np.random.Generator, steps: int) -> Any:
    return random.standard_normal((steps, 2)).astype(np.float32)


def draw_ids(random: np.random.Generator, steps: int) -> Any:
    return random.integers(0, 20, steps).astype(np.int32)


SENSORS = SeriesTransform(("x", "y"), ("past", "past"))
GAPPY = SeriesTransform(("x", "y"), ("past", "past"), missing="ffill")
Draw = Callable[[np.random.Generator, int], Any]
MODELS: dict[str, tuple[Callable[[], Model], Draw]] = {
    "text": (lambda: sample(size=6, direction="both", over=("last", "mean", "max", "attention")), draw_text),
    "text of features": (lambda: sample(size=6, ids=4, direction="both", conv=3, centred=True), draw_text),
    "numbers": (lambda: sample(features=2, size=6, direction="both", depth=2, over=()), draw_numbers),
    "final states": (lambda: sample(features=2, size=6, direction="both", over=(), final=True), draw_numbers),
    "series": (lambda: series_sample(SENSORS, size=5, direction="both"), draw_numbers),
    "series with gaps": (lambda: series_sample(GAPPY, size=5, direction="both"), draw_numbers),
    "tags": (tagger, draw_ids),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[Predictor, list[Any]]:
    make, draw = MODELS[request.param]
    random = np.random.default_rng(7)
    messages = [draw(random, steps) for steps in (1, 9, 2, 17, 5)]
    return Predictor(make(), threads=2), messages


def bits(answer: Any) -> Any:
    """Return an answer as something that is equal only if all of its numbers have the same bits."""
    values = answer.values
    return repr(answer), {k: v.tobytes() for k, v in values.items()} if isinstance(values, dict) else values.tobytes()


def pieces(message: Any, size: int) -> list[Any]:
    return [message[at : at + size] for at in range(0, len(message), size)]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_any_chunking_gives_the_bits_of_the_whole(case: tuple[Predictor, list[Any]], size: int) -> None:
    predictor, messages = case
    stream, pool = predictor.stream(), predictor.pool()
    for message, whole in zip(messages, predictor.answers(messages), strict=True):
        for piece in pieces(message, size):
            assert stream.push(piece).reason in (WAITS_FOR_END, "no complete word yet")
            pool.push_one("a", piece)
            assert pool.state("a") == stream.state
            assert repr(pool.scores("a")) == repr(stream.scores)
        assert bits(stream.end()) == bits(pool.end("a")) == bits(whole)
        assert bits(stream.push(message, end=True)) == bits(pool.push_one("a", message, True)) == bits(whole)
        assert stream.steps == 0
        assert stream.state == predictor.stream().state


def test_each_step_has_its_answer_at_the_end(case: tuple[Predictor, list[Any]]) -> None:
    predictor, messages = case
    stream, pool = predictor.stream(), predictor.pool()
    for message in messages:
        assert stream.push(message[:1], per_step=True) == pool.push_one("a", message[:1], per_step=True) == []
        found = stream.push(message[1:], end=True, per_step=True)
        pooled = pool.push_one("a", message[1:], True, per_step=True)
        assert [answer.step for answer in found] == list(range(len(found)))
        assert list(map(bits, found)) == list(map(bits, pooled))
        pool.push_one("a", message)
        assert list(map(bits, pool.end("a", per_step=True))) == list(map(bits, found))
        (whole,) = predictor.answers([message])
        if "tags" in predictor.model.outputs:
            assert [one["tags"].tags[0] for one in found] == whole["tags"].tags
            assert b"".join(one["tags"].values.tobytes() for one in found) == whole["tags"].values.tobytes()
            assert found[-1]["label"].values.tobytes() == whole["label"].values.tobytes()
        else:
            assert found[-1].values.tobytes() == whole.values.tobytes()
            assert whole.step is None


def test_a_message_without_a_step_says_so(case: tuple[Predictor, list[Any]]) -> None:
    predictor, messages = case
    source, nothing = predictor.model.inputs["x"], messages[0][:0]
    for end in (predictor.stream().end, lambda: predictor.stream().push(nothing, end=True)):
        assert end().reason == f"the message has {source.empty}"
    pool = predictor.pool()
    pool.add("a")
    assert pool.end("a").reason == pool.push_one("b", nothing, True).reason == f"the message has {source.empty}"
    assert (
        pool.push_one("a", nothing, True, per_step=True) == predictor.stream().push(nothing, True, per_step=True) == []
    )


def test_a_pool_of_200_conversations_is_200_streams(case: tuple[Predictor, list[Any]]) -> None:
    predictor, messages = case
    random, pool = np.random.default_rng(1), predictor.pool()
    streams = [predictor.stream() for _ in range(200)]
    left: dict[int, list[Any]] = {}
    ended = 0
    for turn in range(12):
        events = []
        for id in random.integers(0, 200, 300).tolist():  # some occur twice in a call, and may end in between
            if not left.get(id):
                left[id] = pieces(messages[(id + turn) % len(messages)], int(random.integers(1, 8)))
            piece = left[id].pop(0)
            events.append((id, piece, not left[id]))
        per_step = turn % 3 == 2
        for (id, piece, end), mine in zip(events, pool.push(events, per_step=per_step), strict=True):
            theirs = streams[id].push(piece, end, per_step=per_step)
            ended += end
            assert repr(mine) == repr(theirs)
            if end:
                assert list(map(bits, mine)) == list(map(bits, theirs)) if per_step else bits(mine) == bits(theirs)
    assert ended > 200
    assert all(pool.state(id) == streams[id].state for id in pool)


def test_forks_states_and_pickles_in_the_middle(case: tuple[Predictor, list[Any]]) -> None:
    predictor, messages = case
    message = messages[3]
    (whole,) = predictor.answers([message])
    for cut in (0, 1, len(message) // 2, len(message)):
        stream, pool, other = predictor.stream(), predictor.pool(), predictor.stream()
        stream.push(message[:cut])
        state = State.from_bytes(stream.state.to_bytes())
        assert state == stream.state
        pool.restore("a", state)
        other.restore(state)
        fork, copy = stream.fork(), pickle.loads(pickle.dumps(stream))
        stream.push(messages[1])  # changes no copy
        for one in (fork, copy, other):
            assert bits(one.push(message[cut:], True)) == bits(whole)
        for one in (pool.fork(), pickle.loads(pickle.dumps(pool))):
            assert bits(one.push_one("a", message[cut:], True)) == bits(whole)


def test_the_state_has_the_steps_by_name() -> None:
    predictor = Predictor(keeping(sample(size=6, ids=3, direction="both"), 5))
    stream = predictor.stream()
    stream.push("my card is my ")
    kept = stream.state.arrays["kept.steps"]
    assert (kept.dtype, kept.shape) == (np.dtype("int32"), (5, 3))
    expected = predictor.model.inputs["x"].read_whole("my card is my")[0].rows
    assert kept[:4].tolist() == expected.tolist()
    assert not kept[4:].any()
    assert stream.steps == stream.state.steps == 4
    numbers = Predictor(keeping(sample(features=2, size=4, direction="both"), 3)).stream()
    numbers.push([1.5, np.nan])
    np.testing.assert_array_equal(numbers.state.arrays["kept.steps"], np.array([[1.5, np.nan], [0, 0], [0, 0]]))
    assert numbers.state.block.nbytes == 8 + 3 * 2 * 4
    assert (predictor.kept_bytes, predictor.output_bytes) == (64, 0)


def test_a_message_of_as_many_steps_as_are_kept_and_of_one_more() -> None:
    predictor = Predictor(keeping(tagger(), 6))
    message = draw_ids(np.random.default_rng(0), 7)
    (whole,) = predictor.answers([message[:6]])
    sentence = (
        "the message would have 7 steps, and a stream of this model keeps at most 6 until its end; end the message "
        "before, or give it whole to predict"
    )
    stream, pool = predictor.stream(), predictor.pool()
    stream.push(message[:4])
    pool.push_one("a", message[:4])
    before = stream.state
    for per_step in (False, True):
        for end in (False, True):
            with pytest.raises(DataError, match=sentence):
                stream.push(message[4:], end, per_step=per_step)
            with pytest.raises(DataError, match=sentence):
                pool.push_one("a", message[4:], end, per_step=per_step)
        with pytest.raises(DataError, match=f"event 1: {sentence}; none of the events was applied"):
            pool.push([("a", message[4:6]), ("b", message)], per_step=per_step)
    events = [("a", message[4:6]), ("a", message[6:], True)]
    with pytest.raises(DataError, match=f"event 1: {sentence}"):
        pool.push(events)
    with pytest.raises(DataError, match=f"stream 'a': {sentence}"):
        pool.step(["a", "b", "a", "a"], message[:4])
    assert stream.state == pool.state("a") == before
    assert list(pool) == ["a"]
    assert bits(stream.push(message[4:6], True)) == bits(whole)
    (_, found, after) = pool.push([("a", message[4:6]), ("a", message[:0], True), ("a", message[:6])])
    assert bits(found) == bits(whole)
    assert after["tags"].reason == WAITS_FOR_END


def test_an_unfinished_word_needs_room_for_its_step() -> None:
    """Else the message could not be ended any more."""
    predictor = Predictor(keeping(sample(size=6, direction="both"), 3))
    stream, pool = predictor.stream(), predictor.pool()
    for push in (stream.push, lambda x, end=False: pool.push_one("a", x, end)):
        push("my card is")
        with pytest.raises(DataError, match="would have 4 steps"):
            push(" i")
        push(" ")
        for piece in ("i", "ï"[:1], "ï".encode()[:1]):
            with pytest.raises(DataError, match="would have 4 steps"):
                push(piece)
    pool.restore("b", predictor.stream().state)
    pool.push_one("b", "my card i")
    with pytest.raises(DataError, match="stream 'b': the message would have 4 steps"):
        pool.step(["b"], [1])
    whole = predictor.predict(["my card is"])[0].tobytes()
    assert stream.end().values.tobytes() == pool.end("a").values.tobytes() == whole


def test_single_steps_of_many_streams() -> None:
    predictor, random = Predictor(sample(features=2, size=5, direction="both")), np.random.default_rng(2)
    pool, streams = predictor.pool(), [predictor.stream() for _ in range(30)]
    for _ in range(8):
        ids = random.integers(0, 30, 40)  # some occur twice
        x = random.standard_normal((40, 2)).astype(np.float32)
        assert np.isnan(pool.step(ids, x)).all()
        for id, row in zip(ids.tolist(), x, strict=True):
            streams[id].push(row)
    for id in pool:
        assert pool.state(id) == streams[id].state
        assert pool.scores(id).reason == WAITS_FOR_END
        assert bits(pool.end(id)) == bits(streams[id].end())


@pytest.mark.parametrize("id", [-1, 20, 1 << 30])
def test_a_state_with_an_id_that_does_not_exist_is_refused(id: int) -> None:
    predictor = Predictor(keeping(tagger(), 4))
    stream = predictor.stream()
    stream.push([3, 4])
    good = stream.state
    block = good.block.copy()
    block[-12:-8].view(np.int32)[0] = id  # the second step of four
    bad = State(block, good.schema, good.output, b"", good.schema_hash, good.weights_hash)
    with pytest.raises(StateError, match=rf"kept\.steps has the id {id}; expected 0 to 19"):
        predictor.stream().restore(bad)
    with pytest.raises(StateError, match=r"kept\.steps has the id"):
        predictor.pool().restore("a", bad)


def test_a_state_with_more_steps_than_are_kept_is_refused() -> None:
    predictor = Predictor(keeping(sample(size=6, direction="both"), 3))
    stream = predictor.stream()
    stream.push("my card is ")
    good = stream.state
    word = State(good.block, good.schema, good.output, b"i", good.schema_hash, good.weights_hash)
    with pytest.raises(StateError, match="the state has 3 steps and an unfinished one; .* keeps at most 3"):
        predictor.stream().restore(word)
    block = good.block.copy()
    block[:8].view(np.int64)[0] = 4
    more = State(block, good.schema, good.output, b"", good.schema_hash, good.weights_hash)
    with pytest.raises(StateError, match="the state has 4 steps; a stream of this model keeps at most 3"):
        predictor.stream().restore(more)
    with pytest.raises(StateError, match="another shape"):
        Predictor(keeping(predictor.model, 4)).stream().restore(good)


def test_a_wide_step_leaves_room_for_fewer() -> None:
    model = sample(features=5000, size=1, direction="both", over=())
    assert model.keeps == ((16 << 20) - 8) // (4 * 5000) == 838
    stream = Predictor(model).stream()
    stream.push(np.ones((838, 5000), np.float32))
    assert stream.state.block.nbytes <= 16 << 20
    with pytest.raises(DataError, match="keeps at most 838"):
        stream.push(np.ones(5000, np.float32))


@pytest.mark.parametrize("per_step", [False, True])
def test_events_of_the_command_line(per_step: bool) -> None:
    predictor = Predictor(tagger())
    streams = Streams(predictor, per_step=per_step)
    message = draw_ids(np.random.default_rng(3), 8)
    (whole,) = predictor.answers([message])
    events = [{"stream": 1, "x": piece.tolist()} for piece in pieces(message, 3)] + [{"stream": 1, "end": True}]
    *early, last = (streams.handle(json.dumps(event).encode()) for event in events)
    for one in early:
        assert one["tags"] == {"tags": None, "scores": None, "reason": WAITS_FOR_END}
        assert one.get("steps", []) == []
    steps = last.pop("steps", [])
    assert last == {"stream": 1, **whole.as_dict(all_scores=False), "final": True}
    assert [one["step"] for one in steps] == (list(range(8)) if per_step else [])
    assert [one["tags"]["tags"][0] for one in steps] == (whole["tags"].tags if per_step else [])
    both = streams.handle(json.dumps({"stream": 1, "x": message.tolist(), "end": True}).encode())
    assert both["tags"]["tags"] == whole["tags"].tags
