"""Hostile tapes: each is refused with one sentence, and none crashes."""

import numpy as np
import pytest
from native_reference import GRU

from tidegate import _native

H = 4
OP = _native.OPCODES


def add_cell(
    tape,
    *,
    widths=None,
    gates=3,
    output=None,
    next_=None,
    sizes=(H,),
    consts=(0.5,),
    params=(2,),
    offsets=None,
    fused=True,
):
    """Make an engine whose only layer has a tape of rows (opcode, a, b)."""
    engine = _native.Engine(_native.targets()[0], 64, fused)
    tape = np.array([[*row, *[0] * (4 - len(row))] for row in tape], np.int32).reshape(-1, 4)
    ints = [
        np.array(v, np.int32)
        for v in (
            [H] * len(tape) if widths is None else widths,
            [len(tape) - 1] * len(sizes) if next_ is None else next_,
            [8 + 4 * H * i for i in range(len(sizes))] if offsets is None else offsets,
            sizes,
        )
    ]
    zeros = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    engine.recurrent(
        tape,
        np.array(consts, np.float32),
        ints[0],
        gates,
        len(tape) - 1 if output is None else output,
        *ints[1:],
        zeros(gates * H, 3),
        zeros(gates * H),
        zeros(3 * H, H),
        zeros(3 * H),
        [zeros(n) for n in params],
        H,
    )
    engine.finish()
    return engine


def gru(**changed):
    rows = [(OP[name], *rest) for name, *rest in GRU.instructions]
    for place, row in changed.items():
        rows[int(place[1:])] = row
    return rows


def test_the_gru_tape_is_fused():
    assert add_cell(gru(), params=()).fused_layers == [0]
    assert add_cell(gru(), params=(), fused=False).fused_layers == []


@pytest.mark.parametrize(
    "changed",
    [
        {"_14": (OP["sub"], 13, 1)},
        {"_3": (OP["add"], 2, 0)},
        {"_16": (OP["add"], 15, 13)},
        {"_13": (OP["sigmoid"], 12)},
        {"_6": (OP["recur"], 0, 1)},
        {"_5": (OP["input"], 0)},
    ],
)
def test_a_tape_that_differs_anywhere_runs_in_the_interpreter(changed):
    assert add_cell(gru(**changed), params=()).fused_layers == []


def test_another_next_state_runs_in_the_interpreter():
    assert add_cell(gru(), params=(), next_=[13]).fused_layers == []


def test_an_extra_parameter_runs_in_the_interpreter():
    assert add_cell(gru(), params=(H,)).fused_layers == []


def cell_arguments(**arguments):
    return arguments


BIG = 2**31 - 1
HOSTILE = {
    "no instruction": (
        cell_arguments(tape=[], output=0, sizes=()),
        "number of instructions must be from 1 to 256, found 0",
    ),
    "257 instructions": (cell_arguments(tape=[(0, 0)] * 257), "found 257"),
    "unknown opcode": (cell_arguments(tape=[(19, 0)]), "instruction 0: unknown opcode 19"),
    "negative opcode": (cell_arguments(tape=[(-1, 0)]), "instruction 0: unknown opcode -1"),
    "gate": (cell_arguments(tape=[(OP["input"], 3)]), "gate 3 does not exist, there are 3"),
    "negative gate": (cell_arguments(tape=[(OP["input"], -1)]), "gate -1 does not exist"),
    "state": (cell_arguments(tape=[(OP["state"], 1)]), "state 1 does not exist, there are 1"),
    "param": (cell_arguments(tape=[(OP["param"], BIG)]), f"parameter {BIG} does not exist, there are 1"),
    "const": (cell_arguments(tape=[(OP["const"], 1)], widths=[1]), "constant 1 does not exist"),
    "map": (
        cell_arguments(tape=[(OP["state"], 0), (OP["recur"], 3, 0)]),
        "recurrent map 3 does not exist, there are 3",
    ),
    "itself": (
        cell_arguments(tape=[(OP["neg"], 0)]),
        "instruction 0: can only read registers before it, found register 0",
    ),
    "later": (cell_arguments(tape=[(OP["state"], 0), (OP["add"], 0, 2), (OP["state"], 0)]), "found register 2"),
    "negative register": (cell_arguments(tape=[(OP["state"], 0), (OP["add"], 0, -1)]), "found register -1"),
    "recur of itself": (cell_arguments(tape=[(OP["recur"], 0, 0)]), "found register 0"),
    "recur of a narrow one": (
        cell_arguments(tape=[(OP["const"], 0), (OP["recur"], 0, 0)], widths=[1, H]),
        "operand must be 4 wide, register 0 is 1",
    ),
    "wide input": (
        cell_arguments(tape=[(OP["input"], 0)], widths=[BIG]),
        f"must be 4 wide, found a width of {BIG}",
    ),
    "wide state": (cell_arguments(tape=[(OP["state"], 0)], widths=[5]), "must be 4 wide, found a width of 5"),
    "wide const": (cell_arguments(tape=[(OP["const"], 0)]), "must be 1 wide"),
    "wide unary": (cell_arguments(tape=[(OP["state"], 0), (OP["neg"], 0)], widths=[H, 64]), "must be 4 wide"),
    "zero width": (cell_arguments(tape=[(OP["state"], 0), (OP["neg"], 0)], widths=[H, 0]), "must be 4 wide"),
    "unequal operands": (
        cell_arguments(tape=[(OP["state"], 0), (OP["param"], 0), (OP["add"], 0, 1)], widths=[H, 2, H]),
        "equal widths or one of them must be 1 wide, found 4 and 2",
    ),
    "narrow result": (
        cell_arguments(tape=[(OP["state"], 0), (OP["const"], 0), (OP["add"], 0, 1)], widths=[H, 1, 1]),
        "must be 4 wide, found a width of 1",
    ),
    "output": (cell_arguments(tape=[(OP["state"], 0)], output=1), "the output is register 1, there are 1"),
    "negative output": (cell_arguments(tape=[(OP["state"], 0)], output=-1), "the output is register -1"),
    "narrow output": (
        cell_arguments(tape=[(OP["const"], 0), (OP["state"], 0)], widths=[1, H], output=0),
        "the output must be 4 wide",
    ),
    "next": (cell_arguments(tape=[(OP["state"], 0)], next_=[7]), "the next value of state 0 is register 7"),
    "narrow next": (
        cell_arguments(tape=[(OP["const"], 0), (OP["state"], 0)], widths=[1, H], next_=[0]),
        "state 0 must be 4 wide",
    ),
    "huge state": (cell_arguments(tape=[(OP["state"], 0)], sizes=[BIG]), "size must be from 1 to 1048576"),
    "negative state": (cell_arguments(tape=[(OP["state"], 0)], sizes=[-4]), "size must be from 1 to 1048576, found -4"),
    "65 alive": (
        cell_arguments(
            tape=[(OP["state"], 0)]
            + [(OP["neg"], 0)] * 64
            + [(OP["add"], 1, k) for k in range(2, 65)]
            + [(OP["add"], 0, 1)]
        ),
        "at most 64 registers may be in use at once",
    ),
    "state outside": (cell_arguments(tape=[(OP["state"], 0)], offsets=[52]), "does not fit in 64 bytes"),
    "state before": (cell_arguments(tape=[(OP["state"], 0)], offsets=[4]), "overlaps the state before byte 8"),
    "state at a negative place": (cell_arguments(tape=[(OP["state"], 0)], offsets=[-(2**31)]), "overlaps"),
    "state at an odd place": (
        cell_arguments(tape=[(OP["state"], 0)], offsets=[9]),
        "does not start at a multiple of 4",
    ),
    "states overlap": (
        cell_arguments(tape=[(OP["state"], 0)], sizes=(H, H), offsets=[8, 16], next_=[0, 0]),
        "overlaps",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tape_is_refused(name):
    arguments, sentence = HOSTILE[name]
    with pytest.raises(ValueError, match=sentence):
        add_cell(**arguments)


def test_the_largest_tape_runs():
    chain = [(OP["state"], 0)] + [(OP["recur"], i % 3, i) for i in range(255)]
    engine = add_cell(chain)
    out, state = np.empty(H, np.float32), np.zeros(64, np.uint8)
    engine.step(np.zeros(3, np.float32), state, out)
    np.testing.assert_array_equal(out, np.zeros(H))


def random_tape(random) -> tuple[list, list]:
    """Make instructions and widths that are mostly valid."""
    tape, widths = [], []
    for i in range(int(random.integers(1, 12))):
        opcode, a, b = (int(v) for v in random.integers(0, (19, max(i, 1), max(i, 1))))
        if opcode <= OP["recur"]:
            a = int(random.integers(0, {OP["input"]: 3, OP["recur"]: 3}.get(opcode, 1)))
        if random.random() < 0.02:
            a = int(random.integers(-2, 20))
        tape.append((opcode, a, b))
        operands = [widths[r] for r in ((a, b) if opcode >= OP["add"] else (a,)) if 0 <= r < i]
        right = 1 if opcode == OP["const"] else max(operands) if opcode >= OP["neg"] and operands else H
        widths.append(right if random.random() < 0.98 else int(random.choice([0, 1, 2, H, BIG])))
    return tape, widths


def test_random_tapes_are_refused_or_run():
    random, accepted = np.random.default_rng(0), 0
    for _ in range(3000):
        tape, widths = random_tape(random)
        try:
            engine = add_cell(tape, widths=widths, params=(H,))
        except ValueError:
            continue
        accepted += 1
        out, state = np.empty(H, np.float32), np.zeros(64, np.uint8)
        engine.step(np.ones(3, np.float32), state, out)
    assert 200 < accepted < 2800
