"""What a stream remembers of an output: the same in streams, pools and whole rows, in forks, states and pickles."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from tidegate.document import assemble
from tidegate.errors import ModelFileError, StateError
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import Predictor, State

TAGS = ["B-city", "B-day", "I-city", "I-day", "O"]


def tagger(scheme: str | None = "bio", labels: list[str] = TAGS) -> Model:
    """A model whose logits of each id are random rows of a table; so greedy tags break the scheme often."""
    builder, random = Builder(None), np.random.default_rng(3)
    builder.add("embed", rows=20, size=8)
    builder.add("dense", size=7, activation="none")
    tensors = {
        name: random.standard_normal(shape).astype(np.float32)
        for layer in builder.layers
        for name, shape in zip(layer.tensors.values(), layer.shapes().values(), strict=True)
    }
    tags = {"kind": "tags", "at": "step", "labels": labels, "scores": "logits", "scheme": scheme, "part": [0, 5]}
    label = {"kind": "labels", "at": "end", "labels": ["no", "yes"], "scores": "logits", "calibration": None}
    outputs = {"tags": tags, "label": {**label, "part": [5, 7]}}
    document = assemble("tag", {}, {"x": {"kind": "ids", "size": 20}}, builder.layers, outputs, {})
    return Model(document, tensors)


def repaired(values: Any) -> list[str]:
    """The definition: each tag is the likeliest of those that may follow the one before."""
    found, last = [], "O"
    for row in values:
        allowed = [k for k, tag in enumerate(TAGS) if tag[0] != "I" or (last != "O" and last[1:] == tag[1:])]
        last = TAGS[max(allowed, key=lambda k: row[k])]
        found.append(last)
    return found


ROWS = [np.random.default_rng(k).integers(0, 20, 5 + k).astype(np.int32) for k in range(6)]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(tagger(), "base")


@pytest.fixture(scope="module")
def expected(predictor: Predictor) -> list[list[str]]:
    found = [repaired(answer["tags"].values) for answer in predictor.answers(ROWS)]
    greedy = [answer["tags"].tags for answer in Predictor(tagger(None), "base").answers(ROWS)]
    assert found != greedy  # else the tests below say nothing
    return found


def test_whole_rows(predictor: Predictor, expected: list[list[str]]) -> None:
    assert [answer["tags"].tags for answer in predictor.answers(ROWS)] == expected


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_stream_in_pieces(predictor: Predictor, expected: list[list[str]], size: int) -> None:
    stream = predictor.stream()
    for row, tags in zip(ROWS, expected, strict=True):
        for at in range(0, len(row), size):
            answer = stream.push(row[at : at + size])
            last = min(at + size, len(row)) - 1
            assert answer["tags"].tags == [tags[last]] == stream.scores["tags"].tags
            assert answer["tags"].scores == [float(str(answer["tags"].values[0, TAGS.index(tags[last])]))]
        stream.end()  # and the next row begins anew


def test_a_stream_per_step(predictor: Predictor, expected: list[list[str]]) -> None:
    stream = predictor.stream()
    found = [[one["tags"].tags[0] for one in stream.push(row, end=True, per_step=True)] for row in ROWS]
    assert found == expected


def test_many_steps_at_once(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(9).integers(0, 20, 100).astype(np.int32)
    whole = predictor.answers([x])[0]["tags"].tags
    monkeypatch.setattr("tidegate.runtime.compiled_model.WINDOW_NUMBERS", 7 * 9)  # in pieces of nine
    stream = predictor.stream()
    assert stream.push(x)["tags"].tags == whole[-1:]


@pytest.mark.parametrize("per_step", [False, True])
def test_a_pool_of_events(predictor: Predictor, expected: list[list[str]], per_step: bool) -> None:
    """Several events of each stream in one call, whose answers each have the tag of their own step."""
    pool = predictor.pool()
    events = [(i, row[at : at + 1]) for at in range(11) for i, row in enumerate(ROWS) if at < len(row)]
    answers: Any = pool.push(events, per_step=per_step)
    found: dict[int, list[str]] = {i: [] for i in range(len(ROWS))}
    for (i, _), answer in zip(events, answers, strict=True):
        found[i] += (answer[0] if per_step else answer)["tags"].tags
    assert list(found.values()) == expected


def test_steps_of_a_pool(predictor: Predictor, expected: list[list[str]]) -> None:
    """One id occurs twice in a call: its second step follows the first."""
    pool, row = predictor.pool(), ROWS[-1]
    for at in range(0, len(row), 2):
        pool.step(["a"] * len(row[at : at + 2]), row[at : at + 2])
        assert pool.scores("a")["tags"].tags == [expected[-1][min(at + 1, len(row) - 1)]]


@pytest.mark.parametrize("count", [2, 50])
def test_steps_of_many_streams_are_those_of_each(predictor: Predictor, count: int) -> None:
    random, pool = np.random.default_rng(count), predictor.pool()
    streams = [predictor.stream() for _ in range(count)]
    for at in range(12):
        ids = random.permutation(count) if at % 3 else random.integers(0, count, count)  # some twice, some not at all
        x = random.integers(0, 20, count).astype(np.int32)
        pool.step(ids.tolist(), x)
        for i, step in zip(ids.tolist(), x, strict=True):
            streams[i].push(np.array([step]))
    assert all(pool.state(i) == streams[i].state for i in range(count) if i in pool)


def test_what_many_streams_remember_is_what_each_does(predictor: Predictor) -> None:
    decoder, random = predictor.model.outputs["tags"].decoder, np.random.default_rng(4)
    assert decoder is not None
    values = random.integers(0, 3, (500, 5)).astype(np.float32)  # many are equal
    values[np.arange(0, 500, 9), random.integers(0, 5, 56)] = np.nan
    memories = random.integers(0, 6, (500, 1))
    many = decoder.update({"memory": memories}, values)
    each = [decoder.update({"memory": memories[k : k + 1]}, values[k : k + 1]) for k in range(500)]
    assert many.decided.tolist() == [one.decided[0].tolist() for one in each]
    assert many.memory["memory"].tolist() == [one.memory["memory"][0].tolist() for one in each]


def test_forks_states_and_pickles(predictor: Predictor, expected: list[list[str]]) -> None:
    row, tags = ROWS[-1], expected[-1]
    for cut in range(1, len(row)):
        stream = predictor.stream()
        stream.push(row[:cut])
        restored = predictor.stream()
        restored.restore(State.from_bytes(stream.state.to_bytes()))
        pool = predictor.pool()
        pool.restore("a", stream.state)
        copies = [stream.fork(), restored, pickle.loads(pickle.dumps(stream))]
        assert all(copy.push(row[cut:], per_step=True)[0]["tags"].tags == [tags[cut]] for copy in copies)
        assert pickle.loads(pickle.dumps(pool)).push_one("a", row[cut : cut + 1])["tags"].tags == [tags[cut]]
        assert pool.state("a") == stream.state


def test_a_refused_event_changes_nothing(predictor: Predictor) -> None:
    pool = predictor.pool()
    pool.push([("a", ROWS[0])])
    before = pool.state("a")
    with pytest.raises(Exception, match="event 1"):
        pool.push([("a", ROWS[1]), ("a", np.array([99], np.int32))])
    assert pool.state("a") == before


def test_the_state_has_room_for_it(predictor: Predictor) -> None:
    stream, model = predictor.stream(), predictor.model
    state = stream.state
    assert state.block.nbytes == model.state_bytes + 8
    assert state.arrays["outputs.tags.memory"].tolist() == [0]
    stream.push(ROWS[0])
    assert TAGS[int(stream.state.arrays["outputs.tags.memory"][0]) - 1] == stream.scores["tags"].tags[0]
    assert Predictor(tagger(None), "base").stream().state.block.nbytes == model.state_bytes


def test_a_state_whose_memory_is_too_large_is_refused(predictor: Predictor) -> None:
    good = predictor.stream().state
    block = good.block.copy()
    block[-8:] = np.array([6], np.int64).view(np.uint8)
    bad = State(block, good.schema, good.output, b"", good.schema_hash, good.weights_hash)
    with pytest.raises(StateError, match=r"outputs\.tags\.memory is 6; expected 0 to 5"):
        predictor.stream().restore(bad)


WRONG = [
    ("iob", TAGS, "outputs.tags.scheme: is 'iob'; expected 'bio' or null"),
    ("bio", ["NN", "VB", "I-city", "I-day", "O"], "outputs.tags.scheme: is 'bio', but there is the tag 'NN'"),
    ("bio", ["I-a", "I-b", "I-c", "I-d", "I-e"], "outputs.tags.scheme: is 'bio', but every tag begins with I"),
]


@pytest.mark.parametrize(("scheme", "labels", "message"), WRONG)
def test_wrong_schemes(scheme: str, labels: list[str], message: str) -> None:
    with pytest.raises(ModelFileError) as error:
        tagger(scheme, labels)
    assert message in str(error.value)


def test_numbers_that_are_not_finite_have_a_tag(predictor: Predictor) -> None:
    decoder = predictor.model.outputs["tags"].decoder
    assert decoder is not None
    tags = decoder.decode(np.full((2, 5), np.nan, np.float32))
    assert ((tags >= 0) & (tags < 5)).all()
