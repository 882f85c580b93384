"""Levels: nothing is read before it is computed, and only values that cross a level have arrays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tidegate import cells
from tidegate.formats.c.schedule import LEAVES, WHOLE, changes, find_needed, schedule
from tidegate.tape import Instruction, Tape

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "parity"))
from random_tapes import random_tape


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_read_before_it_is_made(seed: int) -> None:
    tape = random_tape(seed, projected=seed % 2 == 0, steps=5 + seed)
    plan = schedule(tape)
    for i, level in plan.level.items():
        assert 0 <= level < plan.levels
        for r in tape.operands(i):
            if tape.instructions[i].name in WHOLE:
                assert plan.level[r] < level
            else:
                assert plan.level[r] <= level
            elementwise = tape.instructions[r].name not in (*WHOLE, *LEAVES)
            if elementwise and (plan.level[r] < level or tape.instructions[i].name in WHOLE):
                assert r in plan.crossing


@pytest.mark.parametrize("cell", cells.names())
def test_a_step_of_one_product_needs_no_array_but_its_products(cell: str) -> None:
    plan = schedule(cells.load(cell).tape)
    assert not plan.crossing
    assert plan.levels == (2 if cells.load(cell).recurrent else 1)


def test_what_no_result_needs_is_left_out() -> None:
    one = Tape(
        ("x",),
        ("r",),
        {"h": ("H",), "kept": ("H",)},
        {},
        (
            Instruction("input", ("x",)),
            Instruction("state", ("h",)),
            Instruction("recur", ("r", 1)),
            Instruction("tanh", (0,)),
            Instruction("state", ("kept",)),
        ),
        3,
        {"h": 3, "kept": 4},
    )
    assert find_needed(one) == [0, 3]
    assert changes(one, "h")
    assert not changes(one, "kept")
