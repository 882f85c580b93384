"""Graphs of layers: every target is within its bound, whatever the pieces of a row, and mistakes exceed it."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError, ModelFileError
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.runtime import Predictor, State, engine
from tidegate.runtime.compiled_model import CompiledModel
from tidegate.runtime.engine import BoundLayer
from tidegate.verify import attach, native_target, verify
from tidegate.verify.c_target import build_library, find_compiler
from tidegate.verify.replay import Replay

sys.path.insert(0, str(Path(__file__).parent))
from graph_models import MODELS, PORTS, build, ports_model
from toy_models import toy_layers  # noqa: F401

NAMES = list(MODELS)
STREAMS = [name for name in NAMES if name != "whole"]


@cache
def checked(name: str) -> Model:
    return attach(MODELS[name]())


def synthesise(model: Model, steps: int, seed: int = 0) -> Any:
    (source,) = model.inputs.values()
    random = np.random.default_rng(seed)
    draws = iter(lambda: int(random.integers(0, 1 << 62)) * 4 + 1, None)
    return source.synthesise(draws, steps)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_is_within_its_bound(name: str) -> None:
    results = verify(checked(name))
    ran = {result.target for result in results if result.ran}
    assert ran >= {"oracle", "torch", "base"}
    assert not [result for result in results if result.ran and not result.ok]
    if name != "whole":
        assert all(result.chunks for result in results if result.path in ("fused", "interpreter") and result.ran)
        assert all(result.step_ratio is not None for result in results if result.target in ("base", "torch", "c"))


@pytest.mark.parametrize("name", STREAMS)
def test_steps_and_the_end_are_the_whole_in_the_reference(name: str) -> None:
    model = checked(name)
    reference = Reference(model)
    for steps in (1, 2, 5, 9):
        x = synthesise(model, steps)[:, None]
        found, _ = reference.run(x)
        assert np.abs(found - np.stack(reference.run_layers(list(x)))).max() < 1e-13


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.skipif(find_compiler() is None, reason="no C compiler here")
def test_c_has_the_bits_of_base(name: str) -> None:
    model, command = checked(name), find_compiler()
    assert command is not None
    compiled = CompiledModel(model, target="base")
    x = synthesise(model, 23)
    block = compiled.initial.copy()
    out = np.zeros(compiled.width, np.float32)
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    with build_library(model, command, "-O2", *flags) as library:
        pairs = library.run_steps(library.initial_state(), x)
        for k, one in enumerate(x):
            compiled.engine.step(one if np.ndim(one) else x[k : k + 1], block, out)
            if k >= model.look_ahead:
                assert pairs[k][0].tobytes() == out.tobytes()
            assert pairs[k][1][: model.state_bytes].tobytes() == block[: model.state_bytes].tobytes()


def reverse_sources(layers: list[BoundLayer]) -> list[BoundLayer]:
    """Join the sources of each layer in the opposite order."""
    return [
        bound._replace(layer=replace(bound.layer, sources=bound.layer.sources and bound.layer.sources[::-1]))
        for bound in layers
    ]


@pytest.mark.parametrize(
    ("name", "mistake"),
    [("skip", reverse_sources), ("pools", reverse_sources), ("late", reverse_sources), ("ports", reverse_sources)],
)
def test_a_target_with_a_wrong_edge_is_over_its_bound(name: str, mistake: Any, monkeypatch: Any) -> None:
    right = engine.bind_tensors
    monkeypatch.setattr(engine, "bind_tensors", lambda model: mistake(right(model)))
    replay = Replay(checked(name))
    results = [result for result in native_target.verify_native(replay) if result.ran]
    assert results
    assert all(not result.ok for result in results)


def test_a_target_that_reads_another_port_is_over_its_bound(monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "first_columns", lambda model: {"x.words": 0, "x.grams": 0, "x.kinds": 7})
    results = [result for result in native_target.verify_native(Replay(checked("ports"))) if result.ran]
    assert results
    assert all(not result.ok for result in results)


# --- streams


def pieces(x: Any, seed: int) -> list[Any]:
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(x) + 1, 4))
    return [part for part in np.split(x, cuts) if len(part)]


def as_piece(model: Model, x: Any) -> Any:
    """Return rows of ids or numbers as a caller gives them: with ports, a dict."""
    (source,) = model.inputs.values()
    if "" in source.ports or not source.ports:
        return x
    return {
        name: [[id for id in row[port.first : port.first + port.ids] if id >= 0] for row in x.tolist()]
        if port.may_lack
        else x[:, port.first]
        for name, port in source.ports.items()
    }


def values(answer: Any) -> Any:
    found = answer.values
    return list(found.values()) if isinstance(found, dict) else [found]


@pytest.mark.parametrize("name", STREAMS)
def test_pieces_of_a_row_give_the_bits_of_the_whole(name: str) -> None:
    model = checked(name)
    predictor = Predictor(model)
    x = synthesise(model, 14, 3)
    whole = predictor.stream().push(as_piece(model, x), end=True)
    for seed in range(4):
        stream, pool = predictor.stream(), predictor.pool()
        for part in pieces(x, seed):
            stream.push(as_piece(model, part))
            pool.push([("other", as_piece(model, part[:1])), ("this", as_piece(model, part))])
            fork = stream.fork()
            other = predictor.stream()
            other.restore(State.from_bytes(stream.state.to_bytes()))
            stream = other
        ends = [stream.end(), fork.end(), pool.end("this")]
        for end in ends:
            for a, b in zip(values(end), values(whole), strict=True):
                assert np.array_equal(a, b)


def test_answers_of_several_nodes_are_about_one_step() -> None:
    """The numbers of a step come with those of the node that looks ahead, two steps late."""
    model = checked("two outputs, one late")
    late, causal = Predictor(model).stream(), Predictor(checked("two outputs")).stream()
    x = synthesise(model, 9)
    answers = late.push(x, end=True, per_step=True)
    assert [answer.step for answer in answers] == list(range(9))
    expected = causal.push(x, end=True, per_step=True)
    for answer, other in zip(answers, expected, strict=True):
        for name in ("topic", "state"):  # the convolution has other weights' steps, these nodes are the same
            assert np.array_equal(answer[name].values, other[name].values)
        assert np.array_equal(answer["half"].values, answer["values"].values[2:])
    assert set(answers[0].as_dict()) == {"topic", "values", "half", "state"}


# --- ids through ports


def test_ports_take_a_dict_of_their_ids() -> None:
    predictor = Predictor(ports_model())
    one = predictor.stream().push({"words": 3, "grams": [7, 49], "kinds": 0})
    several = predictor.stream().push({"words": [3], "grams": [[7, 49]], "kinds": [0]})
    assert np.array_equal(one.values, several.values)
    none = predictor.stream().push({"words": 3, "grams": [], "kinds": 0})
    assert not np.array_equal(one.values, none.values)
    pool = predictor.pool()
    pool.step(["a", "b"], {"words": [3, 3], "grams": [[7, 49], []], "kinds": [0, 0]})
    assert np.array_equal(pool.scores("a").values, one.values)
    assert np.array_equal(pool.scores("b").values, none.values)
    (whole,) = predictor.predict([{"words": [3], "grams": [[7, 49]], "kinds": [0]}])
    assert np.array_equal(whole, one.values)


@pytest.mark.parametrize(
    ("piece", "sentence"),
    [
        ([1, 2], "this model takes a dict with the token ids of its ports, words, grams, kinds; list was given"),
        ({"words": 1}, "its ports, words, grams, kinds; a dict of words was given"),
        ({"words": [1], "grams": [[1]], "kinds": [9]}, "kinds: there is no token 9; the vocabulary has ids 0 to 3"),
        ({"words": [1], "grams": [[-1]], "kinds": [1]}, "grams: there is no token -1"),
        (
            {"words": [1], "grams": [range(7)], "kinds": [1]},
            "grams: a step has 7 token ids; this model takes at most 6",
        ),
        ({"words": [1], "grams": [3], "kinds": [1]}, "grams: token ids are integers of shape [n]"),
        ({"words": [1, 2], "grams": [[3]], "kinds": [1]}, "grams has 1 steps and words has 2"),
        ({"words": 1, "grams": "abc", "kinds": 1}, "grams: token ids are integers of shape [n]"),
    ],
)
def test_wrong_ids_of_ports_are_one_sentence(piece: Any, sentence: str) -> None:
    stream = Predictor(ports_model()).stream()
    before = stream.state.to_bytes()
    with pytest.raises(DataError) as caught:
        stream.push(piece)
    assert sentence in str(caught.value)
    assert stream.state.to_bytes() == before


@pytest.mark.parametrize(
    ("ports", "sentence"),
    [
        ({}, "inputs.x.ports: give a step 0 ids together; expected 1 to 512"),
        ({"a b": {"size": 3}}, "inputs.x.ports: has the name 'a b'; expected letters, digits and _"),
        ({"a": {"size": 3, "most": 1}}, "inputs.x.ports.a.most: is 1; expected an integer of 2 to 512"),
        ({"a": {"size": 3, "most": 510}, "b": {"size": 3, "most": 3}}, "give a step 513 ids together"),
        ({"a": {"size": 0}}, "inputs.x.ports.a.size: is 0"),
        ({"a": 3}, "inputs.x.ports.a: is 3; expected an object"),
        ({"words": {"size": 30}}, "from[0]: is 'x.grams'; the input has x.words"),
        (
            {**PORTS["ports"], "words": {"size": 31}},
            "layers[0].rows: is 30; it must be equal to the size of inputs.x.words",
        ),
        (
            {**PORTS["ports"], "grams": {"size": 50, "most": 7}},
            "layers[1]: takes 6 ids of a step; inputs.x.grams gives 7",
        ),
        ({**PORTS["ports"], "extra": {"size": 5, "most": 9}}, ""),
    ],
)
def test_wrong_ports_are_one_sentence(ports: Any, sentence: str) -> None:
    model = ports_model()
    document = model.document
    document["inputs"]["x"]["ports"] = ports
    if not sentence:  # a port that no layer reads is no mistake
        Model(document, model.tensors)
        return
    with pytest.raises(ModelFileError) as caught:
        Model(document, model.tensors)
    assert sentence in str(caught.value)


def test_an_embedding_needs_all_ids_of_a_port() -> None:
    builder = Builder(None)
    builder.add("embed", rows=50, size=4, ids=6, sources=("x.grams",))
    ports = {"kind": "ids", "ports": {"grams": {"size": 50, "most": 6}}}
    with pytest.raises(ModelFileError, match="inputs.x.grams gives a step up to 6 ids; embed needs all of them"):
        build(builder.layers, ports)
