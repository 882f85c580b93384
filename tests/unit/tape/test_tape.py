"""The tape: how a step is recorded, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.errors import CellError
from tidegate.tape import Tape, trace


def gru_json() -> dict[str, Any]:
    return copy.deepcopy(cells.load("gru").tape.to_json())


def test_the_gru_tape_is_the_equation_in_order_of_first_use() -> None:
    tape = cells.load("gru").tape
    assert [(i.name, *i.args) for i in tape.instructions] == [
        ("input", "r"),
        ("state", "h"),
        ("recur", "r", 1),
        ("add", 0, 2),
        ("sigmoid", 3),
        ("input", "z"),
        ("recur", "z", 1),
        ("add", 5, 6),
        ("sigmoid", 7),
        ("input", "n"),
        ("recur", "n", 1),
        ("mul", 4, 10),
        ("add", 9, 11),
        ("tanh", 12),
        ("sub", 1, 13),
        ("mul", 8, 14),
        ("add", 13, 15),
    ]
    assert (tape.output, tape.next) == (16, {"h": 16})


def test_json_round_trip_keeps_the_tape() -> None:
    tape = cells.load("gru").tape
    assert Tape.from_json(json.loads(json.dumps(tape.to_json()))) == tape


def test_a_single_number_with_a_constant_stays_a_single_number() -> None:
    tape = trace(lambda op, x, R, p, s: (x.n * s.k, s.replace(k=1 - (s.k + 0.5))), ("n",), (), {"k": (1,)}, {})
    assert tape.shapes()[tape.next["k"]] == (1,)


def test_what_no_result_needs_leaves_no_trace() -> None:
    def step(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
        _ = op.tanh(R.n(s.h))
        return op.tanh(x.n), s.replace(h=op.tanh(x.n))

    tape = trace(step, ("n",), ("n",), {"h": ("H",)}, {})
    assert [i.name for i in tape.instructions] == ["input", "tanh"]


def test_a_state_that_a_step_leaves_alone_stays() -> None:
    tape = trace(lambda op, x, R, p, s: (x.n + s.k, s), ("n",), (), {"k": ("H",)}, {})
    assert tape.instructions[tape.next["k"]].name == "state"


def branch(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
    return (x.n if x.n else s.h), s


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (branch, "cannot branch"),
        (lambda op, x, R, p, s: (op.sin(x.n), s), "unknown operation 'sin'; choose one of neg, abs, exp"),
        (lambda op, x, R, p, s: (x.q, s), "there is no gate 'q'; the cell declares n"),
        (lambda op, x, R, p, s: (R.z(s.h), s), "there is no recurrent map 'z'"),
        (lambda op, x, R, p, s: (x.n, s.replace(c=x.n)), "there is no state 'c'"),
        (lambda op, x, R, p, s: x.n, "returns two values"),
        (lambda op, x, R, p, s: (op.tanh(x.n, x.n), s), "takes 1 operand; got 2"),
        (lambda op, x, R, p, s: (x.n + np.ones(3), s), "add of ndarray"),
        (lambda op, x, R, p, s: (x.n * float("nan"), s), "not a finite number"),
        (lambda op, x, R, p, s: (p.one, s), "the output has shape"),
        (lambda op, x, R, p, s: (p.each, s), "the output depends on parameters alone"),
        (lambda op, x, R, p, s: (x.n, s.replace(h=p.each * 2.0)), "next state 'h' depends on parameters alone"),
        (lambda op, x, R, p, s: (x.n + R.n(p.each), s), "multiplies parameters alone"),
    ],
)
def test_a_step_that_cannot_be_recorded_says_why(step: Any, sentence: str) -> None:
    with pytest.raises(CellError, match=sentence.replace("(", r"\(")):
        trace(step, ("n",), ("n",), {"h": ("H",)}, {"one": (1,), "each": ("H",)})


def test_the_limit_of_length() -> None:
    def long(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
        h = s.h
        for _ in range(300):
            h = op.tanh(h) + x.n
        return h, s.replace(h=h)

    with pytest.raises(CellError, match="instructions; 1 to 256 are allowed"):
        trace(long, ("n",), (), {"h": ("H",)}, {})


def test_the_limit_of_live_registers_to_the_register() -> None:
    def wide(count: int) -> Any:
        def step(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
            values, h = [x.n], s.h
            while len(values) < count:
                values.append(op.tanh(values[-1]))
            for v in values:
                h = h + v
            return h, s.replace(h=h)

        return step

    # at the first sum: the values, the state and the sum itself
    assert trace(wide(62), ("n",), (), {"h": ("H",)}, {}).max_live_registers() == 64
    with pytest.raises(CellError, match="65 registers are alive at once; at most 64 are allowed"):
        trace(wide(63), ("n",), (), {"h": ("H",)}, {})


def test_a_number_may_stand_where_an_input_was() -> None:
    tape = Tape.from_json(change_tape(["instructions", 0], ["const", 0.5]))
    assert tape.shapes()[0] == ()
    assert tape.widths(8)[:4] == [1, 8, 8, 8]


def change_tape(path: list[Any], value: Any) -> dict[str, Any]:
    tape = gru_json()
    place: Any = tape
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return tape


@pytest.mark.parametrize(
    ("tape", "sentence"),
    [
        (change_tape(["instructions", 3], ["add", 0, 3]), "reads register 3; only the 3 registers before it"),
        (change_tape(["instructions", 3], ["add", 0, 9]), "reads register 9"),
        (change_tape(["instructions", 3], ["add", 0, -1]), "reads register -1"),
        (change_tape(["instructions", 3], ["add", 0, True]), "reads register True"),
        (change_tape(["instructions", 3], ["add", 0, 1.0]), "reads register 1.0"),
        (change_tape(["instructions", 3], ["pow", 0, 1]), "unknown operation 'pow'"),
        (change_tape(["instructions", 4], ["sigmoid", 3, 3]), "has 2 arguments; sigmoid takes 1"),
        (change_tape(["instructions", 0], ["input", "q"]), "there is no input 'q'"),
        (change_tape(["instructions", 0], ["const", 10**400]), "not a finite number"),
        (change_tape(["instructions"], [["const", 1.0]] * 257), "257 instructions"),
        (change_tape(["output"], 99), "output is register 99"),
        (change_tape(["next"], {"h": 99}), "next state 'h' is register 99"),
        (change_tape(["next"], {}), "the next states are"),
        (change_tape(["gates"], ["r", "z", "z"]), "a name appears twice"),
        (change_tape(["gates"], ["r", "z", 3]), "is not a name"),
        (change_tape(["state"], {"h": [0]}), "only 'H' and integers"),
        (change_tape(["state"], {"h": ["H", "H", "H"]}), "at most two of them"),
        (change_tape(["output"], "16"), "output is str; expected int"),
        ({"gates": []}, "a tape is an object with the keys"),
        ([], "a tape is an object"),
    ],
)
def test_a_hostile_tape_is_refused_in_a_sentence(tape: Any, sentence: str) -> None:
    with pytest.raises(CellError) as caught:
        Tape.from_json(tape)
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 300
