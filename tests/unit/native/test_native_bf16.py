"""bfloat16 in products: what is rounded, how, and what is not."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from tidegate import _native
from tidegate.layers.dense import Dense
from tidegate.layers.embed import Embed
from tidegate.layers.pool import Pool
from tidegate.layers.softmax import Softmax
from tidegate.runtime.engine import add_layer
from tidegate.runtime.precision import round_to_bf16

WEIGHTS = pytest.mark.parametrize("target", _native.targets("weights=bf16"))
COMPUTE = pytest.mark.parametrize("target", _native.targets("compute=bf16"))
BOTH = pytest.mark.parametrize(
    ("target", "precision"), [(t, p) for p in ("weights=bf16", "compute=bf16") for t in _native.targets(p)]
)

RANDOM = np.random.default_rng(0)
TIES = RANDOM.integers(0, 2**16, 400, np.uint32) << 16 | 0x8000
BITS = np.concatenate([TIES, RANDOM.integers(0, 2**32, 3000, np.uint32), np.arange(2**15 - 40, 2**15 + 40, dtype="u4")])
FLOATS = BITS.view(np.float32)
ANY = FLOATS[np.isfinite(FLOATS) & (abs(FLOATS) < 3e38)]
NORMAL = ANY[abs(ANY) >= 2.0**-126]


def dense(target: str, precision: str, weight: np.ndarray, bias: np.ndarray | None = None) -> _native.Engine:
    engine = _native.Engine(target, 8, True, precision)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    add_dense(engine, weight, bias)
    engine.finish()
    return engine


def add_dense(engine: _native.Engine, weight: np.ndarray, bias: np.ndarray) -> None:
    layer = Dense(inputs=weight.shape[1], size=len(weight))
    add_layer(engine, layer, {"weight": np.ascontiguousarray(weight, np.float32), "bias": bias}, {})


def add_embed(engine: _native.Engine, table: np.ndarray) -> None:
    add_layer(engine, Embed(rows=len(table), size=table.shape[1]), {"weight": table}, {})


def run_rows(engine: _native.Engine, x: np.ndarray) -> np.ndarray:
    """Return outputs [B, O] of rows x [B, F]; check that a batch and single steps have the same bits."""
    B = len(x)
    states, out = np.zeros((B, 8), np.uint8), np.zeros((B, engine.outputs), np.float32)
    engine.step_many(np.arange(B), np.ascontiguousarray(x, np.float32), states, out, 1)
    for row, said in zip(x, out, strict=True):
        one = np.zeros(engine.outputs, np.float32)
        engine.step(np.ascontiguousarray(row, np.float32), np.zeros(8, np.uint8), one)
        np.testing.assert_array_equal(one.view(np.uint32), said.view(np.uint32))
    return out


def round_to_nearest(values: np.ndarray) -> np.ndarray:
    """Round to the nearest bfloat16 in exact arithmetic, ties to even."""
    below = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    above = ((values.view(np.uint32) & np.uint32(0xFFFF0000)) + np.uint32(0x10000)).view(np.float32)
    to_below, to_above = (abs(values.astype(float) - side.astype(float)) for side in (below, above))
    even = (below.view(np.uint32) >> 16 & 1) == 0
    return np.where((to_below < to_above) | ((to_below == to_above) & even), below, above)


def test_the_reference_itself_rounds_to_the_nearest():
    np.testing.assert_array_equal(round_to_bf16(ANY), round_to_nearest(ANY))


@WEIGHTS
def test_weights_are_the_nearest_bfloat16(target):
    found = run_rows(dense(target, "weights=bf16", ANY[:, None]), np.ones((1, 1), np.float32))[0]
    np.testing.assert_array_equal(found, round_to_nearest(ANY))


@WEIGHTS
def test_what_weights_multiply_is_not_rounded(target):
    found = run_rows(dense(target, "weights=bf16", np.ones((1, 1))), ANY[:200, None])[:, 0]
    np.testing.assert_array_equal(found, ANY[:200])


@COMPUTE
def test_what_weights_multiply_is_rounded_to_the_nearest(target):
    x = NORMAL[:500, None]
    found = run_rows(dense(target, "compute=bf16", np.ones((1, 1))), x)
    np.testing.assert_array_equal(found, round_to_nearest(x))


@COMPUTE
def test_compute_rounds_weights_as_well(target):
    found = run_rows(dense(target, "compute=bf16", NORMAL[:, None]), np.ones((1, 1), np.float32))[0]
    np.testing.assert_array_equal(found, round_to_nearest(NORMAL))


@BOTH
def test_biases_are_not_rounded(target, precision):
    bias = NORMAL[:100].copy()
    found = run_rows(dense(target, precision, np.zeros((100, 3)), bias), np.ones((1, 3), np.float32))[0]
    np.testing.assert_array_equal(found, bias)


@BOTH
@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7F80FFFF])
def test_nan_stays_nan_and_infinity_infinity(target, precision, bits):
    x = np.zeros((3, 5), np.float32)
    x[0, 4], x[1, 2] = np.array([bits], np.uint32).view(np.float32)[0], -np.inf
    found = run_rows(dense(target, precision, np.ones((20, 5))), x)
    assert np.isnan(found[0]).all()
    assert (found[1] == -np.inf).all()
    assert (found[2] == 0).all()


@BOTH
def test_padding_after_a_row_is_not_read(target, precision):
    """An odd depth is padded with zeros, which must not be multiplied by a NaN in the padding of x."""
    engine, random = _native.Engine(target, 8, True, precision), np.random.default_rng(1)
    add_dense(engine, random.standard_normal((7, 5)), np.zeros(7, np.float32))
    add_layer(engine, Softmax(size=7), {}, {})  # writes 7 of 16 numbers; the others have old contents
    add_dense(engine, random.standard_normal((3, 7)), np.zeros(3, np.float32))
    engine.finish()
    found = run_rows(engine, random.standard_normal((40, 5)).astype(np.float32))
    poisoned = random.standard_normal((64, 5)).astype(np.float32)
    poisoned[:] = np.nan
    run_rows(engine, poisoned)
    assert np.isfinite(found).all()
    assert np.isfinite(run_rows(engine, random.standard_normal((40, 5)).astype(np.float32))).all()


@BOTH
@pytest.mark.parametrize("depth", [1, 2, 31, 33, 1024, 1025, 2100])
def test_products_of_any_depth(target, precision, depth):
    random = np.random.default_rng(depth)
    weight, x = (random.standard_normal((n, depth)).astype(np.float32) for n in (70, 19))
    found = run_rows(dense(target, precision, weight), x)
    operand = round_to_bf16(x) if precision == "compute=bf16" else x
    exact = operand.astype(float) @ round_to_bf16(weight).astype(float).T
    terms = abs(operand.astype(float)) @ abs(round_to_bf16(weight).astype(float)).T
    assert (abs(found - exact) <= 2.0**-24 * (depth + 2) * terms).all()


@BOTH
def test_an_embedding_is_rounded(target, precision):
    table = RANDOM.standard_normal((9, 21)).astype(np.float32)
    engine = _native.Engine(target, 8, True, precision)
    add_embed(engine, table)
    add_layer(engine, Pool(size=21, over=("last",)), {}, {})
    engine.finish()
    out = np.zeros((9, 21), np.float32)
    engine.step_many(np.arange(9), np.arange(9, dtype=np.int32), np.zeros((9, 8), np.uint8), out, 1)
    np.testing.assert_array_equal(out, round_to_bf16(table))


class HeapInfo(ctypes.Structure):
    """The result of glibc's mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def heap_bytes() -> int:
    """Return the number of bytes in use on the heap."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("the C library has no mallinfo2")
    mallinfo2.restype = HeapInfo
    found = mallinfo2()
    return int(found.uordblks + found.hblkhd)


def embedding(target: str, precision: str, weight: np.ndarray) -> _native.Engine:
    engine = _native.Engine(target, 8, True, precision)
    add_embed(engine, weight)
    engine.finish()
    return engine


@pytest.mark.parametrize("make_engine", [embedding, dense])
@BOTH
def test_weights_take_half_the_bytes(target, precision, make_engine):
    weight, taken = np.ones((2000, 1000), np.float32), {}
    plain = target if target in _native.targets() else _native.targets()[0]
    for place, kind in ((plain, "float32"), (target, precision)):
        before = heap_bytes()
        engine = make_engine(place, kind, weight)
        taken[kind] = heap_bytes() - before
        del engine
    assert taken["float32"] - taken[precision] == pytest.approx(weight.nbytes / 2, rel=0.05)


@COMPUTE
def test_concurrent_threads_give_the_same_bits(target):
    """Each thread has its own AMX tiles, including the threads that the engine starts."""
    random = np.random.default_rng(2)
    engine, found = dense(target, "compute=bf16", random.standard_normal((300, 200))), []
    x = random.standard_normal((20, 70, 200)).astype(np.float32)

    def work(threads: int) -> None:
        for _ in range(3):
            states, out = np.zeros((70, 8), np.uint8), np.zeros((20, 70, 300), np.float32)
            engine.run(x, np.full(70, 20, np.int32), states, states.copy(), out, True, threads)
            found.append(out.tobytes())

    workers = [threading.Thread(target=work, args=(threads,)) for threads in (1, 2, 3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(found) == 9
    assert set(found) == {run_rows(engine, x.reshape(-1, 200)).tobytes()}


AMX_SCRIPT = """
import ctypes, sys

def has_permission():
    mask = ctypes.c_uint64(0)
    arch_prctl, get_permission = 158, 0x1022
    ctypes.CDLL(None).syscall(arch_prctl, get_permission, ctypes.byref(mask))
    return bool(mask.value >> 18 & 1)

found = [has_permission()]
from tidegate import _native
found.append(has_permission())
for precision in ("float32", "weights=bf16", "compute=bf16"):
    for name in _native.targets(precision):
        _native.Engine(name, 8, True, precision)
    found.append(has_permission())
print(found)
"""


@pytest.mark.skipif("amx" not in _native.targets("compute=bf16"), reason="no AMX here")
def test_the_system_is_asked_for_amx_only_when_it_is_used():
    """Not at import, because the system then needs 8 KB more of every stack for signals."""
    said = subprocess.run([sys.executable, "-c", AMX_SCRIPT], capture_output=True, text=True, check=True).stdout
    assert json.loads(said.lower()) == [False, False, False, False, True]


@BOTH
def test_a_weight_that_is_too_large_is_refused(target, precision):
    with pytest.raises(ValueError, match=r"a weight of -3\.402823e38 is too large for bfloat16; keep the weights as"):
        dense(target, precision, np.full((1, 1), -3.4028235e38))


def test_unknown_precisions_are_refused():
    with pytest.raises(ValueError, match="unknown precision 'half'; choose one of float32, weights=bf16, compute=bf16"):
        _native.Engine("base", 8, True, "half")
    with pytest.raises(ValueError, match="unknown precision"):
        _native.targets("bf16")


def test_targets_with_bfloat16_instructions_are_for_compute_only():
    every, plain = _native.compiled_targets("compute=bf16"), _native.compiled_targets()
    assert every[-len(plain) :] == plain == _native.compiled_targets("weights=bf16")
    for target in every[: -len(plain)]:
        with pytest.raises(ValueError, match=f"'{target}' is for compute=bf16 only; choose one of "):
            _native.Engine(target, 8)
    for precision in ("float32", "weights=bf16", "compute=bf16"):
        assert _native.targets(precision)[-1] == "base"
