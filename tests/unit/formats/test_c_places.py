"""Memory: whatever an operation reads is still there, in the order in which the C reads and writes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.formats.c.places import Memory, Place
from tidegate.formats.c.schedule import ELEMENTS, REDUCTIONS, Schedule, Unit
from tidegate.layers import Builder, Layer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "parity"))
from drawn_layers import Drawn, Window
from random_tapes import random_tape


class Simulation:
    """Runs a layer's calls and loops on memory that holds names of numbers: (operation, index) each."""

    def __init__(self, layer: Layer) -> None:
        program = layer.program
        self.memory = Memory(Schedule(program), {name: name for name in program.state}, program.width)
        self.operations, self.program = self.memory.operations, program
        self.cells: dict[Any, Any] = {}
        self.sizes = {f"b{b}": size for b, size in enumerate(self.memory.buffers.sizes)} | {"out": program.width}
        for name, shape in program.state.items():
            self.sizes[name] = int(np.prod(shape))
            self.cells |= {(name, k): ("state", name, k) for k in range(self.sizes[name])}

    def addresses(self, place: Place, shape: tuple[int, ...]) -> Any:
        found = np.empty(shape, object)
        for index in np.ndindex(*shape):
            at = place.offset + sum(i * step for i, step in zip(index, place.strides or (), strict=True))
            assert 0 <= at < self.sizes[place.base]
            found[index] = (place.base, at)
        return found

    def names(self, r: int) -> Any:
        """Return the names of the numbers of an operation, or None if they are not in memory that changes."""
        op = self.operations[r]
        if op.name in ("reshape", "part"):
            return self.view(self.names(op.operands[0]), r)
        if op.name == "concat":
            return np.concatenate([self.names(a) for a in op.operands], -1)
        if op.name == "state":
            return self.number(op.shape, ("state", op.settings[0]))
        return None if op.name in ("input", "tensor", "take", "const", "steps") else self.number(op.shape, (r,))

    def number(self, shape: tuple[int, ...], name: tuple[Any, ...]) -> Any:
        found = np.empty(shape, object)
        found.reshape(-1)[:] = [*((*name, k) for k in range(found.size)), None][:-1]
        return found

    def view(self, array: Any, r: int) -> Any:
        op = self.operations[r]
        if array is None or op.name == "reshape":
            return array if array is None else array.reshape(op.shape)
        return np.split(array, op.settings[1], -1)[op.settings[0]]

    def places(self, r: int) -> Any:
        """Return the addresses of the numbers of an operation, or None if they are not in memory that changes."""
        op = self.operations[r]
        if op.name in ("reshape", "part"):
            return self.view(self.places(op.operands[0]), r)
        if op.name == "state":
            return self.addresses(Place(op.settings[0], 0, tuple(np.cumprod((1, *op.shape[:0:-1]))[::-1])), op.shape)
        if op.name in ("input", "tensor", "take", "const", "steps") or (
            op.size == 1 and op.name in (*ELEMENTS, *REDUCTIONS)
        ):
            return None
        return self.addresses(self.memory.home[r], op.shape)

    def read(self, r: int, index: Any = ...) -> list[Any]:
        """Check that the numbers of an operation are in their places; return those."""
        if (at := self.places(r)) is None:
            return []
        assert at.shape == self.names(r).shape
        found, expected = (np.atleast_1d(v[index]).reshape(-1).tolist() for v in (at, self.names(r)))
        if index is not ...:
            found, expected = [at[index]], [self.names(r)[index]]
        assert [self.cells[a] for a in found] == expected
        return found

    def write(self, r: int, index: Any = ...) -> None:
        for place in self.memory.writes.get(r, []):
            to, names = self.addresses(place, self.operations[r].shape), self.names(r)
            for i in np.ndindex(*to.shape) if index is ... else [index]:
                self.cells[to[i]] = names[i]

    def run(self) -> None:
        for unit in self.memory.plan.units:
            if unit.shape is not None:
                self.loop(unit, unit.shape)
            else:
                self.call(unit.members[0])
        for r, name in self.memory.late:
            self.read(r)
            self.cells |= {(name, k): v for k, v in enumerate(self.names(r).reshape(-1))}
        for name, r in self.operations.results.items():
            expected = self.names(r).reshape(-1).tolist()
            assert [self.cells[name or "out", k] for k in range(len(expected))] == expected
        for name in set(self.program.state) - set(self.operations.results):
            assert all(self.cells[name, k] == ("state", name, k) for k in range(self.sizes[name]))

    def loop(self, unit: Unit, shape: tuple[int, ...]) -> None:
        axes = sorted(range(len(shape)), key=lambda a: a == unit.axis)
        for numbers in itertools.product(*(range(shape[a]) for a in axes)):
            at = dict(zip(axes, numbers, strict=True))
            for r in (a for i in (*unit.members, *unit.reductions) for a in self.operations[i].operands):
                if r not in unit.members:
                    self.read(r, self.index(at, r))
            for r in unit.members:
                self.write(r, self.index(at, r))
            if unit.axis is not None and at[unit.axis] == shape[unit.axis] - 1:
                for r in unit.reductions:
                    self.write(r, self.index(at, r))

    def index(self, at: dict[int, int], r: int) -> tuple[int, ...]:
        shape = self.operations[r].shape
        return tuple(at.get(a, 0) if n > 1 else 0 for a, n in enumerate(shape))

    def call(self, i: int) -> None:
        op = self.operations[i]
        if op.name == "push":
            window, step = self.places(op.operands[0]), self.operations[op.operands[1]].size
            to = self.addresses(self.memory.home[i], op.shape).reshape(-1)
            names, old = self.names(i).reshape(-1), self.names(op.operands[0])
            for k in range(op.size - step):
                if window is not None:
                    assert self.cells[window.reshape(-1)[k + step]] == old.reshape(-1)[k + step]
                self.cells[to[k]] = names[k]
            self.read(op.operands[1])
        else:
            waiting, found = list(op.operands), list[Any]()
            while waiting:
                r = waiting.pop()
                if self.operations[r].name == "parts":
                    waiting += self.operations[r].operands
                else:
                    found += self.read(r)
            assert not {*found} & {*self.addresses(self.memory.home[i], op.shape).reshape(-1)}
        self.write(i)


@pytest.mark.parametrize("seed", range(120))
def test_nothing_is_overwritten_before_its_last_reader(seed: int) -> None:
    Simulation(Drawn(size=(1, 2, 3, 4)[seed % 4], seed=seed, count=5 + seed)).run()


@pytest.mark.parametrize("layer", [Window(size=4), Window(size=2)])
def test_a_window(layer: Layer) -> None:
    Simulation(layer).run()


@pytest.mark.parametrize("seed", range(30))
def test_tapes(seed: int) -> None:
    builder = Builder(2)
    builder.tapes["own"] = random_tape(seed, steps=5 + seed)
    builder.add("recurrent", size=3, tape="own", cell="own", dialect={})
    Simulation(builder.layers[0]).run()


@pytest.mark.parametrize("cell", cells.names())
def test_cells(cell: str) -> None:
    builder = Builder(2)
    builder.recurrence(cells.load(cell), 3)
    Simulation(builder.layers[0]).run()
