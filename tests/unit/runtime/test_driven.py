"""Graphs that a decoder drives: what is written is that of an independent search, the same in every way to run."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pytest

from driven_models import REPLY, driven_model
from tidegate.errors import DataError, OptionError, StateError
from tidegate.reference import Reference
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import WORDS

TEXTS = ["how much money is in my account ?", "i lost my card", "what is the exchange rate ?", "top up", "not me"]
WAITS = "this model writes at the end of a message", "this model reads whole messages; the answer comes at their end"
CHATS = [
    [("i lost my card", {"speaker": "ann"}), ("what is new ?", {"speaker": "bob"}), ("pin", {"speaker": "ann"})],
    [("how much money", {"speaker": "cy"}), ("", {"speaker": "dan"}), ("not 7", {"speaker": "cy"})],
]


def reference_rows(model, text):
    """The memory and the summary of a text, in float64: those after its last step."""
    first = model.first
    ids = first.inputs["x"].read_whole(text)[0].rows
    outputs, _ = Reference(first).run(ids[:, None])
    part = {name: output.part or slice(None) for name, output in first.outputs.items()}
    return outputs[:, 0, part["words.2"]], outputs[-1:, 0, part["words.3"]]


def score_of(model, rows, summary, ids):
    """The logarithm of the probability of a sequence, by the float64 reference of the driven graph."""
    graph = model.driven["reply"].model
    reference = Reference(graph)
    state = reference.initial_state(1)
    for i, of in ((1, summary), (3, rows)):
        for name, values in graph.layers[i].hold(of).items():
            state[f"layers.{i}.{name}"] = np.asarray(values, np.float64)[None]
    total, previous = 0.0, 0
    for k in ids:
        y, state = reference.step(state, np.array([previous]))
        y = y[0] - y[0].max()
        total, previous = total + y[k] - np.log(np.exp(y).sum()), k
    return total


def best_by_trying_all(model, text, longest, penalty):
    """The best complete sequence of up to so many ids: all are tried."""
    rows, summary = reference_rows(model, text)
    others = [k for k in range(len(REPLY)) if k != 1]
    found = {}
    for length in range(1, longest + 1):
        for start in product(others, repeat=length - 1):
            ids = (*start, 1)
            found[ids] = score_of(model, rows, summary, ids) / ((5 + length) / 6) ** penalty
    return max(found, key=found.get)


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty):
    longest = 2  # so that a width of 64 leaves no continuation out
    model = driven_model(width=64, longest=longest, penalty=penalty)
    for text, answer in zip(TEXTS[:3], Predictor(model).answers(TEXTS[:3]), strict=True):
        assert tuple(answer["reply"].values) == best_by_trying_all(model, text, longest, penalty)
        assert answer["reply"].is_complete


def search(model, text, width, longest, penalty):
    """A beam search over plain lists, by the float64 reference."""
    rows, summary = reference_rows(model, text)
    alive, complete = [((), 0.0)], []
    for _ in range(longest):
        grown = [(*ids, k) for ids, _ in alive for k in range(len(REPLY))]
        scored = sorted(((one, score_of(model, rows, summary, one)) for one in grown), key=lambda pair: -pair[1])
        complete += [pair for pair in scored[:width] if pair[0][-1] == 1]
        alive = [pair for pair in scored if pair[0][-1] != 1][:width]
    found = complete or alive[:1]
    return max(found, key=lambda pair: pair[1] / ((5 + len(pair[0])) / 6) ** penalty)[0]


@pytest.mark.parametrize(("seed", "width", "penalty"), [(0, 2, 0.0), (1, 3, 1.0), (2, 4, 2.5)])
def test_the_search_is_that_of_plain_lists(seed, width, penalty):
    model = driven_model(seed, width=width, longest=5, penalty=penalty)
    for text, answer in zip(TEXTS, Predictor(model).answers(TEXTS), strict=True):
        assert tuple(answer["reply"].values) == search(model, text, width, 5, penalty)


def test_greedy_takes_the_largest_number_of_each_step():
    model = driven_model(seed=4, width=1, longest=6)
    for text, answer in zip(TEXTS, Predictor(model).answers(TEXTS), strict=True):
        rows, summary = reference_rows(model, text)
        written = []
        while len(written) < 6 and written[-1:] != [1]:
            written.append(max(range(len(REPLY)), key=lambda k: score_of(model, rows, summary, [*written, k])))
        assert answer["reply"].values.tolist() == written


@pytest.mark.parametrize("kind", [{}, {"both": True}, {"topic": False}, {"heads": 1, "most": 40}])
@pytest.mark.parametrize("seed", [0, 3])
def test_streams_batches_and_pools_write_the_same(kind, seed):
    predictor = Predictor(driven_model(seed, longest=7, **kind))
    expected = [reply(answer) for answer in predictor.answers(TEXTS)]
    assert [reply(predictor.answers([text])[0]) for text in TEXTS] == expected
    assert len({str(one) for one in expected}) > 1
    stream, pool = predictor.stream(), predictor.pool()
    for text, own in zip(TEXTS, expected, strict=True):
        for character in text:
            assert reply(stream.push(character))["reason"] in (*WAITS, "no complete word yet")
        assert reply(copy.copy(stream).end()) == reply(stream.end()) == own
    answers = pool.push([(i, piece) for i, text in enumerate(TEXTS) for piece in (text[:5], text[5:9], text[9:])])
    assert all(reply(one)["tokens"] is None for one in answers)
    ends = pool.push([(i, "", True) for i in range(len(TEXTS))])
    assert [reply(one) for one in ends] == expected


def test_many_answers_are_written_together_whichever_is_read_first():
    predictor = Predictor(driven_model(3, longest=6))
    texts = [" ".join(WORDS[k % 40 : k % 40 + 1 + k % 9]) for k in range(150)]
    answers = predictor.answers(texts)
    for i in (149, 0, 64, *range(150)):
        assert reply(answers[i]) == reply(predictor.answers([texts[i]])[0])


def reply(answer):
    return answer.as_dict() if hasattr(answer, "tokens") else answer["reply"].as_dict()


@pytest.mark.parametrize("history", [0, 4])
def test_conversations_write_the_same_in_every_way(history):
    model = driven_model(7, talk=True, history=history, longest=5)
    predictor = Predictor(model)
    expected = [[one.as_dict() for one in chat] for chat in predictor.answers(CHATS)]
    assert expected[1][1]["reply"]["tokens"] is None
    stream, pool = predictor.stream(), predictor.pool()
    for chat, own in zip(CHATS, expected, strict=True):
        found = []
        for m, (text, sides) in enumerate(chat):
            for piece in (text[:3], text[3:]):
                stream.push(piece, sides=sides)
                stream.restore(State.from_bytes(stream.state.to_bytes()))
            found.append(stream.end("conversation" if m + 1 == len(chat) else True).as_dict())
        assert found == own
    found = [[], []]
    for m in range(3):
        pool.push([(c, chat[m][0][:4], False, None, chat[m][1]) for c, chat in enumerate(CHATS)])
        for c, one in enumerate(pool.push([(c, chat[m][0][4:], True) for c, chat in enumerate(CHATS)])):
            found[c].append(one.as_dict())
    assert found == expected


def test_what_was_said_before_matters():
    differ = 0
    for seed in range(4):
        predictor = Predictor(driven_model(seed, talk=True, history=4, longest=6))
        text, sides = "not 7", {"speaker": "ann"}
        alone = predictor.answers([[(text, sides)]])[0][-1]["reply"].values.tolist()
        others = [predictor.answers([[(one, sides), (text, sides)]])[0][-1]["reply"].values.tolist() for one in TEXTS]
        differ += sum(one != alone for one in others)
    assert differ > 2


def test_a_full_memory_is_refused_and_changes_nothing():
    predictor = Predictor(driven_model(most=4))
    stream, pool = predictor.stream(), predictor.pool()
    sentence = "this model attends to at most 4 of one; end it before, or leave a part out"
    stream.push("i lost my ")
    before = stream.state.to_bytes()
    with pytest.raises(DataError, match=f"would have 5 steps, and {sentence}"):
        stream.push("card ? ")
    assert stream.state.to_bytes() == before
    pool.push([("a", "i lost my ")])
    with pytest.raises(DataError, match=sentence):
        pool.push([("b", "top "), ("a", "card ? ")])
    assert pool.state("a").to_bytes() == before
    with pytest.raises(DataError, match="text 1: it has 5 steps, and this model attends to at most 4; shorten it"):
        predictor.answers(["top up", "i lost my card ?"])
    assert reply(stream.push("card", end=True))["tokens"] is not None


def test_a_full_history_is_refused_and_changes_nothing():
    predictor = Predictor(driven_model(talk=True, history=2))
    stream, sides = predictor.stream(), {"speaker": "ann"}
    for _ in range(2):
        stream.push("top up", sides=sides)
        stream.end()
    stream.push("top up", sides=sides)
    before = stream.state.to_bytes()
    with pytest.raises(DataError, match="the conversation would have 3 messages, and a stream of this model keeps"):
        stream.end()
    assert stream.state.to_bytes() == before
    stream.reset()
    stream.push("top up", end="conversation", sides=sides)
    with pytest.raises(DataError, match="conversation 0, message 2: the conversation would have 3 messages"):
        predictor.answers([[("top up", sides)] * 3])


def test_states_with_too_many_steps_are_refused():
    predictor = Predictor(driven_model(most=4))
    stream = predictor.stream()
    stream.push("i lost my ")
    state = stream.state
    block = state.block.copy()
    block[0] = 9
    wrong = State(block, state.schema, state.output, state.input_state, state.schema_hash, state.weights_hash)
    with pytest.raises(StateError, match="9 steps"):
        stream.restore(wrong)


def test_a_step_of_a_pool_is_refused():
    with pytest.raises(OptionError, match="writes at the end of a message, which no step is; use push"):
        Predictor(driven_model()).pool().step(["a"], ["card"])


def test_hypotheses_share_what_they_read():
    graph = Predictor(driven_model(most=40))._compiled.driven["reply"]
    assert graph.own_bytes < 80
    assert len(graph.compiled.initial) - graph.own_bytes >= 4 * 40 * 16
