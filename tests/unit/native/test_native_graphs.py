"""Graphs of layers: the bits of the layers run one by one, however rows are cut, batched and shared among threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Array, Graph, Node, draw_graph, draw_tensors, run

from tidegate import _native, cells
from tidegate.document import state as document_state
from tidegate.layers import Builder, Layer
from tidegate.layers.conv import Conv
from tidegate.layers.dense import Dense
from tidegate.layers.embed import Embed
from tidegate.runtime.engine import add_layer
from tidegate.tape import Instruction, Program, encode_program

PLACES = [(target, form) for form in ("float32", "weights=bf16", "compute=bf16") for target in _native.targets(form)]
BEST = _native.targets()[0]
WIDTH, ROWS = 7, {"x": 5, "x.tags": 11, "x.words": 3}
COLUMNS = {"x": 0, "x.tags": 1, "x.words": 3}


def graph_of(seed: int) -> Graph:
    """Draw a graph of numbers, or of ids in three ports of 1, 2 and 1 columns, of which the last is read twice."""
    if seed % 2:
        return draw_graph(seed, [], {}, {"x": WIDTH})
    first: list[Layer] = [Embed(rows=ROWS[port], size=4, ids=2 if port == "x.tags" else 1) for port in COLUMNS]
    graph = draw_graph(seed, first, COLUMNS, {})
    again = Embed(rows=ROWS["x.words"] + 5, size=graph.nodes[0].layer.width)
    graph.nodes.insert(0, Node(again, draw_tensors(again, np.random.default_rng(seed)), ("x.words",)))
    for node in graph.nodes[1:]:
        node.sources = tuple(source + 1 if isinstance(source, int) else source for source in node.sources)
        add = None if node.layer.add is None else node.layer.add + 1
        object.__setattr__(node.layer, "add", 0 if add is None and node.sources == ("x",) else add)
    return graph


def draw_inputs(graph: Graph, rng: np.random.Generator, T: int, B: int) -> tuple[Array, Array]:
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    if not graph.columns:
        return rng.standard_normal((T, B, WIDTH)).astype(np.float32), lengths
    limits = (ROWS["x"], ROWS["x.tags"], ROWS["x.tags"], ROWS["x.words"])
    return np.stack([rng.integers(0, n, (T, B)) for n in limits], -1).astype(np.int32), lengths


@pytest.mark.parametrize("seed", range(40))
def test_a_graph_has_the_bits_of_its_layers_one_by_one(seed: int) -> None:
    graph, rng = graph_of(seed), np.random.default_rng(seed)
    x, lengths = draw_inputs(graph, rng, int(rng.integers(1, 9)), int(rng.integers(1, 90)))
    target, precision = PLACES[seed % len(PLACES)]
    right = graph.one_by_one(x, lengths, target, True, precision)
    for fused in (True, False):
        engine = graph.engine(target, fused, precision)
        assert engine.look_ahead == graph.nodes[-1].late
        assert engine.inputs == x.shape[-1]
        found = run(engine, x, lengths, graph.initial_states(len(lengths)), 1 + seed % 3)
        assert not found[: engine.look_ahead].any()
        for b, length in enumerate(lengths):
            own = found[engine.look_ahead :, b]
            assert own[:length].tobytes() == right[:length, b].tobytes()
            assert not own[length:].any()


@pytest.mark.parametrize("seed", range(40))
def test_pieces_and_steps_have_the_bits_of_whole_rows(seed: int) -> None:
    graph, rng = graph_of(seed), np.random.default_rng(seed)
    engine, B = graph.engine(BEST), 1 + 3 * (seed % 12)
    x, lengths = draw_inputs(graph, rng, 10, B)
    whole, ahead = run(engine, x, lengths, graph.initial_states(B)), engine.look_ahead
    states, at = graph.initial_states(B), np.zeros(B, np.int64)
    found: list[list[Array]] = [[] for _ in range(B)]
    while (at < lengths).any():
        if rng.random() < 0.5:
            ids = np.flatnonzero(at < lengths)[rng.permutation(int((at < lengths).sum()))]
            out = np.zeros((len(ids), engine.outputs), np.float32)
            engine.step_many(ids.astype(np.int64), np.stack([x[at[b], b] for b in ids]), states, out, 1)
            for b, y in zip(ids, out, strict=True):
                found[b] += [y] if at[b] >= ahead else []
                assert at[b] >= ahead or not y.any()
            at[ids] += 1
        else:
            counts = np.minimum(rng.integers(0, 4, B), lengths - at).astype(np.int32)
            piece = np.zeros((4, *x.shape[1:]), x.dtype)
            for b in range(B):
                piece[: counts[b], b] = x[at[b] : at[b] + counts[b], b]
            out, after = np.zeros((4, B, engine.outputs), np.float32), np.empty_like(states)
            engine.run(piece, counts, states, after, out, True, 2)
            for b in range(B):
                found[b] += [out[k, b] for k in range(counts[b]) if at[b] + k >= ahead]
            states, at = after, at + counts
    late = run(engine, x[:0], np.zeros(B, np.int32), states)
    for b, length in enumerate(lengths):
        found[b] += list(late[max(0, ahead - length) :, b])
        assert b"".join(y.tobytes() for y in found[b]) == whole[ahead : ahead + length, b].tobytes()


def bag_arguments(table: Array, program: Program) -> dict[str, Any]:
    code, none = encode_program(program), np.zeros(0, np.int32)
    own = {"code": code.code, "joined": code.joined, "consts": code.consts, "tensors": [table.reshape(-1)]}
    own |= {"inputs": program.inputs, "ids": program.ids, "output": code.output, "next": none}
    return own | {"state_offsets": none, "state_sizes": none}


@pytest.mark.parametrize(("target", "precision"), PLACES)
@pytest.mark.parametrize("size", [1, 5, 16, 33])
def test_a_bag_sums_the_rows_of_ids_that_are_not_negative(target: str, precision: str, size: int) -> None:
    table = np.random.default_rng(size).standard_normal((6, size)).astype(np.float32)
    table[0] = -0.0
    operations = (Instruction("tensor", ("t", 0, (6, size))), Instruction("bag", (0,)))
    program = Program(6, 4, {"t": (6, size)}, {}, operations, 1, {})
    engine = _native.Engine(target, 8, True, precision)
    engine.add(**bag_arguments(table, program))
    engine.finish()
    ids = np.array([[[1, 2, 3, 5]], [[-1, 4, -(1 << 31), 4]], [[-1] * 4], [[0, -1, -1, -1]]], np.int32)
    out = run(engine, ids, np.array([4], np.int32), np.zeros((1, 8), np.uint8))
    one_row = _native.Engine(target, 8, True, precision)
    add_layer(one_row, Embed(rows=6, size=size), {"weight": table}, {})
    one_row.finish()
    every = run(one_row, np.arange(6, dtype=np.int32)[:, None], np.array([6], np.int32), np.zeros((1, 8), np.uint8))
    for row, y in zip(ids[:, 0], out[:, 0], strict=True):
        right = np.zeros(size, np.float32)
        for k in row[row >= 0]:
            right = right + every[k, 0]
        assert y.tobytes() == right.tobytes()
    with pytest.raises(ValueError, match=r"x\[6\] .* is id 6, expected from 0 to 5, or a negative one for none"):
        run(
            engine,
            np.array([[[0, 0, 0, 0]], [[0, 0, 6, 0]]], np.int32),
            np.array([2], np.int32),
            np.zeros((1, 8), np.uint8),
        )


def engine_of(*nodes: tuple[Any, ...], columns: dict[str, int] | None = None) -> _native.Engine:
    graph = Graph([Node(layer, draw_tensors(layer, np.random.default_rng(0)), tuple(s)) for layer, *s in nodes])
    graph.columns = columns or {}
    return graph.engine()


def dense(inputs: int, size: int = 2, add: int | None = None) -> Dense:
    return Dense(inputs=inputs, size=size, add=add)


def conv(inputs: int, ahead: int) -> Conv:
    return Conv(inputs=inputs, size=inputs, window=ahead + 1, ahead=ahead, activation="none")


REFUSED: dict[str, list[tuple[Any, ...]]] = {
    "layer 2 (dense): expects 4 inputs, its sources together have 5 outputs": [
        (dense(3),),
        (dense(2, 3),),
        (dense(4), 0, 1),
    ],
    "layer 1 (dense): expects 3 inputs, the engine's input has 4": [(dense(4),), (dense(3), "x"), (dense(4), 0, 1)],
    "layer 0 (dense): expects 3 inputs, which leaves no width for the engine's input": [(dense(3), "x", "x")],
    "layer 0 (dense): no layer reads its output; only the last one's is the engine's": [(dense(2),), (dense(2), "x")],
    "layer 1 (embed): takes ids, but another layer takes numbers from the engine's input; it has one or the other": [
        (dense(1),),
        (Embed(rows=3, size=2), "x"),
        (dense(4), 0, 1),
    ],
    "layer 1 (dense): takes numbers, but another layer takes ids from the engine's input; it has one or the other": [
        (Embed(rows=3, size=2),),
        (dense(3), "x", 0),
    ],
    "layer 1 (embed): takes ids, so it must read the engine's input, and nothing else": [
        (dense(1),),
        (Embed(rows=3, size=2), 0),
    ],
    "layer 2 (dense): its sources must be equally late, but layer 1 is 2 steps late and layer 0 is 0 steps late; delay "
    "the earlier one": [(dense(2),), (conv(2, 2),), (dense(4), 1, 0)],
    "layer 1 (dense): its sources must be equally late, but layer 0 is 1 step late and the engine's input is 0": [
        (conv(2, 1),),
        (dense(4), 0, "x"),
    ],
}


@pytest.mark.parametrize("sentence", [sentence for sentence, nodes in REFUSED.items() if nodes])
def test_a_graph_that_does_not_fit_is_refused(sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # whose states are not laid out otherwise, as the package runs whole rows through branches that do not meet
    monkeypatch.setattr(document_state, "whole_window", lambda layers: "")
    with pytest.raises(Exception, match=r"layers: ") as caught:
        engine_of(*REFUSED[sentence])
    assert sentence in str(caught.value)


def test_sources_that_do_not_exist_are_refused() -> None:
    table = np.ones((6, 2), np.float32)
    operations = (Instruction("tensor", ("t", 0, (6, 2))), Instruction("take", (0, 0)))
    given = bag_arguments(table, Program(6, 1, {"t": (6, 2)}, {}, operations, 1, {}))
    engine = _native.Engine("base", 8)
    for wrong in (0, -2, 7):
        with pytest.raises(ValueError, match=f"layer 0: .*the index of an earlier layer, found {wrong}"):
            engine.add(**given, sources=[wrong])
        if wrong:
            with pytest.raises(ValueError, match=f"layer 0: add must be -1 or .* an earlier layer, found {wrong}"):
                engine.add(**given, add=wrong)
    for column in (-1, 1 << 40):
        with pytest.raises(ValueError, match=f"layer 0: first_column must be from 0 to 1048576, found {column}"):
            engine.add(**given, first_column=column)
    with pytest.raises(ValueError, match="layer 0: the number of sources must be from 0 to 4096, found 4097"):
        engine.add(**given, sources=[-1] * 4097)
    engine.add(**given, sources=[-1], first_column=2)
    engine.finish()
    assert engine.inputs == 3
    with pytest.raises(ValueError, match="finished"):
        engine.add(**given)
    late = _native.Engine("base", 8)
    add_layer(late, Dense(inputs=2, size=2), {"weight": table[:2].copy(), "bias": table[0].copy()}, {})
    late.add(
        **(given | {"inputs": 2, "ids": 0, "code": np.array([[0, 2, 0, 0, 0, 0, 0, 0]], np.int32), "output": 0}),
        first_column=3,
    )
    with pytest.raises(ValueError, match=r"layer 1 \(pool\): takes numbers, so first_column must be 0, found 3"):
        late.finish()


def test_each_column_is_checked_by_what_reads_it() -> None:
    """Two tables read column 2, and nothing reads column 1."""
    columns = {"x": 0, "x.a": 2}
    nodes = [(Embed(rows=4, size=2), "x"), (Embed(rows=6, size=2), "x.a"), (Embed(rows=5, size=2), "x.a")]
    engine = engine_of(*nodes, (dense(6), 0, 1, 2), columns=columns)
    assert engine.inputs == 3
    state, out = np.zeros(8, np.uint8), np.zeros(2, np.float32)
    engine.step(np.array([3, -77, 4], np.int32), state, out)
    for ids, sentence in (
        ((4, 0, 0), r"x\[0\] .* is id 4, expected from 0 to 3$"),
        ((0, 0, 5), r"x\[2\] .* is id 5, expected from 0 to 4$"),
        ((0, 0, -1), r"x\[2\] .* is id -1, expected from 0 to 4$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            engine.step(np.array(ids, np.int32), state, out)


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_table_before_a_look_ahead_gives_zeros_after_the_end(ahead: int) -> None:
    """Steps behind the end of a row are zeros, not the row of id 0."""
    rng = np.random.default_rng(ahead)
    layers = [Embed(rows=5, size=4), conv(4, ahead)]
    graph = Graph([Node(layer, draw_tensors(layer, rng)) for layer in layers])
    x, lengths = rng.integers(0, 5, (6, 3, 1)).astype(np.int32), np.array([6, 2, 1], np.int32)
    for fused in (True, False):
        found = run(graph.engine(BEST, fused), x[..., 0], lengths, graph.initial_states(3))
        right = graph.one_by_one(x, lengths, BEST, fused)
        assert found[ahead:].tobytes() == right.tobytes()


def test_a_table_to_which_a_row_is_added_is_looked_up_by_itself() -> None:
    """The product behind it is one of the sum, so that no table of products would do."""
    rng = np.random.default_rng(3)
    builder = Builder(4)
    builder.recurrence(cells.load("gru"), 4)
    layers = [Embed(rows=5, size=4), Embed(rows=6, size=4, add=0), builder.layers[0]]
    sources: list[tuple[int | str, ...]] = [("x",), ("x.b",), (1,)]
    nodes = [Node(layer, draw_tensors(layer, rng), own) for layer, own in zip(layers, sources, strict=True)]
    graph = Graph(nodes, {"x": 0, "x.b": 1})
    x, lengths = rng.integers(0, 5, (6, 3, 2)).astype(np.int32), np.array([6, 2, 1], np.int32)
    found = run(graph.engine(BEST), x, lengths, graph.initial_states(3))
    assert found.tobytes() == graph.one_by_one(x, lengths, BEST).tobytes()
