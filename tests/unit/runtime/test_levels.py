"""Streams, pools and whole inputs of models with several graphs: messages in conversations."""

from __future__ import annotations

import copy
import json
import pickle
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from level_models import level_model
from tidegate.errors import DataError, OptionError, StateError
from tidegate.model import Model
from tidegate.runtime import Answers, Predictor, State
from tidegate.verify.samples import TEXT, WORDS, sample

ANN, BOB = {"speaker": "ann"}, {"speaker": "bob"}
MODELS: dict[str, dict[str, Any]] = {
    "speaker": {},
    "no speaker, one output": {"speaker": False, "topic": False},
    "look-ahead": {"ahead": 2},
    "whole messages": {"both": True},
    "tags of messages": {"tags": True},
    "three graphs": {"days": True, "tags": True},
}
TALK = [
    ("what is my card", ANN, True),
    ("how much 日本 größe", BOB, True),
    ("", ANN, True),
    ("i lost it", ANN, True),
    ("pin", BOB, "conversation"),
    ("new", BOB, "conversation"),
]


def predictor(kind: str) -> Predictor:
    return Predictor(level_model(**MODELS[kind]), threads=1)


def sides_of(kind: str, sides: dict[str, Any]) -> dict[str, Any]:
    """Return the side inputs that this kind of model takes."""
    given = sides if MODELS[kind].get("speaker", True) else {}
    return {**given, "weather": [1.0, 2.0]} if MODELS[kind].get("days") else given


def bits(answer: Any) -> Any:
    """Return all that an answer says, bit for bit."""
    found = answer.items() if isinstance(answer, Answers) else [("", answer)]
    return {k: (None if one.values is None else one.values.tobytes(), one.reason) for k, one in found}


def cut(text: str, random: np.random.Generator) -> Iterator[bytes]:
    """Cut a text into pieces, inside of words and characters too."""
    data = text.encode()
    at = sorted(random.integers(0, len(data) + 1, 3).tolist())
    yield from (data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True))


def talk_by_hand(model: Model, talk: list[tuple[str, dict[str, Any], Any]]) -> list[Any]:
    """The definition: each graph is a model of its own, and the one above reads the values of the one below."""
    words, talk_graph = (Predictor(one.model, threads=1) for one in list(model.levels.values())[:2])
    stream, names, found = talk_graph.stream(), list[str](), list[Any]()
    for text, sides, end in talk:
        if not text:
            found.append(None)
            continue
        answer = words.answers([text])[0]
        values = answer.items() if isinstance(answer, Answers) else [("", answer)]
        row = dict(values).get(list(model.levels.values())[1].reads[0], answer).values
        if sides:
            names += [sides["speaker"]] * (sides["speaker"] not in names)
            row = np.concatenate([row, np.eye(3, dtype=np.float32)[names.index(sides["speaker"])]])
        found.append(stream.push(row))
        if end == "conversation":
            stream.reset()
            names.clear()
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_a_message_ticks_its_conversation(kind: str) -> None:
    one = predictor(kind)
    talk = [(text, sides_of(kind, sides), end) for text, sides, end in TALK]
    stream = one.stream()
    pushed = [stream.push(text, end, sides=sides) for text, sides, end in talk]
    bare = [(text, {k: v for k, v in sides.items() if k == "speaker"}, end) for text, sides, end in talk]
    for answer, expected in zip(pushed, talk_by_hand(one.model, bare), strict=True):
        label = answer["label"] if isinstance(answer, Answers) else answer
        if expected is None:
            assert label.values is None
            assert label.reason == "the message has no word"
            continue
        wanted = expected["label"] if isinstance(expected, Answers) else expected
        assert label.values.tobytes() == wanted.values.tobytes()
        if kind == "tags of messages":
            assert answer["tags"].tags == expected["tags"].tags


@pytest.mark.parametrize("kind", MODELS)
def test_pieces_equal_the_whole_and_pools_equal_streams(kind: str) -> None:
    one, random = predictor(kind), np.random.default_rng(0)
    whole, pieces, pool, wholes = one.stream(), one.stream(), one.pool(), one.pool()
    for text, sides, end in TALK:
        sides = sides_of(kind, sides)
        *first, last = cut(text, random)
        expected = whole.push(text, end, sides=sides)
        seen = [pieces.push(piece) for piece in first] + [pieces.push(last, end, sides=sides)]
        events = [("a", piece) for piece in first] + [("a", last, end, None, sides)]
        assert bits(seen[-1]) == bits(expected)
        assert [bits(x) for x in pool.push(events)] == [bits(x) for x in seen]
        assert bits(wholes.push_one("a", text, end, sides=sides)) == bits(expected)
        assert pool.state("a") == whole.state == pieces.state == wholes.state("a")
        assert bits(pool.scores("a")) == bits(whole.scores)


@pytest.mark.parametrize("kind", MODELS)
def test_whole_conversations_have_the_bits_of_streams(kind: str) -> None:
    one, random = predictor(kind), np.random.default_rng(1)
    talks = [
        [(" ".join(random.choice(WORDS, random.integers(0, 9))), sides_of(kind, [ANN, BOB][i % 2])) for i in range(n)]
        for n in (1, 5, 2, 9)
    ]
    talks[1][2], talks[3][8] = ("", talks[1][2][1]), ("", talks[3][8][1])
    for talk, answers in zip(talks, one.answers(talks), strict=True):
        stream, end = one.stream(), one._compiled.levels[-1]
        pushed = [stream.push(x, end if i + 1 == len(talk) else True, sides=s) for i, (x, s) in enumerate(talk)]
        assert [bits(x) for x in answers] == [bits(x) for x in pushed]
        assert stream.state == one.stream().state


@pytest.mark.parametrize("kind", MODELS)
def test_many_interleaved_conversations_are_those_of_single_streams(kind: str) -> None:
    one, random = predictor(kind), np.random.default_rng(2)
    pool, count = one.pool(), 1000 if kind == "speaker" else 40
    streams = [one.stream() for _ in range(count)]
    for _ in range(3):
        events = []
        for id in random.integers(0, count, 2 * count).tolist():
            end = random.choice([False, True, True, "conversation"], p=[0.5, 0.2, 0.2, 0.1])
            end = end if end == "conversation" else end == "True"
            text = " ".join(random.choice(WORDS, 3)) + [" ", ""][id % 2]
            events.append((id, text, end, None, sides_of(kind, [ANN, BOB][id % 2])))
        found = pool.push(events)
        pushed = [streams[id].push(text, end, sides=sides) for id, text, end, _, sides in events]
        assert [bits(x) for x in found] == [bits(x) for x in pushed]
    assert all(pool.state(id) == streams[id].state for id in pool)


@pytest.mark.parametrize("kind", MODELS)
def test_the_answer_after_each_step(kind: str) -> None:
    one = predictor(kind)
    stream, pool, sides = one.stream(), one.pool(), sides_of(kind, ANN)
    for text, end in (("what is my", False), (" card", True), ("how much is", "conversation"), ("", True)):
        before = stream.fork()
        each = stream.push(text, end, per_step=True, sides=sides)
        assert [bits(x) for x in pool.push_one("a", text, end, per_step=True, sides=sides)] == [bits(x) for x in each]
        last = before.push(text, end, sides=sides)
        assert before.state == stream.state == pool.state("a")
        if text:
            assert bits(each[-1] if each else last) == bits(last)
    stream.push("pin ", sides=sides)
    pool.push_one("a", "pin ", sides=sides)
    each, silent = pool.end("a", per_step=True), stream.push("", True, per_step=True)
    assert [bits(x) for x in each] == [bits(x) for x in silent]
    assert pool.state("a") == stream.state


def test_previews_change_nothing_and_become_the_tick() -> None:
    one = predictor("speaker")
    stream = one.stream()
    stream.push("what is my card", end=True, sides=ANN)
    start = {k: v.tobytes() for k, v in stream.state.arrays.items() if k.startswith("talk")}
    stream.push("", end=True, sides={"speaker": "eve"})  # nobody has spoken
    preview = stream.push("how much ", sides=BOB)
    assert {k: v.tobytes() for k, v in stream.state.arrays.items() if k.startswith("talk")} == start
    assert bits(stream.scores) == bits(preview)
    assert bits(stream.fork().push("", end=True)) == bits(preview)
    assert json_names(stream.state) == ["ann"]  # bob is counted when his message ends
    stream.push("", end=True)
    assert json_names(stream.state) == ["ann", "bob"]


def json_names(state: State) -> list[str]:
    """Return the names of speakers in a state."""
    (length,) = struct.unpack_from("<I", state.input_state)
    (size,) = struct.unpack_from("<I", state.input_state, 4 + length)
    names: list[str] = json.loads(state.input_state[8 + length : 8 + length + size] or b"[]")
    return names


def test_only_ended_levels_reset() -> None:
    one = predictor("three graphs")
    stream, sides = one.stream(), sides_of("three graphs", ANN)

    def counts() -> list[int]:
        return [int(stream.state.arrays[name][0]) for name in ("steps", "talk.steps", "days.steps")]

    stream.push("what is my card ", sides=sides)
    assert counts() == [4, 0, 0]
    stream.push("pin", end=True)
    assert counts() == [0, 1, 0]
    stream.push("how much", end="message", sides=ANN)
    assert counts() == [0, 2, 0]
    stream.push("how much", end="conversation", sides=ANN)
    assert counts() == [0, 0, 1]
    assert stream.push("", end="conversation", sides=sides)["mood"].reason == "the message has no word"
    assert counts() == [0, 0, 1]
    last = stream.fork().push("how", end="conversation", sides=sides)
    stream.push("how", end=True, sides=sides)
    stream.push("", end=True)
    assert bits(stream.end("conversation"))["mood"] == bits(last)["mood"]  # from the message before
    assert counts() == [0, 0, 2]
    stream.push("how", end="customer", sides=sides)
    assert stream.state == one.stream().state


def test_a_side_input_is_remembered_until_its_graph_ticks() -> None:
    stream = predictor("speaker").stream()
    other = stream.fork()
    assert stream.push("what ")["label"].reason == (
        "waiting for 'speaker', which this model reads at the end of the message"
    )
    assert stream.push("is ", sides=ANN)["label"].values is not None
    expected = stream.push("it", end=True, sides=ANN)
    assert bits(other.push("what is it", end=True, sides=ANN)) == bits(expected)
    assert other.state == stream.state
    assert stream.push("what ")["label"].values is None  # the next message has its own


@pytest.mark.parametrize(
    ("end", "sides", "message"),
    [
        (True, None, "the message has no 'speaker', and this model needs one for each message; give it with any part"),
        (True, {"speaker": ""}, "speaker: '' was given; expected a name"),
        (True, {"speaker": "\ud800"}, "half of a surrogate pair"),
        (True, {"speaker": 3}, "speaker: 3 was given; expected a name"),
        (True, {"listener": "ann"}, "'listener' was given, but this model has the side inputs speaker; leave it out"),
        (True, ["ann"], "sides are list; expected a dict"),
        ("turn", ANN, "end is 'turn'; expected True, False, 'message' or 'conversation'$"),
    ],
)
def test_what_is_refused_changes_nothing(end: Any, sides: Any, message: str) -> None:
    one = predictor("speaker")
    stream, pool = one.stream(), one.pool()
    stream.push("what ")
    pool.push_one("a", "what ")
    before = stream.state
    with pytest.raises(DataError, match=message):
        stream.push("is", end, sides=sides)
    with pytest.raises(DataError, match=f"event 1: .*{message.rstrip('$')}.*none of the events was applied"):
        pool.push([("b", "is", True, None, ANN), ("a", "is", end, None, sides)])
    with pytest.raises(DataError, match=message):
        pool.end("a", level=end, sides=sides)
    with pytest.raises(DataError, match=message):
        stream.end(end, sides)
    assert stream.state == before == pool.state("a")
    assert "b" not in pool


def test_two_speakers_of_one_message_are_refused() -> None:
    stream = predictor("speaker").stream()
    stream.push("what ", sides=ANN)
    before = stream.state
    with pytest.raises(DataError, match="speaker is 'bob', but 'ann' was given before in the same message; end it"):
        stream.push("is it", end=True, sides=BOB)
    assert stream.state == before


def test_a_model_of_one_graph_has_one_level() -> None:
    one = Predictor(sample(size=6), threads=1)
    stream, pool = one.stream(), one.pool()
    expected = bits(one.stream().push(TEXT, end=True))
    assert bits(stream.push(TEXT, end="message")) == expected == bits(pool.push_one("a", TEXT, "message"))
    assert stream.state == one.stream().state == pool.state("a")
    with pytest.raises(DataError, match="end is 'conversation'; expected True, False or 'message'$"):
        stream.push("a", end="conversation")
    with pytest.raises(DataError, match="'speaker' was given, but this model has no side inputs; leave it out"):
        stream.push("a", sides=ANN)
    with pytest.raises(DataError, match="'speaker' was given, but this model has no side inputs; leave it out"):
        pool.push_one("a", "a", sides=ANN)
    assert bits(stream.push("my card ", sides={})) == bits(one.stream().push("my card "))


@pytest.mark.parametrize("kind", MODELS)
def test_copies_states_and_pickles_continue_alike(kind: str) -> None:
    one = predictor(kind)
    stream, pool, sides = one.stream(), one.pool(), sides_of(kind, ANN)
    for text, end in (("what is", True), ("my ca", False)):
        stream.push(text, end, sides=sides)
        pool.push_one("a", text, end, sides=sides)
    restored, kept = one.stream(), one.pool()
    restored.restore(State.from_bytes(stream.state.to_bytes()))
    kept.restore("a", pool.state("a"))
    streams = [stream.fork(), copy.copy(stream), pickle.loads(pickle.dumps(stream)), restored]
    pools = [pool.fork(), pickle.loads(pickle.dumps(pool)), kept]
    expected = bits(stream.push("rd", True))
    assert [bits(x.push("rd", True)) for x in streams] == [expected] * 4
    assert [bits(x.push_one("a", "rd", True)) for x in pools] == [expected] * 3
    assert all(x.state == stream.state for x in streams)
    again = stream.replay([("what is", True, None, sides), ("my ca", False, None, sides), ("rd", True)])
    assert bits(again[-1]) == expected


def test_states_that_do_not_fit_are_refused() -> None:
    one = predictor("three graphs")
    stream = one.stream()
    stream.push("what is ", sides=sides_of("three graphs", ANN))
    state = stream.state

    def changed(input_state: bytes | None = None, at: int | None = None) -> State:
        block = state.block.copy()
        if at is not None:
            block[at : at + 8] = np.array([-1], np.int64).view(np.uint8)
        own = state.input_state if input_state is None else input_state
        return State(block, state.schema, state.output, own, state.schema_hash, state.weights_hash)

    def names(data: bytes) -> bytes:
        return struct.pack("<I", len(data)) + data

    offsets = {array["name"]: array["offset"] for array in state.schema}
    parts = {
        "talk.steps is -1": changed(at=offsets["talk.steps"]),
        "outputs.tags.memory is -1": changed(at=offsets["outputs.tags.memory"]),
        "what the state has of the inputs": changed(b""),
        "of the inputs does not fit": changed(state.input_state + b"x"),
        "the names of 'speaker'": changed(b"\0\0\0\0" + state.input_state[4:].replace(b"\0\0\0\0", b"\2\0\0\0{}", 1)),
        "the names of 'speaker' in": changed(b"\0\0\0\0" + names(b'["\\ud800"]') + state.input_state[8:]),
        "of 'speaker' in the state": changed(b"\0\0\0\0" + names(b"[" * 99_999) + state.input_state[8:]),
        "what the state has of 'speaker' does not fit": changed(state.input_state.replace(b'"ann"', b"[1,2]")),
    }
    for message, wrong in parts.items():
        with pytest.raises(StateError, match=message):
            stream.restore(wrong)
    with pytest.raises(StateError, match="another shape"):
        predictor("speaker").stream().restore(state)
    assert stream.state == state


def test_a_pool_keeps_the_latest_and_steps_nothing() -> None:
    one = predictor("speaker")
    pool = one.pool(keep=2)
    pool.push([(id, "what", True, None, ANN) for id in range(5)])
    assert list(pool) == [3, 4]
    with pytest.raises(OptionError, match="step ends no message, and this model has several graphs; use push"):
        pool.step([3], [1])
    pool.reset(4)
    assert pool.state(4) == one.stream().state


def test_predict_takes_conversations_and_single_messages() -> None:
    one = predictor("no speaker, one output")
    talks = one.predict([["what is", "my card"], "what is"])
    assert [x.shape for x in talks] == [(2, 5), (1, 5)]
    single = one.predict(["what is", "pin"])
    assert single.shape == (2, 5)
    assert single[0].tobytes() == talks[0][0].tobytes() == talks[1][0].tobytes()
    assert one.predict([]).shape == (0, 5)
    labels = one.classify([["what is", "my card"], "what is"])
    assert labels[0][0] == labels[1] == one.answers(["what is"])[0].label
    assert one.labels == list("abcde")
    for rows, message in (
        ("what", "predict takes a list of conversations; put the text in a list"),
        ([["what", ""]], "conversation 0, message 1: the message has no word"),
        ([[]], "conversation 0 has no message"),
        ([3], "conversation 0 is int; expected a list of messages"),
        ([["what", 3]], "conversation 0, message 1: this model takes text"),
        ([[("what", "ann")]], "conversation 0: a tuple of 2 was given; expected a message, or a pair of a message and"),
        ([("what", ANN)], "text 0: 'speaker' was given, but this model has no side inputs"),
    ):
        with pytest.raises(DataError, match=message):
            one.predict(rows)
    with pytest.raises(DataError, match="times were given with whole conversations"):
        one.answers([["what"]], times=[["2026-01-01"]])
