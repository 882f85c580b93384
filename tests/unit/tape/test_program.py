"""Programs: what is not valid is refused in one sentence; a step is lowered without dead code or repetition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidegate import cells, layers
from tidegate.errors import CellError
from tidegate.tape import MAX_OPERATIONS, Instruction, NumpyOps, Program, lower, run_program
from tidegate.tape.program import BINARY, SHAPES, SIGNATURES, UNARY

TENSORS = {"matrix": (3, 4), "bias": (3,), "long": (40,), "cube": (2, 2, 2)}
STATES = {"h": (4,), "window": (5, 4)}
SOURCES = [["input"], ["state", "h"], ["state", "window"]]  # registers 0, 1 and 2


def make(*operations: list[Any], output: int = 0, ids: int = 0, inputs: int = 4, **more: Any) -> Program:
    """Make a program of SOURCES and these operations, whose states stay as they are."""
    document = {
        "inputs": inputs,
        "ids": ids,
        "tensors": {name: list(shape) for name, shape in TENSORS.items()},
        "state": {name: list(shape) for name, shape in STATES.items()},
        "operations": [*([] if ids else SOURCES), *operations],
        "output": output,
        "next": {"h": 1, "window": 2},
    }
    return Program.from_json(document | more)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(CellError) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence


WRONG: list[tuple[list[Any], str]] = [
    (["quack", 0], "unknown operation 'quack'; choose one of input, state"),
    (["tanh"], "has 0 arguments; it takes 1"),
    (["tanh", 0, 1], "has 2 arguments; it takes 1"),
    (["add", 0], "has 1 arguments; it takes 2"),
    (["concat"], "has 0 arguments; it takes 1"),
    (["tanh", 3], "reads register 3; only the 3 registers before it can be read"),
    (["tanh", 99], "reads register 99; only the 3 registers before it can be read"),
    (["tanh", -1], "reads register -1"),
    (["tanh", True], "reads register True"),
    (["tanh", 0.0], "reads register 0.0"),
    (["tanh", "h"], "reads register h"),
    (["tanh", None], "reads register None"),
    (["tanh", [0]], "reads register (0,)"),
    (["concat", 0, 3], "reads register 3"),
    (["const", float("nan")], "the constant nan is not a finite number that fits float32"),
    (["const", float("inf")], "the constant inf is not a finite number"),
    (["const", 1e39], "the constant 1e+39 is not a finite number that fits float32"),
    (["const", 10**60], "is not a finite number"),
    (["const", True], "the constant True"),
    (["const", "1"], "the constant 1 is not"),
    (["state", 0], "has the argument 0; expected a name"),
    (["state", "c"], "there is no state 'c'; choose one of h, window"),
    (["tensor", "V", 0, [3]], "there is no tensor 'V'; choose one of matrix, bias, long, cube"),
    (["tensor", "bias", 0, 3], "has the shape 3; expected 1 to 4 whole numbers from 1 on"),
    (["tensor", "bias", 0, []], "has the shape ()"),
    (["tensor", "bias", 0, [0]], "has the shape (0,)"),
    (["tensor", "bias", 0, [1.0]], "has the shape (1.0,)"),
    (["tensor", "bias", 0, [True]], "has the shape (True,)"),
    (["tensor", "bias", 0, [1, 1, 1, 1, 1]], "has the shape (1, 1, 1, 1, 1)"),
    (["tensor", "bias", 0.5, [1]], "has the argument 0.5; expected a whole number"),
    (["tensor", "bias", 1, [3]], "reads numbers 1 to 4 of 'bias', which has 3"),
    (["tensor", "bias", -1, [3]], "reads numbers -1 to 2 of 'bias'"),
    (["tensor", "bias", 0, [2, 2]], "reads numbers 0 to 4 of 'bias'"),
    (["tensor", "bias", 1 << 70, [3]], "of 'bias', which has 3"),
    (["take", 0, 0], "reads register 0 as a matrix or a bias; expected a tensor"),
    (["affine", 0, 0, 0], "reads register 0 as a matrix or a bias"),
    (["matmul", 0, 1], "reads register 1 as a matrix or a bias"),
    (["norm", 2], "is of shape [5, 4]; expected one axis"),
    (["add", 0, 2], "its operands have shapes [4] and [5, 4]; expected equal numbers of axes, each of equal length"),
    (["dot", 0, 2], "expected equal numbers of axes"),
    (["reshape", 0, [3]], "turns shape [4] into [3]; expected as many numbers"),
    (["reshape", 0, [2, -2]], "has the shape (2, -2)"),
    (["reshape", 2, [1 << 62, 1 << 62]], "has the shape"),
    (["concat", 0, 2], "joins shapes [4], [5, 4]; only the last axis may differ"),
    (["part", 0, 0, 3], "takes part 0 of 3 of shape [4]; expected parts of equal width"),
    (["part", 0, 2, 2], "takes part 2 of 2"),
    (["part", 0, -1, 2], "takes part -1 of 2"),
    (["part", 0, 0, 0], "takes part 0 of 0"),
    (["part", 0, 0, -4], "takes part 0 of -4"),
    (["sum", 0, 1], "goes over axis 1 of shape [4]; there are 1"),
    (["sum", 2, -1], "goes over axis -1 of shape [5, 4]; there are 2"),
    (["peak", 2, 2], "goes over axis 2 of shape [5, 4]"),
    (["push", 0, 1], "appends shape [4] to a window of shape [4]; expected a window of two axes or more"),
    (["push", 2, 2], "appends shape [5, 4] to a window of shape [5, 4]"),
    (["input", 0], "has 1 arguments; it takes 0"),
]


@pytest.mark.parametrize(("operation", "sentence"), WRONG, ids=[f"{i}-{op[0]}" for i, (op, _) in enumerate(WRONG)])
def test_a_wrong_operation_is_refused_in_one_sentence(operation: list[Any], sentence: str) -> None:
    found = refusal(lambda: make(operation))
    assert found.startswith(f"operation 3 ({operation[0]}): ")
    assert sentence in found


WITH_TENSORS: list[tuple[list[Any], str]] = [
    (["matmul", 1, 4], "multiplies a value of shape [4] by a matrix of shape [3]; expected [K] and [N, K]"),
    (["matmul", 2, 3], "multiplies a value of shape [5, 4] by a matrix of shape [3, 4]"),
    (["matmul", 1, 5], "multiplies a value of shape [4] by a matrix of shape [4, 3]"),
    (["affine", 1, 3, 6], "adds a bias of shape [4]; expected [3]"),
    (["add", 0, 4], "its operands have shapes [4] and [3]"),
    (["dot", 1, 4], "multiplies shapes [4] and [3]; expected equal last axes"),
    (["select", 0, 1, 4], "its operands have shapes [4] and [4] and [3]"),
    (["add", 7, 7], "has only constants as operands; write its result as a constant instead"),
    (["exp", 7], "has only constants as operands"),
    (["norm", 7], "is of shape []; expected one axis"),
    (["dot", 7, 1], "multiplies shapes [] and [4]"),
    (["concat", 7], "joins shapes []"),
    (["part", 7, 0, 1], "takes part 0 of 1 of shape []"),
    (["sum", 7, 0], "goes over axis 0 of shape []; there are 0"),
    (["push", 1, 7], "appends shape [] to a window of shape [4]"),
    (["take", 4, 0], "takes id 0 of a step; the layer's steps have 0"),
    (["reshape", 4, [3]], "depends on tensors alone; it must depend on the input or a state"),
    (["concat", 4, 4], "joins what depends on tensors alone; it must depend on the input or a state"),
    (["concat", 0, 4], "joins what depends on tensors alone"),
    (["push", 2, 6], "joins what depends on tensors alone"),
    (["push", 3, 0], "joins what depends on tensors alone"),
    (["mean", 4], "depends on tensors alone"),
    (["dot", 4, 4], "depends on tensors alone"),
]


@pytest.mark.parametrize(
    ("operation", "sentence"), WITH_TENSORS, ids=[f"{i}-{op[0]}" for i, (op, _) in enumerate(WITH_TENSORS)]
)
def test_operands_that_do_not_fit_are_refused(operation: list[Any], sentence: str) -> None:
    leaves = [["tensor", "matrix", 0, [3, 4]], ["tensor", "bias", 0, [3]], ["tensor", "matrix", 0, [4, 3]]]
    leaves += [["tensor", "long", 36, [4]], ["const", 2]]
    found = refusal(lambda: make(*leaves, operation))
    assert found.startswith(f"operation 8 ({operation[0]})")
    assert sentence in found


def test_a_result_that_is_too_large_or_has_too_many_axes_is_refused() -> None:
    tensors, state = {"row": [1, 1 << 11], "column": [1 << 11, 1]}, {"h": [1, 1, 2, 2]}
    wide = [["tensor", "row", 0, [1, 1 << 11]], ["tensor", "column", 0, [1 << 11, 1]], ["add", 0, 1]]
    document = {"inputs": 4, "ids": 0, "tensors": tensors, "state": {}, "operations": wide, "output": 2, "next": {}}
    found = refusal(lambda: Program.from_json(document))
    assert found == "operation 2 (add): has shape [2048, 2048]; at most 4 axes and 1048576 numbers are allowed"
    huge = document | {"inputs": (1 << 20) + 1, "operations": [["input"]], "output": 0}
    assert "at most 4 axes and 1048576 numbers" in refusal(lambda: Program.from_json(huge))
    five = document | {"state": state | {"g": [1] * 5}}
    assert "'g' has the shape (1, 1, 1, 1, 1)" in refusal(lambda: Program.from_json(five))


def test_a_matrix_may_have_more_numbers_than_a_register() -> None:
    program = lower(lambda xp, t, s, x, steps: (xp.matmul(x, t["W"]), {}), 2048, 0, {"W": (2048, 2048)}, {})
    assert program.width == 2048
    assert layers.parse("attend", {"size": 1024, "heads": 4, "window": 8}, 1024, {}).program.width == 1024
    table = layers.parse("embed", {"rows": 1 << 21, "size": 64}, None, {})
    assert (table.program.inputs, table.program.width) == (1 << 21, 64)


WRONG_RESULTS: list[tuple[dict[str, Any], str]] = [
    ({"output": 9}, "the output is register 9; there are 5"),
    ({"output": -1}, "the output is register -1"),
    ({"output": 2}, "the output has shape [5, 4]; expected one axis"),
    ({"output": 3}, "the output depends on tensors alone; it must depend on the input or a state"),
    ({"output": 4}, "the output depends on tensors alone"),
    ({"next": {"h": 1}}, "the next states are ['h']; expected ['h', 'window']"),
    ({"next": {"h": 1, "window": 2, "c": 0}}, "the next states are ['c', 'h', 'window']"),
    ({"next": {"h": 2, "window": 2}}, "state 'h' becomes shape [5, 4]; it is declared [4]"),
    ({"next": {"h": 3, "window": 2}}, "next state 'h' depends on tensors alone"),
    ({"next": {"h": 5, "window": 2}}, "next state 'h' is register 5; there are 5"),
    ({"next": {"h": None, "window": 2}}, "next state 'h' is register None"),
    ({"next": {"h": [1], "window": 2}}, "next state 'h' is register [1]"),
    ({"operations": []}, "the program has 0 operations; 1 to 4096 are allowed"),
    ({"operations": [["input"]] * (MAX_OPERATIONS + 1)}, "the program has 4097 operations; at most 4096"),
    ({"operations": [["input"], 7]}, "operation 1 is 7; expected [operation, argument, ...]"),
    ({"operations": [["input"], []]}, "operation 1 is []"),
    ({"operations": [["input"], [3]]}, "operation 1 is [3]"),
    ({"state": {"h": 4, "window": [5, 4]}}, "'h' has the shape 4; expected 1 to 4 whole numbers from 1 on"),
    ({"state": {"h": [], "window": [5, 4]}}, "'h' has the shape ()"),
    ({"state": {"no name": [4]}}, "states: 'no name' is not a name"),
    ({"tensors": {"bias": [3.5]}}, "'bias' has the shape (3.5,)"),
    ({"tensors": []}, "tensors is list; expected dict"),
    ({"inputs": True}, "inputs is bool; expected int"),
    ({"inputs": 0}, "operation 0 (input): has shape [0]"),
    ({"inputs": -4}, "operation 0 (input): has shape [-4]"),
    (
        {"ids": 2, "operations": [["input"]]},
        "operation 0 (input): reads numbers, but the input is token ids; take rows of a tensor",
    ),
    ({"more": 1}, "a program is an object with the keys inputs, ids, tensors, state, operations, output, next"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG_RESULTS, ids=[str(i) for i in range(len(WRONG_RESULTS))])
def test_wrong_results_and_declarations_are_refused(change: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(lambda: make(["tensor", "long", 0, [4]], ["sigmoid", 3], **change))


@pytest.mark.parametrize("value", [None, [], "x", 3, {"inputs": 1}])
def test_what_is_no_program_at_all_is_refused(value: Any) -> None:
    assert "a program is an object with the keys" in refusal(lambda: Program.from_json(value))


def test_only_ids_of_a_step_are_taken() -> None:
    table = ["tensor", "matrix", 0, [3, 4]]
    options: dict[str, Any] = {"ids": 2, "inputs": 3, "state": {}, "next": {}}
    assert make(table, ["take", 0, 1], output=1, **options).width == 4
    for k in (2, -1):
        found = refusal(lambda k=k: make(table, ["take", 0, k], output=1, **options))
        assert f"takes id {k} of a step; the layer's steps have 2" in found
    flat = ["tensor", "long", 0, [3]]
    found = refusal(lambda: make(flat, ["take", 0, 0], output=1, **options))
    assert "takes a row of a table of shape [3]; expected two axes" in found


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"input", "state", "steps", "tensor", "const"}))
def test_arguments_of_every_kind_are_checked_for_every_operation(name: str) -> None:
    for wrong in (None, "0", 1.5, -1, 1 << 80, [], {}):
        count = len(SIGNATURES[name].replace("*", ""))
        refusal(lambda wrong=wrong, count=count: make([name, *[wrong] * count]))


def test_every_operation_has_a_rule_for_its_shape() -> None:
    assert set(SHAPES) == set(SIGNATURES) - {
        "input",
        "state",
        "steps",
        "tensor",
        "const",
        *UNARY,
        *BINARY,
        "select",
    } | {"norm"}


def every_layer() -> list[layers.Layer]:
    found = [
        layers.parse(kind, options, width, {})
        for kind, options, width in (
            ("embed", {"rows": 9, "size": 4}, None),
            ("embed", {"rows": 9, "size": 4, "ids": 3}, None),
            ("dense", {"inputs": 4, "size": 3, "activation": "relu"}, 4),
            ("conv", {"inputs": 4, "size": 3, "width": 5, "centred": False, "activation": "none"}, 4),
            ("norm", {"size": 4, "eps": 1e-5}, 4),
            ("scale", {"size": 4}, 4),
            ("softmax", {"size": 4}, 4),
            ("glu", {"inputs": 4, "size": 3}, 4),
            ("attend", {"size": 4, "heads": 2, "window": 5}, 4),
            ("pool", {"size": 4, "over": ["last", "mean", "max", "attention"]}, 4),
        )
    ]
    node = {"inputs": 4, "size": 5, "tape": "lstm", "cell": "lstm", "dialect": {}}
    return [*found, layers.parse("recurrent", node, 4, {"lstm": cells.load("lstm").tape})]


@pytest.mark.parametrize("layer", every_layer(), ids=lambda layer: f"{layer.kind}-{layer.ids}")
def test_a_program_survives_json_and_computes_what_its_step_computes(layer: layers.Layer) -> None:
    program = layer.program
    read = Program.from_json(json.loads(json.dumps(program.to_json())))
    assert read == program
    assert read.to_json() == program.to_json()
    assert program.width == layer.width
    rng, rows = np.random.default_rng(0), 3
    t = {role: rng.normal(size=shape) for role, shape in layer.shapes().items()}
    s = {name: rng.normal(size=(rows, *shape)) for name, (shape, _) in layer.state().items()}
    ids = rng.integers(0, 9, (rows, 3) if layer.ids > 1 else rows)
    x, steps = ids if layer.ids else rng.normal(size=(rows, 4)), np.full((rows, 1), 4.0)
    (y, after), (right, right_after) = (
        run_program(read, NumpyOps, t, s, x, steps),
        layer.step(NumpyOps, t, s, x, steps),
    )
    np.testing.assert_array_equal(y, right)
    assert after.keys() == right_after.keys()
    for name, value in after.items():
        np.testing.assert_array_equal(value, right_after[name])


def names(program: Program) -> list[str]:
    return [ins.name for ins in program.instructions]


def test_dead_code_is_removed_and_equal_expressions_are_recorded_once() -> None:
    def step(xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        xp.exp(x)  # nothing needs it
        xp.affine(x, t["W"], t["b"])
        return (x * 2.0 + x * 2.0) * t["b"], {"h": s["h"] + x * 2.0}

    program = lower(step, 3, 0, {"W": (3, 3), "b": (3,), "unused": (7,)}, {"h": (3,)})
    assert names(program) == ["state", "input", "tensor", "const", "mul", "add", "mul", "add"]
    assert set(program.tensors) == {"W", "b", "unused"}
    assert program.runs_by_steps
    assert program.numbers == 4 * 3


def test_a_tensor_is_read_in_parts_and_in_other_shapes_without_copying() -> None:
    def step(xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        return xp.matmul(x, t["W"][2:4]) + t["W"].reshape(-1)[6:8] * t["W"][1:2].reshape(3)[:1], {}

    program = lower(step, 3, 0, {"W": (4, 3)}, {})
    views = [ins for ins in program.instructions if ins.name == "tensor"]
    assert views == [Instruction("tensor", ("W", at, shape)) for at, shape in ((6, (2, 3)), (6, (2,)), (3, (1,)))]
    W, x = np.arange(12.0).reshape(4, 3), np.ones((2, 3))
    y, _ = run_program(program, NumpyOps, {"W": W}, {}, x, None)
    np.testing.assert_array_equal(y, x @ W[2:4].T + W.reshape(-1)[6:8] * W[1, :1])


WRONG_STEPS: list[tuple[Callable[..., Any], str]] = [
    (lambda xp, t, s, x, n: (x if x > 0 else -x, {}), "a step cannot branch on its values"),
    (lambda xp, t, s, x, n: (x if n == 1 else -x, {}), "a step cannot branch on its values"),
    (lambda xp, t, s, x, n: (max(x, 1.0), {}), "a step cannot branch on its values"),
    (lambda xp, t, s, x, n: (float(x), {}), "a step cannot branch on its values"),
    (lambda xp, t, s, x, n: (sum(x), {}), "a step cannot branch on its values"),
    (lambda xp, t, s, x, n: (xp.sin(x), {}), "unknown operation 'sin'; choose one of affine, matmul"),
    (lambda xp, t, s, x, n: (xp.add(x, "1"), {}), "add of str; operands are values of the step or numbers"),
    (lambda xp, t, s, x, n: (xp.add(x, True), {}), "add of bool"),
    (lambda xp, t, s, x, n: (x + np.ones(3), {}), "ndarray"),
    (lambda xp, t, s, x, n: (x.reshape(3), {}), "a reshape must keep the axis of rows: write x.reshape(x.shape[0]"),
    (lambda xp, t, s, x, n: (x.reshape((x.shape[0], 3)), {}), "a reshape must keep the axis of rows"),
    (lambda xp, t, s, x, n: (x.reshape(x.shape[0], 2), {}), "turns shape [3] into [2]; expected as many numbers"),
    (lambda xp, t, s, x, n: (xp.concat([]), {}), "concat of no values"),
    (lambda xp, t, s, x, n: (xp.split(x, 2)[0], {}), "takes part 0 of 2 of shape [3]; expected parts of equal width"),
    (lambda xp, t, s, x, n: (xp.take(t["W"], x), {}), "takes rows by computed numbers; only token ids select rows"),
    (lambda xp, t, s, x, n: (xp.sum(x, 0), {}), "goes over axis -1 of shape [3]"),
    (lambda xp, t, s, x, n: (xp.tanh(x, x), {}), "has 2 arguments; it takes 1"),
    (lambda xp, t, s, x, n: (xp.affine(x, x, x), {}), "reads register 0 as a matrix or a bias; expected a tensor"),
    (lambda xp, t, s, x, n: (t["W"].T, {}), "tensor 'W' has no T in a step; use xp's operations"),
    (lambda xp, t, s, x, n: (x + t["W"][0], {}), "tensor 'W' is indexed by 0; expected a range of its first axis"),
    (lambda xp, t, s, x, n: (x + t["W"][::2], {}), "expected a range of its first axis"),
    (lambda xp, t, s, x, n: (xp.matmul(x, t["W"][2:2]), {}), "has the shape (0, 3)"),
    (lambda xp, t, s, x, n: (x + t["b"], {}), "the step does not run: KeyError: 'b'"),
    (lambda xp, t, s, x, n: 1 / 0, "the step does not run: ZeroDivisionError: division by zero"),
    (lambda x: x, "the step does not run: TypeError"),
    (lambda xp, t, s, x, n: x, "a step returns two values: its output and a dict of its next states"),
    (lambda xp, t, s, x, n: None, "a step returns two values"),
    (lambda xp, t, s, x, n: (x, {}, {}), "a step returns two values"),
    (lambda xp, t, s, x, n: (x, [x]), "a step returns two values"),
    (lambda xp, t, s, x, n: (None, {}), "the output of NoneType"),
    (
        lambda xp, t, s, x, n: (1.0, {}),
        "the output has shape []; expected one axis|the output depends on tensors alone",
    ),
    (lambda xp, t, s, x, n: (xp.tanh(t["W"]), {}), "the output depends on tensors alone"),
    (lambda xp, t, s, x, n: (x, {"h": x}), "the next states are ['h']; expected []"),
]


@pytest.mark.parametrize(("step", "sentence"), WRONG_STEPS, ids=[str(i) for i in range(len(WRONG_STEPS))])
def test_a_step_that_is_no_program_is_refused_in_one_sentence(step: Callable[..., Any], sentence: str) -> None:
    found = refusal(lambda: lower(step, 3, 0, {"W": (4, 3)}, {}))
    assert any(part in found for part in sentence.split("|")), found


def test_a_step_with_too_many_operations_is_refused() -> None:
    def step(xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
        for _ in range(MAX_OPERATIONS):
            x = xp.tanh(x)
        return x, {}

    assert "the program has 4097 operations; 1 to 4096 are allowed" in refusal(lambda: lower(step, 3, 0, {}, {}))


def test_an_error_names_the_operation_and_its_shapes() -> None:
    found = refusal(lambda: lower(lambda xp, t, s, x, n: (x + t["W"], {}), 3, 0, {"W": (4, 3)}, {}))
    assert "add" in found
    assert "its operands have shapes [3] and [4, 3]" in found
