"""Rows that continue the states of others: the bits of steps in place, whatever is shared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import _native, cells, layers
from tidegate.document.state import find_held
from tidegate.runtime.engine import BoundLayer, EngineOptions, build_engine

SHAPES = [(8, 2, 5), (16, 1, 80), (48, 3, 300), (20, 4, 120)]  # size, heads and most: copied, or read in place


def make(size: int, heads: int, most: int, ids: bool, target: str) -> tuple[Any, list[layers.Layer]]:
    """An engine with both kinds of layers that read another graph."""
    rng = np.random.default_rng(size)
    builder = layers.Builder(None if ids else 6)
    if ids:
        builder.add("embed", rows=9, size=6)
    builder.add("given", size=5)
    builder.recurrence(cells.load("gru"), 11)
    builder.add("cross_attend", size=size, heads=heads, most=most)
    builder.add("recurrent", size=7, tape="gru", cell="gru", dialect=cells.load("gru").dialect)
    bound = []
    for layer in builder.layers:
        tensors = {role: layer.init(rng, role, {}) for role in layer.shapes()}
        for role, value in tensors.items():
            if layer.use(role) != "fixed":
                value += rng.normal(size=value.shape).astype(np.float32) * np.float32(0.3)
        bound.append(BoundLayer(layer, tensors))
    return build_engine(bound, EngineOptions(target)), builder.layers


def hold(graph: list[layers.Layer], rng: np.random.Generator, count: int) -> np.ndarray:
    """What so many streams hold, uint8 [count, bytes]."""
    own, places = find_held(graph)
    found = np.zeros((count, engine_bytes(graph) - own), np.uint8)
    for block in found:
        for i, layer in enumerate(graph):
            if layer.outside is None:
                continue
            rows = rng.normal(size=(rng.integers(1, (layer.outside.most or 1) + 1), layer.outside.width))
            for name, values in layer.hold(rows.astype(np.float32)).items():
                at = places[f"layers.{i}.{name}"] - own
                block[at : at + values.nbytes] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return found


def engine_bytes(graph: list[layers.Layer]) -> int:
    from tidegate.document import state_schema

    return int(state_schema(graph)["bytes"])


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("target", _native.targets())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_have_the_bits_of_steps_in_place(shape: tuple[int, int, int], target: str, ids: bool) -> None:
    check_step_from(shape, target, ids)


def check_step_from(shape: tuple[int, int, int], target: str, ids: bool) -> None:
    """Compare rows that continue others with steps in place, of whole blocks that are put together."""
    engine, graph = make(*shape, ids, target)
    rng = np.random.default_rng(0)
    own, _ = find_held(graph)
    held = hold(graph, rng, 3)
    n = 70
    states = np.zeros((n, own), np.uint8)
    states[:, 8:].view(np.float32)[:] = rng.normal(size=(n, (own - 8) // 4))
    owners = rng.integers(0, 3, n)
    for step in range(3):
        parents = rng.integers(0, len(states), n)
        owners = owners[parents]
        x = rng.integers(0, 9, n).astype(np.int32) if ids else rng.normal(size=(n, 6)).astype(np.float32)
        whole = np.concatenate([states[parents], held[owners]], 1)
        expected = np.empty((n, engine.outputs), np.float32)
        engine.step_many(np.arange(n), x, whole, expected, 1)
        for threads in (1, 2):
            after, out = np.full((n, own), 255, np.uint8), np.empty_like(expected)
            engine.step_from(x, parents, states, owners, held, after, out, threads)
            assert out.tobytes() == expected.tobytes()
            assert after.tobytes() == whole[:, :own].tobytes()
            assert (whole[:, own:] == held[owners]).all()
        states = after
        assert states[0, 0] == step + 1


def test_wrong_arguments_change_nothing() -> None:
    engine, graph = make(8, 2, 5, True, _native.targets()[0])
    own, places = find_held(graph)
    held = hold(graph, np.random.default_rng(0), 2)
    after, out = np.zeros((2, own), np.uint8), np.zeros((2, engine.outputs), np.float32)
    right: dict[str, Any] = {
        "x": np.zeros(2, np.int32),
        "parents": np.zeros(2, np.int64),
        "states_in": np.zeros((1, own), np.uint8),
        "owners": np.array([0, 1]),
        "held": held,
        "states_out": after,
        "out": out,
        "threads": 1,
    }
    wider = np.zeros((2, own + 8), np.uint8)
    for change, message in (
        ({"parents": np.array([0, 1])}, r"parents\[1\] must be from 0 to 0, found 1"),
        ({"owners": np.array([-1, 0])}, r"owners\[0\] must be from 0 to 1, found -1"),
        ({"x": np.array([0, 9], np.int32)}, "9"),
        ({"threads": 0}, "threads must be 1 or more"),
        ({"held": held[:, :-8].copy()}, "held must have length"),
        ({"states_out": right["states_in"]}, "states_out must have length 2"),
        ({"states_in": after}, "overlap"),
        (
            {"states_in": wider[:1].copy(), "states_out": wider, "held": held[:, 8:].copy()},
            f"the state at byte {min(places.values())} is one that steps only read; own_bytes is {own + 8}",
        ),
        (
            {
                "states_in": after[:1, 8:].copy(),
                "states_out": after[:, 8:].copy(),
                "held": np.zeros((2, held.shape[1] + 8), np.uint8),
            },
            "is one that steps change",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            engine.step_from(**{**right, **change})
        assert not after.any()
        assert not out.any()
    engine.step_from(**right)
    assert after[:, 0].tolist() == [1, 1]


def test_layers_that_look_ahead_are_refused() -> None:
    builder = layers.Builder(3)
    builder.add("conv", size=2, width=3, ahead=1, activation="none")
    bound = [
        BoundLayer(one, {role: one.init(np.random.default_rng(0), role, {}) for role in one.shapes()})
        for one in builder.layers
    ]
    engine = build_engine(bound, EngineOptions(_native.targets()[0]))
    size = engine_bytes(builder.layers)
    with pytest.raises(ValueError, match="layers that look ahead cannot continue the states of other rows"):
        engine.step_from(
            np.zeros((1, 3), np.float32),
            np.zeros(1, np.int64),
            np.zeros((1, size), np.uint8),
            np.zeros(1, np.int64),
            np.zeros((1, 0), np.uint8),
            np.zeros((1, size), np.uint8),
            np.zeros((1, 2), np.float32),
            1,
        )
