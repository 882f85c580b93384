from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError, StateError
from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import sample

TEXT = "where is my new card, größe 7?"


@pytest.fixture(scope="module")
def text() -> Predictor:
    return Predictor(sample(size=12, over=("mean", "max")))


@pytest.fixture(scope="module")
def series() -> Predictor:
    return Predictor(sample(features=3, size=8, over=("last", "mean")))


def test_there_is_no_score_before_the_first_word(text: Predictor) -> None:
    stream = text.stream()
    scores = stream.push("wh")
    assert (scores.values, scores.label, scores.reason) == (None, None, "no complete word yet")
    assert stream.push("ere").values is None
    assert stream.push(" ").values is not None


def test_an_end_without_a_word_says_so(text: Predictor) -> None:
    assert text.stream().push("  ", end=True).reason == "the message has no word"


def test_end_scores_the_last_word_and_resets(text: Predictor) -> None:
    stream = text.stream()
    stream.push("my card")
    final = stream.end()
    assert final.values is not None
    assert final.values.tobytes() == text.predict(["my card"])[0].tobytes()
    assert stream.state == text.stream().state
    assert stream.push("my card", end=True).values.tobytes() == final.values.tobytes()  # type: ignore[union-attr]


def test_nothing_but_end_and_reset_resets(text: Predictor) -> None:
    stream = text.stream()
    for piece in ("my card", "", b"", " is ", "new.\n\n"):
        stream.push(piece)
    assert stream.state.steps == 5
    before = stream.push("")
    assert before.values is not None
    assert before.values.tobytes() == stream.scores.values.tobytes()  # type: ignore[union-attr]
    stream.reset()
    assert stream.state == text.stream().state


def test_scores_are_not_changed_by_what_comes_later(text: Predictor) -> None:
    stream = text.stream()
    first = stream.push("my ").values
    assert first is not None
    kept = first.copy()
    stream.push("card is ")
    assert (first == kept).all()


def test_a_fork_goes_its_own_way(text: Predictor) -> None:
    stream = text.stream()
    stream.push("where is my ca")
    fork = stream.fork()
    assert fork.state == stream.state
    a, b = stream.push("rd?", end=True), fork.push("sh", end=True)
    assert a.values.tobytes() == text.predict(["where is my card?"])[0].tobytes()  # type: ignore[union-attr]
    assert b.values.tobytes() == text.predict(["where is my cash"])[0].tobytes()  # type: ignore[union-attr]


def test_replay_gives_every_score_and_leaves_the_stream(text: Predictor) -> None:
    stream = text.stream()
    stream.push("card ")
    before = stream.state
    events: list[Any] = ["whe", ("re is", True), b"my", " card "]
    found, other = stream.replay(events), text.stream()
    expected = [other.push(*event) if isinstance(event, tuple) else other.push(event) for event in events]
    assert [s.as_dict() for s in found] == [s.as_dict() for s in expected]
    assert stream.state == before
    with pytest.raises(DataError, match="event 1: the text is not UTF-8"):
        stream.replay(["a", b"\xff"])


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (b"card \xff is", "not UTF-8: byte 5"),
        ("card \ud800", "surrogate"),
        (7, "takes text, str or bytes; int was given"),
        (bytearray(b"card"), "bytearray was given"),
    ],
)
def test_text_that_is_refused_changes_nothing(text: Predictor, piece: Any, message: str) -> None:
    stream = text.stream()
    stream.push("where is m")
    before = stream.state
    for end in (False, True):
        with pytest.raises(DataError, match=message):
            stream.push(piece, end)
        assert stream.state == before


def test_an_end_inside_a_character_changes_nothing(text: Predictor) -> None:
    stream = text.stream()
    stream.push(b"where gr" + b"\xc3")
    before = stream.state
    with pytest.raises(DataError, match="ends inside a character"):
        stream.push(b" is"[:0], end=True)
    assert stream.state == before
    assert stream.push(b"\xb6sse", end=True).values is not None


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(4), r"shape \[4\]; expected \[3\] for one step, or \[T, 3\]"),
        (np.zeros((2, 2, 3)), "shape"),
        (1.0, r"shape \[\]"),
        ("text", "takes numbers; str"),
        ([1j, 0, 0], "complex128"),
        ([None, 1, 2], "object"),
        ([[1, 2, 3], [1, 2]], "not an array"),
    ],
)
def test_numbers_that_are_refused_change_nothing(series: Predictor, x: Any, message: str) -> None:
    stream = series.stream()
    stream.push([1, 2, 3])
    before = stream.state
    with pytest.raises(DataError, match=message):
        stream.push(x)
    assert stream.state == before


def test_steps_alone_or_together_are_the_same(series: Predictor) -> None:
    x = np.random.default_rng(0).standard_normal((9, 3))
    one, many = series.stream(), series.stream()
    for row in x:
        one.push(row)
    many.push(x)
    assert one.state == many.state
    assert many.push(np.zeros((0, 3))).values is not None
    ended = one.end()
    assert ended.values is not None
    assert ended.values.tobytes() == series.predict([x])[0].tobytes()
    assert one.push(np.zeros((0, 3))).reason == "no step yet"


def test_a_state_goes_through_bytes(text: Predictor) -> None:
    stream = text.stream()
    stream.push("where is my ne")
    data = stream.state.to_bytes()
    other = Predictor(text.model).stream()
    other.restore(State.from_bytes(data))
    assert other.state.to_bytes() == data
    assert other.push("").as_dict() == stream.push("").as_dict()
    assert other.push("w card").as_dict() == stream.push("w card").as_dict()


def test_a_state_goes_to_another_target(text: Predictor) -> None:
    stream, other = text.stream(), Predictor(text.model, "base").stream()
    stream.push("where is my ")
    other.restore(stream.state)
    a, b = stream.push("card", end=True).values, other.push("card", end=True).values
    assert a == pytest.approx(b, abs=1e-5)


def test_a_state_of_another_model_is_refused(text: Predictor) -> None:
    stream = text.stream()
    before = stream.state
    with pytest.raises(StateError, match="another shape"):
        stream.restore(Predictor(sample(size=13, over=("mean", "max"))).stream().state)
    with pytest.raises(StateError, match="a model with other weights"):
        stream.restore(Predictor(sample(seed=1, size=12, over=("mean", "max"))).stream().state)
    with pytest.raises(StateError, match="expected a State, got bytes"):
        stream.restore(b"")  # type: ignore[arg-type]
    assert stream.state == before


def test_an_unfinished_word_that_no_tokenizer_leaves_is_refused(text: Predictor) -> None:
    stream = text.stream()
    good = stream.state
    for word in (b"two words", b"\xff", b"x" * 64):
        bad = State(good.block, text.model.state_schema, good.output, word, good.schema_hash, good.weights_hash)
        with pytest.raises(StateError, match="unfinished word"):
            stream.restore(bad)


def test_a_model_that_cannot_stream_is_refused_in_the_files_sentence() -> None:
    model = sample(size=12, direction="both")
    streams = {"yes": False, "because": "it reads each message in both directions"}
    whole = Predictor(Model({**model.document, "streams": streams}, model.tensors))
    assert whole.classify([TEXT]) == [f"label {whole.predict([TEXT]).argmax()}"]
    for door in (whole.stream, whole.pool):
        with pytest.raises(OptionError, match="streams: no, because it reads each message in both directions"):
            door()


def test_two_threads_may_use_one_model(text: Predictor) -> None:
    expected = text.predict([TEXT])[0].tobytes()
    wrong: list[bytes] = []

    def work() -> None:
        for _ in range(200):
            values = text.stream().push(TEXT, end=True).values
            assert values is not None
            found = values.tobytes(), text.predict([TEXT])[0].tobytes()
            wrong.extend(bits for bits in found if bits != expected)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
