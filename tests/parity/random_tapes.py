"""Random tapes with every operation: shapes of one number, of H, of 2 by H, projections and norms."""

from __future__ import annotations

import random as standard
from typing import Any

from tidegate.tape import Instruction, Shape, Tape

STATES: dict[str, Shape] = {"h": ("H",), "g": ("H",), "pair": (2, "H"), "one": (1,)}
PARAMS: dict[str, Shape] = {"a": ("H",), "k": (1,), "m": ("H", 2), "w": (2, "H")}
UNARY = ("neg", "abs", "sigmoid", "tanh", "relu", "norm")
BINARY = ("add", "sub", "mul", "minimum", "maximum")


class Draw:
    """A tape under construction; registers stay moderate, so that float32 does not overflow."""

    def __init__(self, seed: int, projected: bool) -> None:
        self.random, self.projected = standard.Random(seed), projected
        self.instructions: list[Instruction] = []
        self.shapes: list[Shape] = []
        self.rows: list[bool] = []  # whether each register depends on an input or a state

    def put(self, name: str, args: tuple[Any, ...], shape: Shape, row: bool) -> int:
        self.instructions.append(Instruction(name, args))
        self.shapes.append(shape)
        self.rows.append(row)
        return len(self.shapes) - 1

    def unary(self, name: str, a: int) -> int:
        return self.put(name, (a,), self.shapes[a], self.rows[a])

    def binary(self, name: str, a: int, b: int) -> int:
        wide = b if all(n == 1 for n in self.shapes[a]) else a
        return self.put(name, (a, b), self.shapes[wide], self.rows[a] or self.rows[b])

    def pick(self, *shapes: Shape, rows: bool = False) -> int | None:
        found = [i for i, s in enumerate(self.shapes) if (not shapes or s in shapes) and (self.rows[i] or not rows)]
        return self.random.choice(found) if found else None

    def leaf(self) -> None:
        kind = self.random.choice(("input", "input", "state", "state", "param", "const"))
        if kind == "input":
            self.put(kind, (self.random.choice("xyz"),), ("H",), True)
        elif kind == "const":
            self.put(kind, (self.random.choice((-1.5, 0.1, 1.0)),), (), False)
        else:
            shapes = STATES if kind == "state" else PARAMS
            name = self.random.choice(list(shapes))
            self.put(kind, (name,), shapes[name], kind == "state")

    def step(self) -> None:
        kind = self.random.choice(("leaf", "unary", "unary", "binary", "binary", "binary", "recur", "exp", "div"))
        operand = ("P",) if self.projected else ("H",)
        a = self.pick(("H",), (2, "H"), ("H", 2), ("P",), (1,))  # no operation has only numbers as operands
        if kind == "leaf" or a is None:
            self.leaf()
        elif kind == "unary":
            self.unary(self.random.choice(UNARY), a)
        elif kind == "exp":  # of a number of at most 0
            self.unary("exp", self.unary("neg", self.unary("abs", a)))
        elif kind == "div":  # by a number of at least 1
            one = self.put("const", (1.0,), (), False)
            self.binary("div", a, self.binary("add", one, self.unary("abs", a)))
        elif kind == "binary":
            ones = ((), (1,))
            b = self.pick() if self.shapes[a] in ones else self.pick(self.shapes[a], *ones)
            assert b is not None
            self.binary(self.random.choice(BINARY), *self.random.sample((a, b), 2))
        elif (v := self.pick(operand, rows=True)) is not None:
            self.put("recur", (self.random.choice("uv"), self.unary("tanh", v)), ("H",), True)
        elif self.projected and (v := self.pick(("H",), rows=True)) is not None:
            self.put("project", (v,), ("P",), True)

    def result(self, shape: Shape) -> int:
        """Return a register of this shape that belongs to a stream and stays within 1."""
        while (found := self.pick(shape, rows=True)) is None:
            state = next((s for s, of in STATES.items() if of == shape), None)
            if state:
                self.put("state", (state,), shape, True)
            else:
                v = self.pick(("H",), rows=True)
                v = self.put("input", ("x",), ("H",), True) if v is None else v
                self.put("project", (v,), ("P",), True)
        leaf = self.instructions[found].name == "state"
        return found if leaf and self.random.random() < 0.5 else self.unary("tanh", found)


def random_tape(seed: int, projected: bool = False, steps: int = 24) -> Tape:
    """Return a valid tape; the same seed gives the same tape."""
    draw = Draw(seed, projected)
    draw.put("input", ("x",), ("H",), True)
    for _ in range(steps):
        draw.step()
    output = draw.result(("P",) if projected else ("H",))
    following = {name: draw.result(shape) for name, shape in STATES.items()}
    return Tape(("x", "y", "z"), ("u", "v"), dict(STATES), dict(PARAMS), tuple(draw.instructions), output, following)
