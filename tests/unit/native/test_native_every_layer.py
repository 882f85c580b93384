"""Every kind of layer that streams, run by its fused kernel and by the operations of its step: equal bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import _native, cells, layers
from tidegate.document import state_schema
from tidegate.layers.program import load_file
from tidegate.runtime.engine import BoundLayer, EngineOptions, build_engine
from tidegate.runtime.state import make_initial
from tidegate.tape import NumpyOps, run_program

PLACES = [(target, form) for form in ("float32", "weights=bf16", "compute=bf16") for target in _native.targets(form)]
SURPRISE = Path(__file__).parents[3] / "examples" / "surprise.py"
T, B = 9, 67
WIDTHS = (1, 7, 16, 33)
Build = Callable[[layers.Builder, int], object]


def pools(builder: layers.Builder, size: int) -> None:
    builder.add("pool", over=["last", "mean", "max", "attention"])
    builder.add("pool", over=["attention"])


def convolutions(builder: layers.Builder, size: int) -> None:
    builder.add("conv", size=size, width=4, centred=False, activation="relu")
    builder.add("conv", size=size, width=1, centred=False, activation="none", add=0)


def own(builder: layers.Builder, size: int) -> None:
    builder.add("program", **load_file(str(SURPRISE), size))
    builder.add("program", **load_file(str(SURPRISE), size), add=0)


def dense(builder: layers.Builder, size: int) -> None:
    for activation in ("none", "relu", "tanh", "sigmoid"):
        builder.add("dense", size=size, activation=activation, **({"add": 0} if activation == "tanh" else {}))


def rows(width: int, count: int) -> list[list[float]]:
    """Numbers of another graph."""
    values: list[list[float]] = np.random.default_rng(width).normal(size=(count, width)).astype(np.float32).tolist()
    return values


BUILDS: dict[str, Build] = {
    "dense": dense,
    "norm": lambda builder, size: [builder.add("norm", eps=1e-5), builder.add("norm", eps=1e-3, add=0)],
    "conv": convolutions,
    "pool": pools,
    "scale": lambda builder, size: [builder.add("scale"), builder.add("scale", add=0)],
    "softmax": lambda builder, size: [builder.add("softmax"), builder.add("softmax", add=0)],
    "glu": lambda builder, size: [builder.add("glu", size=size), builder.add("glu", size=size, add=0)],
    "attend": lambda builder, size: [
        builder.add("attend", heads=heads, window=window) for heads, window in ((1, 5), (size, 3), (1, 4096 // size))
    ],
    "program": own,
    "given": lambda builder, size: [
        builder.add("given", size=1 + size // 2, initial=rows(1 + size // 2, 1)),
        builder.add("cross_attend", size=2 * size, heads=2, most=6, initial=rows(4 * size, 4)),
    ],
    "cross_attend": lambda builder, size: [
        builder.add("cross_attend", size=size, heads=heads, most=most, initial=rows(2 * size, min(most, 9)))
        for heads, most in ((1, 5), (size, 30), (1, min(1500, 12000 // size)))
    ],
    "lags": lambda builder, size: [
        builder.add("lags", parts=1, columns=size, steps=3),
        builder.add("lags", parts=3, columns=1 + size // 2, steps=1),
        builder.add("lags", parts=1, columns=1, steps=7),
    ],
    "grouped": lambda builder, size: [
        builder.add("grouped", groups=size, size=2, times=3),
        builder.add("grouped", groups=1, size=size, times=1),
        builder.add("grouped", groups=1, size=size, times=2),
        builder.add("grouped", groups=2, size=size, times=1, add=3),
    ],
    "surprise": lambda builder, size: [
        builder.add("surprise", columns=size, most=2.0, sources=(0, 0, 0)),
        builder.add("surprise", columns=size, most=100.0, sources=(1, 0), add=1),
    ],
    "recent_scale": lambda builder, size: [
        builder.add("recent_scale", share=0.25, trusted=1.5, most=3.0, wait=0),
        builder.add("recent_scale", share=0.5, trusted=0.5, most=0.75, wait=2, add=0),
    ],
    "mean_square": lambda builder, size: [
        builder.add("mean_square", share=0.25, wait=0),
        builder.add("mean_square", share=1.0, wait=2),
    ],
    "join": lambda builder, size: [
        builder.add("join"),
        builder.add("join", sources=(1, 0)),
        builder.add("join", add=2),
    ],
}
CELLS = [(name, dialect) for name in cells.names() for dialect in cells.list_dialects(name)]


def has_step(kind: str) -> bool:
    """Tell whether a layer runs by steps that are not late; delays are among the graphs that look ahead."""
    return kind not in ("bidirectional", "final", "delay")


def test_every_kind_of_layer_is_tested_here() -> None:
    assert {*BUILDS, "embed", "bag", "running_bag", "recurrent"} == set(filter(has_step, layers.kinds()))


def bind(builder: layers.Builder, rng: np.random.Generator) -> list[BoundLayer]:
    """Give the layers weights that are not zero."""
    bound = []
    for layer in builder.layers:
        tensors = {role: layer.init(rng, role, {}) for role in layer.shapes()}
        for role, value in tensors.items():
            if layer.use(role) != "fixed" or role == "mean":
                value += rng.normal(size=value.shape).astype(np.float32) * np.float32(0.3)
            if role == "deviation":
                value[...] = np.abs(value) + np.float32(0.5)
        bound.append(BoundLayer(layer, tensors))
    return bound


def initial_states(bound: list[BoundLayer], rows: int) -> np.ndarray:
    schema = state_schema([one.layer for one in bound])
    return np.tile(make_initial(schema["arrays"], schema["bytes"]), (rows, 1))


def run(bound: list[BoundLayer], x: np.ndarray, lengths: np.ndarray, options: EngineOptions) -> tuple[Any, Any]:
    engine, states = build_engine(bound, options), initial_states(bound, x.shape[1])
    out, after = np.zeros((*x.shape[:2], engine.outputs), np.float32), np.empty_like(states)
    engine.run(x, lengths, states, after, out, True, 2)
    return out, after


def check(bound: list[BoundLayer], x: np.ndarray, rng: np.random.Generator) -> None:
    """Compare the outputs and states of all rows, fused and not, in every precision on every target."""
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    lengths[0] = T
    for target, form in PLACES:
        fused, plain = (run(bound, x, lengths, EngineOptions(target, way, form)) for way in (True, False))
        np.testing.assert_array_equal(plain[0].view(np.uint32), fused[0].view(np.uint32), err_msg=f"{target} {form}")
        np.testing.assert_array_equal(plain[1], fused[1], err_msg=f"{target} {form}")
        if form == "float32":
            check_reference(bound, x, plain[0])


def check_reference(bound: list[BoundLayer], x: np.ndarray, out: np.ndarray) -> None:
    """Compare the first row with float64, of the programs and of the steps."""
    values: dict[Any, Any] = {"x": x[:, :1].astype(float) if x.dtype == np.float32 else x[:, :1]}
    values["x.grams"] = values["x"]
    for i, (layer, tensors) in enumerate(bound):
        row = np.concatenate([values[source] for source in layers.sources_of(i, layer)], -1)
        t = {role: value.astype(float) for role, value in tensors.items()}
        steps = [
            layer.whole(NumpyOps, t, list(row)),
            layer.whole(NumpyOps, t, list(row), lambda own, *given: run_program(own.program, *given)),
        ]
        for one, other in zip(*steps, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
        row = np.stack(steps[0])
        if layer.add is not None:
            row = row + values[layer.add]
        values[i] = row
    np.testing.assert_allclose(out[:, 0], row[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", BUILDS)
def test_a_layer_has_the_bits_of_its_kernel(kind: str, size: int) -> None:
    rng, builder = np.random.default_rng(size), layers.Builder(size)
    builder.add("scale")
    BUILDS[kind](builder, size)
    check(bind(builder, rng), rng.standard_normal((T, B, size)).astype(np.float32), rng)


@pytest.mark.parametrize("size", [1, 17, 32])
@pytest.mark.parametrize(("name", "dialect"), CELLS, ids=lambda v: v if isinstance(v, str) else "-".join(v.values()))
def test_a_cell_has_the_bits_of_its_kernel(name: str, dialect: dict[str, str], size: int) -> None:
    rng, builder = np.random.default_rng(size), layers.Builder(6)
    builder.add("dense", size=size, activation="tanh")
    cell = cells.load(name, dialect)
    for residual in (False, not cell.tape.has_projection):
        builder.recurrence(cell, size, residual=residual)
    check(bind(builder, rng), rng.standard_normal((T, B, 6)).astype(np.float32), rng)


@pytest.mark.parametrize("ids", [1, 3, 64])
@pytest.mark.parametrize("size", WIDTHS)
def test_ids_have_the_bits_of_the_table(ids: int, size: int) -> None:
    """With one id, a product after the table is looked up as well; with an `add` of the table, it is not."""
    for add in ({}, {"add": 0}):
        rng, builder = np.random.default_rng(size), layers.Builder(None)
        builder.add("embed", rows=19, size=size, ids=ids)
        builder.recurrence(cells.load("gru"), size)
        builder.add("glu", size=size, **add)
        x = rng.integers(0, 19, (T, B) if ids == 1 else (T, B, ids)).astype(np.int32)
        check(bind(builder, rng), x, rng)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", ["bag", "running_bag"])
def test_a_bag_sums_the_rows_that_are_there(kind: str, size: int) -> None:
    rng, builder = np.random.default_rng(size), layers.Builder(None)
    builder.add(kind, rows=19, size=size, most=5, sources=("x.grams",))
    builder.add("dense", size=3, activation="tanh")
    check(bind(builder, rng), rng.integers(-3, 19, (T, B, 5)).astype(np.int32), rng)


@pytest.mark.parametrize("kind", ["softmax", "pool", "attend", "norm", "program", "glu"])
def test_a_table_before_a_layer_without_a_product_of_its_input(kind: str) -> None:
    rng, builder = np.random.default_rng(4), layers.Builder(None)
    builder.add("embed", rows=19, size=9)
    BUILDS[kind](builder, 9)
    bound = [one for one in bind(builder, rng) if one.layer.add is None]
    check(bound, rng.integers(0, 19, (T, B)).astype(np.int32), rng)


@pytest.mark.parametrize("kind", BUILDS)
def test_numbers_that_are_not_finite_have_the_bits_of_the_kernel(kind: str) -> None:
    rng, builder = np.random.default_rng(5), layers.Builder(9)
    builder.add("scale")
    BUILDS[kind](builder, 9)
    bound = bind(builder, rng)
    x = rng.standard_normal((T, B, 9)).astype(np.float32)
    special = [np.nan, np.inf, -np.inf, 3e38, -0.0, 1e-42]
    x[rng.random(x.shape) < 0.02] = rng.choice(special)
    x[0, :6, 0] = special
    lengths = np.full(B, T, np.int32)
    for target, form in PLACES:
        (out, _), (right, _) = (run(bound, x, lengths, EngineOptions(target, way, form)) for way in (False, True))
        differ = (out.view(np.uint32) != right.view(np.uint32)) & ~(np.isnan(out) & np.isnan(right))
        assert not differ.any(), (target, form, out[differ][:4], right[differ][:4])
        assert np.isfinite(out).any()
