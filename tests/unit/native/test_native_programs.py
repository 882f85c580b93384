"""Programs: near float64, and the same bits however they run, whatever the engine merges, on every target."""

from __future__ import annotations

import json
import resource
from typing import Any

import numpy as np
import pytest
from random_programs import Sample, make_sample

from tidegate import _native
from tidegate.errors import CellError
from tidegate.tape import Program
from tidegate.tape.program import SIGNATURES

FLOAT32 = [(target, "float32") for target in _native.targets()]
BF16 = [(target, form) for form in ("weights=bf16", "compute=bf16") for target in _native.targets(form)]
T, B = 7, 70  # more rows than run together
SEEDS = range(60)


def run(engine: Any, x: np.ndarray, lengths: np.ndarray, states: np.ndarray, threads: int = 1) -> tuple[Any, Any]:
    out, after = np.full((*x.shape[:2], engine.outputs), -7, np.float32), np.empty_like(states)
    engine.run(x, lengths, states, after, out, True, threads)
    return out, after


def assert_same(a: tuple[Any, Any], b: tuple[Any, Any]) -> None:
    np.testing.assert_array_equal(a[0].view(np.uint32), b[0].view(np.uint32))
    np.testing.assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program_is_near_float64(seed: int) -> None:
    sample = make_sample(seed)
    x = sample.inputs(np.random.default_rng(seed), T, 5)
    right, right_states = sample.reference(x)
    for target, precision in FLOAT32:
        states = np.zeros((5, sample.state_bytes), np.uint8)
        out, after = run(sample.engine(target, precision), x, np.full(5, T, np.int32), states)
        np.testing.assert_allclose(out, right, rtol=2e-4, atol=2e-4)
        end = 8 + 4 * sum(sample.sizes)
        np.testing.assert_allclose(after[:, 8:end].copy().view(np.float32), right_states, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program_has_the_same_bits_however_it_runs(seed: int) -> None:
    sample, rng = make_sample(seed), np.random.default_rng(seed)
    x, states = sample.inputs(rng, T, B), np.zeros((B, sample.state_bytes), np.uint8)
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    lengths[:2] = T, 0
    for target, precision in [*FLOAT32, *BF16]:
        engine = sample.engine(target, precision)
        whole = run(engine, x, lengths, states)
        assert_same(run(sample.plain().engine(target, precision), x, lengths, states), whole)
        assert_same(run(engine, x, lengths, states, threads=3), whole)
        check_parts(engine, x, lengths, states, whole)
        check_single_steps(engine, x, lengths, states, whole, rows=range(0, B, 9))


def check_parts(engine: Any, x: np.ndarray, lengths: np.ndarray, states: np.ndarray, whole: tuple[Any, Any]) -> None:
    """Run chunks of steps, and batches of other sizes."""
    after, outs = states, []
    for at in range(0, T, 3):
        part = np.ascontiguousarray(x[at : at + 3])
        out, after = run(engine, part, np.clip(lengths - at, 0, len(part)).astype(np.int32), after)
        outs.append(out)
    assert_same((np.concatenate(outs), after), whole)
    for rows in (slice(0, 1), slice(1, 9), slice(20, 33)):
        part, n = np.ascontiguousarray(x[:, rows]), lengths[rows].copy()
        out, after = run(engine, part, n, states[rows])
        assert_same((out, after), (np.ascontiguousarray(whole[0][:, rows]), whole[1][rows]))
    last, after = np.full((len(lengths), engine.outputs), -7, np.float32), np.empty_like(states)
    engine.run(x, lengths, states, after, last, False, 1)
    assert_same((last, after), (whole[0][np.maximum(lengths, 1) - 1, np.arange(len(lengths))], whole[1]))


def check_single_steps(
    engine: Any, x: np.ndarray, lengths: np.ndarray, states: np.ndarray, whole: tuple[Any, Any], rows: range
) -> None:
    out = np.empty(engine.outputs, np.float32)
    for row in rows:
        state = states[row].copy()
        for t in range(lengths[row]):
            engine.step(np.atleast_1d(x[t, row]), state, out)
            np.testing.assert_array_equal(out.view(np.uint32), whole[0][t, row].view(np.uint32))
        np.testing.assert_array_equal(state, whole[1][row])
    many = states.copy()
    for t in range(T):
        alive = np.flatnonzero(lengths > t)[::-1].copy()
        part = np.empty((len(alive), engine.outputs), np.float32)
        engine.step_many(alive, np.ascontiguousarray(x[t, alive]), many, part, 2)
        np.testing.assert_array_equal(part.view(np.uint32), whole[0][t, alive].view(np.uint32))
    np.testing.assert_array_equal(many, whole[1])


def test_the_samples_use_every_operation_and_long_windows() -> None:
    """Test of the test."""
    samples = [make_sample(seed) for seed in SEEDS]
    used = {ins.name for sample in samples for ins in sample.program.instructions}
    assert used == set(SIGNATURES)
    assert sum(max(sample.sizes, default=0) > 2048 for sample in samples) >= 10
    assert {sample.program.ids for sample in samples} == {0, 1, 2, 3}


WINDOW = (70, 3, 11)  # 2310 numbers: rows run one by one, and a push changes the state in its block


def window_program(*operations: list[Any], output: int, **tensors: Any) -> Sample:
    """Make a program with one long window. Register 0: the state, 1: the input, 2: a step of it, 3: the push."""
    code = [["state", "w"], ["input"], ["reshape", 1, [3, 11]], ["push", 0, 2], *operations]
    document = {"inputs": 33, "ids": 0, "tensors": {k: list(v.shape) for k, v in tensors.items()}, "operations": code}
    document |= {"state": {"w": list(WINDOW)}, "output": output, "next": {"w": 3}}
    return Sample(Program.from_json(document), tensors)


def check_against_plain(sample: Sample, steps: int = 5) -> None:
    x = sample.inputs(np.random.default_rng(0), steps, 3)
    right, _ = sample.reference(x)
    states, lengths = np.zeros((3, sample.state_bytes), np.uint8), np.full(3, steps, np.int32)
    for target, precision in FLOAT32:
        found = run(sample.engine(target, precision), x, lengths, states)
        np.testing.assert_allclose(found[0], right, rtol=1e-4, atol=1e-4)
        assert_same(run(sample.plain().engine(target, precision), x, lengths, states), found)


def test_a_window_that_is_read_before_and_after_its_push_keeps_both_values() -> None:
    """The second operation that loads the state comes after the push that changes it."""
    reads = [["state", "w"], ["sum", 4, 0], ["reshape", 5, [33]], ["peak", 3, 0], ["reshape", 7, [33]]]
    check_against_plain(window_program(*reads, ["sub", 6, 8], output=9))


@pytest.mark.parametrize("name", ["tanh", "neg"])
def test_a_window_is_read_whole_by_a_kernel(name: str) -> None:
    check_against_plain(window_program([name, 3], ["sum", 4, 0], ["reshape", 5, [33]], output=6))


def test_a_part_and_a_dot_of_a_window() -> None:
    check_against_plain(window_program(["reshape", 3, [2310]], ["part", 4, 69, 70], ["tanh", 5], output=6))
    dots = [["reshape", 1, [1, 3, 11]], ["dot", 4, 3], ["reshape", 5, [210]]]
    check_against_plain(window_program(*dots, output=6))


def test_what_is_computed_early_lives_until_late_operations_have_read_it() -> None:
    """The weights of a sum of products need no state, but the sum does; other early values follow."""
    rng = np.random.default_rng(3)
    W = {f"W{k}": rng.standard_normal((8, 3)).astype(np.float32) for k in range(3)}
    code = [["input"], ["state", "w"], ["tensor", "W0", 0, [8, 3]], ["matmul", 0, 2], ["tanh", 3]]
    code += [["reshape", 4, [4, 2, 1]], ["mul", 5, 1], ["sum", 6, 0], ["reshape", 7, [14]]]
    code += [["tensor", "W1", 0, [8, 3]], ["matmul", 0, 9], ["tanh", 10], ["neg", 11], ["exp", 12], ["concat", 8, 13]]
    code += [["push", 1, 16]]
    code[-1:] = [["tensor", "W2", 0, [14, 1]], ["part", 0, 0, 3], ["matmul", 16, 15], ["reshape", 17, [2, 7]]]
    code += [["push", 1, 18]]
    W["W2"] = rng.standard_normal((14, 1)).astype(np.float32)
    document = {"inputs": 3, "ids": 0, "tensors": {k: list(v.shape) for k, v in W.items()}, "operations": code}
    document |= {"state": {"w": [4, 2, 7]}, "output": 14, "next": {"w": 19}}
    check_against_plain(Sample(Program.from_json(document), W))


@pytest.mark.parametrize("seed", range(24))
def test_a_changed_program_is_refused_or_runs_as_its_operations_say(seed: int) -> None:
    """The engine takes whatever `Program` takes, and gives the same bits without anything merged."""
    sample, rng = make_sample(seed), np.random.default_rng(seed)
    document, sentences = json.dumps(sample.program.to_json()), []
    far: list[bool] = []
    for _ in range(60):
        changed = json.loads(document)
        for _ in range(rng.integers(1, 4)):
            change(changed, rng)
        try:
            other = Sample(Program.from_json(changed), sample.tensors)
        except CellError as error:
            sentences.append(str(error))
            continue
        x = other.inputs(rng, 3, 2)
        states, lengths = np.zeros((2, other.state_bytes), np.uint8), np.full(2, 3, np.int32)
        target, precision = FLOAT32[rng.integers(len(FLOAT32))]
        found = run(other.engine(target, precision), x, lengths, states)
        same = run(other.plain().engine(target, precision), x, lengths, states)
        np.testing.assert_array_equal(found[0], same[0])  # one NaN equals another
        with np.errstate(all="ignore"):
            right = other.reference(x)[0]
        far.append(not np.allclose(found[0], right, rtol=1e-3, atol=1e-3, equal_nan=True))
    assert 10 < len(sentences) < 60
    assert not any("\n" in sentence for sentence in sentences)
    assert not any(far)


def change(document: dict[str, Any], rng: np.random.Generator) -> None:
    """Change one argument, name or position of a program's operations, or its results."""
    operations = document["operations"]
    at = int(rng.integers(len(operations)))
    kind = rng.random()
    if kind < 0.1:
        document["output"] = int(rng.integers(len(operations)))
    elif kind < 0.2 and document["next"]:
        document["next"][str(rng.choice(list(document["next"])))] = int(rng.integers(len(operations)))
    elif kind < 0.4:
        operations[at][0] = str(rng.choice(list(SIGNATURES)))
    elif kind < 0.5:
        operations[at] = json.loads(json.dumps(operations[rng.integers(at + 1)]))
    elif len(operations[at]) > 1 and isinstance(operations[at][k := int(rng.integers(1, len(operations[at])))], int):
        operations[at][k] = int(rng.integers(at + 1)) if rng.random() < 0.7 else int(rng.integers(-2, 9))


def test_values_that_are_wide_are_computed_row_by_row() -> None:
    """Values that need no state come before all steps, but not where those of all rows would take a lot of memory."""
    code: list[list[Any]] = [["state", "h"], ["input"]]
    for _ in range(15):
        code.append(["concat", len(code) - 1, len(code) - 1])
    wide = len(code) - 1
    code += [["exp", wide], ["tanh", wide], ["mul", wide + 1, wide + 2], ["peak", wide + 3, 0], ["add", 0, wide + 4]]
    document = {"inputs": 4, "ids": 0, "tensors": {}, "operations": code, "output": wide + 5}
    sample = Sample(Program.from_json(document | {"state": {"h": [1]}, "next": {"h": wide + 5}}), {})
    x = sample.inputs(np.random.default_rng(0), 2, 66)
    states, lengths = np.zeros((66, sample.state_bytes), np.uint8), np.full(66, 2, np.int32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = run(sample.engine(_native.targets()[0]), x, lengths, states)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB, of 160 MB for all rows
    np.testing.assert_allclose(found[0][:, :2], sample.reference(x[:, :2])[0], rtol=1e-5)
    one, after = run(sample.engine(_native.targets()[0]), x[:, 5:6].copy(), lengths[:1], states[:1])
    assert_same((one, after), (found[0][:, 5:6].copy(), found[1][5:6]))
