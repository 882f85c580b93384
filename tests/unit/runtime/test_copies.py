"""Copies and pickles: a copy of a stream or a pool is a fork, and a pickle answers with the same bits."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate import _native
from tidegate.errors import StateError, TargetError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.model import Model
from tidegate.runtime import Pool, Predictor, Scores, State, Stream
from tidegate.verify.check import attach
from tidegate.verify.samples import sample, series_sample

ONE = np.array([[0.0]]), np.array([[1.0]])
LOAD = SeriesTransform(("load",), ("target",), mean=ONE[0], deviation=ONE[1], forecast=ForecastSpec(2, (0.1, 0.5, 0.9)))
NAMED = replace(LOAD, names=("a", "b"), mean=np.array([[0.0], [5.0]]), deviation=np.array([[1.0], [2.0]]))
ROLL = replace(LOAD, forecast=ForecastSpec(2, (0.1, 0.5, 0.9), "autoregressive"), window=Window(4, 2, 2))
TIMED = replace(LOAD, calendar=("day",))
HOURS = np.datetime64("2026-01-01T00:00", "us") + np.timedelta64(1, "h") * np.arange(40)
WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, *(lambda x, p=p: pickled_copy(x, p) for p in range(6))]
COPIES = WAYS[:2]


def pickled_copy(subject: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(subject, protocol))


def text() -> Predictor:
    return Predictor(sample(size=6, over=("mean", "max")), threads=1)


def make_predictor(transform: SeriesTransform) -> Predictor:
    return Predictor(series_sample(transform, size=4), threads=1)


CASES: dict[str, tuple[Callable[[], Predictor], str | None, Any, Any]] = {
    "text": (text, None, ("where is my ca",), ("rd, größe ",)),
    "numbers": (lambda: Predictor(sample(features=3, size=6)), None, (np.ones((2, 3)),), ([1.0, 2.0, 3.0],)),
    "named": (lambda: make_predictor(NAMED), "b", ([1.0, 2.0],), (3.0,)),
    "rolled": (lambda: make_predictor(ROLL), None, (np.arange(7.0),), (3.0,)),
    "timed": (lambda: make_predictor(TIMED), None, ([1.0, 2.0], False, HOURS[:2]), (3.0, False, HOURS[2])),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_a_copy_of_a_stream_is_a_fork(case: str, way: Callable[[Any], Any]) -> None:
    maker, name, first, then = CASES[case]
    stream, alone = (predictor.stream(name) for predictor in [maker()] * 2)
    for one in (stream, alone):
        one.push(*first)
    other = way(stream)
    assert isinstance(other, Stream)
    assert other.state == stream.state
    assert other.scores.values is None or other.scores.values.tobytes() == stream.scores.values.tobytes()
    wanted = alone.push(*then).values.tobytes()
    assert stream.push(*then).values.tobytes() == wanted
    assert other.push(*then).values.tobytes() == wanted
    assert other.state == stream.state == alone.state
    other.reset()
    stream.reset()
    assert other.state == stream.state == maker().stream(name).state


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_a_copy_of_a_pool_is_a_fork(case: str, way: Callable[[Any], Any]) -> None:
    maker, name, (x, *more), (y, *later) = CASES[case]
    pool = maker().pool()
    for id in ("gone", 1, "kept"):
        pool.add(id, name)
        pool.push([(id, x, *more)])
    pool.drop("gone")
    other = way(pool)
    assert isinstance(other, Pool)
    assert list(other) == list(pool) == [1, "kept"]
    before = {id: pool.state(id) for id in pool}
    assert {id: other.state(id) for id in other} == before
    wanted = pool.push([(1, y, *later)])[0].values.tobytes()
    assert other.state(1) == before[1]
    other.add("new", name)
    assert other.push([("kept", y, *later), (1, y, *later)])[1].values.tobytes() == wanted
    assert other.state(1) == pool.state(1)
    assert pool.state("kept") == before["kept"]
    assert ("new" in other, "new" in pool) == (True, False)


def test_copies_share_the_weights() -> None:
    predictor = text()
    for way in COPIES:
        assert way(predictor.model) is predictor.model
        assert way(predictor).model is predictor.model
        assert way(predictor.stream())._compiled is predictor._compiled
        assert way(predictor.pool())._compiled is predictor._compiled
    again, stream, pool = pickled_copy((predictor, predictor.stream(), predictor.pool()))
    assert again._compiled is stream._compiled is pool._compiled


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"target": "base"},
        {"threads": 3},
        {"weights": "bf16"},
        {"compute": "bf16"},
        {"target": "base", "compute": "bf16", "threads": 2},
    ],
)
@pytest.mark.parametrize("kind", ["streams", "whole rows"])
def test_a_pickled_predictor_answers_with_the_same_bits(asked: dict[str, Any], kind: str) -> None:
    predictor = Predictor(sample(size=6, over=("mean",), direction="causal" if kind == "streams" else "both"), **asked)
    again = pickled_copy(predictor)
    rows = ["where is my card", "größe 7"]
    assert repr(again) == repr(predictor)
    assert (again.target, again.threads, again.precision) == (predictor.target, predictor.threads, predictor.precision)
    assert again.predict(rows).tobytes() == predictor.predict(rows).tobytes()
    assert again.classify(rows) == predictor.classify(rows)


def test_a_pickled_model_is_the_same_file(tmp_path: Any) -> None:
    model = attach(sample(size=6))
    model.save(tmp_path / "one")
    for found in (pickled_copy(model), pickled_copy(Model.load(tmp_path / "one"))):
        assert (found.weights_hash, found.schema_hash) == (model.weights_hash, model.schema_hash)
        assert not any(array.flags.writeable for array in found.tensors.values())
        found.save(tmp_path / "other")
        assert (tmp_path / "other").read_bytes() == (tmp_path / "one").read_bytes()


def test_states_and_answers_can_be_pickled_and_copied() -> None:
    stream, series = text().stream(), make_predictor(ROLL).stream()
    stream.push("where is my ca")
    answers = [stream.scores, text().stream().scores, series.scores, series.push(np.arange(7.0)), stream.state]
    for way in WAYS:
        for answer in answers:
            found = way(answer)
            assert type(found) is type(answer)
            if isinstance(answer, State):
                assert found == answer
                assert not found.block.flags.writeable
                continue
            assert repr(found) == repr(answer)
            assert found.as_dict() == answer.as_dict()
    assert isinstance(answers[0], Scores)


def test_a_pickle_of_a_state_that_was_changed_is_refused() -> None:
    data = pickle.dumps(text().stream().state)
    with pytest.raises(StateError, match="the state is damaged"):
        pickle.loads(data.replace(b"layers.1.h", b"layers.9.h"))


def test_a_target_that_nobody_asked_for_is_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test on what looks like a machine without the instruction set."""
    free, bound = (pickle.dumps(Predictor(sample(size=6), target).stream()) for target in (None, _native.targets()[0]))
    monkeypatch.setattr(_native, "targets", lambda precision="float32": ["base"])
    monkeypatch.setattr(_native, "default_target", lambda precision="float32": "base")
    assert pickle.loads(free)._compiled.target == "base"
    if _native.compiled_targets()[0] != "base":
        with pytest.raises(TargetError, match="the pickled model: target .* this machine cannot run it; choose one of"):
            pickle.loads(bound)


def test_a_process_that_is_spawned_answers_with_the_same_bits() -> None:
    predictor, pool = text(), make_predictor(ROLL).pool()
    stream = predictor.stream()
    stream.push("where is my ca")
    pool.push([("a", np.arange(7.0))])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as there:
        values, scores, forecasts = (
            there.submit(Predictor.predict, predictor, ["where is my card"]),
            there.submit(Stream.push, stream, "rd?", True),
            there.submit(Pool.push, pool, [("a", 8.0), ("b", 1.0)]),
        )
        assert values.result().tobytes() == predictor.predict(["where is my card"]).tobytes()
        assert scores.result().as_dict() == stream.push("rd?", end=True).as_dict()
        found = [forecast.as_dict() for forecast in forecasts.result()]
    assert found == [forecast.as_dict() for forecast in pool.push([("a", 8.0), ("b", 1.0)])]
