"""On one target, steps, sequences, chunks, batches, step_many, threads, fused or not: all give the same bits."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from native_reference import CELLS, GRU, LSTM, ODD, Model
from remote_engine import Remote, build_program, redirect_native

import shared
from tidegate import _native
from tidegate.runtime.precision import round_to_bf16

FLOAT32 = pytest.mark.parametrize("target", _native.targets())
BF16 = [
    f"{target} {precision}" for precision in ("weights=bf16", "compute=bf16") for target in _native.targets(precision)
]
TARGETS = pytest.mark.parametrize("target", [*_native.targets(), *BF16])
T, B = 29, 21


def all_layers(seed: int = 0, H: int = 33) -> Model:
    """Make a model with every kind of layer."""
    model = Model(seed).scale(7).dense(7, H, "tanh").recurrent(GRU, H, H, add=1).norm(H).recurrent(LSTM, H, 20)
    model.conv(20, 20, 4, "relu", add=4).recurrent(ODD, 20, 17).pool(17, ["last", "mean", "max", "attention"])
    return model.dense(68, 9).softmax(9)


@dataclass
class Run:
    out: np.ndarray  # [T, B, O]
    states: np.ndarray  # [B, state_bytes]


def batch(model: Model, rows: int = B, inputs: int = 7) -> tuple[np.ndarray, np.ndarray]:
    x = model.random.standard_normal((T, rows, inputs)).astype(np.float32)
    lengths = model.random.integers(0, T + 1, rows).astype(np.int32)
    lengths[:3] = 0, 1, T
    for row, length in enumerate(lengths):
        x[length:, row] = np.nan
    return x, lengths


def run(engine, model: Model, x, lengths, states=None, threads: int = 1) -> Run:
    states = model.states(x.shape[1]) if states is None else states
    result = Run(np.full((*x.shape[:2], engine.outputs), -7, np.float32), np.empty_like(states))
    engine.run(x, lengths, states, result.states, result.out, True, threads)
    return result


def assert_same(a: Run, b: Run) -> None:
    np.testing.assert_array_equal(a.out.view(np.uint32), b.out.view(np.uint32))
    np.testing.assert_array_equal(a.states, b.states)


@TARGETS
def test_padding_is_never_read_and_outputs_past_the_length_are_untouched(target):
    model = all_layers()
    x, lengths = batch(model)
    states = model.states(B)
    result = run(model.engine(target), model, x, lengths, states)
    for row, length in enumerate(lengths):
        assert np.isfinite(result.out[:length, row]).all()
        assert (result.out[length:, row] == -7).all()
    np.testing.assert_array_equal(result.states[0], states[0])
    np.testing.assert_array_equal(result.states[:, :8].copy().view(np.int64).ravel(), lengths)


@TARGETS
@pytest.mark.parametrize(("steps", "rows"), [(0, 0), (0, 3), (4, 0)])
def test_nothing_to_do_changes_nothing(target, steps, rows):
    model = all_layers()
    states, x = model.states(rows), np.zeros((steps, rows, 7), np.float32)
    result = run(model.engine(target), model, x, np.zeros(rows, np.int32), states)
    np.testing.assert_array_equal(result.states, states)


@TARGETS
def test_ids_past_the_length_are_not_read(target):
    model = Model(1).embed(10, 5).pool(5, ["mean"])
    engine, x = model.engine(target), np.full((4, 2), -99, np.int32)
    x[:2, 0], x[:3, 1] = 3, 9
    lengths = np.array([2, 3], np.int32)
    assert np.isfinite(run(engine, model, x, lengths).out[:2, 0]).all()
    with pytest.raises(ValueError, match=r"x\[4\] .* is id -99, expected from 0 to 9"):
        run(engine, model, x, lengths + 1)


@TARGETS
@pytest.mark.parametrize("H", [1, 5, 16, 33, 64, 100])
def test_the_fused_gru_gives_the_same_bits_as_the_interpreter(target, H):
    model = Model(2).recurrent(GRU, 11, H)
    x, lengths = batch(model, inputs=11)
    fused, plain = model.engine(target), model.engine(target, fused=False)
    assert (fused.fused_layers, plain.fused_layers) == ([0], [])
    assert_same(run(fused, model, x, lengths), run(plain, model, x, lengths))


@TARGETS
@pytest.mark.parametrize("fused", [True, False])
def test_single_steps_give_the_same_bits_as_a_batch(target, fused):
    model = all_layers(3)
    x, lengths = batch(model)
    engine = model.engine(target, fused)
    whole, states, out = run(engine, model, x, lengths), model.states(B), np.empty(9, np.float32)
    for row, length in enumerate(lengths):
        for t in range(length):
            engine.step(x[t, row], states[row], out)
            np.testing.assert_array_equal(out.view(np.uint32), whole.out[t, row].view(np.uint32))
    np.testing.assert_array_equal(states, whole.states)


@TARGETS
@pytest.mark.parametrize("chunk", [1, 4, 17])
def test_chunks_give_the_same_bits_as_the_whole(target, chunk):
    model = all_layers(4)
    x, lengths = batch(model)
    engine = model.engine(target)
    whole, parts, states = run(engine, model, x, lengths), [], model.states(B)
    for t in range(0, T, chunk):
        left = np.clip(lengths - t, 0, min(chunk, T - t)).astype(np.int32)
        part = run(engine, model, x[t : t + chunk], left, states)
        states = part.states
        parts.append(part.out)
    assert_same(whole, Run(np.concatenate(parts), states))


@TARGETS
@pytest.mark.parametrize("rows", [1, 2, 7, 9])
def test_rows_do_not_depend_on_their_neighbours(target, rows):
    model = all_layers(5)
    x, lengths = batch(model)
    engine = model.engine(target)
    whole = run(engine, model, x, lengths)
    for first in range(0, B, rows):
        part = slice(first, min(first + rows, B))
        assert_same(
            run(engine, model, np.ascontiguousarray(x[:, part]), lengths[part].copy()),
            Run(np.ascontiguousarray(whole.out[:, part]), whole.states[part]),
        )


@TARGETS
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("rows", [3, 200])
def test_an_embedding_merged_into_its_cell_gives_the_same_bits(target, name, rows):
    model = Model(11).embed(rows, 19).recurrent(CELLS[name], 19, 33)
    ids = model.random.integers(0, rows, (T, B)).astype(np.int32)
    lengths = model.random.integers(0, T + 1, B).astype(np.int32)
    folded = run(model.engine(target), model, ids, lengths)
    table = model.added.pop(0)[1]["weight"]
    looked_up = round_to_bf16(table) if "bf16" in target else table
    assert_same(folded, run(model.engine(target), model, looked_up[ids], lengths))


@TARGETS
def test_only_the_last_output(target):
    model = all_layers(6)
    x, lengths = batch(model)
    engine, states = model.engine(target), model.states(B)
    whole, last = run(engine, model, x, lengths), np.full((B, 9), -7, np.float32)
    engine.run(x, lengths, states, states.copy(), last, False, 1)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(last[row], whole.out[length - 1, row] if length else -7)


@TARGETS
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(target, threads):
    model = all_layers(7, 64)
    x, lengths = batch(model, 201)
    engine = model.engine(target)
    assert_same(run(engine, model, x, lengths), run(engine, model, x, lengths, threads=threads))


@TARGETS
@pytest.mark.parametrize("threads", [1, 3])
def test_step_many_applies_the_entries_of_a_stream_in_order(target, threads):
    model = all_layers(8)
    engine, streams, entries = model.engine(target), 50, 700
    ids = model.random.integers(0, streams, entries)
    ids[-100:] = 7
    x = model.random.standard_normal((entries, 7)).astype(np.float32)
    pooled, stepped = model.states(streams), model.states(streams)
    out, one = np.empty((entries, 9), np.float32), np.empty(9, np.float32)
    engine.step_many(ids, x, pooled, out, threads)
    for i, stream in enumerate(ids):
        engine.step(x[i], stepped[stream], one)
        np.testing.assert_array_equal(out[i], one)
    np.testing.assert_array_equal(pooled, stepped)


@TARGETS
@pytest.mark.parametrize("even", [True, False])
def test_rows_of_whole_vectors_are_read_and_written_in_place(target, even):
    model = Model(12).dense(32, 48, "tanh").recurrent(GRU, 48, 64).dense(64, 64, "relu", add=1)
    x, lengths = batch(model, 70, 32)
    if even:
        x, lengths = np.nan_to_num(x), np.full(70, T, np.int32)
    engine, before, out = model.engine(target), x.copy(), np.empty(64, np.float32)
    whole, stepped = run(engine, model, x, lengths), model.states(70)
    np.testing.assert_array_equal(x, before)
    for row, t in np.argwhere(np.arange(T) < lengths[:, None]):
        engine.step(x[t, row], stepped[row], out)
        np.testing.assert_array_equal(out.view(np.uint32), whole.out[t, row].view(np.uint32))
    assert all((whole.out[length:, row] == -7).all() for row, length in enumerate(lengths))
    np.testing.assert_array_equal(stepped, whole.states)
    pooled, one, ids = model.states(90), np.full((70, 64), -7, np.float32), np.arange(10, 80)
    engine.step_many(ids, x[0], pooled, one, 1)
    on = lengths > 0
    np.testing.assert_array_equal(one[on], whole.out[0][on])


@TARGETS
def test_step_many_with_ascending_ids(target):
    model = all_layers(9)
    engine, states, ids = model.engine(target), model.states(90), np.arange(1, 90, 2)
    x = model.random.standard_normal((1, ids.size, 7)).astype(np.float32)
    expected = run(engine, model, x, np.ones(ids.size, np.int32), states[ids])
    out = np.empty((ids.size, 9), np.float32)
    engine.step_many(ids, x[0], states, out, 1)
    np.testing.assert_array_equal(out, expected.out[0])
    np.testing.assert_array_equal(states[ids], expected.states)


@pytest.fixture
def plain_build(tmp_path_factory, tmp_path, root):
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("needs cmake and a C++ compiler")
    folder = shared.folder(tmp_path_factory, "no_fused")
    remote = Remote(
        [str(build_program(root, folder, "engine_remote", "-DTIDEGATE_NO_FUSED=ON"))], tmp_path / "said.txt"
    )
    yield remote
    remote.close()


@pytest.mark.slow  # it builds the engine
@FLOAT32
@pytest.mark.parametrize("H", [5, 64])
def test_a_build_without_fused_kernels_gives_the_same_bits(target, H, plain_build, monkeypatch):
    model = Model(10).recurrent(CELLS["gru"], 11, H)
    x, lengths = batch(model, inputs=11)
    fused = model.engine(target)
    assert fused.fused_layers == [0]
    expected = run(fused, model, x, lengths)
    redirect_native(plain_build, monkeypatch)
    plain = model.engine(target)
    assert plain.fused_layers == []
    assert_same(run(plain, model, x, lengths), expected)
