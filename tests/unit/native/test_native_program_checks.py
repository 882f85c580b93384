"""Hostile programs: each rule of native/src/check_program.cc refuses in one sentence, and changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import _native
from tidegate.layers.softmax import Softmax
from tidegate.runtime.engine import add_layer
from tidegate.tape.encode import OPCODES

BEST = _native.targets()[0]
MAX_SIZE = 1 << 20
W = np.ones(32, np.float32)  # a matrix [4, 8], among others


def arguments(*operations: list[Any], **changes: Any) -> dict[str, Any]:
    """Return the arguments of a program of these operations after five others: x[8], W[4, 8], bias[4], h[4], w[12].

    An operation: name, size, a, b, c, p, q, r; those at the end that are 0 may be left out.
    """
    base = [["input", 8], ["tensor", 32, 0], ["tensor", 4, 0, 3], ["state", 4, 0], ["state", 12, 1]]
    rows = [[OPCODES.get(op, op), *more, *[0] * (7 - len(more))] for op, *more in [*base, *operations]]
    valid = {
        "code": np.array(rows, np.int32),
        "joined": np.array([0, 3, 4], np.int32),
        "consts": np.array([0.5], np.float32),
        "tensors": [W],
        "inputs": 8,
        "ids": 0,
        "output": len(rows) - 1,
        "next": np.array([3, 4], np.int32),
        "state_offsets": np.array([8, 24], np.int32),
        "state_sizes": np.array([4, 12], np.int32),
    }
    return valid | changes


def add(given: dict[str, Any]) -> tuple[int, ...]:
    """Add a program to an engine that has a layer, and return what the engine computes then."""
    engine = _native.Engine(BEST, 72)
    add_layer(engine, Softmax(size=8), {}, {})
    engine.add(**given)
    engine.finish()
    return engine.inputs, engine.outputs


def refusal(given: dict[str, Any]) -> str:
    """Return the sentence that refuses a program, after checking that the engine is as it was."""
    engine = _native.Engine(BEST, 72)
    add_layer(engine, Softmax(size=8), {}, {})
    with pytest.raises(ValueError, match=r".") as caught:
        engine.add(**given)
    engine.add(**arguments(["affine", 4, 0, 1, 2]))
    engine.finish()
    assert (engine.inputs, engine.outputs) == (8, 4)
    out, state = np.zeros(4, np.float32), np.zeros(72, np.uint8)
    engine.step(np.ones(8, np.float32), state, out)
    np.testing.assert_allclose(out, 2.0, rtol=1e-6)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 200
    return sentence


VALID: list[list[Any]] = [
    ["steps", 1],
    ["const", 1, 0],
    ["tensor", 1, 0, 31],
    ["affine", 4, 0, 1, 2],
    ["matmul", 4, 0, 1],
    ["select", 4, 3, 2, 3],
    ["expand", 12, 3, 0, 0, 1, 3, 4],
    ["part", 6, 4, 0, 0, 2, 6, 3],
    ["concat", 24, 0, 3, 0, 4],
    ["sum", 4, 4, 0, 0, 2, 3, 2],
    ["peak", 3, 4, 0, 0, 3, 4, 1],
    ["mean", 3, 4, 0, 0, 0, 4],
    ["dot", 3, 4, 3, 0, 0, 4],
    ["push", 12, 4, 3],
    ["norm", 4, 3],
    ["sqrt", 12, 4],
    ["less", 4, 2, 3],
]


TAKEN = {
    "steps": "",
    "const": "a",
    "tensor": "ab",
    "affine": "abc",
    "matmul": "ab",
    "select": "abc",
    "expand": "apqr",
    "part": "apqr",
    "concat": "abp",
    "sum": "apqr",
    "peak": "apqr",
    "mean": "aq",
    "dot": "abq",
    "push": "ab",
    "norm": "a",
    "sqrt": "a",
    "less": "ab",
}


@pytest.mark.parametrize("operation", VALID, ids=lambda op: op[0])
def test_valid_operations_are_accepted(operation: list[Any]) -> None:
    assert add(arguments(operation)) == (8, operation[1])


@pytest.mark.parametrize("value", [-1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("operation", VALID, ids=lambda op: op[0])
def test_fields_that_an_operation_does_not_take_may_hold_anything(operation: list[Any], value: int) -> None:
    """They are read by nothing, in particular not as registers."""
    outs = []
    for rest in (0, value):
        filled = [*operation, *[0] * (8 - len(operation))]
        for k, field in enumerate("abcpqr", start=2):
            filled[k] = filled[k] if field in TAKEN[operation[0]] else rest
        engine = _native.Engine(BEST, 72)
        engine.add(**arguments(filled))
        engine.finish()
        out, state = np.zeros(operation[1], np.float32), np.zeros(72, np.uint8)
        state[8:].view(np.float32)[...] = np.arange(16)
        engine.step(np.ones(8, np.float32), state, out)
        outs.append(out)
    np.testing.assert_array_equal(*outs)


WRONG: list[tuple[list[Any], str]] = [
    ([99, 4], "unknown opcode 99"),
    ([-1, 4], "unknown opcode -1"),
    ([len(OPCODES), 4], f"unknown opcode {len(OPCODES)}"),
    (["neg", 0, 3], "its size is 0"),
    (["neg", -4, 3], "its size is -4"),
    (["neg", MAX_SIZE + 1, 3], f"its size is {MAX_SIZE + 1}"),
    (["tensor", 0, 0], "its size is 0"),
    (["tensor", -1, 0], "its size is -1"),
    (["input", 7], "its size must be 8, found 7"),
    (["take", 4, 1, 0], "id 0 does not exist, there are 0"),
    (["state", 4, 2], "state 2 does not exist, there are 2"),
    (["state", 4, -1], "state -1 does not exist, there are 2"),
    (["state", 5, 0], "its size must be 4, found 5"),
    (["steps", 2], "its size must be 1, found 2"),
    (["tensor", 1, 1], "tensor 1 does not exist, there are 1"),
    (["tensor", 1, -1], "tensor -1 does not exist"),
    (["tensor", 2, 0, 31], "reads past the end of tensor 0"),
    (["tensor", 33, 0, 0], "reads past the end of tensor 0"),
    (["tensor", 2, 0, -1], "reads past the end of tensor 0"),
    (["tensor", 2**31 - 1, 0, 2**31 - 1], "reads past the end of tensor 0"),
    (["const", 1, 1], "constant 1 does not exist, there are 1"),
    (["const", 1, -1], "constant -1 does not exist"),
    (["const", 2, 0], "its size must be 1, found 2"),
    (["affine", 4, 0, 1, 3], "reads register 3 as a tensor"),
    (["affine", 4, 0, 1, 1], "its bias must be 4, found 32"),
    (["affine", 4, 0, 1, 5], "can only read registers before it, found register 5"),
    (["affine", 4, 0, 0, 2], "reads register 0 as a tensor"),
    (["affine", 4, 5, 1, 2], "can only read registers before it, found register 5"),
    (["affine", 4, 3, 1, 2], "its matrix must be 16, found 32"),
    (["matmul", 5, 0, 1], "its matrix must be 40, found 32"),
    (["matmul", 4, 0, -2], "found register -2"),
    (["select", 4, 3, 4, 3], "an operand must be 4, found 12"),
    (["select", 4, 5, 3, 3], "found register 5"),
    (["select", 4, 3, 3, 9], "found register 9"),
    (["expand", 12, 3, 0, 0, 0, 3, 4], "outer is 0"),
    (["expand", 12, 3, 0, 0, 1, -3, 4], "n is -3"),
    (["expand", 12, 3, 0, 0, 1, 3, MAX_SIZE + 1], f"inner is {MAX_SIZE + 1}"),
    (["expand", 12, 3, 0, 0, 2, 3, 2], ""),
    (["expand", 12, 3, 0, 0, 1, 3, 3], "its operand must be 3, found 4"),
    (["expand", 11, 3, 0, 0, 1, 3, 4], "its size must be 12, found 11"),
    (["expand", 12, 5, 0, 0, 1, 3, 4], "found register 5"),
    (["sum", 4, 4, 0, 0, 2, 2, 2], "its operand must be 8, found 12"),
    (["sum", 3, 4, 0, 0, 2, 3, 2], "its size must be 4, found 3"),
    (["peak", 4, 4, 0, 0, 2, 0, 2], "n is 0"),
    (["peak", 4, 4, 0, 0, MAX_SIZE, MAX_SIZE, MAX_SIZE], "its operand must be"),
    (["part", 6, 4, 0, 0, 0, 6, 3], "outer is 0"),
    (["part", 6, 4, 0, 0, 2, 0, 3], "the width is 0"),
    (["part", 6, 4, 0, 0, 2, 5, 0], "its operand must be 10, found 12"),
    (["part", 5, 4, 0, 0, 2, 6, 0], "takes a part that does not exist"),
    (["part", 6, 4, 0, 0, 2, 6, 4], "takes a part that does not exist"),
    (["part", 6, 4, 0, 0, 2, 6, -1], "takes a part that does not exist"),
    (["part", 6, 4, 0, 0, 2, 6, 2**31 - 1], "takes a part that does not exist"),
    (["concat", 24, 0, 3, 0, 0], "outer is 0"),
    (["concat", 24, 0, 0, 0, 4], "the number of parts is 0"),
    (["concat", 24, 0, 4, 0, 4], "reads past the end of the list of registers"),
    (["concat", 24, 1, 3, 0, 4], "reads past the end of the list of registers"),
    (["concat", 24, -1, 3, 0, 4], "reads past the end of the list of registers"),
    (["concat", 24, 2**31 - 1, 3, 0, 4], "reads past the end of the list of registers"),
    (["concat", 24, 0, 3, 0, 3], "joins parts that do not fit"),
    (["concat", 23, 0, 3, 0, 4], "its size must be 24, found 23"),
    (["mean", 3, 4, 0, 0, 0, 0], "n is 0"),
    (["mean", 3, 4, 0, 0, 0, 5], "its operand must be 15, found 12"),
    (["mean", 3, -1, 0, 0, 0, 4], "found register -1"),
    (["dot", 3, 4, 3, 0, 0, 0], "n is 0"),
    (["dot", 3, 4, 3, 0, 0, 3], "multiplies operands that do not fit"),
    (["dot", 4, 4, 3, 0, 0, 4], "multiplies operands that do not fit"),
    (["dot", 1, 4, 3, 0, 0, 12], "multiplies operands that do not fit"),
    (["dot", 3, 4, 7, 0, 0, 4], "found register 7"),
    (["push", 12, 4, 0], "appends a step that does not fit"),
    (["push", 4, 4, 3], "its size must be 12, found 4"),
    (["push", 12, 4, 5], "found register 5"),
    (["tanh", 4, 5], "can only read registers before it, found register 5"),
    (["tanh", 4, -1], "found register -1"),
    (["tanh", 12, 3], "its size must be 4, found 12"),
    (["norm", 1, 3], "its size must be 4, found 1"),
    (["add", 4, 3, 5], "found register 5"),
    (["add", 4, 3, 4], "its operands must have equal sizes, or one of them size 1"),
    (["less", 8, 3, 3], "its size must be 4, found 8"),
]


@pytest.mark.parametrize(("operation", "sentence"), WRONG, ids=[f"{i}-{op[0]}" for i, (op, _) in enumerate(WRONG)])
def test_a_wrong_operation_is_refused(operation: list[Any], sentence: str) -> None:
    if not sentence:
        assert add(arguments(operation)) == (8, operation[1])
        return
    found = refusal(arguments(operation))
    assert found.startswith("program: operation 5: ")
    assert sentence in found


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


WRONG_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"code": np.zeros((0, 8), np.int32)}, "the number of operations must be from 1 to 16384, found 0"),
    ({"code": np.zeros((16385, 8), np.int32)}, "the number of operations must be from 1 to 16384, found 16385"),
    ({"code": np.zeros((3, 7), np.int32)}, "code must have length 8 along axis 1, found 7"),
    ({"consts": np.zeros(16385, np.float32)}, "the number of constants must be from 0 to 16384, found 16385"),
    ({"tensors": [W] * 16385}, "the number of tensors must be from 0 to 16384, found 16385"),
    ({"ids": -1}, "the number of ids must be from 0 to 512, found -1"),
    ({"ids": 513}, "the number of ids must be from 0 to 512, found 513"),
    ({"ids": 1}, "operation 0: reads numbers, the input is ids"),
    ({"inputs": 0}, "the number of inputs must be from 1 to 1048576, found 0"),
    ({"inputs": -8}, "the number of inputs must be from 1 to 1048576, found -8"),
    ({"inputs": 2**40}, "the number of inputs must be from 1 to 1048576"),
    ({"inputs": 9}, "operation 0: its size must be 9, found 8"),
    ({"output": 6}, "the output is register 6, there are 6"),
    ({"output": -1}, "the output is register -1, there are 6"),
    ({"output": 2**31 - 1}, "the output is register 2147483647"),
    ({"next": ints(6, 4)}, "the next value of state 0 is register 6, there are 6"),
    ({"next": ints(3, -4)}, "the next value of state 1 is register -4"),
    ({"next": ints(4, 4)}, "the next value of state 0 must have size 4, found 12"),
    ({"next": ints(3)}, "state_offsets must have length 1 along axis 0, found 2"),
    ({"state_sizes": ints(4, 0)}, "program: a state's size must be from 1 to 1048576, found 0"),
    ({"state_sizes": ints(4, -12)}, "program: a state's size must be from 1 to 1048576, found -12"),
    ({"state_sizes": ints(4, 13)}, "operation 4: its size must be 13, found 12"),
    ({"add": 1}, "layer 1: add must be -1 or the index of an earlier layer, found 1"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG_ARGUMENTS, ids=[next(iter(c)) for c, _ in WRONG_ARGUMENTS])
def test_wrong_arguments_are_refused(change: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(arguments(["affine", 4, 0, 1, 2], **change))


@pytest.mark.parametrize(
    ("offsets", "sentence"),
    [
        ((8, 20), "overlaps the state before byte 24"),
        ((8, 26), "does not start at a multiple of 4"),
        ((8, 28), "does not fit in 72 bytes"),
        ((4, 24), "overlaps the state before byte 8"),
        ((-8, 24), "overlaps the state before byte 8"),
        ((8, 2**31 - 4), "does not fit in 72 bytes"),
    ],
)
def test_states_that_do_not_fit_in_the_block_are_refused(offsets: tuple[int, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        add(arguments(["affine", 4, 0, 1, 2], state_offsets=ints(*offsets)))


def test_a_table_is_read_by_ids_of_a_step_that_are_checked() -> None:
    code = [["tensor", 12, 0], ["take", 4, 0, 0], ["take", 4, 0, 1], ["sub", 4, 1, 2]]
    table = np.arange(12, dtype=np.float32)
    given = {"joined": ints(), "consts": np.zeros(0, np.float32), "tensors": [table], "inputs": 3, "ids": 2}
    none: dict[str, Any] = {"next": ints(), "state_offsets": ints(), "state_sizes": ints()}
    rows = [[OPCODES[op], *more, *[0] * (7 - len(more))] for op, *more in code]
    engine = _native.Engine(BEST, 8)
    engine.add(code=np.array(rows, np.int32), output=3, **given, **none)
    engine.finish()
    out, state = np.zeros(4, np.float32), np.zeros(8, np.uint8)
    engine.step(ints(2, 0), state, out)
    np.testing.assert_array_equal(out, 8)
    for wrong in ((3, 0), (0, -1), (0, 2**31 - 1)):
        with pytest.raises(ValueError, match="expected from 0 to 2"):
            engine.step(ints(*wrong), state, out)
    for row, sentence in (([1, 5, 0, 0], "its table must be 15, found 12"), ([1, 4, 0, 2], "id 2 does not exist")):
        wrong_code = np.array([rows[0], [*row, 0, 0, 0, 0]], np.int32)
        with pytest.raises(ValueError, match=f"operation 1: {sentence}"):
            _native.Engine(BEST, 8).add(code=wrong_code, output=1, **given, **none)
    second = _native.Engine(BEST, 8)
    add_layer(second, Softmax(size=3), {}, {})
    second.add(code=np.array(rows, np.int32), output=3, **given, **none)
    with pytest.raises(ValueError, match=r"layer 1 \(program\): takes ids, so it must read the engine's input"):
        second.finish()


@pytest.mark.parametrize("output", [1, 2])
def test_a_result_may_be_a_tensor_alone(output: int) -> None:
    """No operation reads it, so that nothing else keeps its numbers."""
    tensors = [np.arange(4, dtype=np.float32), np.arange(4, 8, dtype=np.float32)]
    rows = [["input", 8], ["tensor", 4, 0], ["tensor", 4, 1], ["state", 4, 0]]
    code = np.array([[OPCODES[op], *more, *[0] * (7 - len(more))] for op, *more in rows], np.int32)
    own: dict[str, Any] = {"code": code, "tensors": tensors, "output": output, "next": ints(3 - output)}
    own |= {"state_offsets": ints(8), "state_sizes": ints(4), "joined": ints()}
    engine = _native.Engine(BEST, 24)
    engine.add(**(arguments() | own))
    engine.finish()
    out, state = np.zeros(4, np.float32), np.zeros(24, np.uint8)
    engine.step(np.ones(8, np.float32), state, out)
    np.testing.assert_array_equal(out, tensors[output - 1])
    np.testing.assert_array_equal(state[8:].view(np.float32), tensors[2 - output])


def test_an_engine_that_is_finished_takes_no_program() -> None:
    engine = _native.Engine(BEST, 72)
    add_layer(engine, Softmax(size=8), {}, {})
    engine.finish()
    with pytest.raises(ValueError, match="finished and takes no more layers"):
        engine.add(**arguments(["affine", 4, 0, 1, 2]))


@pytest.mark.parametrize("name", ["code", "joined", "consts", "next", "state_offsets", "state_sizes"])
def test_arrays_of_another_type_are_refused(name: str) -> None:
    given = arguments(["affine", 4, 0, 1, 2])
    for wrong in (given[name].astype(np.float64), given[name].tolist(), None):
        with pytest.raises(TypeError, match=name):
            add(given | {name: wrong})
