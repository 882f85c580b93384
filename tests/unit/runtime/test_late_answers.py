"""Models that look ahead, at runtime: answers come late and name their step, and the end brings the last ones."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.document import assemble
from tidegate.errors import ModelFileError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.outputs.base import Answer
from tidegate.runtime import Predictor, State
from tidegate.verify.samples import build_model, sample

TAGS = ["B-city", "B-day", "I-city", "I-day", "O"]
AHEAD = 2
ROWS = [np.random.default_rng(k).integers(0, 20, 1 + k).astype(np.int32) for k in range(8)]
SCHEMES = pytest.mark.parametrize("scheme", ["bio", None])


def tagger(scheme: str | None) -> Model:
    """Make a model of random weights with tags of each id and a label of each row, two steps late."""
    builder, random = Builder(None), np.random.default_rng(3)
    builder.add("embed", rows=20, size=8)
    builder.add("conv", size=6, width=4, ahead=AHEAD, activation="relu")
    builder.recurrence(cells.load("gru"), 5)
    builder.add("pool", over=["last", "mean", "max"])
    builder.add("dense", size=7, activation="none")
    tensors = {
        name: random.standard_normal(shape).astype(np.float32)
        for layer in builder.layers
        for name, shape in zip(layer.tensors.values(), layer.shapes().values(), strict=True)
    }
    tags = {"kind": "tags", "at": "step", "labels": TAGS, "scores": "logits", "scheme": scheme, "part": [0, 5]}
    label = {"kind": "labels", "at": "end", "labels": ["no", "yes"], "scores": "logits", "calibration": None}
    outputs = {"tags": {**tags, "from": "layers.4"}, "label": {**label, "part": [5, 7], "from": "layers.4"}}
    return Model(assemble("tag", {}, {"x": {"kind": "ids", "size": 20}}, builder.layers, outputs, {}), tensors)


def open_predictor(scheme: str | None) -> tuple[Predictor, list[Any]]:
    predictor = Predictor(tagger(scheme), "base", threads=1)
    return predictor, predictor.answers(ROWS)


def label_bytes(answer: Any) -> bytes:
    values: bytes = answer["label"].values.tobytes()
    return values


@SCHEMES
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_all_answers_of_a_stream_and_a_pool_are_those_of_the_whole(scheme: str | None, size: int) -> None:
    predictor, whole = open_predictor(scheme)
    stream, pool = predictor.stream(), predictor.pool()
    for row, expected in zip(ROWS, whole, strict=True):
        found: list[list[Answer]] = [[], []]
        for at in range(0, len(row), size):
            piece, end = row[at : at + size], at + size >= len(row)
            found[0] += stream.push(piece, end, per_step=True)
            found[1] += pool.push([("a", piece, end)], per_step=True)[0]
            if not end:
                assert pool.state("a") == stream.state
                stream, pool = pickle.loads(pickle.dumps(stream)), copy.copy(pool)
        for answers in found:
            assert [one["tags"].tags[0] for one in answers] == expected["tags"].tags  # type: ignore[index]
            assert [one.step for one in answers] == list(range(len(row)))
            assert label_bytes(answers[-1]) == label_bytes(expected)


@SCHEMES
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_push_answers_about_the_latest_complete_step(scheme: str | None, size: int) -> None:
    predictor, whole = open_predictor(scheme)
    stream, pool = predictor.stream(), predictor.pool()
    for row, expected in zip(ROWS, whole, strict=True):
        for at in range(0, len(row), size):
            answer, (other,) = stream.push(row[at : at + size]), pool.push([("a", row[at : at + size])])
            step = min(at + size, len(row)) - 1 - AHEAD
            assert str(answer) == str(other) == str(stream.scores) == str(pool.scores("a"))
            assert answer.step == other.step == (step if step >= 0 else None)
            if step < 0:
                more = "1 more step" if step == -1 else f"{-step} more steps"
                assert answer.reason == f"waiting for {more}, as the model looks 2 steps ahead"
                assert answer.as_dict()["tags"]["tags"] is None
            else:
                assert answer["tags"].tags == [expected["tags"].tags[step]]  # type: ignore[index]
        ends = [stream.end(), pool.end("a")] if size > 1 else [stream.push(row[:0], True), pool.push_one("a", [], True)]
        for end in ends:
            assert (end["tags"].tags, end.step) == (expected["tags"].tags[-1:], len(row) - 1)  # type: ignore[index]
            assert label_bytes(end) == label_bytes(expected)
    assert stream.end().reason == pool.end("a").reason == "the message has no step"
    assert pool.end("a", per_step=True) == []


def test_many_streams_in_one_call() -> None:
    predictor, whole = open_predictor("bio")
    pool, found = predictor.pool(), {k: list[str]() for k in range(len(ROWS))}
    events = [(k, row[t : t + 1], t == len(row) - 1) for t in range(9) for k, row in enumerate(ROWS) if t < len(row)]
    for (k, *_), answers in zip(events, pool.push(events, per_step=True), strict=True):
        found[k] += [one["tags"].tags[0] for one in answers]  # type: ignore[index]
    assert list(found.values()) == [answer["tags"].tags for answer in whole]


def test_single_steps_of_a_pool_are_late_arrays() -> None:
    predictor, whole = open_predictor(None)
    pool, found = predictor.pool(), {k: list[Any]() for k in range(len(ROWS))}
    for t in range(8):
        ids = [k for k, row in enumerate(ROWS) if t < len(row)]
        arrays = pool.step(ids, np.array([ROWS[k][t] for k in ids]))
        assert np.isnan(arrays["tags"]).all() == (t < AHEAD)
        for k, values in zip(ids, arrays["tags"], strict=True):
            found[k] += [values] if t >= AHEAD else []
    for k, answer in enumerate(whole):
        found[k] += [one["tags"].values[0] for one in pool.end(k, per_step=True)]  # type: ignore[index]
        assert np.array(found[k]).tobytes() == answer["tags"].values.tobytes()


def test_saved_states_and_forks_carry_the_steps_that_wait() -> None:
    predictor, whole = open_predictor("bio")
    row, expected = ROWS[7], whole[7]
    stream = predictor.stream()
    stream.push(row[:3])
    saved = State.from_bytes(stream.state.to_bytes())
    assert saved.arrays["layers.1.past"].shape == (3, 8)
    other, pool = predictor.stream(), predictor.pool()
    other.restore(saved)
    pool.restore("a", saved)
    fork = stream.fork()
    ends = [one.push(row[3:], True) for one in (stream, other, fork)] + [pool.push_one("a", row[3:], True)]
    assert {label_bytes(end) for end in ends} == {label_bytes(expected)}
    stream.push(row[:2])
    stream.reset()
    assert label_bytes(stream.push(row, True)) == label_bytes(expected)


def test_an_answer_keeps_its_step_in_copies() -> None:
    answer = open_predictor("bio")[0].stream().push(ROWS[5])
    for same in (pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):
        assert (same.step, str(same)) == (3, str(answer))
    answer = Predictor(sample(features=2, size=3), "base").stream().push([1.0, 2.0])
    assert (answer.step, pickle.loads(pickle.dumps(answer)).step) == (None, None)


def test_a_window_that_is_run_anew_is_not_late() -> None:
    """All steps of a window are known, so its answers read ahead within it."""
    scale = {"mean": np.zeros((1, 1)), "deviation": np.ones((1, 1))}
    transform = SeriesTransform(("a",), ("past",), **scale, window=Window(6, least=2))
    builder = Builder(transform.features)
    builder.add("conv", size=4, width=3, ahead=2, activation="tanh")
    builder.add("pool", over=["mean"])
    builder.add("dense", size=3, activation="none")
    builder.add("softmax")
    model = build_model(builder.layers, 0, transform.features, 3, transform)
    predictor, values = Predictor(model, "base"), np.random.default_rng(0).normal(size=(9, 1))
    stream = predictor.stream()
    found = [stream.push(one) for one in values]
    needed = model.inputs["x"].steps_needed
    assert [answer.values is None for answer in found] == [k + 1 < needed for k in range(9)]
    (whole,) = predictor.answers([values])
    assert whole.values.tobytes() == found[-1].values.tobytes()
    assert found[-1].step is None


def test_a_forecast_from_the_latest_step_is_refused() -> None:
    transform = SeriesTransform(
        ("a",), ("target",), mean=np.zeros((1, 1)), deviation=np.ones((1, 1)), forecast=ForecastSpec(1, (0.5,))
    )
    builder = Builder(transform.features)
    builder.add("conv", size=1, width=3, ahead=2, activation="none")
    with pytest.raises(ModelFileError, match="is a forecast from the latest step, but the layers look 2 steps ahead"):
        build_model(builder.layers, 0, transform.features, None, transform)


def test_too_far_ahead_is_refused() -> None:
    builder = Builder(1)
    for _ in range(5):
        builder.add("conv", size=1, width=1000, ahead=999, activation="none")
    with pytest.raises(ModelFileError, match="layers: look 4995 steps ahead in all; at most 4096 are allowed"):
        build_model(builder.layers, 0, 1, None)


def test_layers_that_add_an_earlier_output_run_whole() -> None:
    builder = Builder(2)
    builder.add("dense", size=3, activation="none")
    ahead = builder.add("conv", size=3, width=3, ahead=1, activation="none")
    predictor = Predictor(build_model([builder.layers[0], replace(ahead, add=0)], 0, 2, None), "base")
    assert predictor.model.whole_window == "layers[1] adds an earlier output to one that looks ahead"
    x = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    whole = predictor.predict([x])[0]
    assert predictor.stream().push(x, end=True).values.tobytes() == whole.tobytes()

    delayed = Builder(2)
    delayed.add("dense", size=3, activation="none")
    delayed.add("conv", size=3, width=3, ahead=1, activation="none", add=0)  # the builder delays what it adds
    assert [layer.kind for layer in delayed.layers] == ["dense", "delay", "conv"]
    tensors = {f"layers.{i + (i > 0)}.{role}": v for i in (0, 1) for role, v in tensors_of(predictor.model, i).items()}
    model = Model(build_model(delayed.layers, 0, 2, None).document, tensors)
    assert not model.whole_window
    assert Predictor(model, "base").stream().push(x, end=True).values.tobytes() == whole.tobytes()


def tensors_of(model: Model, i: int) -> dict[str, Any]:
    return model.layers[i].select(model.tensors)


@pytest.mark.parametrize("weights", ["float32", "bf16"])
def test_whole_texts_are_those_of_a_stream_that_ends(weights: str) -> None:
    predictor = Predictor(sample(size=12, conv=4, ahead=2, over=("last", "mean", "max", "attention")), weights=weights)
    texts = ["what's my balance", "pin", "my card", "transfer the money to my account for me"]
    stream, pool = predictor.stream(), predictor.pool()
    for text, row in zip(texts, predictor.predict(texts), strict=True):
        assert stream.push(text, end=True).values.tobytes() == row.tobytes()
        pool.push([("a", piece) for piece in text])
        assert pool.end("a").values.tobytes() == row.tobytes()


def test_steps_of_series_wait_in_a_pool_as_in_a_stream() -> None:
    """Also steps that are dropped, which must not give an answer that is not there yet."""
    transform = SeriesTransform(("a",), ("past",), missing="drop")
    builder = Builder(transform.features)
    builder.add("conv", size=3, width=3, ahead=2, activation="tanh")
    builder.add("softmax")
    predictor = Predictor(build_model(builder.layers, 0, transform.features, 3, transform), "base")
    pool, stream = predictor.pool(), predictor.stream()
    for value in (1.0, np.nan, 2.0, np.nan, 3.0, np.nan, 4.0):
        found, expected = pool.step(["a"], [value])[0], stream.push(value).values
        assert np.isnan(found).all() if expected is None else found.tobytes() == expected.tobytes()
        assert pool.state("a") == stream.state
    assert expected is not None
