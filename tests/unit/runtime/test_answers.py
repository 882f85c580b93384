"""Answers of streams, pools and whole inputs are the same, step by step or at the end, from one output or several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.errors import OptionError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.model import Model
from tidegate.runtime import Answers, Predictor, Tags
from tidegate.verify.samples import sample, series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(2, (0.1, 0.9)))
TEXT = "where is my card, please"


def tagger() -> Predictor:
    """Make a model whose five numbers are a tag for each step, and a label."""
    model = sample(size=6, over=("last",))
    document = model.document
    (entry,) = document["outputs"].values()
    tags = {
        "kind": "tags",
        "from": entry["from"],
        "part": [0, 3],
        "at": "step",
        "labels": ["O", "B", "I"],
        "scheme": "bio",
    }
    label = entry | {"labels": ["yes", "no"], "part": [3, 5]}
    document["outputs"] = {"slots": tags | {"scores": "given"}, "intent": label}
    return Predictor(Model(document, model.tensors), threads=1)


MODELS: dict[str, tuple[Any, Any]] = {
    "text": (lambda: Predictor(sample(size=6), threads=1), TEXT),
    "several outputs": (tagger, TEXT),
    "numbers": (lambda: Predictor(sample(features=2, size=6), threads=1), np.arange(12.0).reshape(6, 2)),
    "fixed": (lambda: Predictor(series_sample(LOAD, size=4), threads=1), np.arange(6.0)[:, None]),
    "window": (
        lambda: Predictor(series_sample(replace(LOAD, window=Window(4, 2)), size=4), threads=1),
        np.ones((7, 1)),
    ),
    "rolled": (
        lambda: Predictor(
            series_sample(replace(LOAD, forecast=ForecastSpec(2, (0.1, 0.9), "autoregressive")), size=4), threads=1
        ),
        np.arange(3.0)[:, None],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_way_to_ask_gives_the_same_answers(name: str) -> None:
    maker, x = MODELS[name]
    predictor = maker()
    stream, pool = predictor.stream(), predictor.pool()
    steps = stream.push(x, end=True, per_step=True)
    found = [one.as_dict() for one in steps]
    assert [one.as_dict() for one in pool.push([("a", x, True)], per_step=True)[0]] == found
    assert [one.as_dict() for one in pool.push_one("a", x, True, per_step=True)] == found
    pieces = x.split(" ") if isinstance(x, str) else x
    single, apart = predictor.stream(), []
    for i, piece in enumerate(pieces):
        last = i + 1 == len(pieces)
        piece = piece + " " * (not last) if isinstance(piece, str) else piece
        apart += single.push(piece, end=last, per_step=True)
    assert [one.as_dict() for one in apart] == found
    whole = predictor.answers([x])[0].as_dict()
    last = predictor.stream().push(x, end=True).as_dict()
    assert last == found[-1] == predictor.pool().push([("b", x, True)])[0].as_dict()
    if name == "several outputs":
        assert whole["slots"]["tags"] == [one["slots"]["tags"][0] for one in found]
        assert whole["intent"] == last["intent"]
    else:
        assert whole == last


def test_a_message_without_a_step_has_no_answers_step_by_step() -> None:
    stream, pool = MODELS["text"][0]().stream(), MODELS["text"][0]().pool()
    assert stream.push("where", per_step=True) == []
    assert len(stream.push("", end=True, per_step=True)) == 1
    assert stream.push("", end=True, per_step=True) == []
    assert pool.push([("a", ""), ("a", "where is"), ("a", "", True)], per_step=True)[0] == []
    assert pool.push_one("a", "", True, per_step=True) == []
    pool.push_one("a", "where")
    assert len(pool.end("a", per_step=True)) == 1
    assert pool.end("a", per_step=True) == []


def test_an_input_without_an_answer_says_why_and_the_others_are_not_affected() -> None:
    predictor = MODELS["text"][0]()
    first, empty, last = predictor.answers([TEXT, " ", "card"])
    assert empty.as_dict() == {"label": None, "score": None, "scores": None, "reason": "the message has no word"}
    assert [first.as_dict(), last.as_dict()] == [one.as_dict() for one in predictor.answers([TEXT, "card"])]
    assert first.values.tobytes() == predictor.predict([TEXT])[0].tobytes()
    short = MODELS["window"][0]().answers([np.ones((3, 1)), np.ones((4, 1))])
    assert [one.reason for one in short] == ["warming up 3 of 4", ""]


def test_a_model_with_several_outputs() -> None:
    predictor = tagger()
    answer = predictor.stream().push(TEXT)
    assert isinstance(answer, Answers)
    assert isinstance(answer["slots"], Tags)
    assert (list(answer), predictor.labels) == (["slots", "intent"], ["yes", "no"])
    assert predictor.classify([TEXT]) == [answer["intent"].as_dict()["label"]]
    with pytest.raises(OptionError, match="this model has the outputs slots, intent; use answers"):
        predictor.predict([TEXT])
    out = predictor.pool().step(["a", "b"], np.array([1, 2]))
    assert {name: array.shape for name, array in out.items()} == {"slots": (2, 3), "intent": (2, 2)}


def test_streams_pools_and_states_say_what_they_are() -> None:
    predictor = MODELS["text"][0]()
    stream, pool = predictor.stream(), predictor.pool()
    assert repr(stream) == f"Stream({predictor.model!r}, 0 steps, Scores(None, 'no complete word yet'))"
    stream.push("card ")
    assert ", 1 step, Scores(" in repr(stream)
    assert repr(pool) == f"Pool({predictor.model!r}, 0 streams)"
    assert repr(stream.state).startswith("State(1 steps")


def test_rows_that_are_not_contiguous_are_run_too() -> None:
    compiled = MODELS["window"][0]()._compiled
    rows = np.random.default_rng(0).standard_normal((1, 4, 4)).astype(np.float32)
    every_other = rows[:, :, ::2]
    assert not every_other.flags.c_contiguous
    lengths = np.array([4])
    assert (
        compiled.run_windows(every_other, lengths).tobytes()
        == compiled.run_windows(every_other.copy(), lengths).tobytes()
    )
