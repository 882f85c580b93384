"""Arrays that grow, in blocks and in saved states: only their rows are stored, and what is stored is checked."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from level_models import level_model
from remembering import WORDS, Remembering, compile_remembering
from tidegate.errors import DataError, StateError
from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.runtime.compiled_model import CompiledModel
from tidegate.runtime.growing import GrowingArray
from tidegate.verify.samples import sample

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def keeping(model: Model, keeps: int) -> Model:
    return Model({**model.document, "streams": {"yes": True, "keeps": keeps}}, model.tensors)


def state_of(compiled: CompiledModel, steps: int) -> State:
    """Return the state of a stream that remembers so many steps in two arrays."""
    pool = Remembering(compiled)
    pool.add("a")
    if steps:
        pool.push([("a", np.linspace(-1, 1, 3 * steps, dtype=np.float32).reshape(steps, 3))])
    return pool.state("a")


def split(data: bytes) -> tuple[int, dict[str, Any], bytes]:
    """Return version, header and what is behind it, without the checksum."""
    end = 24 + int.from_bytes(data[20:24], "little")
    return int.from_bytes(data[16:20], "little"), json.loads(data[24:end]), data[end:-32]


def join(version: int, header: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    body = b"tidegatestate\0\0\0" + version.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text + rest
    return body + sha256(body).digest()


def as_version_1(state: State) -> bytes:
    """Return the bytes that the version before wrote: the whole block."""
    _, header, _ = split(state.to_bytes())
    for array in header["arrays"]:
        array.pop("counted_at", None)
    return join(1, header, state.block.tobytes() + state.output.tobytes() + state.input_state)


def test_appending_leaves_the_count_and_other_arrays_alone() -> None:
    first = GrowingArray("first", 5, (3,), "float32", 16, WORDS, 8)
    second = GrowingArray("second", 5, (), "int32", first.end, WORDS)
    block = np.zeros(second.end, np.uint8)
    second.write(block, np.array([7, 8, 9], np.int32), 0)
    block[0] = 3
    after = first.append(block, ROWS[:2], 0)
    assert not block[16 : first.end].any()  # the block before stays as it is
    assert (first.count(after), second.count(after)) == (0, 3)
    after[8] = 2
    first.write(after, ROWS[2:], 2)
    after[8] = 4
    assert first.read(after).tolist() == ROWS.tolist()
    assert second.read(after).tolist() == [7, 8, 9]
    assert first.count_each(np.stack([after, block])).tolist() == [4, 0]


def test_what_is_too_much_is_said_in_the_words_of_the_array() -> None:
    array = GrowingArray("talk.memory", 4, (3,), "float32", 8, WORDS)
    array.require_room(4)
    with pytest.raises(DataError) as caught:
        array.require_room(5000)
    assert str(caught.value) == (
        "the talk would have 5,000 messages, and a stream of this model remembers at most 4; end the talk before"
    )
    block = np.zeros(array.end, np.uint8)
    block[0] = 5
    with pytest.raises(StateError) as refused:
        array.check(block)
    assert str(refused.value) == "the state has 5 messages; a stream of this model remembers at most 4"
    block[:8] = 255
    with pytest.raises(StateError, match="the state has -1 messages"):
        array.check(block)


@pytest.mark.parametrize("features", [None, 2])
def test_only_the_rows_that_there_are_are_stored(features: int | None) -> None:
    predictor = Predictor(sample(features=features, size=4, direction="both"))
    stream, sizes = predictor.stream(), []
    for piece in ("my card ", "is ") if features is None else (np.ones((2, 2)), [3.0, np.nan]):
        sizes.append(len(stream.state.to_bytes()))
        stream.push(piece)
    data = stream.state.to_bytes()
    version, _, rest = split(data)
    row = 4 * (features or 1)
    assert version == 2
    assert len(rest) == 8 + 3 * row + 4 * len(stream.state.output)
    assert np.diff([*sizes, len(data)]).tolist() == [2 * row, row]
    again = State.from_bytes(data)
    assert again == stream.state
    assert again.block.tobytes() == stream.state.block.tobytes()
    assert again.to_bytes() == data


@pytest.mark.parametrize("features", [None, 2])
@pytest.mark.parametrize("steps", [0, 3, 5])
def test_a_state_of_the_version_before_is_the_same_state(features: int | None, steps: int) -> None:
    predictor = Predictor(keeping(sample(features=features, size=4, direction="both"), 5))
    stream = predictor.stream()
    stream.push(
        "my card is my card "[: [0, 11, 19][steps // 2]] if features is None else ROWS[:, :2].repeat(2, 0)[:steps]
    )
    state = stream.state
    assert state.steps == steps
    again = State.from_bytes(as_version_1(state))
    assert again == state
    assert again.to_bytes() == state.to_bytes()
    assert (again.schema, again.block.tobytes()) == (state.schema, state.block.tobytes())
    pool, other = predictor.pool(), predictor.stream()
    pool.restore("a", again)
    other.restore(again)
    assert pool.state("a") == other.state == state
    assert repr(pool.end("a")) == repr(other.end()) == repr(stream.end())


def test_a_conversation_of_the_version_before_with_kept_steps_goes_on() -> None:
    predictor = Predictor(level_model(both=True), threads=1)
    stream, other, pool = predictor.stream(), predictor.stream(), predictor.pool()
    stream.push("what is my ", end=True, sides={"speaker": "ann"})
    stream.push("card my card", sides={"speaker": "bob"})
    again = State.from_bytes(as_version_1(stream.state))
    assert (again == stream.state, again.arrays["talk.steps"][0], again.steps) == (True, 1, 2)
    other.restore(again)
    pool.restore("a", again)
    answers = [one.push(" is", end=True) for one in (stream, other)] + [pool.push_one("a", " is", True)]
    assert len({repr(answer.as_dict()) for answer in answers}) == 1
    assert stream.state == other.state == pool.state("a")
    assert stream.state.arrays["talk.steps"][0] == 2


def test_states_without_such_an_array_have_the_bytes_of_version_1() -> None:
    stream = Predictor(sample(features=2, size=4)).stream()
    stream.push([1.0, 2.0])
    state = stream.state
    assert split(state.to_bytes())[0] == 1
    assert as_version_1(state) == state.to_bytes()


@pytest.mark.parametrize("steps", [0, 1, 77, 200])
def test_a_state_with_two_arrays(steps: int) -> None:
    compiled = compile_remembering()
    state = state_of(compiled, steps)
    memory, pairs = state.arrays["memory"], state.arrays["pairs"]
    assert pairs[:steps].tolist() == [[k, -k] for k in range(steps)]
    assert np.isfinite(memory).all()
    assert memory[:steps].any(1).all()
    assert not memory[steps:].any()
    data = state.to_bytes()
    _, _, rest = split(data)
    assert len(rest) == compiled.fixed_bytes + steps * (memory[0].nbytes + 8) + state.output.nbytes
    again = State.from_bytes(data)
    assert again.block.tobytes() == state.block.tobytes()
    assert (again.to_bytes(), again == state) == (data, True)
    pool = Remembering(compiled)
    pool.restore("b", again)
    assert pool.state("b") == state


@pytest.mark.parametrize("change", [-1, 1])
def test_bytes_that_count_other_rows_than_they_have_are_refused(change: int) -> None:
    version, header, rest = split(state_of(compile_remembering(), 5).to_bytes())
    for where in range(0, len(rest), 60):
        with pytest.raises(StateError, match="cut short|after its end"):
            State.from_bytes(join(version, header, rest[:where] if change < 0 else rest + rest[: where + 1]))
    with pytest.raises(StateError, match="cut short|after its end"):
        State.from_bytes(join(version, header, (5 + change).to_bytes(8, "little") + rest[8:]))
    for count in (201, 1 << 62, -1, -(1 << 63)):
        with pytest.raises(StateError, match=f"the state's memory has {count} rows; expected 0 to 200"):
            State.from_bytes(join(version, header, count.to_bytes(8, "little", signed=True) + rest[8:]))
