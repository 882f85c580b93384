"""Calls and loops: nothing is read before it is computed, and what one loop can do needs no memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tidegate import cells
from tidegate.errors import CellError
from tidegate.formats.c import generate_code
from tidegate.formats.c.places import Memory
from tidegate.formats.c.schedule import Schedule
from tidegate.layers import Builder, Layer, _load

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "parity"))
from drawn_layers import Drawn, Gated, Leaky, Swap, Toy, Window, model_of


def lay_out(layer: Layer) -> Memory:
    program = layer.program
    return Memory(Schedule(program), {name: f"s_{name}" for name in program.state}, program.width)


def built(kind: str, **options: Any) -> Layer:
    builder = Builder(8)
    builder.add(kind, **options)
    return builder.layers[0]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_read_before_it_is_made(seed: int) -> None:
    plan = lay_out(Drawn(size=1 + seed % 6, seed=seed, count=10 + seed)).plan
    for i, at in plan.at.items():
        for r in plan.operations[i].operands:
            inline = plan.at.get(r) == at and plan.is_inline(r, plan.loop_shape(i))
            assert inline or plan.ready(r) <= at


@pytest.mark.parametrize("seed", range(60))
def test_what_is_read_later_is_not_overwritten(seed: int) -> None:
    memory = lay_out(Drawn(size=1 + seed % 6, seed=seed, count=10 + seed))
    for r, places in memory.writes.items():
        for other, place in memory.home.items():
            shared = any(place.base == one.base for one in places) and memory.start(other) < memory.start(r)
            joined = {c for a in (r, other) for c in (a, *(c for c, _ in memory.slots.get(a, [])))}
            if shared and len(joined) == 2 and "concat" not in {memory.operations[c].name for c in joined}:
                assert memory.is_free(memory.uses.get(other, []), r)


@pytest.mark.parametrize("cell", cells.names())
def test_a_cell_is_its_products_and_one_loop(cell: str) -> None:
    builder = Builder(3)
    builder.recurrence(cells.load(cell), 4)
    memory = lay_out(builder.layers[0])
    assert [unit.shape for unit in memory.plan.units if unit.shape] == [(4,)]
    assert sum(memory.buffers.sizes) <= 4 * len(memory.plan.units[:-1]) + 4 * len(builder.layers[0].tape.gates)


@pytest.mark.parametrize(
    "layer",
    [
        built("scale"),
        built("softmax"),
        built("norm", eps=1e-5),
        built("dense", size=4, activation="tanh"),
        built("conv", size=4, width=3, centred=False, activation="relu"),
        built("pool", over=["last", "mean", "max", "attention"]),
        Leaky(size=5),
        Swap(size=5),
    ],
    ids=lambda layer: layer.kind,
)
def test_it_needs_no_buffer(layer: Layer) -> None:
    memory = lay_out(layer)
    assert memory.buffers.sizes == []
    assert memory.late == ([] if layer.kind != "swap" else memory.late)


def test_a_state_that_stays_is_not_touched() -> None:
    memory = lay_out(Swap(size=3))
    assert not memory.touches("k")
    assert all(map(memory.touches, "abz"))


def test_windows_shift_in_their_states() -> None:
    memory = lay_out(Window(size=6))
    pushes = [i for i, op in enumerate(memory.operations) if op.name == "push"]
    assert {memory.home[i].base for i in pushes} == {"s_keys", "s_values"}
    assert memory.late == []


def test_the_stack_counts_the_arrays_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "load", lambda kind: Gated)
    code = generate_code(model_of([Gated(size=6)]), "m", "m.h")
    assert code.program.stack == 4 * 12
    assert "float b0[12];" in code.c


def test_a_step_that_has_no_program_names_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Branching(Toy):
        def step(self, xp: Any, t: Any, s: Any, x: Any, steps: Any) -> Any:
            return (x if x[0] else -x), {}

    monkeypatch.setattr(_load, "load", lambda kind: Branching)
    with pytest.raises(CellError, match=r"layers\[0\]"):
        generate_code(model_of([Branching(size=2)]), "m", "m.h")
