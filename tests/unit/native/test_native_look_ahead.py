"""Layers that look ahead in the engine: near the reference, with the same bits however rows are cut and batched."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import _native, cells
from tidegate.layers import Builder
from tidegate.layers.conv import Conv
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.runtime.engine import add_layer, compile
from tidegate.runtime.state import make_initial
from tidegate.verify.samples import WORDS, build_model

TARGETS = pytest.mark.parametrize("target", _native.targets())
PLACES = ("first and behind", "last, all ahead", "between words")
Floats = npt.NDArray[np.float32]


def make_model(place: str) -> Model:
    """Make a model that looks three steps ahead in two layers, four in its last, or two behind an embedding."""
    gru = cells.load("gru")
    builder = Builder(None if place == "between words" else 3)
    if place == "first and behind":
        builder.add("conv", size=4, width=4, ahead=2, activation="tanh")
        builder.recurrence(gru, 5)
        builder.add("conv", size=4, width=3, ahead=1, activation="none")
        builder.add("conv", size=4, width=3, centred=False, activation="none")
        builder.add("pool", over=["last", "mean", "max", "attention"])
        builder.add("dense", size=3, activation="none")
    elif place == "last, all ahead":
        builder.recurrence(cells.load("lstm"), 5)
        builder.add("conv", size=9, width=5, ahead=4, activation="none")
    else:
        builder.add("embed", rows=len(WORDS) + 1, size=5)
        builder.add("conv", size=5, width=5, ahead=2, activation="relu")
        builder.recurrence(gru, 5, residual=True)
    return build_model(builder.layers, 0, None if place == "between words" else 3, None)


def inputs(model: Model, T: int, B: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    random = np.random.default_rng(seed)
    x = random.integers(0, 9, (T, B)) if model.layers[0].ids else random.standard_normal((T, B, 3))
    lengths = random.integers(0, T + 1, B).astype(np.int32)
    return x.astype(np.int32 if x.ndim == 2 else np.float32), lengths


def initial_states(model: Model, rows: int) -> npt.NDArray[np.uint8]:
    return make_initial(model.state_schema, model.state_bytes)[None].repeat(rows, 0)


def run(
    engine: _native.Engine, x: Any, lengths: Any, states: Any, ends: bool = False, threads: int = 1
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Return the outputs with each step, NaN where there is none, and the states after the last."""
    steps = len(x) + (engine.look_ahead if ends else 0)
    out, after = np.full((steps, x.shape[1], engine.outputs), np.nan, np.float32), np.empty_like(states)
    engine.run(np.ascontiguousarray(x), lengths, states, after, out, True, threads, ends)
    return out, after


@TARGETS
@pytest.mark.parametrize("place", PLACES)
def test_whole_rows_are_near_the_reference(target: str, place: str) -> None:
    model = make_model(place)
    engine, ahead = compile(model, target), model.look_ahead
    assert engine.look_ahead == ahead > 0
    x, lengths = inputs(model, 9, 30, 1)
    out, _ = run(engine, x, lengths, initial_states(model, 30), ends=True)
    expected, _ = Reference(model).run(x, lengths)
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(out[ahead : ahead + length, b], expected[:length, b], atol=1e-5)
        assert np.isnan(out[:ahead, b]).all()
        assert np.isnan(out[ahead + length :, b]).all()
    last = np.full((30, engine.outputs), np.nan, np.float32)
    states = initial_states(model, 30)
    engine.run(x, lengths, states, np.empty_like(states), last, False, 1, True)
    for b, length in enumerate(lengths):
        assert last[b].tobytes() == (out[ahead + length - 1, b] if length else np.full_like(last[b], np.nan)).tobytes()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", range(12))
def test_pieces_and_steps_of_many_streams_give_the_bits_of_whole_rows(place: str, seed: int) -> None:
    model, random = make_model(place), np.random.default_rng(seed)
    engine, ahead, B = compile(model), model.look_ahead, 1 + 11 * seed
    x, lengths = inputs(model, 12, B, seed)
    whole, _ = run(engine, x, lengths, initial_states(model, B), True, 1 + seed % 3)
    found: list[list[Floats]] = [[] for _ in range(B)]
    states, at = initial_states(model, B), np.zeros(B, np.int64)
    while (at < lengths).any():
        if random.random() < 0.5:
            ids = random.integers(0, B, random.integers(1, 40))
            order = [(ids[:k] == i).sum() for k, i in enumerate(ids)]
            chosen = [(i, at[i] + n) for i, n in zip(ids, order, strict=True) if at[i] + n < lengths[i]]
            ids = np.array([i for i, _ in chosen], np.int64)
            steps = np.array([x[t, i] for i, t in chosen], x.dtype).reshape(len(chosen), *x.shape[2:])
            out = np.full((len(ids), engine.outputs), np.nan, np.float32)
            engine.step_many(ids, steps, states, out, 1)
            for (i, t), y in zip(chosen, out, strict=True):
                assert np.isnan(y).all() == (t < ahead)
                found[i] += [y] if t >= ahead else []
                at[i] += 1
        else:
            counts = np.minimum(random.integers(0, 5, B), lengths - at).astype(np.int32)
            piece = np.zeros((5, B, *x.shape[2:]), x.dtype)
            for b in range(B):
                piece[: counts[b], b] = x[at[b] : at[b] + counts[b], b]
            every, states = run(engine, piece, counts, states)
            for b in range(B):
                found[b] += [every[k, b] for k in range(counts[b]) if at[b] + k >= ahead]
            at += counts
    late, _ = run(engine, x[:0], np.zeros(B, np.int32), states, ends=True)
    for b, length in enumerate(lengths):
        found[b] += [y for y in late[:, b] if not np.isnan(y).any()]
        assert b"".join(y.tobytes() for y in found[b]) == whole[ahead : ahead + length, b].tobytes()


@pytest.mark.parametrize("place", PLACES)
def test_fused_kernels_and_the_interpreter_give_the_same_bits(place: str) -> None:
    model = make_model(place)
    x, lengths = inputs(model, 8, 17, 2)
    results = [
        run(compile(model, fused=fused), x, lengths, initial_states(model, 17), ends=True) for fused in (True, False)
    ]
    assert results[0][0].tobytes() == results[1][0].tobytes()


def small_engine() -> _native.Engine:
    return _native.Engine("base", 4096)


def add_conv(engine: _native.Engine, width: int, ahead: int, past: int, add: int | None = None) -> None:
    layer = Conv(inputs=2, size=2, window=width, ahead=ahead, activation="none", add=add)
    add_layer(
        engine, layer, {"weight": np.ones((2, 2 * width), np.float32), "bias": np.zeros(2, np.float32)}, {"past": past}
    )


@pytest.mark.parametrize("ahead", [-1, 4097, 1 << 40])
def test_a_number_of_steps_ahead_that_is_not_allowed_is_refused(ahead: int) -> None:
    with pytest.raises(ValueError, match=f"program: the number of steps ahead must be from 0 to 4096, found {ahead}"):
        add_conv(small_engine(), 3, ahead, 8)


def test_adding_an_earlier_output_is_refused() -> None:
    engine = small_engine()
    add_conv(engine, 1, 0, -1)
    add_conv(engine, 3, 1, 8, add=0)
    sentence = (
        r"layer 1 \(conv\): its own output is 1 step late, so it cannot add that of layer 0, which is 0 steps late"
    )
    with pytest.raises(ValueError, match=sentence):
        engine.finish()


def test_a_long_look_ahead_is_refused() -> None:
    engine = _native.Engine("base", 1 << 20)
    for i in range(5):
        add_conv(engine, 1000, 999, 8 + i * 4 * 2 * 999)
    with pytest.raises(ValueError, match=r"layer 4 .*look 4995 steps ahead, at most 4096 are allowed"):
        engine.finish()


def test_the_outputs_of_an_end_need_room() -> None:
    model = make_model("first and behind")
    engine, states = compile(model), initial_states(model, 1)
    out = np.empty((2, 1, engine.outputs), np.float32)
    with pytest.raises(ValueError, match="out must have 5 in axis 0|out"):
        engine.run(np.zeros((2, 1, 3), np.float32), np.ones(1, np.int32), states, states.copy(), out, True, 1, True)
