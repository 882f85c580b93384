"""Decoders in models of several graphs, of words and of messages: the same in streams, pools and whole talks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from level_models import level_model
from tidegate.model import Model
from tidegate.runtime import Predictor, State

TALKS = [
    [("what is my balance", {"speaker": "ann"}), ("it is 7", {"speaker": "bob"}), ("not new ?", {"speaker": "ann"})],
    [
        ("top up", {"speaker": "cy"}),
        ("", {"speaker": "cy"}),
        ("why me", {"speaker": "dan"}),
        ("7 0", {"speaker": "cy"}),
    ],
]


def decoded_model(seed: int) -> Model:
    """A model with labels over time of its messages, and labels over the words of a message."""
    model = level_model(seed)
    document = model.document
    options = {"on": 0.3, "off": -0.3, "least": 2}
    document["decoders"] = {
        "moods": {"kind": "threshold", "reads": "talk.2", "options": options},
        "stress": {"kind": "threshold", "reads": "words.1", "part": [0, 2], "options": {**options, "least": 3}},
    }
    common = {"kind": "events", "at": "step", "scores": "logits"}
    document["outputs"] |= {
        "moods": {**common, "from": "moods", "labels": list("abcde")},
        "stress": {**common, "from": "stress", "labels": ["high", "low"]},
    }
    return Model(document, model.tensors)


def say(answer: Any) -> dict[str, Any]:
    """What is active after a message, and after its last word; of a whole message, all words have an answer."""
    found = {name: answer[name].as_dict() for name in ("moods", "stress")}
    return {name: (one["active"] or [None])[-1] for name, one in found.items()}


@pytest.mark.parametrize("seed", range(3))
def test_they_decide_the_same_in_every_way(seed: int) -> None:
    predictor = Predictor(decoded_model(seed))
    expected = [[say(one) for one in talk] for talk in predictor.answers(TALKS)]
    stream, pool = predictor.stream(), predictor.pool()
    for talk, own in zip(TALKS, expected, strict=True):
        found = []
        for m, (text, sides) in enumerate(talk):
            stream.push(text[:4], sides=sides)
            stream.restore(State.from_bytes(stream.state.to_bytes()))
            stream.push(text[4:])
            found.append(say(stream.end("conversation" if m + 1 == len(talk) else True)))
        assert found == own
    for m in range(4):
        here = [c for c, talk in enumerate(TALKS) if m < len(talk)]
        pool.push([(c, TALKS[c][m][0][:3], False, None, TALKS[c][m][1]) for c in here])
        for c, answer in zip(here, pool.push([(c, TALKS[c][m][0][3:], True) for c in here]), strict=True):
            assert say(answer) == expected[c][m]


def test_a_label_of_messages_lasts_and_is_the_decoders() -> None:
    """What is active after each message follows from the numbers of the messages by the decoder's own rule."""
    differ = 0
    for seed in range(4):
        model = decoded_model(seed)
        predictor = Predictor(model)
        talk = [(text, {"speaker": "ann"}) for text in ("my card", "is new", "7", "top up now", "not me", "ok", "why")]
        answers = predictor.answers([talk])[0]
        shares = np.stack([one["moods"].values[-1] for one in answers]).astype(float)
        logits = np.log(shares / (1 - shares))
        decoder = model.decoders["moods"]
        active = decoder.decode(logits.astype(np.float32))
        labels = model.outputs["moods"].labels
        assert labels is not None
        for row, answer in zip(active, answers, strict=True):
            assert say(answer)["moods"] == [label for label, on in zip(labels, row, strict=True) if on]
        plain = [[label for label, y in zip(labels, row, strict=True) if y >= 0.3] for row in logits]
        differ += sum(say(one)["moods"] != own for one, own in zip(answers, plain, strict=True))
    assert differ > 0


def test_a_preview_changes_no_memory() -> None:
    predictor = Predictor(decoded_model(1))
    stream = predictor.stream()
    stream.push("my card", sides={"speaker": "ann"})
    stream.end()
    before = stream.state.arrays["decoders.moods.active"].copy()
    for piece in ("is ", "new ", "7 "):
        stream.push(piece, sides={"speaker": "bob"})
    assert (stream.state.arrays["decoders.moods.active"] == before).all()
    assert (stream.state.arrays["decoders.stress.active"] != 0).any()
